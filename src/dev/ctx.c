/* The context that every op gets: a device, three arenas, one sticky error. */
#include <stdarg.h>
#include <stdlib.h>

#include "base/machine.h"
#include "dev/device.h"

/*
 * Bytes for each of the three arenas, when the caller does not say.  Under a limit of the
 * address space: a quarter of the unused space each, the last one for other memory.
 */
static size_t
default_limit(void)
{
    const uint64_t left = voco_addresses_left(), most = UINT64_C(1) << 40;

    return (size_t)(left / 4 < most ? left / 4 : most);
}

enum voco_err
voco_ctx_open(struct voco_ctx *ctx, const struct voco_device *dev,
              const struct voco_ctx_options *options)
{
    struct voco_ctx_options o = options ? *options : (struct voco_ctx_options){ 0 };
    enum voco_err err;

    *ctx = (struct voco_ctx){ .dev = dev, .weights_version = 1,
                              .threads = o.threads > 0 ? o.threads
                                                       : voco_default_threads() };
    if ((err = dev->open(ctx, &o)) != VOCO_OK) {
        ctx->dev = NULL;
        return err;
    }
    if (o.limit == 0)
        o.limit = default_limit();      /* of the rest after the libraries */
    if ((err = dev->reserve(ctx, o.limit, &ctx->keep)) != VOCO_OK
        || (err = dev->reserve(ctx, o.limit, &ctx->grad)) != VOCO_OK
        || (err = dev->reserve(ctx, o.limit, &ctx->temp)) != VOCO_OK)
        voco_ctx_close(ctx);
    return err;
}

void
voco_ctx_close(struct voco_ctx *ctx)
{
    voco_arena_free(&ctx->keep);
    voco_arena_free(&ctx->grad);
    voco_arena_free(&ctx->temp);
    if (ctx->dev)
        ctx->dev->close(ctx);
    ctx->dev = NULL;
}

enum voco_err
voco_host_view(struct voco_ctx *ctx, const struct voco_tensor *x, struct voco_tensor *ret,
               void **ret_owned)
{
    *ret = *x;
    *ret_owned = NULL;
    if (ctx->dev->host_memory || voco_count(x) == 0)
        return VOCO_OK;
    ret->data = *ret_owned = malloc(voco_tensor_bytes(x));
    if (!ret->data)
        return voco_fail(VOCO_EMEMORY, "no memory for a copy of %zu MiB from the device",
                         voco_tensor_bytes(x) >> 20);
    ctx->dev->download(ctx, x, ret);
    return ctx->err;
}

void
voco_ctx_fail(struct voco_ctx *ctx, enum voco_err err)
{
    if (ctx->err == VOCO_OK)
        ctx->err = err;
}

static struct voco_tensor
push(struct voco_ctx *ctx, struct voco_arena *arena, struct voco_tensor x)
{
    x.data = voco_arena_push(arena, voco_tensor_bytes(&x));
    if (!x.data) {
        voco_fail(VOCO_EMEMORY, "%zu MiB of working memory are not enough for one more "
                  "tensor of %zu MiB: %s or lower the batch", arena->limit >> 20,
                  voco_tensor_bytes(&x) >> 20,
                  voco_addresses_left() < UINT64_MAX
                      ? "raise the limit of the address space (ulimit -v)"
                      : "raise --memory");
        voco_ctx_fail(ctx, VOCO_EMEMORY);
    }
    return x;
}

static struct voco_tensor
shaped(enum voco_type type, int rank, va_list ap)
{
    struct voco_tensor x = { .dim = { 1, 1, 1, 1, 1 }, .rank = rank, .type = type };

    VOCO_ASSERT(rank >= 1 && rank <= VOCO_RANK_MAX);
    for (int i = 0; i < rank; i++)
        x.dim[i] = va_arg(ap, int64_t);
    return x;
}

struct voco_tensor
voco_push(struct voco_ctx *ctx, struct voco_arena *arena, int rank, ...)
{
    struct voco_tensor x;
    va_list ap;

    va_start(ap, rank);
    x = shaped(ctx->dev->act, rank, ap);
    va_end(ap);
    return push(ctx, arena, x);
}

struct voco_tensor
voco_push_real(struct voco_ctx *ctx, struct voco_arena *arena, int rank, ...)
{
    struct voco_tensor x;
    va_list ap;

    va_start(ap, rank);
    x = shaped(ctx->dev->real, rank, ap);
    va_end(ap);
    return push(ctx, arena, x);
}

struct voco_tensor
voco_push_like(struct voco_ctx *ctx, struct voco_arena *arena, const struct voco_tensor *x)
{
    struct voco_tensor y = *x;

    if (y.type != ctx->dev->act)
        y.type = ctx->dev->real;
    return push(ctx, arena, y);
}

struct voco_tensor
voco_push_exact(struct voco_ctx *ctx, struct voco_arena *arena, const struct voco_tensor *x)
{
    struct voco_tensor y = *x;

    if (x->type == ctx->dev->real)
        return y;
    y.type = ctx->dev->real;
    return push(ctx, arena, y);
}

const struct voco_tensor *
voco_push_moments(struct voco_ctx *ctx, struct voco_arena *arena,
                  const struct voco_conv *conv, const struct voco_tensor *x,
                  struct voco_tensor *room)
{
    if (ctx->err || !ctx->dev->conv_moments(ctx, conv, x))
        return NULL;
    *room = voco_push_real(ctx, arena, 3, x->dim[0], (int64_t)2, conv->cout);
    return room;
}
