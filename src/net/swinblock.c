/* One Swin transformer block: MONAI's SwinTransformerBlock, without dropout. */
#include "net/swinblock.h"

static const double eps = 1e-5;

#define ADD(t, rank, name, what, ...) \
    voco_params_add(t, rank, (int64_t[]){ __VA_ARGS__ }, "%s.%s", name, what)

void
voco_swinblock_init(struct voco_swinblock *b, struct voco_params *t, int64_t dim,
                    int heads, bool shifted, const char *name)
{
    const int64_t span = 2 * VOCO_WINDOW - 1;

    b->dim = dim;
    b->heads = heads;
    b->shifted = shifted;
    b->norm1.w = ADD(t, 1, name, "norm1.weight", dim);
    b->norm1.b = ADD(t, 1, name, "norm1.bias", dim);
    b->table = ADD(t, 2, name, "attn.relative_position_bias_table", span * span * span,
                   heads);
    b->qkv.w = ADD(t, 2, name, "attn.qkv.weight", 3 * dim, dim);
    b->qkv.b = ADD(t, 1, name, "attn.qkv.bias", 3 * dim);
    b->proj.w = ADD(t, 2, name, "attn.proj.weight", dim, dim);
    b->proj.b = ADD(t, 1, name, "attn.proj.bias", dim);
    b->norm2.w = ADD(t, 1, name, "norm2.weight", dim);
    b->norm2.b = ADD(t, 1, name, "norm2.bias", dim);
    b->linear1.w = ADD(t, 2, name, "mlp.linear1.weight", 4 * dim, dim);
    b->linear1.b = ADD(t, 1, name, "mlp.linear1.bias", 4 * dim);
    b->linear2.w = ADD(t, 2, name, "mlp.linear2.weight", dim, 4 * dim);
    b->linear2.b = ADD(t, 1, name, "mlp.linear2.bias", dim);
}

struct voco_windows
voco_swinblock_windows(const struct voco_swinblock *b, const int64_t size[3])
{
    struct voco_windows win = { .full_window = VOCO_WINDOW, .heads = b->heads };

    for (int i = 0; i < 3; i++) {
        const bool clipped = size[i] <= VOCO_WINDOW;

        win.size[i] = size[i];
        win.window[i] = clipped ? (int)size[i] : VOCO_WINDOW;
        win.shift[i] = b->shifted && !clipped ? VOCO_WINDOW / 2 : 0;
    }
    return win;
}

static int64_t
lse_count(const struct voco_windows *win)
{
    int64_t n = win->heads;

    for (int i = 0; i < 3; i++)
        n *= (win->size[i] + win->window[i] - 1) / win->window[i] * win->window[i];
    return n;
}

/* A linear layer of the block on rows of tokens. */
static void
linear(struct voco_ctx *ctx, const struct voco_weights *w, int weight, int bias,
       const struct voco_tensor *x, const struct voco_tensor *y)
{
    const struct voco_tensor ww = voco_weight(w, weight), wb = voco_weight(w, bias);
    const struct voco_tensor rows_x = voco_as_tokens(x), rows_y = voco_as_tokens(y);

    ctx->dev->linear_forward(ctx, &rows_x, &ww, &wb, &rows_y);
}

static void
linear_weights(struct voco_ctx *ctx, const struct voco_weights *w, int weight, int bias,
               const struct voco_tensor *x, const struct voco_tensor *dy)
{
    const struct voco_tensor dw = voco_gradient(w, weight), db = voco_gradient(w, bias);
    const struct voco_tensor rows_x = voco_as_tokens(x), rows_dy = voco_as_tokens(dy);

    ctx->dev->linear_backward_weights(ctx, &rows_x, &rows_dy, &dw, &db);
}

static void
linear_data(struct voco_ctx *ctx, const struct voco_weights *w, int weight,
            const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const struct voco_tensor ww = voco_weight(w, weight);
    const struct voco_tensor rows_dy = voco_as_tokens(dy), rows_dx = voco_as_tokens(dx);

    ctx->dev->linear_backward_data(ctx, &rows_dy, &ww, &rows_dx);
}

