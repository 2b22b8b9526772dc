/*
 * A step of pre-training and one of segmentation on a device whose memory the host cannot
 * reach: nothing above the device table reads or writes a tensor by itself, and a device
 * with memory entries alone computes with the bits of the one that helps it.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dev/wrap/dry.h"
#include "dev/wrap/trace.h"
#include "objective/segment/segment.h"
#include "objective/voco/step.h"
#include "tests/far.h"
#include "tests/golden_model.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "train/checkpoint.h"
#include "train/comm.h"
#include "train/gradient.h"
#include "train/rates.h"

static struct voco_ctx ctx;
static struct voco_model model;

static const struct voco_device *const pairs[][2] = {
    { &voco_cpu, &far_f32.device },
    { &voco_cpu_bf16, &far_bf16.device },
};

static void
open_model(const struct voco_device *dev, const struct voco_model_config *config)
{
    ck_assert_int_eq(voco_ctx_open(&ctx, dev, &(struct voco_ctx_options){ .threads = 2 }),
                     VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 9);
}

static void
close_model(void)
{
    ck_assert_int_eq(ctx.err, VOCO_OK);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}

/* What a step left: its loss, gradient and weights in double, and the files of a
 * checkpoint, which the same device has read again. */
struct outcome {
    struct voco_gradient g;
    double *grad, *weight;
    int64_t trained, parameters;
    char *sums;                 /* of the files */
};

static void
save(struct outcome *ret)
{
    const char *run = scratch(ctx.dev->name);
    char *folder = voco_format("%s/ckpt-7", run), *path = voco_format("%s/SUMS", folder);
    size_t n;
    struct voco_state state = { .step = 7, .updates = 1, .lr_scale = 1 };
    double *before = golden_host_copy(&ctx, &model.vmax), *after;

    ck_assert_int_eq(voco_folder_make(run), VOCO_OK);
    ck_assert_int_eq(voco_checkpoint_write(run, &ctx, &model, &state, 1), VOCO_OK);
    ctx.dev->fill(&ctx, &model.weight, 0);
    ctx.dev->fill(&ctx, &model.vmax, 0);
    ck_assert_int_eq(voco_checkpoint_read(folder, &ctx, &model, &state), VOCO_OK);
    after = golden_host_copy(&ctx, &model.vmax);
    ck_assert_mem_eq(before, after, (size_t)model.trained * sizeof *after);
    ck_assert_int_eq(voco_file_read(path, 1 << 20, &ret->sums, &n), VOCO_OK);
    free((char *)state.options);
    free(before);
    free(after);
    free(folder);
    free(path);
}

static void
update(struct outcome *ret)
{
    const struct voco_adamw o = { .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .weight_decay = 0.01, .amsgrad = true, .step = 1 };
    struct voco_rates rates;

    ck_assert_int_eq(voco_rates_make(&rates, &model, 1.0, false), VOCO_OK);
    ret->trained = model.trained;
    ret->parameters = voco_count(&model.weight);
    ret->grad = golden_host_copy(&ctx, &model.grad);
    ck_assert_int_eq(voco_rates_update(&rates, &model, &ctx, &o), VOCO_OK);
    save(ret);
    ret->weight = golden_host_copy(&ctx, &model.weight);
    voco_rates_free(&rates);
}

static void
compare(struct outcome *a, struct outcome *b)
{
    ck_assert(a->g.finite && a->g.norm > 0);
    ck_assert_double_eq(a->g.loss, b->g.loss);
    ck_assert_double_eq(a->g.norm, b->g.norm);
    ck_assert_mem_eq(a->grad, b->grad, (size_t)a->trained * sizeof *a->grad);
    ck_assert_str_eq(a->sums, b->sums);
    ck_assert_mem_eq(a->weight, b->weight, (size_t)a->parameters * sizeof *a->weight);
    free(a->grad);
    free(a->weight);
    free(a->sums);
    free(b->sums);
    free(b->grad);
    free(b->weight);
}

/* ---- pre-training ---- */

enum { ROI = 32, SW = 2, CROPS = SW + 9, VOXELS = ROI * ROI * ROI };

