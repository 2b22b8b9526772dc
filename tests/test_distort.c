/*
 * What dense pretexts draw at random and do to crops on the host: hidden blocks, boxes, maps
 * of intensities, shuffling and painting, against the reference numbers of dense.h5.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "objective/dense/distort.h"
#include "objective/dense/mask.h"
#include "tests/compare.h"
#include "tests/golden_read.h"
#include "tests/images.h"
#include "tests/test.h"

static struct golden golden;

static void
setup(void)
{
    golden = golden_open("dense");
}

static void
teardown(void)
{
    golden_close(&golden);
}

/* n numbers of the hash stream of a name. */
static float *
uniform(const char *name, int64_t n)
{
    float *u = malloc((size_t)n * sizeof *u);

    ck_assert_ptr_nonnull(u);
    voco_hash_uniform(golden.seed, name, n, 0, 1, u);
    return u;
}

/* ---- hidden blocks ---- */

static void
check_mask(const char *group, int item, int n, double share)
{
    struct golden_array want = golden_read(&golden, "%s/mask", group);
    struct voco_mask_key key[64];
    uint8_t visible[64];
    char name[64];
    float *u;
    int hidden = 0;

    ck_assert_int_le(n, 64);
    ck_assert_int_eq(want.count / want.dim[0], n);
    snprintf(name, sizeof name, "%s/mask/%d", group, item);
    u = uniform(name, n);
    for (int i = 0; i < n; i++)
        key[i] = (struct voco_mask_key){ u[i], i };
    voco_mask_choose(key, n, voco_mask_hidden(share, n), visible);
    for (int i = 0; i < n; i++) {
        ck_assert_msg(visible[i] == want.x[item * n + i], "%s block %d of crop %d", group, i,
                      item);
        hidden += !visible[i];
    }
    ck_assert_int_eq(hidden, (int)(share * n));
    free(u);
    golden_free(&want);
}

START_TEST(hidden_blocks_are_those_with_the_smallest_keys)
{
    check_mask("mae", 0, 64, 0.75);
    for (int i = 0; i < 3; i++)
        check_mask("mae_loss", i, 16, 0.75);
}
END_TEST

START_TEST(of_equal_keys_the_first_blocks_are_hidden)
{
    struct voco_mask_key key[] = { { 0.5f, 0 }, { 0.25f, 1 }, { 0.5f, 2 }, { 0.5f, 3 } };
    uint8_t visible[4];

    voco_mask_choose(key, 4, 2, visible);
    ck_assert(!visible[0] && !visible[1] && visible[2] && visible[3]);
}
END_TEST

/* Every block is hidden as often as another: 4000 draws of 24 of 32, whose standard
 * deviation is 27. */
START_TEST(a_drawn_mask_hides_every_block_alike)
{
    enum { N = 32, HIDDEN = 24, DRAWS = 4000 };
    struct voco_mask_key key[N];
    uint8_t visible[N];
    int times[N] = { 0 };

    for (int d = 0; d < DRAWS; d++) {
        const struct voco_rng_key stream = { .seed = 3, .step = (uint64_t)d,
                                             .purpose = VOCO_RNG_MASK };

        voco_mask_draw(&stream, N, HIDDEN, key, visible);
        for (int i = 0; i < N; i++)
            times[i] += !visible[i];
    }
    for (int i = 0; i < N; i++)
        ck_assert_msg(abs(times[i] - DRAWS * HIDDEN / N) < 140, "block %d: %d times", i,
                      times[i]);
}
END_TEST

/* ---- boxes ---- */

typedef struct voco_box box_maker(const float *u, const int64_t size[3]);

