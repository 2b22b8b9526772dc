/*
 * Dice of a model on whole volumes of a labelled store, by sliding windows.
 *
 * In the space of the store, as the published recipes have it: a class that a volume does
 * not contain is left out of that volume's mean; background never counts.  voco eval
 * measures in the space of the images.
 */
#ifndef VOCO_TASK_SEGMENT_VALIDATE_H
#define VOCO_TASK_SEGMENT_VALIDATE_H

#include <signal.h>

#include "objective/segment/batch.h"
#include "model/model.h"

struct voco_validation {
    struct voco_ctx *ctx;
    const struct voco_model *model;
    const struct voco_store *store;
    const int *volume;              /* [n] indices in the store */
    int n;
    int64_t roi[3];
    double overlap;
    int batch;                      /* windows at once */
    /* Asked between windows: not 0 stops with VOCO_ESTOPPED.  May be NULL. */
    const volatile sig_atomic_t *stop;
};

enum { VOCO_VALIDATE_CLASSES = 256 };

struct voco_validation_result {
    double dice;                    /* mean over classes of their means; NaN: no label */
    double class_dice[VOCO_VALIDATE_CLASSES];       /* [0] is not used; NaN: never there */
    double seconds;
};

enum voco_err voco_validate(const struct voco_validation *v,
                            struct voco_validation_result *ret);

/* Bytes that validating a volume of this size holds beside the network's. */
double voco_validate_bytes(const struct voco_validation *v, const int64_t dim[3]);

#endif
