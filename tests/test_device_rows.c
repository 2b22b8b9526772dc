/* Losses of rows, labels, rows of length 1, and SGD, of every device against the oracle,
 * and with other numbers of threads. */
#include "tests/devices.h"
#include "tests/harness.h"
#include "tests/tensors.h"
#include "tests/test.h"

/* Functions of one element: a few roundings and the device's exp and log. */
static const double POINTWISE = 1e-6;

/* ---- softmax cross-entropy: n, rows, c, is the column of a row left out?, soft? ---- */

static void
run_softmax_ce(struct harness *h, const int64_t *p)
{
    const struct voco_softmax_ce o = { .scale = 1 / 0.4, .skip_self = p[3] != 0 };
    const struct voco_device *dev = h->ctx->dev;
    const double classes = 0.98 * (double)p[2] - 0.4;   /* also when rounded to bfloat16 */
    const struct voco_tensor x = operand(h, -3, 3, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor real = operand(h, -3, 3, REAL(p[0], p[1], p[2]));
    const struct voco_tensor soft = operand(h, 0, 2 / (double)p[2], real);
    const struct voco_tensor hard = operand(h, p[3] ? (double)p[1] : -1, classes,
                                            REAL(p[0], p[1]));
    const struct voco_tensor *target = p[4] ? &soft : &hard;
    const struct voco_tensor count = overwritten(h, REAL(p[0])), dx = overwritten(h, x);
    const struct voco_tensor loss = added_to(h, REAL(1));
    const double tolerance = sum_tolerance(h, p[2]) + POINTWISE;

    dev->softmax_ce_forward(h->ctx, &o, &x, target, 0.5, &count, &loss);
    result(h, "count", &count, 0);
    result(h, "loss", &loss, tolerance);
    dev->softmax_ce_backward(h->ctx, &o, &x, target, &count, 0.5, &dx);
    result(h, "dx", &dx, tolerance);
    dev->softmax_ce_backward(h->ctx, &o, &real, target, &count, 0.5, &dx);
    result(h, "dx of a real x", &dx, tolerance);
    dev->softmax_ce_backward(h->ctx, &o, &real, target, &count, 0.5, &real);
    result(h, "real dx in place of x", &real, tolerance);
    dev->softmax_ce_backward(h->ctx, &o, &x, target, &count, 0.5, &x);
    result(h, "dx in place of x", &x, tolerance);
}

/* Without rows that count, or a mask, the loss stays as it is and gradients are zero. */
static void
run_losses_of_nothing(struct harness *h, const int64_t *p)
{
    const struct voco_softmax_ce o = { .scale = 1 };
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -3, 3, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor t = operand(h, -3, 3, x);
    const struct voco_tensor target = operand(h, -2, -1, REAL(p[0], p[1]));
    const struct voco_tensor mask = overwritten(h, SHAPE(p[0], p[1]));
    const struct voco_tensor count = overwritten(h, REAL(p[0])), dx = overwritten(h, x);
    const struct voco_tensor loss = added_to(h, REAL(1));

    dev->fill(h->ctx, &mask, 0);
    dev->softmax_ce_forward(h->ctx, &o, &x, &target, 0.5, &count, &loss);
    result(h, "rows that count", &count, 0);
    dev->softmax_ce_backward(h->ctx, &o, &x, &target, &count, 0.5, &dx);
    result(h, "softmax dx", &dx, 0);
    dev->fill(h->ctx, &dx, 1);
    dev->masked_error_forward(h->ctx, 1, &x, &t, &mask, 0.5, &count, &loss);
    result(h, "mask sums", &count, 0);
    dev->masked_error_backward(h->ctx, 1, &x, &t, &mask, &count, 0.5, &dx);
    result(h, "error dx", &dx, 0);
    result(h, "loss", &loss, 0);
}

/* Dice is then (1 - nr / dr) of nothing, which has no gradient, and the cross entropy 0. */
static void
run_dicece_of_nothing(struct harness *h, const int64_t *p)
{
    const struct voco_dicece o = { .smooth_nr = 1, .smooth_dr = 2 };
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -3, 3, REAL(p[0], p[1], p[2]));
    const struct voco_tensor label = operand(h, -2, -1, REAL(p[0], p[1]));
    const struct voco_tensor sums = overwritten(h, REAL(p[0], p[2], 3));
    const struct voco_tensor loss = added_to(h, REAL(2)), dx = overwritten(h, x);

    dev->dicece_forward(h->ctx, &o, &x, &label, 0.5, &sums, &loss);
    result(h, "sums", &sums, 0);
    result(h, "loss", &loss, POINTWISE);
    dev->dicece_backward(h->ctx, &o, &x, &label, &sums, 0.5, &dx);
    result(h, "dx", &dx, 0);
}

