/* voco info about checkpoints and run folders. */
#include "cmd/info.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "data/dataset/listing.h"
#include "report/metrics.h"

enum { RECENT = 100 };

/* ---- JSON files of ours ---- */

static enum voco_err
load_json(const char *folder, const char *name, json_t **ret)
{
    char *path = voco_format("%s/%s", folder, name);
    const enum voco_err err = voco_json_read(path, VOCO_JSON_BYTES, 0, ret);

    free(path);
    return err;
}

/* A row of text for every number, word and truth value, "outer.inner" one level deep. */
static void
scalar_rows(struct voco_info *info, const char *prefix, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) {
        char *name = voco_format("%s%s%s", prefix, *prefix != '\0' ? "." : "", key);
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

        if (json_is_object(value) && *prefix == '\0')
            scalar_rows(info, key, value);
        else if (json_is_string(value))
            voco_info_row(info, "option", NULL, "%s = %s", name,
                          json_string_value(value));
        else if (!json_is_null(value) && text != NULL && strlen(text) <= 80)
            voco_info_row(info, "option", NULL, "%s = %s", name, text);
        free(text);
        free(name);
    }
}

/* ---- checkpoints ---- */

enum voco_err
voco_info_checkpoint(const char *path, const struct voco_info_options *o,
                     struct voco_info *info)
{
    char *weights = voco_format("%s/model.safetensors", path), bytes[16];
    json_t *state;
    enum voco_err err = load_json(path, "state.json", &state);

    if (err == VOCO_OK) {
        const json_t *step = json_object_get(state, "step");

        voco_info_row(info, "checkpoint", NULL, "step %" JSON_INTEGER_FORMAT ", %s; `voco"
                      " verify` checks it to the last byte", json_integer_value(step),
                      voco_format_bytes(voco_info_folder_bytes(path), bytes));
        err = voco_info_weights(weights, o, info);
        voco_info_row(info, "kind", json_string("checkpoint"), NULL);
        voco_info_row(info, "state", json_incref(state), NULL);
        if (o->list)
            scalar_rows(info, "", state);
    }
    json_decref(state);
    free(weights);
    return err;
}

/* ---- runs ---- */

static void
checkpoint_rows(struct voco_info *info, const char *path)
{
    json_t *list = json_array();
    char **names, *words = voco_format("%s", "");
    int n;

    if (voco_folder_names(path, &names, &n) != VOCO_OK)
        n = 0;
    for (int i = 0; i < n; i++) {
        if (strncmp(names[i], "ckpt-", 5) != 0 || strspn(names[i] + 5, "0123456789") !=
            strlen(names[i] + 5))
            continue;
        char *longer = voco_format("%s%s%s", words, *words != '\0' ? ", " : "", names[i]);

        free(words);
        words = longer;
        json_array_append_new(list, voco_info_text(names[i]));
    }
    voco_info_row(info, "checkpoints", list, "%s", *words != '\0' ? words : "none yet");
    free(words);
    if (n > 0)
        voco_names_free(names, n);
}

/* Mean of the finite values among the last ones. */
static double
recent_mean(const double *v, int64_t n)
{
    double sum = 0;
    int64_t count = 0;

    for (int64_t i = n > RECENT ? n - RECENT : 0; i < n; i++)
        if (isfinite(v[i])) {
            sum += v[i];
            count++;
        }
    return sum / (double)count;
}

static void
metric_rows(struct voco_info *info, const char *path)
{
    static const char *const NAME[] = {
        "loss", "intra", "inter", "reg", "position_accuracy", "grad_norm", "lr",
        "seconds", "gflops", "peak_fraction", "effective_rank"
    };
    char *file = voco_format("%s/metrics.jsonl", path);
    struct voco_history h;

    if (!voco_file_exists(file) || voco_history_read(file, &h) != VOCO_OK) {
        voco_info_row(info, "steps", json_integer(0), "none logged");
        free(file);
        return;
    }
    voco_info_row(info, "steps", json_integer(h.n), "%" PRId64 " logged%s", h.n,
                  h.bad_lines > 0 ? ", some lines unreadable" : "");
    if (h.n > 0)
        voco_info_row(info, "last_step", json_integer(h.step[h.n - 1]), NULL);
    for (size_t i = 0; h.n > 0 && i < sizeof NAME / sizeof *NAME; i++) {
        const double *v = voco_history_series(&h, NAME[i]);

        if (v == NULL)
            continue;
        json_t *row = json_object();
        json_object_set_new(row, "first", voco_info_real(v[0]));
        json_object_set_new(row, "last", voco_info_real(v[h.n - 1]));
        json_object_set_new(row, "recent", voco_info_real(recent_mean(v, h.n)));
        voco_info_row(info, NAME[i], row, "%.5g -> %.5g, mean of the last %d: %.5g", v[0],
                      v[h.n - 1], h.n < RECENT ? (int)h.n : RECENT, recent_mean(v, h.n));
    }
    voco_history_free(&h);
    free(file);
}

/* The options that people ask for first, of those that the run wrote down. */
static void
option_rows(struct voco_info *info, const json_t *config)
{
    static const char *const NAME[] = {
        "feature-size", "batch", "sw", "steps", "lr", "schedule", "merging", "seed"
    };
    const json_t *all = json_object_get(config, "options");
    const char *store = json_string_value(json_object_get(config, "store"));
    char *words = voco_format("%s", "");

    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++) {
        const json_t *value = json_object_get(all, NAME[i]);
        char *text = value == NULL ? NULL
            : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        char *longer;

        if (text == NULL)
            continue;
        longer = voco_format("%s%s%s %s", words, *words != '\0' ? ", " : "", NAME[i],
                             json_is_string(value) ? json_string_value(value) : text);
        free(text);
        free(words);
        words = longer;
    }
    if (store != NULL)
        voco_info_row(info, "store", NULL, "%s", store);
    if (*words != '\0')
        voco_info_row(info, "options", NULL, "%s (all: --list)", words);
    free(words);
}

enum voco_err
voco_info_run(const char *path, const struct voco_info_options *o, struct voco_info *info)
{
    char *model = voco_format("%s/model.safetensors", path);
    char *config_file = voco_format("%s/config.json", path);
    const bool finished = voco_file_exists(model);
    json_t *config = NULL;
    enum voco_err err = VOCO_OK;

    if (voco_file_exists(config_file))
        err = load_json(path, "config.json", &config);
    if (err == VOCO_OK) {
        voco_info_row(info, "kind", json_string("run"), "run, %s", finished
                      ? "finished: model.safetensors is there" : "not finished");
        voco_info_row(info, "finished", json_boolean(finished), NULL);
        option_rows(info, config);
        metric_rows(info, path);
        checkpoint_rows(info, path);
        if (o->list)
            scalar_rows(info, "", config);
        if (config != NULL)
            voco_info_row(info, "config", json_incref(config), NULL);
    }
    json_decref(config);
    free(config_file);
    free(model);
    return err;
}
