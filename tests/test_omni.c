/*
 * Omni-supervised pre-training: a step against the reference numbers of semi_omni.h5, in
 * micro-batches of several sizes; memory; the labelled crops of a replayed step.
 *
 * VOCO_BIGCHECK=1 (make bigcheck) adds the oracle.
 */
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/cpu.h"
#include "objective/omni/omni.h"
#include "objective/omni/replay.h"
#include "tests/devices.h"
#include "tests/scratch.h"
#include "tests/taught.h"
#include "tests/test.h"

static struct voco_ctx ctx;
static struct voco_model model;

/* ---- against the reference ---- */

static double
attribute(const struct golden *g, const char *object, const char *key)
{
    double x;

    golden_attr(g, object, key, 1, &x);
    return x;
}

/* The settings and the model of the reference.  Steps behind the first have a teacher, whose
 * numbers stay as they are given. */
static struct voco_omni_config
settings_of(const struct golden *g, struct voco_model_config *ret)
{
    struct voco_omni_config c = VOCO_OMNI_DEFAULTS;

    c.voco.common.feature = (int64_t)attribute(g, "/", "feature_size");
    c.voco.common.merging = attribute(g, "/", "legacy_merging") != 0 ? VOCO_MERGING_LEGACY
                                                                     : VOCO_MERGING_FIXED;
    c.voco.momentum = attribute(g, "omni", "ema");
    c.voco.size.volumes = (int)attribute(g, "/", "batch");
    c.voco.size.sw = (int)attribute(g, "/", "sw");
    c.voco.size.bases = (int)(attribute(g, "/", "grid") * attribute(g, "/", "grid"));
    c.voco.size.roi = (int)attribute(g, "/", "roi");
    c.classes = (int64_t)attribute(g, "/", "classes");
    c.roi = c.voco.size.roi;
    c.n = 1;
    *ret = voco_pretrain_model(&c.voco);
    ret->classes = c.classes;
    c.semi.start = 0;
    ck_assert_int_eq(voco_semi_settle(&c.semi, 2, &ret->teacher), VOCO_OK);
    return c;
}

static void
open_model(const struct voco_device *dev, const struct voco_model_config *config,
           const struct golden *g)
{
    ck_assert_int_eq(voco_ctx_open(&ctx, dev,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 36,
                                                               .threads = 2 }), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, g->seed);
    taught_fill(g, "omni", &ctx, &model, attribute(g, "/", "teacher_shift"));
}

/* A batch of each stream.  Free with free_batches. */
static void
make_batches(const struct golden *g, const struct voco_omni_config *c,
             struct voco_batch *crops, struct voco_seg_batch *labels)
{
    const int volumes = c->voco.size.volumes, sw = c->voco.size.sw, roi = c->voco.size.roi;
    const int64_t voxels = (int64_t)roi * roi * roi;
    struct golden_array share = golden_read(g, "omni/labels");
    struct golden_array keep = golden_read(g, "omni/keep");

    *crops = (struct voco_batch){
        .head.step = 1, .sw = sw, .roi = roi, .bases = c->voco.size.bases,
        .img = taught_images(g->seed, "img", volumes * sw, roi),
        .crops = taught_images(g->seed, "crops", volumes * c->voco.size.bases, roi),
        .labels = malloc((size_t)share.count * sizeof *crops->labels),
        .keep = malloc((size_t)keep.count) };
    ck_assert(crops->labels && crops->keep);
    for (int64_t i = 0; i < share.count; i++)
        crops->labels[i] = (float)share.x[i];
    for (int64_t i = 0; i < keep.count; i++)
        crops->keep[i] = (unsigned char)keep.x[i];
    *labels = (struct voco_seg_batch){
        .head.step = 1, .n = 1, .channels = 1, .roi = { roi, roi, roi },
        .image = taught_images(g->seed, "omni/labelled", 1, roi),
        .label = taught_labels(g->seed, "omni/label", voxels, (int)c->classes) };
    golden_free(&share);
    golden_free(&keep);
}

static void
free_batches(struct voco_batch *crops, struct voco_seg_batch *labels)
{
    free(crops->img);
    free(crops->crops);
    free(crops->labels);
    free(crops->keep);
    free(labels->image);
    free(labels->label);
}

