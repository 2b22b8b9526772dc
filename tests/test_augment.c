/*
 * Changes of crops against numbers of NumPy, SciPy and PyTorch in tests/golden/views.h5.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/augment/intensity.h"
#include "data/augment/taps.h"
#include "tests/compare.h"
#include "tests/golden_read.h"
#include "tests/test.h"

enum { D = 9, H = 8, W = 10, N = D * H * W };

static struct golden golden;
static struct voco_taps taps;

/* changes/x as float. */
static float *
start(void)
{
    struct golden_array a;
    float *x = malloc(N * sizeof *x);

    golden = golden_open("views");
    a = golden_hash(&golden, 3, (int64_t[]){ D, H, W }, 0, 1, "changes/x");
    ck_assert_ptr_nonnull(x);
    for (int i = 0; i < N; i++)
        x[i] = (float)a.x[i];
    golden_free(&a);
    return x;
}

/* Frees x.  A few units in the last place of a float. */
static void
finish(const char *name, float *x)
{
    struct golden_array want = golden_read(&golden, "changes/%s", name);
    double *got = malloc((size_t)want.count * sizeof *got);

    ck_assert_ptr_nonnull(got);
    for (int64_t i = 0; i < want.count; i++)
        got[i] = x[i];
    ck_assert(compare(name, want.x, got, want.count, 1e-6));
    free(got);
    free(x);
    golden_free(&want);
    golden_close(&golden);
}

/* x, which is freed, resized or smoothed along all axes. */
static float *
along_all(float *x, const int to[3], void (*make)(struct voco_taps *, int, int),
          const double sigma[3])
{
    int64_t size[3] = { D, H, W };

    for (int a = 0; a < 3; a++) {
        float *y;

        if (make)
            make(&taps, (int)size[a], to[a]);
        else
            voco_taps_gauss(&taps, (int)size[a], sigma[a]);
        y = malloc((size_t)(size[0] * size[1] * size[2] / size[a] * taps.to) * sizeof *y);
        ck_assert_ptr_nonnull(y);
        voco_taps_apply(&taps, x, size, a, y);
        size[a] = taps.to;
        free(x);
        x = y;
    }
    return x;
}

START_TEST(sizes_change_as_in_pytorch)
{
    static const struct {
        const char *name;
        void (*make)(struct voco_taps *, int, int);
    } way[] = {
        { "linear", voco_taps_linear }, { "nearest", voco_taps_nearest },
        { "cubic", voco_taps_cubic },
    };
    float *x = start();
    double size[3];
    char path[32];

    snprintf(path, sizeof path, "changes/%s", way[_i].name);
    golden_attr(&golden, path, "size", 3, size);
    finish(way[_i].name, along_all(x, (int[]){ (int)size[0], (int)size[1], (int)size[2] },
                                   way[_i].make, NULL));
}
END_TEST

START_TEST(smoothing_is_that_of_scipy)
{
    float *x = start();
    double sigma[3];

    golden_attr(&golden, "changes/smooth", "sigma", 3, sigma);
    finish("smooth", along_all(x, NULL, NULL, sigma));
}
END_TEST

START_TEST(a_line_that_is_shorter_than_the_filter_is_mirrored_on_and_on)
{
    float x[3] = { 1, 2, 4 }, y[3];
    double want = 0, sum = 0;

    /* 1 2 4 | 4 2 1 | 1 2 4 | 4 2 1 | 1 2 4 ..., eight elements on each side of the 2 */
    static const double line[] = { 1, 1, 2, 4, 4, 2, 1, 1, 2, 4, 4, 2, 1, 1, 2, 4, 4 };

    for (int k = -8; k <= 8; k++) {
        const double weight = exp(-0.5 * k * k / 4.0);

        want += weight * line[k + 8];
        sum += weight;
    }
    voco_taps_gauss(&taps, 3, 2.0);
    voco_taps_apply(&taps, x, (int64_t[]){ 1, 1, 3 }, 2, y);
    ck_assert_double_eq_tol(y[1], want / sum, 1e-6);
}
END_TEST

START_TEST(intensities_change_as_in_numpy)
{
    static const char *const name[] = { "contrast", "gamma", "gamma_inverted", "histogram" };
    float *x = start();
    double value[5];

    switch (_i) {
    case 0:
        golden_attr(&golden, "changes/contrast", "factor", 1, value);
        voco_intensity_contrast(x, N, value[0]);
        break;
    case 1:
    case 2:
        golden_attr(&golden, _i == 1 ? "changes/gamma" : "changes/gamma_inverted", "gamma",
                    1, value);
        voco_intensity_gamma(x, N, value[0], _i == 2);
        break;
    default:
        golden_attr(&golden, "changes/histogram", "points", 5, value);
        voco_intensity_histogram(x, N, value, 5);
    }
    finish(name[_i], x);
}
END_TEST

START_TEST(a_constant_crop_stays_as_it_is)
{
    float x[4] = { 0.5f, 0.5f, 0.5f, 0.5f };

    voco_intensity_contrast(x, 4, 1.2);
    voco_intensity_gamma(x, 4, 0.7, false);
    voco_intensity_gamma(x, 4, 0.7, true);
    voco_intensity_histogram(x, 4, (double[]){ 0, 0.3, 1 }, 3);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq(x[i], 0.5f);
    voco_intensity_scale(x, 4, 0.75);
    ck_assert_float_eq(x[3], 0.375f);
}
END_TEST

START_TEST(noise_has_its_deviation_and_is_its_key_s)
{
    enum { MANY = 20000 };
    const struct voco_rng_key key = { .seed = 5, .step = 7, .purpose = VOCO_RNG_TEST };
    float *x = calloc(MANY, sizeof *x), *y = calloc(MANY, sizeof *y);
    double sum = 0, squares = 0;

    ck_assert(x && y);
    voco_intensity_noise(x, MANY, 0.25, &key);
    voco_intensity_noise(y, MANY, 0.25, &key);
    ck_assert_mem_eq(x, y, MANY * sizeof *x);
    for (int i = 0; i < MANY; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    /* four standard errors */
    ck_assert_double_le(fabs(sum / MANY), 4 * 0.25 / sqrt(MANY));
    ck_assert_double_le(fabs(sqrt(squares / MANY) - 0.25), 4 * 0.25 / sqrt(2.0 * MANY));
    free(x);
    free(y);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("augment");
    TCase *tc = tcase_create("changes");

    tcase_add_loop_test(tc, sizes_change_as_in_pytorch, 0, 3);
    tcase_add_test(tc, smoothing_is_that_of_scipy);
    tcase_add_test(tc, a_line_that_is_shorter_than_the_filter_is_mirrored_on_and_on);
    tcase_add_loop_test(tc, intensities_change_as_in_numpy, 0, 4);
    tcase_add_test(tc, a_constant_crop_stays_as_it_is);
    tcase_add_test(tc, noise_has_its_deviation_and_is_its_key_s);
    suite_add_tcase(suite, tc);
    return suite;
}
