/*
 * Sliding windows: places, weights and averages against MONAI's (golden/sliding.h5), and
 * streaming against sums over the whole volume.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/compare.h"
#include "tests/golden_read.h"
#include "tests/tensors.h"
#include "task/sliding.h"
#include "tests/test.h"

enum { CLASSES = 3, PICKED = 2048 };

/* A network that is a formula: logit[c] = (c+1) x + pattern[c] at the window's voxel. */
struct formula {
    struct voco_sliding s;
    float *pattern;                     /* [roi][CLASSES] */
    float *whole;                       /* [dim][CLASSES]: what the planes said */
    int64_t planes;
    int infers, stop_after;
};

static int64_t
product(const int64_t dim[3])
{
    return dim[0] * dim[1] * dim[2];
}

static enum voco_err
infer(void *user, const float *windows, int n, float *logits)
{
    struct formula *f = user;
    const int64_t voxels = product(f->s.roi);

    f->infers++;
    for (int64_t v = 0; v < n * voxels; v++)
        for (int c = 0; c < CLASSES; c++)
            logits[v * CLASSES + c] = (float)(c + 1) * windows[v * f->s.channels]
                                      + f->pattern[v % voxels * CLASSES + c];
    return VOCO_OK;
}

static enum voco_err
take(void *user, const struct voco_plane *p)
{
    struct formula *f = user;
    const int64_t *dim = f->s.dim;

    ck_assert_int_eq(p->index, f->planes++);
    for (int64_t i = 0; i < p->n[0]; i++)
        for (int64_t k = 0; k < p->n[1]; k++) {
            int64_t at[3];
            int other = 0;

            for (int a = 0; a < 3; a++)
                at[a] = a == p->axis ? p->index : other++ ? k : i;
            memcpy(f->whole + ((at[0] * dim[1] + at[1]) * dim[2] + at[2]) * CLASSES,
                   p->logits + (i * p->stride + k) * CLASSES, CLASSES * sizeof(float));
        }
    return VOCO_OK;
}

static float *
hashed(uint64_t seed, const char *name, int number, int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    char key[32];

    ck_assert_ptr_nonnull(x);
    snprintf(key, sizeof key, "%s%d", name, number);
    voco_hash_uniform(seed, key, n, 0, 1, x);
    return x;
}

static void
open_formula(struct formula *f, uint64_t seed, int number, const float *const *channel)
{
    f->pattern = hashed(seed, "pattern", number, product(f->s.roi) * CLASSES);
    f->whole = calloc((size_t)product(f->s.dim) * CLASSES, sizeof(float));
    ck_assert_ptr_nonnull(f->whole);
    f->s.channel = channel;
    f->s.channels = 1;
    f->s.classes = CLASSES;
    f->s.infer = infer;
    f->s.plane = take;
    f->s.user = f;
}

static void
close_formula(struct formula *f)
{
    free(f->pattern);
    free(f->whole);
}

/* ---- against MONAI ---- */

START_TEST(windows_stand_where_monai_puts_them)
{
    struct golden g = golden_open("sliding");
    struct golden_array places = golden_read(&g, "places");

    for (int64_t i = 0; i < places.dim[0]; i++) {
        const double *p = places.x + 3 * i;
        struct golden_array want = golden_read(&g, "starts%" PRId64, i);
        const int64_t n = voco_sliding_starts((int64_t)p[0], (int64_t)p[1], p[2], NULL);
        int64_t *start = malloc((size_t)n * sizeof *start);

        ck_assert_ptr_nonnull(start);
        ck_assert_int_eq(n, want.count);
        voco_sliding_starts((int64_t)p[0], (int64_t)p[1], p[2], start);
        for (int64_t k = 0; k < n; k++)
            ck_assert_msg((double)start[k] == want.x[k], "%g/%g at %g: window %" PRId64
                          " begins at %" PRId64 ", want %g", p[0], p[1], p[2], k, start[k],
                          want.x[k]);
        free(start);
        golden_free(&want);
    }
    golden_free(&places);
    golden_close(&g);
}
END_TEST

