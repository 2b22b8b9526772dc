/* Spacings, windows and sizes per region: the pre-training settings of VoCo. */
#include "data/transform/preset.h"

#include <stddef.h>

#define CROP    64, 64, 64
#define BLOCK   192, 192, 64        /* 3 x 3 x 1 base crops */

/* abdomen: organ-labelled CT collections.  abdomen-resize: DeepLesion and other
 * collections of partial scans.  mr is voco's own: MR has no absolute scale, so its
 * window is relative. */
const struct voco_preset voco_presets[] = {
    { "abdomen", "CT, 1.5 mm, -175..250 HU",
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 },
        .scaling = VOCO_SCALING_RANGE, .window = { -175, 250 },
        .foreground = VOCO_FOREGROUND_WINDOW,
        .pad_first = { CROP }, .pad = { BLOCK } } },
    { "abdomen-resize", "CT, 1.5 mm, -175..250 HU, resized to 192x192x64",
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 },
        .scaling = VOCO_SCALING_RANGE, .window = { -175, 250 },
        .foreground = VOCO_FOREGROUND_WINDOW,
        .pad_first = { CROP }, .resize = { BLOCK }, .pad = { BLOCK } } },
    { "headneck", "CT, 1.5 mm, -175..250 HU, resized to 192x192x64",
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 },
        .scaling = VOCO_SCALING_RANGE, .window = { -175, 250 },
        .foreground = VOCO_FOREGROUND_WINDOW,
        .pad_first = { CROP }, .resize = { BLOCK }, .pad = { BLOCK } } },
    { "chest", "CT, 1.25x1.25x5 mm, -1000..500 HU",
      { .orient = true, .spacing_mm = { 1.25, 1.25, 5 },
        .scaling = VOCO_SCALING_RANGE, .window = { -1000, 500 },
        .foreground = VOCO_FOREGROUND_WINDOW,
        .pad_first = { CROP }, .pad = { BLOCK } } },
    { "mr", "MR, 1 mm, percentiles 0.5..99.5 of the nonzero voxels",
      { .orient = true, .spacing_mm = { 1, 1, 1 },
        .scaling = VOCO_SCALING_PERCENTILE, .window = { 0.5, 99.5 },
        .foreground = VOCO_FOREGROUND_NONZERO,
        .pad_first = { CROP }, .pad = { BLOCK } } },
    { "none", "only the axes are brought to RAS; stored as f32",
      { .orient = true, .scaling = VOCO_SCALING_NONE,
        .foreground = VOCO_FOREGROUND_NONE } },
    { NULL, NULL, { .orient = false } }
};

const char *const voco_preset_names[] = {
    "abdomen", "abdomen-resize", "headneck", "chest", "mr", "none", NULL
};