/* Rows of the reference, start and extent in front, from so many numbers a box. */
static void
check_boxes(const char *dataset, const char *stream, box_maker *make, int columns,
            const int64_t size[3])
{
    struct golden_array want = golden_read(&golden, "%s", dataset);
    float *u = uniform(stream, want.dim[0] * columns);

    ck_assert_int_eq(want.dim[1], columns);
    for (int64_t i = 0; i < want.dim[0]; i++) {
        const struct voco_box b = make(u + i * columns, size);
        const double *row = want.x + i * columns;

        for (int a = 0; a < 3; a++)
            ck_assert_msg((double)b.start[a] == row[a] && (double)b.extent[a] == row[3 + a],
                          "%s: box %d on axis %d: %d,%d, want %g,%g", dataset, (int)i, a,
                          (int)b.start[a], (int)b.extent[a], row[a], row[3 + a]);
    }
    free(u);
    golden_free(&want);
}

static const int64_t cube[3] = { 64, 64, 32 };

START_TEST(boxes_are_those_of_the_reference)
{
    const int64_t size[3] = { 64, 64, 64 };

    check_boxes("fusion/boxes", "fusion/boxes", voco_box_fusion, 7, size);
    check_boxes("genesis/blocks", "genesis/blocks", voco_box_shuffle, 6, cube);
    check_boxes("genesis/inpaint_boxes", "genesis/inpaint", voco_box_inpaint, 6, cube);
    check_boxes("genesis/outpaint_boxes", "genesis/outpaint", voco_box_outpaint, 6, cube);
}
END_TEST

/* Numbers at both ends of [0,1), crops of all sizes. */
START_TEST(boxes_stay_inside_the_crop)
{
    static box_maker *const make[] = { voco_box_fusion, voco_box_shuffle, voco_box_inpaint,
                                       voco_box_outpaint };
    static const int64_t border[] = { 0, 0, 3, 3 };
    const float last = 1.0f - 0x1p-24f;

    for (int64_t edge = 32; edge <= 512; edge += 32)
        for (int k = 0; k < 4; k++)
            for (int bits = 0; bits < 4; bits++) {
                const float s = bits & 1 ? last : 0, e = bits & 2 ? last : 0;
                const float u[] = { s, s, s, e, e, e };
                const struct voco_box b = make[k](u, (int64_t[]){ edge, edge, edge });

                for (int a = 0; a < 3; a++)
                    ck_assert_msg(b.extent[a] >= 1 && b.start[a] >= border[k]
                                  && b.start[a] + b.extent[a] <= edge - border[k],
                                  "box %d of %d: %d long at %d", k, (int)edge,
                                  (int)b.extent[a], (int)b.start[a]);
            }
}
END_TEST

/* ---- the stages of Models Genesis ---- */

enum { VOXELS = 64 * 64 * 32 };

/* A whole crop against norm, sum and picked elements; its values are rounded to float. */
static void
check_crop(const char *name, const float *got)
{
    struct golden_array index = golden_read(&golden, "genesis/%s/index", name);
    struct golden_array want = golden_read(&golden, "genesis/%s/value", name);
    double *picked = malloc((size_t)want.count * sizeof *picked), norm, sum, squares = 0;
    double total = 0;
    char group[64];

    ck_assert_ptr_nonnull(picked);
    snprintf(group, sizeof group, "genesis/%s", name);
    golden_attr(&golden, group, "norm", 1, &norm);
    golden_attr(&golden, group, "sum", 1, &sum);
    for (int64_t i = 0; i < want.count; i++)
        picked[i] = got[(int64_t)index.x[i]];
    for (int i = 0; i < VOXELS; i++) {
        squares += (double)got[i] * got[i];
        total += got[i];
    }
    ck_assert(compare(name, want.x, picked, want.count, 0x1p-24));
    ck_assert_msg(fabs(sqrt(squares) - norm) <= 1e-7 * norm, "%s: norm %.12g, want %.12g",
                  name, sqrt(squares), norm);
    ck_assert_msg(fabs(total - sum) <= 1e-7 * fabs(sum), "%s: sum %.12g, want %.12g", name,
                  total, sum);
    free(picked);
    golden_free(&want);
    golden_free(&index);
}

static float *
copy_of(const float *x)
{
    float *y = malloc(VOXELS * sizeof *y);

    ck_assert_ptr_nonnull(y);
    memcpy(y, x, VOXELS * sizeof *y);
    return y;
}

