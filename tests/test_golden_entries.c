/*
 * Losses of rows, rotation, upsampling, optimizers and rates against tests/golden/entries.h5,
 * which PyTorch computed.
 */
#include <math.h>

#include "model/model.h"
#include "tests/golden_device.h"
#include "train/schedule.h"
#include "train/update.h"

/* GROUP/x0 in torch's order, which is that of rows. */
static struct voco_tensor
rows_of(const char *group, double lo, double hi)
{
    return upload_param(golden_input(&golden, group, 0, lo, hi));
}

/* The loss and dx; their names in the group. */
static void
expect_loss(const char *group, const struct voco_tensor *loss, const struct voco_tensor *dx)
{
    struct golden_array want = golden_read(&golden, "%s/dx0", group);
    char path[64];

    snprintf(path, sizeof path, "%s/y", group);
    expect(path, loss, 1e-6);
    snprintf(path, sizeof path, "%s/dx0", group);
    expect_values(path, want.x, dx, 1e-6);
    golden_free(&want);
}

static struct voco_tensor
zero_loss(void)
{
    const struct voco_tensor loss = voco_push_real(&ctx, &ctx.keep, 1, (int64_t)1);

    ctx.dev->fill(&ctx, &loss, 0);
    return loss;
}

/* ---- softmax cross-entropy ---- */

static void
check_softmax_ce(const char *group, bool skip_self, const struct voco_tensor *target)
{
    const struct voco_softmax_ce o = { .scale = 1 / 0.4, .skip_self = skip_self };
    const struct voco_tensor x = rows_of(group, -2, 2), loss = zero_loss();
    const struct voco_tensor count = voco_push_real(&ctx, &ctx.keep, 1, x.dim[0]);

    ctx.dev->softmax_ce_forward(&ctx, &o, &x, target, 1, &count, &loss);
    ctx.dev->softmax_ce_backward(&ctx, &o, &x, target, &count, upstream_of_loss(group), &x);
    expect_loss(group, &loss, &x);
}

START_TEST(softmax_ce_is_torchs_cross_entropy)
{
    const int64_t dim[] = { 3, 9 };
    struct golden_array label, positive;
    struct voco_tensor target;

    open_device("entries", _i);
    label = golden_hash(&golden, 2, dim, 0, 1, "ce/labels");
    positive = golden_hash(&golden, 2, dim, 0, 1, "ce/labels");
    for (int i = 0; i < label.count; i++) {
        label.x[i] = floor(label.x[i] * 6) - 1;
        positive.x[i] = (i % 9 + 4) % 9;
    }
    target = upload_param(label);
    check_softmax_ce("softmax_ce", false, &target);
    target = upload_param(golden_read(&golden, "ce_shares"));
    check_softmax_ce("softmax_ce_soft", false, &target);
    target = upload_param(positive);
    check_softmax_ce("softmax_ce_self", true, &target);
    close_device();
}
END_TEST

/* ---- masked error ---- */

START_TEST(masked_error_is_the_mean_over_the_mask)
{
    static const char *const group[] = { "masked_l1", "masked_l2" };
    const int64_t dim[] = { 3, 20, 2 };

    open_device("entries", _i);
    for (int power = 1; power <= 2; power++) {
        const char *name = group[power - 1];
        const struct voco_tensor x = rows_of(name, -1, 1), loss = zero_loss();
        const struct voco_tensor t = upload_param(golden_hash(&golden, 3, dim, -1, 1,
                                                              "error/target"));
        const struct voco_tensor sums = voco_push_real(&ctx, &ctx.keep, 1, x.dim[0]);
        struct golden_array m = golden_hash(&golden, 2, dim, 0, 1, "error/mask");
        struct voco_tensor mask;

        for (int i = 0; i < m.count; i++)
            m.x[i] = m.x[i] > 0.4;
        mask = upload_param(m);
        ctx.dev->masked_error_forward(&ctx, power, &x, &t, &mask, 1, &sums, &loss);
        ctx.dev->masked_error_backward(&ctx, power, &x, &t, &mask, &sums,
                                       upstream_of_loss(name), &x);
        expect_loss(name, &loss, &x);
    }
    close_device();
}
END_TEST

/* ---- rows, volumes ---- */

START_TEST(rows_are_normalised_as_by_torch)
{
    struct voco_tensor x, y, norm, dy;

    open_device("entries", _i);
    x = rows_of("l2norm", -1, 1);
    y = zeros_like(&x);
    norm = voco_push_real(&ctx, &ctx.keep, 1, x.dim[0]);
    dy = upstream("l2norm");
    ctx.dev->l2norm_forward(&ctx, &x, 1e-12, &y, &norm);
    ctx.dev->l2norm_backward(&ctx, &y, &norm, &dy, &dy);
    expect("l2norm/y", &y, 1e-6);
    expect("l2norm/dx0", &dy, 1e-6);
    close_device();
}
END_TEST

START_TEST(sigmoid_is_torchs)
{
    struct voco_tensor x, dy;

    open_device("entries", _i);
    x = rows_of("sigmoid", -9, 9);
    dy = upstream("sigmoid");
    ctx.dev->sigmoid_forward(&ctx, &x, &x);
    ctx.dev->sigmoid_backward(&ctx, &x, &dy, &dy);
    expect("sigmoid/y", &x, 1e-6);
    expect("sigmoid/dx0", &dy, 1e-6);
    close_device();
}
END_TEST

START_TEST(upsampling_is_trilinear_with_corners_not_aligned)
{
    struct voco_tensor x, y, dy;

    open_device("entries", _i);
    x = upload(golden_input(&golden, "upsample", 0, -1, 1));
    dy = upstream("upsample");
    y = zeros_like(&dy);
    ctx.dev->upsample_forward(&ctx, &x, &y);
    expect("upsample/y", &y, 1e-6);
    ctx.dev->upsample_backward(&ctx, &dy, &x);
    expect("upsample/dx0", &x, 1e-6);
    close_device();
}
END_TEST