static void
norm(struct voco_ctx *ctx, const struct voco_weights *w, int weight, int bias,
     const struct voco_tensor *x, const struct voco_tensor *y,
     const struct voco_tensor *mean, const struct voco_tensor *rstd)
{
    const struct voco_tensor ww = voco_weight(w, weight), wb = voco_weight(w, bias);
    const struct voco_tensor rows_x = voco_as_tokens(x), rows_y = voco_as_tokens(y);

    ctx->dev->layernorm_forward(ctx, &rows_x, &ww, &wb, eps, &rows_y, mean, rstd);
}

/* dx += the gradient; y: the norm's output again, or NULL. */
static void
norm_backward(struct voco_ctx *ctx, const struct voco_weights *w, int weight, int bias,
              const struct voco_tensor *x, const struct voco_tensor *mean,
              const struct voco_tensor *rstd, const struct voco_tensor *dy,
              const struct voco_tensor *dx, const struct voco_tensor *y)
{
    const struct voco_tensor ww = voco_weight(w, weight), wb = voco_weight(w, bias);
    const struct voco_tensor dw = voco_gradient(w, weight), db = voco_gradient(w, bias);
    const struct voco_tensor rows_x = voco_as_tokens(x), rows_dy = voco_as_tokens(dy);
    const struct voco_tensor rows_dx = voco_as_tokens(dx);
    const struct voco_tensor rows_y = y ? voco_as_tokens(y) : rows_x;

    ctx->dev->layernorm_backward(ctx, &rows_x, &ww, &wb, mean, rstd, &rows_dy, &rows_dx,
                                 &rows_dx, y ? &rows_y : NULL, &dw, &db);
}

void
voco_swinblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_swinblock *b, const struct voco_tensor *x,
                       const struct voco_tensor *y, struct voco_swinblock_saved *saved)
{
    struct voco_swinblock_saved local;
    struct voco_swinblock_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const bool lean = saved && ctx->lean;
    struct voco_arena *wide = lean ? &ctx->temp : arena;    /* for qkv, hidden */
    const size_t keep_mark = voco_arena_mark(arena);
    const struct voco_windows win = voco_swinblock_windows(b, &x->dim[1]);
    const struct voco_tensor bias = voco_weight(w, b->qkv.b);
    const struct voco_tensor table = voco_weight(w, b->table);
    const int64_t m = voco_rows(x), n = x->dim[0], c = b->dim;
    struct voco_tensor scratch;
    size_t mark;

    *s = (struct voco_swinblock_saved){ .lean = lean, .x = *x };
    s->mean1 = voco_push_real(ctx, arena, 1, m);
    s->rstd1 = voco_push_real(ctx, arena, 1, m);
    s->mean2 = voco_push_real(ctx, arena, 1, m);
    s->rstd2 = voco_push_real(ctx, arena, 1, m);
    s->lse = voco_push_real(ctx, arena, 2, n, lse_count(&win));
    s->x1 = voco_push_like(ctx, arena, x);
    s->attended = voco_push_like(ctx, arena, x);
    mark = voco_arena_mark(&ctx->temp);
    s->qkv = voco_push(ctx, wide, 5, n, x->dim[1], x->dim[2], x->dim[3], 3 * c);
    s->hidden = voco_push(ctx, wide, 2, m, 4 * c);
    scratch = voco_push(ctx, &ctx->temp, 2, m, 4 * c);      /* norms, then activation */
    if (!ctx->err) {
        const struct voco_tensor normed = voco_view(scratch.data, scratch.type, 2, m, c);

        norm(ctx, w, b->norm1.w, b->norm1.b, x, &normed, &s->mean1, &s->rstd1);
        linear(ctx, w, b->qkv.w, b->qkv.b, &normed, &s->qkv);
        ctx->dev->attn_forward(ctx, &win, &s->qkv, &bias, &table, &s->attended, &s->lse);
        linear(ctx, w, b->proj.w, b->proj.b, &s->attended, &s->x1);
        ctx->dev->add(ctx, x, &s->x1);
        norm(ctx, w, b->norm2.w, b->norm2.b, &s->x1, &normed, &s->mean2, &s->rstd2);
        linear(ctx, w, b->linear1.w, b->linear1.b, &normed, &s->hidden);
        ctx->dev->gelu_forward(ctx, &s->hidden, &scratch);
        linear(ctx, w, b->linear2.w, b->linear2.b, &scratch, y);
        ctx->dev->add(ctx, &s->x1, y);
    }
    voco_arena_release(&ctx->temp, saved ? mark : keep_mark);
}

