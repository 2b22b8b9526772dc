/*
 * nnU-Net's network on every device against tests/golden/plainconv.h5, numbers of the
 * package dynamic-network-architectures in double: outputs of all resolutions, gradients of
 * the image and of every parameter.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dev/wrap/dry.h"
#include "model/nnunet.h"
#include "net/plainconv.h"
#include "tests/compare.h"
#include "tests/devices.h"
#include "tests/golden_read.h"
#include "tests/gradcheck.h"
#include "tests/tensors.h"
#include "objective/segment/segment.h"
#include "tests/test.h"

#define K1 { 1, 3, 3 }
#define K3 { 3, 3, 3 }
#define S1 { 1, 1, 1 }
#define S12 { 1, 2, 2 }
#define S2 { 2, 2, 2 }

/* As in tools/golden_plainconv.py. */
static const struct net {
    const char *group;
    int64_t n, size[3], channels, classes;
    struct voco_plainconv_config config;
} nets[] = {
    { "cube", 2, { 16, 8, 12 }, 1, 3, { 3, { 4, 8, 12 }, { K3, K3, K3 }, { S1, S2, S2 },
                                        { 2, 2, 2 }, { 2, 2 } } },
    { "thick", 1, { 6, 16, 24 }, 2, 4, { 4, { 4, 6, 8, 8 }, { K1, K1, K3, K3 },
                                         { S1, S12, S2, S12 }, { 1, 2, 3, 2 },
                                         { 2, 1, 3 } } },
};

enum { OUTPUTS = VOCO_PLAIN_STAGES };

/*
 * Single precision: outputs to 1e-5, gradients to 1e-4 of the largest.  A norm takes the
 * bias in front of it away, so that bias's gradient is a sum of hundreds of terms of about
 * 1 that cancel: it is judged against 30, or the largest if that is more.
 */
static const double OUT = 1e-5, GRADIENT = 1e-4, FLOOR = 30;

static struct golden golden;
static struct voco_ctx ctx;
static struct voco_dry dry;

/* What a pass works on. */
struct pass {
    struct voco_plainconv net;
    struct voco_params table;
    struct voco_weights w;
    struct voco_tensor x, dx, y[OUTPUTS], dy[OUTPUTS];
    int outputs;
};

static struct voco_tensor
upload(struct golden_array a)
{
    struct voco_tensor host, x;

    golden_channels_last(&a);
    host = golden_view(&a);
    x = voco_push_like(&ctx, &ctx.keep, &host);
    ctx.dev->upload(&ctx, &host, &x);
    golden_free(&a);
    return x;
}

static void
open_pass(struct pass *p, const struct net *net, const struct voco_device *dev)
{
    const int64_t x_dim[5] = { net->n, net->channels, net->size[0], net->size[1],
                               net->size[2] };

    golden = golden_open("plainconv");
    *p = (struct pass){ .outputs = net->config.stages - 1 };
    ck_assert_int_eq(voco_ctx_open(&ctx, dev,
                                   &(struct voco_ctx_options){ .limit = (size_t)256 << 20,
                                                               .threads = 2 }),
                     VOCO_OK);
    voco_plainconv_init(&p->net, &p->table, &net->config, net->channels, net->classes);
    p->w.table = &p->table;
    p->w.weight = voco_push_real(&ctx, &ctx.keep, 1, p->table.count);
    p->w.grad = voco_push_real(&ctx, &ctx.keep, 1, p->table.count);
    ctx.dev->fill(&ctx, &p->w.weight, 0);
    ctx.dev->fill(&ctx, &p->w.grad, 0);
    for (int i = 0; i < p->table.n; i++) {
        const struct voco_param *row = &p->table.item[i];
        struct golden_array a = golden_param(&golden, row->rank, row->dim, "%s/%s",
                                             net->group, row->name);
        const struct voco_tensor host = golden_view(&a), to = voco_weight(&p->w, i);

        ctx.dev->upload(&ctx, &host, &to);
        golden_free(&a);
    }
    p->x = upload(golden_hash(&golden, 5, x_dim, -1, 1, "%s/x0", net->group));
    p->dx = voco_push_like(&ctx, &ctx.keep, &p->x);
    for (int i = 0; i < p->outputs; i++) {
        int64_t shrink[3], dim[5] = { net->n, net->classes, 0, 0, 0 };

        voco_plainconv_shrink(&net->config, i, shrink);
        for (int k = 0; k < 3; k++)
            dim[2 + k] = net->size[k] / shrink[k];
        p->dy[i] = upload(golden_hash(&golden, 5, dim, -1, 1, "%s/dy%d", net->group, i));
        p->y[i] = voco_push_like(&ctx, &ctx.keep, &p->dy[i]);
    }
}

