/*
 * Dense pretexts: their losses on every device, and steps through the whole network, against
 * the reference numbers of dense.h5 and dense_small.h5 (tools/golden_dense.py); micro-batches;
 * memory; what a replay refuses.
 *
 * VOCO_BIGCHECK=1 (make bigcheck) adds crops of 64^3 on the oracle.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/store/hdf5.h"
#include "objective/dense/dense.h"
#include "objective/dense/replay.h"
#include "objective/dense/step.h"
#include "tests/compare.h"
#include "tests/devices.h"
#include "tests/golden_model.h"
#include "tests/images.h"
#include "tests/store_util.h"
#include "tests/test.h"

static struct voco_ctx ctx;

static void
open_ctx(const struct voco_device *dev)
{
    ok(voco_ctx_open(&ctx, dev, &(struct voco_ctx_options){ .limit = (size_t)1 << 36,
                                                            .threads = 2 }));
}

static void
close_ctx(void)
{
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert_uint_eq(voco_arena_mark(&ctx.keep), 0);
    ck_assert_uint_eq(voco_arena_mark(&ctx.temp), 0);
    voco_ctx_close(&ctx);
}

static const struct voco_fusion_config fusion = { .classes = 5, .boxes = { 10, 39 } };
static const struct voco_mae_config mae = { .share = 0.75, .block = 16 };
static const struct voco_genesis_config genesis = { .blocks = 10 };

/* ---- batches by the formulas of the reference ---- */

static void
make_boxes(struct voco_dense_batch *b, int most)
{
    b->most_boxes = most;
    b->box = calloc((size_t)(b->n * most), sizeof *b->box);
    b->n_box = calloc((size_t)b->n, sizeof *b->n_box);
    ck_assert(b->box && b->n_box);
}

/* Hidden blocks from mask [n][grid]. */
static void
boxes_of_mask(struct voco_dense_batch *b, const struct golden_array *mask)
{
    const int64_t *grid = mask->dim + 1;
    const int blocks = (int)(mask->count / mask->dim[0]);

    make_boxes(b, blocks);
    for (int i = 0; i < b->n; i++)
        for (int k = 0; k < blocks; k++) {
            const int64_t at[3] = { k / (grid[1] * grid[2]), k / grid[2] % grid[1],
                                    k % grid[2] };
            struct voco_box box = { 0 };

            if (mask->x[i * blocks + k] != 0)
                continue;
            for (int a = 0; a < 3; a++) {
                box.extent[a] = b->size[a] / grid[a];
                box.start[a] = at[a] * box.extent[a];
            }
            b->box[i * blocks + b->n_box[i]++] = box;
        }
}

/* Boxes from rows of start, extent, class. */
static void
boxes_of_rows(struct voco_dense_batch *b, const struct golden_array *rows)
{
    const int n = (int)rows->dim[rows->rank - 2];

    make_boxes(b, n);
    for (int k = 0; k < b->n * n; k++) {
        const double *row = rows->x + 7 * k;

        for (int a = 0; a < 3; a++) {
            b->box[k].start[a] = (int64_t)row[a];
            b->box[k].extent[a] = (int64_t)row[3 + a];
        }
        b->box[k].value = row[6];
        b->n_box[k / n] = n;
    }
}

static struct voco_dense_batch
make_batch(const struct golden *g, const struct voco_pretext *p, int n,
           const int64_t size[3])
{
    struct voco_dense_batch b = { .n = n, .size = { size[0], size[1], size[2] } };
    char name[64];

    snprintf(name, sizeof name, "%s/%s", p->name, p->x);
    b.x = test_image(g->seed, name, n, size);
    snprintf(name, sizeof name, "%s/%s", p->name, p->y ? p->y : "");
    b.y = p->y ? test_image(g->seed, name, n, size) : NULL;
    if (p == &voco_pretext_mae) {
        struct golden_array mask = golden_read(g, "mae/mask");

        boxes_of_mask(&b, &mask);
        golden_free(&mask);
    } else if (p == &voco_pretext_fusion) {
        struct golden_array rows = golden_read(g, "fusion/boxes");

        boxes_of_rows(&b, &rows);
        golden_free(&rows);
    }
    return b;
}

/* ---- losses alone ---- */

