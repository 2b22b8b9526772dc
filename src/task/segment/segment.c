/* Segmentation as a task. */
#include "task/segment/segment.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/inputs.h"
#include "objective/segment/finetune.h"
#include "task/segment/choose.h"
#include "task/segment/validate.h"

/* ---- weights ---- */

/* How volumes were prepared, and the names of classes, for users of the weights. */
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

/* ---- prediction ---- */

struct work {
    const struct voco_segment_settings *s;
    struct voco_segment_choice choice;
    struct voco_segment_request request;
};

static enum voco_err
prepare(const void *config, void **work, struct voco_predict_setup *ret)
{
    struct work *w = calloc(1, sizeof *w);
    enum voco_err err;

    VOCO_NEED(w);
    *work = w;
    w->s = config;
    if ((err = voco_segment_choose(w->s, &w->choice)) != VOCO_OK)
        return err;
    *ret = (struct voco_predict_setup){
        .model = w->choice.model, .ending = ".nii.gz", .result = "label map",
        .beside = w->s->probabilities ? " with probabilities" : "",
    };
    return VOCO_OK;
}

static void
release(void *work)
{
    free(work);
}

/* Sizes on the network's grid, and those of the volume in v; false: not known yet. */
static bool
grids(const struct work *w, const struct voco_input_entry *in, struct voco_volume *v,
      int64_t dim[3], double *reading)
{
    struct voco_volume_header h;
    struct voco_unmap back;
    double mm[3];

    if (in->store) {
        const struct voco_store_entry *e = voco_store_entry(in->store, in->index);

        if (voco_unmap_parse(e->transforms, &back) != VOCO_OK)
            return false;
        memcpy(dim, e->dim, sizeof e->dim);
        memcpy(v->dim, back.source_dim, sizeof v->dim);
        return true;
    }
    if (in->item->problem
        || voco_case_describe(in->item, VOCO_CHANNEL_ALL, false, &h) != VOCO_OK
        || !h.format)
        return false;
    memcpy(v->dim, h.dim, sizeof v->dim);
    memcpy(v->affine, h.affine, sizeof v->affine);
    return voco_transform_plan(v, &w->choice.transform, dim, mm, reading) == VOCO_OK;
}

static void
measure(void *work, const struct voco_input_entry *in, struct voco_predict_need *ret)
{
    const struct work *w = work;
    const struct voco_model_config *m = &w->choice.model;
    struct voco_predict_options o = w->choice.windows;
    struct voco_volume v = { .voxel = NULL };
    int64_t dim[3];
    double reading = 0;

    o.batch = (int)w->s->batch;         /* at most: the plan comes later */
    if (!grids(w, in, &v, dim, &reading))
        return;
    ret->windows = voco_predict_windows(&o, dim);
    ret->bytes = voco_predict_bytes(&o, (int)m->in_channels, (int)m->classes,
                                    w->s->probabilities, reading, v.dim, dim);
}

static void
plan(void *work, struct voco_plan_job *ret)
{
    struct work *w = work;
    const int64_t *roi = w->choice.windows.roi;

    w->request = (struct voco_segment_request){ .model = w->choice.model,
                                                .n = (int)w->s->batch,
                                                .size = { roi[0], roi[1], roi[2] } };
    voco_segment_job(&w->request, ret);
}

/* OUTPUT/ID.nii.gz, and unless they are not wanted, the probabilities.  Free both. */
static void
name_results(const struct work *w, const char *id, char **labels, char **probabilities)
{
    const char *output = w->s->predict.output;

    *labels = voco_format("%s/%s.nii.gz", output, id);
    *probabilities = w->s->probabilities ? voco_format("%s/%s_prob.nii.gz", output, id)
                                         : NULL;
}

static bool
is_done(void *work, const char *id)
{
    char *labels, *probabilities;
    bool done;

    name_results(work, id, &labels, &probabilities);
    done = voco_file_exists(labels) && (!probabilities || voco_file_exists(probabilities));
    free(labels);
    free(probabilities);
    return done;
}

static enum voco_err
predict(void *work, const struct voco_predict_network *net,
        const struct voco_input_entry *in)
{
    const struct work *w = work;
    struct voco_predictor p = {
        .ctx = net->ctx, .model = net->model, .o = w->choice.windows,
        .progress = net->progress, .user = net->user,
    };
    struct voco_predict_image image;
    char *labels, *probabilities;
    enum voco_err err;

    p.o.batch = net->batch;
    name_results(w, in->id, &labels, &probabilities);
    err = voco_predict_read(in, &w->choice.transform, (int)w->choice.model.in_channels,
                            w->choice.orientation, &image);
    if (err == VOCO_OK)
        err = voco_predict_run(&p, &image, labels, probabilities);
    voco_predict_image_free(&image);
    free(labels);
    free(probabilities);
    return err;
}

/* ---- the row ---- */

const struct voco_task voco_task_segment = {
    .name = "seg", .objective = &voco_objective_segment,
    .score = { .name = "dice", .word = "Dice" }, .describe = describe,
    .validate_bytes = voco_dice_bytes, .open_tally = voco_dice_open,
    .close_tally = voco_dice_close, .evaluate = voco_dice_evaluate,
    .total = voco_dice_total,
    .prepare = prepare, .release = release, .measure = measure, .plan = plan,
    .is_done = is_done, .predict = predict,
};