static float *
shuffled(const float *y)
{
    struct golden_array blocks = golden_read(&golden, "genesis/blocks");
    struct golden_array order = golden_read(&golden, "genesis/order");
    float *x = copy_of(y), *u = uniform("genesis/blocks", blocks.dim[0] * 6);
    int64_t at = 0;

    for (int64_t i = 0; i < blocks.dim[0]; i++) {
        const struct voco_box b = voco_box_shuffle(u + i * 6, cube);
        const int64_t n = voco_box_voxels(&b);
        uint32_t own[6 * 6 * 3];

        ck_assert(n <= (int64_t)(sizeof own / sizeof *own) && at + n <= order.count);
        for (int64_t k = 0; k < n; k++)
            own[k] = (uint32_t)order.x[at + k];
        voco_shuffle_block(y, cube, &b, own, x);
        at += n;
    }
    ck_assert_int_eq(at, order.count);
    free(u);
    golden_free(&order);
    golden_free(&blocks);
    return x;
}

/* The map of the reference's control points. */
static struct voco_curve *
curve_of(bool rising)
{
    struct golden_array p = golden_read(&golden, "genesis/points");
    struct voco_curve *c = malloc(sizeof *c);

    ck_assert_ptr_nonnull(c);
    voco_curve_make(c, p.x, p.x + 2, rising);
    golden_free(&p);
    return c;
}

START_TEST(intensity_maps_are_those_of_the_reference)
{
    struct golden_array want = golden_read(&golden, "genesis/curve");
    const int64_t n = want.dim[1];

    for (int k = 1; k <= 2; k++) {
        struct voco_curve *c = curve_of(k == 1);
        double got[257];

        ck_assert_int_eq(n, 257);
        for (int64_t i = 0; i < n; i++)
            got[i] = voco_curve_at(c, want.x[i]);
        ck_assert(compare(k == 1 ? "rising" : "falling", want.x + k * n, got, n, 1e-12));
        free(c);
    }
    golden_free(&want);
}
END_TEST

START_TEST(a_map_ends_at_0_and_1_and_goes_one_way)
{
    struct voco_curve *c = malloc(sizeof *c);

    ck_assert_ptr_nonnull(c);
    for (int seed = 0; seed < 16; seed++) {
        const struct voco_rng_key key = { .seed = (uint64_t)seed, .purpose = VOCO_RNG_TEST };
        const double p[2] = { voco_rng_unit(&key, 0), voco_rng_unit(&key, 1) };
        const double q[2] = { voco_rng_unit(&key, 2), voco_rng_unit(&key, 3) };
        const bool rising = seed % 2;
        double before = rising ? 0 : 1;

        voco_curve_make(c, p, q, rising);
        ck_assert_double_eq(voco_curve_at(c, -1), rising ? 0 : 1);
        ck_assert_double_eq(voco_curve_at(c, 0), rising ? 0 : 1);
        ck_assert_double_eq(voco_curve_at(c, 1), rising ? 1 : 0);
        ck_assert_double_eq(voco_curve_at(c, 2), rising ? 1 : 0);
        for (int i = 0; i <= 1000; i++) {
            const double v = voco_curve_at(c, i / 1000.0);

            ck_assert_msg(rising ? v >= before : v <= before, "seed %d: %g at %d/1000 after %g",
                          seed, v, i, before);
            before = v;
        }
    }
    free(c);
}
END_TEST