/* Losses and gradients in double; in single precision, five times what torch in float32 is off
 * by, relative to the largest value. */
struct tolerance {
    double loss, gradient;
};

static struct tolerance
tolerance_of(const struct voco_device *dev)
{
    return dev->real == VOCO_F64 ? (struct tolerance){ 1e-12, 1e-11 }
                                 : (struct tolerance){ 2e-6, 5e-6 };
}

/* A loss and dL/dy of a group whose output is hashed within +-range. */
struct loss_case {
    const char *group;
    const struct voco_pretext *pretext;
    const void *config;
    int n;
    int64_t size[3], channels;
    double range;
};

static const struct loss_case loss_cases[] = {
    { "mae_loss", &voco_pretext_mae, &mae, 3, { 16, 32, 16 }, 1, 1 },
    { "genesis_loss", &voco_pretext_genesis, &genesis, 2, { 16, 16, 8 }, 1, 2 },
    { "ce_soft_dice", &voco_pretext_fusion, &fusion, 2, { 8, 9, 10 }, 5, 3 },
};
enum { LOSSES = sizeof loss_cases / sizeof *loss_cases };

/* Channels last, on the device, as real. */
static struct voco_tensor
upload(struct golden_array a)
{
    struct voco_tensor host, x;

    golden_channels_last(&a);
    host = golden_view(&a);
    x = voco_push_real(&ctx, &ctx.keep, 5, a.dim[0], a.dim[1], a.dim[2], a.dim[3], a.dim[4]);
    ctx.dev->upload(&ctx, &host, &x);
    golden_free(&a);
    return x;
}

/* What the outputs are compared with. */
static void
make_target(const struct golden *g, const struct loss_case *c, struct voco_dense_batch *b,
            struct voco_dense_part *part)
{
    const int64_t dim[] = { c->n, 1, c->size[0], c->size[1], c->size[2] };
    const bool classes = c->pretext == &voco_pretext_fusion;
    const double low = c->pretext == &voco_pretext_mae ? -1 : 0, high = classes ? 4 : 1;
    struct golden_array t = golden_hash(g, 5, dim, low, high, "%s/%s", c->group,
                                        classes ? "target" : "x");

    for (int64_t i = 0; i < t.count && classes; i++)
        t.x[i] = floor(t.x[i]);
    part->target = upload(t);
    if (c->pretext == &voco_pretext_mae) {
        struct golden_array mask = golden_read(g, "%s/mask", c->group);

        boxes_of_mask(b, &mask);
        golden_free(&mask);
        part->mask = voco_dense_filled(&ctx, part, 0);
        voco_dense_paint(&ctx, part, 0, 1, &part->mask);
    }
}

/* dL/dy, picked in torch's order. */
static void
check_picked(const struct golden *g, const struct loss_case *c, const struct voco_tensor *dy,
             double tolerance)
{
    struct golden_array index = golden_read(g, "%s/dy/index", c->group);
    struct golden_array want = golden_read(g, "%s/dy/value", c->group);
    const int64_t voxels = c->size[0] * c->size[1] * c->size[2];
    double *all = golden_host_copy(&ctx, dy);
    double *got = malloc((size_t)want.count * sizeof *got);

    ck_assert_ptr_nonnull(got);
    for (int64_t i = 0; i < want.count; i++) {
        const int64_t at = (int64_t)index.x[i], item = at / (voxels * c->channels);

        got[i] = all[(item * voxels + at % voxels) * c->channels
                     + at / voxels % c->channels];
    }
    ck_assert(compare(c->group, want.x, got, want.count, tolerance));
    free(all);
    free(got);
    golden_free(&want);
    golden_free(&index);
}

