/* Scores of label maps: the distance transform against all pairs of voxels, scores
 * against MONAI's, statistics against what can be worked out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "eval/distance.h"
#include "data/store/hdf5.h"
#include "eval/score.h"
#include "eval/stats.h"
#include "tests/test.h"

#define ok(call) ck_assert_msg((call) == VOCO_OK, "%s: %s", #call, voco_fail_text())

/* ---- distances ---- */

/* Some voxels of so many per thousand are set. */
static void
random_mask(uint8_t *mask, int64_t n, uint64_t seed, uint32_t per_mille)
{
    const struct voco_rng_key key = {.seed = seed, .purpose = VOCO_RNG_TEST};

    for (int64_t i = 0; i < n; i++)
        mask[i] = voco_rng_below(&key, (uint32_t)i, 1000) < per_mille;
}

START_TEST(distances_are_the_least_over_all_voxels)
{
    static const struct {
        int64_t dim[3];
        double mm[3];
        uint32_t per_mille;
    } grid[] = {
        {{9, 11, 13}, {1, 1, 1}, 20}, {{13, 10, 9}, {0.7, 1.3, 2.5}, 5},
        {{1, 17, 40}, {3, 0.5, 0.25}, 50}, {{30, 1, 9}, {0.1, 1, 10}, 3},
        {{7, 8, 1}, {5, 4, 3}, 100}, {{1, 1, 50}, {1, 1, 0.3}, 40},
        {{10, 10, 10}, {1, 1, 1}, 500}, {{6, 6, 6}, {1, 2, 3}, 0},
        {{5, 5, 5}, {1, 1, 1}, 1000}, {{20, 9, 19}, {2, 2, 2}, 1}
    };

    for (size_t k = 0; k < sizeof grid / sizeof *grid; k++) {
        const int64_t *dim = grid[k].dim, n = dim[0] * dim[1] * dim[2];
        const double *mm = grid[k].mm;
        uint8_t *mask = malloc((size_t)n);
        double *got = malloc((size_t)n * sizeof *got);

        ck_assert(mask && got);
        random_mask(mask, n, k, grid[k].per_mille);
        ok(voco_distance_squared(mask, dim, mm, 1 + (int)(k % 3), got));
        for (int64_t i = 0; i < n; i++) {
            double want = INFINITY;

            for (int64_t j = 0; j < n; j++) {
                const double x = mm[0] * (double)(i / dim[2] / dim[1]
                                                  - j / dim[2] / dim[1]);
                const double y = mm[1] * (double)(i / dim[2] % dim[1]
                                                  - j / dim[2] % dim[1]);
                const double z = mm[2] * (double)(i % dim[2] - j % dim[2]);

                if (mask[j])
                    want = fmin(want, x * x + y * y + z * z);
            }
            ck_assert_msg(got[i] == want || fabs(got[i] - want) <= 1e-13 * want,
                          "grid %zu voxel %d: %.17g, want %.17g", k, (int)i, got[i], want);
        }
        free(mask);
        free(got);
    }
}
END_TEST

START_TEST(threads_do_not_change_distances)
{
    const int64_t dim[3] = {60, 50, 40}, n = 120000;
    const double mm[3] = {0.9, 1.1, 3};
    uint8_t *mask = malloc((size_t)n);
    double *one = malloc((size_t)n * sizeof *one), *four = malloc((size_t)n * sizeof *four);

    ck_assert(mask && one && four);
    random_mask(mask, n, 1, 2);
    ok(voco_distance_squared(mask, dim, mm, 1, one));
    ok(voco_distance_squared(mask, dim, mm, 4, four));
    ck_assert_mem_eq(one, four, (size_t)n * sizeof *one);
    free(mask);
    free(one);
    free(four);
}
END_TEST

/* ---- scores ---- */

