/*
 * The gradient of VoCo for a batch, between the two phases of objective/embed/embed.h:
 *
 *   student head on row-dropped embeddings, teacher head on all, or on those of its own
 *   backbone, where the model has a teacher (voco_teacher_config)
 *   losses and their gradient, back to the embeddings; shard by shard
 *
 * A shard is a part of the batch with statistics and pairs of its own: the batch norms of
 * the heads and the inter-volume term stay within it, as within one process of the
 * published training; the gradient is the mean over shards.  Rows of embeddings lie shard
 * by shard, in each the random crops first, both volume-major.
 */
#ifndef VOCO_OBJECTIVE_VOCO_STEP_H
#define VOCO_OBJECTIVE_VOCO_STEP_H

#include "objective/embed/embed.h"
#include "objective/voco/contrast.h"

/* Of a batch: volumes, random crops and base crops of each, edge of a crop. */
struct voco_contrast_size {
    int volumes, sw, bases, roi;
};

struct voco_step {
    struct voco_ctx *ctx;
    struct voco_model *model;
    struct voco_contrast_size size;
    /* init sets these; change them before the first gradient */
    double drop;                /* share of rows dropped for the student; 0.2 */
    int shards;                 /* a divisor of volumes; 1 */
    enum voco_form form;        /* VOCO_FORM_VOCO; others have no inter term */
    bool inter, reg;            /* terms of the loss; true.  inter needs a teacher head */
    struct voco_arena memory;   /* of all tensors */
    struct voco_embedding embed;                        /* of the crops, in the order of rows */
    struct voco_tensor dropped;                         /* [crops, 24f] */
    struct voco_tensor guide;                           /* the same, by the teacher's backbone */
    struct voco_tensor student, teacher, dstudent;      /* [crops, out] */
    struct voco_tensor labels, predicted;               /* [volumes*sw, bases] */
    struct voco_tensor factor;                          /* [crops] */
    struct voco_tensor terms;                           /* [3] */
    float *row_factor;                                  /* [crops] of the host */
    double forward_s, backward_s;                       /* of the last gradient */
};

/* A batch as the host has it; row-major, volume-major, random crops before bases. */
struct voco_step_input {
    const float *img;           /* [volumes*sw][roi^3] */
    const float *crops;         /* [volumes*bases][roi^3] */
    const float *labels;        /* [volumes*sw][bases] */
    const unsigned char *keep;  /* [crops]: 0 drops the row for the student */
};

/* Allocates.  Free with voco_step_free.  A model without a teacher head: see
 * voco_contrast. */
enum voco_err voco_step_init(struct voco_step *step, struct voco_ctx *ctx,
                             struct voco_model *model,
                             const struct voco_contrast_size *size,
                             struct voco_grouping grouping);
void voco_step_free(struct voco_step *step);        /* accepts {0} */

int voco_step_crops(const struct voco_step *step);

/* Adds the gradient of a batch to model->grad and gives the terms.  The teacher is as it
 * is: it has moved before (voco_model_follow).  When *stop is set, which may be NULL, the
 * step is abandoned at the next micro-batch: VOCO_ESTOPPED. */
enum voco_err voco_step_gradient(struct voco_step *step, const struct voco_step_input *in,
                                 const volatile sig_atomic_t *stop,
                                 double ret_term[VOCO_CONTRAST_TERMS]);

/* Position weights and embeddings without learning: no dropped rows, no gradient, the
 * teacher stays. */
enum voco_err voco_step_predict(struct voco_step *step, const struct voco_step_input *in);

/* Host copies: [crops][24f] in the order of the rows, and [volumes*sw][bases]. */
void voco_step_embeddings(struct voco_step *step, float *out);
void voco_step_predicted(struct voco_step *step, float *out);

#endif
