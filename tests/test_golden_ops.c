/*
 * Primitives on every device against tests/golden/ops.h5.
 *
 * f32 devices get the tolerances that the network as a whole aims at: outputs 1e-5,
 * gradients 1e-4 of the largest value.
 */
#include <math.h>

#include "tests/golden_device.h"

START_TEST(proj_out_is_a_layer_norm_without_parameters)
{
    struct voco_tensor x, y, dy, mean, rstd;

    open_device("ops", _i);
    x = upload(golden_input(&golden, "proj_out", 0, -1, 1));
    dy = upstream("proj_out");
    y = zeros_like(&x);
    mean = voco_push(&ctx, &ctx.keep, 1, voco_rows(&x));
    rstd = voco_push_like(&ctx, &ctx.keep, &mean);
    ctx.dev->layernorm_forward(&ctx, &x, NULL, NULL, 1e-5, &y, &mean, &rstd);
    expect("proj_out/y", &y, 1e-5);
    ctx.dev->layernorm_backward(&ctx, &x, NULL, NULL, &mean, &rstd, &dy, NULL, &dy, NULL,
                                NULL, NULL);
    expect("proj_out/dx0", &dy, 1e-4);
    close_device();
}
END_TEST

START_TEST(patch_embed_is_a_strided_convolution)
{
    const struct voco_conv conv = VOCO_CONV_CUBE(1, 12, 2, 2, 0);
    struct voco_tensor x, w, b, y, dy, dx, dw, db;

    open_device("ops", _i);
    x = upload(golden_input(&golden, "patch_embed", 0, -1, 1));
    w = upload_param(golden_param(&golden, 5, (int64_t[]){ 12, 1, 2, 2, 2 },
                                  "patch_embed/proj.weight"));
    b = upload_param(golden_param(&golden, 1, &conv.cout, "patch_embed/proj.bias"));
    dy = upstream("patch_embed");
    y = voco_push_like(&ctx, &ctx.keep, &dy);
    ctx.dev->conv3d_forward(&ctx, &conv, &x, &w, &b, &y, NULL);
    expect("patch_embed/y", &y, 1e-5);

    dx = voco_push_like(&ctx, &ctx.keep, &x);
    dw = zeros_like(&w), db = zeros_like(&b);
    ctx.dev->conv3d_backward_data(&ctx, &conv, &dy, &w, &dx);
    ctx.dev->conv3d_backward_weights(&ctx, &conv, &x, &dy, &dw, &db);
    expect("patch_embed/dx0", &dx,
           1e-4);
    expect("patch_embed/grad/proj.weight", &dw, 1e-4);
    expect("patch_embed/grad/proj.bias", &db, 1e-4);
    close_device();
}
END_TEST

START_TEST(assign_is_the_clipped_cosine)
{
    struct voco_tensor a, b, s, ds, da, db;

    open_device("ops", _i);
    a = upload(golden_input(&golden, "assign", 0, -1, 1));
    b = upload(golden_input(&golden, "assign", 1, -1, 1));
    ds = upstream("assign");
    s = zeros_like(&ds), da = zeros_like(&a), db = zeros_like(&b);
    ctx.dev->assign_forward(&ctx, &a, &b, &s);
    expect("assign/y", &s, 1e-5);
    ctx.dev->assign_backward(&ctx, &a, &b, &s, &ds, &da, &db);
    expect("assign/dx0", &da, 1e-4);
    expect("assign/dx1", &db, 1e-4);
    close_device();
}
END_TEST

static const struct voco_ce published = { .eps_y = 1e-6, .eps_zero = 1e-6 };

START_TEST(ce_weighs_positives_and_absences)
{
    struct voco_tensor y, p, loss, dp;

    open_device("ops", _i);
    y = upload(golden_read(&golden, "ce_labels"));
    p = upload(golden_input(&golden, "ce", 0, 0, 1));
    loss = voco_push(&ctx, &ctx.keep, 1, (int64_t)1);
    ctx.dev->fill(&ctx, &loss, 0);
    ctx.dev->ce_forward(&ctx, &published, &y, &p, 1, &loss);
    expect("ce/y", &loss, 1e-5);
    dp = voco_push_like(&ctx, &ctx.keep, &p);
    ctx.dev->ce_backward(&ctx, &published, &y, &p, upstream_of_loss("ce"), &dp);
    expect("ce/dx0", &dp, 1e-4);
    close_device();
}
END_TEST