START_TEST(stages_of_models_genesis_agree_with_the_reference)
{
    float *y = test_image(golden.seed, "genesis/y", 1, cube), *x = shuffled(y), *noise;
    float *falling = copy_of(x), *inside, *around, *u;
    struct voco_curve *rise = curve_of(true), *fall = curve_of(false);

    check_crop("shuffled", x);
    voco_curve_map(fall, VOXELS, falling);
    check_crop("mapped_decreasing", falling);
    voco_curve_map(rise, VOXELS, x);
    check_crop("mapped", x);

    inside = copy_of(x);
    noise = uniform("genesis/inpaint_noise", 5 * (int64_t)VOXELS);
    u = uniform("genesis/inpaint", 5 * 6);
    for (int i = 0; i < 5; i++) {
        const struct voco_box b = voco_box_inpaint(u + i * 6, cube);

        voco_box_copy(noise + (int64_t)i * VOXELS, cube, &b, inside);
    }
    check_crop("inpainted", inside);
    free(noise);
    free(u);

    around = uniform("genesis/outpaint_noise", VOXELS);
    u = uniform("genesis/outpaint", 3 * 6);
    for (int i = 0; i < 3; i++) {
        const struct voco_box b = voco_box_outpaint(u + i * 6, cube);

        voco_box_copy(x, cube, &b, around);
    }
    check_crop("outpainted", around);
    free(u);
    free(around);
    free(inside);
    free(falling);
    free(fall);
    free(rise);
    free(x);
    free(y);
}
END_TEST

/* ---- the chain ---- */

static const struct voco_distortion usual = { .flip = 0.4, .shuffle = 0.5, .curve = 0.9,
                                              .paint = 0.9, .inpaint = 0.2, .blocks = 100 };

struct pair {
    float *y, *x;
};

static struct pair
distort(const struct voco_distortion *d, int64_t step, int sample)
{
    const struct voco_rng_key key = { .seed = 11, .step = (uint64_t)step,
                                      .sample = (uint32_t)sample };
    struct pair p = { test_image(1, "y", 1, cube), calloc(VOXELS, sizeof(float)) };
    void *scratch = malloc(voco_distort_bytes(cube));

    ck_assert(scratch && p.x);
    voco_distort(d, &key, cube, p.y, p.x, scratch);
    free(scratch);
    return p;
}

static void
pair_free(struct pair p)
{
    free(p.y);
    free(p.x);
}

static bool
same(const float *a, const float *b)
{
    return memcmp(a, b, VOXELS * sizeof *a) == 0;
}

START_TEST(a_distortion_is_a_function_of_seed_step_and_sample)
{
    struct pair a = distort(&usual, 5, 2), b = distort(&usual, 5, 2);
    struct pair c = distort(&usual, 5, 3), d = distort(&usual, 6, 2);

    ck_assert(same(a.x, b.x) && same(a.y, b.y));
    ck_assert(!same(a.x, c.x) && !same(a.x, d.x) && !same(c.x, d.x));
    pair_free(a);
    pair_free(b);
    pair_free(c);
    pair_free(d);
}
END_TEST

START_TEST(without_distortions_a_crop_stays_as_it_is)
{
    const struct voco_distortion none = { .blocks = 1 };
    float *y = test_image(1, "y", 1, cube);
    struct pair p = distort(&none, 1, 0);

    ck_assert(same(p.y, y) && same(p.x, y));
    pair_free(p);
    free(y);
}
END_TEST

static int
by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

START_TEST(flips_move_target_and_input_alike)
{
    const struct voco_distortion d = { .flip = 1, .blocks = 1 };
    float *y = test_image(1, "y", 1, cube);
    int moved = 0;

    for (int step = 0; step < 8; step++) {
        struct pair p = distort(&d, step, 0);

        ck_assert(same(p.x, p.y));
        moved += !same(p.y, y);
        qsort(p.y, VOXELS, sizeof *p.y, by_value);
        qsort(p.x, VOXELS, sizeof *p.x, by_value);
        ck_assert(same(p.x, p.y));
        pair_free(p);
    }
    ck_assert_int_eq(moved, 8);         /* three flips never cancel */
    free(y);
}
END_TEST

