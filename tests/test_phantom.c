/* Phantoms: the same everywhere, a torso inside, labels where they belong; and the
 * threads that make them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "data/phantom/phantom.h"
#include "tests/test.h"

#define ck_ok(call) ck_assert_msg((call) == VOCO_OK, "%s: %s", #call, voco_fail_text())

static const struct voco_phantom_options options = {
    .seed = 3, .index = 1, .dim = { 80, 76, 60 }, .spacing_mm = { 5, 5, 6 }
};

START_TEST(the_same_seed_and_number_give_the_same_voxels)
{
    struct voco_phantom_options o = options;
    struct voco_volume a, b, c;
    const size_t bytes = 80 * 76 * 60 * sizeof *a.voxel;

    ck_ok(voco_phantom_make(&o, &a, NULL, NULL));
    ck_ok(voco_phantom_make(&o, &b, NULL, NULL));
    o.index++;
    ck_ok(voco_phantom_make(&o, &c, NULL, NULL));
    ck_assert_mem_eq(a.voxel, b.voxel, bytes);
    ck_assert(memcmp(a.voxel, c.voxel, bytes) != 0);
    voco_volume_free(&a);
    voco_volume_free(&b);
    voco_volume_free(&c);
}
END_TEST

START_TEST(every_organ_is_there_in_its_range_of_intensities)
{
    static const double range[][2] = {  /* HU of the mean, any contrast phase */
        [VOCO_PHANTOM_LUNG_RIGHT] = { -950, -650 },
        [VOCO_PHANTOM_LUNG_LEFT] = { -950, -650 },
        [VOCO_PHANTOM_HEART] = { 20, 260 }, [VOCO_PHANTOM_LIVER] = { 40, 140 },
        [VOCO_PHANTOM_SPLEEN] = { 30, 150 }, [VOCO_PHANTOM_KIDNEY_RIGHT] = { 15, 200 },
        [VOCO_PHANTOM_KIDNEY_LEFT] = { 15, 200 }, [VOCO_PHANTOM_STOMACH] = { -900, 80 },
        [VOCO_PHANTOM_AORTA] = { -40, 400 }, [VOCO_PHANTOM_SPINE] = { 100, 500 },
        [VOCO_PHANTOM_BONES] = { 100, 700 }
    };
    const int64_t n = options.dim[0] * options.dim[1] * options.dim[2];
    double sum[VOCO_PHANTOM_BONES + 1] = { 0 };
    int64_t count[VOCO_PHANTOM_BONES + 1] = { 0 };
    struct voco_phantom_options o = options;
    struct voco_volume image, labels;

    o.index = (uint32_t)_i;
    ck_ok(voco_phantom_make(&o, &image, &labels, NULL));
    for (int64_t i = 0; i < n; i++) {
        ck_assert(image.voxel[i] >= -1024 && image.voxel[i] <= 3071);
        ck_assert_float_eq(image.voxel[i], rintf(image.voxel[i]));
        if (image.voxel[i] > -1024) {       /* seen */
            sum[(int)labels.voxel[i]] += image.voxel[i];
            count[(int)labels.voxel[i]]++;
        }
    }
    for (int k = 1; k <= VOCO_PHANTOM_BONES; k++) {
        const double mean = sum[k] / (double)(count[k] ? count[k] : 1);

        ck_assert_msg(count[k] > 40, "%d: %d voxels of %s", _i, (int)count[k],
                      voco_phantom_label_name[k]);
        ck_assert_msg(mean > range[k][0] && mean < range[k][1], "%d: %s has mean %g", _i,
                      voco_phantom_label_name[k], mean);
    }
    ck_assert_double_lt(image.affine[0][0], 0);
    ck_assert_double_lt(image.affine[1][1], 0);
    voco_volume_free(&image);
    voco_volume_free(&labels);
}
END_TEST

START_TEST(parts_are_the_organs_with_other_names)
{
    const int64_t n = options.dim[0] * options.dim[1] * options.dim[2];
    struct voco_phantom_options o = options;
    struct voco_volume image, same, whole, parts;
    int64_t count[VOCO_PHANTOM_LABELS] = { 0 };

    ck_ok(voco_phantom_make(&o, &image, &whole, NULL));
    o.parts = true;
    ck_ok(voco_phantom_make(&o, &same, &parts, NULL));
    ck_assert_mem_eq(image.voxel, same.voxel, (size_t)n * sizeof *image.voxel);
    for (int64_t i = 0; i < n; i++) {
        const int organ = (int)whole.voxel[i], part = (int)parts.voxel[i];

        ck_assert_int_lt(part, VOCO_PHANTOM_LABELS);
        count[part]++;
        if (organ == VOCO_PHANTOM_SPINE)
            ck_assert_int_ge(part, VOCO_PHANTOM_VERTEBRAE);
        else if (organ == VOCO_PHANTOM_LUNG_RIGHT)
            ck_assert(part >= VOCO_PHANTOM_LOBES && part < VOCO_PHANTOM_LOBES + 3);
        else if (organ == VOCO_PHANTOM_LUNG_LEFT)
            ck_assert(part >= VOCO_PHANTOM_LOBES + 3 && part < VOCO_PHANTOM_VERTEBRAE);
        else
            ck_assert_int_eq(part, organ);
    }
    for (int k = 0; k < 5; k++)
        ck_assert_msg(count[VOCO_PHANTOM_LOBES + k] > 100, "%s has %d voxels",
                      voco_phantom_label_name[VOCO_PHANTOM_LOBES + k],
                      (int)count[VOCO_PHANTOM_LOBES + k]);
    ck_assert_int_gt(count[VOCO_PHANTOM_VERTEBRAE + 8], 20);
    ck_assert_ptr_null(voco_phantom_label_name[VOCO_PHANTOM_LABELS]);
    voco_volume_free(&image);
    voco_volume_free(&same);
    voco_volume_free(&whole);
    voco_volume_free(&parts);
}
END_TEST

