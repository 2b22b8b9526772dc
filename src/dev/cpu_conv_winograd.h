/*
 * 3x3x3 convolutions of stride 1 by Winograd's method (simd/winograd.h): what its two
 * drives share.  The forward one, which also makes d-data, and the implementations are in
 * cpu_conv_winograd.c, d-weights in cpu_conv_winograd_weights.c, where tiles lie in
 * cpu_conv_winograd_tiles.c.  None of them knows the transforms of a tile.
 */
#ifndef VOCO_DEV_CPU_CONV_WINOGRAD_H
#define VOCO_DEV_CPU_CONV_WINOGRAD_H

#include "dev/cpu_conv.h"
#include "simd/winograd.h"

/* c channels in, k out, of the product: swapped for d-data. */
struct voco_winograd_plan {
    const struct voco_winograd *w;
    const struct voco_winograd_tile *t;
    int64_t out, edge;          /* of a tile: outputs along an axis, and inputs */
    size_t points;
    size_t c, k, kp;            /* kp: k in whole vectors */
    bool swap;
    bool whole;                 /* no tile reaches over the border */
    int64_t size[3], tiles[3], total;
    int64_t rows;               /* tiles at a time */
    int64_t strip;              /* forward: of them side by side, at most */
    bool together;              /* forward: all threads on the same tiles, each at its own
                                 * points */
    size_t v_stride, m_stride;  /* floats between points of V, and of M or N */
};

/* ---- tiles ---- */

/* The voxels of y that are the outputs of tile t, as pointers to ret; outside the volume:
 * other. */
void voco_winograd_outputs(const struct voco_winograd_plan *p, float *y, int64_t t,
                           float *other, float **ret);

/* How many tiles from t on lie side by side, at most so many. */
int64_t voco_winograd_side_by_side(const struct voco_winograd_plan *p, int64_t t,
                                   int64_t most);

/*
 * Strips: tiles [t, t + tiles) side by side, their `edge` planes from `before` voxels before
 * the corner on.  combine makes of them one plane, each voxel the row's sum of those of the
 * planes; split, of x, one for each slice.  A plane has edge lines of _line voxels; what is
 * outside the volume is 0.
 */
int64_t voco_winograd_strip_line(const struct voco_winograd_plan *p, int64_t tiles,
                                 int64_t edge);
void voco_winograd_combine(const struct voco_winograd_plan *p, const float *x,
                           size_t channels, const struct voco_winograd_row *row, int64_t t,
                           int64_t tiles, int64_t edge, int64_t before, float *ret);
void voco_winograd_split(const struct voco_winograd_plan *p, const float *x, int64_t t,
                         int64_t tiles, float *ret);

/* ---- d-weights ---- */

/* Chooses rows and strides. */
void voco_winograd_weights_plan(struct voco_winograd_plan *p, int threads);

size_t voco_winograd_weights_scratch(const struct voco_winograd_plan *p, int threads);

void voco_winograd_weights_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
                               const struct voco_conv_io *io, float *scratch);

#endif
