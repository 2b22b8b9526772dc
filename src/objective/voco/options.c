/* The settings of VoCo and its variants. */
#include <inttypes.h>

#include "objective/voco/rows.h"

#define AT(member) VOCO_AT(struct voco_pretrain_config, member)

const char *const voco_no_yes[] = { "no", "yes", NULL };
const char *const voco_positions_names[] = { "2d", "3d", NULL };

/* ---- tables ---- */

const struct voco_opt voco_pretrain_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    VOCO_AUGMENT_OPTION,

    VOCO_PRETRAIN_MODEL_OPTIONS,

    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_CROP_OPTIONS,
    VOCO_POSITIONS_OPTION,
    VOCO_SHARDS_OPTION,
    { "teacher", 0, VOCO_OPT_CHOICE, AT(teacher), "yes|no",
      "no: the student itself, without gradient, in the teacher's place", 0, 0, voco_no_yes,
      .role = VOCO_IDENTITY },
    { "inter", 0, VOCO_OPT_CHOICE, AT(inter), "yes|no",
      "the term between volumes", 0, 0, voco_no_yes, .role = VOCO_NUMERIC },
    VOCO_REG_OPTION,
    VOCO_MOMENTUM_OPTION,
    VOCO_DROP_OPTION,

    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE|hash:SEED:B:SW"),
    { 0 }
};

const struct voco_opt voco_cvpr_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    VOCO_AUGMENT_OPTION,
    VOCO_PRETRAIN_MODEL_OPTIONS,
    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_CROP_OPTIONS,
    VOCO_POSITIONS_OPTION,
    VOCO_SHARDS_OPTION,
    VOCO_REG_OPTION,
    VOCO_MOMENTUM_OPTION,
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

const struct voco_opt voco_nnssl_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    VOCO_AUGMENT_OPTION,
    VOCO_PRETRAIN_MODEL_OPTIONS,
    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_CROP_OPTIONS,
    VOCO_SHARDS_OPTION,
    VOCO_REG_OPTION,
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

const struct voco_pretrain_config voco_cvpr_defaults = {
    .common = VOCO_PRETRAIN_COMMON(VOCO_PRETRAIN_VOCO_CVPR), .sw = 2, .augment = true,
    .momentum = 0.9, .shards = 1, .teacher = 1, .reg = 1, .grid = "4x4x1", .roi = VOCO_ROI,
};

/* The optimizer of the package's runs; the moments' decays are those of adamw. */
const struct voco_pretrain_config voco_nnssl_defaults = {
    .common = {
        .run = { .loop = { .steps = 250000, .checkpoint_minutes = 30, .keep_last = 3,
                           .skip_limit = 5, .rollback_limit = 3 },
                 .optimizer = VOCO_SGD, .sgd_momentum = 0.99, .lr = 1e-2,
                 .weight_decay = 3e-5, .schedule = VOCO_POLY, .beta1 = 0.9, .beta2 = 0.999,
                 .eps = 1e-8, .amsgrad = true, .precision = VOCO_PRECISION_AUTO },
        .objective = VOCO_PRETRAIN_VOCO_NNSSL, .feature = 48, .batch = 2,
        .merging = VOCO_MERGING_LEGACY, .window = { NAN, NAN } },
    .sw = 4, .augment = true, .shards = 1, .reg = 1, .grid = "4x4x1", .roi = VOCO_ROI,
    .positions = VOCO_POSITIONS_3D,
};

/* ---- what is no setting ---- */

const struct voco_variant *
voco_variant_of(const struct voco_pretrain_config *c)
{
    static const struct voco_variant voco = { .form = VOCO_FORM_VOCO, .width = 1024,
                                              .shift = 0.5 };
    static const struct voco_variant cvpr = { .form = VOCO_FORM_CVPR, .width = 2048,
                                              .teacher_backbone = true, .crop = 96,
                                              .shift = 0.1 };
    static const struct voco_variant nnssl = { .form = VOCO_FORM_NNSSL, .width = 2048,
                                               .norm = VOCO_HEAD_ROW_NORM, .last = true,
                                               .shift = 0.5 };

    return c->common.objective == VOCO_PRETRAIN_VOCO_CVPR ? &cvpr
        : c->common.objective == VOCO_PRETRAIN_VOCO_NNSSL ? &nnssl : &voco;
}

struct voco_tiling
voco_contrast_tiling(const struct voco_pretrain_config *c)
{
    const struct voco_variant *v = voco_variant_of(c);
    const int64_t published = v->crop ? v->crop : c->roi;
    struct voco_tiling g = { .last = v->last };

    g.edge = (int)(c->crop_mm > 0 ? c->roi : c->crop ? c->crop : published);
    if (voco_tiling_parse(c->grid, g.n) != VOCO_OK)
        VOCO_ASSERT(!"a grid that was not checked");
    return g;
}

enum voco_err
voco_contrast_check(const void *config)
{
    const struct voco_pretrain_config *c = config;
    enum voco_err err;
    int n[3];

    if ((err = voco_tiling_parse(c->grid, n)) != VOCO_OK)
        return err;
    if (n[2] > 1 && c->positions == VOCO_POSITIONS_2D)
        return voco_fail(VOCO_EUSAGE, "--grid %s has %d layers along z, where crops move with "
                         "--positions 3d alone: give that, or a grid of one layer", c->grid,
                         n[2]);
    if (c->roi % 32 != 0)
        return voco_fail(VOCO_EUSAGE, "--roi %" PRId64 ": expected a multiple of 32, by which "
                         "the network divides a crop", c->roi);
    if (c->crop > 0 && c->crop_mm > 0)
        return voco_fail(VOCO_EUSAGE, "--crop %" PRId64 " and --crop-mm %g exclude each other",
                         c->crop, c->crop_mm);
    return voco_pretrain_check(config);
}
