/*
 * Every primitive of every device against the oracle, over shapes that cross vector
 * widths (16 and its parts), window sizes (343) and odd sizes.  Where whole numbers make
 * sums exact the values must be equal; elsewhere the tolerance says why (harness.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "dev/conv.h"
#include "tests/devices.h"
#include "tests/harness.h"
#include "tests/tensors.h"
#include "tests/test.h"

/* Functions of one element: a few roundings and the device's exp, erf, log. */
static const double POINTWISE = 1e-6;

/* ---- memory ---- */

static void
run_memory(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor y = added_to(h, x), z = overwritten(h, x);
    const struct voco_tensor row = voco_slice(&z, p[0] - 1, 1);

    const uint8_t host[] = { 0, 1, 2, 127, 128, 254, 255 };
    const struct voco_tensor bytes = voco_view((void *)host, VOCO_U8, 1, (int64_t)7);
    const struct voco_tensor u8 = overwritten(h, REAL((int64_t)7));

    dev->upload(h->ctx, &bytes, &u8);
    result(h, "upload of u8", &u8, 0);
    dev->add(h->ctx, &x, &y);
    result(h, "add y", &y, POINTWISE);
    dev->copy(h->ctx, &x, &z);
    dev->fill(h->ctx, &row, 0.25);
    result(h, "copy, fill y", &z, 0);
}

/* Gradients of 3^3 taps may come by Winograd's method over tiles of 4^3, whose transforms
 * round whole numbers, too. */
static double
gradient_tolerance(const struct harness *h, const struct voco_conv *conv, int64_t k)
{
    static const struct harness fractions;

    return sum_tolerance(voco_conv_is_cube(conv, 3, 1, 1) ? &fractions : h, k);
}

/* ---- convolution: n, d, h, w, cin, cout, then kernel, stride, pad, each of three axes ---- */

static void
run_conv_axes(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    struct voco_conv conv = { .cin = p[4], .cout = p[5] };
    struct voco_tensor x, w, b, y, dy, dx, dw, db;
    int64_t out[3], taps;

    for (int i = 0; i < 3; i++) {
        conv.kernel[i] = (int)p[6 + i];
        conv.stride[i] = (int)p[9 + i];
        conv.pad[i] = (int)p[12 + i];
        out[i] = voco_conv_out(&conv, i, p[1 + i]);
    }
    taps = voco_kernel_taps(&conv);
    x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], conv.cin));
    w = operand(h, -1, 1, REAL(conv.cout, conv.cin, p[6], p[7], p[8]));
    b = operand(h, -1, 1, REAL(conv.cout));
    y = overwritten(h, SHAPE(p[0], out[0], out[1], out[2], conv.cout));
    dev->conv3d_forward(h->ctx, &conv, &x, &w, &b, &y, NULL);
    result(h, "y with bias", &y, sum_tolerance(h, taps * conv.cin));
    dev->conv3d_forward(h->ctx, &conv, &x, &w, NULL, &y, NULL);
    result(h, "y", &y, sum_tolerance(h, taps * conv.cin));

    dy = operand(h, -1, 1, y);
    dx = overwritten(h, x);
    dev->conv3d_backward_data(h->ctx, &conv, &dy, &w, &dx);
    result(h, "dx", &dx, gradient_tolerance(h, &conv, taps * conv.cout));

    dw = added_to(h, w), db = added_to(h, b);
    dev->conv3d_backward_weights(h->ctx, &conv, &x, &dy, &dw, &db);
    result(h, "dw", &dw, gradient_tolerance(h, &conv, voco_rows(&y)));
    result(h, "db", &db, sum_tolerance(h, voco_rows(&y)));
    dev->conv3d_backward_weights(h->ctx, &conv, &x, &dy, &dw, NULL);
    result(h, "dw added twice", &dw, gradient_tolerance(h, &conv, voco_rows(&y)));
}

/* n, d, h, w, cin, cout, kernel, stride, pad: the same on each axis */
static void
run_conv(struct harness *h, const int64_t *p)
{
    const int64_t k = p[6], s = p[7], pad = p[8];

    run_conv_axes(h, (int64_t[]){ p[0], p[1], p[2], p[3], p[4], p[5], k, k, k, s, s, s, pad,
                                  pad, pad });
}

