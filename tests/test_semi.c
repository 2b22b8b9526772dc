/*
 * Semi-supervised segmentation: a step against the reference numbers of semi_omni.h5, the
 * threshold against a loss computed here, and what a run refuses.
 *
 * VOCO_BIGCHECK=1 (make bigcheck) adds the oracle.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "objective/segment/finetune.h"
#include "tests/devices.h"
#include "tests/taught.h"
#include "tests/test.h"

static const struct voco_dicece dicece = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };

static struct voco_ctx ctx;
static struct voco_model model;

static void
open_model(const struct voco_device *dev, const struct voco_model_config *config)
{
    ck_assert_int_eq(voco_ctx_open(&ctx, dev,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 36,
                                                               .threads = 2 }), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 5);
}

static void
close_model(void)
{
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert_uint_eq(voco_arena_mark(&ctx.keep), 0);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}

/* ---- against the reference ---- */

static void
expect_loss(const struct golden *g, const char *key, double got, double tolerance)
{
    double want;

    golden_attr(g, "semi", key, 1, &want);
    ck_assert_msg(fabs(got - want) <= tolerance, "%s: %.12g, want %.12g", key, got, want);
}

static void
follow_reference(const struct voco_device *dev, double loss, double gradient)
{
    struct golden g = golden_open("semi_omni");
    struct voco_model_config config = { .in_channels = 1, .teacher = { .there = true } };
    double feature, classes, roi, legacy, shift;
    struct voco_segment_result labelled, unlabelled;
    struct voco_segment_batch b = { .n = 1 };
    float *x, *u;
    uint8_t *y;

    golden_attr(&g, "/", "feature_size", 1, &feature);
    golden_attr(&g, "/", "classes", 1, &classes);
    golden_attr(&g, "/", "roi", 1, &roi);
    golden_attr(&g, "/", "legacy_merging", 1, &legacy);
    golden_attr(&g, "/", "teacher_shift", 1, &shift);
    config.feature = (int64_t)feature;
    config.classes = (int64_t)classes;
    config.merging = legacy != 0 ? VOCO_MERGING_LEGACY : VOCO_MERGING_FIXED;
    open_model(dev, &config);
    model.params.hash_prefix = "semi/";
    taught_fill(&g, "semi", &ctx, &model, shift);
    x = taught_images(g.seed, "semi/labelled", 1, (int64_t)roi);
    u = taught_images(g.seed, "semi/unlabelled", 1, (int64_t)roi);
    y = taught_labels(g.seed, "semi/label", (int64_t)(roi * roi * roi), (int)classes);
    for (int i = 0; i < 3; i++)
        b.size[i] = (int64_t)roi;
    b.image = x;
    b.label = y;
    ck_assert_int_eq(voco_segment_gradient(&ctx, &model, &dicece, &b, 1, &labelled), VOCO_OK);
    expect_loss(&g, "labelled", labelled.loss, loss);
    if (golden_has(&g, "semi/labelled_grad_rows"))
        golden_check_gradients(&g, "semi/labelled_", &ctx, &model, gradient);
    b.image = u;
    b.label = NULL;
    ck_assert_int_eq(voco_segment_gradient(&ctx, &model, &dicece, &b, 1, &unlabelled),
                     VOCO_OK);
    ck_assert_double_eq(unlabelled.counted, 1.0);
    expect_loss(&g, "unlabelled", unlabelled.loss, loss);
    expect_loss(&g, "loss", labelled.loss + unlabelled.loss, 2 * loss);
    golden_check_gradients(&g, "semi/", &ctx, &model, gradient);
    free(x);
    free(u);
    free(y);
    close_model();
    golden_close(&g);
}

START_TEST(device_agrees_with_the_reference)
{
    follow_reference(device_under_test(), 1e-5, 3e-3);
}
END_TEST

