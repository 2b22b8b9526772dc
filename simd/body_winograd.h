/*
 * The Winograd kernels of one instruction set: the includer has included vec_*.h and
 * defined ROWS (rows of a product in flight) and BODY_EXPORT (the table's name).
 *
 * Vectors run along channels.  Transforms work on one tile and VW channels at a time; the
 * last, partial vector takes the same code with masked loads and stores.
 */
#include <stdbool.h>

#include "simd/winograd.h"

enum { PANEL = 3 };             /* vectors of k in flight */

/* Full unrolling keeps arrays of vectors in registers; four turns of the inner loops of
 * products at once make them 10 % faster (Zen 3, gcc 12). */
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vf
load(const float *p, size_t n)
{
    return n == VW ? v_load(p) : v_load_n(p, n);
}

ALWAYS void
store(float *p, vf x, size_t n)
{
    if (n == VW)
        v_store(p, x);
    else
        v_store_n(p, x, n);
}

/* t = B' d along one axis */
ALWAYS void
b_axis(vf d0, vf d1, vf d2, vf d3, vf *t0, vf *t1, vf *t2, vf *t3)
{
    *t0 = v_sub(d0, d2);
    *t1 = v_add(d1, d2);
    *t2 = v_sub(d2, d1);
    *t3 = v_sub(d1, d3);
}