START_TEST(losses_agree_with_the_reference)
{
    const struct loss_case *c = &loss_cases[_i % LOSSES];
    const struct voco_device *dev = devices[_i / LOSSES];
    const struct tolerance t = tolerance_of(dev);
    const int64_t dim[] = { c->n, c->channels, c->size[0], c->size[1], c->size[2] };
    struct voco_dense_batch b = { .n = c->n, .size = { c->size[0], c->size[1], c->size[2] } };
    struct voco_dense_part part = { .batch = &b, .n = c->n };
    struct golden g = golden_open("dense");
    struct golden_array want = golden_read(&g, "%s/y", c->group);
    double term[2] = { 0 }, sum = 0;
    struct voco_tensor y, terms, host = voco_view(term, VOCO_F64, 1, INT64_C(2));

    open_ctx(dev);
    make_target(&g, c, &b, &part);
    y = upload(golden_hash(&g, 5, dim, -c->range, c->range, "%s/y", c->group));
    terms = voco_push_real(&ctx, &ctx.keep, 1, INT64_C(2));
    ctx.dev->fill(&ctx, &terms, 0);
    c->pretext->loss(c->config, &ctx, &part, &y, &terms);
    ctx.dev->download(&ctx, &terms, &host);
    for (int i = 0; i < c->pretext->n_terms; i++)
        sum += term[i] + c->pretext->constant[i];
    ck_assert_msg(fabs(sum - want.x[0]) <= t.loss * fabs(want.x[0]), "%s on %s: %.15g, want "
                  "%.15g", c->group, dev->name, sum, want.x[0]);
    check_picked(&g, c, &y, t.gradient);
    voco_arena_release(&ctx.keep, 0);
    close_ctx();
    free(b.box);
    free(b.n_box);
    golden_free(&want);
    golden_close(&g);
}
END_TEST

/* Samples of which one hides more than the other: the mean is over voxels, not samples. */
START_TEST(masked_error_is_a_mean_over_hidden_voxels_of_the_batch)
{
    const int64_t size[3] = { 4, 4, 4 };
    struct voco_box box[] = { { .extent = { 4, 4, 4 } }, { .extent = { 1, 4, 4 } } };
    int n_box[] = { 1, 1 };
    struct voco_dense_batch b = { .n = 2, .size = { size[0], size[1], size[2] }, .box = box,
                                  .n_box = n_box, .most_boxes = 1 };
    struct voco_dense_part part = { .batch = &b, .n = 2 };
    struct voco_tensor y, one, terms, host;
    double term;

    open_ctx(&voco_oracle);
    part.target = voco_dense_filled(&ctx, &part, 0);
    part.mask = voco_dense_filled(&ctx, &part, 0);
    voco_dense_paint(&ctx, &part, 0, 1, &part.mask);
    y = voco_dense_filled(&ctx, &part, 3);
    one = voco_slice(&y, 0, 1);
    ctx.dev->fill(&ctx, &one, 1);
    terms = voco_push_real(&ctx, &ctx.keep, 1, INT64_C(1));
    ctx.dev->fill(&ctx, &terms, 0);
    voco_pretext_mae.loss(&mae, &ctx, &part, &y, &terms);
    host = voco_view(&term, VOCO_F64, 1, INT64_C(1));
    ctx.dev->download(&ctx, &terms, &host);
    ck_assert_double_eq_tol(term, (64 * 1.0 + 16 * 9.0) / 80, 1e-14);
    voco_arena_release(&ctx.keep, 0);
    close_ctx();
}
END_TEST

/* ---- inputs ---- */

/* x and target of sample i on the host. */
static void
make_sample(const struct voco_pretext *p, const void *config,
            const struct voco_dense_batch *b, int i, float *x, float *target)
{
    struct voco_dense_part part = { .batch = b, .first = i, .n = 1 };
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2];
    struct voco_tensor host = voco_view(x, VOCO_F32, 5, INT64_C(1), b->size[0], b->size[1],
                                        b->size[2], INT64_C(1));

    open_ctx(device_under_test());
    p->make(config, &ctx, &part);
    ck_assert_int_eq(voco_count(&part.x), voxels);
    ctx.dev->download(&ctx, &part.x, &host);
    host.data = target;
    ctx.dev->download(&ctx, &part.target, &host);
    voco_arena_release(&ctx.keep, 0);
    close_ctx();
}

