/* Projection head (method of the official implementation's projection_head). */
#include "net/head.h"

static const double eps = 1e-5;

void
voco_head_init(struct voco_head *h, struct voco_params *t, int64_t in, int64_t hidden,
               int64_t out, const char *prefix)
{
    *h = (struct voco_head){ .in = in, .hidden = hidden, .out = out };
    for (int i = 0; i < VOCO_HEAD_LAYERS; i++) {
        const int64_t k = i == 0 ? in : hidden;
        const int64_t n = i == VOCO_HEAD_LAYERS - 1 ? out : hidden;

        h->w[i] = voco_params_add(t, 2, (int64_t[]){ n, k }, "%slayer%d.0.weight", prefix,
                                  i + 1);
        h->b[i] = voco_params_add(t, 1, (int64_t[]){ n }, "%slayer%d.0.bias", prefix,
                                  i + 1);
    }
}

void
voco_head_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                  const struct voco_head *h, const struct voco_tensor *x,
                  const struct voco_tensor *y, struct voco_head_saved *saved)
{
    struct voco_head_saved local;
    struct voco_head_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);
    const int64_t m = x->dim[0];
    struct voco_tensor at = *x;

    s->x = *x;
    for (int i = 0; i < VOCO_HEAD_LAYERS && !ctx->err; i++) {
        const struct voco_tensor ww = voco_weight(w, h->w[i]), wb = voco_weight(w, h->b[i]);
        struct voco_tensor batch;

        if (i == VOCO_HEAD_LAYERS - 1) {
            ctx->dev->linear_forward(ctx, &at, &ww, &wb, y);
            break;
        }
        s->layer[i].normed = voco_push_real(ctx, arena, 2, m, h->hidden);
        s->layer[i].active = voco_push_real(ctx, arena, 2, m, h->hidden);
        s->layer[i].rstd = voco_push_real(ctx, arena, 2, INT64_C(1), h->hidden);
        if (ctx->err)
            return;
        batch = voco_reshape(&s->layer[i].normed, 3, INT64_C(1), m, h->hidden);
        ctx->dev->linear_forward(ctx, &at, &ww, &wb, &s->layer[i].normed);
        ctx->dev->instnorm_forward(ctx, &batch, NULL, NULL, 1.0, eps, &batch,
                                       &s->layer[i].rstd);
        ctx->dev->leaky_forward(ctx, &s->layer[i].normed, 0.0, &s->layer[i].active);
        at = s->layer[i].active;
    }
    if (!saved)
        voco_arena_release(arena, mark);
}

void
voco_head_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                   const struct voco_head *h, const struct voco_head_saved *s,
                   const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    struct voco_tensor d = *dy;

    for (int i = VOCO_HEAD_LAYERS - 1; i >= 0; i--) {
        const struct voco_tensor ww = voco_weight(w, h->w[i]);
        const struct voco_tensor dw = voco_gradient(w, h->w[i]);
        const struct voco_tensor db = voco_gradient(w, h->b[i]);
        const struct voco_tensor *x = i ? &s->layer[i - 1].active : &s->x;
        const struct voco_tensor below = i ? voco_push_like(ctx, &ctx->grad, x) : *dx;

        if (ctx->err)
            return;
        ctx->dev->linear_backward_weights(ctx, x, &d, &dw, &db);
        ctx->dev->linear_backward_data(ctx, &d, &ww, &below);
        if (i) {
            const struct voco_tensor batch = voco_reshape(&below, 3, INT64_C(1),
                                                          x->dim[0], h->hidden);
            const struct voco_tensor normed = voco_reshape(&s->layer[i - 1].normed, 3,
                                                           INT64_C(1), x->dim[0],
                                                           h->hidden);

            ctx->dev->leaky_backward(ctx, x, 0.0, &below, &below);
            ctx->dev->instnorm_backward(ctx, &normed, NULL, &s->layer[i - 1].rstd, 1.0,
                                        &batch, &batch, NULL);
        }
        d = below;
    }
    voco_arena_release(&ctx->grad, mark);
}
