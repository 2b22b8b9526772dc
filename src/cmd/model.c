/* voco model: weights in files of other programs. This file: inspect, and what
 * import and export share. */
#include "cmd/cmd.h"
#include "cmd/model.h"

#include "base/log.h"
#include "cmd/info.h"


enum voco_err
voco_cmd_model_rewrite(const char *path, const char *output,
                       enum voco_err (*rewrite)(const struct voco_tensorfile *file,
                                                const char *path))
{
    struct voco_tensorfile file;
    enum voco_err err;

    if (!output)
        return voco_fail(VOCO_EUSAGE, "%s: where to? --output OUT is missing", path);
    if ((err = voco_tensorfile_open(&file, path)) != VOCO_OK)
        return err;
    for (int i = 0; i < file.n_foreign; i++)
        voco_note("%s: names %s, beside the tensors; nothing was run", path,
                  file.foreign[i]);
    err = rewrite(&file, path);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_cmd_model_recognise(const struct voco_tensorfile *file, const char *path, int merging,
                         bool axes_known, struct voco_network *ret)
{
    const enum voco_err err = voco_network_recognise(file, path, ret);

    if (err != VOCO_OK)
        return err;
    if (merging >= 0) {
        ret->merging = (enum voco_merging)merging;
        ret->merging_known = true;
    }
    ret->axes_known |= axes_known;
    voco_network_settle(ret, path, merging);
    return VOCO_OK;
}

static bool as_json;

static const struct voco_opt options[] = {
    { .name = "json", .letter = 'j', .kind = VOCO_OPT_FLAG, .value = &as_json,
      .help = "one JSON object a line instead of text" },
    { 0 }
};

static enum voco_err
inspect(int argc, char **argv)
{
    const struct voco_info_options all = { .list = true };
    enum voco_err last = VOCO_OK;
    int failed = 0;

    for (int i = 0; i < argc; i++) {
        struct voco_info info = { .json = json_object() };
        enum voco_err err;

        voco_info_row(&info, "path", voco_info_text(argv[i]), NULL);
        err = voco_info_weights(argv[i], &all, &info);
        voco_info_print(argv[i], &info, err, as_json);
        voco_info_free(&info);
        if (err != VOCO_OK && argc > 1)
            voco_warn("%s", voco_fail_text());
        failed += err != VOCO_OK;
        last = err != VOCO_OK ? err : last;
    }
    if (failed == 0 || argc == 1)
        return last;
    return voco_fail(failed < argc ? VOCO_EREJECTED : last, "%d of %d files could not be read",
                     failed, argc);
}

static const struct voco_verb voco_cmd_model_inspect = {
    .name = "model inspect",
    .summary = "describe a file of weights and list its tensors",
    .args = "FILE...",
    .details = "A FILE is a .pt or .pth of PyTorch 1.6 or later, a .safetensors file, a\n"
               "checkpoint or a run folder.  Nothing in it is run.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = inspect,
};

static const struct voco_verb *const subs[] = {
    &voco_cmd_model_inspect, &voco_cmd_model_import, &voco_cmd_model_export, NULL
};

const struct voco_verb voco_cmd_model = {
    .name = "model",
    .summary = "inspect, import and export files of weights",
    .args = "FILE...",
    .details = "'voco model VERB --help' explains one of them.",
    .subs = subs,
};
