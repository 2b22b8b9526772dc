/*
 * The Winograd kernels of one instruction set: the includer has included vec_*.h and
 * defined ROWS (rows of a product in flight) and BODY_EXPORT (the table's name).
 *
 * Here the matrix products; the transforms are body_winograd_2.h and body_winograd_4.h.
 * Vectors run along channels.  Transforms work on one tile and VW channels at a time; the
 * last, partial vector takes the same code with masked loads and stores.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "simd/unroll.h"
#include "simd/winograd.h"

enum { PANEL = 3 };             /* vectors of k in flight */

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

ALWAYS void
put(float *p, vf x, size_t n, bool stream)
{
    if (stream)
        v_stream(p, x);
    else
        store(p, x, n);
}

/* call for the channels in whole vectors, and once more for the rest: it is about n
 * channels from `at` on.  n is a constant in the first. */
#define OVER_CHANNELS(c, call)                          \
    do {                                                \
        size_t at = 0;                                  \
                                                        \
        for (; at + VW <= (c); at += VW) {              \
            const size_t n = VW;                        \
                                                        \
            call;                                       \
        }                                               \
        if (at < (c)) {                                 \
            const size_t n = (c) - at;                  \
                                                        \
            call;                                       \
        }                                               \
    } while (0)

/* The first output of a tile, and sums of the distances from it. */
struct spread {
    vf first, sum, squares;
};

ALWAYS void
spread_add(struct spread *s, vf y, bool first)
{
    vf d;

    if (first)
        *s = (struct spread){ y, v_zero(), v_zero() };
    d = v_sub(y, s->first);

    s->sum = v_add(s->sum, d);
    s->squares = v_fma(d, d, s->squares);
}

/* Of n outputs: their mean, and the sum of squared distances from it. */
ALWAYS void
spread_end(const struct spread *s, float n, float *mean, float *m2)
{
    const vf off = v_mul(s->sum, v_set(1 / n));

    v_store(mean, v_add(s->first, off));
    v_store(m2, v_fnma(off, s->sum, s->squares));
}

/* Elements i on of a line; of one that is NULL, zeros. */
ALWAYS vf
load_line(const void *x, const bool bf16, size_t i, size_t n)
{
    uint16_t last[VW] = { 0 };

    if (!x)
        return v_zero();
    if (!bf16)
        return load((const float *)x + i, n);
    if (n == VW)
        return v_load_bf16((const uint16_t *)x + i);
    memcpy(last, (const uint16_t *)x + i, n * sizeof *last);
    return v_load_bf16(last);
}

#include "simd/body_winograd_2.h"
#include "simd/body_winograd_4.h"

enum { TAPS = 27 };

/* VW taps at a time, at last those that are left and some before them. */
static void
to_lanes(const float *w, size_t step, size_t n, bool reversed, float *g, size_t stride)
{
    for (size_t at = 0; at < TAPS; at += VW) {
        const size_t from = at + VW <= TAPS ? at : TAPS - VW;
        vf r[VW];

        for (size_t j = 0; j < VW; j++)
            r[j] = j < n ? v_load(w + j * step + from) : v_zero();
        v_transpose(r);
        for (size_t t = at; t < from + VW; t++)
            v_store(g + (reversed ? TAPS - 1 - t : t) * stride, r[t - from]);
    }
}

static void
from_lanes(const float *g, size_t stride, float *dw, size_t step, size_t n)
{
    for (size_t at = 0; at < TAPS; at += VW) {
        const size_t from = at + VW <= TAPS ? at : TAPS - VW;
        vf r[VW];

        for (size_t t = from; t < from + VW; t++)
            r[t - from] = t < at ? v_zero() : v_load(g + t * stride);
        v_transpose(r);
        for (size_t j = 0; j < VW && j < n; j++) {
            float *const p = dw + j * step + from;

            v_store(p, v_add(v_load(p), r[j]));
        }
    }
}

ALWAYS void
combine_terms(const void *const *x, const float *factor, const int terms,
              const bool bf16, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += VW) {
        const size_t lanes = n - i < VW ? n - i : VW;
        vf s = v_mul(v_set(factor[0]), load_line(x[0], bf16, i, lanes));

        UNROLL
        for (int j = 1; j < terms; j++)
            s = v_fma(v_set(factor[j]), load_line(x[j], bf16, i, lanes), s);
        store(y + i, s, lanes);
    }
}

ALWAYS void
combine_of(const struct voco_winograd_row *row, const void *const *x, const bool bf16,
           size_t n, float *y)
{
    const void *line[4];
    float factor[4];
    int terms = 0;

    for (int j = 0; j < row->terms; j++)
        if (x[row->place[j]]) {
            line[terms] = x[row->place[j]];
            factor[terms++] = row->factor[j];
        }
    switch (terms) {
    case 0: memset(y, 0, n * sizeof *y); break;
    case 1: combine_terms(line, factor, 1, bf16, n, y); break;
    case 2: combine_terms(line, factor, 2, bf16, n, y); break;
    case 3: combine_terms(line, factor, 3, bf16, n, y); break;
    default: combine_terms(line, factor, 4, bf16, n, y); break;
    }
}

static void
combine(const struct voco_winograd_row *row, const void *const *x, bool bf16, size_t n,
        float *y)
{
    if (bf16)
        combine_of(row, x, true, n, y);
    else
        combine_of(row, x, false, n, y);
}

