/*
 * The gradient of a dense pretext for a batch: micro-batches of crops go through the whole
 * network forward and backward, one after the other, and gradients accumulate.
 */
#ifndef VOCO_OBJECTIVE_DENSE_STEP_H
#define VOCO_OBJECTIVE_DENSE_STEP_H

#include <signal.h>

#include "model/model.h"
#include "objective/dense/pretext.h"

struct voco_dense_step {
    struct voco_ctx *ctx;
    struct voco_model *model;   /* with pretext->outputs classes */
    const struct voco_pretext *pretext;
    const void *config;
    int group;                  /* samples in a micro-batch */
};

/* Adds the gradient of a batch to model->grad and gives the terms.  The loss is a mean over
 * samples, so the micro-batches change the order of summation only.  *stop, which may be
 * NULL, is asked between them: VOCO_ESTOPPED. */
enum voco_err voco_dense_gradient(const struct voco_dense_step *step,
                                  const struct voco_dense_batch *batch,
                                  const volatile sig_atomic_t *stop, double *ret_term);

/* What sample i is made into, and what the network says of it, each [size]. */
enum voco_err voco_dense_answer(const struct voco_dense_step *step,
                                const struct voco_dense_batch *batch, int i, float *x,
                                float *target, float *answer);

#endif
