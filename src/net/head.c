/* Projection heads.  Batch norm: the method of the official implementation's
 * projection_head; row norm: nnssl's projector, whose InstanceNorm1d takes rows for items. */
#include "net/head.h"

static const double eps = 1e-5;

void
voco_head_init(struct voco_head *h, struct voco_params *t, enum voco_head_norm norm,
               int64_t in, int64_t hidden, int64_t out, const char *prefix)
{
    *h = (struct voco_head){ .norm = norm, .layers = norm == VOCO_HEAD_NO_NORM ? 2 : 3,
                             .in = in, .hidden = hidden, .out = out };
    for (int i = 0; i < h->layers; i++) {
        const int64_t k = i == 0 ? in : hidden;
        const int64_t n = i == h->layers - 1 ? out : hidden;

        h->w[i] = voco_params_add(t, 2, (int64_t[]){ n, k }, "%slayer%d.0.weight", prefix,
                                  i + 1);
        h->b[i] = voco_params_add(t, 1, (int64_t[]){ n }, "%slayer%d.0.bias", prefix,
                                  i + 1);
    }
}

/* A hidden layer [m, hidden] as the instance norm sees it, whose items are the batch, or
 * each row. */
static struct voco_tensor
normed_view(const struct voco_head *h, const struct voco_tensor *x)
{
    const int64_t m = x->dim[0];

    return h->norm == VOCO_HEAD_ROW_NORM ? voco_reshape(x, 3, m, h->hidden, INT64_C(1))
                                         : voco_reshape(x, 3, INT64_C(1), m, h->hidden);
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
    for (int i = 0; i < h->layers && !ctx->err; i++) {
        const struct voco_tensor ww = voco_weight(w, h->w[i]), wb = voco_weight(w, h->b[i]);

        if (i == h->layers - 1) {
            ctx->dev->linear_forward(ctx, &at, &ww, &wb, y);
            break;
        }
        s->layer[i].normed = voco_push_real(ctx, arena, 2, m, h->hidden);
        s->layer[i].active = voco_push_real(ctx, arena, 2, m, h->hidden);
        s->layer[i].rstd = h->norm == VOCO_HEAD_ROW_NORM
            ? voco_push_real(ctx, arena, 2, m, INT64_C(1))
            : voco_push_real(ctx, arena, 2, INT64_C(1), h->hidden);
        if (ctx->err)
            return;
        ctx->dev->linear_forward(ctx, &at, &ww, &wb, &s->layer[i].normed);
        if (h->norm != VOCO_HEAD_NO_NORM) {
            const struct voco_tensor t = normed_view(h, &s->layer[i].normed);

            ctx->dev->instnorm_forward(ctx, &t, NULL, NULL, 1.0, eps, &t,
                                       &s->layer[i].rstd);
        }
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

    for (int i = h->layers - 1; i >= 0; i--) {
        const struct voco_tensor ww = voco_weight(w, h->w[i]);
        const struct voco_tensor dw = voco_gradient(w, h->w[i]);
        const struct voco_tensor db = voco_gradient(w, h->b[i]);
        const struct voco_tensor *x = i ? &s->layer[i - 1].active : &s->x;
        const struct voco_tensor below = i ? voco_push_like(ctx, &ctx->grad, x) : *dx;

        if (ctx->err)
            return;
        ctx->dev->linear_backward_weights(ctx, x, &d, &dw, &db);
        ctx->dev->linear_backward_data(ctx, &d, &ww, &below);
        if (i)
            ctx->dev->leaky_backward(ctx, x, 0.0, &below, &below);
        if (i && h->norm != VOCO_HEAD_NO_NORM) {
            const struct voco_tensor g = normed_view(h, &below);
            const struct voco_tensor normed = normed_view(h, &s->layer[i - 1].normed);

            ctx->dev->instnorm_backward(ctx, &normed, NULL, &s->layer[i - 1].rstd, 1.0, &g,
                                        &g, NULL);
        }
        d = below;
    }
    voco_arena_release(&ctx->grad, mark);
}
