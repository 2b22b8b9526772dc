/* Losses of rows, and other entries of objectives, against finite differences, to 1e-7. */
#include "tests/gradcase.h"

/* Whatever a case needs; the loss functions read it. */
struct operands {
    struct voco_tensor x, target, mask, saved, y, dy;
    struct voco_softmax_ce ce;
    int power;
};

/* ---- softmax cross-entropy ---- */

static double
softmax_ce_loss(void *arg)
{
    const struct operands *o = arg;
    double *loss = o->y.data;

    *loss = 0;
    ctx.dev->softmax_ce_forward(&ctx, &o->ce, &o->x, &o->target, 0.7, &o->saved, &o->y);
    return *loss;
}

/* Classes with rows that do not count; the diagonal left out; shares, which need not sum to 1
 * for the gradient to be that of the formula; shares with the diagonal left out. */
START_TEST(softmax_ce)
{
    const bool self = _i % 2, soft = _i / 2;
    struct operands o = { .ce = { .scale = 2.5, .skip_self = self } };
    const int64_t rows = 9, c = self ? 20 : 5;
    struct voco_tensor dx;

    o.x = uniform("x", -2, 2, SHAPE(3, rows, c));
    if (soft)
        o.target = uniform("target", 0, 1, o.x);
    else
        o.target = uniform("target", self ? (double)rows : -2, (double)c, SHAPE(3, rows));
    o.saved = zeros(SHAPE(3));
    o.y = zeros(SHAPE(1));
    dx = junk_like(&o.x);
    softmax_ce_loss(&o);
    ctx.dev->softmax_ce_backward(&ctx, &o.ce, &o.x, &o.target, &o.saved, 0.7, &dx);
    CHECK("softmax_ce", softmax_ce_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- masked error ---- */

static double
masked_error_loss(void *arg)
{
    const struct operands *o = arg;
    double *loss = o->y.data;

    *loss = 0;
    ctx.dev->masked_error_forward(&ctx, o->power, &o->x, &o->target,
                                  o->mask.data ? &o->mask : NULL, 0.7, &o->saved, &o->y);
    return *loss;
}

START_TEST(masked_error)
{
    struct operands o = { .power = 1 + _i % 2 };
    struct voco_tensor dx;

    o.x = uniform("x", -1, 1, SHAPE(3, 40, 2));
    o.target = uniform("target", -1, 1, o.x);
    if (_i / 2) {
        o.mask = uniform("mask", -1, 1, SHAPE(3, 40));
        ctx.dev->leaky_forward(&ctx, &o.mask, 0, &o.mask);
    }
    o.saved = zeros(SHAPE(3));
    o.y = zeros(SHAPE(1));
    dx = junk_like(&o.x);
    masked_error_loss(&o);
    ctx.dev->masked_error_backward(&ctx, o.power, &o.x, &o.target,
                                   o.mask.data ? &o.mask : NULL, &o.saved, 0.7, &dx);
    CHECK("masked_error", masked_error_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- rows of length 1 ---- */

static double
l2norm_loss(void *arg)
{
    const struct operands *o = arg;

    ctx.dev->l2norm_forward(&ctx, &o->x, 0.5, &o->y, &o->saved);
    return gradcheck_dot(&o->y, &o->dy);
}

/* Rows that are longer than eps, and rows that are not. */
START_TEST(l2norm)
{
    const double size = _i ? 0.1 : 1;
    struct operands o = { .power = 0 };
    struct voco_tensor dx;

    o.x = uniform("x", -size, size, SHAPE(12, 17));
    o.y = zeros_like(&o.x);
    o.saved = zeros(SHAPE(12));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    l2norm_loss(&o);
    ck_assert_int_eq(((double *)o.saved.data)[0] < 0, _i);
    ctx.dev->l2norm_backward(&ctx, &o.y, &o.saved, &o.dy, &dx);
    CHECK("l2norm", l2norm_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- pointwise ---- */

static double
sigmoid_loss(void *arg)
{
    const struct operands *o = arg;

    ctx.dev->sigmoid_forward(&ctx, &o->x, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(sigmoid)
{
    struct operands o = { .power = 0 };
    struct voco_tensor dx;

    o.x = uniform("x", -9, 9, SHAPE(20, 50));
    o.y = zeros_like(&o.x);
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    sigmoid_loss(&o);
    ctx.dev->sigmoid_backward(&ctx, &o.y, &o.dy, &dx);
    CHECK("sigmoid", sigmoid_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- upsampling ---- */

static double
upsample_loss(void *arg)
{
    const struct operands *o = arg;

    ctx.dev->upsample_forward(&ctx, &o->x, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(upsample)
{
    struct operands o = { .power = 0 };
    struct voco_tensor dx;

    o.x = uniform("x", -1, 1, SHAPE(2, 3, 1, 4, 5));
    o.y = zeros(SHAPE(2, 6, 2, 8, 5));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    ctx.dev->upsample_backward(&ctx, &o.dy, &dx);
    CHECK("upsample", upsample_loss, &o, { "x", o.x, dx });
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("grad_losses");
    TCase *tc = tcase_create("entries");

    tcase_add_checked_fixture(tc, open_ctx, close_ctx);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, softmax_ce, 0, 4);
    tcase_add_loop_test(tc, masked_error, 0, 4);
    tcase_add_loop_test(tc, l2norm, 0, 2);
    tcase_add_test(tc, sigmoid);
    tcase_add_test(tc, upsample);
    suite_add_tcase(suite, tc);
    return suite;
}