START_TEST(blended_crops_are_those_of_the_reference)
{
    const int64_t size[3] = { 64, 64, 64 }, voxels = 64 * 64 * 64;
    struct golden g = golden_open("dense");
    struct voco_dense_batch b = make_batch(&g, &voco_pretext_fusion, 1, size);
    float *x = malloc((size_t)voxels * sizeof *x), *t = malloc((size_t)voxels * sizeof *t);
    struct golden_array index = golden_read(&g, "fusion/mixed/index");
    struct golden_array want = golden_read(&g, "fusion/mixed/value");
    double *got = malloc((size_t)want.count * sizeof *got), counts[5], counted[5] = { 0 };

    ck_assert(x && t && got);
    make_sample(&voco_pretext_fusion, &fusion, &b, 0, x, t);
    for (int64_t i = 0; i < want.count; i++)
        got[i] = x[(int64_t)index.x[i]];
    ck_assert(compare("mixed", want.x, got, want.count, 0x1p-23));
    golden_attr(&g, "fusion", "class_counts", 5, counts);
    for (int64_t i = 0; i < voxels; i++)
        counted[(int)t[i]]++;
    for (int k = 0; k < 5; k++)
        ck_assert_double_eq(counted[k], counts[k]);
    free(got);
    free(x);
    free(t);
    golden_free(&want);
    golden_free(&index);
    voco_dense_replay_free(&b);
    golden_close(&g);
}
END_TEST

/* A mask that is drawn: its blocks have the fill's value, all other voxels are the crop's. */
START_TEST(hidden_voxels_are_zero_or_the_mean_of_the_visible)
{
    enum { EDGE = 32, VOXELS = EDGE * EDGE * EDGE };
    const int64_t size[3] = { EDGE, EDGE, EDGE };
    const struct voco_mae_config c = { .share = 0.5, .block = 8,
                                       .fill = _i ? VOCO_FILL_MEAN : VOCO_FILL_ZERO };
    const struct voco_rng_key key = { .seed = 9, .step = 3 };
    struct voco_dense_batch b = { .n = 1, .size = { EDGE, EDGE, EDGE } };
    float *x = malloc(VOXELS * sizeof *x), *t = malloc(VOXELS * sizeof *t);
    double visible = 0, hidden = 0;
    int n = 0;

    ck_assert(x && t);
    b.x = test_image(5, "crop", 1, size);
    make_boxes(&b, voco_pretext_mae.most_boxes(&c, size));
    ck_assert_int_eq(b.most_boxes, 32);
    voco_pretext_mae.draw(&c, &key, &b, 0);
    ck_assert_int_eq(b.n_box[0], 32);
    make_sample(&voco_pretext_mae, &c, &b, 0, x, t);
    ck_assert_int_eq(memcmp(t, b.x, VOXELS * sizeof *t), 0);
    for (int i = 0; i < VOXELS; i++)
        if (x[i] == b.x[i]) {
            visible += x[i];
        } else {
            hidden = x[i];
            n++;
        }
    ck_assert_int_eq(n, VOXELS / 2);
    for (int i = 0; i < VOXELS; i++)
        ck_assert(x[i] == b.x[i] || (double)x[i] == hidden);
    ck_assert_double_eq_tol(hidden, _i ? visible / n : 0, 1e-7);
    free(x);
    free(t);
    voco_dense_replay_free(&b);
}
END_TEST

/* ---- whole networks ---- */

static struct voco_model model;

static void
open_model(const struct voco_device *dev, const struct voco_pretext *p, const void *config,
           uint64_t seed, enum voco_merging merging)
{
    const struct voco_model_config m = { .feature = 12, .in_channels = 1, .merging = merging,
                                         .classes = p->outputs(config) };

    open_ctx(dev);
    ok(voco_model_describe(&model, &m));
    ok(voco_model_allocate(&model, &ctx, true));
    model.params.hash_prefix = p == &voco_pretext_mae ? "mae/"
                             : p == &voco_pretext_fusion ? "fusion/" : "genesis/";
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, seed);
}

static void
close_model(void)
{
    voco_model_free(&model);
    close_ctx();
}

static const struct voco_pretext *const pretexts[] = {
    &voco_pretext_fusion, &voco_pretext_mae, &voco_pretext_genesis
};
static const void *const configs[] = { &fusion, &mae, &genesis };

static double
take(const struct voco_pretext *p, const void *config, const struct voco_dense_batch *b,
     int group)
{
    const struct voco_dense_step step = { .ctx = &ctx, .model = &model, .pretext = p,
                                          .config = config, .group = group };
    double term[2] = { 0 };

    ctx.dev->fill(&ctx, &model.grad, 0);
    ok(voco_dense_gradient(&step, b, NULL, term));
    ck_assert(isfinite(term[0]) && isfinite(term[1]));
    return term[0] + term[1];
}