START_TEST(oracle_agrees_with_the_reference)
{
    if (!getenv("VOCO_BIGCHECK"))
        test_skip("the reference on the oracle: make bigcheck has it");
    follow_reference(&voco_oracle, 1e-9, 1e-6);
}
END_TEST

/* ---- the threshold ---- */

enum { CLASSES = 3 };

/* Class and probability of a voxel. */
static int
best_of(const float *logits, double *ret_p)
{
    double sum = 0;
    int best = 0;

    for (int k = 1; k < CLASSES; k++)
        if (logits[k] > logits[best])
            best = k;
    for (int k = 0; k < CLASSES; k++)
        sum += exp((double)(logits[k] - logits[best]));
    *ret_p = 1 / sum;
    return best;
}

/* DiceCE of one item over the voxels that count, and their share. */
static struct voco_segment_result
loss_of(const float *student, const float *teacher, int64_t voxels, double threshold)
{
    double both[CLASSES] = { 0 }, p_of[CLASSES] = { 0 }, t_of[CLASSES] = { 0 }, ce = 0, top;
    struct voco_segment_result r = { .dice = 0 };
    int64_t n = 0;

    for (int64_t v = 0; v < voxels; v++) {
        const float *z = student + v * CLASSES;
        const int label = best_of(teacher + v * CLASSES, &top);
        double sum = 0;

        if (top < threshold)
            continue;
        n++;
        for (int k = 0; k < CLASSES; k++)
            sum += exp((double)z[k]);
        ce -= (double)z[label] - log(sum);
        for (int k = 0; k < CLASSES; k++) {
            const double p = exp((double)z[k]) / sum;

            both[k] += k == label ? p : 0;
            p_of[k] += p;
            t_of[k] += k == label;
        }
    }
    for (int k = 1; k < CLASSES; k++)
        r.dice += (1 - (2 * both[k] + 1e-5) / (p_of[k] + t_of[k] + 1e-5)) / (CLASSES - 1);
    r.ce = n ? ce / (double)n : 0;
    r.counted = (double)n / (double)voxels;
    return r;
}

/* Items have other shares of voxels that count, and each is a mean of its own. */
START_TEST(voxels_below_the_threshold_leave_the_loss)
{
    static const double threshold[] = { 0, 0.5, 0.62, 1 };
    const struct voco_model_config config = { .feature = 12, .in_channels = 1,
                                              .classes = CLASSES,
                                              .teacher = { .there = true } };
    const int64_t size[3] = { 32, 32, 32 }, voxels = 32 * 32 * 32;
    float *x = taught_images(7, "x", 2, 32);
    float *student = malloc((size_t)(2 * voxels * CLASSES) * sizeof *student);
    float *teacher = malloc((size_t)(2 * voxels * CLASSES) * sizeof *teacher);
    struct voco_tensor own, taught, aside;

    ck_assert(student && teacher);
    for (int64_t i = 0; i < voxels; i++)
        x[i] *= 3;
    open_model(device_under_test(), &config);
    ck_assert_int_eq(voco_segment_logits(&ctx, &model, x, 2, size, student), VOCO_OK);
    own = voco_slice(&model.weight, 0, model.follower[0].count);
    taught = voco_slice(&model.weight, model.follower[0].at, model.follower[0].count);
    aside = voco_slice(&model.grad, 0, model.follower[0].count);
    ctx.dev->copy(&ctx, &own, &aside);
    ctx.dev->copy(&ctx, &taught, &own);
    ctx.weights_version++;
    ck_assert_int_eq(voco_segment_logits(&ctx, &model, x, 2, size, teacher), VOCO_OK);
    ctx.dev->copy(&ctx, &aside, &own);
    ctx.weights_version++;
    for (size_t i = 0; i < sizeof threshold / sizeof *threshold; i++) {
        const struct voco_segment_batch b = { .image = x, .threshold = threshold[i], .n = 2,
                                              .size = { 32, 32, 32 } };
        struct voco_segment_result want = { .dice = 0 }, got;

        for (int64_t k = 0; k < 2; k++) {
            const struct voco_segment_result one = loss_of(
                student + k * voxels * CLASSES, teacher + k * voxels * CLASSES, voxels,
                threshold[i]);

            want.dice += one.dice / 2;
            want.ce += one.ce / 2;
            want.counted += one.counted / 2;
        }
        for (int group = 1; group <= 2; group++) {
            ck_assert_int_eq(voco_segment_loss(&ctx, &model, &dicece, &b, group, &got),
                             VOCO_OK);
            ck_assert_double_eq_tol(got.dice, want.dice, 1e-5);
            ck_assert_double_eq_tol(got.ce, want.ce, 1e-5);
            ck_assert_double_eq_tol(got.counted, want.counted, 2e-5);
        }
        printf("threshold %g: %.4f of the voxels count\n", threshold[i], want.counted);
        if (i == 1 || i == 2)
            ck_assert(want.counted > 0.01 && want.counted < 0.99);
    }
    free(x);
    free(student);
    free(teacher);
    close_model();
}
END_TEST

