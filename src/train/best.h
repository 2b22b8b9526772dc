/*
 * The best weights of a run by the score of its validation: best.safetensors, and
 * best.json that says how good they are.
 */
#ifndef VOCO_TRAIN_BEST_H
#define VOCO_TRAIN_BEST_H

#include <jansson.h>

#include "model/weights.h"

/* The score of a validation. */
struct voco_score_name {
    const char *name;           /* "dice": in best.json, and as val_dice in metrics.jsonl */
    const char *word;           /* "Dice": for people */
    bool less_is_better;
};

struct voco_best {
    const struct voco_score_name *name;
    double score;               /* NaN: none yet */
    int64_t step;
};

/* The best that RUN has from the part of it that is done, step included; the steps after
 * that will be done again.  A file that is missing or damaged counts as none. */
struct voco_best voco_best_read(const struct voco_score_name *name, const char *run,
                                int64_t step);

/* Is this score better than the best? */
bool voco_best_beaten(const struct voco_best *best, double score);

/* Writes both files; the weights are those of ctx and model now.  more: further members of
 * best.json, released; may be NULL. */
enum voco_err voco_best_keep(struct voco_best *best, const char *run, double score,
                             int64_t step, struct voco_ctx *ctx,
                             const struct voco_model *model, json_t *more);

#endif
