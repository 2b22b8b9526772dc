/*
 * What a step will need, found by running it dry: the real composition code over arenas
 * that nobody may touch, on a device that computes nothing.
 */
#ifndef VOCO_OBJECTIVE_VOCO_PLAN_H
#define VOCO_OBJECTIVE_VOCO_PLAN_H

#include "dev/shape.h"
#include "objective/voco/step.h"

struct voco_plan {
    int crops;                  /* of a step */
    struct voco_grouping grouping;
    int groups;
    int64_t parameters, trained;
    uint64_t slabs;             /* weights, gradients, moments */
    uint64_t kept, gradients, scratch;      /* the three arenas */
    uint64_t packed;            /* weights in the order convolutions like */
    uint64_t batches;           /* what the loader holds ready */
    uint64_t total;
    double flops;               /* of a step as direct arithmetic, recomputation apart */
    double flops_again;         /* spent on recomputing */
};

struct voco_plan_request {
    struct voco_model_config model;
    int volumes, sw, roi;
    int threads;
    int group;                  /* crops per group; 0: to be chosen */
    int ahead;                  /* batches the loader keeps ready */
    uint64_t memory;            /* bytes; 0: no limit */
    const struct voco_choices *choices; /* of the device, as in voco_ctx_options */
    struct voco_uses *uses;     /* NULL, or gets the shapes that the step calls */
};

/* The fastest grouping that fits: groups of up to 4 crops, as many of them kept as the
 * memory holds, lean ones before whole ones.  VOCO_EMEMORY with the numbers when not even single crops fit. */
enum voco_err voco_plan_step(const struct voco_device *dev,
                             const struct voco_plan_request *request,
                             struct voco_plan *ret);

/* Time of a step, from a group of crops that is run forward and backward twice, the second
 * time on the clock.  options: as of voco_ctx_open. */
struct voco_probe {
    int group, threads;
    double group_s, step_s;     /* step_s: extrapolated, with what is computed twice */
    double peak;                /* operations per second on registers */
};

enum voco_err voco_plan_probe(const struct voco_device *dev, const struct voco_plan *plan,
                              const struct voco_model_config *config,
                              const struct voco_ctx_options *options,
                              struct voco_probe *ret);

/* Half of the memory that this process may use. */
uint64_t voco_plan_default_memory(void);

#endif