/* ---- masked error: n, rows, c, power, is there a mask? ---- */

static void
run_masked_error(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const int power = (int)p[3];
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor t = operand(h, -1, 1, x);
    const struct voco_tensor real = operand(h, -1, 1, REAL(p[0], p[1], p[2]));
    const struct voco_tensor mask = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor *m = p[4] ? &mask : NULL;
    const struct voco_tensor sums = overwritten(h, REAL(p[0])), dx = overwritten(h, x);
    const struct voco_tensor loss = added_to(h, REAL(1));

    dev->leaky_forward(h->ctx, &mask, 0, &mask);
    dev->masked_error_forward(h->ctx, power, &x, &t, m, 0.5, &sums, &loss);
    result(h, "sums", &sums, POINTWISE);
    result(h, "loss", &loss, POINTWISE);
    dev->masked_error_backward(h->ctx, power, &x, &t, m, &sums, 0.5, &dx);
    result(h, "dx", &dx, POINTWISE);
    dev->masked_error_backward(h->ctx, power, &x, &real, m, &sums, 0.5, &dx);
    result(h, "dx for a real t", &dx, POINTWISE);
    dev->masked_error_backward(h->ctx, power, &x, &t, m, &sums, 0.5, &x);
    result(h, "dx in place of x", &x, POINTWISE);
}

/* ---- labels: n, rows, c ---- */

/* Whole numbers have equal ones, of which the first counts. */
static void
run_argmax_rows(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -3, 3, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor y = overwritten(h, REAL(p[0], p[1]));

    dev->argmax_rows(h->ctx, &x, 0, &y);
    result(h, "y", &y, 0);
    dev->argmax_rows(h->ctx, &x, 3.3 / (double)(p[2] + 2), &y);
    result(h, "y above a threshold", &y, 0);
    dev->argmax_rows(h->ctx, &x, 1.5, &y);
    result(h, "y above 1", &y, 0);
}

/* ---- rows of length 1: m, c ---- */

/* The last row is zero, and the one before too small to be divided by its length. */
static void
run_l2norm(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor dy = operand(h, -1, 1, x), y = overwritten(h, x);
    const struct voco_tensor dx = overwritten(h, x), norm = overwritten(h, REAL(p[0]));
    const struct voco_tensor zero = voco_slice(&x, p[0] - 1, 1);
    const struct voco_tensor small = voco_slice(&x, p[0] - 2, 1);
    const double tolerance = sum_tolerance(h, p[1]);
    const double change = 4 * (tolerance + (h->bf16 ? STORED_BF16 : 0));

    dev->fill(h->ctx, &zero, 0);
    dev->fill(h->ctx, &small, 0x1p-20);
    dev->l2norm_forward(h->ctx, &x, 0.25, &y, &norm);
    result(h, "y", &y, tolerance);
    result(h, "norm", &norm, tolerance);
    dev->l2norm_backward(h->ctx, &y, &norm, &dy, &dx);
    result(h, "dx", &dx, change);
    dev->l2norm_backward(h->ctx, &y, &norm, &dy, &dy);
    result(h, "dx in place of dy", &dy, change);
    dev->l2norm_forward(h->ctx, &x, 0.25, &x, &norm);
    result(h, "y in place of x", &x, tolerance);
}

/* ---- sigmoid: m, c ---- */

static void
run_sigmoid(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -120, 120, SHAPE(p[0], p[1]));
    const struct voco_tensor z = operand(h, -4, 4, x), share = operand(h, 0, 1, x);
    const struct voco_tensor dy = operand(h, -1, 1, x), y = overwritten(h, x);

    dev->sigmoid_forward(h->ctx, &x, &y);
    result(h, "y", &y, POINTWISE);
    dev->sigmoid_forward(h->ctx, &z, &z);
    result(h, "y in place of x", &z, POINTWISE);
    dev->sigmoid_backward(h->ctx, &share, &dy, &y);
    result(h, "dx", &y, POINTWISE);
    dev->sigmoid_backward(h->ctx, &share, &dy, &dy);
    result(h, "dx in place of dy", &dy, POINTWISE);
}

/* ---- SGD: n, nesterov? ---- */