static void
follow_reference(const char *file, const struct voco_device *dev, int which, int n,
                 const int64_t size[3], enum voco_merging merging, double loss_tolerance,
                 double gradient_tolerance)
{
    const struct voco_pretext *p = pretexts[which];
    struct golden g = golden_open(file);
    struct voco_dense_batch b = make_batch(&g, p, n, size);
    char prefix[16];
    double loss, want;

    golden_attr(&g, p->name, "loss", 1, &want);
    open_model(dev, p, configs[which], g.seed, merging);
    loss = take(p, configs[which], &b, 1);
    ck_assert_msg(fabs(loss - want) <= loss_tolerance, "%s on %s: loss %.15g, want %.15g",
                  p->name, dev->name, loss, want);
    snprintf(prefix, sizeof prefix, "%s/", p->name);
    if (gradient_tolerance > 0)
        golden_check_gradients(&g, prefix, &ctx, &model, gradient_tolerance);
    close_model();
    voco_dense_replay_free(&b);
    golden_close(&g);
}

static const int64_t small[3] = { 64, 32, 32 };

/* The README of the reference: norms of gradients to 1e-10 in double, 1e-2 in f32. */
START_TEST(oracle_agrees_with_the_reference)
{
    follow_reference("dense_small", &voco_oracle, _i, 2, small, VOCO_MERGING_LEGACY, 1e-11,
                     1e-8);
}
END_TEST

START_TEST(device_agrees_with_the_reference)
{
    follow_reference("dense_small", device_under_test(), _i, 2, small, VOCO_MERGING_LEGACY,
                     1e-5, 1e-2);
}
END_TEST

START_TEST(device_agrees_with_the_reference_of_larger_crops)
{
    const int64_t size[3] = { 64, 64, 64 };

    follow_reference("dense", device_under_test(), _i, 1, size, VOCO_MERGING_FIXED, 1e-5,
                     1e-2);
}
END_TEST

START_TEST(oracle_agrees_with_the_reference_of_larger_crops)
{
    const int64_t size[3] = { 64, 64, 64 };

    if (!getenv("VOCO_BIGCHECK"))
        test_skip("crops of 64^3 on the oracle: make bigcheck has it");
    follow_reference("dense", &voco_oracle, _i, 1, size, VOCO_MERGING_FIXED, 1e-11, 1e-8);
}
END_TEST

START_TEST(bf16_has_the_losses_of_the_reference)
{
    follow_reference("dense_small", &voco_cpu_bf16, _i, 2, small, VOCO_MERGING_LEGACY, 1e-2,
                     0);
}
END_TEST

/* As a crop is after it was stored in bfloat16, up to ties. */
static void
round_to_bf16(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        bits = (bits + 0x8000) & 0xFFFF0000;
        memcpy(&x[i], &bits, sizeof bits);
    }
}

/* The gradient of one pretext in double, as an array to free. */
static double *
gradient_of(const struct voco_device *dev, int which, int group, bool rounded,
            double *ret_loss)
{
    struct golden g = golden_open("dense_small");
    struct voco_dense_batch b = make_batch(&g, pretexts[which], 2, small);
    const int64_t voxels = b.n * small[0] * small[1] * small[2];
    double *grad;

    if (rounded)
        round_to_bf16(b.x, voxels);
    if (rounded && b.y)
        round_to_bf16(b.y, voxels);
    open_model(dev, pretexts[which], configs[which], g.seed, VOCO_MERGING_LEGACY);
    *ret_loss = take(pretexts[which], configs[which], &b, group);
    grad = golden_host_copy(&ctx, &model.grad);
    close_model();
    voco_dense_replay_free(&b);
    golden_close(&g);
    return grad;
}

/* cos of the angle, and the relative distance. */
static void
compare_gradients(const double *a, const double *b, int64_t n, double *ret_cosine,
                  double *ret_distance)
{
    double aa = 0, bb = 0, ab = 0, off = 0;

    for (int64_t i = 0; i < n; i++) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
        off += (a[i] - b[i]) * (a[i] - b[i]);
    }
    *ret_cosine = ab / sqrt(aa * bb);
    *ret_distance = sqrt(off / bb);
}

