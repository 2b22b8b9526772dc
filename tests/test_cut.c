/* Blocks and crops out of a store: resampled by spacing, resized, too large for a volume. */
#include <math.h>

#include "objective/voco/cut.h"
#include "tests/store_util.h"
#include "tests/test.h"

enum { NX = 40, NY = 44, NZ = 20 };

static const double spacing[3] = { 2, 2, 4 };

/* Linear, so that interpolation gives the formula at any point. */
static double
field(double x, double y, double z)
{
    return (x + 2 * y + 3 * z) / 256;
}

static struct voco_store *
linear_store(char *folder)
{
    const struct voco_store_options o = { .type = VOCO_STORE_F32, .chunk = 8 };
    struct voco_volume v = { .dim = { NX, NY, NZ } };
    struct voco_store_writer *w;
    struct voco_store *s;

    v.voxel = malloc(sizeof *v.voxel * NX * NY * NZ);
    ck_assert_ptr_nonnull(v.voxel);
    for (int i = 0; i < NX * NY * NZ; i++)
        v.voxel[i] = (float)field(i / NZ / NY, i / NZ % NY, i % NZ);
    for (int a = 0; a < 3; a++)
        v.affine[a][a] = spacing[a];
    v.affine[3][3] = 1;
    ok(voco_store_create(folder, &o, &w));
    const struct voco_store_entry e = entry_of("linear", "");
    ok(voco_store_add(w, &e, &v, NULL));
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    voco_volume_free(&v);
    return s;
}

/* The crop at start, voxel by voxel; at[a] = first[a] + step[a] i in the store's voxels, held
 * inside the block that begins at begin and has size. */
static void
check_crop(const struct voco_cut *cut, const int start[3], struct voco_cut_own *own,
           const int64_t begin[3], const int64_t size[3], const double first[3],
           const double step[3])
{
    static const struct voco_augment plain = { .scale = 1 };
    const int n = cut->roi;
    float *got = malloc((size_t)(n * n * n) * sizeof *got);

    ck_assert_ptr_nonnull(got);
    ok(voco_cut_crop(cut, start, &plain, own, got));
    for (int i = 0; i < n * n * n; i++) {
        const int index[3] = { i / n / n, i / n % n, i % n };
        double at[3];

        for (int a = 0; a < 3; a++) {
            const double inside = first[a] + step[a] * index[a];

            at[a] = (double)begin[a] + fmin(fmax(inside, 0), (double)(size[a] - 1));
        }
        ck_assert_double_eq_tol(got[i], field(at[0], at[1], at[2]), 2e-6);
    }
    free(got);
}

/* Crops of 16 mm are 8 x 8 x 4 voxels of the store, 8 x 8 x 8 for the network. */
START_TEST(crops_in_millimetres_are_resampled_by_the_spacing)
{
    char *folder = scratch_folder();
    struct voco_store *s = linear_store(folder);
    const struct voco_cut cut = { s, { .n = { 2, 3, 2 }, .edge = 8 }, 8, 16 };
    struct voco_cut_own own = { .block = { .voxel = NULL } };
    const int64_t begin[3] = { 5, 1, 2 };
    int64_t size[3];

    ok(voco_cut_check(&cut));
    voco_cut_size(&cut, 0, size);
    ck_assert(size[0] == 16 && size[1] == 24 && size[2] == 8);
    ok(voco_cut_read(&cut, 0, begin, &own));
    ck_assert(own.block.dim[0] == 16 && own.block.dim[1] == 24 && own.block.dim[2] == 16);
    for (int k = 0; k < 8; k++) {
        const int start[3] = { k, 2 * k, k };
        const double first[3] = { k, 2 * k, (k + 0.5) / 2 - 0.5 }, step[3] = { 1, 1, 0.5 };

        check_crop(&cut, start, &own, begin, size, first, step);
    }
    voco_cut_own_free(&own);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* 10 mm are 5 voxels of 2 mm, and 2.5 of 4 mm: the block's 2 crops are 5 of them. */
START_TEST(an_extent_that_is_no_whole_number_of_voxels_is_rounded_up)
{
    char *folder = scratch_folder();
    struct voco_store *s = linear_store(folder);
    struct voco_cut cut = { s, { .n = { 1, 1, 1 }, .edge = 4 }, 4, 10 };
    int64_t size[3];

    voco_cut_size(&cut, 0, size);
    ck_assert(size[0] == 5 && size[1] == 5 && size[2] == 3);
    cut.tiling.n[2] = 2;
    voco_cut_size(&cut, 0, size);
    ck_assert_int_eq(size[2], 5);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(crops_of_another_edge_are_resized_corner_on_corner)
{
    char *folder = scratch_folder();
    struct voco_store *s = linear_store(folder);
    const struct voco_cut cut = { s, { .n = { 2, 3, 1 }, .edge = 12 }, 8, 0 };
    struct voco_cut_own own = { .block = { .voxel = NULL } };
    const int64_t begin[3] = { 3, 0, 7 };
    int64_t size[3];

    ok(voco_cut_check(&cut));
    voco_cut_size(&cut, 0, size);
    ck_assert(size[0] == 24 && size[1] == 36 && size[2] == 12);
    ok(voco_cut_read(&cut, 0, begin, &own));
    for (int k = 0; k < 12; k++) {
        const int start[3] = { k, 2 * k, 0 };
        const double first[3] = { k, 2 * k, 0 }, step[3] = { 11.0 / 7, 11.0 / 7, 11.0 / 7 };

        check_crop(&cut, start, &own, begin, size, first, step);
    }
    voco_cut_own_free(&own);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_volume_that_is_too_small_is_named_with_both_sizes)
{
    char *folder = scratch_folder();
    struct voco_store *s = linear_store(folder);
    struct voco_cut cut = { s, { .n = { 3, 3, 1 }, .edge = 16 }, 16, 0 };

    fails(VOCO_EFORMAT, voco_cut_check(&cut));
    says("volume linear has 40 x 44 x 20 voxels, a block takes 48 x 48 x 16:");
    cut.crop_mm = 32;
    fails(VOCO_EFORMAT, voco_cut_check(&cut));
    says("a block takes 48 x 48 x 8 (3x3x1 crops of 32 mm)");
    cut.crop_mm = 26;
    ok(voco_cut_check(&cut));
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("cut");
    TCase *tc = tcase_create("cut");

    tcase_add_test(tc, crops_in_millimetres_are_resampled_by_the_spacing);
    tcase_add_test(tc, an_extent_that_is_no_whole_number_of_voxels_is_rounded_up);
    tcase_add_test(tc, crops_of_another_edge_are_resized_corner_on_corner);
    tcase_add_test(tc, a_volume_that_is_too_small_is_named_with_both_sizes);
    suite_add_tcase(suite, tc);
    return suite;
}