/* Voxels move within a tenth of the edge, and their values are of the neighbourhood. */
START_TEST(shuffling_is_local)
{
    const struct voco_distortion d = { .shuffle = 1, .blocks = 300 };
    void *scratch = malloc(voco_distort_bytes(cube));
    float *y = malloc(VOXELS * sizeof *y), *x = malloc(VOXELS * sizeof *x);
    int moved = 0;

    ck_assert(scratch && x && y);
    for (int i = 0; i < VOXELS; i++)
        y[i] = (float)i;
    voco_distort(&d, &(struct voco_rng_key){ .seed = 2 }, cube, y, x, scratch);
    for (int i = 0; i < VOXELS; i++) {
        const int from = (int)x[i];

        moved += from != i;
        ck_assert_int_lt(abs(from / 2048 - i / 2048), 6);
        ck_assert_int_lt(abs(from / 32 % 64 - i / 32 % 64), 6);
        ck_assert_int_lt(abs(from % 32 - i % 32), 3);
    }
    ck_assert_int_gt(moved, VOXELS / 40);
    free(scratch);
    free(x);
    free(y);
}
END_TEST

/* Shares of 400 crops: three standard deviations are 0.075 at most. */
START_TEST(probabilities_are_kept)
{
    enum { CROPS = 400 };
    const int64_t small[3] = { 32, 32, 32 };
    const struct voco_distortion curve = { .curve = 0.7, .blocks = 1 };
    const struct voco_distortion paint = { .paint = 1, .inpaint = 0.2, .blocks = 1 };
    void *scratch = malloc(voco_distort_bytes(small));
    float *y = malloc(32768 * sizeof *y), *x = malloc(32768 * sizeof *x);
    int mapped = 0, inside = 0, falling = 0;

    ck_assert(scratch && x && y);
    for (int i = 0; i < 32768; i++)
        y[i] = 0.25f + (float)i / 65536;
    for (int k = 0; k < CROPS; k++) {
        const struct voco_rng_key key = { .seed = 4, .sample = (uint32_t)k };

        voco_distort(&curve, &key, small, y, x, scratch);
        if (memcmp(x, y, 32768 * sizeof *x) != 0) {
            mapped++;
            falling += x[0] > x[32767];
        }
        voco_distort(&paint, &key, small, y, x, scratch);
        inside += x[0] == y[0];         /* a corner stays unless it is painted around */
    }
    ck_assert_double_eq_tol((double)mapped / CROPS, 0.7, 0.075);
    ck_assert_double_eq_tol((double)falling / mapped, 0.5, 0.09);
    ck_assert_double_eq_tol((double)inside / CROPS, 0.2, 0.075);
    free(scratch);
    free(x);
    free(y);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("distort");
    TCase *mask = tcase_create("mask"), *boxes = tcase_create("boxes");
    TCase *genesis = tcase_create("genesis"), *chain = tcase_create("chain");

    tcase_add_checked_fixture(mask, setup, teardown);
    tcase_add_test(mask, hidden_blocks_are_those_with_the_smallest_keys);
    tcase_add_test(mask, of_equal_keys_the_first_blocks_are_hidden);
    tcase_add_test(mask, a_drawn_mask_hides_every_block_alike);
    tcase_add_checked_fixture(boxes, setup, teardown);
    tcase_add_test(boxes, boxes_are_those_of_the_reference);
    tcase_add_test(boxes, boxes_stay_inside_the_crop);
    tcase_add_checked_fixture(genesis, setup, teardown);
    tcase_add_test(genesis, intensity_maps_are_those_of_the_reference);
    tcase_add_test(genesis, a_map_ends_at_0_and_1_and_goes_one_way);
    tcase_add_test(genesis, stages_of_models_genesis_agree_with_the_reference);
    tcase_set_timeout(chain, 60);
    tcase_add_test(chain, a_distortion_is_a_function_of_seed_step_and_sample);
    tcase_add_test(chain, without_distortions_a_crop_stays_as_it_is);
    tcase_add_test(chain, flips_move_target_and_input_alike);
    tcase_add_test(chain, shuffling_is_local);
    tcase_add_test(chain, probabilities_are_kept);
    suite_add_tcase(suite, mask);
    suite_add_tcase(suite, boxes);
    suite_add_tcase(suite, genesis);
    suite_add_tcase(suite, chain);
    return suite;
}