static float *
golden(struct voco_h5 *h, const char *group, const char *name, int64_t dim[3])
{
    char *path = voco_format("%s/%s", group, name);
    int64_t shape[VOCO_H5_RANK_MAX];
    int rank;

    ok(voco_h5_shape(h, path, &rank, shape));
    ck_assert_int_eq(rank, 3);
    float *x = malloc((size_t)(shape[0] * shape[1] * shape[2]) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    ok(voco_h5_read_f32(h, path, shape[0] * shape[1] * shape[2], x));
    for (int a = 0; dim && a < 3; a++)
        dim[a] = shape[a];
    free(path);
    return x;
}

static uint16_t *
golden_labels(struct voco_h5 *h, const char *group, const char *name, int64_t dim[3])
{
    float *x = golden(h, group, name, dim);
    const int64_t n = dim[0] * dim[1] * dim[2];
    uint16_t *label = malloc((size_t)n * sizeof *label);

    ck_assert_ptr_nonnull(label);
    for (int64_t i = 0; i < n; i++)
        label[i] = (uint16_t)x[i];
    free(x);
    return label;
}

/* MONAI gives floats, to an ulp or two; torch also rounds the place of a percentile among
 * n distances to a float, so that HD95 is off by up to n 2^-24 of a gap between two. */
static void
compare(const char *group, const char *name, int c, double got, float want,
        double tolerance)
{
    ck_assert_msg(isnan(want) ? isnan(got)
                              : fabs(got - (double)want) <= tolerance * fmax(1, want),
                  "%s: %s of class %d is %.9g, want %.9g", group, name, c, got,
                  (double)want);
}

START_TEST(scores_are_those_of_monai)
{
    static const char *const group[] = {
        "cubic", "anisotropic", "coarse", "flat", "exact_tolerance", "tenths"
    };
    const char *folder = getenv("VOCO_GOLDEN");
    char *path = voco_format("%s/metrics_small.h5", folder ? folder : "tests/golden");
    struct voco_h5 *h;

    ok(voco_h5_open(path, &h));
    for (size_t k = 0; k < sizeof group / sizeof *group; k++) {
        struct voco_score_pair p;
        struct voco_score score[5];
        uint16_t *predicted = golden_labels(h, group[k], "predicted", p.dim);
        uint16_t *truth = golden_labels(h, group[k], "truth", p.dim);
        float *mm = golden(h, group[k], "mm", NULL);
        float *tolerance = golden(h, group[k], "tolerance", NULL);
        float *dice = golden(h, group[k], "dice", NULL);
        float *hd95 = golden(h, group[k], "hd95", NULL);
        float *near = golden(h, group[k], "surface_dice", NULL);

        p.predicted = predicted;
        p.truth = truth;
        for (int a = 0; a < 3; a++)
            p.mm[a] = round(1e3 * (double)mm[a]) / 1e3;         /* stored as float */
        ok(voco_score(&p, 5, round(1e3 * (double)tolerance[0]) / 1e3, 2, score));
        for (int c = 1; c < 5; c++) {
            compare(group[k], "Dice", c, score[c].dice, dice[c - 1], 3e-7);
            compare(group[k], "HD95", c, score[c].hd95_mm, hd95[c - 1], 1e-5);
            compare(group[k], "surface Dice", c, score[c].surface_dice, near[c - 1],
                    3e-7);
        }
        free(predicted);
        free(truth);
        free(mm);
        free(tolerance);
        free(dice);
        free(hd95);
        free(near);
    }
    ok(voco_h5_close(h));
    free(path);
}
END_TEST

/* Surfaces and percentiles from the definition, all pairs of surface voxels. */
START_TEST(scores_are_those_of_all_pairs_of_surface_voxels)
{
    enum { X = 12, Y = 10, Z = 9, N = X * Y * Z };
    static uint16_t map[2][N];
    static double d[N];
    struct voco_score_pair p = {.predicted = map[0], .truth = map[1], .dim = {X, Y, Z},
                                .mm = {0.8, 1.7, 2.9}};
    struct voco_score score[2];
    double worst = 0;
    int near = 0, all = 0, voxels[2] = {0}, both = 0;

    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N; i++) {
            const double x = i / Z / Y - 5.5 + m, y = i / Z % Y - 5, z = i % Z - 4.2 * m;

            map[m][i] = x * x + 1.5 * y * y + z * z < 20;
            voxels[m] += map[m][i];
        }
    for (int i = 0; i < N; i++)
        both += map[0][i] && map[1][i];
    for (int m = 0; m < 2; m++) {
        static int surface[2][N];
        int n[2] = {0}, k = 0;

        for (int s = 0; s < 2; s++)
            for (int i = 0; i < N; i++) {
                const int x = i / Z / Y, y = i / Z % Y, z = i % Z;
                const bool inside = map[s][i] && x > 0 && x < X - 1 && y > 0 && y < Y - 1
                    && z > 0 && z < Z - 1 && map[s][i - 1] && map[s][i + 1]
                    && map[s][i - Z] && map[s][i + Z] && map[s][i - Y * Z]
                    && map[s][i + Y * Z];

                if (map[s][i] && !inside)
                    surface[s][n[s]++] = i;
            }
        for (int i = 0; i < n[m]; i++) {
            double least = INFINITY;

            for (int j = 0; j < n[1 - m]; j++) {
                const int a = surface[m][i], b = surface[1 - m][j];
                const double x = p.mm[0] * (a / Z / Y - b / Z / Y);
                const double y = p.mm[1] * (a / Z % Y - b / Z % Y);
                const double z = p.mm[2] * (a % Z - b % Z);

                least = fmin(least, sqrt(x * x + y * y + z * z));
            }
            near += least <= 2;
            d[k++] = least;
        }
        all += n[m];
        worst = fmax(worst, voco_quantile(d, k, 0.95));
    }
    ok(voco_score(&p, 2, 2, 1, score));
    ck_assert_double_eq_tol(score[1].hd95_mm, worst, 1e-6);
    ck_assert_double_eq_tol(score[1].surface_dice, (double)near / all, 1e-12);
    ck_assert_double_eq_tol(score[1].dice, 2.0 * both / (voxels[0] + voxels[1]), 1e-12);
    ck_assert_double_eq_tol(score[1].truth_ml, voxels[1] * 0.8 * 1.7 * 2.9 / 1000, 1e-9);
    ck_assert_double_eq_tol(score[1].volume_error,
                            (double)(voxels[0] - voxels[1]) / voxels[1], 1e-12);
    map[0][3] = 2;
    ck_assert_int_eq(voco_score(&p, 2, 2, 1, score), VOCO_EFORMAT);
}
END_TEST