/* t[y 4 + x] = B' d B of a plane of 4 x 4 vectors */
ALWAYS void
b_plane(const vf d[16], vf t[16])
{
    vf r[16];

    UNROLL
    for (int i = 0; i < 4; i++)
        b_axis(d[4 * i], d[4 * i + 1], d[4 * i + 2], d[4 * i + 3], &r[4 * i],
               &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    UNROLL
    for (int i = 0; i < 4; i++)
        b_axis(r[i], r[4 + i], r[8 + i], r[12 + i], &t[i], &t[4 + i], &t[8 + i],
               &t[12 + i]);
}

ALWAYS void
input_vector(const float *const x[64], size_t at, size_t n, float *v, size_t stride)
{
    vf t[4][16];

    UNROLL
    for (int z = 0; z < 4; z++) {
        vf d[16];

        UNROLL
        for (int i = 0; i < 16; i++)
            d[i] = load(x[16 * z + i] + at, n);
        b_plane(d, t[z]);
    }
    UNROLL
    for (size_t i = 0; i < 16; i++) {
        vf r[4];

        b_axis(t[0][i], t[1][i], t[2][i], t[3][i], &r[0], &r[1], &r[2], &r[3]);
        UNROLL
        for (size_t a = 0; a < 4; a++)
            store(v + (16 * a + i) * stride + at, r[a], n);
    }
}

static void
input(const float *const x[64], size_t c, float *v, size_t stride)
{
    size_t at = 0;

    for (; at + VW <= c; at += VW)
        input_vector(x, at, VW, v, stride);
    if (at < c)
        input_vector(x, at, c - at, v, stride);
}

/* Slice a combines two of the four planes: d0 - d2, d1 + d2, d2 - d1, d1 - d3. */
ALWAYS void
input_slice_vector(const float *const p[16], const float *const q[16], bool sum, size_t at,
                   size_t n, float *v, size_t stride)
{
    vf d[16], t[16];

    UNROLL
    for (int i = 0; i < 16; i++) {
        const vf a = load(p[i] + at, n), b = load(q[i] + at, n);

        d[i] = sum ? v_add(a, b) : v_sub(a, b);
    }
    b_plane(d, t);
    UNROLL
    for (size_t i = 0; i < 16; i++)
        store(v + i * stride + at, t[i], n);
}

static void
input_slice(const float *const x[64], int a, size_t c, float *v, size_t stride)
{
    static const int first[4] = { 0, 1, 2, 1 }, second[4] = { 2, 2, 1, 3 };
    const float *const *p = x + 16 * first[a], *const *q = x + 16 * second[a];
    size_t at = 0;

    if (a == 1) {
        for (; at + VW <= c; at += VW)
            input_slice_vector(p, q, true, at, VW, v, stride);
        if (at < c)
            input_slice_vector(p, q, true, at, c - at, v, stride);
    } else {
        for (; at + VW <= c; at += VW)
            input_slice_vector(p, q, false, at, VW, v, stride);
        if (at < c)
            input_slice_vector(p, q, false, at, c - at, v, stride);
    }
}

/* t = A d along one axis */
ALWAYS void
a_axis(vf d0, vf d1, vf *t0, vf *t1, vf *t2, vf *t3)
{
    *t0 = d0;
    *t1 = v_add(d0, d1);
    *t2 = v_sub(d0, d1);
    *t3 = v_sub(v_zero(), d1);
}

ALWAYS void
grad_slice_vector(const float *const dy[8], int a, size_t at, size_t n, float *v,
                  size_t stride)
{
    vf d[4], r[8], t[16];

    UNROLL
    for (int i = 0; i < 4; i++) {
        const vf p = load(dy[i] + at, n), q = load(dy[4 + i] + at, n);

        d[i] = a == 0 ? p : a == 1 ? v_add(p, q) : a == 2 ? v_sub(p, q)
               : v_sub(v_zero(), q);
    }
    UNROLL
    for (int i = 0; i < 2; i++)
        a_axis(d[2 * i], d[2 * i + 1], &r[4 * i], &r[4 * i + 1], &r[4 * i + 2],
               &r[4 * i + 3]);
    UNROLL
    for (int i = 0; i < 4; i++)
        a_axis(r[i], r[4 + i], &t[i], &t[4 + i], &t[8 + i], &t[12 + i]);
    UNROLL
    for (size_t i = 0; i < 16; i++)
        v_store(v + i * stride + at, t[i]);
}

ALWAYS void
grad_slice_of(const float *const dy[8], int a, size_t k, float *v, size_t stride)
{
    size_t at = 0;

    for (; at + VW <= k; at += VW)
        grad_slice_vector(dy, a, at, VW, v, stride);
    if (at < k)
        grad_slice_vector(dy, a, at, k - at, v, stride);
}

static void
grad_slice(const float *const dy[8], int a, size_t k, float *v, size_t stride)
{
    switch (a) {
    case 0: grad_slice_of(dy, 0, k, v, stride); break;
    case 1: grad_slice_of(dy, 1, k, v, stride); break;
    case 2: grad_slice_of(dy, 2, k, v, stride); break;
    default: grad_slice_of(dy, 3, k, v, stride); break;
    }
}

/* y = A' m along one axis */
ALWAYS void
o_axis(vf m0, vf m1, vf m2, vf m3, vf *y0, vf *y1)
{
    *y0 = v_add(v_add(m0, m1), m2);
    *y1 = v_sub(v_sub(m1, m2), m3);
}

ALWAYS void
output_vector(const float *m, size_t stride, size_t at, size_t n, float *const y[8])
{
    vf t[2][16];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        o_axis(v_load(m + i * stride + at), v_load(m + (16 + i) * stride + at),
               v_load(m + (32 + i) * stride + at), v_load(m + (48 + i) * stride + at),
               &t[0][i], &t[1][i]);
    UNROLL
    for (int z = 0; z < 2; z++) {
        vf r[8];

        UNROLL
        for (int i = 0; i < 4; i++)
            o_axis(t[z][i], t[z][4 + i], t[z][8 + i], t[z][12 + i], &r[i], &r[4 + i]);
        UNROLL
        for (int i = 0; i < 2; i++) {
            vf a, b;

            o_axis(r[4 * i], r[4 * i + 1], r[4 * i + 2], r[4 * i + 3], &a, &b);
            store(y[4 * z + 2 * i] + at, a, n);
            store(y[4 * z + 2 * i + 1] + at, b, n);
        }
    }
}

static void
output(const float *m, size_t stride, size_t k, float *const y[8])
{
    size_t at = 0;

    for (; at + VW <= k; at += VW)
        output_vector(m, stride, at, VW, y);
    if (at < k)
        output_vector(m, stride, at, k - at, y);
}

/* m[nr, nv vectors] = v[nr, c] u[c, nv vectors] */
ALWAYS void
product_tile(const float *v, const float *u, float *m, size_t c, size_t ldm, int nr, int nv)
{
    vf s[ROWS][PANEL];

    UNROLL
    for (int i = 0; i < nr; i++)
        UNROLL
        for (int j = 0; j < nv; j++)
            s[i][j] = v_zero();
    UNROLL_4
    for (size_t q = 0; q < c; q++, u += (size_t)nv * VW) {
        vf b[PANEL];

        UNROLL
        for (int j = 0; j < nv; j++)
            b[j] = v_load(u + j * VW);
        UNROLL
        for (int i = 0; i < nr; i++) {
            const vf a = v_set(v[(size_t)i * c + q]);

            UNROLL
            for (int j = 0; j < nv; j++)
                s[i][j] = v_fma(a, b[j], s[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < nr; i++)
        UNROLL
        for (int j = 0; j < nv; j++)
            v_store(m + (size_t)i * ldm + j * VW, s[i][j]);
}

ALWAYS void
product_panel(const float *v, const float *u, float *m, size_t rows, size_t c, size_t ldm,
              int nv)
{
    size_t r = 0;

    for (; r + ROWS <= rows; r += ROWS)
        product_tile(v + r * c, u, m + r * ldm, c, ldm, ROWS, nv);
    for (; r < rows; r++)
        product_tile(v + r * c, u, m + r * ldm, c, ldm, 1, nv);
}

static void
product(const float *v, const float *u, float *m, size_t rows, size_t c, size_t k)
{
    const size_t vectors = (k + VW - 1) / VW, panels = (vectors + PANEL - 1) / PANEL;
    const size_t ldm = vectors * VW;

    for (size_t p = 0; p < panels; p++) {
        const size_t from = vectors * p / panels, to = vectors * (p + 1) / panels;
        const float *const up = u + from * VW * c;
        float *const mp = m + from * VW;

        switch (to - from) {
        case 3: product_panel(v, up, mp, rows, c, ldm, 3); break;
        case 2: product_panel(v, up, mp, rows, c, ldm, 2); break;
        default: product_panel(v, up, mp, rows, c, ldm, 1); break;
        }
    }
}

/* du[nr, nv vectors] += v[rows, nr]' n[rows, nv vectors] */
ALWAYS void
add_tile(const float *v, size_t ldv, const float *n, float *du, size_t rows, size_t ldn,
         int nr, int nv)
{
    vf s[ROWS][PANEL];

    UNROLL
    for (int i = 0; i < nr; i++)
        UNROLL
        for (int j = 0; j < nv; j++)
            s[i][j] = v_zero();
    UNROLL_4
    for (size_t r = 0; r < rows; r++, v += ldv, n += ldn) {
        vf b[PANEL];

        UNROLL
        for (int j = 0; j < nv; j++)
            b[j] = v_load(n + j * VW);
        UNROLL
        for (int i = 0; i < nr; i++) {
            const vf a = v_set(v[i]);

            UNROLL
            for (int j = 0; j < nv; j++)
                s[i][j] = v_fma(a, b[j], s[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < nr; i++)
        UNROLL
        for (int j = 0; j < nv; j++) {
            float *const p = du + (size_t)i * ldn + j * VW;

            v_store(p, v_add(v_load(p), s[i][j]));
        }
}

ALWAYS void
add_panel(const float *v, size_t ldv, const float *n, float *du, size_t rows, size_t c,
          size_t ldn, int nv)
{
    size_t q = 0;

    for (; q + ROWS <= c; q += ROWS)
        add_tile(v + q, ldv, n, du + q * ldn, rows, ldn, ROWS, nv);
    for (; q < c; q++)
        add_tile(v + q, ldv, n, du + q * ldn, rows, ldn, 1, nv);
}

static void
product_add(const float *v, size_t ldv, const float *n, float *du, size_t rows, size_t c,
            size_t k)
{
    const size_t vectors = (k + VW - 1) / VW, panels = (vectors + PANEL - 1) / PANEL;
    const size_t ldn = vectors * VW;

    for (size_t p = 0; p < panels; p++) {
        const size_t from = vectors * p / panels, to = vectors * (p + 1) / panels;
        const float *const np = n + from * VW;
        float *const dp = du + from * VW;

        switch (to - from) {
        case 3: add_panel(v, ldv, np, dp, rows, c, ldn, 3); break;
        case 2: add_panel(v, ldv, np, dp, rows, c, ldn, 2); break;
        default: add_panel(v, ldv, np, dp, rows, c, ldn, 1); break;
        }
    }
}

const struct voco_winograd BODY_EXPORT = {
    .lanes = VW, .panel = PANEL, .input = input, .input_slice = input_slice,
    .grad_slice = grad_slice, .output = output, .product = product,
    .product_add = product_add,
};