/* n, d, h, w, cin, cout, kernel of each axis */
static void
run_deconv(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const int64_t cin = p[4], cout = p[5];
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], cin));
    const struct voco_tensor w = operand(h, -1, 1, REAL(cin, cout, p[6], p[7], p[8]));
    const struct voco_tensor b = operand(h, -1, 1, REAL(cout));
    const struct voco_tensor y = overwritten(h, SHAPE(p[0], p[6] * p[1], p[7] * p[2],
                                                      p[8] * p[3], cout));
    const struct voco_tensor dy = operand(h, -1, 1, y);
    const struct voco_tensor dx = overwritten(h, x), dw = added_to(h, w);
    const struct voco_tensor db = added_to(h, b);

    dev->deconv_forward(h->ctx, &x, &w, &b, &y);
    result(h, "y with bias", &y, sum_tolerance(h, cin));
    dev->deconv_forward(h->ctx, &x, &w, NULL, &y);
    result(h, "y", &y, sum_tolerance(h, cin));
    dev->deconv_backward(h->ctx, &x, &w, &dy, &dx, &dw, &db);
    result(h, "dx", &dx, sum_tolerance(h, p[6] * p[7] * p[8] * cout));
    result(h, "dw", &dw, sum_tolerance(h, voco_rows(&x)));
    result(h, "db", &db, sum_tolerance(h, voco_rows(&y)));
    dev->deconv_backward(h->ctx, &x, &w, &dy, NULL, &dw, NULL);
    result(h, "dw added twice", &dw, sum_tolerance(h, voco_rows(&x)));
}

/* ---- linear: m, k, n ---- */

static void
run_linear(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor w = operand(h, -1, 1, REAL(p[2], p[1]));
    const struct voco_tensor b = operand(h, -1, 1, REAL(p[2]));
    const struct voco_tensor y = overwritten(h, SHAPE(p[0], p[2]));
    const struct voco_tensor dy = operand(h, -1, 1, y);
    const struct voco_tensor dx = overwritten(h, x), dw = added_to(h, w);
    const struct voco_tensor db = added_to(h, b);

    dev->linear_forward(h->ctx, &x, &w, &b, &y);
    result(h, "y with bias", &y, sum_tolerance(h, p[1]));
    dev->linear_forward(h->ctx, &x, &w, NULL, &y);
    result(h, "y", &y, sum_tolerance(h, p[1]));
    dev->linear_backward_data(h->ctx, &dy, &w, &dx);
    result(h, "dx", &dx, sum_tolerance(h, p[2]));
    dev->linear_backward_weights(h->ctx, &x, &dy, &dw, &db);
    result(h, "dw", &dw, sum_tolerance(h, p[0]));
    result(h, "db", &db, sum_tolerance(h, p[0]));
    dev->linear_backward_weights(h->ctx, &x, &dy, &dw, NULL);
    result(h, "dw added twice", &dw, sum_tolerance(h, p[0]));
}

/* ---- norms ---- */

