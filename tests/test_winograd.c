/* The Winograd kernels of every instruction set against direct sums in double; AVX-512 is
 * also run in emulation where the headers of SIMDe were found. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "simd/winograd.h"
#include "tests/levels.h"

/* Sums of 27 c products of numbers in (-1,1), relative to the largest. */
static double
limit(const struct voco_winograd_tile *tile)
{
    return tile->out == 2 ? 2e-6 : 8e-6;
}

static const struct {
    size_t rows, c, k;
} sizes[] = { { 1, 1, 1 }, { 4, 8, 8 }, { 5, 12, 20 }, { 16, 16, 48 }, { 7, 48, 48 },
              { 9, 24, 96 }, { 3, 17, 5 }, { 13, 50, 64 }, { 8, 33, 112 } };
enum { N_SIZE = sizeof sizes / sizeof sizes[0], LEVELS = VOCO_ISA_COUNT + 1 };

/* Kernels of level i, from avx2 on; where they cannot run the test is left. */
static const struct voco_winograd *
level(int i)
{
    struct voco_isa_choice choice;
    struct voco_kernels k;

    if (i == VOCO_ISA_COUNT) {
#ifdef VOCO_EMULATE_AVX512
        return &voco_winograd_avx512_emulated;
#else
        emulation_or_skip();
#endif
    }
    ck_assert_int_eq(voco_kernels_select(voco_isa_name((enum voco_isa)i), &k, &choice), 0);
    level_or_skip(i, choice.chosen);
    return voco_winograd_kernels((enum voco_isa)i);
}

static float *
uniform(const char *name, size_t n)
{
    float *p = malloc(n * sizeof *p);

    voco_hash_uniform(7, name, (int64_t)n, -1.0, 1.0, p);
    return p;
}

/* place of tap t and output o in the tile */
static size_t
place(const struct voco_winograd_tile *tile, size_t t, size_t o)
{
    const size_t m = (size_t)tile->out, e = m + 2;
    const size_t z = t / 9 + o / (m * m), y = t / 3 % 3 + o / m % m, x = t % 3 + o % m;

    return (z * e + y) * e + x;
}

struct data {
    size_t rows, c, k, kp, voxels, outputs, points;
    float *x, *w, *dy;          /* [rows,voxels,c], [27,c,k], [rows,outputs,k] */
};

static void
tile_of(const float *x, size_t r, size_t points, size_t channels, const float **ret)
{
    for (size_t i = 0; i < points; i++)
        ret[i] = x + (r * points + i) * channels;
}

/* The same outputs again, around the caches where they may be, and their moments against sums in double. */
static void
check_moments(const struct voco_winograd_tile *tile, const struct data *d, const float *m,
              size_t stride, float *const *y)
{
    float *const moments = malloc(2 * d->kp * sizeof *moments);
    const double n = (double)d->outputs;

    tile->output(m, stride, d->k, y, d->k == d->kp, moments);
    for (size_t k = 0; k < d->k; k++) {
        double mean = 0, m2 = 0, size = 0;

        for (size_t o = 0; o < d->outputs; o++) {
            mean += (double)y[o][k] / n;
            size = fmax(size, fabs((double)y[o][k]));
        }
        for (size_t o = 0; o < d->outputs; o++)
            m2 += ((double)y[o][k] - mean) * ((double)y[o][k] - mean);
        ck_assert_double_eq_tol(moments[k], mean, 6e-7 * size);
        /* squares are summed about the first output, which may lie apart */
        ck_assert_double_eq_tol(moments[d->kp + k], m2, 2e-5 * m2 + 1e-12);
    }
    free(moments);
}

static void
planes_of(const float *x, size_t planes, size_t size, const void **ret)
{
    for (size_t i = 0; i < planes; i++)
        ret[i] = x + i * size;
}