/* ---- statistics ---- */

START_TEST(quantiles_interpolate_as_numpy)
{
    double x[] = {4, 1, 3, 2};

    ck_assert_double_eq(voco_quantile(x, 4, 0.5), 2.5);
    ck_assert_double_eq_tol(voco_quantile(x, 4, 0.95), 3.85, 1e-12);
    ck_assert_double_eq(voco_quantile(x, 4, 1), 4);
    ck_assert_double_eq(voco_quantile(x, 1, 0.95), 1);
}
END_TEST

START_TEST(intervals_of_a_mean_have_its_spread)
{
    enum { N = 200 };
    static double x[3 * N];
    const struct voco_rng_key key = {.seed = 4, .purpose = VOCO_RNG_TEST};
    struct voco_stats s[3], again[3], other[3];

    for (int i = 0; i < N; i++) {
        x[i] = 5 + 2 * voco_rng_normal(&key, (uint32_t)i);
        x[N + i] = i % 2 ? x[i] : NAN;
        x[2 * N + i] = NAN;
    }
    ok(voco_bootstrap(x, 3, N, 1, 4000, s));
    ok(voco_bootstrap(x, 3, N, 1, 4000, again));
    ok(voco_bootstrap(x, 3, N, 2, 4000, other));
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq(s[c].low, again[c].low);
        ck_assert_double_eq(s[c].high, again[c].high);
    }
    ck_assert_double_ne(s[0].low, other[0].low);
    ck_assert_int_eq(s[0].n, N);
    ck_assert_int_eq(s[1].n, N / 2);
    for (int c = 0; c < 2; c++) {       /* normal theory: mean +- 1.96 sd / sqrt(n) */
        const double half = 1.96 * s[c].sd / sqrt(s[c].n);

        ck_assert_double_eq_tol(s[c].high - s[c].mean, half, 0.1 * half);
        ck_assert_double_eq_tol(s[c].mean - s[c].low, half, 0.1 * half);
        ck_assert(s[c].least <= s[c].median && s[c].median <= s[c].most);
    }
    ck_assert_int_eq(s[2].n, 0);
    ck_assert(isnan(s[2].mean) && isnan(s[2].low));
}
END_TEST

START_TEST(sign_flips_give_the_exact_p)
{
    const double all[] = {1, 2, 3, 4, NAN}, mixed[] = {1, -1, 1, -1};
    double many[40], none[40];

    ck_assert_double_eq(voco_sign_flip(all, 5, 1, 1000), 2.0 / 16);     /* two of 2^4 */
    ck_assert_double_eq(voco_sign_flip(mixed, 4, 1, 1000), 1);
    ck_assert_double_eq(voco_sign_flip(all, 0, 1, 1000), 1);
    for (int i = 0; i < 40; i++) {
        many[i] = 1 + 0.1 * (i % 7);
        none[i] = i % 2 ? 1.01 : -1;
    }
    ck_assert_double_eq(voco_sign_flip(many, 40, 1, 999), 1.0 / 1000);
    ck_assert_double_gt(voco_sign_flip(none, 40, 1, 999), 0.5);
    ck_assert_double_eq(voco_sign_flip(none, 40, 7, 999), voco_sign_flip(none, 40, 7, 999));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("score");
    TCase *t = tcase_create("score");

    tcase_add_test(t, distances_are_the_least_over_all_voxels);
    tcase_add_test(t, threads_do_not_change_distances);
    tcase_add_test(t, scores_are_those_of_monai);
    tcase_add_test(t, scores_are_those_of_all_pairs_of_surface_voxels);
    tcase_add_test(t, quantiles_interpolate_as_numpy);
    tcase_add_test(t, intervals_of_a_mean_have_its_spread);
    tcase_add_test(t, sign_flips_give_the_exact_p);
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    return suite;
}
