/*
 * Rows of options about VoCo's crops and heads, for tables of structs that begin with a
 * struct voco_pretrain_config.
 */
#ifndef VOCO_OBJECTIVE_VOCO_ROWS_H
#define VOCO_OBJECTIVE_VOCO_ROWS_H

#include "objective/voco/voco.h"

extern const char *const voco_no_yes[], *const voco_positions_names[];

#define VOCO_CONTRAST_AT(member) VOCO_AT(struct voco_pretrain_config, member)

#define VOCO_AUGMENT_OPTION                                                             \
    { "no-augment", 0, VOCO_OPT_OFF, VOCO_CONTRAST_AT(augment), NULL,                   \
      "neither flips, quarter turns nor intensity shifts", .role = VOCO_NUMERIC }

#define VOCO_CROP_OPTIONS                                                               \
    { "sw", 0, VOCO_OPT_INT, VOCO_CONTRAST_AT(sw), "N",                                 \
      "random crops of a volume, besides the base crops", 1, 64,                        \
      .role = VOCO_NUMERIC },                                                           \
    { "grid", 0, VOCO_OPT_TEXT, VOCO_CONTRAST_AT(grid), "AxBxC",                        \
      "base crops of a volume along x, y and z", .role = VOCO_NUMERIC },                \
    { "roi", 0, VOCO_OPT_INT, VOCO_CONTRAST_AT(roi), "N",                               \
      "edge of a crop as the network sees it, a multiple of 32", 64, 512,               \
      .role = VOCO_NUMERIC },                                                           \
    { "crop", 0, VOCO_OPT_INT, VOCO_CONTRAST_AT(crop), "N",                             \
      "edge of a crop in voxels of the store, resized to roi; 0: as published", 0,      \
      1024, .role = VOCO_NUMERIC },                                                     \
    { "crop-mm", 0, VOCO_OPT_REAL, VOCO_CONTRAST_AT(crop_mm), "MM",                     \
      "edge of a crop in millimetres, whatever the spacing; 0: that of --crop", 0, 1e4, \
      .role = VOCO_NUMERIC }

#define VOCO_POSITIONS_OPTION                                                           \
    { "positions", 0, VOCO_OPT_CHOICE, VOCO_CONTRAST_AT(positions), "2d|3d",            \
      "where random crops move: in the plane, or along z, too", 0, 0,                   \
      voco_positions_names, .role = VOCO_NUMERIC }

#define VOCO_SHARDS_OPTION                                                              \
    { "shards", 0, VOCO_OPT_INT, VOCO_CONTRAST_AT(shards), "N",                         \
      "parts of the batch; statistics of the heads and pairs of volumes stay within "   \
      "one", 1, 1024, .role = VOCO_NUMERIC }

#define VOCO_REG_OPTION                                                                 \
    { "reg", 0, VOCO_OPT_CHOICE, VOCO_CONTRAST_AT(reg), "yes|no",                       \
      "the term that drives base crops apart", 0, 0, voco_no_yes, .role = VOCO_NUMERIC }

#define VOCO_MOMENTUM_OPTION                                                            \
    { "momentum", 0, VOCO_OPT_REAL, VOCO_CONTRAST_AT(momentum), "X",                    \
      "momentum of the teacher, a moving average of the student", 0, 1,                 \
      .role = VOCO_NUMERIC }

#define VOCO_DROP_OPTION                                                                \
    { "drop", 0, VOCO_OPT_REAL, VOCO_CONTRAST_AT(drop), "P",                            \
      "share of embeddings that are set to 0 for the student", 0, 0.95,                 \
      .role = VOCO_NUMERIC }

#endif
