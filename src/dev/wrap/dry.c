/* The planning device: arguments are looked at, elements never. */
#include "dev/wrap/dry.h"

#include <stdlib.h>
#include <string.h>

#include "dev/entries.h"

static struct voco_dry *
dry_of(const struct voco_ctx *ctx)
{
    return (struct voco_dry *)ctx->dev;     /* its first member */
}

/* ---- life: the inner device is itself meanwhile ---- */

static enum voco_err
open_inner(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    const struct voco_device *self = ctx->dev;
    enum voco_err err;

    ctx->dev = dry_of(ctx)->inner;
    err = ctx->dev->open(ctx, options);
    ctx->dev = self;
    return err;
}

static void
close_inner(struct voco_ctx *ctx)
{
    const struct voco_device *self = ctx->dev;

    ctx->dev = dry_of(ctx)->inner;
    ctx->dev->close(ctx);
    ctx->dev = self;
}

static enum voco_err
reserve(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret)
{
    (void)ctx;
    return voco_arena_init(ret, limit, true);
}

/* ---- counting ---- */

/* Scratch of so many bytes comes and goes. */
static void
borrow(struct voco_ctx *ctx, size_t bytes)
{
    const size_t mark = voco_arena_mark(&ctx->temp);

    if (!voco_arena_push(&ctx->temp, bytes)) {
        voco_fail(VOCO_EMEMORY, "the plan needs more than %zu MiB of workspace",
                  ctx->temp.limit >> 20);
        voco_ctx_fail(ctx, VOCO_EMEMORY);
    }
    voco_arena_release(&ctx->temp, mark);
}

/* Each weight tensor is packed once, however often it is used. */
static void
count_packed(struct voco_ctx *ctx, const struct voco_conv *conv,
             const struct voco_tensor *x, const struct voco_tensor *w)
{
    struct voco_dry *dry = dry_of(ctx);

    if (ctx->err)
        return;
    for (int i = 0; i < dry->n; i++)
        if (dry->weights[i] == w->data)
            return;
    if (dry->n == dry->room) {
        const int room = dry->room ? 2 * dry->room : 64;
        const void **more = realloc(dry->weights, (size_t)room * sizeof *more);

        if (!more) {
            voco_fail(VOCO_EMEMORY, "out of memory while planning");
            voco_ctx_fail(ctx, VOCO_EMEMORY);
            return;
        }
        dry->weights = more;
        dry->room = room;
    }
    dry->weights[dry->n++] = w->data;
    dry->packed_bytes += dry->inner->conv_packed_bytes(ctx, conv, x);
}

/* ---- the entries ---- */

/* Uses arguments that an entry has no use for. */
static void
ignore(int n, ...)
{
    (void)n;
}

#define DRY(P, name, parameters, arguments, tensors, operations)                        \
    static void name(struct voco_ctx *ctx, VOCO_BARE parameters)                        \
    {                                                                                   \
        const struct voco_tensor *const list[] = { VOCO_BARE tensors };                 \
                                                                                        \
        ignore(0, VOCO_BARE arguments);                                                 \
        if (ctx->err)                                                                   \
            return;                                                                     \
        dry_of(ctx)->flops += (double)(operations);                                     \
        borrow(ctx, voco_small_scratch(ctx, list[0]));                       \
    }

VOCO_DEVICE_ENTRIES(DRY, , VOCO_TENSOR, VOCO_TENSOR)

/* ---- those that do a little more ---- */

static void
download_zeros(struct voco_ctx *ctx, const struct voco_tensor *x,
               const struct voco_tensor *host)
{
    download(ctx, x, host);
    memset(host->data, 0, voco_tensor_bytes(host));
}

static void
convolve(struct voco_ctx *ctx, enum voco_workspace what, const struct voco_conv *conv,
         const struct voco_tensor *x, const struct voco_tensor *w)
{
    const struct voco_shape shape = voco_shape_conv(what, conv, x->dim[0], x->dim + 1);

    if (ctx->err)
        return;
    borrow(ctx, dry_of(ctx)->inner->conv_workspace(ctx, what, conv, x));
    if (dry_of(ctx)->uses)
        voco_uses_add(dry_of(ctx)->uses, &shape, 1, w->data);
}

static void
plan_conv3d_forward(struct voco_ctx *ctx, const struct voco_conv *conv,
                    const struct voco_tensor *x, const struct voco_tensor *w,
                    const struct voco_tensor *b, const struct voco_tensor *y,
                    const struct voco_tensor *moments)
{
    conv3d_forward(ctx, conv, x, w, b, y, moments);
    convolve(ctx, VOCO_WS_CONV_FORWARD, conv, x, w);
    count_packed(ctx, conv, x, w);
}

static void
plan_conv3d_backward_data(struct voco_ctx *ctx, const struct voco_conv *conv,
                          const struct voco_tensor *dy, const struct voco_tensor *w,
                          const struct voco_tensor *dx)
{
    conv3d_backward_data(ctx, conv, dy, w, dx);
    convolve(ctx, VOCO_WS_CONV_BACKWARD_DATA, conv, dx, w);
    count_packed(ctx, conv, dx, w);
}

