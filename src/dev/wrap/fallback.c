/* Entries by way of another device: download, compute, upload. */
#include "dev/wrap/fallback.h"

#include <stdlib.h>
#include <string.h>

#include "dev/entries.h"

/* ---- life: a context of the helper hangs on that of the device ---- */

static enum voco_err
open_both(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    const struct voco_fallback *f = (const struct voco_fallback *)ctx->dev;
    const struct voco_ctx_options same = { .threads = ctx->threads,
                                           .choices = options->choices };
    enum voco_err err = f->inner->open(ctx, options);

    if (err != VOCO_OK)
        return err;
    if (!(ctx->helper = calloc(1, sizeof *ctx->helper)))
        err = voco_fail(VOCO_EMEMORY, "no memory for a second device");
    else
        err = voco_ctx_open(ctx->helper, f->helper, &same);
    if (err != VOCO_OK) {
        f->inner->close(ctx);
        free(ctx->helper);
        ctx->helper = NULL;
    }
    return err;
}

static void
close_both(struct voco_ctx *ctx)
{
    const struct voco_fallback *f = (const struct voco_fallback *)ctx->dev;

    voco_ctx_close(ctx->helper);
    free(ctx->helper);
    ctx->helper = NULL;
    f->inner->close(ctx);
}

/* ---- a call ---- */

enum { TENSORS_MAX = 12 };

struct call {
    struct voco_ctx *ctx, *helper;
    struct voco_tensor x[TENSORS_MAX], copy[TENSORS_MAX];   /* of the device, of the helper */
    bool written[TENSORS_MAX];
    int n;
    size_t mark;
};

static struct call
begin(struct voco_ctx *ctx)
{
    struct voco_ctx *helper = ctx->helper;

    helper->lean = ctx->lean;
    helper->inference = ctx->inference;
    helper->weights_version++;          /* other weights may be at the same place */
    return (struct call){ .ctx = ctx, .helper = helper,
                          .mark = voco_arena_mark(&helper->keep) };
}

/* x's elements in a type that both devices exchange with the host, on the helper's temp
 * where that is not their own. */
static struct voco_tensor
exchange(struct call *c, const struct voco_tensor *copy)
{
    struct voco_tensor host = *copy;

    if (copy->type == VOCO_BF16) {
        host.type = VOCO_F32;
        host.data = voco_arena_push(&c->helper->temp, voco_tensor_bytes(&host));
        VOCO_NEED(host.data);
    }
    return host;
}

static void
download(struct call *c, int i)
{
    const size_t mark = voco_arena_mark(&c->helper->temp);
    const struct voco_tensor host = exchange(c, &c->copy[i]);

    c->ctx->dev->download(c->ctx, &c->x[i], &host);
    if (host.data != c->copy[i].data)
        c->helper->dev->upload(c->helper, &host, &c->copy[i]);
    voco_arena_release(&c->helper->temp, mark);
}

static void
upload(struct call *c, int i)
{
    const size_t mark = voco_arena_mark(&c->helper->temp);
    const struct voco_tensor host = exchange(c, &c->copy[i]);

    if (host.data != c->copy[i].data)
        c->helper->dev->download(c->helper, &c->copy[i], &host);
    c->ctx->dev->upload(c->ctx, &host, &c->x[i]);
    voco_arena_release(&c->helper->temp, mark);
}

/* Puts the helper's copy in the place of an argument.  Two arguments that are one tensor
 * get one copy. */
static void
fetch(struct call *c, const struct voco_tensor **x, bool written)
{
    const int n = c->n;
    int same = 0;

    if (!*x || c->ctx->err)
        return;
    while (same < n && c->x[same].data != (*x)->data)
        same++;
    VOCO_ASSERT(n < TENSORS_MAX);
    c->x[n] = c->copy[n] = **x;
    c->written[n] = written && same == n;
    if (same < n) {
        VOCO_ASSERT(voco_tensor_bytes(*x) == voco_tensor_bytes(&c->x[same]));
        c->copy[n].data = c->copy[same].data;
        c->written[same] = c->written[same] || written;
    } else {
        c->copy[n].data = voco_arena_push(&c->helper->keep, voco_tensor_bytes(*x));
        if (!c->copy[n].data) {
            voco_ctx_fail(c->ctx, voco_fail(VOCO_EMEMORY, "no memory for a copy of a tensor"));
            return;
        }
        download(c, n);
    }
    *x = &c->copy[n];
    c->n++;
}

static void
finish(struct call *c)
{
    if (c->helper->err)
        voco_ctx_fail(c->ctx, c->helper->err);
    for (int i = 0; i < c->n && !c->ctx->err; i++)
        if (c->written[i])
            upload(c, i);
    voco_arena_release(&c->helper->keep, c->mark);
}

/* ---- the entries ---- */

#define READ(x) fetch(&call, &x, false)
#define WRITTEN(x) fetch(&call, &x, true)

#define BY_HELPER(P, name, parameters, arguments, tensors, operations)                  \
    static void P##name(struct voco_ctx *ctx, VOCO_BARE parameters)                     \
    {                                                                                   \
        struct call call;                                                               \
                                                                                        \
        if (ctx->err)                                                                   \
            return;                                                                     \
        call = begin(ctx);                                                              \
        VOCO_BARE tensors;                                                              \
        if (!ctx->err)                                                                  \
            call.helper->dev->name(call.helper, VOCO_BARE arguments);                   \
        finish(&call);                                                                  \
    }

VOCO_DEVICE_ENTRIES(BY_HELPER, by_helper_, READ, WRITTEN)

/* The helper has memory of its own for scratch and packed weights. */
static size_t
no_conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                  const struct voco_conv *conv, const struct voco_tensor *x)
{
    (void)ctx, (void)what, (void)conv, (void)x;
    return 0;
}

static size_t
no_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                  const struct voco_windows *win, const struct voco_tensor *qkv)
{
    (void)ctx, (void)what, (void)win, (void)qkv;
    return 0;
}

static size_t
no_packed_bytes(struct voco_ctx *ctx, const struct voco_conv *conv,
                const struct voco_tensor *x)
{
    (void)ctx, (void)conv, (void)x;
    return 0;
}

static bool
moments_of_helper(struct voco_ctx *ctx, const struct voco_conv *conv,
                  const struct voco_tensor *x)
{
    return ctx->helper->dev->conv_moments(ctx->helper, conv, x);
}

#define TAKE(P, name, ...)                                                              \
    if (!inner->name)                                                                   \
        ret->device.name = P##name;

void
voco_fallback_init(struct voco_fallback *ret, const struct voco_device *inner,
                   const struct voco_device *helper)
{
    VOCO_ASSERT(inner->upload && inner->download && inner->reserve
                && inner->real == helper->real && inner->act == helper->act);
    *ret = (struct voco_fallback){ .device = *inner, .inner = inner, .helper = helper };
    ret->device.open = open_both;
    ret->device.close = close_both;
    VOCO_DEVICE_ENTRIES(TAKE, by_helper_, VOCO_TENSOR, VOCO_TENSOR)
    if (!inner->conv_workspace)
        ret->device.conv_workspace = no_conv_workspace;
    if (!inner->attn_workspace)
        ret->device.attn_workspace = no_attn_workspace;
    if (!inner->conv_packed_bytes)
        ret->device.conv_packed_bytes = no_packed_bytes;
    if (!inner->conv_moments)
        ret->device.conv_moments = moments_of_helper;
}