/* ---- memory, settings ---- */

START_TEST(plan_counts_the_teacher_and_its_images)
{
    struct voco_segment_request request = {
        .model = { .feature = 12, .in_channels = 1, .classes = CLASSES }, .training = true,
        .n = 2, .size = { 32, 64, 32 }, .threads = 2 };
    struct voco_plan alone, taught;

    ck_assert_int_eq(voco_segment_plan(device_under_test(), &request, &alone), VOCO_OK);
    request.taught = request.model.teacher.there = true;
    ck_assert_int_eq(voco_segment_plan(device_under_test(), &request, &taught), VOCO_OK);
    ck_assert_int_eq(taught.items, 2 * alone.items);
    ck_assert_int_eq(taught.early_items, alone.items);
    ck_assert_double_eq(taught.early_flops, alone.flops);
    ck_assert_double_gt(taught.flops, 2.2 * alone.flops);
    ck_assert_double_lt(taught.flops, 2.5 * alone.flops);
    ck_assert_int_eq(taught.trained, alone.trained);
    ck_assert_int_eq(taught.parameters, 2 * alone.parameters);
    ck_assert_uint_gt(taught.slabs, alone.slabs + 7 * (uint64_t)alone.parameters);
    ck_assert_uint_gt(taught.packed, alone.packed);
}
END_TEST

START_TEST(teacher_begins_in_the_middle_or_where_it_is_told)
{
    struct voco_semi_config c = VOCO_SEMI_DEFAULTS;
    struct voco_teacher_config teacher;

    ck_assert_int_eq(voco_semi_settle(&c, 11, &teacher), VOCO_OK);
    ck_assert_int_eq(c.start, 5);
    ck_assert(teacher.there && teacher.start == 5 && teacher.momentum == 1.0);
    c.start = 11;
    ck_assert_int_eq(voco_semi_settle(&c, 11, &teacher), VOCO_EUSAGE);
    c.start = 0;
    c.teacher = VOCO_SEMI_EMA;
    ck_assert_int_eq(voco_semi_settle(&c, 11, &teacher), VOCO_OK);
    ck_assert(teacher.start == 0 && teacher.momentum == 0.999);
    c.momentum = 1;
    ck_assert_int_eq(voco_semi_check(&c, "x"), VOCO_EUSAGE);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("semi");
    TCase *tc = tcase_create("semi");

    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, device_agrees_with_the_reference);
    tcase_add_test(tc, oracle_agrees_with_the_reference);
    tcase_add_test(tc, voxels_below_the_threshold_leave_the_loss);
    tcase_add_test(tc, plan_counts_the_teacher_and_its_images);
    tcase_add_test(tc, teacher_begins_in_the_middle_or_where_it_is_told);
    suite_add_tcase(suite, tc);
    return suite;
}
