/*
 * Losses of rows, boxes, rotation, upsampling and SGD for bench.
 *
 *   softmax_ce, softmax_ce_grad         n items of m rows, c classes, s 1: soft targets
 *   masked_error, masked_error_grad     n items of m rows, c channels, p power (default 2)
 *   argmax_rows                         m rows, c classes, t per cent: threshold
 *   l2norm, l2norm_grad                 m rows, c channels
 *   box_fill, box_copy                  n items, d size (one edge), c channels, b boxes
 *                                       (default 1) of an item, each half as wide
 *   rotate                              n items, d size, c channels, k turns (default 1)
 *   upsample, upsample_grad             n items, d size (of the smaller), c channels
 *   sigmoid, sigmoid_grad, blend, sgd   m elements
 */
#include "bench/bench.h"

#define arg bench_arg

/* ---- losses ---- */

enum { X, T, MASK, DX, SAVED, LOSS };

static void
loss_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t n = arg(p, 'n', 1), m = arg(p, 'm', 64), c = arg(p, 'c', 5);

    t[X] = voco_push(ctx, &ctx->keep, 3, n, m, c);
    t[DX] = voco_push_like(ctx, &ctx->keep, &t[X]);
    t[MASK] = voco_push(ctx, &ctx->keep, 2, n, m);
    t[SAVED] = voco_push_real(ctx, &ctx->keep, 1, n);
    t[LOSS] = voco_push_real(ctx, &ctx->keep, 1, INT64_C(1));
}

static void
ce_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    loss_setup(ctx, p, t);
    t[T] = arg(p, 's', 0)
        ? voco_push_real(ctx, &ctx->keep, 3, t[X].dim[0], t[X].dim[1], t[X].dim[2])
        : voco_push_real(ctx, &ctx->keep, 2, t[X].dim[0], t[X].dim[1]);
}

static void
error_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    loss_setup(ctx, p, t);
    t[T] = voco_push_like(ctx, &ctx->keep, &t[X]);
}

static const struct voco_softmax_ce ce = { .scale = 2 };

/* Half of the classes are below 0: their rows take all of the time but a logarithm. */
static void
ce_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->softmax_ce_forward(ctx, &ce, &t[X], &t[T], 1, &t[SAVED], &t[LOSS]);
}

static void
ce_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->softmax_ce_backward(ctx, &ce, &t[X], &t[T], &t[SAVED], 1, &t[DX]);
}

static void
error_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    ctx->dev->masked_error_forward(ctx, (int)arg(p, 'p', 2), &t[X], &t[T], &t[MASK], 1,
                                   &t[SAVED], &t[LOSS]);
}

static void
error_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    ctx->dev->masked_error_backward(ctx, (int)arg(p, 'p', 2), &t[X], &t[T], &t[MASK],
                                    &t[SAVED], 1, &t[DX]);
}

static void
argmax_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_tensor y = { .data = t[T].data, .rank = 2,
                                   .dim = { t[X].dim[0], t[X].dim[1], 1, 1, 1 },
                                   .type = t[T].type };

    ctx->dev->argmax_rows(ctx, &t[X], (double)arg(p, 't', 0) / 100, &y);
}

static double
elements(const struct problem *p)
{
    return (double)arg(p, 'n', 1) * (double)arg(p, 'm', 64) * (double)arg(p, 'c', 5);
}

/* x, and a target for each row or each element */
static double
ce_bytes(const struct problem *p)
{
    return 4 * elements(p) * (1 + (arg(p, 's', 0) ? 1 : 1 / (double)arg(p, 'c', 5)));
}

static double
ce_grad_bytes(const struct problem *p)
{
    return ce_bytes(p) + 4 * elements(p);
}

static double
error_bytes(const struct problem *p)
{
    return 4 * elements(p) * (2 + 1 / (double)arg(p, 'c', 5));
}

static double
error_grad_bytes(const struct problem *p)
{
    return error_bytes(p) + 4 * elements(p);
}

/* ---- rows of length 1 ---- */

enum { LX, LY, LDY, LDX, LNORM };

static void
l2norm_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    for (int i = LX; i <= LDX; i++)
        t[i] = voco_push(ctx, &ctx->keep, 2, arg(p, 'm', 64), arg(p, 'c', 5));
    t[LNORM] = voco_push_real(ctx, &ctx->keep, 1, arg(p, 'm', 64));
}

static void
l2norm_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->l2norm_forward(ctx, &t[LX], 1e-12, &t[LY], &t[LNORM]);
}

static void
l2norm_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->l2norm_backward(ctx, &t[LY], &t[LNORM], &t[LDY], &t[LDX]);
}

static double
l2norm_bytes(const struct problem *p)
{
    return 8 * elements(p);
}

static double
l2norm_grad_bytes(const struct problem *p)
{
    return 12 * elements(p);
}

/* ---- volumes ---- */

enum { BOXES_MAX = 1024 };

static void
volume_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t n = arg(p, 'n', 1), d = arg(p, 'd', 8), c = arg(p, 'c', 1);

    t[0] = voco_push(ctx, &ctx->keep, 5, n, d, d, d, c);
    t[1] = voco_push_like(ctx, &ctx->keep, &t[0]);
}

static void
upsample_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    const int64_t n = arg(p, 'n', 1), d = arg(p, 'd', 8), c = arg(p, 'c', 1);

    t[0] = voco_push(ctx, &ctx->keep, 5, n, d, d, d, c);
    t[1] = voco_push(ctx, &ctx->keep, 5, n, 2 * d, 2 * d, 2 * d, c);
}