/* u[f][c,k] in panels */
static void
transform_taps(const struct voco_winograd *w, const struct voco_winograd_tile *tile,
               const struct data *d, float *u)
{
    float *g = malloc(27 * w->lanes * sizeof *g);

    for (size_t c = 0; c < d->c; c++)
        for (size_t k = 0; k < d->kp; k += w->lanes) {
            for (size_t t = 0; t < 27; t++)
                for (size_t i = 0; i < w->lanes; i++)
                    g[t * w->lanes + i] = k + i < d->k
                                          ? d->w[(t * d->c + c) * d->k + k + i] : 0;
            tile->taps(g, u + voco_winograd_at(w, d->c, d->k, c, k), d->c * d->kp);
        }
    free(g);
}

/* v[f][rows,c] */
static void
transform_inputs(const struct voco_winograd_tile *tile, const struct data *d, float *v)
{
    const size_t e = (size_t)tile->out + 2, plane = e * e * d->c, vs = d->rows * d->c;
    float *planes = malloc(e * plane * sizeof *planes), *to[VOCO_WINOGRAD_MAX_EDGE];

    for (size_t a = 0; a < e; a++)
        to[a] = planes + a * plane;
    for (size_t r = 0; r < d->rows; r++) {
        const void *p[VOCO_WINOGRAD_MAX_EDGE];

        planes_of(d->x + r * d->voxels * d->c, e, plane, p);
        tile->split(p, false, plane, to);
        for (size_t a = 0; a < e; a++)
            tile->input_slice(to[a], e * d->c, d->c, v + a * e * e * vs + r * d->c, vs);
    }
    free(planes);
}

static void
check_forward(const struct voco_winograd *w, const struct voco_winograd_tile *tile,
              const struct data *d)
{
    const size_t vs = d->rows * d->c, ms = d->rows * d->kp, m_out = d->outputs;
    float *u = calloc(d->points * d->c * d->kp, sizeof *u);
    float *v = malloc(d->points * vs * sizeof *v), *m = malloc(d->points * ms * sizeof *m);
    const size_t bytes = (d->rows * m_out * d->k * sizeof(float) + 63) / 64 * 64;
    float *y = aligned_alloc(64, bytes);
    double worst = 0, largest = 0;

    transform_taps(w, tile, d, u);
    transform_inputs(tile, d, v);
    for (size_t f = 0; f < d->points; f++)
        w->product(v + f * vs, d->c, u + f * d->c * d->kp, m + f * ms, d->kp, d->rows, d->c,
                   d->k, tile->sum, false);
    for (size_t r = 0; r < d->rows; r++) {
        const float *p[VOCO_WINOGRAD_MAX_POINTS];

        tile_of(y, r, m_out, d->k, p);
        tile->output(m + r * d->kp, ms, d->k, (float *const *)p, false, NULL);
        check_moments(tile, d, m + r * d->kp, ms, (float *const *)p);
    }
    for (size_t r = 0; r < d->rows; r++)
        for (size_t o = 0; o < m_out; o++)
            for (size_t k = 0; k < d->k; k++) {
                double sum = 0;

                for (size_t t = 0; t < 27; t++) {
                    const float *x = d->x + (r * d->voxels + place(tile, t, o)) * d->c;

                    for (size_t c = 0; c < d->c; c++)
                        sum += (double)d->w[(t * d->c + c) * d->k + k] * (double)x[c];
                }
                largest = fmax(largest, fabs(sum));
                worst = fmax(worst, fabs(sum - (double)y[(r * m_out + o) * d->k + k]));
            }
    ck_assert_msg(worst <= limit(tile) * largest, "forward, %zu tiles of %d, %zu to %zu "
                  "channels: error %.1e of the largest", d->rows, tile->out, d->c, d->k,
                  worst / largest);
    free(u);
    free(v);
    free(m);
    free(y);
}

