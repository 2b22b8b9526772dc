/*
 * The transforms of Winograd tiles of 4^3 outputs, F(4,3): polynomials at 0, a, -a, b, -b
 * and infinity.  Each pair of signs shares its even and odd halves.
 */
#ifndef VOCO_SIMD_BODY_WINOGRAD_4_H
#define VOCO_SIMD_BODY_WINOGRAD_4_H

enum { PLANE_4 = 36, TILE_4 = 216 };

#define A1 0.6875f                              /* a = 11/16 */
#define B1 1.375f                               /* b = 11/8 */
#define A2 (A1 * A1)                            /* all of these are floats exactly */
#define B2 (B1 * B1)
#define P0 (A2 * B2)                            /* (x^2 - a^2)(x^2 - b^2) */
#define P2 (A2 + B2)                            /* = x^4 - P2 x^2 + P0 */
#define A0 (1 / (2 * A2 * (A2 - B2)))           /* row a of G is A0 (1, a, a^2) */
#define B0 (1 / (2 * B2 * (B2 - A2)))

/* ---- one axis; numbers that are read lie s apart, those of the result r apart ---- */

/* t[6] = B' d[6] */
ALWAYS void
b_axis_4(const vf *d, int s, vf *t, int r)
{
    const vf even_a = v_fnma(v_set(B2), d[2 * s], d[4 * s]);
    const vf odd_a = v_fnma(v_set(B2), d[s], d[3 * s]);
    const vf even_b = v_fnma(v_set(A2), d[2 * s], d[4 * s]);
    const vf odd_b = v_fnma(v_set(A2), d[s], d[3 * s]);

    t[0] = v_fma(v_set(P0), d[0], v_fnma(v_set(P2), d[2 * s], d[4 * s]));
    t[r] = v_fma(v_set(A1), odd_a, even_a);
    t[2 * r] = v_fnma(v_set(A1), odd_a, even_a);
    t[3 * r] = v_fma(v_set(B1), odd_b, even_b);
    t[4 * r] = v_fnma(v_set(B1), odd_b, even_b);
    t[5 * r] = v_fma(v_set(P0), d[s], v_fnma(v_set(P2), d[3 * s], d[5 * s]));
}

/* y[4] = A' t[6] */
ALWAYS void
o_axis_4(const vf *t, int s, vf *y, int r)
{
    const vf even_a = v_add(t[s], t[2 * s]), odd_a = v_sub(t[s], t[2 * s]);
    const vf even_b = v_add(t[3 * s], t[4 * s]), odd_b = v_sub(t[3 * s], t[4 * s]);

    y[0] = v_add(v_add(even_a, even_b), t[0]);
    y[r] = v_fma(v_set(A1), odd_a, v_mul(v_set(B1), odd_b));
    y[2 * r] = v_fma(v_set(A2), even_a, v_mul(v_set(B2), even_b));
    y[3 * r] = v_fma(v_set(A1 * A2), odd_a, v_fma(v_set(B1 * B2), odd_b, t[5 * s]));
}

/* t[6] = A y[4] */
ALWAYS void
a_axis_4(const vf *y, int s, vf *t, int r)
{
    const vf even_a = v_fma(v_set(A2), y[2 * s], y[0]);
    const vf odd_a = v_fma(v_set(A2), y[3 * s], y[s]);
    const vf even_b = v_fma(v_set(B2), y[2 * s], y[0]);
    const vf odd_b = v_fma(v_set(B2), y[3 * s], y[s]);

    t[0] = y[0];
    t[r] = v_fma(v_set(A1), odd_a, even_a);
    t[2 * r] = v_fnma(v_set(A1), odd_a, even_a);
    t[3 * r] = v_fma(v_set(B1), odd_b, even_b);
    t[4 * r] = v_fnma(v_set(B1), odd_b, even_b);
    t[5 * r] = y[3 * s];
}

/* u[6] = G g[3] */
ALWAYS void
g_axis_4(const vf *g, int s, vf *u, int r)
{
    const vf even_a = v_mul(v_set(A0), v_fma(v_set(A2), g[2 * s], g[0]));
    const vf even_b = v_mul(v_set(B0), v_fma(v_set(B2), g[2 * s], g[0]));

    u[0] = v_mul(v_set(1 / P0), g[0]);
    u[r] = v_fma(v_set(A0 * A1), g[s], even_a);
    u[2 * r] = v_fnma(v_set(A0 * A1), g[s], even_a);
    u[3 * r] = v_fma(v_set(B0 * B1), g[s], even_b);
    u[4 * r] = v_fnma(v_set(B0 * B1), g[s], even_b);
    u[5 * r] = g[2 * s];
}