static void
plan_conv3d_backward_weights(struct voco_ctx *ctx, const struct voco_conv *conv,
                             const struct voco_tensor *x, const struct voco_tensor *dy,
                             const struct voco_tensor *dw, const struct voco_tensor *db)
{
    conv3d_backward_weights(ctx, conv, x, dy, dw, db);
    convolve(ctx, VOCO_WS_CONV_BACKWARD_WEIGHTS, conv, x, dw);
}

/* x [rows,inputs], w [outputs,inputs] */
static void
multiply(struct voco_ctx *ctx, enum voco_shape_op op, const struct voco_tensor *x,
         const struct voco_tensor *w)
{
    const struct voco_shape shape = voco_shape_linear(op, voco_rows(x), voco_cols(x),
                                                      w->dim[0]);

    if (!ctx->err && dry_of(ctx)->uses)
        voco_uses_add(dry_of(ctx)->uses, &shape, 1, w->data);
}

static void
plan_linear_forward(struct voco_ctx *ctx, const struct voco_tensor *x,
                    const struct voco_tensor *w, const struct voco_tensor *b,
                    const struct voco_tensor *y)
{
    linear_forward(ctx, x, w, b, y);
    multiply(ctx, VOCO_SHAPE_LINEAR, x, w);
}

static void
plan_linear_backward_data(struct voco_ctx *ctx, const struct voco_tensor *dy,
                          const struct voco_tensor *w, const struct voco_tensor *dx)
{
    linear_backward_data(ctx, dy, w, dx);
    multiply(ctx, VOCO_SHAPE_LINEAR_DATA, dx, w);
}

static void
plan_linear_backward_weights(struct voco_ctx *ctx, const struct voco_tensor *x,
                             const struct voco_tensor *dy, const struct voco_tensor *dw,
                             const struct voco_tensor *db)
{
    linear_backward_weights(ctx, x, dy, dw, db);
    multiply(ctx, VOCO_SHAPE_LINEAR_WEIGHTS, x, dw);
}

static void
plan_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win,
                  const struct voco_tensor *qkv, const struct voco_tensor *qkv_bias,
                  const struct voco_tensor *table, const struct voco_tensor *y,
                  const struct voco_tensor *lse)
{
    attn_forward(ctx, win, qkv, qkv_bias, table, y, lse);
    if (!ctx->err)
        borrow(ctx, dry_of(ctx)->inner->attn_workspace(ctx, VOCO_WS_ATTN_FORWARD, win,
                                                       qkv));
}

static void
plan_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win,
                   const struct voco_tensor *qkv, const struct voco_tensor *qkv_bias,
                   const struct voco_tensor *table, const struct voco_tensor *y,
                   const struct voco_tensor *lse, const struct voco_tensor *dy,
                   const struct voco_tensor *dqkv, const struct voco_tensor *dqkv_bias,
                   const struct voco_tensor *dtable)
{
    attn_backward(ctx, win, qkv, qkv_bias, table, y, lse, dy, dqkv, dqkv_bias, dtable);
    if (!ctx->err)
        borrow(ctx, dry_of(ctx)->inner->attn_workspace(ctx, VOCO_WS_ATTN_BACKWARD, win,
                                                       qkv));
}

/* A new entry of the table needs a line in entries.h. */
#define ONE(...) + 1
_Static_assert(offsetof(struct voco_device, conv_workspace)
               - offsetof(struct voco_device, upload)
               == (0 VOCO_DEVICE_ENTRIES(ONE, , VOCO_TENSOR, VOCO_TENSOR)) * sizeof(void (*)(void)),
               "entries.h lists every computing entry of the device table");

#define SET(P, entry, ...) ret->device.entry = entry;

void
voco_dry_init(struct voco_dry *ret, const struct voco_device *inner)
{
    *ret = (struct voco_dry){ .device = *inner, .inner = inner };
    ret->device.name = "dry";
    ret->device.open = open_inner;
    ret->device.close = close_inner;
    ret->device.reserve = reserve;
    VOCO_DEVICE_ENTRIES(SET, , VOCO_TENSOR, VOCO_TENSOR)
    ret->device.download = download_zeros;
    ret->device.conv3d_forward = plan_conv3d_forward;
    ret->device.conv3d_backward_data = plan_conv3d_backward_data;
    ret->device.conv3d_backward_weights = plan_conv3d_backward_weights;
    ret->device.linear_forward = plan_linear_forward;
    ret->device.linear_backward_data = plan_linear_backward_data;
    ret->device.linear_backward_weights = plan_linear_backward_weights;
    ret->device.attn_forward = plan_attn_forward;
    ret->device.attn_backward = plan_attn_backward;
}

void
voco_dry_free(struct voco_dry *dry)
{
    free(dry->weights);
    dry->weights = NULL;
    dry->n = dry->room = 0;
}