/* dw[27,c,kp] by all slices */
static void
transformed_weights(const struct voco_winograd *w, const struct voco_winograd_tile *tile,
                    const struct data *d, float *dw)
{
    const size_t vs = d->rows * d->c, ns = d->rows * d->kp, point = d->c * d->kp;
    const size_t m = (size_t)tile->out, e = m + 2;
    const void *p[VOCO_WINOGRAD_MAX_EDGE];
    float *plane = malloc(e * e * (d->c + d->k) * sizeof *plane);
    float *du = calloc(d->points * point, sizeof *du);
    float *v = malloc(e * e * vs * sizeof *v), *n = malloc(e * e * ns * sizeof *n);
    float *g = malloc(27 * w->lanes * sizeof *g);

    for (size_t a = 0; a < e; a++) {
        for (size_t r = 0; r < d->rows; r++) {
            planes_of(d->x + r * d->voxels * d->c, e, e * e * d->c, p);
            w->combine(&tile->b[a], p, false, e * e * d->c, plane);
            tile->input_slice(plane, e * d->c, d->c, v + r * d->c, vs);
            planes_of(d->dy + r * d->outputs * d->k, m, m * m * d->k, p);
            w->combine(&tile->a[a], p, false, m * m * d->k, plane);
            tile->grad_slice(plane, m * d->k, d->k, n + r * d->kp, ns);
        }
        for (size_t i = 0; i < e * e; i++)
            w->product_add(v + i * vs, d->c, n + i * ns, d->kp,
                           du + (a * e * e + i) * point, d->kp, d->rows, d->c, d->k);
    }
    for (size_t i = 0; i < point; i += w->lanes) {
        tile->fold(du + i, point, g);
        for (size_t t = 0; t < 27; t++)
            memcpy(dw + t * point + i, g + t * w->lanes, w->lanes * sizeof *g);
    }
    free(du);
    free(v);
    free(n);
    free(g);
    free(plane);
}

static void
check_weights(const struct voco_winograd *w, const struct voco_winograd_tile *tile,
              const struct data *d)
{
    float *dw = malloc(27 * d->c * d->kp * sizeof *dw);
    double worst = 0, largest = 0;

    transformed_weights(w, tile, d, dw);
    for (size_t t = 0; t < 27; t++)
        for (size_t c = 0; c < d->c; c++)
            for (size_t k = 0; k < d->k; k++) {
                const double got = (double)dw[(t * d->c + c) * d->kp + k];
                double want = 0;

                for (size_t r = 0; r < d->rows; r++)
                    for (size_t o = 0; o < d->outputs; o++)
                        want += (double)d->dy[(r * d->outputs + o) * d->k + k]
                                * (double)d->x[(r * d->voxels + place(tile, t, o)) * d->c
                                               + c];
                largest = fmax(largest, fabs(want));
                worst = fmax(worst, fabs(want - got));
            }
    ck_assert_msg(worst <= limit(tile) * largest, "d-weights, %zu tiles of %d, %zu to %zu "
                  "channels: error %.1e of the largest", d->rows, tile->out, d->c, d->k,
                  worst / largest);
    free(dw);
}

static void
check_tile(const struct voco_winograd *w, const struct voco_winograd_tile *tile, int i)
{
    const size_t m = (size_t)tile->out, e = m + 2;
    struct data d = { .rows = sizes[i].rows, .c = sizes[i].c, .k = sizes[i].k,
                      .kp = voco_winograd_round(w, sizes[i].k), .voxels = e * e * e,
                      .outputs = m * m * m, .points = e * e * e };

    d.x = uniform("x", d.rows * d.voxels * d.c);
    d.w = uniform("w", 27 * d.c * d.k);
    d.dy = uniform("dy", d.rows * d.outputs * d.k);
    check_forward(w, tile, &d);
    check_weights(w, tile, &d);
    free(d.x);
    free(d.w);
    free(d.dy);
}

START_TEST(tiles_equal_direct_sums)
{
    const struct voco_winograd *w = level(_i);

    for (int i = 0; i < N_SIZE; i++)
        for (int j = 0; j < 2; j++)
            check_tile(w, &w->tile[j], i);
}
END_TEST

