/*
 * The best weights of a run, by Dice in validation: best.safetensors, and best.json that
 * tells how good they are.
 */
#ifndef VOCO_TASK_SEGMENT_BEST_H
#define VOCO_TASK_SEGMENT_BEST_H

#include "model/seginfo.h"
#include "task/segment/validate.h"

struct voco_best {
    double dice;                /* NaN: none yet */
    int64_t step;
};

/* What RUN has from the part of it that is done, step included; what came later will come
 * again.  A file that is not there, or damaged, is none. */
struct voco_best voco_best_read(const char *run, int64_t step);

/* Is this Dice better than the best? */
bool voco_best_beaten(const struct voco_best *best, double dice);

/* Writes both files; the weights are those of ctx and model now. */
enum voco_err voco_best_keep(struct voco_best *best, const char *run, int64_t step,
                             struct voco_ctx *ctx, const struct voco_model *model,
                             const struct voco_seginfo *info,
                             const struct voco_validation_result *v);

#endif