/* n, s, c, residual?, activation? */
static void
run_instnorm(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const double slope = p[4] ? 0.01 : 1;
    const struct voco_tensor x = operand(h, -1, 3, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor residual = operand(h, -1, 1, x);
    const struct voco_tensor *r = p[3] ? &residual : NULL;
    const struct voco_tensor y = overwritten(h, x);
    const struct voco_tensor rstd = overwritten(h, REAL(p[0], p[2]));

    dev->instnorm_forward(h->ctx, &x, NULL, r, slope, 1e-5, &y, &rstd);
    result(h, "y", &y, sum_tolerance(h, p[1]));
    result(h, "rstd", &rstd, sum_tolerance(h, p[1]));
    dev->instnorm_forward(h->ctx, &x, NULL, r, slope, 1e-5, &x, &rstd);
    result(h, "y in place of x", &x, sum_tolerance(h, p[1]));
}

/* y is an operand, lest rounding moves an element across the kink; slope 0.25 keeps y and
 * y/slope of one size. */
static void
run_instnorm_backward(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const double slope = p[4] ? 0.25 : 1;
    const struct voco_tensor y = operand(h, -1, 1, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor residual = operand(h, -1, 1, y);
    const struct voco_tensor *r = p[3] ? &residual : NULL;
    const struct voco_tensor rstd = operand(h, 0.5, 2, REAL(p[0], p[2]));
    const struct voco_tensor dy = operand(h, -1, 1, y);
    const struct voco_tensor dx = overwritten(h, y), dr = overwritten(h, y);

    dev->instnorm_backward(h->ctx, &y, r, &rstd, slope, &dy, &dx, r ? &dr : NULL);
    result(h, "dx", &dx, sum_tolerance(h, p[1]));
    if (r) {
        result(h, "dr", &dr, POINTWISE);
        dev->instnorm_backward(h->ctx, &y, r, &rstd, slope, &dy, &dx, &dy);
        result(h, "dr in place of dy", &dy, POINTWISE);
        result(h, "dx beside it", &dx, sum_tolerance(h, p[1]));
    } else {
        dev->instnorm_backward(h->ctx, &y, NULL, &rstd, slope, &dy, &dy, NULL);
        result(h, "dx in place of dy", &dy, sum_tolerance(h, p[1]));
    }
}

/* m, c, affine? */
static void
run_layernorm(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 3, SHAPE(p[0], p[1]));
    const struct voco_tensor w = operand(h, -1, 2, REAL(p[1]));
    const struct voco_tensor b = operand(h, -1, 1, REAL(p[1]));
    const struct voco_tensor y = overwritten(h, x), mean = overwritten(h, REAL(p[0]));
    const struct voco_tensor rstd = overwritten(h, REAL(p[0]));
    const struct voco_tensor dy = operand(h, -1, 1, x);
    const struct voco_tensor dx = overwritten(h, x), dw = added_to(h, w);
    const struct voco_tensor db = added_to(h, b);
    const struct voco_tensor r = operand(h, -1, 1, x);
    const bool affine = p[2] != 0;

    dev->layernorm_forward(h->ctx, &x, affine ? &w : NULL, affine ? &b : NULL, 1e-5, &y,
                           &mean, &rstd);
    result(h, "y", &y, sum_tolerance(h, p[1]));
    result(h, "mean", &mean, sum_tolerance(h, p[1]));
    result(h, "rstd", &rstd, sum_tolerance(h, p[1]));
    dev->layernorm_backward(h->ctx, &x, affine ? &w : NULL, affine ? &b : NULL, &mean,
                            &rstd, &dy, NULL, &dx, &y, affine ? &dw : NULL,
                            affine ? &db : NULL);
    result(h, "dx", &dx, sum_tolerance(h, p[1]));
    result(h, "y again", &y, sum_tolerance(h, p[1]));
    if (affine) {
        result(h, "dw", &dw, sum_tolerance(h, p[0]));
        result(h, "db", &db, sum_tolerance(h, p[0]));
    }
    dev->layernorm_backward(h->ctx, &x, affine ? &w : NULL, NULL, &mean, &rstd, &dy, &r,
                            &r, NULL, affine ? &dw : NULL, affine ? &db : NULL);
    result(h, "dx added to r", &r, sum_tolerance(h, p[1]));
    dev->layernorm_backward(h->ctx, &x, affine ? &w : NULL, NULL, &mean, &rstd, &dy, NULL,
                            &dy, NULL, affine ? &dw : NULL, affine ? &db : NULL);
    result(h, "dx in place of dy", &dy, sum_tolerance(h, p[1]));
}

/* m, c, activation? */
static void
run_affine(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const double slope = p[2] ? 0.01 : 1;
    const struct voco_tensor x = operand(h, -1, 3, SHAPE(p[0], p[1]));
    const struct voco_tensor w = operand(h, -1, 2, REAL(p[1]));
    const struct voco_tensor b = operand(h, -1, 1, REAL(p[1]));
    const struct voco_tensor y = overwritten(h, x), dy = operand(h, -1, 1, x);
    const struct voco_tensor dx = overwritten(h, x), dw = added_to(h, w);
    const struct voco_tensor db = added_to(h, b);

    dev->affine_forward(h->ctx, &x, &w, &b, slope, &y);
    result(h, "y", &y, POINTWISE);
    dev->affine_backward(h->ctx, &x, &w, &b, slope, &dy, &dx, &dw, &db);
    result(h, "dx", &dx, POINTWISE);
    result(h, "dw", &dw, sum_tolerance(h, p[0]));
    result(h, "db", &db, sum_tolerance(h, p[0]));
    dev->affine_backward(h->ctx, &x, &w, &b, slope, &dy, &dy, &dw, &db);
    result(h, "dx in place of dy", &dy, POINTWISE);
    result(h, "dw added twice", &dw, sum_tolerance(h, p[0]));
    dev->affine_forward(h->ctx, &x, &w, &b, slope, &x);
    result(h, "y in place of x", &x, POINTWISE);
}

/* ---- pointwise: m, c ---- */

static void
run_pointwise(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -6, 6, SHAPE(p[0], p[1]));
    const struct voco_tensor factor = operand(h, -1, 1, REAL(p[0]));
    const struct voco_tensor z = operand(h, -6, 6, REAL(p[0], p[1]));
    const struct voco_tensor dy = operand(h, -1, 1, x), y = overwritten(h, x);
    const struct voco_tensor again = overwritten(h, x);

    dev->leaky_forward(h->ctx, &x, 0, &y);
    result(h, "relu y", &y, 0);
    dev->leaky_forward(h->ctx, &x, 0.01, &y);
    result(h, "leaky y", &y, POINTWISE);
    dev->leaky_backward(h->ctx, &x, 0.01, &dy, &y);
    result(h, "leaky dx", &y, POINTWISE);
    dev->gelu_forward(h->ctx, &x, &y);
    result(h, "gelu y", &y, POINTWISE);
    dev->gelu_backward(h->ctx, &x, &dy, &y, &again);
    result(h, "gelu dx", &y, POINTWISE);
    result(h, "gelu y again", &again, POINTWISE);
    dev->scale_rows(h->ctx, &z, &factor, &z);
    result(h, "scale_rows y", &z, POINTWISE);
    dev->gelu_backward(h->ctx, &x, &dy, &dy, NULL);
    result(h, "gelu dx in place", &dy, POINTWISE);
    dev->gelu_forward(h->ctx, &x, &x);
    result(h, "gelu y in place", &x, POINTWISE);
}

