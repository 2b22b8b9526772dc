/*
 * 3x3x3 convolutions of stride 1 by Winograd's method (simd/winograd.h): the common part
 * of its two drivers.  The forward one, which also makes d-data, and the implementations
 * are in conv_winograd.c, d-weights in conv_winograd_weights.c, where tiles lie
 * in conv_winograd_tiles.c.  None of them knows the transforms of a tile.
 */
#ifndef VOCO_DEV_CPU_CONV_WINOGRAD_H
#define VOCO_DEV_CPU_CONV_WINOGRAD_H

#include "dev/cpu/conv.h"
#include "simd/winograd.h"

/* c channels in, k out, of the product: swapped for d-data. */
struct voco_winograd_plan {
    const struct voco_winograd *w;
    const struct voco_winograd_tile *t;
    int64_t out, edge;          /* of a tile: outputs along an axis, and inputs */
    size_t points;
    size_t c, k, kp;            /* kp: k in whole vectors */
    size_t sum;                 /* channels in one f32 sum */
    bool swap;
    bool whole;                 /* no tile reaches over the border */
    int64_t size[3], tiles[3], total;
    int64_t rows;               /* tiles at a time */
    int64_t strip;              /* forward: of them side by side, at most */
    bool together;              /* forward: all threads on the same tiles, each at its own
                                 * points */
    bool deep;                  /* d-weights: few tiles and many weights, block by block */
    size_t block_c, block_k;    /* channels of such a block, block_k whole vectors */
    size_t v_stride, m_stride;  /* floats between points of V, and of M or N */
    size_t block;               /* and of a block */
};

/* ---- tiles ---- */

/* The voxels of y that are the outputs of tile t, as pointers to ret; outside the volume:
 * other. */
void voco_winograd_outputs(const struct voco_winograd_plan *p, float *y, int64_t t,
                           float *other, float **ret);

/* How many tiles from t on lie side by side, at most so many. */
int64_t voco_winograd_side_by_side(const struct voco_winograd_plan *p, int64_t t,
                                   int64_t most);

/* A volume that is transformed: for each tile, `edge` planes from `before` voxels before
 * its corner on.  Elements are floats, or bfloat16. */
struct voco_winograd_source {
    const void *data;
    bool bf16;
    size_t channels;
    int64_t edge, before;
};

/* x, of which tiles overlap, and dy. */
struct voco_winograd_source
voco_winograd_inputs_of(const struct voco_winograd_plan *p, const void *x, bool bf16);
struct voco_winograd_source
voco_winograd_outputs_of(const struct voco_winograd_plan *p, const void *dy, bool bf16);

/*
 * Strips: tiles [t, t + tiles) side by side.  combine makes one plane of their edge planes,
 * each voxel the row's sum of those that lie behind each other; split, of x, one for each
 * slice.  A plane has edge lines of _line floats, which are 0 outside the volume.
 */
int64_t voco_winograd_strip_line(const struct voco_winograd_plan *p,
                                 const struct voco_winograd_source *x, int64_t tiles);
void voco_winograd_combine(const struct voco_winograd_plan *p,
                           const struct voco_winograd_source *x,
                           const struct voco_winograd_row *row, int64_t t, int64_t tiles,
                           float *ret);
void voco_winograd_split(const struct voco_winograd_plan *p,
                         const struct voco_winograd_source *x, int64_t t, int64_t tiles,
                         float *ret);

/* ---- d-weights ---- */

/* Chooses rows and strides. */
void voco_winograd_weights_plan(struct voco_winograd_plan *p, int threads);

size_t voco_winograd_weights_scratch(const struct voco_winograd_plan *p, int threads);

void voco_winograd_weights_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
                               const struct voco_conv_io *io, float *scratch);

#endif
