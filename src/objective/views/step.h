/*
 * The gradient of a contrast between two views of each crop, between the two phases of
 * objective/embed/embed.h:
 *
 *   projector on all embeddings, rows of unit length
 *   within each set: the similarity of every anchor to all rows but itself, over the
 *   temperature; cross-entropy with the other view of its crop; mean over anchors
 *   mean over sets, and the way back
 *
 * A set of n crops has 2n rows, those of view 0 first; rows lie set by set.  Its anchors are
 * all of its rows (NT-Xent), or those of view 0.
 */
#ifndef VOCO_OBJECTIVE_VIEWS_STEP_H
#define VOCO_OBJECTIVE_VIEWS_STEP_H

#include "objective/embed/embed.h"

/* Of a batch.  sets: a divisor of volumes; each has two crops or more. */
struct voco_views_size {
    int volumes, crops, roi, sets;
};

struct voco_views_loss {
    double temperature;
    bool both;                  /* rows of both views are anchors */
};

struct voco_views_step {
    struct voco_ctx *ctx;
    struct voco_model *model;
    struct voco_views_size size;
    struct voco_views_loss loss;
    struct voco_arena memory;   /* of all tensors */
    struct voco_embedding embed;
    struct voco_tensor z, dz;               /* [rows, out], of the projector */
    struct voco_tensor unit, norm;          /* [rows, out], [rows] */
    struct voco_tensor similarity;          /* [1, anchors, 2n] of a set */
    struct voco_tensor anchor;              /* [anchors, out] of a set, and its gradient */
    struct voco_tensor target;              /* [1, anchors] */
    struct voco_tensor count, term;         /* [1] */
    double forward_s, backward_s;           /* of the last gradient */
};

/* Allocates.  model has a projector as its first head.  Free with voco_views_step_free. */
enum voco_err voco_views_step_init(struct voco_views_step *step, struct voco_ctx *ctx,
                                   struct voco_model *model,
                                   const struct voco_views_size *size,
                                   const struct voco_views_loss *loss,
                                   struct voco_grouping grouping);
void voco_views_step_free(struct voco_views_step *step);    /* accepts {0} */

/* Crops of a set, and rows of all sets. */
int voco_views_of_set(const struct voco_views_step *step);
int voco_views_rows(const struct voco_views_step *step);

/* Adds the gradient of views, view[v] [volumes*crops][roi^3] volume-major, to model->grad
 * and gives the loss.  When *stop is set, which may be NULL, the step is abandoned at the
 * next micro-batch: VOCO_ESTOPPED. */
enum voco_err voco_views_gradient(struct voco_views_step *step, float *const view[2],
                                  const volatile sig_atomic_t *stop, double *ret_loss);

/* The loss of rows alone: unit, similarity, term and dz from z. */
void voco_views_losses(struct voco_views_step *step);

#endif
