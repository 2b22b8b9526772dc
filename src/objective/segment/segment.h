/*
 * Segmentation with a model that has classes: logits of windows, and the gradient of a
 * batch, with their memory.
 *
 * Host arrays are [n][x][y][z][channels] on the volume's axes, whatever the network's are,
 * with sizes that are multiples of voco_model_multiple.
 */
#ifndef VOCO_OBJECTIVE_SEGMENT_SEGMENT_H
#define VOCO_OBJECTIVE_SEGMENT_SEGMENT_H

#include <signal.h>

#include "train/plan.h"

/* out[n][x][y][z][classes]: the logits of n windows, all at once. */
enum voco_err voco_segment_logits(struct voco_ctx *ctx, const struct voco_model *model,
                                  const float *windows, int n, const int64_t size[3],
                                  float *out);

struct voco_segment_batch {
    const float *image;         /* [n][x][y][z][in_channels] */
    const uint8_t *label;       /* [n][x][y][z], below classes; NULL: as the teacher predicts */
    double threshold;           /* of the teacher: a voxel whose class is less probable does
                                 * not count */
    int n;
    int64_t size[3];
    const volatile sig_atomic_t *stop;  /* asked between micro-batches: set, VOCO_ESTOPPED;
                                         * may be NULL */
};

struct voco_segment_result {
    double loss, dice, ce;      /* weighted means over the outputs that count */
    double counted;             /* share of the voxels that count */
};

/* Loss of a batch, whose gradient is added to model->grad, group items at a time.  The loss
 * is the mean over items, so the micro-batches change the order of summation only. */
enum voco_err voco_segment_gradient(struct voco_ctx *ctx, struct voco_model *model,
                                    const struct voco_dicece *o,
                                    const struct voco_segment_batch *batch, int group,
                                    struct voco_segment_result *ret);

/* The loss alone. */
enum voco_err voco_segment_loss(struct voco_ctx *ctx, const struct voco_model *model,
                                const struct voco_dicece *o,
                                const struct voco_segment_batch *batch, int group,
                                struct voco_segment_result *ret);

/* ---- memory ---- */

struct voco_segment_request {
    struct voco_model_config model;
    bool training, frozen;      /* frozen: voco_segnet_set_frozen */
    bool taught;                /* a second batch follows, which the teacher labels */
    int n;                      /* items of a batch */
    int64_t size[3];
    int threads;
    uint64_t memory;            /* bytes that may be used; 0: no limit */
    const struct voco_choices *choices; /* of the device, as in voco_ctx_options */
    struct voco_uses *uses;     /* NULL, or gets the shapes that a batch calls */
};

/* The planner's job of a request, which must outlive it. */
void voco_segment_job(const struct voco_segment_request *request, struct voco_plan_job *ret);

/* The largest micro-batch of up to 4 items that fits, rather than recomputing.
 * VOCO_EMEMORY with the numbers when a single item does not fit; ret is filled still. */
enum voco_err voco_segment_plan(const struct voco_device *dev,
                                const struct voco_segment_request *request,
                                struct voco_plan *ret);

#endif
