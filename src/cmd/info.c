/* voco info: describes a volume, list, store, checkpoint or run, as text or as JSON. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "data/store/store.h"
#include "data/volume/volume.h"
#include "cmd/info.h"
#include "tensorfile/tensorfile.h"

static struct voco_info_options what;
static bool as_json;

static const struct voco_opt options[] = {
    { .name = "json", .letter = 'j', .kind = VOCO_OPT_FLAG, .value = &as_json,
      .help = "one JSON object a line instead of text" },
    { .name = "list", .letter = 'l', .kind = VOCO_OPT_FLAG, .value = &what.list,
      .help = "name every member: volumes, tensors" },
    { .name = "voxels", .kind = VOCO_OPT_FLAG, .value = &what.voxels,
      .help = "read volumes to the end and describe their intensities" },
    { 0 }
};

/* ---- the kind of a path ---- */

static bool
begins_like_json(const char *path)
{
    char head[64] = "", first;
    FILE *in = voco_open_stream(path, "rb");

    if (in) {
        head[fread(head, 1, sizeof head - 1, in)] = '\0';
        fclose(in);
    }
    first = head[strspn(head, " \t\r\n\xef\xbb\xbf")];
    return first == '{' || first == '[';
}

static bool
is_list(const char *path)
{
    static const char *const ENDING[] = {
        ".json", ".csv", ".tsv", ".txt", ".lst", ".list"
    };
    const size_t n = strlen(path);

    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++) {
        const size_t m = strlen(ENDING[i]);

        if (n > m && strcasecmp(path + n - m, ENDING[i]) == 0)
            return true;
    }
    return false;
}

/* A file, by its content, and by its name where several kinds have that. */
static enum voco_err
describe_file(const char *path, struct voco_info *info)
{
    if (voco_tensorfile_sniff(path))
        return voco_info_weights(path, &what, info);
    if (is_list(path))
        return voco_info_list(path, &what, info);
    if (voco_volume_sniff(path) || voco_volume_ending(path) > 0)
        return voco_info_volume(path, &what, info);
    if (begins_like_json(path))
        return voco_info_list(path, &what, info);
    return voco_fail(VOCO_EFORMAT, "%s: neither a volume (NIfTI, MetaImage, NRRD, a DICOM "
                     "folder), nor a list (JSON, CSV, text), a store (its folder), or weights "
                     "(safetensors, a file of torch.save)", path);
}

static enum voco_err
describe(const char *path, struct voco_info *info)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return voco_fail_errno(VOCO_EFORMAT, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return describe_file(path, info);
    if (voco_store_is(path))
        return voco_info_store(path, &what, info);
    if (voco_folder_has(path, "state.json"))
        return voco_info_checkpoint(path, &what, info);
    if (voco_folder_has(path, "config.json") || voco_folder_has(path, "metrics.jsonl"))
        return voco_info_run(path, &what, info);
    if (voco_folder_has(path, "model.safetensors"))
        return voco_info_weights(path, &what, info);
    if (voco_is_dicom_folder(path))
        return voco_info_volume(path, &what, info);
    return voco_info_list(path, &what, info);
}

/* One path; an error is part of the answer. */
static enum voco_err
answer(const char *path, int n_paths)
{
    struct voco_info info = {.json = json_object()};
    enum voco_err err;

    voco_info_row(&info, "path", voco_info_text(path), NULL);
    err = describe(path, &info);
    voco_info_print(path, &info, err, as_json);
    if (err != VOCO_OK && !as_json && n_paths > 1)
        voco_warn("%s", voco_fail_text());
    voco_info_free(&info);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    enum voco_err last = VOCO_OK;
    int failed = 0;

    for (int i = 0; i < argc; i++) {
        const enum voco_err err = answer(argv[i], argc);

        failed += err != VOCO_OK;
        last = err != VOCO_OK ? err : last;
    }
    if (failed == 0 || argc == 1)
        return last;
    return voco_fail(failed < argc ? VOCO_EREJECTED : last,
                     "%d of %d paths could not be described", failed, argc);
}

const struct voco_verb voco_cmd_info = {
    .name = "info",
    .summary = "describe volumes, lists, stores, checkpoints and runs",
    .args = "PATH...",
    .details = "A PATH is a volume (NIfTI, MetaImage, NRRD, DICOM folder), a list or "
               "folder of them, a store, weights (safetensors, or of torch.save, whatever "
               "they are called), a checkpoint or a run folder.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run,
};
