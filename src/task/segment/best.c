/* The best weights of a run. */
#include "task/segment/best.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "model/weights.h"

struct voco_best
voco_best_read(const char *run, int64_t step)
{
    struct voco_best best = { .dice = NAN };
    char *path = voco_format("%s/best.json", run);
    json_error_t where;
    json_t *root = json_load_file(path, 0, &where);
    const json_t *dice = json_object_get(root, "dice"), *at = json_object_get(root, "step");

    if (json_is_number(dice) && json_is_integer(at) && json_integer_value(at) <= step)
        best = (struct voco_best){ json_number_value(dice), json_integer_value(at) };
    json_decref(root);
    free(path);
    return best;
}

bool
voco_best_beaten(const struct voco_best *best, double dice)
{
    return !(dice <= best->dice);
}

static char *
about(int64_t step, const struct voco_validation_result *v, int64_t n_classes)
{
    json_t *classes = json_array(), *root;
    char *text;

    for (int64_t k = 1; k < n_classes; k++)
        json_array_append_new(classes, isnan(v->class_dice[k]) ? json_null()
                                                               : json_real(v->class_dice[k]));
    root = json_pack("{s:f, s:I, s:o}", "dice", v->dice, "step", (json_int_t)step,
                     "class_dice", classes);
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    VOCO_ASSERT(text);
    json_decref(root);
    return text;
}

enum voco_err
voco_best_keep(struct voco_best *best, const char *run, int64_t step, struct voco_ctx *ctx,
               const struct voco_model *model, const struct voco_seginfo *info,
               const struct voco_validation_result *v)
{
    char *weights = voco_format("%s/best.safetensors", run);
    char *beside = voco_format("%s/best.json", run);
    char *text = about(step, v, model->config.classes);
    enum voco_err err = voco_model_save(weights, ctx, model, info, NULL, NULL);

    if (err == VOCO_OK)
        err = voco_file_write_text(beside, text);
    if (err == VOCO_OK)
        *best = (struct voco_best){ v->dice, step };
    free(text);
    free(weights);
    free(beside);
    return err;
}