static int64_t
trained_of(int which)
{
    const struct voco_model_config m = {
        .feature = 12, .in_channels = 1,
        .classes = pretexts[which]->outputs(configs[which]) };
    struct voco_model t;
    int64_t n;

    ok(voco_model_describe(&t, &m));
    n = t.trained;
    voco_model_free(&t);
    return n;
}

/* bfloat16 rounds at every layer, forward and backward.  As in test_step, its effect is
 * judged by that of rounding the crops once. */
START_TEST(bf16_turns_the_gradient_little_more_than_rounded_crops_do)
{
    double loss, turned, allowed, distance;
    double *want = gradient_of(&voco_cpu, _i, 1, false, &loss);
    double *once = gradient_of(&voco_cpu, _i, 1, true, &loss);
    double *got = gradient_of(&voco_cpu_bf16, _i, 1, false, &loss);

    compare_gradients(once, want, trained_of(_i), &allowed, &distance);
    compare_gradients(got, want, trained_of(_i), &turned, &distance);
    ck_assert_msg(1 - turned <= 20 * (1 - allowed), "%s: cosine %.4f, with rounded crops %.4f",
                  pretexts[_i]->name, turned, allowed);
    free(want);
    free(once);
    free(got);
}
END_TEST

/* The order of summation differs, and nothing else. */
START_TEST(micro_batches_do_not_change_the_gradient)
{
    double one, two, cosine, distance;
    double *a = gradient_of(&voco_cpu, _i, 1, false, &one);
    double *b = gradient_of(&voco_cpu, _i, 2, false, &two);

    ck_assert_double_eq_tol(one, two, 1e-6);
    compare_gradients(a, b, trained_of(_i), &cosine, &distance);
    ck_assert_msg(distance < 1e-4, "%s: distance %g", pretexts[_i]->name, distance);
    free(a);
    free(b);
}
END_TEST

static volatile sig_atomic_t stop_now = 1;

START_TEST(a_step_is_abandoned_between_micro_batches)
{
    struct golden g = golden_open("dense_small");
    struct voco_dense_batch b = make_batch(&g, &voco_pretext_mae, 2, small);
    struct voco_dense_step step = { .ctx = &ctx, .model = &model,
                                    .pretext = &voco_pretext_mae, .config = &mae, .group = 1 };
    double term[2];

    open_model(&voco_cpu, &voco_pretext_mae, &mae, 1, VOCO_MERGING_LEGACY);
    fails(VOCO_ESTOPPED, voco_dense_gradient(&step, &b, &stop_now, term));
    close_model();
    voco_dense_replay_free(&b);
    golden_close(&g);
}
END_TEST

/* ---- draws ---- */

START_TEST(boxes_of_fusion_are_drawn_within_their_limits)
{
    enum { DRAWS = 200 };
    const int64_t size[3] = { 64, 64, 64 };
    struct voco_dense_batch b = { .n = DRAWS, .size = { 64, 64, 64 } };
    int times[40] = { 0 }, classes[5] = { 0 };

    make_boxes(&b, voco_pretext_fusion.most_boxes(&fusion, size));
    for (int i = 0; i < DRAWS; i++) {
        const struct voco_rng_key key = { .seed = 1, .sample = (uint32_t)i };

        voco_pretext_fusion.draw(&fusion, &key, &b, i);
        ck_assert(b.n_box[i] >= 10 && b.n_box[i] <= 39);
        times[b.n_box[i]]++;
        for (int k = 0; k < b.n_box[i]; k++) {
            const struct voco_box *box = &b.box[i * b.most_boxes + k];

            ck_assert(box->value >= 0 && box->value <= 4);
            classes[(int)box->value]++;
            for (int a = 0; a < 3; a++)
                ck_assert(box->extent[a] >= 8 && box->extent[a] <= 40 && box->start[a] >= 0
                          && box->start[a] + box->extent[a] <= 64);
        }
    }
    ck_assert(times[10] > 0 && times[39] > 0);      /* missed in 1 of 900 seeds */
    for (int k = 0; k < 5; k++)
        ck_assert_int_gt(classes[k], 700);          /* of 4900, with deviation 28 */
    voco_dense_replay_free(&b);
}
END_TEST

/* ---- settings and replays that are refused ---- */