/* The element of the picks that the reference drew out of n. */
static int64_t
pick(uint64_t seed, int number, int i, int64_t n)
{
    char key[32];
    int64_t at;

    snprintf(key, sizeof key, "at%d", number);
    at = (int64_t)(voco_hash_unit(voco_hash_base(seed, key), (uint64_t)i) * (double)n);
    return at < n ? at : n - 1;
}

START_TEST(weights_and_averages_are_monais)
{
    struct golden g = golden_open("sliding");
    struct golden_array want, weight;
    struct formula f = { .s.batch = 2 };
    double dim[3], roi[3], gaussian, *got;
    float *x, *w;
    char group[16];

    snprintf(group, sizeof group, "run%d", _i);
    golden_attr(&g, group, "dim", 3, dim);
    golden_attr(&g, group, "roi", 3, roi);
    golden_attr(&g, group, "overlap", 1, &f.s.overlap);
    golden_attr(&g, group, "gaussian", 1, &gaussian);
    want = golden_read(&g, "%s/logit", group);
    weight = golden_read(&g, "%s/weight", group);
    for (int a = 0; a < 3; a++) {
        f.s.dim[a] = (int64_t)dim[a];
        f.s.roi[a] = (int64_t)roi[a];
    }
    f.s.blend = gaussian != 0 ? VOCO_BLEND_GAUSSIAN : VOCO_BLEND_CONSTANT;
    x = hashed(g.seed, "x", _i, product(f.s.dim));
    w = malloc((size_t)product(f.s.roi) * sizeof *w);
    got = malloc(PICKED * sizeof *got);
    ck_assert(w && got);
    open_formula(&f, g.seed, _i, (const float *const[]){ x });
    ck_assert_int_eq(voco_sliding_run(&f.s), VOCO_OK);
    voco_sliding_weights(f.s.roi, f.s.blend, w);
    for (int i = 0; i < PICKED; i++)
        got[i] = (double)f.whole[pick(g.seed, _i, i, product(f.s.dim) * CLASSES)];
    ck_assert(compare("logits", want.x, got, PICKED, 1e-6));
    for (int i = 0; i < PICKED; i++) {
        const int64_t n = product(f.s.dim) * CLASSES, m = product(f.s.roi);
        const int64_t at = pick(g.seed, _i, i, n) * m / n;

        got[i] = (double)w[at < m ? at : m - 1];
    }
    ck_assert(compare("weights", weight.x, got, PICKED, 1e-6));
    close_formula(&f);
    free(x);
    free(w);
    free(got);
    golden_free(&want);
    golden_free(&weight);
    golden_close(&g);
}
END_TEST

/* ---- against the whole volume at once ---- */

/* Adds a window's logits, made with axes reversed, to sums over the padded volume. */
static void
naive_window(const struct formula *f, const float *x, const int64_t at[3], unsigned mirror,
             const float *weight, double *sum, double *total)
{
    const struct voco_sliding *s = &f->s;
    int64_t p[3];

    for (p[0] = 0; p[0] < s->roi[0]; p[0]++)
        for (p[1] = 0; p[1] < s->roi[1]; p[1]++)
            for (p[2] = 0; p[2] < s->roi[2]; p[2]++) {
                int64_t q[3], v, i, to;

                for (int a = 0; a < 3; a++)
                    q[a] = mirror >> a & 1 ? s->roi[a] - 1 - p[a] : p[a];
                v = (q[0] * s->roi[1] + q[1]) * s->roi[2] + q[2];
                i = (p[0] * s->roi[1] + p[1]) * s->roi[2] + p[2];
                to = ((at[0] + p[0]) * s->dim[1] + at[1] + p[1]) * s->dim[2] + at[2] + p[2];
                for (int c = 0; c < CLASSES; c++)
                    sum[to * CLASSES + c] += (double)weight[i]
                        * ((c + 1) * (double)x[to] + (double)f->pattern[v * CLASSES + c]);
                total[to] += (double)weight[i];
            }
}

/* Sizes whose longest axis is each of the three; reversed axes; many windows at once. */
static const struct {
    int64_t dim[3];
    unsigned mirror;
    int batch;
} streams[] = {
    { { 90, 40, 33 }, 0, 1 }, { { 33, 81, 40 }, 5, 3 }, { { 32, 50, 77 }, 7, 64 },
};

