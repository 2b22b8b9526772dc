/*
 * Attention, norms, pointwise functions and slabs for bench.
 *
 *   attn, attn_grad             n items, s size (one edge), c channels, h heads,
 *                               w window (default 7), r roll (default 0)
 *   instnorm, instnorm_grad     n items, d size (one edge), c channels, r 1: residual
 *   layernorm, layernorm_grad   m rows, c channels
 *   affine, affine_grad         m rows, c channels
 *   gelu, gelu_grad, adamw, ema, sum_squares    m elements
 */
#include "bench/bench.h"

#define arg bench_arg

/* ---- attention ---- */

static struct voco_windows
windows_of(const struct problem *p)
{
    const int64_t s = arg(p, 's', 8);
    const int w = (int)arg(p, 'w', 7), edge = s < w ? (int)s : w;
    const int roll = s <= w ? 0 : (int)arg(p, 'r', 0);

    return (struct voco_windows){ .size = { s, s, s }, .window = { edge, edge, edge },
                                  .shift = { roll, roll, roll }, .full_window = w,
                                  .heads = (int)arg(p, 'h', 3) };
}

enum { QKV, BIAS, TABLE, Y, LSE, DY, DQKV, DBIAS, DTABLE };

static void
attn_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const struct voco_windows win = windows_of(p);
    const int64_t n = arg(p, 'n', 1), s = win.size[0], c = arg(p, 'c', 48);
    const int64_t w = win.window[0], count = (s + w - 1) / w, h = win.heads;
    const int64_t span = 2 * win.full_window - 1;

    t[QKV] = voco_push(ctx, &ctx->keep, 5, n, s, s, s, 3 * c);
    t[BIAS] = voco_push_real(ctx, &ctx->keep, 1, 3 * c);
    t[TABLE] = voco_push_real(ctx, &ctx->keep, 2, span * span * span, h);
    t[Y] = voco_push(ctx, &ctx->keep, 5, n, s, s, s, c);
    t[LSE] = voco_push_real(ctx, &ctx->keep, 4, n, count * count * count, h, w * w * w);
    t[DY] = voco_push_like(ctx, &ctx->keep, &t[Y]);
    t[DQKV] = voco_push_like(ctx, &ctx->keep, &t[QKV]);
    t[DBIAS] = voco_push_like(ctx, &ctx->keep, &t[BIAS]);
    t[DTABLE] = voco_push_like(ctx, &ctx->keep, &t[TABLE]);
}

static void
attn_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_windows win = windows_of(p);

    ctx->dev->attn_forward(ctx, &win, &t[QKV], &t[BIAS], &t[TABLE], &t[Y], &t[LSE]);
}

static void
attn_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_windows win = windows_of(p);

    ctx->dev->attn_backward(ctx, &win, &t[QKV], &t[BIAS], &t[TABLE], &t[Y], &t[LSE],
                            &t[DY], &t[DQKV], &t[DBIAS], &t[DTABLE]);
}

/* Pairs of tokens of the volume that meet in a window, times channels. */
static double
attn_pairs(const struct problem *p)
{
    const struct voco_windows win = windows_of(p);
    const int64_t w = win.window[0], padded = (win.size[0] + w - 1) / w * w;
    double along = 0;

    for (int64_t i = 0; i < padded; i += w) {
        double real = 0;

        for (int64_t l = i; l < i + w; l++)
            real += (l + win.shift[0]) % padded < win.size[0];
        along += real * real;
    }
    return (double)arg(p, 'n', 1) * (double)arg(p, 'c', 48) * along * along * along;
}

static double
attn_flops(const struct problem *p)
{
    return 4 * attn_pairs(p);           /* S, PV */
}

static double
attn_grad_flops(const struct problem *p)
{
    return 10 * attn_pairs(p);          /* S, dP, dQ, dK, dV */
}

/* ---- instance norm ---- */

enum { IX, IR, IY, IRSTD, IDY, IDX };

static void
instnorm_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t n = arg(p, 'n', 1), d = arg(p, 'd', 8), c = arg(p, 'c', 48);

    t[IX] = voco_push(ctx, &ctx->keep, 3, n, d * d * d, c);
    if (arg(p, 'r', 0))
        t[IR] = voco_push_like(ctx, &ctx->keep, &t[IX]);
    t[IY] = voco_push_like(ctx, &ctx->keep, &t[IX]);
    t[IRSTD] = voco_push_real(ctx, &ctx->keep, 2, n, c);
    t[IDY] = voco_push_like(ctx, &ctx->keep, &t[IX]);
    t[IDX] = voco_push_like(ctx, &ctx->keep, &t[IX]);
}

static void
instnorm_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->instnorm_forward(ctx, &t[IX], NULL, t[IR].data ? &t[IR] : NULL, 0.01, 1e-5,
                               &t[IY], &t[IRSTD]);
}

static void
instnorm_grad_run(struct voco_ctx *ctx, const struct problem *p,
                  const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->instnorm_backward(ctx, &t[IY], t[IR].data ? &t[IR] : NULL, &t[IRSTD], 0.01,
                                &t[IDY], &t[IDX], t[IR].data ? &t[IDY] : NULL);
}

static double
instnorm_items(const struct problem *p)
{
    const double d = (double)arg(p, 'd', 8);

    return 4 * (double)arg(p, 'n', 1) * d * d * d * (double)arg(p, 'c', 48);
}