/* ---- attention: n, size[3], heads, head_dim, shift, full window ---- */

/*
 * Scores are sums of head_dim terms, probabilities carry their error as a factor, outputs
 * sum over the window.  The table sums over all windows, dqkv_bias over padding tokens.
 *
 * Of bfloat16 weights are rounded to be multiplied, where the CPU multiplies it: by 2^-9 at
 * most, each another way, so sums over the window have less of it than of being stored.
 * lse is as in f32.
 */
static void
run_attn(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const int64_t c = p[4] * p[5], span = 2 * p[7] - 1;
    struct voco_windows win = { .full_window = (int)p[7], .heads = (int)p[4] };
    struct voco_tensor qkv, bias, table, y, lse, dy, dqkv, dbias, dtable;
    int64_t rows = p[0] * p[4], tokens = 1;
    double tolerance;

    for (int i = 0; i < 3; i++) {
        const bool clipped = p[1 + i] <= p[7];

        win.size[i] = p[1 + i];
        win.window[i] = (int)(clipped ? p[1 + i] : p[7]);
        win.shift[i] = clipped ? 0 : (int)p[6];
        rows *= (win.size[i] + win.window[i] - 1) / win.window[i];
        tokens *= win.window[i];
    }
    qkv = operand(h, -2, 2, SHAPE(p[0], p[1], p[2], p[3], 3 * c));
    bias = operand(h, -1, 1, REAL(3 * c));
    table = operand(h, -1, 1, REAL(span * span * span, p[4]));
    y = overwritten(h, SHAPE(p[0], p[1], p[2], p[3], c));
    lse = overwritten(h, REAL(p[0], rows / p[0] / p[4], p[4], tokens));
    tolerance = sum_tolerance(h, p[5]) + sum_tolerance(h, tokens);
    dev->attn_forward(h->ctx, &win, &qkv, &bias, &table, &y, &lse);
    result(h, "y", &y, tolerance);
    result(h, "lse", &lse, tolerance);

    if (h->bf16)                /* backward reads y as it was stored */
        tolerance += STORED_BF16;
    dy = operand(h, -1, 1, y);
    dqkv = overwritten(h, qkv);
    dbias = added_to(h, bias), dtable = added_to(h, table);
    dev->attn_backward(h->ctx, &win, &qkv, &bias, &table, &y, &lse, &dy, &dqkv, &dbias,
                       &dtable);
    result(h, "dqkv", &dqkv, 2 * tolerance);
    result(h, "dqkv_bias", &dbias, 2 * tolerance + sum_tolerance(h, rows * tokens));
    result(h, "dtable", &dtable, 2 * tolerance + sum_tolerance(h, rows));
}

/* ---- merging and pooling ---- */

