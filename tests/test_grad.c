/* Every differentiable primitive of the oracle against finite differences, to 1e-7. */
#include "tests/gradcase.h"

/* Whatever a case needs; the loss functions read it. */
struct operands {
    struct voco_tensor x, w, b, r, table, s, y, dy, rstd, mean, lse;
    struct voco_conv conv;
    struct voco_windows win;
    struct voco_dicece dicece;
    const int (*order)[3];
    struct voco_ce ce;
    double slope;
    int64_t first;
    int power;
};

/* ---- convolutions and products ---- */

static double
conv_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->conv3d_forward(&ctx, &o->conv, &o->x, &o->w, &o->b, &o->y, NULL);
    return gradcheck_dot(&o->y, &o->dy);
}

static const struct voco_conv convs[] = {
    VOCO_CONV_CUBE(3, 5, 3, 1, 1),
    VOCO_CONV_CUBE(1, 4, 2, 2, 0),
    VOCO_CONV_CUBE(6, 2, 1, 1, 0),
    VOCO_CONV_CUBE(2, 3, 3, 2, 1),
    { 3, 4, { 1, 3, 3 }, { 1, 2, 2 }, { 0, 1, 1 } },
    { 2, 3, { 3, 1, 2 }, { 2, 1, 3 }, { 1, 0, 0 } },
};

START_TEST(conv3d)
{
    const struct voco_conv *c = &convs[_i];
    const int64_t in[3] = { 4, 6, 5 };
    struct operands o = { .conv = *c };
    struct voco_tensor dx, dw, db;
    int64_t out[3];

    for (int i = 0; i < 3; i++)
        out[i] = voco_conv_out(c, i, in[i]);
    o.x = uniform("x", -1, 1, SHAPE(2, in[0], in[1], in[2], c->cin));
    o.w = uniform("w", -1, 1, SHAPE(c->cout, c->cin, c->kernel[0], c->kernel[1],
                                    c->kernel[2]));
    o.b = uniform("b", -1, 1, SHAPE(c->cout));
    o.y = zeros(SHAPE(2, out[0], out[1], out[2], c->cout));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x), dw = zeros_like(&o.w), db = zeros_like(&o.b);
    ctx.dev->conv3d_backward_data(&ctx, c, &o.dy, &o.w, &dx);
    ctx.dev->conv3d_backward_weights(&ctx, c, &o.x, &o.dy, &dw, &db);
    CHECK("conv3d", conv_loss, &o, { "x", o.x, dx }, { "w", o.w, dw }, { "b", o.b, db });
}
END_TEST

static double
deconv_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->deconv_forward(&ctx, &o->x, &o->w, &o->b, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

static const int64_t cells[][3] = { { 2, 2, 2 }, { 1, 2, 3 } };

START_TEST(deconv)
{
    const int64_t *k = cells[_i];
    struct operands o = { .slope = 0 };
    struct voco_tensor dx, dw, db;

    o.x = uniform("x", -1, 1, SHAPE(2, 2, 3, 4, 5));
    o.w = uniform("w", -1, 1, SHAPE(5, 3, k[0], k[1], k[2]));
    o.b = uniform("b", -1, 1, SHAPE(3));
    o.y = zeros(SHAPE(2, 2 * k[0], 3 * k[1], 4 * k[2], 3));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x), dw = zeros_like(&o.w), db = zeros_like(&o.b);
    ctx.dev->deconv_backward(&ctx, &o.x, &o.w, &o.dy, &dx, &dw, &db);
    CHECK("deconv", deconv_loss, &o, { "x", o.x, dx }, { "w", o.w, dw }, { "b", o.b, db });
}
END_TEST

static double
linear_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->linear_forward(&ctx, &o->x, &o->w, &o->b, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(linear)
{
    struct operands o = { .slope = 0 };
    struct voco_tensor dx, dw, db;

    o.x = uniform("x", -1, 1, SHAPE(7, 10));
    o.w = uniform("w", -1, 1, SHAPE(5, 10));
    o.b = uniform("b", -1, 1, SHAPE(5));
    o.y = zeros(SHAPE(7, 5));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x), dw = zeros_like(&o.w), db = zeros_like(&o.b);
    ctx.dev->linear_backward_data(&ctx, &o.dy, &o.w, &dx);
    ctx.dev->linear_backward_weights(&ctx, &o.x, &o.dy, &dw, &db);
    CHECK("linear", linear_loss, &o, { "x", o.x, dx }, { "w", o.w, dw },
          { "b", o.b, db });
}
END_TEST

/* ---- norms ---- */

static double
instnorm_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->instnorm_forward(&ctx, &o->x, NULL, o->r.data ? &o->r : NULL, o->slope, 1e-5,
                              &o->y, &o->rstd);
    return gradcheck_dot(&o->y, &o->dy);
}