START_TEST(masks_that_hide_nothing_or_all_are_refused)
{
    const int64_t size[3] = { 64, 64, 64 };
    struct voco_mae_config c = mae;

    ok(voco_pretext_mae.check(&c, size));
    c.share = 0.01;
    fails(VOCO_EUSAGE, voco_pretext_mae.check(&c, size));
    says("none of the 64 blocks");
    c.share = 1;
    fails(VOCO_EUSAGE, voco_pretext_mae.check(&c, size));
    says("all of the 64 blocks");
    c = mae;
    c.block = 24;
    fails(VOCO_EUSAGE, voco_pretext_mae.check(&c, size));
    says("--mask-block 24 does not divide crops of 64");
}
END_TEST

/* A file with the datasets of a pretext; n samples of 32^3. */
static char *
write_file(const char *folder, const char *name, const float *x, int rank,
           const int64_t *dim, const char *other, const float *y, int other_rank,
           const int64_t *other_dim)
{
    char *path = voco_format("%s/%s.h5", folder, name);
    struct voco_h5 *h;

    ok(voco_h5_create(path, &h));
    ok(voco_h5_write_f32(h, name, rank, dim, x));
    if (other)
        ok(voco_h5_write_f32(h, other, other_rank, other_dim, y));
    ok(voco_h5_close(h));
    return path;
}

/* x [n,1,32,32,32] and a mask. */
static void
refuse_mask(enum voco_err want, const char *sentence, const int64_t dim[5], int rank,
            const int64_t *mask_dim, const float *mask)
{
    float *x = calloc(2 * 32 * 32 * 32, sizeof *x);
    char *folder = scratch_folder();
    char *path = write_file(folder, "x", x, 5, dim, mask_dim ? "mask" : NULL, mask, rank,
                            mask_dim);
    struct voco_dense_batch b;

    fails(want, voco_dense_replay_open(path, &voco_pretext_mae, &mae, &b));
    if (want != VOCO_OK)
        says(sentence);
    voco_dense_replay_free(&b);
    free(x);
    free(path);
    scratch_remove(folder);
}

START_TEST(replays_with_wrong_masks_are_refused)
{
    const int64_t two[5] = { 2, 1, 32, 32, 32 }, odd[5] = { 1, 1, 32, 32, 24 };
    const int64_t channels[5] = { 1, 2, 32, 32, 32 }, grid[4] = { 2, 2, 1, 1 };
    const float good[] = { 0, 1, 1, 0 }, all[] = { 0, 0, 1, 0 }, none[] = { 0, 1, 1, 1 };
    const float two_of_them[] = { 0, 1, 2, 1 };

    refuse_mask(VOCO_OK, NULL, two, 4, grid, good);
    refuse_mask(VOCO_OK, NULL, two, 5, (int64_t[]){ 2, 1, 2, 1, 1 }, good);
    refuse_mask(VOCO_EFORMAT, "hides all of the 2 blocks of crop 0", two, 4, grid, all);
    refuse_mask(VOCO_EFORMAT, "hides none of the 2 blocks of crop 1", two, 4, grid, none);
    refuse_mask(VOCO_EFORMAT, "block 0 of crop 1 is 2", two, 4, grid, two_of_them);
    refuse_mask(VOCO_EFORMAT, "expected [2,i,j,k]", two, 4, (int64_t[]){ 1, 2, 1, 2 }, good);
    refuse_mask(VOCO_EFORMAT, "divide crops", two, 4, (int64_t[]){ 2, 1, 1, 3 },
                (float[]){ 0, 1, 0, 1, 0, 1 });
    refuse_mask(VOCO_EFORMAT, "mask", two, 0, NULL, NULL);
    refuse_mask(VOCO_EFORMAT, "edge of 24", odd, 4, grid, good);
    refuse_mask(VOCO_EFORMAT, "1 crops of 2 channels", channels, 4, grid, good);
}
END_TEST