/* g[3] = G' u[6] */
ALWAYS void
f_axis_4(const vf *u, int s, vf *g, int r)
{
    const vf even_a = v_add(u[s], u[2 * s]), odd_a = v_sub(u[s], u[2 * s]);
    const vf even_b = v_add(u[3 * s], u[4 * s]), odd_b = v_sub(u[3 * s], u[4 * s]);

    g[0] = v_fma(v_set(A0), even_a, v_fma(v_set(B0), even_b, v_mul(v_set(1 / P0), u[0])));
    g[r] = v_fma(v_set(A0 * A1), odd_a, v_mul(v_set(B0 * B1), odd_b));
    g[2 * r] = v_fma(v_set(A0 * A2), even_a, v_fma(v_set(B0 * B2), even_b, u[5 * s]));
}

/* ---- weights ---- */

static void
taps_4(const float *g, float *u, size_t stride)
{
    vf t[27], a[6 * 9], b[PLANE_4 * 3];

    for (int i = 0; i < 27; i++)
        t[i] = v_load(g + i * VW);
    for (int i = 0; i < 9; i++)
        g_axis_4(t + i, 9, a + i, 9);
    for (int z = 0; z < 6; z++)
        for (int i = 0; i < 3; i++)
            g_axis_4(a + z * 9 + i, 3, b + z * 18 + i, 3);
    for (size_t i = 0; i < PLANE_4; i++) {
        vf line[6];

        g_axis_4(b + i * 3, 1, line, 1);
        for (size_t j = 0; j < 6; j++)
            v_store(u + (i * 6 + j) * stride, line[j]);
    }
}

static void
fold_4(const float *du, size_t stride, float *g)
{
    vf a[3 * PLANE_4], b[9 * 6], w[27];

    for (size_t i = 0; i < PLANE_4; i++) {
        vf u[6];

        for (size_t j = 0; j < 6; j++)
            u[j] = v_load(du + (j * PLANE_4 + i) * stride);
        f_axis_4(u, 1, a + i, PLANE_4);
    }
    for (int z = 0; z < 3; z++)
        for (int i = 0; i < 6; i++)
            f_axis_4(a + z * PLANE_4 + i, 6, b + z * 18 + i, 6);
    for (int i = 0; i < 9; i++)
        f_axis_4(b + i * 6, 1, w + i * 3, 1);
    for (int i = 0; i < 27; i++)
        v_store(g + i * VW, w[i]);
}

/* ---- whole tiles ---- */

/* t[36] = B' d B of a plane d[36] */
ALWAYS void
b_4_plane(const vf *d, vf *t)
{
    vf r[PLANE_4];

    UNROLL
    for (int i = 0; i < 6; i++)
        b_axis_4(d + i * 6, 1, r + i * 6, 1);
    UNROLL
    for (int i = 0; i < 6; i++)
        b_axis_4(r + i, 6, t + i, 6);
}

ALWAYS void
split_4_of(const void *const *x, const bool bf16, size_t n, float *const *y)
{
    for (size_t i = 0; i < n; i += VW) {
        const size_t lanes = n - i < VW ? n - i : VW;
        vf d[6], t[6];

        UNROLL
        for (int z = 0; z < 6; z++)
            d[z] = load_line(x[z], bf16, i, lanes);
        b_axis_4(d, 1, t, 1);
        UNROLL
        for (int a = 0; a < 6; a++)
            store(y[a] + i, t[a], lanes);
    }
}

static void
split_4(const void *const *x, bool bf16, size_t n, float *const *y)
{
    if (bf16)
        split_4_of(x, true, n, y);
    else
        split_4_of(x, false, n, y);
}