/* Plain, activated, activated after a residual. */
START_TEST(instnorm)
{
    struct operands o = { .slope = _i == 0 ? 1 : 0.01 };
    struct voco_tensor dx, dr;

    o.x = uniform("x", -1, 3, SHAPE(2, 60, 37));
    o.y = zeros_like(&o.x);
    o.rstd = zeros(SHAPE(2, 37));
    o.dy = uniform("dy", -1, 1, o.y);
    if (_i == 2)
        o.r = uniform("r", -1, 1, o.x);
    dx = junk_like(&o.x), dr = junk_like(&o.x);
    instnorm_loss(&o);
    ctx.dev->instnorm_backward(&ctx, &o.y, o.r.data ? &o.r : NULL, &o.rstd, o.slope,
                               &o.dy, &dx, o.r.data ? &dr : NULL);
    CHECK("instnorm", instnorm_loss, &o, { "x", o.x, dx });
    if (o.r.data)
        CHECK("instnorm", instnorm_loss, &o, { "r", o.r, dr });
}
END_TEST

static double
affine_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->affine_forward(&ctx, &o->x, &o->w, &o->b, o->slope, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(affine_layer)
{
    struct operands o = { .slope = _i == 0 ? 1 : 0.01 };
    struct voco_tensor dx, dw, db;

    o.x = uniform("x", -1, 3, SHAPE(60, 37));
    o.w = uniform("w", -1, 2, SHAPE(37));
    o.b = uniform("b", -1, 1, SHAPE(37));
    o.y = zeros_like(&o.x);
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x), dw = zeros_like(&o.w), db = zeros_like(&o.b);
    ctx.dev->affine_backward(&ctx, &o.x, &o.w, &o.b, o.slope, &o.dy, &dx, &dw, &db);
    CHECK("affine", affine_loss, &o, { "x", o.x, dx }, { "w", o.w, dw }, { "b", o.b, db });
}
END_TEST