static void
refuse_boxes(enum voco_err want, const char *sentence, int rank, const int64_t *dim,
             const float *boxes, const int64_t background[5])
{
    const int64_t one[5] = { 1, 1, 32, 32, 32 };
    float *x = calloc(64 * 32 * 32, sizeof *x);
    char *folder = scratch_folder(), *path = voco_format("%s/fusion.h5", folder);
    struct voco_dense_batch b;
    struct voco_h5 *h;

    ok(voco_h5_create(path, &h));
    ok(voco_h5_write_f32(h, "foreground", 5, one, x));
    if (background)
        ok(voco_h5_write_f32(h, "background", 5, background, x));
    ok(voco_h5_write_f32(h, "boxes", rank, dim, boxes));
    ok(voco_h5_close(h));
    fails(want, voco_dense_replay_open(path, &voco_pretext_fusion, &fusion, &b));
    if (want != VOCO_OK)
        says(sentence);
    voco_dense_replay_free(&b);
    free(x);
    free(path);
    scratch_remove(folder);
}

START_TEST(replays_with_wrong_boxes_are_refused)
{
    const int64_t one[5] = { 1, 1, 32, 32, 32 }, larger[5] = { 1, 1, 64, 32, 32 };
    const int64_t rows[2] = { 1, 7 }, item[3] = { 1, 1, 7 };
    const float good[] = { 0, 1, 2, 32, 8, 30, 4 }, outside[] = { 0, 0, 3, 32, 8, 30, 4 };
    const float half[] = { 0, 0.5f, 2, 32, 8, 30, 4 }, class[] = { 0, 1, 2, 32, 8, 30, 5 };

    refuse_boxes(VOCO_OK, NULL, 2, rows, good, one);
    refuse_boxes(VOCO_OK, NULL, 3, item, good, one);
    refuse_boxes(VOCO_EFORMAT, "row 0 starts at 3 on axis z and is 30 long", 2, rows, outside,
                 one);
    refuse_boxes(VOCO_EFORMAT, "row 0 starts at 0.5 on axis y", 2, rows, half, one);
    refuse_boxes(VOCO_EFORMAT, "row 0 has class 5: expected one of 0 to 4", 2, rows, class,
                 one);
    refuse_boxes(VOCO_EFORMAT, "rows of 1 numbers", 2, (int64_t[]){ 7, 1 }, good, one);
    refuse_boxes(VOCO_EFORMAT, "expected [1,boxes,7]", 3, (int64_t[]){ 7, 1, 1 }, good, one);
    refuse_boxes(VOCO_EFORMAT, "no dataset background", 2, rows, good, NULL);
    refuse_boxes(VOCO_EFORMAT, "expected the same", 2, rows, good, larger);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("dense");
    TCase *loss = tcase_create("loss"), *input = tcase_create("input");
    TCase *network = tcase_create("network"), *refused = tcase_create("refused");

    tcase_add_loop_test(loss, losses_agree_with_the_reference, 0, LOSSES * DEVICES);
    tcase_add_test(loss, masked_error_is_a_mean_over_hidden_voxels_of_the_batch);
    tcase_add_test(input, blended_crops_are_those_of_the_reference);
    tcase_add_loop_test(input, hidden_voxels_are_zero_or_the_mean_of_the_visible, 0, 2);
    tcase_add_test(input, boxes_of_fusion_are_drawn_within_their_limits);
    tcase_set_timeout(network, 600);
    tcase_add_loop_test(network, oracle_agrees_with_the_reference, 0, 3);
    tcase_add_loop_test(network, device_agrees_with_the_reference, 0, 3);
    tcase_add_loop_test(network, device_agrees_with_the_reference_of_larger_crops, 0, 2);
    tcase_add_loop_test(network, oracle_agrees_with_the_reference_of_larger_crops, 0, 2);
    tcase_add_loop_test(network, bf16_has_the_losses_of_the_reference, 0, 3);
    tcase_add_loop_test(network, bf16_turns_the_gradient_little_more_than_rounded_crops_do, 0,
                        3);
    tcase_add_loop_test(network, micro_batches_do_not_change_the_gradient, 0, 3);
    tcase_add_test(network, a_step_is_abandoned_between_micro_batches);
    tcase_add_test(refused, masks_that_hide_nothing_or_all_are_refused);
    tcase_add_test(refused, replays_with_wrong_masks_are_refused);
    tcase_add_test(refused, replays_with_wrong_boxes_are_refused);
    suite_add_tcase(suite, loss);
    suite_add_tcase(suite, input);
    suite_add_tcase(suite, network);
    suite_add_tcase(suite, refused);
    return suite;
}
