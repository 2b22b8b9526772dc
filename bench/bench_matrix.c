/*
 * Convolutions and linear layers for bench.
 *
 *   conv, conv_data, conv_weights   n items, d size (one edge, or d e f), c channels in,
 *                                   o out (default c), k kernel, s stride, p padding;
 *                                   x, y: kernel and stride of the first axis, if others
 *   conv_norm                       conv and the instance norm behind it; m0: which makes
 *                                   its moments itself, even where conv would
 *   deconv, deconv_grad             n items, d size (one edge), c channels in, o out,
 *                                   k kernel and stride (default 2)
 *   linear, linear_data, linear_weights     m rows, k in, n out
 */
#include "bench/bench.h"

#define arg bench_arg

enum { TX, TW, TB, TY, TZ, TRSTD };

/* ---- convolutions ---- */

static struct voco_conv
conv_of(const struct problem *p)
{
    const int k = (int)arg(p, 'k', 3), s = (int)arg(p, 's', 1);
    struct voco_conv c = VOCO_CONV_CUBE(arg(p, 'c', 1), arg(p, 'o', arg(p, 'c', 1)), k, s,
                                        (int)arg(p, 'p', s == 1 ? k / 2 : 0));

    c.kernel[0] = (int)arg(p, 'x', k);
    c.stride[0] = (int)arg(p, 'y', s);
    if (c.pad[0])
        c.pad[0] = c.kernel[0] / 2;
    return c;
}

static void
conv_size(const struct problem *p, int64_t in[3], int64_t out[3])
{
    const struct voco_conv c = conv_of(p);

    in[0] = arg(p, 'd', 8);
    in[1] = arg(p, 'e', in[0]);
    in[2] = arg(p, 'f', in[1]);
    for (int i = 0; i < 3; i++)
        out[i] = voco_conv_out(&c, i, in[i]);
}

static void
conv_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const struct voco_conv c = conv_of(p);
    const int64_t n = arg(p, 'n', 1);
    int64_t in[3], out[3];

    conv_size(p, in, out);
    t[TX] = voco_push(ctx, &ctx->keep, 5, n, in[0], in[1], in[2], c.cin);
    t[TW] = voco_push_real(ctx, &ctx->keep, 5, c.cout, c.cin, (int64_t)c.kernel[0],
                           (int64_t)c.kernel[1], (int64_t)c.kernel[2]);
    t[TY] = voco_push(ctx, &ctx->keep, 5, n, out[0], out[1], out[2], c.cout);
}

static double
conv_flops(const struct problem *p)
{
    const struct voco_conv c = conv_of(p);
    int64_t in[3], out[3];

    conv_size(p, in, out);
    return 2.0 * (double)arg(p, 'n', 1) * (double)(out[0] * out[1] * out[2])
           * (double)(c.cin * c.cout) * (double)voco_kernel_taps(&c);
}

static void
conv_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_forward(ctx, &c, &t[TX], &t[TW], NULL, &t[TY], NULL);
}

static void
conv_norm_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    conv_setup(ctx, p, t);
    t[TZ] = voco_push_like(ctx, &ctx->keep, &t[TY]);
    t[TRSTD] = voco_push_real(ctx, &ctx->keep, 2, t[TY].dim[0], t[TY].dim[4]);
}

static void
conv_norm_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_conv c = conv_of(p);
    const struct voco_tensor y = voco_as_voxels(&t[TY]), z = voco_as_voxels(&t[TZ]);
    const size_t mark = voco_arena_mark(&ctx->temp);
    struct voco_tensor room;
    const struct voco_tensor *m = voco_push_moments(ctx, &ctx->temp, &c, &t[TX], &room);

    if (!arg(p, 'm', 1))
        m = NULL;
    ctx->dev->conv3d_forward(ctx, &c, &t[TX], &t[TW], NULL, &t[TY], m);
    ctx->dev->instnorm_forward(ctx, &y, m, NULL, 0.01, 1e-5, &z, &t[TRSTD]);
    voco_arena_release(&ctx->temp, mark);
}

