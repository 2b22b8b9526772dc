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
    bool together;              /* forward: all threads on the same tiles, each at its own
                                 * points */
    size_t v_stride, m_stride;  /* floats between points of V, and of M or N */
};

/* ---- tiles ---- */

/* The edge^3 voxels, of so many channels each, that tile t of x has from its first output
 * minus `before` on, as pointers to ret; outside the volume: other. */
void voco_winograd_voxels(const struct voco_winograd_plan *p, float *x, size_t channels,
                          int64_t t, int64_t edge, int64_t before, float *other,
                          float **ret);

/* Part i of n of asking for the voxels of the next p->rows tiles, those of [from,end). */
void voco_winograd_prefetch(const struct voco_winograd_plan *p, const float *x,
                            size_t channels, int64_t from, int64_t end, int64_t edge,
                            int64_t before, size_t i, size_t n);

/* ---- d-weights ---- */

/* Chooses rows and strides. */
void voco_winograd_weights_plan(struct voco_winograd_plan *p, int threads);

size_t voco_winograd_weights_scratch(const struct voco_winograd_plan *p, int threads);

void voco_winograd_weights_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
                               const struct voco_conv_io *io, float *scratch);

#endif