static float crops[CROPS * VOXELS], labels[SW * 9];
static struct voco_step step;

static enum voco_err
step_gradient(void *work, const struct voco_batch_head *const batch[],
              const volatile sig_atomic_t *stop, double *ret_term)
{
    static const unsigned char keep[CROPS] = { 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1 };

    (void)work, (void)batch;
    return voco_step_gradient(&step, &(struct voco_step_input){ crops, crops + SW * VOXELS,
                                                                labels, keep },
                              stop, ret_term);
}

static void
pretrain(const struct voco_device *dev, struct outcome *ret)
{
    static const struct voco_objective objective = { .n_terms = VOCO_CONTRAST_TERMS,
                                                     .gradient = step_gradient };
    struct voco_model_config config = { .feature = 12, .in_channels = 1,
                                        .merging = VOCO_MERGING_LEGACY };
    float embeddings[CROPS * 288], predicted[SW * 9];

    voco_model_contrast_heads(&config, 64, 64, 0.9);
    voco_hash_uniform(5, "crops", CROPS * VOXELS, 0, 1, crops);
    labels[0] = 0.25f;
    labels[1] = 0.75f;
    labels[9 + 4] = 1;
    open_model(dev, &config);
    ck_assert_int_eq(voco_step_init(&step, &ctx, &model,
                                    &(struct voco_contrast_size){ 1, SW, 9, ROI },
                                    (struct voco_grouping){ .group = 4, .kept = 2, .lean = 1 }), VOCO_OK);
    voco_model_follow(&model, &ctx, 0);
    ck_assert_int_eq(voco_take_gradient(&objective, NULL, &ctx, &model, &voco_comm_self,
                                        NULL, NULL, &ret->g), VOCO_OK);
    voco_step_embeddings(&step, embeddings);
    voco_step_predicted(&step, predicted);
    for (int i = 0; i < CROPS * 288; i++)
        ck_assert(isfinite(embeddings[i]));
    update(ret);
    voco_model_follow(&model, &ctx, 0);
    voco_model_follow_undo(&model, &ctx, 0);
    voco_step_free(&step);
    close_model();
}

START_TEST(pretraining_has_the_bits_of_the_helper)
{
    struct outcome near, far;

    pretrain(pairs[_i][0], &near);
    pretrain(pairs[_i][1], &far);
    compare(&near, &far);
}
END_TEST

/* ---- segmentation ---- */

#define K { 3, 3, 3 }

static const struct network {
    struct voco_model_config config;
    int64_t size[3];
} networks[] = {
    { { .feature = 12, .in_channels = 1, .classes = 3, .merging = VOCO_MERGING_FIXED },
      { 32, 64, 32 } },
    { { .net = VOCO_NET_PLAINCONV, .in_channels = 2, .classes = 3, .axes = 5,
        .plainconv = { 4, { 4, 6, 8, 8 }, { K, K, K, K },
                       { { 1, 1, 1 }, { 1, 2, 2 }, { 2, 2, 2 }, { 2, 2, 2 } },
                       { 1, 1, 1, 1 }, { 1, 1, 1 } } },
      { 16, 24, 8 } },
};

enum { ITEMS = 2, NETWORKS = sizeof networks / sizeof networks[0] };

static enum voco_err
segment_gradient(void *work, const struct voco_batch_head *const batch[],
                 const volatile sig_atomic_t *stop, double *ret_term)
{
    static const struct voco_dicece dicece = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };
    struct voco_segment_result r;
    const enum voco_err err = voco_segment_gradient(&ctx, &model, &dicece, work, 1, &r);

    (void)batch, (void)stop;
    ret_term[0] = r.dice;
    ret_term[1] = r.ce;
    return err;
}