/* n, d, h, w, c */
static void
run_merge(struct harness *h, const int64_t *p)
{
    static const int fixed[8][3] = {
        { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
        { 1, 1, 0 }, { 1, 0, 1 }, { 0, 1, 1 }, { 1, 1, 1 },
    };
    static const int legacy[8][3] = {
        { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
        { 1, 0, 1 }, { 0, 1, 0 }, { 0, 0, 1 }, { 1, 1, 1 },
    };
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], p[4]));
    const int64_t half[3] = { (p[1] + 1) / 2, (p[2] + 1) / 2, (p[3] + 1) / 2 };
    const struct voco_tensor y = overwritten(h, SHAPE(p[0], half[0], half[1], half[2],
                                                      8 * p[4]));
    const struct voco_tensor dy = operand(h, -1, 1, y), dx = overwritten(h, x);

    dev->merge_forward(h->ctx, &x, fixed, &y);
    result(h, "y", &y, 0);
    dev->merge_forward(h->ctx, &x, legacy, &y);
    result(h, "legacy y", &y, 0);
    dev->merge_backward(h->ctx, &dy, fixed, &dx);
    result(h, "dx", &dx, 0);
    dev->merge_backward(h->ctx, &dy, legacy, &dx);
    result(h, "legacy dx", &dx, POINTWISE);
}

/* n, s, c, first, columns */
static void
run_pool(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 3, SHAPE(p[0], p[1], p[2]));
    const struct voco_tensor y = added_to(h, REAL(p[0], p[4]));
    const struct voco_tensor dx = overwritten(h, x);

    dev->pool_backward(h->ctx, &y, p[3], &dx);
    result(h, "dx", &dx, POINTWISE);
    dev->pool_forward(h->ctx, &x, &y, p[3]);
    result(h, "y, and the columns beside it", &y, sum_tolerance(h, p[1]));
}

/* rows, cx, from, cy, to, columns */
static void
run_columns(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor y = added_to(h, SHAPE(p[0], p[3]));

    dev->copy_columns(h->ctx, &x, p[2], &y, p[4], p[5]);
    result(h, "y, and the columns beside it", &y, 0);
}

/* ---- segmentation: n, s, c, squared?, are some voxels without a label? ---- */

/* Logits up to 6 make probabilities of 1e-6, whose logarithms count. */
static void
run_dicece(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_dicece o = { .background = p[3] != 0, .squared = p[3] != 0,
                                   .smooth_nr = p[3] ? 0 : 1e-5,
                                   .smooth_dr = p[3] ? 1e-6 : 1e-5 };
    const struct voco_tensor x = operand(h, -6, 6, REAL(p[0], p[1], p[2]));
    const struct voco_tensor label = operand(h, p[4] ? -1 : 0, (double)p[2] - 0.5,
                                             REAL(p[0], p[1]));
    const struct voco_tensor sums = overwritten(h, REAL(p[0], p[2], 3));
    const struct voco_tensor loss = added_to(h, REAL(2)), dx = overwritten(h, x);

    dev->dicece_forward(h->ctx, &o, &x, &label, 0.5, &sums, &loss);
    result(h, "sums", &sums, sum_tolerance(h, p[1]));
    result(h, "loss", &loss, sum_tolerance(h, p[1]));
    dev->dicece_backward(h->ctx, &o, &x, &label, &sums, 0.5, &dx);
    result(h, "dx", &dx, sum_tolerance(h, p[1]));
    dev->dicece_backward(h->ctx, &o, &x, &label, &sums, 0.5, &x);
    result(h, "dx in place of x", &x, sum_tolerance(h, p[1]));
}

/* ---- contrast: m, k, c ---- */

/* s is an operand of backward, so that no rounding decides what was clipped. */
static void
run_assign(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor a = operand(h, -1, 1, REAL(p[0], p[2]));
    const struct voco_tensor b = operand(h, -1, 1, REAL(p[1], p[2]));
    const struct voco_tensor y = overwritten(h, REAL(p[0], p[1]));
    const struct voco_tensor s = operand(h, -1, 1, y), ds = operand(h, -1, 1, y);
    const struct voco_tensor da = added_to(h, a), db = added_to(h, b);

    dev->assign_forward(h->ctx, &a, &b, &y);
    result(h, "s", &y, sum_tolerance(h, p[2]));
    dev->leaky_forward(h->ctx, &s, 0, &s);
    dev->assign_backward(h->ctx, &a, &b, &s, &ds, &da, &db);
    result(h, "da", &da, sum_tolerance(h, p[1]) + POINTWISE);
    result(h, "db", &db, sum_tolerance(h, p[0]) + POINTWISE);
    dev->assign_backward(h->ctx, &a, &b, &s, &ds, &da, NULL);
    dev->assign_backward(h->ctx, &a, &b, &s, &ds, NULL, &db);
    result(h, "da added twice", &da, sum_tolerance(h, p[1]) + POINTWISE);
    result(h, "db added twice", &db, sum_tolerance(h, p[0]) + POINTWISE);
}

