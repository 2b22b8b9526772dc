/* Validation: windows over whole volumes, and the Dice of what comes out. */
#include "task/segment/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "eval/score.h"
#include "objective/segment/segment.h"
#include "task/sliding.h"

/* Voxels of a class: predicted, true, both. */
struct count {
    int64_t predicted, truth, both;
};

struct job {
    const struct voco_validation *v;
    const struct voco_seg_volume *volume;
    int classes;
    struct count count[VOCO_VALIDATE_CLASSES];
};

static struct voco_sliding
sliding(const struct voco_validation *v, int channels, const int64_t dim[3])
{
    return (struct voco_sliding){
        .channels = channels, .dim = { dim[0], dim[1], dim[2] },
        .classes = (int)v->model->config.classes,
        .roi = { v->roi[0], v->roi[1], v->roi[2] }, .overlap = v->overlap,
        .blend = VOCO_BLEND_CONSTANT, .batch = v->batch,
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
    const struct voco_validation *v = ((struct job *)user)->v;

    return voco_segment_logits(v->ctx, v->model, windows, n, v->roi, logits);
}

static int
stop(void *user, int64_t done, int64_t total)
{
    const struct voco_validation *v = ((struct job *)user)->v;

    (void)done;
    (void)total;
    return v->stop && *v->stop;
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
    struct voco_sliding s = sliding(j->v, j->volume->channels, j->volume->dim);
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

enum voco_err
voco_validate(const struct voco_validation *v, struct voco_validation_result *ret)
{
    const int classes = (int)v->model->config.classes;
    const double start_s = voco_seconds();
    double sum[VOCO_VALIDATE_CLASSES] = { 0 }, all = 0;
    int n[VOCO_VALIDATE_CLASSES] = { 0 }, with = 0;
    struct voco_store_scratch scratch = { 0 };
    enum voco_err err = VOCO_OK;

    VOCO_ASSERT(classes <= VOCO_VALIDATE_CLASSES);
    for (int i = 0; i < v->n && err == VOCO_OK; i++) {
        struct voco_seg_volume volume = { 0 };
        struct job j = { .v = v, .volume = &volume, .classes = classes };

        err = voco_seg_volume_read(v->store, v->volume[i], classes, &scratch, &volume);
        if (err == VOCO_OK)
            err = run_volume(&j);
        for (int c = 1; c < classes && err == VOCO_OK; c++)
            if (j.count[c].truth) {
                sum[c] += voco_dice(j.count[c].truth, j.count[c].predicted,
                                    j.count[c].both);
                n[c]++;
            }
        voco_seg_volume_free(&volume);
    }
    voco_store_scratch_free(&scratch);
    *ret = (struct voco_validation_result){ .seconds = voco_seconds() - start_s };
    for (int c = 0; c < VOCO_VALIDATE_CLASSES; c++) {
        ret->class_dice[c] = n[c] ? sum[c] / n[c] : NAN;
        all += n[c] ? ret->class_dice[c] : 0;
        with += n[c] > 0;
    }
    ret->dice = with ? all / with : NAN;
    return err;
}

double
voco_validate_bytes(const struct voco_validation *v, const int64_t dim[3])
{
    const int channels = (int)v->model->config.in_channels;
    const struct voco_sliding s = sliding(v, channels, dim);
    const double voxels = (double)dim[0] * (double)dim[1] * (double)dim[2];

    return voco_sliding_bytes(&s) + voxels * (4.0 * channels * (channels > 1 ? 2 : 1) + 1);
}
