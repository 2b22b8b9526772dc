/*
 * A picture of what the network sees, of what it should say, and of what it says: the middle
 * slice of some samples, a row each.
 */
#ifndef VOCO_OBJECTIVE_DENSE_PICTURE_H
#define VOCO_OBJECTIVE_DENSE_PICTURE_H

#include "objective/dense/step.h"

/* The first samples of the batch into a PNG file. */
enum voco_err voco_dense_picture(const char *path, const char *title,
                                 const struct voco_dense_step *step,
                                 const struct voco_dense_batch *batch);

#endif
