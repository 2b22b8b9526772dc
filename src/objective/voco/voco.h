/*
 * Pre-training with VoCo: contrast between random crops of a volume and its base crops.
 *
 * The recipe is that of the paper and its published code (doc/model.md).
 */
#ifndef VOCO_OBJECTIVE_VOCO_VOCO_H
#define VOCO_OBJECTIVE_VOCO_VOCO_H

#include "objective/pretrain/common.h"
#include "objective/voco/batch.h"
#include "train/run.h"

/* Of a batch; a replayed one has sizes of its own. */
struct voco_contrast_size {
    int volumes, sw, roi;
};

struct voco_pretrain_config {
    struct voco_pretrain_common common;
    int64_t sw;
    bool augment;
    double momentum, drop;
    int64_t shards;                 /* parts of the batch with statistics of their own */
    int teacher, inter, reg;        /* 0: without; 1 */
    struct voco_contrast_size size; /* prepare sets it */
};

enum { VOCO_HEAD_WIDTH = 1024, VOCO_CROP_EDGE = 64 };

/* The published Base model. */
#define VOCO_PRETRAIN_DEFAULTS {                                                        \
    .common = VOCO_PRETRAIN_COMMON(VOCO_PRETRAIN_VOCO), .sw = 2, .augment = true,       \
    .momentum = 0.9, .drop = 0.2, .shards = 1, .teacher = 1, .inter = 1, .reg = 1,      \
    .size = { .volumes = 4, .sw = 2, .roi = VOCO_CROP_EDGE } }

extern const struct voco_objective voco_objective_voco;

/* The table of settings of the objective. */
extern const struct voco_opt voco_pretrain_options[];

/* The model of these settings. */
struct voco_model_config voco_pretrain_model(const struct voco_pretrain_config *c);

/* The planner's job of a step with these settings, for verbs without a run. */
void voco_pretrain_plan(const void *config, const struct voco_model_config *model,
                        struct voco_plan_job *ret);

/* Time of a step, from a micro-batch that is run forward and backward twice, the second
 * time on the clock. */
struct voco_probe {
    int group, threads;
    double group_s, step_s;     /* step_s: extrapolated, recomputation included */
    struct voco_peak peak;
};

enum voco_err voco_pretrain_probe(const struct voco_device *dev, const struct voco_plan *plan,
                                  const struct voco_model_config *config,
                                  const struct voco_ctx_options *open,
                                  struct voco_probe *ret);

#endif