static void
run_pass(struct pass *p)
{
    struct voco_plainconv_saved saved;

    voco_plainconv_forward(&ctx, &p->w, &p->net, &p->x, p->y, p->outputs, &saved);
    voco_plainconv_backward(&ctx, &p->w, &p->net, &saved, p->dy, p->outputs,
                            p->net.frozen ? NULL : &p->dx);
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert_uint_eq(voco_arena_mark(&ctx.temp), 0);
    ck_assert_uint_eq(voco_arena_mark(&ctx.grad), 0);
}

static void
close_pass(struct pass *p)
{
    voco_params_free(&p->table);
    voco_ctx_close(&ctx);
    golden_close(&golden);
}

static double *
download(const struct voco_tensor *x)
{
    const int64_t n = voco_count(x);
    double *host = malloc((size_t)n * sizeof *host);
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, n);

    ck_assert_ptr_nonnull(host);
    ctx.dev->download(&ctx, x, &view);
    return host;
}

static bool
agrees(const struct net *net, const char *what, const struct voco_tensor *got, double f32,
       double floor)
{
    const double tolerance = ctx.dev->real == VOCO_F64 ? 1e-9 : f32;
    struct golden_array want = golden_read(&golden, "%s/%s", net->group, what);
    const bool volume = strncmp(what, "grad/", 5) != 0;
    double *host = download(got), largest = 0;
    char label[192];
    bool ok;

    ck_assert_int_eq(want.count, voco_count(got));
    if (volume)
        golden_channels_last(&want);
    for (int64_t i = 0; i < want.count; i++)
        largest = want.x[i] > largest ? want.x[i] : -want.x[i] > largest ? -want.x[i] : largest;
    snprintf(label, sizeof label, "%s: %s/%s", ctx.dev->name, net->group, what);
    ok = compare(label, want.x, host, want.count,
                 largest < floor ? tolerance * floor / largest : tolerance);
    golden_free(&want);
    free(host);
    return ok;
}

START_TEST(network_agrees_with_the_package)
{
    const struct net *net = &nets[_i % COUNT(nets)];
    struct pass p;
    char path[192];
    double total;
    bool ok = true;

    open_pass(&p, net, devices[_i / COUNT(nets)]);
    run_pass(&p);
    golden_attr(&golden, net->group, "parameters", 1, &total);
    ck_assert_int_eq(voco_params_total(&p.table, ""), (int64_t)total);
    for (int i = 0; i < p.outputs; i++) {
        snprintf(path, sizeof path, "y%d", i);
        ok = agrees(net, path, &p.y[i], OUT, 0) && ok;
    }
    ok = agrees(net, "dx0", &p.dx, GRADIENT, 0) && ok;
    for (int i = 0; i < p.table.n; i++) {
        const struct voco_tensor grad = voco_gradient(&p.w, i);
        const char *name = p.table.item[i].name;

        snprintf(path, sizeof path, "grad/%s", name);
        ok = agrees(net, path, &grad, GRADIENT, strstr(name, ".conv.bias") ? FLOOR : 0) && ok;
    }
    ck_assert_msg(ok, "%s on %s", net->group, ctx.dev->name);
    close_pass(&p);
}
END_TEST

static void
same(const char *what, const double *want, const struct voco_tensor *x)
{
    double *got = download(x);

    ck_assert(compare(what, want, got, voco_count(x), 0));
    free(got);
}

/* Recomputation, and inference that keeps nothing: the same bits. */
START_TEST(passes_that_keep_less_agree)
{
    const struct net *net = &nets[_i];
    struct pass p;
    double *y, *dw;

    open_pass(&p, net, device_under_test());
    run_pass(&p);
    y = download(&p.y[0]);
    dw = download(&p.w.grad);

    ctx.dev->fill(&ctx, &p.w.grad, 0);
    p.net.again = true;
    run_pass(&p);
    same("y made again", y, &p.y[0]);
    same("dw made again", dw, &p.w.grad);

    ctx.dev->fill(&ctx, &p.y[0], 0);
    voco_plainconv_forward(&ctx, &p.w, &p.net, &p.x, p.y, 1, NULL);
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert_uint_eq(voco_arena_mark(&ctx.temp), 0);
    same("y of inference", y, &p.y[0]);
    free(y);
    free(dw);
    close_pass(&p);
}
END_TEST