static void
conv_data_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_backward_data(ctx, &c, &t[TY], &t[TW], &t[TX]);
}

static void
conv_weights_run(struct voco_ctx *ctx, const struct problem *p,
                 const struct voco_tensor *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_backward_weights(ctx, &c, &t[TX], &t[TY], &t[TW], NULL);
}

/* ---- transposed convolutions ---- */

enum { UX, UW, UB, UY, UDX, UDW, UDB };

static void
deconv_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t n = arg(p, 'n', 1), d = arg(p, 'd', 8), c = arg(p, 'c', 48);
    const int64_t o = arg(p, 'o', c), k = arg(p, 'k', 2);

    t[UX] = voco_push(ctx, &ctx->keep, 5, n, d, d, d, c);
    t[UW] = voco_push_real(ctx, &ctx->keep, 5, c, o, k, k, k);
    t[UB] = voco_push_real(ctx, &ctx->keep, 1, o);
    t[UY] = voco_push(ctx, &ctx->keep, 5, n, k * d, k * d, k * d, o);
    t[UDX] = voco_push_like(ctx, &ctx->keep, &t[UX]);
    t[UDW] = voco_push_like(ctx, &ctx->keep, &t[UW]);
    t[UDB] = voco_push_like(ctx, &ctx->keep, &t[UB]);
}

static void
deconv_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->deconv_forward(ctx, &t[UX], &t[UW], &t[UB], &t[UY]);
}

static void
deconv_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->deconv_backward(ctx, &t[UX], &t[UW], &t[UY], &t[UDX], &t[UDW], &t[UDB]);
}

static double
deconv_flops(const struct problem *p)
{
    const double d = (double)arg(p, 'd', 8), k = (double)arg(p, 'k', 2);
    const int64_t c = arg(p, 'c', 48);

    return 2.0 * (double)arg(p, 'n', 1) * d * d * d * k * k * k * (double)c
           * (double)arg(p, 'o', c);
}

static double
deconv_grad_flops(const struct problem *p)
{
    return 2 * deconv_flops(p);         /* dx, dw */
}

/* ---- linear layers ---- */

static void
linear_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t m = arg(p, 'm', 64), k = arg(p, 'k', 48), n = arg(p, 'n', k);

    t[TX] = voco_push(ctx, &ctx->keep, 2, m, k);
    t[TW] = voco_push_real(ctx, &ctx->keep, 2, n, k);
    t[TB] = voco_push_real(ctx, &ctx->keep, 1, n);
    t[TY] = voco_push(ctx, &ctx->keep, 2, m, n);
}

static double
linear_flops(const struct problem *p)
{
    const int64_t k = arg(p, 'k', 48);

    return 2.0 * (double)arg(p, 'm', 64) * (double)k * (double)arg(p, 'n', k);
}

static void
linear_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->linear_forward(ctx, &t[TX], &t[TW], &t[TB], &t[TY]);
}

static void
linear_data_run(struct voco_ctx *ctx, const struct problem *p,
                const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->linear_backward_data(ctx, &t[TY], &t[TW], &t[TX]);
}

static void
linear_weights_run(struct voco_ctx *ctx, const struct problem *p,
                   const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->linear_backward_weights(ctx, &t[TX], &t[TY], &t[TW], &t[TB]);
}

const struct kind bench_matrix_kinds[] = {
    { "conv", conv_setup, conv_run, conv_flops, NULL },
    { "conv_norm", conv_norm_setup, conv_norm_run, conv_flops, NULL },
    { "conv_data", conv_setup, conv_data_run, conv_flops, NULL },
    { "conv_weights", conv_setup, conv_weights_run, conv_flops, NULL },
    { "deconv", deconv_setup, deconv_run, deconv_flops, NULL },
    { "deconv_grad", deconv_setup, deconv_grad_run, deconv_grad_flops, NULL },
    { "linear", linear_setup, linear_run, linear_flops, NULL },
    { "linear_data", linear_setup, linear_data_run, linear_flops, NULL },
    { "linear_weights", linear_setup, linear_weights_run, linear_flops, NULL },
    { NULL }
};
