/*
 * Validation of a run: when, on which volumes, and keeping the weights that score best.
 */
#ifndef VOCO_TRAIN_VALIDATE_H
#define VOCO_TRAIN_VALIDATE_H

#include "train/run.h"

/* Does the run validate after so many steps? */
bool voco_validation_due(const struct voco_run *r, int64_t step);

/* The score of the run's task after so many steps, into the record; weights that are better
 * than all before are kept. */
enum voco_err voco_validate(struct voco_run *r, int64_t step);

#endif