/* The decoder learns the same bits, the encoder nothing, and less is kept. */
START_TEST(frozen_encoder_has_no_gradient_and_the_decoder_the_same)
{
    struct pass p;
    double *all, *frozen;
    size_t kept;

    open_pass(&p, &nets[_i], device_under_test());
    run_pass(&p);
    all = download(&p.w.grad);
    kept = ctx.keep.peak;
    close_pass(&p);
    open_pass(&p, &nets[_i], device_under_test());
    p.net.frozen = true;
    run_pass(&p);
    frozen = download(&p.w.grad);
    ck_assert_uint_lt(ctx.keep.peak, kept);
    for (int i = 0; i < p.table.n; i++) {
        const struct voco_param *row = &p.table.item[i];
        const bool encoder = strncmp(row->name, "encoder.", 8) == 0;

        for (int64_t j = row->offset; j < row->offset + row->count; j++)
            ck_assert_msg(frozen[j] == (encoder ? 0 : all[j]), "%s: %g, %g with encoder",
                          row->name, frozen[j], all[j]);
    }
    free(all);
    free(frozen);
    close_pass(&p);
}
END_TEST

/* Also with a frozen encoder. */
START_TEST(dry_run_foresees_the_arenas)
{
    const struct net *net = &nets[_i / 2];
    struct pass p;
    size_t peak[3];

    voco_dry_init(&dry, device_under_test());
    open_pass(&p, net, &dry.device);
    p.net.frozen = _i % 2;
    run_pass(&p);
    peak[0] = ctx.keep.peak, peak[1] = ctx.grad.peak, peak[2] = ctx.temp.peak;
    close_pass(&p);
    open_pass(&p, net, device_under_test());
    p.net.frozen = _i % 2;
    run_pass(&p);
    ck_assert_uint_eq(peak[0], ctx.keep.peak);
    ck_assert_uint_eq(peak[1], ctx.grad.peak);
    ck_assert_uint_ge(peak[2], ctx.temp.peak);
    close_pass(&p);
    voco_dry_free(&dry);
}
END_TEST

/* ---- as a model: axes, outputs of less resolution ---- */

static struct voco_model model;

enum { X = 8, Y = 16, Z = 6, CIN = 2, N_CLASSES = 3, VOXELS = X * Y * Z };

static void
open_model(const struct voco_device *dev, int axes)
{
    const struct voco_model_config config = {
        .net = VOCO_NET_PLAINCONV, .in_channels = CIN, .classes = N_CLASSES, .axes = axes,
        .plainconv = { 4, { 2, 3, 4, 4 }, { K1, K3, K3, K3 }, { S1, S12, S2, S12 },
                       { 1, 1, 1, 1 }, { 1, 1, 1 } } };

    ck_assert_int_eq(voco_ctx_open(&ctx, dev,
                                   &(struct voco_ctx_options){ .limit = (size_t)256 << 20,
                                                               .threads = 2 }), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 7);
}

static void
close_model(void)
{
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}

static struct voco_segment_batch batch;
static const struct voco_dicece dicece = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };

static double
batch_loss(void *unused)
{
    struct voco_segment_result result;

    (void)unused;
    ctx.weights_version++;
    ck_assert_int_eq(voco_segment_loss(&ctx, &model, &dicece, &batch, 1, &result), VOCO_OK);
    return result.loss;
}

/* All of it: turned batches, labels of less resolution, the weights of outputs. */
START_TEST(gradient_of_the_loss_is_that_of_finite_differences)
{
    static float image[2 * VOXELS * CIN], uniform[2 * VOXELS];
    static uint8_t label[2 * VOXELS];
    const struct gradcheck check = { .what = "loss", .loss = batch_loss, .seed = 3,
                                     .step = 1e-7, .tolerance = 1e-5, .directions = 2 };
    struct voco_segment_result result;

    open_model(&voco_oracle, 5);
    voco_hash_uniform(1, "image", COUNT(image), -1, 1, image);
    voco_hash_uniform(1, "label", COUNT(label), 0, N_CLASSES, uniform);
    for (int i = 0; i < COUNT(label); i++)
        label[i] = (uint8_t)uniform[i];
    batch = (struct voco_segment_batch){ .image = image, .label = label, .n = 2,
                                         .size = { X, Y, Z } };
    ck_assert_int_eq(voco_segment_gradient(&ctx, &model, &dicece, &batch, 1, &result),
                     VOCO_OK);
    ck_assert(isfinite(result.loss) && result.loss == batch_loss(NULL));
    ck_assert(gradcheck_run(&check, &(struct gradcheck_input){ "weights", model.weight,
                                                               model.grad }, 1));
    close_model();
}
END_TEST