/* Only the lower-index base of a pair gets a gradient. */
START_TEST(reg_decorrelates_against_detached_bases)
{
    struct voco_tensor b, s, ds, db, loss;

    open_device("ops", _i);
    b = upload(golden_input(&golden, "reg", 0, -1, 1));
    s = voco_push(&ctx, &ctx.keep, 2, b.dim[0], b.dim[0]);
    loss = voco_push(&ctx, &ctx.keep, 1, (int64_t)1);
    ctx.dev->fill(&ctx, &loss, 0);
    ctx.dev->assign_forward(&ctx, &b, &b, &s);
    ctx.dev->decor_forward(&ctx, 2, &s, 1, &loss);
    expect("reg/y", &loss, 1e-5);
    ds = voco_push_like(&ctx, &ctx.keep, &s);
    db = zeros_like(&b);
    ctx.dev->decor_backward(&ctx, 2, &s, upstream_of_loss("reg"), &ds);
    ctx.dev->assign_backward(&ctx, &b, &b, &s, &ds, &db, NULL);
    expect("reg/dx0", &db, 1e-4);
    close_device();
}
END_TEST

/* [n,d,h,w] classes as the reference draws them. */
static struct voco_tensor
upload_labels(int64_t n, int64_t voxels, int classes)
{
    const int64_t dim[] = { n, voxels };
    struct golden_array a = golden_hash(&golden, 2, dim, 0, 1, "dicece/labels");

    for (int64_t i = 0; i < a.count; i++)
        a.x[i] = floor(a.x[i] * classes);
    return upload(a);
}

/* MONAI's DiceCELoss: without background, and with it and squared probabilities. */
static const struct {
    const char *group;
    struct voco_dicece o;
} dicece[] = {
    { "dicece", { .smooth_nr = 1e-5, .smooth_dr = 1e-5 } },
    { "dicece_sq", { .background = true, .squared = true, .smooth_dr = 1e-6 } },
};

START_TEST(dicece_is_monais)
{
    const struct voco_dicece *o = &dicece[_i % 2].o;
    const char *group = dicece[_i % 2].group;
    struct voco_tensor volume, x, label, sums, loss, dice, ce;
    char path[64];

    open_device("ops", _i / 2);
    volume = upload(golden_input(&golden, group, 0, -3, 3));
    x = voco_as_voxels(&volume);
    label = upload_labels(x.dim[0], x.dim[1], 5);
    sums = voco_push(&ctx, &ctx.keep, 3, x.dim[0], x.dim[2], (int64_t)3);
    loss = voco_push(&ctx, &ctx.keep, 1, (int64_t)2);
    ctx.dev->fill(&ctx, &loss, 0);
    ctx.dev->dicece_forward(&ctx, o, &x, &label, 1, &sums, &loss);
    dice = voco_slice(&loss, 0, 1);
    ce = voco_slice(&loss, 1, 1);
    ctx.dev->add(&ctx, &dice, &ce);
    snprintf(path, sizeof path, "%s/y", group);
    expect(path, &ce, 1e-5);
    ctx.dev->dicece_backward(&ctx, o, &x, &label, &sums, upstream_of_loss(group), &x);
    snprintf(path, sizeof path, "%s/dx0", group);
    expect(path, &volume, 1e-4);
    close_device();
}
END_TEST

static void
check_adamw(const char *name, const struct voco_adamw *options)
{
    const int64_t n = 32;
    struct golden_array want = golden_read(&golden, "%s", name);
    struct voco_tensor w, m, v, vmax;

    w = upload(golden_hash(&golden, 1, &n, -1, 1, "opt/p"));
    m = zeros_like(&w), v = zeros_like(&w), vmax = zeros_like(&w);
    for (int s = 0; s < 6; s++) {
        struct voco_adamw o = *options;
        const struct voco_tensor g = upload(golden_hash(&golden, 1, &n, -1, 1, "opt/g%d",
                                                        s));

        o.step = s + 1;
        ctx.dev->adamw(&ctx, &o, &g, &w, &m, &v, o.amsgrad ? &vmax : NULL);
        expect_values(name, want.x + n * s, &w, 1e-6);
    }
    golden_free(&want);
}

START_TEST(adamw_follows_torch_for_six_steps)
{
    struct voco_adamw o = { .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                            .weight_decay = 1e-2, .amsgrad = true };

    open_device("ops", _i);
    check_adamw("adamw_amsgrad", &o);
    o.weight_decay = 1e-5;
    o.amsgrad = false;
    check_adamw("adamw", &o);
    close_device();
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("golden_ops");
    TCase *tc = tcase_create("primitives");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, proj_out_is_a_layer_norm_without_parameters, 0, DEVICES);
    tcase_add_loop_test(tc, patch_embed_is_a_strided_convolution, 0, DEVICES);
    tcase_add_loop_test(tc, assign_is_the_clipped_cosine, 0, DEVICES);
    tcase_add_loop_test(tc, ce_weighs_positives_and_absences, 0, DEVICES);
    tcase_add_loop_test(tc, reg_decorrelates_against_detached_bases, 0, DEVICES);
    tcase_add_loop_test(tc, dicece_is_monais, 0, 2 * DEVICES);
    tcase_add_loop_test(tc, adamw_follows_torch_for_six_steps, 0, DEVICES);
    suite_add_tcase(suite, tc);
    return suite;
}