/* p, of which the compiler knows nothing: see body_gemm.h. */
ALWAYS float *
hidden(float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* m[nr, nv vectors] = v[nr, c] u[c, nv vectors], or += for sums after the first */
ALWAYS void
product_sum(const float *v, const float *u, float *m, size_t ldv, size_t c, size_t ldm,
            int nr, int nv, bool first)
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
            const vf a = v_set(v[(size_t)i * ldv + q]);

            UNROLL
            for (int j = 0; j < nv; j++)
                s[i][j] = v_fma(a, b[j], s[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < nr; i++, m = hidden(m + ldm))
        UNROLL
        for (int j = 0; j < nv; j++)
            v_store(m + j * VW, first ? s[i][j] : v_add(v_load(m + j * VW), s[i][j]));
}

ALWAYS void
product_tile(const float *v, size_t ldv, const float *u, float *m, size_t c, size_t ldm,
             int nr, int nv, size_t sum, bool add)
{
    size_t q = c < sum ? c : sum;

    product_sum(v, u, m, ldv, q, ldm, nr, nv, !add);
    for (; q < c; q += sum)
        product_sum(v + q, u + q * (size_t)nv * VW, m, ldv, c - q < sum ? c - q : sum, ldm,
                    nr, nv, false);
}

ALWAYS void
product_panel(const float *v, size_t ldv, const float *u, float *m, size_t rows, size_t c,
              size_t ldm, int nv, size_t sum, bool add)
{
    size_t r = 0;

    for (; r + ROWS <= rows; r += ROWS)
        product_tile(v + r * ldv, ldv, u, m + r * ldm, c, ldm, ROWS, nv, sum, add);
    for (; r < rows; r++)
        product_tile(v + r * ldv, ldv, u, m + r * ldm, c, ldm, 1, nv, sum, add);
}

static void
product(const float *v, size_t ldv, const float *u, float *m, size_t ldm, size_t rows,
        size_t c, size_t k, size_t sum, bool add)
{
    const size_t vectors = (k + VW - 1) / VW, panels = (vectors + PANEL - 1) / PANEL;

    for (size_t p = 0; p < panels; p++) {
        const size_t from = vectors * p / panels, to = vectors * (p + 1) / panels;
        const float *const up = u + from * VW * c;
        float *const mp = m + from * VW;

        switch (to - from) {
        case 3: product_panel(v, ldv, up, mp, rows, c, ldm, 3, sum, add); break;
        case 2: product_panel(v, ldv, up, mp, rows, c, ldm, 2, sum, add); break;
        default: product_panel(v, ldv, up, mp, rows, c, ldm, 1, sum, add); break;
        }
    }
}

/* du[nr, nv vectors] += v[rows, nr]' n[rows, nv vectors] */
ALWAYS void
add_tile(const float *v, size_t ldv, const float *n, size_t ldn, float *du, size_t ldu,
         size_t rows, int nr, int nv)
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
    for (int i = 0; i < nr; i++, du = hidden(du + ldu))
        UNROLL
        for (int j = 0; j < nv; j++)
            v_store(du + j * VW, v_add(v_load(du + j * VW), s[i][j]));
}

ALWAYS void
add_panel(const float *v, size_t ldv, const float *n, size_t ldn, float *du, size_t ldu,
          size_t rows, size_t c, int nv)
{
    size_t q = 0;

    for (; q + ROWS <= c; q += ROWS)
        add_tile(v + q, ldv, n, ldn, du + q * ldu, ldu, rows, ROWS, nv);
    for (; q < c; q++)
        add_tile(v + q, ldv, n, ldn, du + q * ldu, ldu, rows, 1, nv);
}

static void
product_add(const float *v, size_t ldv, const float *n, size_t ldn, float *du, size_t ldu,
            size_t rows, size_t c, size_t k)
{
    const size_t vectors = (k + VW - 1) / VW, panels = (vectors + PANEL - 1) / PANEL;

    for (size_t p = 0; p < panels; p++) {
        const size_t from = vectors * p / panels, to = vectors * (p + 1) / panels;
        const float *const np = n + from * VW;
        float *const dp = du + from * VW;

        switch (to - from) {
        case 3: add_panel(v, ldv, np, ldn, dp, ldu, rows, c, 3); break;
        case 2: add_panel(v, ldv, np, ldn, dp, ldu, rows, c, 2); break;
        default: add_panel(v, ldv, np, ldn, dp, ldu, rows, c, 1); break;
        }
    }
}

const struct voco_winograd BODY_EXPORT = {
    .lanes = VW, .panel = PANEL, .combine = combine, .to_lanes = to_lanes,
    .from_lanes = from_lanes, .product = product,
    .product_add = product_add,
    .tile = {
        { .out = 2, .sum = SIZE_MAX, .taps = taps_2, .b = b_rows_2, .a = a_rows_2,
          .split = split_2, .input_slice = input_slice_2, .grad_slice = grad_slice_2, .output = output_2,
          .fold = fold_2 },
        { .out = 4, .sum = 16, .taps = taps_4, .b = b_rows_4, .a = a_rows_4,
          .split = split_4, .input_slice = input_slice_4, .grad_slice = grad_slice_4, .output = output_4,
          .fold = fold_4 },
    },
};
