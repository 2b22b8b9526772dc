/*
 * Winograd's method, F(m,3) on each axis: convolution of 3^3 taps by tiles of m^3 outputs
 * at a time, m = 2 or 4.
 *
 *   y = A' ( (G w G') . (B' x B) ) A        x: (m+2)^3 inputs of a tile, y: m^3 outputs
 *
 * with each matrix applied along all three axes.  Of 27 products per output and pair of
 * channels, ((m+2)/m)^3 remain: 8 and 3.4.  Over many tiles they are (m+2)^3 matrix
 * products, one for each point f of the transformed domain:
 *
 *   forward     M_f [tiles,k] = V_f [tiles,c] U_f [c,k]
 *   d-weights   dU_f [c,k]   += V_f' [c,tiles] N_f [tiles,k],  N = A dy A',  dw = G' dU G
 *   d-data      forward of dy with the taps reversed and the roles of c and k swapped
 *
 * The method multiplies polynomials by their values at m + 1 numbers and at infinity.
 * m = 2 uses 0, 1, -1, with small rounding errors.  m = 4 uses 0, +-11/16, +-11/8: of the
 * pairs tried these have the smallest errors, a tenth of those of the usual 0, +-1, +-2, and
 * every element of A and B is exact in f32 (doc/numerics.md).
 *
 * The outputs of a tile are given by pointers to the floats of a voxel, [z][y][x], so that
 * voxels outside the volume can point to memory that is never read.
 *
 * Kernels are single-threaded, allocate nothing and take any alignment and any number of
 * channels; see simd/kernels.h for how instruction sets are chosen.
 * Source: Lavin and Gray, Fast algorithms for convolutional neural networks, 2016.
 */
#ifndef VOCO_SIMD_WINOGRAD_H
#define VOCO_SIMD_WINOGRAD_H

#include <stddef.h>

#include "simd/kernels.h"

enum { VOCO_WINOGRAD_MAX_EDGE = 6, VOCO_WINOGRAD_MAX_POINTS = 216,
       VOCO_WINOGRAD_MAX_LANES = 16 };

/* A row of B' or A: sum over terms of factor[j] times number place[j]. */
struct voco_winograd_row {
    int terms, place[4];
    float factor[4];
};

/*
 * The transforms of one m; e = m + 2 is the edge of a tile of inputs.  Points are f =
 * (a e + b) e + c; a slice is those of one a, e^2 points.  Its tiles are planes: `combine`
 * makes them of the e planes of x by row a of B', or of the m planes of dy by row a of A,
 * `split` those of all a.  So lines of voxels are read as they lie in memory, and each
 * once for all tiles that share it along the line.
 */
struct voco_winograd_tile {
    int out;            /* m */
    size_t sum;         /* channels in one f32 sum of a product; see product */

    /* u[f stride + 0..lanes) = (G g G')_f for all f; g[27][lanes] */
    void (*taps)(const float *g, float *u, size_t stride);

    const struct voco_winograd_row *b, *a;      /* [e]: the rows of B' and A */

    /* y[a][n] = row a of B' over lines x[e], for all a < e.  Lines hold floats, or
     * bfloat16; one that is NULL is zeros. */
    void (*split)(const void *const *x, bool bf16, size_t n, float *const *y);

    /* v[i stride + 0..c) = (B' x B)_i, i < e^2, of a plane of e x e voxels of c floats;
     * line: floats from one line of it to the next */
    void (*input_slice)(const float *x, size_t line, size_t c, float *v, size_t stride);

    /* v[i stride + 0..k) = (A dy A')_i of m x m voxels.  Lanes beyond k are set to 0. */
    void (*grad_slice)(const float *dy, size_t line, size_t k, float *v, size_t stride);

    /* y = A' M A, with M_f at m[f stride + 0..k).  moments: NULL, or [2][k in whole
     * vectors] for the mean of the tile's outputs and the sum of their squared distances
     * from it.  stream: y is larger than the caches and k whole vectors: write around
     * them */
    void (*output)(const float *m, size_t stride, size_t k, float *const *y, bool stream,
                   float *moments);

    /* g[27][lanes] = G' dU G, with dU_f at du[f stride + 0..lanes) */
    void (*fold)(const float *du, size_t stride, float *g);
};

struct voco_winograd {
    size_t lanes;       /* rows of M, N and dU have k rounded up to a multiple of this */
    size_t panel;       /* U_f is cut into panels of at most so many vectors */
    struct voco_winograd_tile tile[2];      /* m = 2, m = 4 */

    /* y[n] = the row's sum of lines x[place], which are as split takes them */
    void (*combine)(const struct voco_winograd_row *row, const void *const *x, bool bf16,
                    size_t n, float *y);

    /* g[t stride + j] = w[j step + t] for j < n, 0 for other lanes; t, or 26 - t if
     * reversed, is one of 27 taps */
    void (*to_lanes)(const float *w, size_t step, size_t n, bool reversed, float *g,
                     size_t stride);

    /* dw[j step + t] += g[t stride + j] for j < n */
    void (*from_lanes)(const float *g, size_t stride, float *dw, size_t step, size_t n);

    /* m[rows, k'] = v[rows, c] u, or with add +=; u in panels, see voco_winograd_at.  Sums
     * of `sum` channels, at least 1, are made apart and then added up.  ldv, ldm: floats
     * between rows, at least c and k' */
    void (*product)(const float *v, size_t ldv, const float *u, float *m, size_t ldm,
                    size_t rows, size_t c, size_t k, size_t sum, bool add);

    /* du[c, k'] += v[rows, c]' n[rows, k']; sums over rows first */
    void (*product_add)(const float *v, size_t ldv, const float *n, size_t ldn, float *du,
                        size_t ldu, size_t rows, size_t c, size_t k);
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

/* The kernels of an instruction set; NULL for ref, which has none, and for levels that are
 * not in the build. */
const struct voco_winograd *voco_winograd_kernels(enum voco_isa isa);

extern const struct voco_winograd voco_winograd_avx2, voco_winograd_avx512,
    voco_winograd_avx512_emulated;

#endif
