/*
 * Which cases train and which validate: a pure function of their ids and a seed.
 *
 * The ids are put into an order that the seed shuffles; fold f validates on every folds-th
 * of them, from f on, and trains on the others.  Neither the order in which the ids come
 * nor the machine matters.  Of the training cases a fraction stays: those that come first
 * in another shuffled order, so that a smaller fraction is part of a larger one.
 */
#ifndef VOCO_DATA_DATASET_SPLIT_H
#define VOCO_DATA_DATASET_SPLIT_H

#include <stdint.h>

#include "base/err.h"

struct voco_split_options {
    uint64_t seed;
    int folds;              /* 1: all cases train and none validates */
    int fold;               /* 0 to folds - 1 */
    double fraction;        /* of the training cases, in (0,1]; rounded, at least one */
};

/* Indices into id[0..n), ascending.  Owned by the caller: voco_split_free. */
struct voco_split {
    int *train, *validate;
    int n_train, n_validate;
};

enum voco_err voco_split_make(const char *const *id, int n,
                              const struct voco_split_options *o, struct voco_split *ret);
void voco_split_free(struct voco_split *s);         /* accepts {0} */

#endif