/* Two passes: x; x, r -> y.  Twice the least traffic where an item fits the cache. */
static double
instnorm_bytes(const struct problem *p)
{
    return instnorm_items(p) * (arg(p, 'r', 0) ? 4 : 3);
}

/* y, dy, r; y, dy, r -> dx, dr */
static double
instnorm_grad_bytes(const struct problem *p)
{
    return instnorm_items(p) * (arg(p, 'r', 0) ? 8 : 5);
}

/* ---- layer norm ---- */

enum { LX, LW, LB, LY, LMEAN, LRSTD, LDY, LDX, LDW, LDB };

static void
layernorm_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t m = arg(p, 'm', 64), c = arg(p, 'c', 48);

    t[LX] = voco_push(ctx, &ctx->keep, 2, m, c);
    t[LY] = voco_push_like(ctx, &ctx->keep, &t[LX]);
    t[LDY] = voco_push_like(ctx, &ctx->keep, &t[LX]);
    t[LDX] = voco_push_like(ctx, &ctx->keep, &t[LX]);
    t[LW] = voco_push_real(ctx, &ctx->keep, 1, c);
    t[LB] = voco_push_like(ctx, &ctx->keep, &t[LW]);
    t[LDW] = voco_push_like(ctx, &ctx->keep, &t[LW]);
    t[LDB] = voco_push_like(ctx, &ctx->keep, &t[LW]);
    t[LMEAN] = voco_push_real(ctx, &ctx->keep, 1, m);
    t[LRSTD] = voco_push_real(ctx, &ctx->keep, 1, m);
}

static void
layernorm_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->layernorm_forward(ctx, &t[LX], &t[LW], &t[LB], 1e-5, &t[LY], &t[LMEAN],
                                &t[LRSTD]);
}

static void
layernorm_grad_run(struct voco_ctx *ctx, const struct problem *p,
                   const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->layernorm_backward(ctx, &t[LX], &t[LW], NULL, &t[LMEAN], &t[LRSTD], &t[LDY],
                                 NULL, &t[LDX], NULL, &t[LDW], &t[LDB]);
}

static double
layernorm_bytes(const struct problem *p)
{
    return 2 * 4 * (double)arg(p, 'm', 64) * (double)arg(p, 'c', 48);
}

static double
layernorm_grad_bytes(const struct problem *p)
{
    return 1.5 * layernorm_bytes(p);
}

/* ---- scale and shift: operands as of layer norm ---- */

static void
affine_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->affine_forward(ctx, &t[LX], &t[LW], &t[LB], 0.01, &t[LY]);
}

static void
affine_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->affine_backward(ctx, &t[LX], &t[LW], &t[LB], 0.01, &t[LDY], &t[LDX], &t[LDW],
                              &t[LDB]);
}

/* ---- flat ---- */

static void
flat_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    for (int i = 0; i < 5; i++)
        t[i] = voco_push(ctx, &ctx->keep, 1, arg(p, 'm', 1024));
}

static void
gelu_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->gelu_forward(ctx, &t[0], &t[1]);
}

static void
gelu_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->gelu_backward(ctx, &t[0], &t[1], &t[2], NULL);
}

/* The weights end up anywhere, the time does not depend on it. */
static void
adamw_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_adamw o = { 1e-4, 0.9, 0.999, 1e-8, 0.01, true, 10 };

    (void)p;
    ctx->dev->adamw(ctx, &o, &t[0], &t[1], &t[2], &t[3], &t[4]);
}

static void
ema_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->ema(ctx, 0.9, &t[0], &t[1]);
}

static void
sum_squares_run(struct voco_ctx *ctx, const struct problem *p,
                const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->sum_squares(ctx, &t[0], &t[1]);
}

static double
floats(const struct problem *p, double each)
{
    return 4 * each * (double)arg(p, 'm', 1024);
}

static double
read_bytes(const struct problem *p)
{
    return floats(p, 1);
}

static double
read_write_bytes(const struct problem *p)
{
    return floats(p, 2);
}

static double
two_in_bytes(const struct problem *p)
{
    return floats(p, 3);
}

static double
adamw_bytes(const struct problem *p)
{
    return floats(p, 9);                /* g; w, m, v, vmax both ways */
}

const struct kind bench_rows_kinds[] = {
    { "attn", attn_setup, attn_run, attn_flops, NULL },
    { "attn_grad", attn_setup, attn_grad_run, attn_grad_flops, NULL },
    { "instnorm", instnorm_setup, instnorm_run, NULL, instnorm_bytes },
    { "instnorm_grad", instnorm_setup, instnorm_grad_run, NULL, instnorm_grad_bytes },
    { "layernorm", layernorm_setup, layernorm_run, NULL, layernorm_bytes },
    { "layernorm_grad", layernorm_setup, layernorm_grad_run, NULL, layernorm_grad_bytes },
    { "affine", layernorm_setup, affine_run, NULL, layernorm_bytes },
    { "affine_grad", layernorm_setup, affine_grad_run, NULL, layernorm_grad_bytes },
    { "gelu", flat_setup, gelu_run, NULL, read_write_bytes },
    { "gelu_grad", flat_setup, gelu_grad_run, NULL, two_in_bytes },
    { "adamw", flat_setup, adamw_run, NULL, adamw_bytes },
    { "ema", flat_setup, ema_run, NULL, two_in_bytes },
    { "sum_squares", flat_setup, sum_squares_run, NULL, read_bytes },
    { NULL }
};
