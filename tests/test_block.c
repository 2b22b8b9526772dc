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

static struct voco_tiling
published(int edge)
{
    return (struct voco_tiling){ .n = { 3, 3, 1 }, .edge = edge };
}

/* Each voxel of the crop lies in one base; their shares are the labels. */
static void
check_labels(const struct voco_tiling *g, const int start[3])
{
    const int bases = voco_tiling_bases(g), edge = g->edge;
    float label[VOCO_BASES_MAX], sum = 0;
    int count[VOCO_BASES_MAX] = {0}, nonzero = 0;

    voco_crop_labels(g, start, label);
    for (int x = start[0]; x < start[0] + edge; x++)
        for (int y = start[1]; y < start[1] + edge; y++)
            for (int z = start[2]; z < start[2] + edge; z++)
                count[(x / edge * g->n[1] + y / edge) * g->n[2] + z / edge]++;
    for (int k = 0; k < bases; k++) {
        ck_assert_float_eq(label[k], (float)count[k] / (float)(edge * edge * edge));
        sum += label[k];
        nonzero += label[k] > 0;
    }
    ck_assert_float_eq(sum, 1);         /* exact where the edge is a power of 2 */
    ck_assert_int_ge(nonzero, 1);
    ck_assert_int_le(nonzero, g->n[2] > 1 ? 8 : 4);
}

START_TEST(labels_are_the_counted_shares)
{
    const struct voco_tiling small = published(16), usual = published(64);
    const struct voco_tiling deep = { .n = { 2, 3, 4 }, .edge = 8, .last = true };
    int start[3] = { 0 };

    for (start[0] = 0; start[0] < 32; start[0]++)
        for (start[1] = 0; start[1] < 32; start[1]++)
            check_labels(&small, start);
    for (int i = 0; i < 40; i++) {
        voco_crop_start(&usual, SEED, i, 0, 9, start);
        check_labels(&usual, start);
    }
    for (int i = 0; i < 400; i++) {
        voco_crop_start(&deep, SEED, i, 0, 24, start);
        check_labels(&deep, start);
    }
}
END_TEST

START_TEST(labels_at_known_places)
{
    const struct voco_tiling g = published(64), deep = { .n = { 2, 2, 2 }, .edge = 96 };
    float label[9];

    voco_crop_labels(&g, (const int[3]){0, 0, 0}, label);       /* base 0 itself */
    ck_assert_float_eq(label[0], 1);
    voco_crop_labels(&g, (const int[3]){64, 0, 0}, label);      /* one step along x: base 3 */
    ck_assert_float_eq(label[3], 1);
    voco_crop_labels(&g, (const int[3]){32, 64, 0}, label);     /* between bases 1 and 4 */
    ck_assert_float_eq(label[1], 0.5f);
    ck_assert_float_eq(label[4], 0.5f);
    voco_crop_labels(&deep, (const int[3]){0, 96, 24}, label);  /* between layers */
    ck_assert_float_eq(label[2], 0.75f);
    ck_assert_float_eq(label[3], 0.25f);
}
END_TEST

/* The smallest and largest start of many, per axis. */
static void
range_of_starts(const struct voco_tiling *g, int low[3], int high[3], double mean[3])
{
    enum { N = 20000 };

    for (int a = 0; a < 3; a++) {
        low[a] = 100000;
        high[a] = -1;
        mean[a] = 0;
    }
    for (int i = 0; i < N; i++) {
        int start[3];

        voco_crop_start(g, SEED, i / 8, i % 8, 9 + i % 2, start);
        for (int a = 0; a < 3; a++) {
            low[a] = start[a] < low[a] ? start[a] : low[a];
            high[a] = start[a] > high[a] ? start[a] : high[a];
            mean[a] += start[a] / (double)N;
        }
    }
}

START_TEST(starts_fill_the_block_in_the_plane)
{
    struct voco_tiling g = published(64);
    int low[3], high[3];
    double mean[3];

    range_of_starts(&g, low, high, mean);
    for (int a = 0; a < 2; a++) {
        ck_assert_int_eq(low[a], 0);
        ck_assert_int_eq(high[a], 127);     /* 128 is never drawn */
        ck_assert_double_eq_tol(mean[a], 63.5, 4 * 37 / sqrt(20000));
    }
    ck_assert_int_eq(high[2], 0);
    g.last = true;
    range_of_starts(&g, low, high, mean);
    ck_assert_int_eq(high[0], 128);
    ck_assert_int_eq(high[1], 128);
    ck_assert_int_eq(high[2], 0);
}
END_TEST

START_TEST(starts_move_along_z_where_there_are_layers)
{
    const struct voco_tiling g = { .n = { 4, 1, 3 }, .edge = 96 };
    int low[3], high[3];
    double mean[3];

    range_of_starts(&g, low, high, mean);
    ck_assert_int_eq(high[0], 287);
    ck_assert_int_eq(high[1], 0);
    ck_assert_int_eq(low[2], 0);
    ck_assert_int_eq(high[2], 191);
    ck_assert_double_eq_tol(mean[2], 95.5, 4 * 56 / sqrt(20000));
}
END_TEST

START_TEST(blocks_start_anywhere_that_they_fit)
{
    const int64_t dim[3] = {192, 195, 67};
    const struct voco_tiling g = published(64);
    int seen[3][4] = {{0}};
    int64_t size[3];

    voco_block_size(&g, size);
    for (int i = 0; i < 400; i++) {
        int64_t start[3];

        voco_block_start(SEED, i, 3, dim, size, start);
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

START_TEST(grids_are_three_numbers)
{
    static const char *const wrong[] = { "", "3", "3x3", "3x3x", "3x3x1x1", "03x3x1", "+3x3x1",
                                         " 3x3x1", "3x3x1 ", "3x0x1", "-3x-3x1", "3X3X1",
                                         "1x1x1", "8x9x1", "99999x99999x99999",
                                         "999999x1x1" };
    int n[3];

    ck_assert_int_eq(voco_tiling_parse("4x3x2", n), VOCO_OK);
    ck_assert(n[0] == 4 && n[1] == 3 && n[2] == 2);
    ck_assert_int_eq(voco_tiling_parse("8x8x1", n), VOCO_OK);
    ck_assert_int_eq(voco_tiling_parse("1x1x2", n), VOCO_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(voco_tiling_parse(wrong[i], n) == VOCO_EUSAGE, "'%s'", wrong[i]);
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
    tcase_add_test(t, labels_are_the_counted_shares);
    tcase_add_test(t, labels_at_known_places);
    tcase_add_test(t, starts_fill_the_block_in_the_plane);
    tcase_add_test(t, starts_move_along_z_where_there_are_layers);
    tcase_add_test(t, grids_are_three_numbers);
    tcase_add_test(t, blocks_start_anywhere_that_they_fit);
    tcase_add_test(t, a_quarter_turn_goes_from_x_to_y_as_in_numpy);
    tcase_add_test(t, turns_add_up_and_flips_undo_themselves);
    tcase_add_test(t, flips_come_before_the_turn_and_the_shift_is_not_clipped);
    tcase_add_test(t, a_crop_comes_from_its_place_in_the_block);
    tcase_add_test(t, augmentation_is_drawn_with_the_stated_probabilities);
    return suite;
}