static void
follow_reference(const struct voco_device *dev, struct voco_grouping grouping, double loss,
                 double gradient)
{
    struct golden g = golden_open("semi_omni");
    struct voco_model_config config;
    const struct voco_omni_config c = settings_of(&g, &config);
    struct voco_seg_batch labels;
    struct voco_batch crops;
    const struct voco_batch_head *const batch[] = { &crops.head, &labels.head };
    struct voco_gradient got;
    void *work;

    open_model(dev, &config, &g);
    make_batches(&g, &c, &crops, &labels);
    ck_assert_int_eq(voco_objective_omni.open(&c, &ctx, &model, &grouping, &work), VOCO_OK);
    ck_assert_int_eq(voco_take_gradient(&voco_objective_omni, work, &ctx, &model,
                                        &voco_comm_self, batch, NULL, &got), VOCO_OK);
    for (int i = 0; i < VOCO_OMNI_TERMS; i++) {
        const char *name = voco_objective_omni.term[i].name;
        const double want = attribute(&g, "omni", name);

        ck_assert_msg(fabs(got.term[i] - want) <= loss, "%s: %.12g, want %.12g", name,
                      got.term[i], want);
    }
    if (gradient > 0)
        golden_check_gradients(&g, "omni/", &ctx, &model, gradient);
    voco_objective_omni.close(work);
    free_batches(&crops, &labels);
    ck_assert_uint_eq(voco_arena_mark(&ctx.keep), 0);
    ck_assert_uint_eq(voco_arena_mark(&ctx.grad), 0);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    golden_close(&g);
}

/* All activations kept; and few, with recomputation in the whole network. */
START_TEST(device_agrees_with_the_reference)
{
    static const struct voco_grouping grouping[] = {
        { .group = 4, .kept = 6 }, { .group = 1, .kept = 3, .lean = 1, .again = true } };

    follow_reference(device_under_test(), grouping[_i], 1e-5, 3e-3);
}
END_TEST

/* Labels of the teacher are those of rounded logits. */
START_TEST(bf16_step_has_the_losses_of_the_reference)
{
    follow_reference(&voco_cpu_bf16, (struct voco_grouping){ .group = 4, .kept = 6 }, 1e-2, 0);
}
END_TEST

START_TEST(oracle_agrees_with_the_reference)
{
    if (!getenv("VOCO_BIGCHECK"))
        test_skip("the reference on the oracle: make bigcheck has it");
    follow_reference(&voco_oracle, (struct voco_grouping){ .group = 2, .kept = 1 }, 1e-9, 1e-6);
}
END_TEST

/* ---- replay ---- */

/* A dataset [n,1,r,r,r] whose first number is another than the rest. */
static void
write_crops(hid_t file, const char *name, hsize_t n, hsize_t r, float first, float rest)
{
    const hsize_t dim[5] = { n, 1, r, r, r };
    const hid_t space = H5Screate_simple(5, dim, NULL);
    const hid_t set = H5Dcreate2(file, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
    float *x = malloc(n * r * r * r * sizeof *x);

    ck_assert_ptr_nonnull(x);
    for (hsize_t i = 0; i < n * r * r * r; i++)
        x[i] = i ? rest : first;
    ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x), 0);
    H5Dclose(set);
    H5Sclose(space);
    free(x);
}

START_TEST(replayed_labels_are_whole_numbers_of_the_crops)
{
    static const struct { float first; hsize_t n, r; const char *why; } wrong[] = {
        { 0.5f, 1, 32, "element 0 is 0.5" }, { -1, 1, 32, "element 0 is -1" },
        { 256, 1, 32, "element 0 is 256" }, { NAN, 1, 32, "element 0 is nan" },
        { 2, 2, 32, "labelled has 1 crops of 32^3 and label 2 of 32^3" },
        { 2, 1, 34, "labelled has 1 crops of 32^3 and label 1 of 34^3" },
        { 2, 0, 0, "no dataset label" },
    };
    const char *path = scratch("replay.h5");
    struct voco_omni_replay r;
    hid_t file;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        write_crops(file, "labelled", 1, 32, 0.5f, 0.25f);
        if (wrong[i].n)
            write_crops(file, "label", wrong[i].n, wrong[i].r, wrong[i].first, 1);
        H5Fclose(file);
        ck_assert_int_eq(voco_omni_replay_open(path, &r), VOCO_EFORMAT);
        ck_assert_msg(strstr(voco_fail_text(), wrong[i].why) != NULL, "%s", voco_fail_text());
        voco_omni_replay_free(&r);
    }
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_crops(file, "labelled", 1, 32, 0.5f, 0.25f);
    write_crops(file, "label", 1, 32, 2, 1);
    H5Fclose(file);
    ck_assert_int_eq(voco_omni_replay_open(path, &r), VOCO_OK);
    ck_assert(r.n == 1 && r.roi == 32 && r.classes == 3 && r.label[0] == 2 && r.label[32767] == 1
              && r.image[0] == 0.5f && r.image[32767] == 0.25f);
    voco_omni_replay_free(&r);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("omni");
    TCase *tc = tcase_create("omni");

    tcase_set_timeout(tc, 900);
    tcase_add_loop_test(tc, device_agrees_with_the_reference, 0, 2);
    tcase_add_test(tc, bf16_step_has_the_losses_of_the_reference);
    tcase_add_test(tc, oracle_agrees_with_the_reference);
    suite_add_tcase(suite, tc);
    tc = tcase_create("replay");
    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_add_test(tc, replayed_labels_are_whole_numbers_of_the_crops);
    suite_add_tcase(suite, tc);
    return suite;
}