/* y = x1 + linear2(gelu(linear1(norm2(x1)))); adds the inner path's share to d. */
static void
mlp_backward(struct voco_ctx *ctx, const struct voco_weights *w,
             const struct voco_swinblock *b, const struct voco_swinblock_saved *s,
             const struct voco_tensor *d)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dhidden = voco_push_like(ctx, &ctx->grad, &s->hidden);
    const struct voco_tensor normed = voco_push_like(ctx, &ctx->grad, d);
    const size_t inner = voco_arena_mark(&ctx->grad);
    const struct voco_tensor act = voco_push_like(ctx, &ctx->grad, &s->hidden);
    struct voco_tensor hidden = s->hidden, dnormed;

    if (s->lean)
        hidden = voco_push_like(ctx, &ctx->grad, &s->hidden);
    if (ctx->err)
        return;
    if (s->lean) {
        norm(ctx, w, b->norm2.w, b->norm2.b, &s->x1, &normed, &s->mean2, &s->rstd2);
        linear(ctx, w, b->linear1.w, b->linear1.b, &normed, &hidden);
    }
    linear_data(ctx, w, b->linear2.w, d, &dhidden);
    ctx->dev->gelu_backward(ctx, &hidden, &dhidden, &dhidden, &act);
    linear_weights(ctx, w, b->linear2.w, b->linear2.b, &act, d);

    voco_arena_release(&ctx->grad, inner);              /* act is done with */
    dnormed = voco_push_like(ctx, &ctx->grad, d);
    linear_data(ctx, w, b->linear1.w, &dhidden, &dnormed);
    norm_backward(ctx, w, b->norm2.w, b->norm2.b, &s->x1, &s->mean2, &s->rstd2, &dnormed, d,
                  s->lean ? NULL : &normed);
    linear_weights(ctx, w, b->linear1.w, b->linear1.b, &normed, &dhidden);
    voco_arena_release(&ctx->grad, mark);
}

/* x1 = x + proj(attention(qkv(norm1(x)))); adds the inner path's share to d. */
static void
attention_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                   const struct voco_swinblock *b, const struct voco_swinblock_saved *s,
                   const struct voco_tensor *d)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_windows win = voco_swinblock_windows(b, &s->x.dim[1]);
    const struct voco_tensor bias = voco_weight(w, b->qkv.b);
    const struct voco_tensor table = voco_weight(w, b->table);
    const struct voco_tensor dbias = voco_gradient(w, b->qkv.b);
    const struct voco_tensor dtable = voco_gradient(w, b->table);
    const struct voco_tensor dqkv = voco_push_like(ctx, &ctx->grad, &s->qkv);
    const struct voco_tensor dnormed = voco_push_like(ctx, &ctx->grad, d);
    const struct voco_tensor normed = voco_push_like(ctx, &ctx->grad, d);
    struct voco_tensor qkv = s->qkv;

    if (s->lean)
        qkv = voco_push_like(ctx, &ctx->grad, &s->qkv);
    if (ctx->err)
        return;
    if (s->lean) {
        norm(ctx, w, b->norm1.w, b->norm1.b, &s->x, &normed, &s->mean1, &s->rstd1);
        linear(ctx, w, b->qkv.w, b->qkv.b, &normed, &qkv);
    }
    linear_weights(ctx, w, b->proj.w, b->proj.b, &s->attended, d);
    linear_data(ctx, w, b->proj.w, d, &dnormed);
    ctx->dev->attn_backward(ctx, &win, &qkv, &bias, &table, &s->attended, &s->lse,
                            &dnormed, &dqkv, &dbias, &dtable);
    linear_data(ctx, w, b->qkv.w, &dqkv, &dnormed);
    norm_backward(ctx, w, b->norm1.w, b->norm1.b, &s->x, &s->mean1, &s->rstd1, &dnormed, d,
                  s->lean ? NULL : &normed);
    linear_weights(ctx, w, b->qkv.w, b->qkv.b, &normed, &dqkv);
    voco_arena_release(&ctx->grad, mark);
}

void
voco_swinblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_swinblock *b,
                        const struct voco_swinblock_saved *saved,
                        const struct voco_tensor *dy)
{
    mlp_backward(ctx, w, b, saved, dy);
    if (!ctx->err)
        attention_backward(ctx, w, b, saved, dy);
}