/* Lines of bfloat16 give what the same numbers in f32 do, and NULL what zeros do. */
START_TEST(lines_may_be_bfloat16_and_missing)
{
    const struct voco_winograd *w = level(_i);
    enum { N = 77 };

    for (int j = 0; j < 2; j++) {
        const struct voco_winograd_tile *tile = &w->tile[j];
        const int e = tile->out + 2;
        static uint16_t half[VOCO_WINOGRAD_MAX_EDGE][N];
        static float wide[VOCO_WINOGRAD_MAX_EDGE][N];
        static float y[2][VOCO_WINOGRAD_MAX_EDGE][N];
        const void *lines[2][VOCO_WINOGRAD_MAX_EDGE];
        float *to[2][VOCO_WINOGRAD_MAX_EDGE];

        for (int z = 0; z < e; z++) {
            for (int i = 0; i < N; i++) {       /* -1.5 to 1.5, and a line of zeros */
                const uint32_t bits = (uint32_t)(z == 1 ? 0 : 0x3f80 + (i * 7 + z) % 64
                                                 + (i % 3 == 0 ? 0x8000 : 0)) << 16;

                memcpy(&wide[z][i], &bits, sizeof bits);
                half[z][i] = (uint16_t)(bits >> 16);
            }
            lines[0][z] = wide[z];
            lines[1][z] = z == 1 ? NULL : half[z];
            to[0][z] = y[0][z];
            to[1][z] = y[1][z];
        }
        for (int k = 0; k < 2; k++)
            tile->split(lines[k], k == 1, N, to[k]);
        ck_assert_mem_eq(y[0], y[1], (size_t)e * sizeof y[0][0]);
        for (int a = 0; a < e; a++) {
            for (int k = 0; k < 2; k++)
                w->combine(&tile->b[a], lines[k], k == 1, N, y[k][0]);
            for (int i = 0; i < N; i++)         /* -0 and 0 are equal */
                ck_assert(y[0][0][i] == y[1][0][i]);
        }
    }
}
END_TEST

/* Taps of some filters among others, to lanes and back; nothing else is touched. */
START_TEST(taps_go_to_lanes_and_back)
{
    const struct voco_winograd *w = level(_i);
    enum { TAPS = 27, STEP = 2 * TAPS + 1 };

    for (size_t n = 1; n <= w->lanes; n++)
        for (int reversed = 0; reversed < 2; reversed++) {
            const size_t stride = w->lanes + 3;
            float *from = uniform("taps", STEP * n), *to = uniform("sums", STEP * n);
            float *const want = malloc(STEP * n * sizeof *want);
            float *const g = malloc(TAPS * stride * sizeof *g);

            for (size_t i = 0; i < STEP * n; i++) {
                const size_t j = i / STEP, t = i % STEP;
                const size_t tap = reversed ? TAPS - 1 - t : t;

                want[i] = to[i] + (t < TAPS ? from[j * STEP + tap] : 0);
            }
            w->to_lanes(from, STEP, n, reversed, g, stride);
            for (size_t t = 0; t < TAPS; t++)
                for (size_t j = 0; j < w->lanes; j++) {
                    const size_t tap = reversed ? TAPS - 1 - t : t;

                    ck_assert(g[t * stride + j] == (j < n ? from[j * STEP + tap] : 0));
                }
            w->from_lanes(g, stride, to, STEP, n);
            ck_assert_mem_eq(to, want, STEP * n * sizeof *to);
            free(from);
            free(to);
            free(want);
            free(g);
        }
}
END_TEST

START_TEST(panels_place_every_weight_once)
{
    const struct voco_winograd *w = level(_i);

    for (size_t k = 1; k <= 200; k += 7) {
        const size_t c = 3, kp = voco_winograd_round(w, k);
        char *seen = calloc(c * kp, 1);

        for (size_t i = 0; i < c; i++)
            for (size_t j = 0; j < kp; j++) {
                const size_t at = voco_winograd_at(w, c, k, i, j);

                ck_assert_uint_lt(at, c * kp);
                ck_assert_int_eq(seen[at], 0);
                seen[at] = 1;
            }
        free(seen);
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("winograd");
    TCase *c = tcase_create("kernels");

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, tiles_equal_direct_sums, VOCO_ISA_AVX2, LEVELS);
    tcase_add_loop_test(c, lines_may_be_bfloat16_and_missing, VOCO_ISA_AVX2, LEVELS);
    tcase_add_loop_test(c, taps_go_to_lanes_and_back, VOCO_ISA_AVX2, LEVELS);
    tcase_add_loop_test(c, panels_place_every_weight_once, VOCO_ISA_AVX2, LEVELS);
    suite_add_tcase(s, c);
    return s;
}