static void
run_sgd(struct harness *h, const int64_t *p)
{
    const struct voco_sgd o = { .lr = 1e-2, .momentum = 0.9, .weight_decay = 1e-2,
                                .nesterov = p[1] != 0 };
    const struct voco_sgd plain = { .lr = 1e-2, .weight_decay = 1e-2 };
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor g = operand(h, -1, 1, REAL(p[0])), w = operand(h, -1, 1, g);
    const struct voco_tensor m = operand(h, -1, 1, g);

    dev->sgd(h->ctx, &o, &g, &w, &m);
    result(h, "w", &w, POINTWISE);
    result(h, "m", &m, POINTWISE);
    dev->sgd(h->ctx, &plain, &g, &w, NULL);
    result(h, "w without momentum", &w, POINTWISE);
}

static const struct harness_case cases[] = {
    { "softmax_ce", run_softmax_ce, { 3, 1, 2, 0, 0 } },
    { "softmax_ce", run_softmax_ce, { 2, 343, 5, 0, 0 } },
    { "softmax_ce", run_softmax_ce, { 2, 343, 5, 0, 1 } },
    { "softmax_ce", run_softmax_ce, { 3, 15, 30, 1, 0 } },
    { "softmax_ce", run_softmax_ce, { 1, 16, 16, 1, 1 } },
    { "softmax_ce", run_softmax_ce, { 1, 20001, 3, 0, 0 } },
    { "softmax_ce", run_softmax_ce, { 2, 8193, 14, 0, 0 } },
    { "softmax_ce", run_softmax_ce, { 1, 65, 256, 0, 0 } },
    { "softmax_ce", run_softmax_ce, { 1, 65, 257, 1, 0 } },
    { "softmax_ce", run_softmax_ce, { 2, 70, 301, 0, 1 } },
    { "softmax_ce", run_softmax_ce, { 1, 3, 5000, 1, 1 } },
    { "losses of nothing", run_losses_of_nothing, { 2, 77, 3 } },
    { "dicece of nothing", run_dicece_of_nothing, { 2, 77, 3 } },

    { "masked_error", run_masked_error, { 1, 1, 1, 1, 0 } },
    { "masked_error", run_masked_error, { 2, 343, 1, 2, 1 } },
    { "masked_error", run_masked_error, { 3, 100, 7, 1, 1 } },
    { "masked_error", run_masked_error, { 1, 70001, 1, 2, 1 } },
    { "masked_error", run_masked_error, { 2, 33333, 3, 2, 1 } },
    { "masked_error", run_masked_error, { 1, 5, 5000, 1, 1 } },
    { "masked_error", run_masked_error, { 2, 40000, 2, 2, 0 } },

    { "argmax_rows", run_argmax_rows, { 1, 1, 1 } },
    { "argmax_rows", run_argmax_rows, { 2, 343, 5 }, true },
    { "argmax_rows", run_argmax_rows, { 1, 20001, 14 } },
    { "argmax_rows", run_argmax_rows, { 3, 17, 300 }, true },

    { "l2norm", run_l2norm, { 2, 1 } },
    { "l2norm", run_l2norm, { 30, 32 } },
    { "l2norm", run_l2norm, { 343, 17 } },
    { "l2norm", run_l2norm, { 9, 2049 } },

    { "sigmoid", run_sigmoid, { 1, 1 } },
    { "sigmoid", run_sigmoid, { 7, 15 } },
    { "sigmoid", run_sigmoid, { 100, 1001 } },

    { "sgd", run_sgd, { 1, 1 } },
    { "sgd", run_sgd, { 343, 0 } },
    { "sgd", run_sgd, { 100003, 1 } },
};

START_TEST(device_agrees_with_the_oracle)
{
    const int i = _i % COUNT(cases);

    ck_assert_msg(harness_run(devices[_i / COUNT(cases)], &cases[i]), "%s: %s",
                  devices[_i / COUNT(cases)]->name, cases[i].name);
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    const int i = _i % COUNT(cases);

    ck_assert_msg(harness_threads(devices[_i / COUNT(cases)], &cases[i]), "%s: %s",
                  devices[_i / COUNT(cases)]->name, cases[i].name);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("device_rows");
    TCase *tc = tcase_create("entries");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, device_agrees_with_the_oracle, 0, ALL_DEVICES * COUNT(cases));
    tcase_add_loop_test(tc, threads_do_not_change_a_bit, 0, ALL_DEVICES * COUNT(cases));
    suite_add_tcase(suite, tc);
    return suite;
}
