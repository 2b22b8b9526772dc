/* Validation: windows over whole volumes, and the Dice of the predictions. */
#include "task/segment/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stop.h"
#include "eval/score.h"
#include "objective/segment/finetune.h"
#include "task/sliding.h"

enum { CLASSES = 256 };

struct tally {
    struct voco_ctx *ctx;
    const struct voco_model *model;
    const struct voco_finetune_config *config;
    const struct voco_labelled *data;
    int batch;                  /* windows at once */
    struct voco_store_scratch scratch;
    double sum[CLASSES];        /* of a class over the volumes that contain it: Dice ... */
    int n[CLASSES];             /* ... and how many they are; class 0 is not used */
};

/* Voxels of a class: predicted, true, both. */
struct count {
    int64_t predicted, truth, both;
};

/* A volume. */
struct job {
    const struct tally *t;
    const struct voco_seg_volume *volume;
    int classes;
    struct count count[CLASSES];
};

static struct voco_sliding
sliding(const struct voco_finetune_config *c, const struct voco_model_config *model,
        int batch, const int64_t dim[3])
{
    const int64_t *roi = c->request.size;

    return (struct voco_sliding){
        .channels = (int)model->in_channels, .dim = { dim[0], dim[1], dim[2] },
        .classes = (int)model->classes, .roi = { roi[0], roi[1], roi[2] },
        .overlap = c->val_overlap, .blend = VOCO_BLEND_CONSTANT, .batch = batch,
    };
}

static enum voco_err
count_plane(void *user, const struct voco_plane *p)
{
    struct job *j = user;
    const int64_t *dim = j->volume->dim;

    for (int64_t i = 0; i < p->n[0]; i++)
        for (int64_t k = 0; k < p->n[1]; k++) {
            const float *logits = p->logits + (i * p->stride + k) * j->classes;
            const int guess = voco_largest_logit(logits, j->classes);
            const int truth = j->volume->label[voco_plane_voxel(p->axis, p->index, i, k,
                                                                dim)];

            j->count[guess].predicted++;
            j->count[truth].truth++;
            if (guess == truth)
                j->count[guess].both++;
        }
    return VOCO_OK;
}

static enum voco_err
infer(void *user, const float *windows, int n, float *logits)
{
    const struct tally *t = ((struct job *)user)->t;

    return voco_segment_logits(t->ctx, t->model, windows, n, t->config->request.size,
                               logits);
}

static int
stop(void *user, int64_t done, int64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return voco_stop_signal != 0;
}

/* A plane of memory for each channel: [channels][x][y][z] of [x][y][z][channels]. */
static enum voco_err
split_channels(const struct voco_seg_volume *s, float **ret, const float *channel[])
{
    const int64_t n = s->dim[0] * s->dim[1] * s->dim[2];
    float *planes = NULL;

    *ret = NULL;
    channel[0] = s->image;
    if (s->channels == 1)
        return VOCO_OK;
    planes = malloc((size_t)(n * s->channels) * sizeof *planes);
    if (!planes)
        return voco_fail(VOCO_EMEMORY, "no memory for a volume of %d channels", s->channels);
    for (int c = 0; c < s->channels; c++) {
        for (int64_t i = 0; i < n; i++)
            planes[c * n + i] = s->image[i * s->channels + c];
        channel[c] = planes + c * n;
    }
    *ret = planes;
    return VOCO_OK;
}

static enum voco_err
run_volume(struct job *j)
{
    const float **channel = calloc((size_t)j->volume->channels, sizeof *channel);
    struct voco_sliding s = sliding(j->t->config, &j->t->model->config, j->t->batch,
                                    j->volume->dim);
    float *planes = NULL;
    enum voco_err err;

    VOCO_NEED(channel);
    if ((err = split_channels(j->volume, &planes, channel)) == VOCO_OK) {
        s.channel = channel;
        s.infer = infer;
        s.plane = count_plane;
        s.progress = stop;
        s.user = j;
        err = voco_sliding_run(&s);
    }
    free(planes);
    free(channel);
    return err;
}

/* ---- the tally ---- */

double
voco_dice_bytes(const void *config, void *data, const struct voco_model_config *model)
{
    const struct voco_labelled *d = data;
    const int64_t channels = model->in_channels;
    double most = 0;

    for (int i = 0; i < d->split.n_validate; i++) {
        const int64_t *dim = voco_store_entry(d->store, d->split.validate[i])->dim;
        const struct voco_sliding s = sliding(config, model, 1, dim);
        const double voxels = (double)dim[0] * (double)dim[1] * (double)dim[2];

        most = fmax(most, voco_sliding_bytes(&s)
                    + voxels * (4.0 * (double)channels * (channels > 1 ? 2 : 1) + 1));
    }
    return most;
}

enum voco_err
voco_dice_open(const struct voco_run *run, void **tally)
{
    struct tally *t = calloc(1, sizeof *t);

    VOCO_NEED(t);
    VOCO_ASSERT(run->model.config.classes <= CLASSES);
    t->ctx = (struct voco_ctx *)&run->ctx;
    t->model = &run->model;
    t->config = (const void *)run->config;
    t->data = run->data;
    t->batch = run->plan.grouping.group;
    *tally = t;
    return VOCO_OK;
}

void
voco_dice_close(void *tally)
{
    struct tally *t = tally;

    if (t)
        voco_store_scratch_free(&t->scratch);
    free(t);
}

enum voco_err
voco_dice_evaluate(void *tally, int i)
{
    struct tally *t = tally;
    struct voco_seg_volume volume = { 0 };
    struct job j = { .t = t, .volume = &volume, .classes = (int)t->model->config.classes };
    enum voco_err err = voco_seg_volume_read(t->data->store, t->data->split.validate[i],
                                             j.classes, &t->scratch, &volume);

    if (err == VOCO_OK)
        err = run_volume(&j);
    for (int c = 1; c < j.classes && err == VOCO_OK; c++)
        if (j.count[c].truth) {
            t->sum[c] += voco_dice(j.count[c].truth, j.count[c].predicted, j.count[c].both);
            t->n[c]++;
        }
    voco_seg_volume_free(&volume);
    return err;
}

void
voco_dice_total(void *tally, struct voco_record *record, struct voco_task_score *ret)
{
    const struct tally *t = tally;
    const int classes = (int)t->model->config.classes;
    json_t *list = json_array();
    double all = 0;
    int with = 0;

    for (int c = 1; c < classes; c++) {
        const double dice = t->n[c] ? t->sum[c] / t->n[c] : NAN;

        all += t->n[c] ? dice : 0;
        with += t->n[c] > 0;
        json_array_append_new(list, t->n[c] ? json_real(dice) : json_null());
    }
    ret->value = with ? all / with : NAN;
    ret->more = json_pack("{s:o}", "class_dice", list);
    voco_record_add(record, ret->value, "val_dice");
    voco_record_add(record, ret->seconds, "val_seconds");
    for (int c = 1; c < classes; c++)
        if (t->n[c])
            voco_record_add(record, t->sum[c] / t->n[c], "val_dice_%d", c);
}