static double
layernorm_loss(void *arg)
{
    struct operands *o = arg;
    const bool affine = o->w.data != NULL;

    ctx.dev->layernorm_forward(&ctx, &o->x, affine ? &o->w : NULL, affine ? &o->b : NULL,
                               1e-5, &o->y, &o->mean, &o->rstd);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(layernorm)
{
    struct operands o = { .slope = 0 };
    const bool affine = _i == 1;
    struct voco_tensor dx, dw, db;

    o.x = uniform("x", -1, 3, SHAPE(11, 19));
    o.y = zeros_like(&o.x);
    o.mean = zeros(SHAPE(11));
    o.rstd = zeros(SHAPE(11));
    o.dy = uniform("dy", -1, 1, o.y);
    if (affine) {
        o.w = uniform("w", -1, 2, SHAPE(19));
        o.b = uniform("b", -1, 1, SHAPE(19));
        dw = zeros_like(&o.w), db = zeros_like(&o.b);
    }
    dx = junk_like(&o.x);
    layernorm_loss(&o);
    ctx.dev->layernorm_backward(&ctx, &o.x, affine ? &o.w : NULL, NULL, &o.mean, &o.rstd,
                                &o.dy, NULL, &dx, NULL, affine ? &dw : NULL,
                                affine ? &db : NULL);
    CHECK("layernorm", layernorm_loss, &o, { "x", o.x, dx });
    if (affine)
        CHECK("layernorm", layernorm_loss, &o, { "w", o.w, dw }, { "b", o.b, db });
}
END_TEST

/* ---- pointwise ---- */

static double
leaky_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->leaky_forward(&ctx, &o->x, o->slope, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

static double
gelu_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->gelu_forward(&ctx, &o->x, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

static double
scale_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->scale_rows(&ctx, &o->x, &o->w, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(pointwise)
{
    struct operands o = { .slope = 0.01 };
    struct voco_tensor dx;

    o.x = uniform("x", -4, 4, SHAPE(20, 50));
    o.w = uniform("w", -1, 1, SHAPE(20));
    o.y = zeros_like(&o.x);
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    leaky_loss(&o);
    ctx.dev->leaky_backward(&ctx, &o.y, o.slope, &o.dy, &dx);
    CHECK("leaky", leaky_loss, &o, { "x", o.x, dx });
    o.slope = 0;
    leaky_loss(&o);
    ctx.dev->leaky_backward(&ctx, &o.y, o.slope, &o.dy, &dx);
    CHECK("relu", leaky_loss, &o, { "x", o.x, dx });
    ctx.dev->gelu_backward(&ctx, &o.x, &o.dy, &dx, NULL);
    CHECK("gelu", gelu_loss, &o, { "x", o.x, dx });
    ctx.dev->scale_rows(&ctx, &o.dy, &o.w, &dx);
    CHECK("scale_rows", scale_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- attention ---- */

static double
attn_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->attn_forward(&ctx, &o->win, &o->x, &o->b, &o->table, &o->y, &o->lse);
    return gradcheck_dot(&o->y, &o->dy);
}

/* Padded and rolled; one axis clipped; the window clipped on all axes; windows of 3. */
static const struct voco_windows windows[] = {
    { { 5, 4, 6 }, { 3, 3, 3 }, { 1, 1, 1 }, .full_window = 3, .heads = 2 },
    { { 8, 2, 7 }, { 7, 2, 7 }, { 3, 0, 0 }, .full_window = 7, .heads = 2 },
    { { 3, 4, 2 }, { 3, 4, 2 }, { 0, 0, 0 }, .full_window = 7, .heads = 2 },
    { { 4, 3, 7 }, { 3, 3, 3 }, { 0, 0, 0 }, .full_window = 3, .heads = 2 },
};

static int64_t
lse_size(const struct voco_windows *win)
{
    int64_t n = win->heads;

    for (int i = 0; i < 3; i++)
        n *= (win->size[i] + win->window[i] - 1) / win->window[i] * win->window[i];
    return n;
}

START_TEST(attention)
{
    struct operands o = { .win = windows[_i] };
    const int64_t *size = o.win.size, span = 2 * o.win.full_window - 1, c = 6;
    struct voco_tensor dx, db, dtable;

    o.x = uniform("qkv", -1, 1, SHAPE(2, size[0], size[1], size[2], 3 * c));
    o.b = uniform("bias", -1, 1, SHAPE(3 * c));
    o.table = uniform("table", -1, 1, SHAPE(span * span * span, o.win.heads));
    o.y = zeros(SHAPE(2, size[0], size[1], size[2], c));
    o.lse = zeros(SHAPE(2, lse_size(&o.win)));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x), db = zeros_like(&o.b), dtable = zeros_like(&o.table);
    attn_loss(&o);
    ctx.dev->attn_backward(&ctx, &o.win, &o.x, &o.b, &o.table, &o.y, &o.lse, &o.dy, &dx,
                           &db, &dtable);
    CHECK("attention", attn_loss, &o, { "qkv", o.x, dx }, { "bias", o.b, db },
          { "table", o.table, dtable });
}
END_TEST

/* ---- merging and pooling ---- */

static double
merge_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->merge_forward(&ctx, &o->x, o->order, &o->y);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(merge)
{
    static const int fixed[8][3] = {
        { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
        { 1, 1, 0 }, { 1, 0, 1 }, { 0, 1, 1 }, { 1, 1, 1 },
    };
    static const int legacy[8][3] = {
        { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
        { 1, 0, 1 }, { 0, 1, 0 }, { 0, 0, 1 }, { 1, 1, 1 },
    };
    struct operands o = { .order = _i == 0 ? fixed : legacy };
    struct voco_tensor dx;

    o.x = uniform("x", -1, 1, SHAPE(2, 4, 5, 3, 3));
    o.y = zeros(SHAPE(2, 2, 3, 2, 24));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    ctx.dev->merge_backward(&ctx, &o.dy, o.order, &dx);
    CHECK("merge", merge_loss, &o, { "x", o.x, dx });
}
END_TEST

static double
pool_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->pool_forward(&ctx, &o->x, &o->y, o->first);
    return gradcheck_dot(&o->y, &o->dy);
}

START_TEST(pool)
{
    struct operands o = { .first = 4 };
    struct voco_tensor dx;

    o.x = uniform("x", -1, 1, SHAPE(3, 17, 5));
    o.y = zeros(SHAPE(3, 11));
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    ctx.dev->pool_backward(&ctx, &o.dy, o.first, &dx);
    CHECK("pool", pool_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- contrast ---- */

static double
assign_loss(void *arg)
{
    struct operands *o = arg;

    ctx.dev->assign_forward(&ctx, &o->x, &o->w, &o->s);
    return gradcheck_dot(&o->s, &o->dy);
}

START_TEST(assign)
{
    struct operands o = { .slope = 0 };
    struct voco_tensor da, db;

    o.x = uniform("a", -1, 1, SHAPE(4, 13));
    o.w = uniform("b", -1, 1, SHAPE(9, 13));
    o.s = zeros(SHAPE(4, 9));
    o.dy = uniform("ds", -1, 1, o.s);
    da = zeros_like(&o.x), db = zeros_like(&o.w);
    assign_loss(&o);
    ctx.dev->assign_backward(&ctx, &o.x, &o.w, &o.s, &o.dy, &da, &db);
    CHECK("assign", assign_loss, &o, { "a", o.x, da }, { "b", o.w, db });
}
END_TEST

static double
ce_loss(void *arg)
{
    struct operands *o = arg;
    double *loss = o->y.data;

    *loss = 0;
    ctx.dev->ce_forward(&ctx, &o->ce, &o->w, &o->x, 0.7, &o->y);
    return *loss;
}

static double
decor_loss(void *arg)
{
    struct operands *o = arg;
    double *loss = o->y.data;

    *loss = 0;
    ctx.dev->decor_forward(&ctx, o->power, &o->x, 0.7, &o->y);
    return *loss;
}

START_TEST(losses)
{
    struct operands o = { .slope = 0 };
    struct voco_tensor dx;

    o.x = uniform("p", 0.05, 0.95, SHAPE(2, 9));
    o.w = uniform("y", 0, 1, o.x);
    for (int i = 0; i < 18; i += 2)
        ((double *)o.w.data)[i] = 0;
    o.y = zeros(SHAPE(1));
    dx = junk_like(&o.x);
    for (int squared = 0; squared < 2; squared++) {
        o.ce = (struct voco_ce){ squared, 1e-6, 1e-3 };
        ctx.dev->ce_backward(&ctx, &o.ce, &o.w, &o.x, 0.7, &dx);
        CHECK("ce", ce_loss, &o, { "p", o.x, dx });
    }

    o.x = uniform("s", 0, 1, SHAPE(9, 9));
    dx = junk_like(&o.x);
    for (o.power = 1; o.power <= 2; o.power++) {
        ctx.dev->decor_backward(&ctx, o.power, &o.x, 0.7, &dx);
        CHECK("decor", decor_loss, &o, { "s", o.x, dx });
    }
}
END_TEST

static double
dicece_loss(void *arg)
{
    const struct operands *o = arg;
    double *loss = o->y.data;

    loss[0] = loss[1] = 0;
    ctx.dev->dicece_forward(&ctx, &o->dicece, &o->x, &o->w, 0.7, &o->s, &o->y);
    return loss[0] + loss[1];
}

/* Without background, and with it and squares; then with voxels that do not count. */
START_TEST(dicece)
{
    struct operands o = { .dicece = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 } };
    struct voco_tensor dx;

    if (_i % 2)
        o.dicece = (struct voco_dicece){ .background = true, .squared = true,
                                         .smooth_dr = 1e-6 };
    o.x = uniform("x", -3, 3, SHAPE(2, 50, 4));
    o.w = uniform("label", _i / 2 ? -2 : 0, 4, SHAPE(2, 50));
    o.s = zeros(SHAPE(2, 4, 3));
    o.y = zeros(SHAPE(2));
    dx = junk_like(&o.x);
    dicece_loss(&o);
    ctx.dev->dicece_backward(&ctx, &o.dicece, &o.x, &o.w, &o.s, 0.7, &dx);
    CHECK("dicece", dicece_loss, &o, { "x", o.x, dx });
}
END_TEST

/* ---- the checker itself ---- */

/* One element of a thousand that is off by 1e-5 must not pass. */
START_TEST(checker_sees_a_small_error)
{
    struct operands o = { .slope = 0 };
    const struct gradcheck g = { .what = "expected to fail", .loss = gelu_loss,
                                 .arg = &o };
    struct voco_tensor dx;

    o.x = uniform("x", -4, 4, SHAPE(1000));
    o.y = zeros_like(&o.x);
    o.dy = uniform("dy", -1, 1, o.y);
    dx = junk_like(&o.x);
    ctx.dev->gelu_backward(&ctx, &o.x, &o.dy, &dx, NULL);
    ((double *)dx.data)[567] += 1e-5;
    ck_assert(!gradcheck_run(&g, &(struct gradcheck_input){ "x", o.x, dx }, 1));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("grad");
    TCase *tc = tcase_create("primitives");

    tcase_add_checked_fixture(tc, open_ctx, close_ctx);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, conv3d, 0, COUNT(convs));
    tcase_add_loop_test(tc, deconv, 0, COUNT(cells));
    tcase_add_loop_test(tc, affine_layer, 0, 2);
    tcase_add_test(tc, linear);
    tcase_add_loop_test(tc, instnorm, 0, 3);
    tcase_add_loop_test(tc, layernorm, 0, 2);
    tcase_add_test(tc, pointwise);
    tcase_add_loop_test(tc, attention, 0, COUNT(windows));
    tcase_add_loop_test(tc, merge, 0, 2);
    tcase_add_test(tc, pool);
    tcase_add_test(tc, assign);
    tcase_add_test(tc, losses);
    tcase_add_loop_test(tc, dicece, 0, 4);
    tcase_add_test(tc, checker_sees_a_small_error);
    suite_add_tcase(suite, tc);
    return suite;
}
