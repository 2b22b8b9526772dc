/*
 * Objectives that pre-train encoder and decoder together, from images alone:
 *
 *   fusion    Volume Fusion: two crops are blended in boxes; which share of the first does a
 *             voxel have?
 *   mae       masked auto-encoding: blocks of a crop are hidden; what is in them?
 *   genesis   Models Genesis: a crop is shuffled, its intensities mapped, painted over; what
 *             was it before?
 *
 * The recipes are those of the papers and of their published code (doc/model.md).
 */
#ifndef VOCO_OBJECTIVE_DENSE_DENSE_H
#define VOCO_OBJECTIVE_DENSE_DENSE_H

#include "objective/dense/distort.h"
#include "objective/dense/pretext.h"
#include "objective/pretrain/common.h"

/* Of a batch; a replayed one has sizes of its own. */
struct voco_dense_size {
    int n;                      /* samples */
    int64_t size[3];
};

struct voco_dense_config {
    struct voco_pretrain_common common;
    const struct voco_pretext *pretext;
    int64_t crops, roi;         /* of a volume; edge */
    bool augment;               /* as VoCo's crops are */
    struct voco_dense_size size;        /* prepare sets it */
};

struct voco_fusion_config {
    struct voco_dense_config dense;
    int64_t classes;
    double boxes[2];            /* of a sample: fewest and most */
};

enum { VOCO_FILL_ZERO, VOCO_FILL_MEAN };

struct voco_mae_config {
    struct voco_dense_config dense;
    double share;               /* of the blocks, hidden */
    int64_t block;              /* edge */
    int fill;                   /* VOCO_FILL_: what hidden voxels are */
};

struct voco_genesis_config {
    struct voco_dense_config dense;
    double flip, shuffle, curve, paint, inpaint;        /* as in struct voco_distortion */
    int64_t blocks;
};

extern const struct voco_objective voco_objective_fusion, voco_objective_mae,
                                   voco_objective_genesis;

/* ---- for the rows of these objectives ---- */

#define VOCO_DENSE_AT(member) VOCO_AT(struct voco_dense_config, member)

/* Behind VOCO_PRETRAIN_STEP_OPTIONS. */
#define VOCO_DENSE_OPTIONS                                                              \
    { "crops", 0, VOCO_OPT_INT, VOCO_DENSE_AT(crops), "N", "crops of a volume", 1, 256, \
      .role = VOCO_NUMERIC },                                                           \
    { "roi", 0, VOCO_OPT_INT, VOCO_DENSE_AT(roi), "N",                                  \
      "edge of a crop, a multiple of 32", 32, 512, .role = VOCO_NUMERIC }

#define VOCO_DENSE_DEFAULTS(which, row, augmented) {                                    \
    .common = VOCO_PRETRAIN_COMMON(which), .pretext = row, .crops = 2, .roi = 96,       \
    .augment = augmented }

enum voco_err voco_dense_prepare(void *config, void **data, struct voco_setup *ret);
void voco_dense_release(void *data);
void voco_dense_plan(const void *config, const struct voco_model_config *model,
                     struct voco_plan_job *ret);
void voco_dense_announce(const void *config, void *data, const struct voco_setup *setup,
                         const struct voco_device *dev, const struct voco_plan *plan);
enum voco_err voco_dense_inputs(const void *config, void *data,
                                struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n);
void voco_dense_facts(const void *config, void *data, const struct voco_setup *setup,
                      json_t *options, json_t *more);
enum voco_err voco_dense_initialise(const void *config, struct voco_ctx *ctx,
                                    struct voco_model *model);
enum voco_err voco_dense_open(const void *config, struct voco_ctx *ctx,
                              struct voco_model *model, const struct voco_grouping *grouping,
                              void **work);
void voco_dense_close(void *work);
enum voco_err voco_dense_take(void *work, const struct voco_batch_head *const batch[],
                              const volatile sig_atomic_t *stop, double *ret_term);
enum voco_err voco_dense_finish(struct voco_run *run);

#define VOCO_DENSE_FUNCTIONS                                                            \
    .title = "pretrain", .check = voco_pretrain_check, .prepare = voco_dense_prepare,   \
    .release = voco_dense_release, .plan = voco_dense_plan,                             \
    .announce = voco_dense_announce, .inputs = voco_dense_inputs,                       \
    .facts = voco_dense_facts, .initialise = voco_dense_initialise,                     \
    .open = voco_dense_open, .close = voco_dense_close, .gradient = voco_dense_take,    \
    .finish = voco_dense_finish

#endif
