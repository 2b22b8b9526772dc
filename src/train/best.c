/* The best weights of a run. */
#include "train/best.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"

struct voco_best
voco_best_read(const struct voco_score_name *name, const char *run, int64_t step)
{
    struct voco_best best = { .name = name, .score = NAN };
    char *path = voco_format("%s/best.json", run);
    const json_t *score, *at;
    json_t *root;

    voco_json_read(path, VOCO_JSON_BYTES, 0, &root);
    score = json_object_get(root, name->name);
    at = json_object_get(root, "step");
    if (json_is_number(score) && json_is_integer(at) && json_integer_value(at) <= step) {
        best.score = json_number_value(score);
        best.step = json_integer_value(at);
    }
    json_decref(root);
    free(path);
    return best;
}

bool
voco_best_beaten(const struct voco_best *best, double score)
{
    return best->name->less_is_better ? !(score >= best->score) : !(score <= best->score);
}

enum voco_err
voco_best_keep(struct voco_best *best, const char *run, double score, int64_t step,
               struct voco_ctx *ctx, const struct voco_model *model, json_t *more)
{
    char *weights = voco_format("%s/best.safetensors", run);
    char *beside = voco_format("%s/best.json", run);
    json_t *root = json_pack("{s:f, s:I}", best->name->name, score, "step", (json_int_t)step);
    enum voco_err err = voco_model_save(weights, ctx, model, NULL, NULL);
    char *text;

    if (more)
        json_object_update(root, more);
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    VOCO_NEED(text);
    if (err == VOCO_OK)
        err = voco_file_write_text(beside, text);
    if (err == VOCO_OK) {
        best->score = score;
        best->step = step;
    }
    json_decref(root);
    json_decref(more);
    free(text);
    free(weights);
    free(beside);
    return err;
}
