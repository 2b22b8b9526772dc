/* Blocks, crops, labels and augmentation: geometry against brute force. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/batch/augment.h"
#include "objective/pretrain/augment.h"
#include "objective/voco/block.h"
#include "tests/test.h"

enum { SEED = 5 };

/* ---- labels ---- */

static void
check_labels(const int center[2], int roi)
{
    float label[VOCO_BASES], sum = 0;
    int count[VOCO_BASES] = {0}, nonzero = 0;

    voco_crop_labels(center, roi, label);
    for (int x = center[0] - roi / 2; x < center[0] + roi / 2; x++)
        for (int y = center[1] - roi / 2; y < center[1] + roi / 2; y++)
            count[x / roi * VOCO_GRID + y / roi]++;
    for (int k = 0; k < VOCO_BASES; k++) {
        ck_assert_float_eq(label[k], (float)count[k] / (float)(roi * roi));
        sum += label[k];
        nonzero += label[k] > 0;
    }
    ck_assert_float_eq(sum, 1);         /* exact: multiples of 2^-12 */
    ck_assert_int_ge(nonzero, 1);
    ck_assert_int_le(nonzero, 4);
}

START_TEST(labels_are_the_counted_shares_of_area)
{
    for (int x = 8; x <= 39; x++)
        for (int y = 8; y <= 39; y++)
            check_labels((const int[2]){x, y}, 16);
    for (int i = 0; i < 40; i++) {
        int center[2];

        voco_crop_center(SEED, i, 0, 9, 64, center);
        check_labels(center, 64);
    }
}
END_TEST

START_TEST(labels_at_known_places)
{
    float label[VOCO_BASES];

    voco_crop_labels((const int[2]){32, 32}, 64, label);    /* base 0 itself */
    ck_assert_float_eq(label[0], 1);
    voco_crop_labels((const int[2]){96, 32}, 64, label);    /* one step along x: base 3 */
    ck_assert_float_eq(label[3], 1);
    voco_crop_labels((const int[2]){64, 96}, 64, label);    /* between bases 1 and 4 */
    ck_assert_float_eq(label[1], 0.5f);
    ck_assert_float_eq(label[4], 0.5f);
}
END_TEST

START_TEST(centers_fill_32_to_159_and_no_more)
{
    int low[2] = {1000, 1000}, high[2] = {0, 0};
    double mean[2] = {0, 0};
    enum { N = 20000 };

    for (int i = 0; i < N; i++) {
        int center[2];

        voco_crop_center(SEED, i / 8, i % 8, 9 + i % 2, 64, center);
        for (int a = 0; a < 2; a++) {
            low[a] = center[a] < low[a] ? center[a] : low[a];
            high[a] = center[a] > high[a] ? center[a] : high[a];
            mean[a] += center[a] / (double)N;
        }
    }
    for (int a = 0; a < 2; a++) {
        ck_assert_int_eq(low[a], 32);
        ck_assert_int_eq(high[a], 159);     /* start 127: 128 is never drawn */
        ck_assert_double_eq_tol(mean[a], 95.5, 4 * 37 / sqrt(N));
    }
}
END_TEST

START_TEST(blocks_start_anywhere_that_they_fit)
{
    const int64_t dim[3] = {192, 195, 67};
    int seen[3][4] = {{0}};

    for (int i = 0; i < 400; i++) {
        int64_t start[3];

        voco_block_start(SEED, i, 3, dim, 64, start);
        for (int a = 0; a < 3; a++) {
            ck_assert(start[a] >= 0 && start[a] < 4);
            seen[a][start[a]]++;
        }
    }
    ck_assert_int_eq(seen[0][0], 400);
    for (int k = 0; k < 4; k++) {
        ck_assert_int_gt(seen[1][k], 60);
        ck_assert_int_gt(seen[2][k], 60);
    }
}
END_TEST

/* ---- augmentation ---- */

enum { N = 6 };
struct cube {
    float v[N][N][N];
};

static struct cube
cube_of_numbers(void)
{
    struct cube c;

    for (int i = 0; i < N * N * N; i++)
        (&c.v[0][0][0])[i] = (float)i;
    return c;
}

static struct cube
apply(const struct voco_augment *a, const struct cube *in)
{
    const int64_t dim[3] = {N, N, N}, zero[3] = {0, 0, 0};
    struct cube out;

    voco_crop_copy(a, &in->v[0][0][0], dim, zero, N, &out.v[0][0][0]);
    return out;
}

START_TEST(a_quarter_turn_goes_from_x_to_y_as_in_numpy)
{
    const struct voco_augment turn = {.turns = 1};
    const struct cube in = cube_of_numbers(), out = apply(&turn, &in);

    for (int x = 0; x < N; x++)
        for (int y = 0; y < N; y++)     /* numpy.rot90(in, 1, (0, 1))[x, y] */
            ck_assert_mem_eq(out.v[x][y], in.v[y][N - 1 - x], sizeof out.v[x][y]);
}
END_TEST