/* m, k, squared?, parts of the loss, power: labels are zero at whole rows of whole numbers,
 * positive elsewhere */
static void
run_losses(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor y = operand(h, -1, 1, REAL(p[0], p[1]));
    const struct voco_tensor s = operand(h, 0.05, 0.95, REAL(p[1], p[1]));
    const struct voco_tensor q = operand(h, 0.05, 0.95, y), loss = added_to(h, REAL(p[3]));
    const struct voco_tensor reg = voco_slice(&loss, 0, 1);
    const struct voco_ce o = { p[2] != 0, 1e-6, 1e-6 };
    const int power = (int)p[4];
    const struct voco_tensor dp = overwritten(h, y), ds = overwritten(h, s);

    dev->leaky_forward(h->ctx, &y, 0, &y);
    dev->ce_forward(h->ctx, &o, &y, &q, 0.5, &loss);
    result(h, "ce loss", &loss, sum_tolerance(h, p[0] * p[1]));
    dev->ce_backward(h->ctx, &o, &y, &q, 0.5, &dp);
    result(h, "ce dp", &dp, sum_tolerance(h, p[0] * p[1]));
    dev->decor_forward(h->ctx, power, &s, 0.5, &reg);
    result(h, "decor loss", &loss, sum_tolerance(h, p[0] * p[1] + p[1] * p[1]));
    dev->decor_backward(h->ctx, power, &s, 0.5, &ds);
    result(h, "decor ds", &ds, POINTWISE);
}

/* ---- slabs: n, amsgrad?, step ---- */

static void
run_slabs(struct harness *h, const int64_t *p)
{
    const struct voco_adamw o = { .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .weight_decay = 1e-2, .amsgrad = p[1] != 0,
                                  .step = p[2] };
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor g = operand(h, -1, 1, REAL(p[0])), w = operand(h, -1, 1, g);
    const struct voco_tensor m = operand(h, -1, 1, g), v = operand(h, 0.01, 1, g);
    const struct voco_tensor vmax = operand(h, 0.01, 1, g), t = operand(h, -1, 1, g);
    const struct voco_tensor norm = overwritten(h, REAL(1));

    dev->sum_squares(h->ctx, &g, &norm);
    result(h, "sum_squares", &norm, POINTWISE);
    dev->adamw(h->ctx, &o, &g, &w, &m, &v, o.amsgrad ? &vmax : NULL);
    result(h, "adamw w", &w, POINTWISE);
    result(h, "adamw m", &m, POINTWISE);
    result(h, "adamw v", &v, POINTWISE);
    result(h, "adamw vmax", &vmax, POINTWISE);
    dev->ema(h->ctx, 0.9, &w, &t);
    result(h, "ema", &t, POINTWISE);
}

/* ---- axes: n, d, h, w, c, then where y's axes come from ---- */

static void
run_permute(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const int axis[3] = { (int)p[5], (int)p[6], (int)p[7] };
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], p[4]));
    const struct voco_tensor y = overwritten(h, SHAPE(p[0], p[1 + axis[0]], p[1 + axis[1]],
                                                      p[1 + axis[2]], p[4]));

    dev->permute(h->ctx, &x, axis, &y);
    result(h, "y", &y, 0);
}

/* n, d, h, w, c of y, then how many voxels of x it has one for */
static void
run_subsample(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, REAL(p[0], p[1] * p[5], p[2] * p[6],
                                                        p[3] * p[7], p[4]));
    const struct voco_tensor y = overwritten(h, REAL(p[0], p[1], p[2], p[3], p[4]));

    dev->subsample(h->ctx, &x, &p[5], &y);
    result(h, "y", &y, 0);
}