/* A network on z, y, x sees what one on x, y, z sees of the turned volume. */
START_TEST(axes_are_turned_there_and_back)
{
    static float x[VOXELS * CIN], turned[VOXELS * CIN];
    static float y[VOXELS * N_CLASSES], want[VOXELS * N_CLASSES];
    const int64_t size[3] = { X, Y, Z }, back[3] = { Z, Y, X };

    voco_hash_uniform(1, "x", COUNT(x), -1, 1, x);
    for (int i = 0; i < VOXELS; i++) {
        const int a = i / Z / Y, b = i / Z % Y, c = i % Z;

        memcpy(turned + ((c * Y + b) * X + a) * CIN, x + i * CIN, CIN * sizeof *x);
    }
    open_model(device_under_test(), 5);
    ck_assert_str_eq(voco_axes_name[5], "zyx");
    ck_assert_int_eq(voco_segment_logits(&ctx, &model, x, 1, size, y), VOCO_OK);
    model.config.axes = 0;
    ck_assert_int_eq(voco_segment_logits(&ctx, &model, turned, 1, back, want), VOCO_OK);
    for (int i = 0; i < VOXELS; i++) {
        const int a = i / Z / Y, b = i / Z % Y, c = i % Z;

        ck_assert_mem_eq(y + i * N_CLASSES, want + ((c * Y + b) * X + a) * N_CLASSES,
                         N_CLASSES * sizeof *y);
    }
    close_model();
}
END_TEST

/* The figure that nnU-Net's users know, with 21 classes. */
START_TEST(default_has_31_million_parameters)
{
    struct voco_plainconv net;
    struct voco_params table = { 0 };

    voco_plainconv_init(&net, &table, &voco_plainconv_default, 1, 21);
    ck_assert_int_eq(voco_params_total(&table, ""), 31210889);
    voco_params_free(&table);
}
END_TEST

/* ---- plans ---- */

START_TEST(plans_with_parts_of_voxels_are_refused)
{
    static char beside[] =
        "{\"init_args\":{\"plans\":{\"configurations\":{\"3d_fullres\":{\"patch_size\":"
        "[64,0.5,64],\"spacing\":[1,1,1],\"normalization_schemes\":[\"NoNormalization\"]}}}}}";
    struct voco_tensorfile f = { .beside = beside };
    const struct voco_nnunet_source source = { .plans = NULL };
    struct voco_seginfo info;
    bool found;
    int axes;

    ck_assert_int_eq(voco_nnunet_read(&f, "x.pth", &source, &found, &info, &axes),
                     VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "patch_size"));
    voco_seginfo_free(&info);
    memcpy(strstr(beside, "0.5"), " 96", 3);
    ck_assert_int_eq(voco_nnunet_read(&f, "x.pth", &source, &found, &info, &axes), VOCO_OK);
    ck_assert_int_eq(info.roi[1], 96);
    voco_seginfo_free(&info);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("plainconv");
    TCase *tc = tcase_create("network");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, network_agrees_with_the_package, 0, DEVICES * COUNT(nets));
    tcase_add_loop_test(tc, passes_that_keep_less_agree, 0, COUNT(nets));
    tcase_add_loop_test(tc, frozen_encoder_has_no_gradient_and_the_decoder_the_same, 0,
                        COUNT(nets));
    tcase_add_loop_test(tc, dry_run_foresees_the_arenas, 0, 2 * COUNT(nets));
    tcase_add_test(tc, gradient_of_the_loss_is_that_of_finite_differences);
    tcase_add_test(tc, axes_are_turned_there_and_back);
    tcase_add_test(tc, default_has_31_million_parameters);
    tcase_add_test(tc, plans_with_parts_of_voxels_are_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
