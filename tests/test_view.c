/* Views of crops: what is drawn, how it is made, and batches of them. */
#include <math.h>

#include "base/log.h"
#include "objective/views/batch.h"
#include "objective/views/signals.h"
#include "store_util.h"
#include "tests/test.h"

enum { ROI = 8, VOXELS = ROI * ROI * ROI, VOLUMES = 3, BATCH = 2, CROPS = 2 };

static const int64_t dim[3] = { 20, 9, 8 };

static struct voco_view
draw(const struct voco_view_recipe *r, double strength, bool augment, int crop, int view)
{
    const struct voco_view_key key = { { 3, 5, 1, crop }, view };
    struct voco_view v;

    voco_view_draw(r, strength, augment, &key, dim, ROI, &v);
    return v;
}

static bool
plain(const struct voco_view *v)
{
    return !v->histogram && v->noise == 0.0 && v->smooth[0] == 0.0 && v->scale == 1.0
        && v->contrast == 1.0 && v->low == 1.0 && v->gamma == 1.0
        && v->gamma_inverted == 1.0;
}

START_TEST(places_lie_inside_the_volume_and_reach_its_borders)
{
    const struct voco_view_recipe *r = _i ? &voco_view_recipe_simclr
                                          : &voco_view_recipe_contrast;
    int64_t low[3] = { 99, 99, 99 }, high[3] = { 0, 0, 0 };
    int smallest = ROI, moved = 0;

    for (int crop = 0; crop < 1000; crop++) {
        const struct voco_view a = draw(r, 1, true, crop, 0), b = draw(r, 1, true, crop, 1);

        for (int i = 0; i < 3; i++) {
            const int64_t end = b.start[i] + b.edge;

            ck_assert(b.start[i] >= 0 && end <= dim[i]);
            low[i] = b.start[i] < low[i] ? b.start[i] : low[i];
            high[i] = end > high[i] ? end : high[i];
            /* parts of one crop, or crops that share half their edge */
            ck_assert_int_lt(llabs(a.start[i] - b.start[i]), _i ? ROI / 2 + 1 : ROI);
            moved += a.start[i] != b.start[i];
        }
        smallest = b.edge < smallest ? b.edge : smallest;
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(low[i], 0);
        ck_assert_int_eq(high[i], dim[i]);
    }
    /* 8 * cbrt(0.33) is 5.5 */
    ck_assert_int_eq(smallest, _i ? ROI : 6);
    ck_assert_int_gt(moved, 500);
}
END_TEST

/* Four standard errors of a share of 4000. */
static void
check_share(int hits, double p)
{
    ck_assert_double_le(fabs(hits / 4000.0 - p), 4 * sqrt(p * (1 - p) / 4000));
}

START_TEST(changes_come_as_often_as_the_recipe_says)
{
    int histogram = 0, smooth = 0, flip = 0, gamma = 0, turns = 0, noise = 0;

    for (int i = 0; i < 4000; i++) {
        const struct voco_view c = draw(&voco_view_recipe_contrast, 1, true, i, 0);
        const struct voco_view s = draw(&voco_view_recipe_simclr, 1, true, i, 1);

        histogram += c.histogram;
        smooth += c.smooth[0] > 0;
        flip += c.turn.flip[2];
        ck_assert(!c.turn.flip[0] && !c.turn.flip[1] && c.turn.turns == 0);
        ck_assert(c.smooth[0] == 0.0 || (c.smooth[0] >= 0.25 && c.smooth[2] <= 1.5));
        for (int k = 1; c.histogram && k < VOCO_VIEW_POINTS; k++)
            ck_assert(c.point[k] >= c.point[k - 1] && c.point[VOCO_VIEW_POINTS - 1] == 1.0);
        gamma += s.gamma != 1.0;
        turns += s.turn.turns > 0;
        noise += s.noise > 0.0;
    }
    check_share(histogram, 0.5);
    check_share(smooth, 0.5);
    check_share(flip, 0.5);
    check_share(gamma, 0.3);
    check_share(turns, 0.3);
    check_share(noise, 0.1);
}
END_TEST

START_TEST(strength_decides_how_often_intensities_change)
{
    int weak = 0, flips = 0;

    for (int i = 0; i < 4000; i++) {
        const struct voco_view none = draw(&voco_view_recipe_simclr, 0, true, i, 0);
        const struct voco_view half = draw(&voco_view_recipe_simclr, 0.5, true, i, 0);
        const struct voco_view off = draw(&voco_view_recipe_simclr, 1, false, i, 0);

        ck_assert(plain(&none) && plain(&off));
        ck_assert(!off.turn.flip[0] && off.turn.turns == 0);
        flips += none.turn.flip[0];
        weak += half.gamma != 1.0;
    }
    check_share(weak, 0.15);
    check_share(flips, 0.5);
}
END_TEST

START_TEST(a_plain_view_is_its_box_and_a_part_is_brought_to_size)
{
    struct voco_view_memory *m = voco_view_memory_new(ROI);
    struct voco_view v = draw(&voco_view_recipe_contrast, 0, false, 0, 0);
    float out[VOXELS];

    ck_assert_ptr_nonnull(m);
    v.edge = ROI;
    for (int i = 0; i < VOXELS; i++)
        m->box[0][i] = (float)i;
    voco_view_make(&v, ROI, m, out);
    for (int i = 0; i < VOXELS; i++)
        ck_assert_float_eq(out[i], (float)i);
    /* z of a box of 4 to 8 voxels: -0.25, 0.25, 0.75 ..., the ends repeated */
    v.edge = 4;
    v.turn.flip[2] = true;
    for (int i = 0; i < 4 * 4 * 4; i++)
        m->box[0][i] = (float)(i % 4);
    voco_view_make(&v, ROI, m, out);
    for (int z = 0; z < ROI; z++)
        ck_assert_float_eq_tol(out[ROI - 1 - z],
                               (float)fmin(fmax((z + 0.5) / 2 - 0.5, 0), 3), 1e-6f);
    voco_view_memory_free(m);
}
END_TEST