/* Mean HU of the spine's marrow and cortex. */
static double
bone_density(const struct voco_volume *image, const struct voco_volume *labels, int64_t n)
{
    double sum = 0, count = 0;

    for (int64_t i = 0; i < n; i++)
        if (labels->voxel[i] == VOCO_PHANTOM_SPINE && image->voxel[i] > -1024) {
            sum += image->voxel[i];
            count++;
        }
    return sum / count;
}

START_TEST(a_case_says_what_is_in_the_volume)
{
    enum { PATIENTS = 16 };
    const int64_t n = options.dim[0] * options.dim[1] * options.dim[2];
    double young = 0, old = 0;
    int n_young = 0, n_old = 0, with = 0;

    for (int p = 0; p < PATIENTS; p++) {
        struct voco_phantom_options o = options;
        struct voco_phantom_case c;
        struct voco_volume image, labels;
        double density;
        int64_t lesion = 0;

        o.index = (uint32_t)p;
        o.patients = true;
        o.lesions = p < PATIENTS / 2 ? 1 : 0;
        o.scanners = 1;
        ck_ok(voco_phantom_make(&o, &image, &labels, &c));
        for (int64_t i = 0; i < n; i++)
            lesion += labels.voxel[i] == VOCO_PHANTOM_LESION;
        ck_assert_double_eq_tol(c.lesion_ml, (double)lesion * 5 * 5 * 6 / 1000, 1e-9);
        ck_assert((c.lesion_ml > 0) == (c.lesion_organ != VOCO_PHANTOM_NONE));
        ck_assert(p < PATIENTS / 2 || lesion == 0);
        with += lesion > 0;
        ck_assert(c.age >= 20 && c.age <= 90);
        ck_assert(c.level > 0 && c.level < 20);
        ck_assert_int_eq(c.scanner, 0);
        density = bone_density(&image, &labels, n);
        if (c.age < 45) {
            young += density;
            n_young++;
        } else if (c.age > 65) {
            old += density;
            n_old++;
        }
        voco_volume_free(&image);
        voco_volume_free(&labels);
    }
    ck_assert_int_gt(with, PATIENTS / 4);
    ck_assert(n_young > 0 && n_old > 0);
    ck_assert_double_gt(young / n_young, old / n_old + 50);
}
END_TEST

START_TEST(scanners_differ_and_patients_do_not)
{
    enum { SCANNERS = 5 };
    const int64_t n = options.dim[0] * options.dim[1] * options.dim[2];
    struct voco_phantom_options o = options;
    struct voco_volume image, labels, other, same;
    struct voco_phantom_case c;
    bool seen[SCANNERS] = { false };
    int kinds = 0;

    o.patients = true;
    ck_ok(voco_phantom_make(&o, &image, &labels, NULL));
    o.scanners = SCANNERS;
    ck_ok(voco_phantom_make(&o, &other, &same, &c));
    ck_assert_mem_eq(labels.voxel, same.voxel, (size_t)n * sizeof *same.voxel);
    ck_assert_mem_ne(image.voxel, other.voxel, (size_t)n * sizeof *image.voxel);
    voco_volume_free(&image);
    voco_volume_free(&labels);
    voco_volume_free(&other);
    voco_volume_free(&same);
    o.dim[0] = o.dim[1] = o.dim[2] = 4;
    for (int p = 0; p < 40; p++) {
        o.index = (uint32_t)p;
        ck_ok(voco_phantom_make(&o, &image, NULL, &c));
        ck_assert(c.scanner >= 0 && c.scanner < SCANNERS);
        kinds += !seen[c.scanner];
        seen[c.scanner] = true;
        voco_volume_free(&image);
    }
    ck_assert_int_eq(kinds, SCANNERS);
}
END_TEST

/* Items behind the one that fails sleep: the other threads cannot get through all of
   them, however late the system lets the failure be told. */
static enum voco_err
add_up(int64_t i, void *user)
{
    if (i > 300)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    __atomic_fetch_add((int64_t *)user, i + 1, __ATOMIC_RELAXED);
    return i == 300 ? voco_fail(VOCO_EIO, "item %d fails", (int)i) : VOCO_OK;
}

START_TEST(threads_do_each_item_once_and_stop_at_a_failure)
{
    int64_t sum = 0;

    ck_ok(voco_parallel_for(_i, 300, add_up, &sum));
    ck_assert_int_eq(sum, 300 * 301 / 2);
    ck_ok(voco_parallel_for(_i, 0, add_up, &sum));
    ck_assert_int_eq(sum, 300 * 301 / 2);
    sum = 0;
    ck_assert_int_eq(voco_parallel_for(_i, 100000, add_up, &sum), VOCO_EIO);
    ck_assert_str_eq(voco_fail_text(), "item 300 fails");
    ck_assert_int_lt(sum, (int64_t)100000 * 100001 / 2);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("phantom");
    TCase *c = tcase_create("all");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_same_seed_and_number_give_the_same_voxels);
    tcase_add_loop_test(c, every_organ_is_there_in_its_range_of_intensities, 0, 6);
    tcase_add_test(c, parts_are_the_organs_with_other_names);
    tcase_add_test(c, a_case_says_what_is_in_the_volume);
    tcase_add_test(c, scanners_differ_and_patients_do_not);
    tcase_add_loop_test(c, threads_do_each_item_once_and_stop_at_a_failure, 1, 4);
    suite_add_tcase(s, c);
    return s;
}
