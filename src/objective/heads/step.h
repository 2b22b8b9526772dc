/*
 * The gradient of Swin UNETR's pre-training for a batch of crops, two views of each:
 *
 *   views: turn every crop, cut boxes out                        input; target: turned, uncut
 *   deepest map of every view, in micro-batches; logits of the turn, contrast vectors; the
 *     activations of the last micro-batches are kept
 *   rotation       cross-entropy of the turns, mean over all views
 *   contrast       NT-Xent of the vectors, temperature 0.5, mean over all views
 *   reconstruction mean of |image - target| over all voxels of all views: decoder, loss and
 *     the whole backward pass, one micro-batch after the other, recomputing activations of
 *     the encoder that were not kept
 *
 * NT-Xent alone couples views: it takes two passes over the micro-batches, and the gradient
 * is that of the joint batch up to the order of summation.  The loss is the sum of the three.
 *
 * A shard is a part of the batch whose contrast and donors (view.h) stay within it, as
 * within one process of the published training.  Rows of vectors lie shard by shard, in each
 * the first view of all crops, then the second.
 */
#ifndef VOCO_OBJECTIVE_HEADS_STEP_H
#define VOCO_OBJECTIVE_HEADS_STEP_H

#include <signal.h>

#include "objective/heads/cutview.h"
#include "train/plan.h"

enum { VOCO_TERM_ROTATION, VOCO_TERM_CONTRAST, VOCO_TERM_RECONSTRUCTION, VOCO_HEADS_TERMS };

/* Of the deepest map, whose sides are 1/32 of the crop's: the heads read two tokens. */
enum { VOCO_HEADS_MULTIPLE = 32, VOCO_HEADS_ROI_MIN = 64 };

struct voco_heads_deepest;

struct voco_heads_step {
    struct voco_ctx *ctx;
    struct voco_model *model;   /* with swinheads */
    int crops, roi, shards;
    struct voco_grouping grouping;
    struct voco_arena memory;   /* of the tensors below */
    struct voco_tensor x;                               /* [crops,roi,roi,roi,1] */
    struct voco_tensor input;                           /* [rows,roi,roi,roi,1] */
    struct voco_tensor noise;                           /* [1,roi,roi,roi,1] */
    struct voco_tensor logits, dlogits;                 /* [rows,4] */
    struct voco_tensor vectors, dvectors;               /* [rows,512] */
    struct voco_tensor turn, partner, counts;           /* [rows] */
    struct voco_tensor terms;                           /* [3] */
    float *host_noise, *host_rows;                      /* [roi^3], [rows] */
    struct voco_heads_deepest *saved;                   /* one per kept micro-batch */
    const struct voco_cutview *views;                      /* of the gradient at hand */
    const volatile sig_atomic_t *stop;
    double forward_s, backward_s;                       /* of the last gradient */
};

/* A batch as the host has it. */
struct voco_heads_input {
    const float *x;                 /* [crops][roi^3] */
    const struct voco_cutview *views;  /* [2][crops], view-major */
};

/* Allocates.  shards is a divisor of crops, roi a multiple of 32, 64 or more.  Free with
 * voco_heads_step_free. */
enum voco_err voco_heads_step_init(struct voco_heads_step *step, struct voco_ctx *ctx,
                                   struct voco_model *model, int crops, int roi, int shards,
                                   struct voco_grouping grouping);
void voco_heads_step_free(struct voco_heads_step *step);        /* accepts {0} */

/* Views of a batch: two of each crop. */
int voco_heads_rows(const struct voco_heads_step *step);

/* Adds the gradient of a batch to model->grad and gives the terms.  When *stop is set, which
 * may be NULL, the step is abandoned at the next micro-batch: VOCO_ESTOPPED. */
enum voco_err voco_heads_gradient(struct voco_heads_step *step,
                                  const struct voco_heads_input *in,
                                  const volatile sig_atomic_t *stop,
                                  double ret_term[VOCO_HEADS_TERMS]);

/* Share of the views of the last gradient, which are still there, whose turn has the greatest
 * logit. */
double voco_heads_rotation_accuracy(struct voco_heads_step *step);

/* A host copy of the contrast vectors of the last gradient, [rows][512]. */
void voco_heads_vectors(struct voco_heads_step *step, float *out);

/* Without a gradient: input, target and reconstruction of one view of a crop, host arrays of
 * roi^3 each, and the turn that is predicted. */
enum voco_err voco_heads_reconstruct(struct voco_heads_step *step,
                                     const struct voco_heads_input *in, int view, int crop,
                                     float *input, float *target, float *image,
                                     int *ret_turns);

#endif