START_TEST(streaming_equals_the_whole)
{
    const int64_t *dim = streams[_i].dim;
    struct formula f = { .s = { .dim = { dim[0], dim[1], dim[2] }, .roi = { 32, 32, 32 },
                                .overlap = 0.3, .blend = VOCO_BLEND_GAUSSIAN,
                                .mirror = streams[_i].mirror, .batch = streams[_i].batch } };
    const int64_t voxels = product(dim);
    double *sum = calloc((size_t)voxels * CLASSES, sizeof *sum), *got;
    double *total = calloc((size_t)voxels, sizeof *total);
    float *x = hashed(5, "x", _i, voxels), *w = malloc(32 * 32 * 32 * sizeof *w);
    int64_t start[3][16], n[3];

    got = malloc((size_t)voxels * CLASSES * sizeof *got);
    ck_assert(sum && total && w && got);
    open_formula(&f, 5, _i, (const float *const[]){ x });
    voco_sliding_weights(f.s.roi, f.s.blend, w);
    for (int a = 0; a < 3; a++)
        n[a] = voco_sliding_starts(dim[a], 32, f.s.overlap, start[a]);
    for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++)
        for (unsigned m = 0; m < 8; m++)
            if (!(m & ~f.s.mirror))
                naive_window(&f, x, (int64_t[]){ start[0][i / (n[1] * n[2])],
                                                 start[1][i / n[2] % n[1]],
                                                 start[2][i % n[2]] }, m, w, sum, total);
    ck_assert_int_eq(voco_sliding_run(&f.s), VOCO_OK);
    for (int64_t i = 0; i < voxels * CLASSES; i++) {
        sum[i] /= total[i / CLASSES];
        got[i] = (double)f.whole[i];
    }
    ck_assert(compare("streamed", sum, got, voxels * CLASSES, 1e-6));
    close_formula(&f);
    free(sum);
    free(total);
    free(got);
    free(x);
    free(w);
}
END_TEST

START_TEST(flat_windows_are_background_without_being_run)
{
    const int64_t dim[3] = { 96, 32, 32 };
    struct formula f = { .s = { .dim = { 96, 32, 32 }, .roi = { 32, 32, 32 },
                                .skip_flat = true, .batch = 4 } };
    float *x = calloc((size_t)product(dim), sizeof *x);

    ck_assert_ptr_nonnull(x);
    x[70 * 32 * 32] = 1;                        /* in the last of three windows */
    open_formula(&f, 5, 0, (const float *const[]){ x });
    ck_assert_int_eq(voco_sliding_run(&f.s), VOCO_OK);
    ck_assert_int_eq(f.infers, 1);
    ck_assert(f.whole[0] == 0 && f.whole[1] == VOCO_LOGIT_NONE);
    ck_assert(f.whole[(70 * 32 * 32) * CLASSES + 1] >= 2);
    close_formula(&f);
    free(x);
}
END_TEST

static int
stop(void *user, int64_t done, int64_t total)
{
    const struct formula *f = user;

    ck_assert_int_le(done, total);
    return done >= f->stop_after;
}

START_TEST(a_run_can_be_stopped)
{
    struct formula f = { .s = { .dim = { 64, 32, 96 }, .roi = { 32, 32, 32 }, .batch = 1,
                                .progress = stop }, .stop_after = 2 };
    float *x = hashed(5, "x", 0, product(f.s.dim));

    open_formula(&f, 5, 0, (const float *const[]){ x });
    ck_assert_int_eq(voco_sliding_count(&f.s), 6);
    ck_assert_int_eq(voco_sliding_run(&f.s), VOCO_ESTOPPED);
    ck_assert_int_eq(f.infers, 2);
    close_formula(&f);
    free(x);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("sliding");
    TCase *tc = tcase_create("sliding");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, windows_stand_where_monai_puts_them);
    tcase_add_loop_test(tc, weights_and_averages_are_monais, 0, 4);
    tcase_add_loop_test(tc, streaming_equals_the_whole, 0, COUNT(streams));
    tcase_add_test(tc, flat_windows_are_background_without_being_run);
    tcase_add_test(tc, a_run_can_be_stopped);
    suite_add_tcase(suite, tc);
    return suite;
}
