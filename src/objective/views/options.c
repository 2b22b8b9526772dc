/* The settings of contrasts between views. */
#include "objective/views/views.h"

#define AT(member) VOCO_AT(struct voco_views_config, member)

#define DATA_OPTIONS                                                                    \
    VOCO_PRETRAIN_DATA_OPTIONS,                                                         \
    { "no-augment", 0, VOCO_OPT_OFF, AT(augment), NULL,                                 \
      "views differ in their place alone", .role = VOCO_NUMERIC },                      \
    { "strength", 0, VOCO_OPT_REAL, AT(strength), "X",                                  \
      "probabilities of changes of intensities, times this", 0, 10,                     \
      .role = VOCO_NUMERIC }

#define STEP_OPTIONS(fewest)                                                            \
    VOCO_PRETRAIN_STEP_OPTIONS,                                                         \
    { "crops", 0, VOCO_OPT_INT, AT(crops), "N",                                         \
      "random crops of a volume; each gives two views", fewest, 1024,                   \
      .role = VOCO_NUMERIC },                                                           \
    { "roi", 0, VOCO_OPT_INT, AT(roi), "N", "edge of a crop in voxels, even", 32,       \
      VOCO_TAPS_LINE, .role = VOCO_NUMERIC },                                           \
    { "temperature", 0, VOCO_OPT_REAL, AT(temperature), "T",                            \
      "divides the cosines of rows", 1e-3, 1e3, .role = VOCO_NUMERIC },                 \
    { "hidden", 0, VOCO_OPT_INT, AT(hidden), "N",                                       \
      "width inside the projector", 1, 65536, .role = VOCO_IDENTITY },                  \
    { "projection", 0, VOCO_OPT_INT, AT(projection), "N",                               \
      "width of the projector's output", 1, 65536, .role = VOCO_IDENTITY }

#define LATER_OPTIONS                                                                   \
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,                                                    \
    VOCO_PRETRAIN_MACHINE_OPTIONS,                                                      \
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),                                               \
    { 0 }

const struct voco_opt voco_contrast_options[] = {
    DATA_OPTIONS, VOCO_PRETRAIN_MODEL_OPTIONS, STEP_OPTIONS(2), LATER_OPTIONS
};

const struct voco_opt voco_simclr_options[] = {
    DATA_OPTIONS, VOCO_PRETRAIN_MODEL_OPTIONS, STEP_OPTIONS(1),
    { "shards", 0, VOCO_OPT_INT, AT(shards), "N",
      "parts of the batch; pairs of views stay within one", 1, 1024,
      .role = VOCO_NUMERIC },
    LATER_OPTIONS
};

static const struct voco_views_kind_of contrast = {
    .recipe = &voco_view_recipe_contrast, .norm = VOCO_HEAD_NO_NORM,
};

static const struct voco_views_kind_of simclr = {
    .recipe = &voco_view_recipe_simclr, .norm = VOCO_HEAD_ROW_NORM, .both = true,
    .across = true,
};

/* CT-FM's crops, temperature and projector. */
const struct voco_views_config voco_contrast_defaults = {
    .common = VOCO_PRETRAIN_COMMON(VOCO_PRETRAIN_CONTRAST), .kind = &contrast, .crops = 15,
    .roi = 64, .shards = 1, .strength = 1.0, .augment = true, .temperature = 0.1,
    .hidden = 256, .projection = 128,
};

/* Those of nnssl's SimCLR. */
const struct voco_views_config voco_simclr_defaults = {
    .common = VOCO_PRETRAIN_COMMON(VOCO_PRETRAIN_SIMCLR), .kind = &simclr, .crops = 2,
    .roi = 64, .shards = 1, .strength = 1.0, .augment = true, .temperature = 0.5,
    .hidden = 2048, .projection = 2048,
};