ALWAYS void
output_4_vector(const float *m, size_t stride, size_t at, size_t n, float *const *y,
                bool stream, const bool spread, float *moments, size_t kp)
{
    struct spread s = { v_zero(), v_zero(), v_zero() };
    vf tile[4 * PLANE_4];

    for (size_t i = 0; i < PLANE_4; i++) {
        vf t[6];

        UNROLL
        for (size_t a = 0; a < 6; a++)
            t[a] = v_load(m + (a * PLANE_4 + i) * stride + at);
        o_axis_4(t, 1, tile + i, PLANE_4);
    }
    for (int z = 0; z < 4; z++, y += 16) {
        vf r[4 * 6];

        UNROLL
        for (int i = 0; i < 6; i++)
            o_axis_4(tile + z * PLANE_4 + i, 6, r + i, 6);
        UNROLL
        for (int i = 0; i < 4; i++) {
            vf t[4];

            o_axis_4(r + i * 6, 1, t, 1);
            UNROLL
            for (int j = 0; j < 4; j++) {
                put(y[i * 4 + j] + at, t[j], n, stream);
                if (spread)
                    spread_add(&s, t[j], z == 0 && i == 0 && j == 0);
            }
        }
    }
    if (spread)
        spread_end(&s, 64, moments + at, moments + kp + at);
}

ALWAYS void
output_4_of(const float *m, size_t stride, size_t k, float *const *y, bool stream,
            const bool spread, float *moments)
{
    const size_t kp = (k + VW - 1) / VW * VW;

    OVER_CHANNELS(k, output_4_vector(m, stride, at, n, y, stream, spread, moments, kp));
}

static void
output_4(const float *m, size_t stride, size_t k, float *const *y, bool stream,
         float *moments)
{
    if (moments)
        output_4_of(m, stride, k, y, stream, true, moments);
    else
        output_4_of(m, stride, k, y, stream, false, NULL);
    if (stream)
        v_stream_end();
}

/* ---- slices: one point of the outer axis ---- */

static const struct voco_winograd_row b_rows_4[6] = {
    { 3, { 4, 2, 0 }, { 1, -P2, P0 } },
    { 4, { 4, 3, 2, 1 }, { 1, A1, -B2, -A1 * B2 } },
    { 4, { 4, 3, 2, 1 }, { 1, -A1, -B2, A1 * B2 } },
    { 4, { 4, 3, 2, 1 }, { 1, B1, -A2, -B1 * A2 } },
    { 4, { 4, 3, 2, 1 }, { 1, -B1, -A2, B1 * A2 } },
    { 3, { 5, 3, 1 }, { 1, -P2, P0 } },
};
static const struct voco_winograd_row a_rows_4[6] = {
    { 1, { 0 }, { 1 } },
    { 4, { 0, 1, 2, 3 }, { 1, A1, A2, A1 * A2 } },
    { 4, { 0, 1, 2, 3 }, { 1, -A1, A2, -A1 * A2 } },
    { 4, { 0, 1, 2, 3 }, { 1, B1, B2, B1 * B2 } },
    { 4, { 0, 1, 2, 3 }, { 1, -B1, B2, -B1 * B2 } },
    { 1, { 3 }, { 1 } },
};

ALWAYS void
input_slice_4_vector(const float *x, size_t line, size_t c, size_t at, size_t n, float *v,
                     size_t stride)
{
    vf d[PLANE_4], t[PLANE_4];

    UNROLL
    for (size_t i = 0; i < 6; i++)
        UNROLL
        for (size_t j = 0; j < 6; j++)
            d[i * 6 + j] = load(x + i * line + j * c + at, n);
    b_4_plane(d, t);
    UNROLL
    for (size_t i = 0; i < PLANE_4; i++)
        store(v + i * stride + at, t[i], n);
}

static void
input_slice_4(const float *x, size_t line, size_t c, float *v, size_t stride)
{
    OVER_CHANNELS(c, input_slice_4_vector(x, line, c, at, n, v, stride));
}

ALWAYS void
grad_slice_4_vector(const float *dy, size_t line, size_t k, size_t at, size_t n, float *v,
                    size_t stride)
{
    vf d[16], r[24], t[PLANE_4];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        d[i] = load(dy + i / 4 * line + i % 4 * k + at, n);
    UNROLL
    for (int i = 0; i < 4; i++)
        a_axis_4(d + i * 4, 1, r + i * 6, 1);
    UNROLL
    for (int i = 0; i < 6; i++)
        a_axis_4(r + i, 6, t + i, 6);
    UNROLL
    for (size_t i = 0; i < PLANE_4; i++)
        v_store(v + i * stride + at, t[i]);
}

static void
grad_slice_4(const float *dy, size_t line, size_t k, float *v, size_t stride)
{
    OVER_CHANNELS(k, grad_slice_4_vector(dy, line, k, at, n, v, stride));
}

#endif
