/*
 * Winograd F(2x2x2, 3x3x3): convolution of 3^3 taps by 2^3 outputs at a time.
 *
 *   y = A' ( (G w G') . (B' x B) ) A        x: 4^3 inputs of a tile, y: 2^3 outputs
 *
 * with each matrix applied along all three axes.  Of 216 products per tile and pair of
 * channels 64 remain.  Over many tiles they are 64 matrix products, one for each point f
 * of the transformed domain:
 *
 *   forward     M_f [tiles,k] = V_f [tiles,c] U_f [c,k]
 *   d-weights   dU_f [c,k]   += V_f' [c,tiles] N_f [tiles,k],  N = A dy A',  dw = G' dU G
 *   d-data      forward of dy with the taps reversed and the roles of c and k swapped
 *
 * A tile's voxels are given by pointers, so that what lies outside the volume can point
 * to zeros (to read) or into a bin (to write), and no padded copy is needed.
 *
 * Kernels are single-threaded, allocate nothing and take any alignment and any number of
 * channels; see simd/kernels.h for how instruction sets are chosen.
 * Source: Lavin and Gray, Fast algorithms for convolutional neural networks, 2016.
 */
#ifndef VOCO_SIMD_WINOGRAD_H
#define VOCO_SIMD_WINOGRAD_H

#include <stddef.h>

#include "simd/kernels.h"

enum { VOCO_WINOGRAD_POINTS = 64, VOCO_WINOGRAD_SLICE = 16 };

struct voco_winograd {
    size_t lanes;       /* rows of M, N and dU have k rounded up to a multiple of this */
    size_t panel;       /* U_f is cut into panels of at most so many vectors */

    /* v[f stride + 0..c) = (B' x B)_f for all 64 f; x[(z 4 + y) 4 + x] -> c floats */
    void (*input)(const float *const x[64], size_t c, float *v, size_t stride);

    /* The 16 points f = 16 a + i of one slice, a < 4, to v[i stride + ...] */
    void (*input_slice)(const float *const x[64], int a, size_t c, float *v, size_t stride);

    /* v[i stride + 0..k) = (A dy A')_f for the slice; y[(z 2 + y) 2 + x] -> k floats.
     * Lanes beyond k are set to 0. */
    void (*grad_slice)(const float *const dy[8], int a, size_t k, float *v, size_t stride);

    /* y = A' M A, with M_f at m[f stride + 0..k) */
    void (*output)(const float *m, size_t stride, size_t k, float *const y[8]);

    /* m[rows, k'] = v[rows, c] u; u in panels, see voco_winograd_panel */
    void (*product)(const float *v, const float *u, float *m, size_t rows, size_t c,
                    size_t k);

    /* du[c, k'] += v[rows, c]' n[rows, k']; sums over rows first; ldv: floats between
     * the rows of v, at least c */
    void (*product_add)(const float *v, size_t ldv, const float *n, float *du, size_t rows,
                        size_t c, size_t k);
};

/* k rounded up to whole vectors. */
static inline size_t
voco_winograd_round(const struct voco_winograd *w, size_t k)
{
    return (k + w->lanes - 1) / w->lanes * w->lanes;
}

/* U_f with rows of k' = whole vectors is stored as panels one behind the other, each
 * [c, its columns].  Where is the element (c, k)?  channels: rows of U_f. */
static inline size_t
voco_winograd_at(const struct voco_winograd *w, size_t channels, size_t kk, size_t c,
                 size_t k)
{
    const size_t vectors = voco_winograd_round(w, kk) / w->lanes;
    const size_t panels = (vectors + w->panel - 1) / w->panel, v = k / w->lanes;
    size_t p = v * panels / vectors;

    while (vectors * (p + 1) / panels <= v)
        p++;
    while (vectors * p / panels > v)
        p--;
    {
        const size_t from = vectors * p / panels, to = vectors * (p + 1) / panels;

        return from * w->lanes * channels + c * (to - from) * w->lanes + k
               - from * w->lanes;
    }
}

/* The kernels of an instruction set; NULL where there are none (ref) or the build has
 * not got them. */
const struct voco_winograd *voco_winograd_kernels(enum voco_isa isa);

extern const struct voco_winograd voco_winograd_avx2, voco_winograd_avx512,
    voco_winograd_avx512_emulated;

#endif
