/* A linear layer on one token of a map. */
#include "net/tokenhead.h"

void
voco_tokenhead_init(struct voco_tokenhead *h, struct voco_params *t, int64_t token,
                    int64_t in, int64_t out, const char *name)
{
    h->token = token;
    h->w = voco_params_add(t, 2, (int64_t[]){ out, in }, "%s.weight", name);
    h->b = voco_params_add(t, 1, &out, "%s.bias", name);
}

/* The token of one item of a map, a row. */
static struct voco_tensor
token_of(const struct voco_tokenhead *h, const struct voco_tensor *map, int64_t item)
{
    const struct voco_tensor tokens = voco_as_tokens(map);
    const int64_t per_item = tokens.dim[0] / map->dim[0];

    VOCO_ASSERT(h->token < per_item);
    return voco_slice(&tokens, item * per_item + h->token, 1);
}

/* The tokens of all items, on temp. */
static struct voco_tensor
gather(struct voco_ctx *ctx, const struct voco_tokenhead *h, const struct voco_tensor *map)
{
    const struct voco_tensor rows = voco_push(ctx, &ctx->temp, 2, map->dim[0],
                                              voco_cols(map));

    for (int64_t i = 0; i < map->dim[0] && !ctx->err; i++) {
        const struct voco_tensor from = token_of(h, map, i), to = voco_slice(&rows, i, 1);

        ctx->dev->copy(ctx, &from, &to);
    }
    return rows;
}

void
voco_tokenhead_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_tokenhead *h, const struct voco_tensor *x,
                       const struct voco_tensor *y)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor ww = voco_weight(w, h->w), wb = voco_weight(w, h->b);
    const struct voco_tensor rows = gather(ctx, h, x);

    if (!ctx->err)
        ctx->dev->linear_forward(ctx, &rows, &ww, &wb, y);
    voco_arena_release(&ctx->temp, mark);
}

void
voco_tokenhead_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_tokenhead *h, const struct voco_tensor *x,
                        const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor ww = voco_weight(w, h->w);
    const struct voco_tensor dw = voco_gradient(w, h->w), db = voco_gradient(w, h->b);
    const struct voco_tensor rows = gather(ctx, h, x);
    const struct voco_tensor drows = voco_push_like(ctx, &ctx->temp, &rows);

    if (ctx->err)
        return;
    ctx->dev->linear_backward_weights(ctx, &rows, dy, &dw, &db);
    ctx->dev->linear_backward_data(ctx, dy, &ww, &drows);
    for (int64_t i = 0; i < x->dim[0]; i++) {
        const struct voco_tensor from = voco_slice(&drows, i, 1), to = token_of(h, dx, i);

        ctx->dev->copy(ctx, &from, &to);
    }
    voco_arena_release(&ctx->temp, mark);
}
