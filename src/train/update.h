/*
 * The update of a step: the gradient is clipped, then AdamW or SGD moves the parameters at
 * their rates.
 */
#ifndef VOCO_TRAIN_UPDATE_H
#define VOCO_TRAIN_UPDATE_H

#include "train/objective.h"
#include "train/rates.h"

/* From model->grad, whose norm is given and which is overwritten where it is clipped.
 * updates: those that were done before. */
enum voco_err voco_update(const struct voco_run_config *c, const struct voco_rates *rates,
                          struct voco_model *model, struct voco_ctx *ctx, double lr,
                          double norm, int64_t updates);

#endif