/* ---- batches ---- */

static struct voco_store *
small_store(char *folder, int64_t x)
{
    const struct voco_store_options o = { .type = VOCO_STORE_U16, .chunk = 8 };
    struct voco_store *s;

    store_of(folder, &o, VOLUMES, x, ROI, ROI + 3);
    ok(voco_store_open(folder, &s));
    return s;
}

static struct voco_views_options
options(void)
{
    return (struct voco_views_options){ .seed = 5, .batch = BATCH, .crops = CROPS, .roi = ROI,
                                        .recipe = &voco_view_recipe_simclr, .strength = 3,
                                        .augment = true };
}

enum { STEPS = 4, OF_STEP = 2 * BATCH * CROPS * VOXELS };

static void
walk(const struct voco_store *s, const struct voco_views_options *o, int threads,
     int64_t first, int n, float *ret)
{
    struct voco_views_source *source;
    struct voco_batches *batches;

    ok(voco_views_open(s, o, &source));
    ok(voco_batches_open(&voco_views_kind, source, o->batch, threads, 2, first, &batches));
    for (int step = 0; step < n; step++) {
        const struct voco_views *b;
        const void *next;

        ok(voco_batches_next(batches, &next, NULL));
        b = next;
        ck_assert_int_eq(b->head.step, first + step);
        for (int v = 0; v < 2; v++)
            memcpy(ret + step * OF_STEP + v * OF_STEP / 2, b->view[v],
                   OF_STEP / 2 * sizeof *ret);
    }
    voco_batches_close(batches);
    voco_views_close(source);
}

START_TEST(threads_and_resume_change_nothing)
{
    static float one[STEPS * OF_STEP], many[STEPS * OF_STEP], later[STEPS * OF_STEP];
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder, ROI + 9);
    struct voco_views_options o = options();

    walk(s, &o, 1, 0, STEPS, one);
    walk(s, &o, 4, 0, STEPS, many);
    walk(s, &o, 2, 1, STEPS - 1, later);
    ck_assert_mem_eq(one, many, sizeof one);
    ck_assert_mem_eq(one + OF_STEP, later, (STEPS - 1) * OF_STEP * sizeof *later);
    ck_assert_mem_ne(one, one + OF_STEP / 2, OF_STEP / 2 * sizeof *one);
    for (int i = 0; i < STEPS * OF_STEP; i++)
        ck_assert(isfinite(one[i]));
    o.seed++;
    walk(s, &o, 1, 0, STEPS, many);
    ck_assert_mem_ne(one, many, sizeof one);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(volumes_that_hold_no_crop_are_refused)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder, ROI - 1);
    const struct voco_views_options o = options();
    struct voco_views_source *source;

    ck_assert_int_eq(voco_views_open(s, &o, &source), VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "expected at least 8^3"));
    ck_assert_ptr_null(source);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* ---- signals ---- */

START_TEST(agreement_of_rows_on_a_cross)
{
    /* two crops, two views each: both pairs agree and are opposite to each other */
    const float apart[] = { 1, 0,  -1, 0,  1, 0,  -1, 0 };
    /* each row is nearest to the other crop's */
    const float crossed[] = { 1, 0,  0, 1,  0, 1,  1, 0 };
    const float same[] = { 1, 0,  1, 0,  1, 0,  1, 0 };
    struct voco_agreement a = voco_agreement_of(apart, 2, 2);

    ck_assert_double_eq_tol(a.alignment, 0, 1e-12);
    ck_assert_double_eq_tol(a.accuracy, 1, 1e-12);
    /* of six pairs two have distance 0, four have 2 */
    ck_assert_double_eq_tol(a.uniformity, log((2 + 4 * exp(-8)) / 6), 1e-12);
    a = voco_agreement_of(crossed, 2, 2);
    ck_assert_double_eq_tol(a.alignment, 2, 1e-12);
    ck_assert_double_eq_tol(a.accuracy, 0, 1e-12);
    a = voco_agreement_of(same, 2, 2);
    ck_assert_double_eq_tol(a.uniformity, 0, 1e-12);
    ck_assert_double_eq_tol(a.accuracy, 0, 1e-12);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("view");
    TCase *tc = tcase_create("views");

    tcase_add_loop_test(tc, places_lie_inside_the_volume_and_reach_its_borders, 0, 2);
    tcase_add_test(tc, changes_come_as_often_as_the_recipe_says);
    tcase_add_test(tc, strength_decides_how_often_intensities_change);
    tcase_add_test(tc, a_plain_view_is_its_box_and_a_part_is_brought_to_size);
    tcase_add_test(tc, threads_and_resume_change_nothing);
    tcase_add_test(tc, volumes_that_hold_no_crop_are_refused);
    tcase_add_test(tc, agreement_of_rows_on_a_cross);
    suite_add_tcase(suite, tc);
    return suite;
}
