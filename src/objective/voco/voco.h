/*
 * Pre-training with VoCo: contrast between random crops of a volume and its base crops.
 *
 * The recipe is that of the paper and its published code (doc/model.md).
 */
#ifndef VOCO_OBJECTIVE_VOCO_VOCO_H
#define VOCO_OBJECTIVE_VOCO_VOCO_H

#include "objective/pretrain/common.h"
#include "objective/voco/batch.h"
#include "objective/voco/step.h"
#include "train/run.h"

struct voco_pretrain_config {
    struct voco_pretrain_common common;
    int64_t sw;
    bool augment;
    double momentum, drop;
    int64_t shards;                 /* parts of the batch with statistics of their own */
    int teacher, inter, reg;        /* 0: without; 1 */
    const char *grid;               /* base crops: "3x3x1" */
    int positions;                  /* enum voco_positions */
    int64_t roi;                    /* edge of a crop for the network, in voxels ... */
    int64_t crop;                   /* ... in voxels of the store; 0: as published ... */
    double crop_mm;                 /* ... in millimetres; 0: that of crop */
    struct voco_contrast_size size; /* of a batch; prepare sets it */
};

/* Whether random crops move in a plane or along z, too. */
enum voco_positions { VOCO_POSITIONS_2D, VOCO_POSITIONS_3D };

/* The parts of a published form that are no settings. */
struct voco_variant {
    enum voco_form form;
    int64_t width;                  /* of all layers of the projector */
    enum voco_head_norm norm;       /* of the projector */
    bool teacher_backbone;          /* the teacher has one of its own */
    bool last;                      /* struct voco_tiling */
    int crop;                       /* edge in voxels of the store; 0: roi */
    double shift;                   /* probability of a shift of intensities */
};

enum { VOCO_ROI = 64 };             /* as published */

/* The published Base model. */
#define VOCO_PRETRAIN_DEFAULTS VOCO_CONTRAST_DEFAULTS(VOCO_PRETRAIN_VOCO)
#define VOCO_CONTRAST_DEFAULTS(which) {                                                 \
    .common = VOCO_PRETRAIN_COMMON(which), .sw = 2, .augment = true,       \
    .momentum = 0.9, .drop = 0.2, .shards = 1, .teacher = 1, .inter = 1, .reg = 1,      \
    .grid = "3x3x1", .roi = VOCO_ROI,                                                   \
    .size = { .volumes = 4, .sw = 2, .bases = 9, .roi = VOCO_ROI } }

extern const struct voco_objective voco_objective_voco, voco_objective_voco_cvpr,
                                   voco_objective_voco_nnssl;

/* ---- settings (options.c) ---- */

/* The tables of settings of the objectives. */
extern const struct voco_opt voco_pretrain_options[], voco_cvpr_options[],
                             voco_nnssl_options[];
extern const struct voco_pretrain_config voco_cvpr_defaults, voco_nnssl_defaults;

const struct voco_variant *voco_variant_of(const struct voco_pretrain_config *c);

/* VOCO_EUSAGE: settings that are missing or contradict each other. */
enum voco_err voco_contrast_check(const void *config);

/* The geometry of settings that were checked. */
struct voco_tiling voco_contrast_tiling(const struct voco_pretrain_config *c);

/* ---- the objective ---- */

/* The model of these settings. */
struct voco_model_config voco_pretrain_model(const struct voco_pretrain_config *c);

/* The planner's job of a step with these settings, for verbs without a run. */
void voco_pretrain_plan(const void *config, const struct voco_model_config *model,
                        struct voco_plan_job *ret);

/* Time of a step with crops of roi^3, from a micro-batch that is run forward and backward
 * twice, the second time on the clock. */
struct voco_probe {
    int group, threads;
    double group_s, step_s;     /* step_s: extrapolated, recomputation included */
    struct voco_peak peak;
};

enum voco_err voco_pretrain_probe(const struct voco_device *dev, const struct voco_plan *plan,
                                  const struct voco_model_config *config, int roi,
                                  const struct voco_ctx_options *open,
                                  struct voco_probe *ret);

#endif
