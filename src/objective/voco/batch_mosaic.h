/*
 * A picture of the model's predictions for a batch: base crops, random crops, and the
 * true and predicted positions of these.
 */
#ifndef VOCO_OBJECTIVE_VOCO_BATCH_MOSAIC_H
#define VOCO_OBJECTIVE_VOCO_BATCH_MOSAIC_H

#include "objective/voco/batch.h"
#include "objective/voco/step.h"

/* The first batch of the loader that o describes, without augmentation if o says so; its
 * first two volumes at the most.  Runs the model on all of it. */
enum voco_err voco_batch_mosaic(const char *path, const char *title,
                                struct voco_store *store,
                                const struct voco_loader_options *o,
                                struct voco_step *step);

#endif
