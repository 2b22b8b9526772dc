/*
 * The memory planner: how the items of a step are cut into micro-batches and which
 * activations are recomputed, so that the step fits into the memory that is allowed.
 *
 * Memory is found by running the real code dry: over arenas that nobody may touch, on a
 * device that computes nothing (dev/wrap/dry.h).
 */
#ifndef VOCO_TRAIN_PLAN_H
#define VOCO_TRAIN_PLAN_H

#include "dev/shape.h"
#include "model/model.h"

/* Micro-batches of a step: gradients accumulate over them. */
struct voco_grouping {
    int group;                  /* items in a micro-batch */
    int kept;                   /* micro-batches whose activations stay for backward, >= 1 */
    int lean;                   /* of these, the first: stored in part */
    bool again;                 /* activations inside blocks are recomputed */
};

/* The work to be planned. */
struct voco_plan_job {
    const void *user;
    const char *name;           /* for errors: "a step with feature size 48" ... */
    const char *advice;         /* ... and the option to lower instead: "--batch" */
    struct voco_model_config model;
    bool training;              /* gradients and moments, too */
    int items;                  /* crops or windows of a step */
    int early_items;            /* of the first steps, which have less; 0: all are alike */
    bool early;                 /* rehearse one of these; the planner sets it */
    uint64_t batches;           /* bytes of data that are held besides the network's */
    uint64_t program;           /* of code, libraries, threads */

    /* Ladders of choices, the preferred ladder first.  On a ladder each choice takes less
     * memory and more time than the one before.  choices: how many ladder k has; 0: there
     * is no such ladder. */
    int (*choices)(const struct voco_plan_job *job, int k);
    struct voco_grouping (*choice)(const struct voco_plan_job *job, int k, int i);

    /* One step in a planning context; adds to *bytes the memory outside the arenas. */
    enum voco_err (*rehearse)(const struct voco_plan_job *job, struct voco_ctx *ctx,
                              struct voco_model *model, const struct voco_grouping *grouping,
                              uint64_t *bytes);
};

struct voco_plan {
    int items;                  /* of a step */
    struct voco_grouping grouping;
    int groups;                 /* micro-batches */
    int64_t parameters, trained;
    uint64_t slabs;             /* parameters, gradients, moments, and the objective's own */
    uint64_t kept, gradients, scratch;      /* the three arenas */
    uint64_t packed;            /* prepacked weights */
    uint64_t batches;           /* data */
    uint64_t total;
    double flops;               /* of a step as direct arithmetic, recomputation apart */
    double flops_again;         /* spent on recomputing */
    int early_items;            /* of steps with less work ... */
    double early_flops;         /* ... and their operations; 0: all steps are alike */
};

/* The first choice that fits into memory bytes (0: no limit), on the first ladder that has
 * one, for a context that would be opened with these threads and choices.  uses: NULL, or
 * gets the shapes that the step calls.  VOCO_EMEMORY with the numbers when nothing fits;
 * ret then holds the smallest. */
enum voco_err voco_plan_make(const struct voco_device *dev, const struct voco_plan_job *job,
                             const struct voco_ctx_options *open, uint64_t memory,
                             struct voco_uses *uses, struct voco_plan *ret);

/* A number of micro-batches of at most `most` items, halved down to 1: ladders of those who
 * have no other choice.  choices: their number; choice i: its items. */
int voco_plan_halvings(int most);
int voco_plan_halved(int most, int i);

/* Half of the memory that this process may use. */
uint64_t voco_plan_default_memory(void);

#endif