static void
segment(const struct voco_device *dev, const struct network *net, struct outcome *ret)
{
    static const struct voco_objective objective = { .n_terms = 2,
                                                     .gradient = segment_gradient };
    const int64_t voxels = ITEMS * net->size[0] * net->size[1] * net->size[2];
    const int64_t channels = net->config.in_channels, classes = net->config.classes;
    float *image = malloc((size_t)(voxels * channels) * sizeof *image);
    float *uniform = malloc((size_t)voxels * sizeof *uniform);
    uint8_t *label = malloc((size_t)voxels);
    float *logits = malloc((size_t)(voxels * classes) * sizeof *logits);
    struct voco_segment_batch batch = { .image = image, .label = label, .n = ITEMS,
                                        .size = { net->size[0], net->size[1],
                                                  net->size[2] } };

    ck_assert(image && uniform && label && logits);
    voco_hash_uniform(1, "image", voxels * channels, 0, 1, image);
    voco_hash_uniform(1, "label", voxels, 0, (double)classes, uniform);
    for (int64_t i = 0; i < voxels; i++)
        label[i] = (uint8_t)uniform[i];
    open_model(dev, &net->config);
    ck_assert_int_eq(voco_take_gradient(&objective, &batch, &ctx, &model, &voco_comm_self,
                                        NULL, NULL, &ret->g), VOCO_OK);
    update(ret);
    ctx.inference = true;
    ck_assert_int_eq(voco_segment_logits(&ctx, &model, image, ITEMS, net->size, logits),
                     VOCO_OK);
    for (int64_t i = 0; i < voxels * classes; i++)
        ck_assert(isfinite(logits[i]));
    close_model();
    free(image);
    free(uniform);
    free(label);
    free(logits);
}

START_TEST(segmentation_has_the_bits_of_the_helper)
{
    struct outcome near, far;

    segment(&voco_cpu, &networks[_i], &near);
    segment(&far_f32.device, &networks[_i], &far);
    compare(&near, &far);
}
END_TEST

/* ---- wrappers around a wrapper ---- */

START_TEST(wrappers_nest)
{
    const struct voco_device *dev[2];
    struct voco_trace trace;
    struct voco_dry dry;
    float host[8] = { 1, -2, 3 };
    const struct voco_tensor view = voco_view(host, VOCO_F32, 2, (int64_t)2, (int64_t)4);

    voco_trace_init(&trace, &far_f32.device, NULL);
    voco_dry_init(&dry, &far_f32.device);
    dev[0] = &trace.device;
    dev[1] = &dry.device;
    for (int i = 0; i < 2; i++) {
        struct voco_tensor x;

        ck_assert_int_eq(voco_ctx_open(&ctx, dev[i],
                                       &(struct voco_ctx_options){ .threads = 1 }), VOCO_OK);
        x = voco_push(&ctx, &ctx.keep, 2, (int64_t)2, (int64_t)4);
        ctx.dev->upload(&ctx, &view, &x);
        ctx.dev->leaky_forward(&ctx, &x, 0.5, &x);
        ctx.dev->download(&ctx, &x, &view);
        ck_assert_int_eq(ctx.err, VOCO_OK);
        ck_assert(host[1] == (i ? 0 : -1));
        voco_ctx_close(&ctx);
    }
    ck_assert_int_eq(trace.rows, 3);
    voco_trace_free(&trace);
    voco_dry_free(&dry);
}
END_TEST

START_TEST(far_memory_cannot_be_read)
{
    struct voco_tensor x;

    ck_assert_int_eq(voco_ctx_open(&ctx, &far_f32.device, NULL), VOCO_OK);
    x = voco_push(&ctx, &ctx.keep, 1, (int64_t)4);
    ctx.dev->fill(&ctx, &x, 1);
    ck_assert(*(volatile float *)x.data != 1);          /* ends with a signal */
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("far");
    TCase *steps = tcase_create("steps"), *small = tcase_create("small");

    tcase_set_timeout(steps, 300);
    tcase_add_checked_fixture(steps, scratch_setup, scratch_teardown);
    tcase_add_loop_test(steps, pretraining_has_the_bits_of_the_helper, 0, 2);
    tcase_add_loop_test(steps, segmentation_has_the_bits_of_the_helper, 0, NETWORKS);
    suite_add_tcase(suite, steps);
    tcase_add_test(small, wrappers_nest);
    tcase_add_test_raise_signal(small, far_memory_cannot_be_read, SIGSEGV);
    suite_add_tcase(suite, small);
    return suite;
}
