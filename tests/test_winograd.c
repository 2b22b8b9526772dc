/* The Winograd kernels of every instruction set against direct sums in double; AVX-512 is
 * also run in emulation where the headers of SIMDe were found. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"
#include "simd/winograd.h"

/* Sums of 27 c products of numbers in (-1,1), relative to the largest. */
static const double limit = 2e-6;

static const struct {
    size_t rows, c, k;
} sizes[] = { { 1, 1, 1 }, { 4, 8, 8 }, { 5, 12, 20 }, { 16, 16, 48 }, { 7, 48, 48 },
              { 9, 24, 96 }, { 3, 17, 5 }, { 13, 50, 64 }, { 8, 33, 112 } };
enum { N_SIZE = sizeof sizes / sizeof sizes[0], LEVELS = VOCO_ISA_COUNT + 1 };

static const struct voco_winograd *
level(int i)
{
    struct voco_isa_choice choice;
    struct voco_kernels k;

    if (i == VOCO_ISA_COUNT) {
#ifdef VOCO_EMULATE_AVX512
        return &voco_winograd_avx512_emulated;
#else
        return NULL;
#endif
    }
    ck_assert_int_eq(voco_kernels_select(voco_isa_name((enum voco_isa)i), &k, &choice), 0);
    return (int)choice.chosen == i ? voco_winograd_kernels((enum voco_isa)i) : NULL;
}

static float *
uniform(const char *name, size_t n)
{
    float *p = malloc(n * sizeof *p);

    voco_hash_uniform(7, name, (int64_t)n, -1.0, 1.0, p);
    return p;
}

static const double g[4][3] = { { 1, 0, 0 }, { .5, .5, .5 }, { .5, -.5, .5 }, { 0, 0, 1 } };

static double
g3(size_t f, size_t t)
{
    return g[f / 16][t / 9] * g[f / 4 % 4][t / 3 % 3] * g[f % 4][t % 3];
}

/* place of tap t and output o in the 4^3 tile */
static size_t
place(size_t t, size_t o)
{
    const size_t z = t / 9 + o / 4, y = t / 3 % 3 + o / 2 % 2, x = t % 3 + o % 2;

    return (z * 4 + y) * 4 + x;
}

struct data {
    size_t rows, c, k, kp;
    float *x, *w, *dy;          /* [rows,64,c], [27,c,k], [rows,8,k] */
};

static void
tile_of(const float *x, size_t r, size_t points, size_t channels, const float **ret)
{
    for (size_t i = 0; i < points; i++)
        ret[i] = x + (r * points + i) * channels;
}

static void
check_forward(const struct voco_winograd *w, const struct data *d)
{
    const size_t vs = d->rows * d->c, ms = d->rows * d->kp;
    float *u = calloc(64 * d->c * d->kp, sizeof *u), *v = malloc(64 * vs * sizeof *v);
    float *m = malloc(64 * ms * sizeof *m), *y = malloc(d->rows * 8 * d->k * sizeof *y);
    double worst = 0, largest = 0;

    for (size_t f = 0; f < 64; f++)
        for (size_t c = 0; c < d->c; c++)
            for (size_t k = 0; k < d->k; k++) {
                double sum = 0;

                for (size_t t = 0; t < 27; t++)
                    sum += g3(f, t) * (double)d->w[(t * d->c + c) * d->k + k];
                u[f * d->c * d->kp + voco_winograd_at(w, d->c, d->k, c, k)] = (float)sum;
            }
    for (size_t r = 0; r < d->rows; r++) {
        const float *p[64];

        tile_of(d->x, r, 64, d->c, p);
        w->input(p, d->c, v + r * d->c, vs);
    }
    for (size_t f = 0; f < 64; f++)
        w->product(v + f * vs, u + f * d->c * d->kp, m + f * ms, d->rows, d->c, d->k);
    for (size_t r = 0; r < d->rows; r++) {
        const float *p[8];

        tile_of(y, r, 8, d->k, p);
        w->output(m + r * d->kp, ms, d->k, (float *const *)p);
    }
    for (size_t r = 0; r < d->rows; r++)
        for (size_t o = 0; o < 8; o++)
            for (size_t k = 0; k < d->k; k++) {
                double sum = 0;

                for (size_t t = 0; t < 27; t++)
                    for (size_t c = 0; c < d->c; c++)
                        sum += (double)d->w[(t * d->c + c) * d->k + k]
                               * (double)d->x[(r * 64 + place(t, o)) * d->c + c];
                largest = fmax(largest, fabs(sum));
                worst = fmax(worst, fabs(sum - (double)y[(r * 8 + o) * d->k + k]));
            }
    ck_assert_msg(worst <= limit * largest, "forward, %zu tiles, %zu to %zu channels: "
                  "error %.1e of the largest", d->rows, d->c, d->k, worst / largest);
    free(u);
    free(v);
    free(m);
    free(y);
}

