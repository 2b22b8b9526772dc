/* voco info: what a volume, list, store, checkpoint or run is, for people or as JSON. */
#include "cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "data/volume.h"
#include "info.h"

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

/* ---- rows ---- */

void
voco_info_row(struct voco_info *info, const char *name, json_t *value,
              const char *fmt, ...)
{
    char words[1024];
    va_list ap;

    if (value != NULL)
        json_object_set_new(info->json, name, value);
    if (fmt == NULL)
        return;
    if (info->n == info->capacity) {
        info->capacity = info->capacity > 0 ? 2 * info->capacity : 32;
        info->row = realloc(info->row, (size_t)info->capacity * sizeof *info->row);
        VOCO_ASSERT(info->row != NULL);
    }
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    info->row[info->n].name = voco_format("%s", name);
    info->row[info->n++].words = voco_format("%s", words);
}

json_t *
voco_info_text(const char *text)
{
    json_t *json = json_string(text);

    if (json == NULL) {
        char *ascii = voco_format("%s", text);

        for (char *p = ascii; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        json = json_string(ascii);
        free(ascii);
    }
    return json;
}

json_t *
voco_info_real(double v)
{
    json_t *json = json_real(v);            /* NULL for NaN and infinities */

    return json != NULL ? json : json_null();
}

json_t *
voco_info_ints(const int64_t *v, int n)
{
    json_t *array = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_integer(v[i]));
    return array;
}

json_t *
voco_info_reals(const double *v, int n)
{
    json_t *array = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(array, voco_info_real(v[i]));
    return array;
}

const char *
voco_info_count(double n, char buf[16])
{
    static const char *const UNIT[] = {"", " k", " M", " G", " T"};
    int u = 0;

    for (; n >= 1000 && u < 4; u++)
        n /= 1000;
    snprintf(buf, 16, u == 0 ? "%.0f%s" : "%.3g%s", n, UNIT[u]);
    return buf;
}

/* With 15 digits where these read back as the same numbers, else with 17. Free it. */
static char *
dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_t *back = text != NULL ? json_loads(text, 0, NULL) : NULL;

    if (!json_equal(json, back)) {
        free(text);
        text = json_dumps(json, JSON_COMPACT);
    }
    json_decref(back);
    return text;
}

/* Control characters of file names and lists must not reach a terminal. */
static void
print_words(const char *words)
{
    for (; *words != '\0'; words++)
        putchar((unsigned char)*words < 0x20 || *words == 0x7f ? '?' : *words);
}

static void
print_info(const char *path, const struct voco_info *info)
{
    if (as_json) {
        char *line = dump(info->json);

        puts(line != NULL ? line : "{}");
        free(line);
        return;
    }
    print_words(path);
    putchar('\n');
    for (int i = 0; i < info->n; i++) {
        printf("  %-17s ", info->row[i].name);
        print_words(info->row[i].words);
        putchar('\n');
    }
}

/* ---- what is it? ---- */

static bool
holds(const char *folder, const char *name)
{
    char *path = voco_format("%s/%s", folder, name);
    const bool yes = voco_file_exists(path);

    free(path);
    return yes;
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

static bool
is_weights(const char *path)
{
    const size_t n = strlen(path);

    return n > 12 && strcasecmp(path + n - 12, ".safetensors") == 0;
}

static enum voco_err
describe(const char *path, struct voco_info *info)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return voco_fail_errno(VOCO_EFORMAT, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return is_weights(path) ? voco_info_weights(path, &what, info)
            : is_list(path) ? voco_info_list(path, &what, info)
            : voco_info_volume(path, &what, info);
    if (holds(path, "manifest.jsonl"))
        return voco_info_store(path, &what, info);
    if (holds(path, "state.json"))
        return voco_info_checkpoint(path, &what, info);
    if (holds(path, "config.json") || holds(path, "metrics.jsonl"))
        return voco_info_run(path, &what, info);
    if (voco_is_dicom_folder(path))
        return voco_info_volume(path, &what, info);
    return voco_info_list(path, &what, info);
}

/* One path; what goes wrong is part of the answer. */
static enum voco_err
answer(const char *path, int n_paths)
{
    struct voco_info info = {.json = json_object()};
    enum voco_err err;

    voco_info_row(&info, "path", voco_info_text(path), NULL);
    err = describe(path, &info);
    if (err == VOCO_OK)
        print_info(path, &info);
    else if (as_json) {
        json_object_set_new(info.json, "error", voco_info_text(voco_fail_text()));
        print_info(path, &info);
    } else if (n_paths > 1)
        voco_warn("%s", voco_fail_text());
    for (int i = 0; i < info.n; i++) {
        free(info.row[i].name);
        free(info.row[i].words);
    }
    free(info.row);
    json_decref(info.json);
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
               "folder of them, a store, a .safetensors file, a checkpoint or a run "
               "folder.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run,
};