START_TEST(turns_add_up_and_flips_undo_themselves)
{
    const struct voco_augment one = {.turns = 1};
    const struct cube in = cube_of_numbers();
    struct cube turned = in;

    for (int k = 1; k <= 4; k++) {
        const struct voco_augment a = {.turns = k % 4};
        const struct cube direct = apply(&a, &in);

        turned = apply(&one, &turned);
        ck_assert_mem_eq(&turned, &direct, sizeof turned);
    }
    for (int f = 1; f < 8; f++) {
        const struct voco_augment a = {.flip = {f & 1, f & 2, f & 4}};
        const struct cube once = apply(&a, &in), twice = apply(&a, &once);

        for (int x = 0; x < N; x++)
            for (int y = 0; y < N; y++)
                for (int z = 0; z < N; z++)
                    ck_assert_float_eq(once.v[x][y][z],
                                       in.v[f & 1 ? N - 1 - x : x]
                                           [f & 2 ? N - 1 - y : y]
                                           [f & 4 ? N - 1 - z : z]);
        ck_assert_mem_eq(&twice, &in, sizeof in);
    }
}
END_TEST

START_TEST(flips_come_before_the_turn_and_the_shift_is_not_clipped)
{
    const struct voco_augment flip = {.flip = {true, false, true}}, turn = {.turns = 3};
    const struct voco_augment both = {.flip = {true, false, true}, .turns = 3,
                                      .shift = -0.5f};
    const struct cube in = cube_of_numbers(), flipped = apply(&flip, &in);
    const struct cube want = apply(&turn, &flipped), got = apply(&both, &in);

    for (int i = 0; i < N * N * N; i++)
        ck_assert_float_eq((&got.v[0][0][0])[i], (&want.v[0][0][0])[i] - 0.5f);
}
END_TEST

START_TEST(a_crop_comes_from_its_place_in_the_block)
{
    const int64_t dim[3] = {9, 8, 7}, start[3] = {3, 2, 1};
    const struct voco_augment none = {.turns = 0};
    float block[9 * 8 * 7], out[N * N * N];

    for (int i = 0; i < 9 * 8 * 7; i++)
        block[i] = (float)i;
    voco_crop_copy(&none, block, dim, start, N, out);
    ck_assert_float_eq(out[0], (3 * 8 + 2) * 7 + 1);
    ck_assert_float_eq(out[N * N * N - 1], (8 * 8 + 7) * 7 + 6);
}
END_TEST

START_TEST(augmentation_is_drawn_with_the_stated_probabilities)
{
    enum { DRAWS = 20000 };
    int flip[3] = {0}, turns[4] = {0}, shifted = 0;
    double sum = 0, most = 0;

    for (int i = 0; i < DRAWS; i++) {
        const struct voco_augment a = voco_crop_augment(SEED, i / 44, i / 11 % 4, i % 11);

        for (int k = 0; k < 3; k++)
            flip[k] += a.flip[k];
        turns[a.turns]++;
        shifted += a.shift != 0;
        sum += a.shift;
        most = fabs(a.shift) > most ? fabs(a.shift) : most;
    }
    for (int k = 0; k < 3; k++)         /* 4 standard deviations */
        ck_assert_double_eq_tol(flip[k] / (double)DRAWS, 0.2, 4 * 0.4 / sqrt(DRAWS));
    for (int k = 1; k < 4; k++)
        ck_assert_double_eq_tol(turns[k] / (double)DRAWS, 0.2 / 3,
                                4 * 0.25 / sqrt(DRAWS));
    ck_assert_double_eq_tol(shifted / (double)DRAWS, 0.5, 4 * 0.5 / sqrt(DRAWS));
    ck_assert_double_eq_tol(sum / shifted, 0, 4 * 0.058 / sqrt(shifted));
    ck_assert(most > 0.099 && most <= 0.1000001);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("block");
    TCase *t = tcase_create("block");

    suite_add_tcase(suite, t);
    tcase_add_test(t, labels_are_the_counted_shares_of_area);
    tcase_add_test(t, labels_at_known_places);
    tcase_add_test(t, centers_fill_32_to_159_and_no_more);
    tcase_add_test(t, blocks_start_anywhere_that_they_fit);
    tcase_add_test(t, a_quarter_turn_goes_from_x_to_y_as_in_numpy);
    tcase_add_test(t, turns_add_up_and_flips_undo_themselves);
    tcase_add_test(t, flips_come_before_the_turn_and_the_shift_is_not_clipped);
    tcase_add_test(t, a_crop_comes_from_its_place_in_the_block);
    tcase_add_test(t, augmentation_is_drawn_with_the_stated_probabilities);
    return suite;
}