/* In a corner and in the middle by turns; returns how many. */
static int
boxes(const struct problem *p, struct voco_box *box)
{
    const int64_t all = arg(p, 'n', 1) * arg(p, 'b', 1), d = arg(p, 'd', 8);
    const int n = all < BOXES_MAX ? (int)all : BOXES_MAX;

    for (int i = 0; i < n; i++) {
        const int64_t at = i % 2 ? d / 4 : 0;

        box[i] = (struct voco_box){ .item = i % (int)arg(p, 'n', 1), .start = { at, at, at },
                                    .extent = { d / 2, d / 2, d / 2 }, .value = i };
        box[i].from = (int)arg(p, 'n', 1) - 1 - box[i].item;
    }
    return n;
}

static void
box_fill_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    struct voco_box box[BOXES_MAX];

    ctx->dev->box_fill(ctx, box, boxes(p, box), &t[1]);
}

static void
box_copy_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    struct voco_box box[BOXES_MAX];

    ctx->dev->box_copy(ctx, box, boxes(p, box), &t[0], &t[1]);
}

static void
rotate_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    static const int plane[2] = { 2, 3 };
    int turns[BOXES_MAX];

    for (int i = 0; i < BOXES_MAX; i++)
        turns[i] = (int)arg(p, 'k', 1) % 4;
    VOCO_ASSERT(t[0].dim[0] <= BOXES_MAX);
    ctx->dev->rotate(ctx, &t[0], turns, plane, &t[1]);
}

static void
upsample_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->upsample_forward(ctx, &t[0], &t[1]);
}

static void
upsample_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->upsample_backward(ctx, &t[1], &t[0]);
}

static double
voxels(const struct problem *p)
{
    const double d = (double)arg(p, 'd', 8);

    return (double)arg(p, 'n', 1) * d * d * d * (double)arg(p, 'c', 1);
}

static double
box_fill_bytes(const struct problem *p)
{
    return 4 * voxels(p) / 8 * (double)arg(p, 'b', 1);
}

static double
box_copy_bytes(const struct problem *p)
{
    return 2 * box_fill_bytes(p);
}

static double
rotate_bytes(const struct problem *p)
{
    return 8 * voxels(p);
}

static double
upsample_bytes(const struct problem *p)
{
    return 36 * voxels(p);              /* one in, eight out, or the other way */
}

/* ---- flat ---- */

static void
flat_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    for (int i = 0; i < 4; i++)
        t[i] = voco_push(ctx, &ctx->keep, 1, arg(p, 'm', 1024));
}

static void
slab_setup(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t)
{
    for (int i = 0; i < 3; i++)
        t[i] = voco_push_real(ctx, &ctx->keep, 1, arg(p, 'm', 1024));
}

static void
sigmoid_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->sigmoid_forward(ctx, &t[0], &t[1]);
}

static void
sigmoid_grad_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->sigmoid_backward(ctx, &t[0], &t[1], &t[2]);
}

static void
blend_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    (void)p;
    ctx->dev->blend(ctx, &t[0], &t[1], &t[2], &t[3]);
}

static void
sgd_run(struct voco_ctx *ctx, const struct problem *p, const struct voco_tensor *t)
{
    const struct voco_sgd o = { 1e-2, 0.99, 3e-5, true };

    (void)p;
    ctx->dev->sgd(ctx, &o, &t[0], &t[1], &t[2]);
}

static double
two_bytes(const struct problem *p)
{
    return 8 * (double)arg(p, 'm', 1024);
}

static double
three_bytes(const struct problem *p)
{
    return 12 * (double)arg(p, 'm', 1024);
}

static double
four_bytes(const struct problem *p)
{
    return 16 * (double)arg(p, 'm', 1024);
}

static double
sgd_bytes(const struct problem *p)
{
    return 20 * (double)arg(p, 'm', 1024);      /* g; w and m both ways */
}

const struct kind bench_losses_kinds[] = {
    { "softmax_ce", ce_setup, ce_run, NULL, ce_bytes },
    { "softmax_ce_grad", ce_setup, ce_grad_run, NULL, ce_grad_bytes },
    { "masked_error", error_setup, error_run, NULL, error_bytes },
    { "masked_error_grad", error_setup, error_grad_run, NULL, error_grad_bytes },
    { "argmax_rows", ce_setup, argmax_run, NULL, ce_bytes },
    { "l2norm", l2norm_setup, l2norm_run, NULL, l2norm_bytes },
    { "l2norm_grad", l2norm_setup, l2norm_grad_run, NULL, l2norm_grad_bytes },
    { "box_fill", volume_setup, box_fill_run, NULL, box_fill_bytes },
    { "box_copy", volume_setup, box_copy_run, NULL, box_copy_bytes },
    { "rotate", volume_setup, rotate_run, NULL, rotate_bytes },
    { "upsample", upsample_setup, upsample_run, NULL, upsample_bytes },
    { "upsample_grad", upsample_setup, upsample_grad_run, NULL, upsample_bytes },
    { "sigmoid", flat_setup, sigmoid_run, NULL, two_bytes },
    { "sigmoid_grad", flat_setup, sigmoid_grad_run, NULL, three_bytes },
    { "blend", flat_setup, blend_run, NULL, four_bytes },
    { "sgd", slab_setup, sgd_run, NULL, sgd_bytes },
    { NULL }
};