static void
check_weights(const struct voco_winograd *w, const struct data *d)
{
    const size_t vs = d->rows * d->c, ns = d->rows * d->kp, point = d->c * d->kp;
    float *du = calloc(64 * point, sizeof *du), *v = malloc(16 * vs * sizeof *v);
    float *n = malloc(16 * ns * sizeof *n);
    double worst = 0, largest = 0;

    for (int a = 0; a < 4; a++) {
        for (size_t r = 0; r < d->rows; r++) {
            const float *p[64];

            tile_of(d->x, r, 64, d->c, p);
            w->input_slice(p, a, d->c, v + r * d->c, vs);
            tile_of(d->dy, r, 8, d->k, p);
            w->grad_slice(p, a, d->k, n + r * d->kp, ns);
        }
        for (size_t i = 0; i < 16; i++)
            w->product_add(v + i * vs, d->c, n + i * ns, du + ((size_t)a * 16 + i) * point,
                           d->rows, d->c, d->k);
    }
    for (size_t t = 0; t < 27; t++)
        for (size_t c = 0; c < d->c; c++)
            for (size_t k = 0; k < d->k; k++) {
                double want = 0, got = 0;

                for (size_t f = 0; f < 64; f++)
                    got += g3(f, t) * (double)du[f * point + c * d->kp + k];
                for (size_t r = 0; r < d->rows; r++)
                    for (size_t o = 0; o < 8; o++)
                        want += (double)d->dy[(r * 8 + o) * d->k + k]
                                * (double)d->x[(r * 64 + place(t, o)) * d->c + c];
                largest = fmax(largest, fabs(want));
                worst = fmax(worst, fabs(want - got));
            }
    ck_assert_msg(worst <= limit * largest, "d-weights, %zu tiles, %zu to %zu channels: "
                  "error %.1e of the largest", d->rows, d->c, d->k, worst / largest);
    free(du);
    free(v);
    free(n);
}

START_TEST(tiles_equal_direct_sums)
{
    const struct voco_winograd *w = level(_i);

    for (int i = 0; w && i < N_SIZE; i++) {
        struct data d = { .rows = sizes[i].rows, .c = sizes[i].c, .k = sizes[i].k,
                          .kp = voco_winograd_round(w, sizes[i].k) };

        d.x = uniform("x", d.rows * 64 * d.c);
        d.w = uniform("w", 27 * d.c * d.k);
        d.dy = uniform("dy", d.rows * 8 * d.k);
        check_forward(w, &d);
        check_weights(w, &d);
        free(d.x);
        free(d.w);
        free(d.dy);
    }
}
END_TEST

START_TEST(panels_place_every_weight_once)
{
    const struct voco_winograd *w = level(_i);

    for (size_t k = 1; w && k <= 200; k += 7) {
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

int
main(void)
{
    Suite *s = suite_create("winograd");
    TCase *c = tcase_create("kernels");
    SRunner *r;
    int failed;

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, tiles_equal_direct_sums, 0, LEVELS);
    tcase_add_loop_test(c, panels_place_every_weight_once, 0, LEVELS);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