START_TEST(rotation_is_numpys_rot90)
{
    static const int planes[][2] = { { 1, 2 }, { 2, 3 }, { 3, 1 } };
    struct voco_tensor x;

    open_device("entries", _i);
    x = upload(golden_input(&golden, "rotate", 0, -1, 1));
    for (int p = 0; p < 3; p++)
        for (int k = 0; k < 4; k++) {
            const int *plane = planes[p];
            struct voco_tensor y = x;
            char path[64];

            if (k % 2) {
                y.dim[plane[0]] = x.dim[plane[1]];
                y.dim[plane[1]] = x.dim[plane[0]];
            }
            y = voco_push_like(&ctx, &ctx.keep, &y);
            ctx.dev->rotate(&ctx, &x, &k, plane, &y);
            snprintf(path, sizeof path, "rotate/y%d%d%d", plane[0], plane[1], k);
            expect(path, &y, 1e-7);
        }
    close_device();
}
END_TEST

/* ---- optimizers ---- */

/* A model of 32 parameters for the update, with one rate for all. */
static struct voco_model
model_of_32(void)
{
    const int64_t n = 32;
    struct voco_model model = { .trained = n };

    model.weight = upload(golden_hash(&golden, 1, &n, -1, 1, "opt/p"));
    model.m = zeros_like(&model.weight);
    return model;
}

static const struct {
    const char *name;
    double momentum, decay;
    bool clipped;
} sgd[] = {
    { "sgd_nesterov", 0.99, 3e-5, false },
    { "sgd", 0, 1e-2, false },
    { "sgd_clipped", 0, 0, true },
};

START_TEST(update_by_sgd_follows_torch_for_six_steps)
{
    const int k = _i % 3;
    struct voco_rate all = { 0, 32, 1 };
    const struct voco_rates rates = { &all, 1 };
    struct golden_array want;
    struct voco_model model;

    open_device("entries", _i / 3);
    want = golden_read(&golden, "%s", sgd[k].name);
    model = model_of_32();
    for (int s = 0; s < 6; s++) {
        const struct voco_run_config c = { .optimizer = VOCO_SGD,
                                           .sgd_momentum = sgd[k].momentum,
                                           .weight_decay = sgd[k].decay,
                                           .clip = sgd[k].clipped ? 0.5 + 0.8 * s : 0 };

        model.grad = upload(golden_hash(&golden, 1, &all.to, -1, 1, "opt/g%d",
                                        s));
        ck_assert_int_eq(voco_update(&c, &rates, &model, &ctx, 1e-2,
                                     sqrt(voco_model_grad_squared(&model, &ctx)), s),
                         VOCO_OK);
        expect_values(sgd[k].name, want.x + 32 * s, &model.weight, 1e-6);
    }
    golden_free(&want);
    close_device();
}
END_TEST

START_TEST(sgd_without_nesterov_follows_torch_for_six_steps)
{
    const struct voco_sgd o = { .lr = 1e-2, .momentum = 0.9, .weight_decay = 1e-2 };
    const int64_t n = 32;
    struct golden_array want;
    struct voco_model model;

    open_device("entries", _i);
    want = golden_read(&golden, "sgd_momentum");
    model = model_of_32();
    for (int s = 0; s < 6; s++) {
        const struct voco_tensor g = upload(golden_hash(&golden, 1, &n, -1, 1, "opt/g%d", s));

        ctx.dev->sgd(&ctx, &o, &g, &model.weight, &model.m);
        expect_values("sgd_momentum", want.x + n * s, &model.weight, 1e-6);
    }
    golden_free(&want);
    close_device();
}
END_TEST

/* Behind a warm-up the same, from its end on. */
START_TEST(poly_is_torchs_polynomial)
{
    struct golden golden_rates = golden_open("entries");
    struct golden_array want = golden_read(&golden_rates, "poly");

    for (int s = 0; s <= 30; s++) {
        ck_assert_double_eq_tol(voco_schedule(VOCO_POLY, s, 0, 30), want.x[s], 1e-12);
        ck_assert_double_eq_tol(voco_schedule(VOCO_POLY, s + 5, 5, 35), want.x[s], 1e-12);
    }
    ck_assert_double_eq_tol(voco_schedule(VOCO_POLY, 2, 5, 35), 0.4, 1e-12);
    ck_assert(voco_schedule(VOCO_POLY, 40, 5, 35) == 0.0);
    golden_free(&want);
    golden_close(&golden_rates);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("golden_entries");
    TCase *tc = tcase_create("entries");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, softmax_ce_is_torchs_cross_entropy, 0, DEVICES);
    tcase_add_loop_test(tc, masked_error_is_the_mean_over_the_mask, 0, DEVICES);
    tcase_add_loop_test(tc, rows_are_normalised_as_by_torch, 0, DEVICES);
    tcase_add_loop_test(tc, sigmoid_is_torchs, 0, DEVICES);
    tcase_add_loop_test(tc, upsampling_is_trilinear_with_corners_not_aligned, 0, DEVICES);
    tcase_add_loop_test(tc, rotation_is_numpys_rot90, 0, DEVICES);
    tcase_add_loop_test(tc, update_by_sgd_follows_torch_for_six_steps, 0, 3 * DEVICES);
    tcase_add_loop_test(tc, sgd_without_nesterov_follows_torch_for_six_steps, 0, DEVICES);
    tcase_add_test(tc, poly_is_torchs_polynomial);
    suite_add_tcase(suite, tc);
    return suite;
}
