/*
 * Embeddings: the encoder's vector for each crop of volumes, and for prepared crops, in one
 * table (data/dataset/features.h).
 */
#ifndef VOCO_TASK_EMBED_EMBED_H
#define VOCO_TASK_EMBED_EMBED_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "dev/list.h"

/* A row of the table. */
enum voco_embed_rows { VOCO_ROWS_CROPS, VOCO_ROWS_VOLUMES };

struct voco_embed_config {
    const char *weights, *output;       /* output: the file */
    int rows;                   /* enum voco_embed_rows */
    int preset;                 /* index of voco_presets; -1: as the weights say, or the
                                 * first */
    int merging;                /* enum voco_merging; -1: as the weights say */
    int precision;              /* enum voco_precision of activations */
    int64_t threads;            /* 0: one per core of this process */
    int64_t group;              /* crops at once */
    bool partial;               /* weights may lack parts of the encoder */
    double min_coverage;        /* per cent of it that they must have; above 0: partial */
    double nan_to;              /* instead of NaN and infinities; NaN: they are an error */
};

#define VOCO_EMBED_DEFAULTS { .preset = -1, .merging = -1, .group = 4, .nan_to = NAN,       \
                              .precision = VOCO_PRECISION_F32 }

/* VOCO_EREJECTED: some volumes could not be used, each with a warning; VOCO_EFORMAT: none
 * could, or a file of crops. */
enum voco_err voco_embed_inputs(const struct voco_embed_config *c, int n,
                                const char *const *input);

#endif
