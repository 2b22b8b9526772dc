/*
 * The transforms of Winograd tiles of 2^3 outputs, F(2,3): polynomials at 0, 1, -1 and
 * infinity.  B, A and G hold 0, 1, -1 and 1/2 only.
 */
#ifndef VOCO_SIMD_BODY_WINOGRAD_2_H
#define VOCO_SIMD_BODY_WINOGRAD_2_H

/* t = B' d along one axis */
ALWAYS void
b_axis_2(vf d0, vf d1, vf d2, vf d3, vf *t0, vf *t1, vf *t2, vf *t3)
{
    *t0 = v_sub(d0, d2);
    *t1 = v_add(d1, d2);
    *t2 = v_sub(d2, d1);
    *t3 = v_sub(d1, d3);
}

/* t[y 4 + x] = B' d B of a plane of 4 x 4 vectors */
ALWAYS void
b_2_plane(const vf d[16], vf t[16])
{
    vf r[16];

    UNROLL
    for (int i = 0; i < 4; i++)
        b_axis_2(d[4 * i], d[4 * i + 1], d[4 * i + 2], d[4 * i + 3], &r[4 * i],
               &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    UNROLL
    for (int i = 0; i < 4; i++)
        b_axis_2(r[i], r[4 + i], r[8 + i], r[12 + i], &t[i], &t[4 + i], &t[8 + i],
               &t[12 + i]);
}

ALWAYS void
split_2_of(const void *const *x, const bool bf16, size_t n, float *const *y)
{
    for (size_t i = 0; i < n; i += VW) {
        const size_t lanes = n - i < VW ? n - i : VW;
        vf d[4], t[4];

        UNROLL
        for (int z = 0; z < 4; z++)
            d[z] = load_line(x[z], bf16, i, lanes);
        b_axis_2(d[0], d[1], d[2], d[3], &t[0], &t[1], &t[2], &t[3]);
        UNROLL
        for (int a = 0; a < 4; a++)
            store(y[a] + i, t[a], lanes);
    }
}

static void
split_2(const void *const *x, bool bf16, size_t n, float *const *y)
{
    if (bf16)
        split_2_of(x, true, n, y);
    else
        split_2_of(x, false, n, y);
}

static const struct voco_winograd_row b_rows_2[4] = {
    { 2, { 0, 2 }, { 1, -1 } },
    { 2, { 1, 2 }, { 1, 1 } },
    { 2, { 2, 1 }, { 1, -1 } },
    { 2, { 1, 3 }, { 1, -1 } },
};
static const struct voco_winograd_row a_rows_2[4] = {
    { 1, { 0 }, { 1 } },
    { 2, { 0, 1 }, { 1, 1 } },
    { 2, { 0, 1 }, { 1, -1 } },
    { 1, { 1 }, { -1 } },
};

ALWAYS void
input_slice_2_vector(const float *x, size_t line, size_t c, size_t at, size_t n, float *v,
                     size_t stride)
{
    vf d[16], t[16];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        d[i] = load(x + i / 4 * line + i % 4 * c + at, n);
    b_2_plane(d, t);
    UNROLL
    for (size_t i = 0; i < 16; i++)
        store(v + i * stride + at, t[i], n);
}

static void
input_slice_2(const float *x, size_t line, size_t c, float *v, size_t stride)
{
    OVER_CHANNELS(c, input_slice_2_vector(x, line, c, at, n, v, stride));
}

/* t = A d along one axis */
ALWAYS void
a_axis_2(vf d0, vf d1, vf *t0, vf *t1, vf *t2, vf *t3)
{
    *t0 = d0;
    *t1 = v_add(d0, d1);
    *t2 = v_sub(d0, d1);
    *t3 = v_sub(v_zero(), d1);
}

ALWAYS void
grad_slice_2_vector(const float *dy, size_t line, size_t k, size_t at, size_t n, float *v,
                    size_t stride)
{
    vf r[8], t[16];

    UNROLL
    for (size_t i = 0; i < 2; i++)
        a_axis_2(load(dy + i * line + at, n), load(dy + i * line + k + at, n), &r[4 * i],
                 &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    UNROLL
    for (int i = 0; i < 4; i++)
        a_axis_2(r[i], r[4 + i], &t[i], &t[4 + i], &t[8 + i], &t[12 + i]);
    UNROLL
    for (size_t i = 0; i < 16; i++)
        v_store(v + i * stride + at, t[i]);
}

static void
grad_slice_2(const float *dy, size_t line, size_t k, float *v, size_t stride)
{
    OVER_CHANNELS(k, grad_slice_2_vector(dy, line, k, at, n, v, stride));
}

/* y = A' m along one axis */
ALWAYS void
o_axis_2(vf m0, vf m1, vf m2, vf m3, vf *y0, vf *y1)
{
    *y0 = v_add(v_add(m0, m1), m2);
    *y1 = v_sub(v_sub(m1, m2), m3);
}

ALWAYS void
output_2_vector(const float *m, size_t stride, size_t at, size_t n, float *const y[8],
                bool stream, const bool spread, float *moments, size_t kp)
{
    struct spread s = { v_zero(), v_zero(), v_zero() };
    vf t[2][16];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        o_axis_2(v_load(m + i * stride + at), v_load(m + (16 + i) * stride + at),
               v_load(m + (32 + i) * stride + at), v_load(m + (48 + i) * stride + at),
               &t[0][i], &t[1][i]);
    UNROLL
    for (int z = 0; z < 2; z++) {
        vf r[8];

        UNROLL
        for (int i = 0; i < 4; i++)
            o_axis_2(t[z][i], t[z][4 + i], t[z][8 + i], t[z][12 + i], &r[i], &r[4 + i]);
        UNROLL
        for (int i = 0; i < 2; i++) {
            vf a, b;

            o_axis_2(r[4 * i], r[4 * i + 1], r[4 * i + 2], r[4 * i + 3], &a, &b);
            put(y[4 * z + 2 * i] + at, a, n, stream);
            put(y[4 * z + 2 * i + 1] + at, b, n, stream);
            if (spread) {
                spread_add(&s, a, z == 0 && i == 0);
                spread_add(&s, b, false);
            }
        }
    }
    if (spread)
        spread_end(&s, 8, moments + at, moments + kp + at);
}

ALWAYS void
output_2_of(const float *m, size_t stride, size_t k, float *const *y, bool stream,
            const bool spread, float *moments)
{
    const size_t kp = (k + VW - 1) / VW * VW;

    OVER_CHANNELS(k, output_2_vector(m, stride, at, n, y, stream, spread, moments, kp));
}

static void
output_2(const float *m, size_t stride, size_t k, float *const *y, bool stream,
         float *moments)
{
    if (moments)
        output_2_of(m, stride, k, y, stream, true, moments);
    else
        output_2_of(m, stride, k, y, stream, false, NULL);
    if (stream)
        v_stream_end();
}

/* u = G g along one axis; numbers of g lie s apart, those of u r apart */
ALWAYS void
g_axis_2(const vf *g, int s, vf *u, int r)
{
    const vf even = v_mul(v_set(0.5f), v_add(g[0], g[2 * s]));
    const vf odd = v_mul(v_set(0.5f), g[s]);

    u[0] = g[0];
    u[r] = v_add(even, odd);
    u[2 * r] = v_sub(even, odd);
    u[3 * r] = g[2 * s];
}

static void
taps_2(const float *g, float *u, size_t stride)
{
    vf t[27], a[4 * 9], b[16 * 3];

    for (int i = 0; i < 27; i++)
        t[i] = v_load(g + i * VW);
    for (int i = 0; i < 9; i++)
        g_axis_2(t + i, 9, a + i, 9);
    for (int z = 0; z < 4; z++)
        for (int i = 0; i < 3; i++)
            g_axis_2(a + z * 9 + i, 3, b + z * 12 + i, 3);
    for (size_t i = 0; i < 16; i++) {
        vf line[4];

        g_axis_2(b + i * 3, 1, line, 1);
        for (size_t j = 0; j < 4; j++)
            v_store(u + (i * 4 + j) * stride, line[j]);
    }
}

/* g = G' u along one axis */
ALWAYS void
f_axis_2(const vf *u, int s, vf *g, int r)
{
    const vf even = v_mul(v_set(0.5f), v_add(u[s], u[2 * s]));

    g[0] = v_add(u[0], even);
    g[r] = v_mul(v_set(0.5f), v_sub(u[s], u[2 * s]));
    g[2 * r] = v_add(even, u[3 * s]);
}

static void
fold_2(const float *du, size_t stride, float *g)
{
    vf u[64], a[3 * 16], b[9 * 4], w[27];

    for (size_t f = 0; f < 64; f++)
        u[f] = v_load(du + f * stride);
    for (int i = 0; i < 16; i++)
        f_axis_2(u + i, 16, a + i, 16);
    for (int z = 0; z < 3; z++)
        for (int i = 0; i < 4; i++)
            f_axis_2(a + z * 16 + i, 4, b + z * 12 + i, 4);
    for (int i = 0; i < 9; i++)
        f_axis_2(b + i * 4, 1, w + i * 3, 1);
    for (int i = 0; i < 27; i++)
        v_store(g + i * VW, w[i]);
}

#endif
