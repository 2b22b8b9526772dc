/*
 * Embeddings of the crops of a batch and the backbone's gradient, in two phases:
 *
 *   forward     embed every crop, in micro-batches; the activations of the last ones are
 *               kept
 *   backward    the backbone backwards, one micro-batch after the other, recomputing
 *               activations that were not kept
 *
 * Between the two an objective computes its loss on all rows, and dy.  No operation of the
 * backbone couples two crops, so the gradient is that of the joint batch up to the order of
 * summation.
 */
#ifndef VOCO_OBJECTIVE_EMBED_EMBED_H
#define VOCO_OBJECTIVE_EMBED_EMBED_H

#include <signal.h>

#include "train/plan.h"

struct voco_embedding {
    struct voco_ctx *ctx;
    const struct voco_model *model;
    int crops, roi;
    struct voco_grouping grouping;
    const float **crop;                     /* [crops]: roi^3 voxels of the host each */
    struct voco_tensor y, dy;               /* [crops, 24f] */
    struct voco_encoder_saved *saved;       /* one per kept micro-batch */
    const volatile sig_atomic_t *stop;      /* of the forward at hand; may be NULL */
    size_t mark;                            /* of ctx->keep before forward */
};

/* Bytes that init pushes on its arena, at most. */
size_t voco_embedding_bytes(const struct voco_model *model, int crops);

/* y and dy are pushed on memory, which the caller has.  Free with voco_embedding_free, also
 * after a failure. */
enum voco_err voco_embedding_init(struct voco_embedding *e, struct voco_ctx *ctx,
                                  const struct voco_model *model, int crops, int roi,
                                  struct voco_grouping grouping, struct voco_arena *memory);
void voco_embedding_free(struct voco_embedding *e);     /* accepts {0} */

/* crop -> y.  Both phases stop at the next micro-batch when *stop is set, or after an
 * error; end must follow. */
void voco_embedding_forward(struct voco_embedding *e, const volatile sig_atomic_t *stop);
/* dy -> the gradients of the backbone's parameters, which are added to.  keep is as forward
 * left it. */
void voco_embedding_backward(struct voco_embedding *e);
/* Neither an error nor a reason to stop so far. */
bool voco_embedding_goes_on(const struct voco_embedding *e);
/* Releases what forward left on keep.  VOCO_ESTOPPED when the step was abandoned. */
enum voco_err voco_embedding_end(struct voco_embedding *e);

/* crop -> y without a gradient to follow. */
void voco_embedding_only(struct voco_embedding *e);

/* crop -> y [crops, 24f] by the teacher's backbone (voco_teacher_config), without a gradient
 * to follow.  Stops as forward does. */
void voco_embedding_teacher(struct voco_embedding *e, const volatile sig_atomic_t *stop,
                            const struct voco_tensor *y);

/* Times one micro-batch forward and backward, from an artificial gradient.  The gradients
 * of parameters mean nothing afterwards. */
enum voco_err voco_embedding_probe(struct voco_ctx *ctx, const struct voco_model *model,
                                   const float *crops, int n, int roi,
                                   double *ret_forward_s, double *ret_both_s);

/* Embeddings without gradients: crops [n][roi^3] -> out [n][24f], in groups. */
enum voco_err voco_embed(struct voco_ctx *ctx, const struct voco_model *model,
                         const float *crops, int n, int roi, int group, float *out);

/* A host copy, as f32, of x of the device. */
void voco_embed_download(struct voco_ctx *ctx, const struct voco_tensor *x, float *out);

#endif
