/*
 * The gradient of one step, of any objective: followers move, gradients are zeroed, the
 * objective adds its own, ranks add up, and the norm is taken.
 */
#ifndef VOCO_TRAIN_GRADIENT_H
#define VOCO_TRAIN_GRADIENT_H

#include "train/comm.h"
#include "train/objective.h"

struct voco_gradient {
    double term[VOCO_TERMS_MAX];
    double loss, norm;
    bool finite;                /* the loss and the norm are numbers */
};

/* Into model->grad.  VOCO_ESTOPPED: *stop was set, and the parameters are as before. */
enum voco_err voco_take_gradient(const struct voco_objective *objective, void *work,
                                 struct voco_ctx *ctx, struct voco_model *model,
                                 const struct voco_comm *comm,
                                 const struct voco_batch_head *const batch[],
                                 const volatile sig_atomic_t *stop,
                                 struct voco_gradient *ret);

#endif
