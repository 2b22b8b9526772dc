/* Segmentation as a task. */
#include "task/segment/segment.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/stop.h"
#include "objective/segment/finetune.h"
#include "task/segment/validate.h"

static struct voco_validation
validation(const struct voco_finetune_config *c, const struct voco_labelled *d)
{
    const int64_t *size = c->request.size;

    return (struct voco_validation){
        .store = d->store, .volume = d->split.validate, .n = d->split.n_validate,
        .roi = { size[0], size[1], size[2] }, .overlap = c->val_overlap,
        .stop = &voco_stop_signal,
    };
}

/* The largest need of a validation volume. */
static double
validate_bytes(const void *config, void *data, const struct voco_model_config *model)
{
    struct voco_validation v = validation(config, data);
    double most = 0;

    v.model = &(struct voco_model){ .config = *model };
    v.batch = 1;
    for (int i = 0; i < v.n; i++)
        most = fmax(most, voco_validate_bytes(&v, voco_store_entry(v.store,
                                                                   v.volume[i])->dim));
    return most;
}

static json_t *
class_scores(const struct voco_validation_result *result, int64_t classes)
{
    json_t *list = json_array();

    for (int64_t k = 1; k < classes; k++)
        json_array_append_new(list, isnan(result->class_dice[k])
                                    ? json_null() : json_real(result->class_dice[k]));
    return json_pack("{s:o}", "class_dice", list);
}

static enum voco_err
validate(const struct voco_run *run, struct voco_record *record, struct voco_task_score *ret)
{
    const int64_t classes = run->model.config.classes;
    struct voco_validation v = validation((const void *)run->config, run->data);
    struct voco_validation_result result;
    enum voco_err err;

    v.ctx = (struct voco_ctx *)&run->ctx;
    v.model = &run->model;
    v.batch = run->plan.grouping.group;
    if ((err = voco_validate(&v, &result)) != VOCO_OK)
        return err;
    voco_record_add(record, result.dice, "val_dice");
    voco_record_add(record, result.seconds, "val_seconds");
    for (int64_t k = 1; k < classes; k++)
        if (!isnan(result.class_dice[k]))
            voco_record_add(record, result.class_dice[k], "val_dice_%" PRId64, k);
    *ret = (struct voco_task_score){ .value = result.dice, .volumes = v.n,
                                .seconds = result.seconds,
                                .more = class_scores(&result, classes) };
    return VOCO_OK;
}

/* How volumes were prepared, and what classes are called, for whoever uses the weights. */
static enum voco_err
describe(const void *config, void *data, const struct voco_model_config *model,
         struct voco_seginfo *ret)
{
    const struct voco_finetune_config *c = config;
    const struct voco_labelled *d = data;
    const struct voco_store_entry *e = voco_store_entry(d->store, d->split.train[0]);
    enum voco_err err;
    int n;
    const char *const *names = voco_store_classes(d->store, &n);

    memcpy(ret->roi, c->request.size, sizeof ret->roi);
    if ((err = voco_transform_of_report(e->transforms, &ret->transform)) != VOCO_OK)
        return voco_fail_in(err, "%s: %s", c->run.store, e->id);
    ret->has_transform = true;
    ret->preset = voco_format("%s", e->preset);
    if (n != model->classes)
        return VOCO_OK;
    ret->class_name = calloc((size_t)n, sizeof *ret->class_name);
    VOCO_NEED(ret->class_name);
    for (ret->n_classes = 0; ret->n_classes < n; ret->n_classes++)
        ret->class_name[ret->n_classes] = voco_format("%s", names[ret->n_classes]);
    return VOCO_OK;
}

const struct voco_task voco_task_segment = {
    .name = "seg", .objective = &voco_objective_segment,
    .score = { .name = "dice", .word = "Dice" }, .validate_bytes = validate_bytes,
    .validate = validate, .describe = describe,
};
