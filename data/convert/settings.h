/*
 * The settings of voco convert as a command line or a recipe gives them, and the whole of
 * it: from the inputs to a store.
 */
#ifndef VOCO_DATA_CONVERT_SETTINGS_H
#define VOCO_DATA_CONVERT_SETTINGS_H

#include <math.h>

#include "data/convert/convert.h"

struct voco_convert_settings {
    const char *store;          /* folder; new, or to be continued */
    const char *recipe;         /* of --task, which the verb applies */
    int preset;                 /* index of voco_presets */
    const char *dataset;        /* NULL: the name of the preset */

    /* Of the transform; NULL, -1, NaN: as the preset has it. */
    double spacing_mm[3], window[2];
    int scaling;                /* enum voco_scaling */
    int foreground;             /* enum voco_foreground */
    bool no_foreground;
    const char *multiple, *pad_first, *resize, *pad;    /* "X,Y,Z", "N" or "none" */
    double nan_to;              /* instead of NaN and infinities; NaN: reject the volume */

    const char *channel;        /* "0", "1", ..., "all"; NULL: one channel is expected */
    const char *labels;         /* a map of values, "any" or "json"; NULL: no label maps */
    const char *label_folder, *class_names, *root;
    bool test_split;

    int type;                   /* enum voco_store_type; -1: u16 where it fits, else f32 */
    int64_t chunk, level, shard_bytes;          /* not positive: the store's defaults */
    int64_t threads;            /* not positive: the cores */
    int64_t memory;             /* bytes; 0: 60 % of what is free */
    bool dry_run;
};

#define VOCO_CONVERT_DEFAULTS {                                                         \
    .scaling = -1, .foreground = -1, .type = -1, .spacing_mm = { NAN },                 \
    .window = { NAN }, .nan_to = NAN, .threads = INT64_MIN, .chunk = INT64_MIN,         \
    .level = INT64_MIN }

/* Reads the lists, converts, and prints the summary; with dry_run it only prints the plan
 * of each volume.  VOCO_EREJECTED: some volumes could not be used; VOCO_EFORMAT: none could;
 * VOCO_ESTOPPED: a signal came. */
enum voco_err voco_convert_inputs(const struct voco_convert_settings *s, int n,
                                  const char *const *input);

#endif