static const struct harness_case cases[] = {
    { "memory", run_memory, { 1, 1 } },
    { "memory", run_memory, { 3, 343 } },
    { "memory", run_memory, { 2, 70001 } },

    { "conv3d", run_conv, { 1, 4, 4, 4, 1, 12, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 2, 5, 6, 7, 12, 12, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 2, 5, 6, 7, 12, 12, 3, 1, 1 } },
    { "conv3d", run_conv, { 1, 8, 8, 8, 48, 48, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 1, 8, 8, 8, 48, 48, 3, 1, 1 } },
    { "conv3d", run_conv, { 3, 3, 4, 5, 17, 33, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 2, 2, 2, 2, 96, 96, 3, 1, 1 } },
    { "conv3d", run_conv, { 1, 1, 1, 1, 40, 20, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 1, 7, 9, 11, 1, 5, 3, 1, 1 } },
    { "conv3d", run_conv, { 1, 16, 12, 10, 24, 24, 3, 1, 1 }, true },
    { "conv3d", run_conv, { 2, 8, 6, 4, 1, 12, 2, 2, 0 }, true },
    { "conv3d", run_conv, { 2, 16, 16, 16, 1, 48, 2, 2, 0 } },
    { "conv3d", run_conv, { 2, 6, 4, 8, 1, 12, 1, 1, 0 }, true },
    { "conv3d", run_conv, { 1, 4, 4, 4, 24, 12, 1, 1, 0 } },
    { "conv3d", run_conv, { 1, 9, 7, 8, 3, 5, 3, 2, 1 }, true },
    { "conv3d", run_conv_axes, { 2, 5, 8, 7, 16, 16, 1, 3, 3, 1, 1, 1, 0, 1, 1 }, true },
    { "conv3d", run_conv_axes, { 1, 5, 8, 6, 16, 24, 3, 3, 3, 1, 2, 2, 1, 1, 1 }, true },
    { "conv3d", run_conv_axes, { 2, 6, 5, 9, 3, 5, 1, 3, 2, 3, 2, 1, 0, 1, 0 }, true },

    { "deconv", run_deconv, { 1, 1, 1, 1, 1, 1, 2, 2, 2 }, true },
    { "deconv", run_deconv, { 2, 4, 3, 5, 24, 12, 2, 2, 2 }, true },
    { "deconv", run_deconv, { 1, 4, 4, 4, 96, 48, 2, 2, 2 } },
    { "deconv", run_deconv, { 2, 3, 4, 5, 17, 9, 1, 2, 2 }, true },
    { "deconv", run_deconv, { 1, 2, 3, 2, 16, 33, 3, 1, 2 } },
    { "deconv", run_deconv, { 2, 2, 3, 27, 32, 16, 2, 2, 2 }, true },

    { "linear", run_linear, { 1, 1, 1 }, true },
    { "linear", run_linear, { 3, 16, 5 }, true },
    { "linear", run_linear, { 17, 33, 65 }, true },
    { "linear", run_linear, { 343, 48, 144 }, true },
    { "linear", run_linear, { 1000, 12, 36 } },
    { "linear", run_linear, { 22, 288, 1024 } },
    { "linear", run_linear, { 8193, 48, 33 }, true },
    { "linear", run_linear, { 9000, 32, 80 } },
    { "linear", run_linear, { 8201, 80, 48 }, true },
    { "linear", run_linear, { 8195, 17, 16 }, true },

    { "instnorm", run_instnorm, { 1, 27, 1, 0, 0 } },
    { "instnorm", run_instnorm, { 2, 343, 12, 1, 1 } },
    { "instnorm", run_instnorm, { 3, 100, 17, 0, 1 } },
    { "instnorm", run_instnorm, { 1, 4096, 48, 1, 1 } },
    { "instnorm", run_instnorm, { 2, 8, 192, 1, 1 } },
    { "instnorm", run_instnorm, { 1, 30000, 3, 1, 0 } },
    { "instnorm", run_instnorm, { 1, 22, 1024, 0, 0 } },
    { "instnorm_backward", run_instnorm_backward, { 1, 27, 1, 0, 0 } },
    { "instnorm_backward", run_instnorm_backward, { 2, 343, 12, 1, 1 } },
    { "instnorm_backward", run_instnorm_backward, { 3, 100, 17, 0, 1 } },
    { "instnorm_backward", run_instnorm_backward, { 1, 4096, 48, 1, 1 } },
    { "instnorm_backward", run_instnorm_backward, { 2, 8, 192, 1, 1 } },
    { "instnorm_backward", run_instnorm_backward, { 1, 30000, 3, 1, 0 } },
    { "instnorm_backward", run_instnorm_backward, { 1, 22, 1024, 0, 0 } },

    { "layernorm", run_layernorm, { 2, 12, 1 } },
    { "layernorm", run_layernorm, { 343, 48, 1 } },
    { "layernorm", run_layernorm, { 17, 96, 0 } },
    { "layernorm", run_layernorm, { 5, 33, 1 } },
    { "layernorm", run_layernorm, { 5000, 12, 1 } },
    { "layernorm", run_layernorm, { 3, 3072, 1 } },

    { "affine", run_affine, { 1, 1, 1 } },
    { "affine", run_affine, { 343, 17, 1 } },
    { "affine", run_affine, { 1000, 32, 0 } },
    { "affine", run_affine, { 70001, 3, 1 } },
    { "affine", run_affine, { 9, 320, 1 } },

    { "pointwise", run_pointwise, { 1, 1 } },
    { "pointwise", run_pointwise, { 7, 15 } },
    { "pointwise", run_pointwise, { 3, 343 } },
    { "pointwise", run_pointwise, { 100, 1001 } },

    { "attn", run_attn, { 1, 4, 4, 4, 3, 4, 0, 7 } },
    { "attn", run_attn, { 2, 8, 8, 8, 3, 4, 0, 7 } },
    { "attn", run_attn, { 1, 8, 8, 8, 3, 4, 3, 7 } },
    { "attn", run_attn, { 1, 9, 8, 10, 2, 16, 3, 7 } },
    { "attn", run_attn, { 2, 16, 7, 14, 1, 16, 3, 7 } },
    { "attn", run_attn, { 1, 7, 2, 7, 3, 5, 0, 7 } },
    { "attn", run_attn, { 3, 5, 4, 7, 2, 32, 1, 3 } },
    { "attn", run_attn, { 1, 7, 7, 7, 1, 64, 3, 7 } },

    { "merge", run_merge, { 1, 2, 2, 2, 1 } },
    { "merge", run_merge, { 2, 4, 5, 3, 12 } },
    { "merge", run_merge, { 1, 7, 7, 7, 17 } },
    { "merge", run_merge, { 3, 8, 6, 10, 48 } },

    { "pool", run_pool, { 1, 1, 1, 0, 1 } },
    { "pool", run_pool, { 2, 343, 12, 5, 40 } },
    { "pool", run_pool, { 3, 4096, 17, 23, 40 } },

    { "columns", run_columns, { 1, 1, 0, 1, 0, 1 } },
    { "columns", run_columns, { 343, 12, 0, 24, 12, 12 } },
    { "columns", run_columns, { 4097, 33, 5, 17, 0, 16 } },

    { "permute", run_permute, { 1, 1, 1, 1, 1, 2, 1, 0 } },
    { "permute", run_permute, { 2, 3, 5, 7, 1, 2, 0, 1 } },
    { "permute", run_permute, { 2, 3, 5, 7, 4, 1, 2, 0 } },
    { "permute", run_permute, { 1, 6, 33, 17, 3, 0, 2, 1 } },
    { "subsample", run_subsample, { 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "subsample", run_subsample, { 2, 3, 5, 7, 1, 2, 2, 2 } },
    { "subsample", run_subsample, { 2, 4, 3, 9, 1, 1, 4, 8 } },
    { "subsample", run_subsample, { 1, 2, 5, 3, 4, 3, 2, 1 } },

    { "dicece", run_dicece, { 1, 5, 2, 0 } },
    { "dicece", run_dicece, { 2, 343, 14, 0 } },
    { "dicece", run_dicece, { 2, 343, 4, 1 } },
    { "dicece", run_dicece, { 1, 20001, 3, 0 } },
    { "dicece", run_dicece, { 3, 100, 105, 1 } },
    { "dicece", run_dicece, { 2, 343, 14, 1, 1 } },
    { "dicece", run_dicece, { 2, 9001, 3, 0, 1 } },

    { "assign", run_assign, { 1, 1, 3 } },
    { "assign", run_assign, { 2, 9, 16 } },
    { "assign", run_assign, { 9, 9, 1023 } },
    { "losses", run_losses, { 2, 9, 0, 1, 2 } },
    { "losses", run_losses, { 3, 1, 0, 1, 2 } },
    { "losses", run_losses, { 5, 17, 0, 2, 1 } },
    { "losses", run_losses, { 2, 16, 1, 2, 2 } },
    { "losses", run_losses, { 8, 16, 1, 1, 1 } },

    { "slabs", run_slabs, { 1, 1, 1 } },
    { "slabs", run_slabs, { 343, 1, 1 } },
    { "slabs", run_slabs, { 1000, 0, 7 } },
    { "slabs", run_slabs, { 100003, 1, 1000 } },
};

START_TEST(device_agrees_with_the_oracle)
{
    const int i = _i % COUNT(cases);

    ck_assert_msg(harness_run(devices[_i / COUNT(cases)], &cases[i]), "%s: %s",
                  devices[_i / COUNT(cases)]->name, cases[i].name);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("device");
    TCase *tc = tcase_create("primitives");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, device_agrees_with_the_oracle, 0, ALL_DEVICES * COUNT(cases));
    suite_add_tcase(suite, tc);
    return suite;
}
