/* A stage of the Swin transformer: MONAI's BasicLayer with PatchMerging. */
#include "net/stage.h"

#include <stdio.h>

static const double eps = 1e-5;

static const int merge_order[2][8][3] = {
    [VOCO_MERGING_LEGACY] = { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
                              { 1, 0, 1 }, { 0, 1, 0 }, { 0, 0, 1 }, { 1, 1, 1 } },
    [VOCO_MERGING_FIXED]  = { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 },
                              { 1, 1, 0 }, { 1, 0, 1 }, { 0, 1, 1 }, { 1, 1, 1 } },
};

void
voco_stage_init(struct voco_stage *s, struct voco_params *t, int64_t dim, int heads,
                enum voco_merging merging, const char *name)
{
    char block[256];

    s->dim = dim;
    s->merging = merging;
    for (int i = 0; i < VOCO_DEPTH; i++) {
        snprintf(block, sizeof block, "%s.blocks.%d", name, i);
        voco_swinblock_init(&s->block[i], t, dim, heads, i % 2 == 1, block);
    }
    s->reduction = voco_params_add(t, 2, (int64_t[]){ 2 * dim, 8 * dim },
                                   "%s.downsample.reduction.weight", name);
    s->norm_w = voco_params_add(t, 1, (int64_t[]){ 8 * dim }, "%s.downsample.norm.weight",
                                name);
    s->norm_b = voco_params_add(t, 1, (int64_t[]){ 8 * dim }, "%s.downsample.norm.bias",
                                name);
}

void
voco_stage_halve(const int64_t size[3], int64_t half[3])
{
    for (int i = 0; i < 3; i++)
        half[i] = (size[i] + 1) / 2;
}

/* y = reduction of LayerNorm of merged; normed is scratch of merged's size. */
static void
reduce(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_stage *s,
       const struct voco_stage_saved *saved, const struct voco_tensor *normed,
       const struct voco_tensor *y)
{
    const struct voco_tensor nw = voco_weight(w, s->norm_w), nb = voco_weight(w, s->norm_b);
    const struct voco_tensor rw = voco_weight(w, s->reduction);
    const struct voco_tensor merged = voco_reshape(&saved->merged, 2, voco_rows(normed),
                                                   8 * s->dim);
    const struct voco_tensor rows = voco_reshape(y, 2, voco_rows(y), voco_cols(y));

    ctx->dev->layernorm_forward(ctx, &merged, &nw, &nb, eps, normed, &saved->mean,
                                &saved->rstd);
    ctx->dev->linear_forward(ctx, normed, &rw, NULL, &rows);
}

void
voco_stage_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                   const struct voco_stage *s, const struct voco_tensor *x,
                   const struct voco_tensor *y, struct voco_stage_saved *saved)
{
    struct voco_stage_saved local;
    struct voco_stage_saved *sv = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t m = voco_rows(y);
    struct voco_tensor between, last, normed;

    between = voco_push_like(ctx, arena, x);            /* the second block keeps it */
    sv->merged = voco_push(ctx, arena, 5, y->dim[0], y->dim[1], y->dim[2], y->dim[3],
                           8 * s->dim);
    sv->mean = voco_push_real(ctx, arena, 1, m);
    sv->rstd = voco_push_real(ctx, arena, 1, m);
    if (ctx->err)
        return;
    voco_swinblock_forward(ctx, w, &s->block[0], x, &between,
                           saved ? &saved->block[0] : NULL);
    last = voco_push_like(ctx, &ctx->temp, x);
    if (ctx->err)
        return;
    voco_swinblock_forward(ctx, w, &s->block[1], &between, &last,
                           saved ? &saved->block[1] : NULL);
    if (ctx->err)
        return;
    ctx->dev->merge_forward(ctx, &last, merge_order[s->merging], &sv->merged);
    normed = voco_push(ctx, &ctx->temp, 2, m, 8 * s->dim);
    if (ctx->err)
        return;
    reduce(ctx, w, s, sv, &normed, y);
    voco_arena_release(&ctx->temp, mark);
}

void
voco_stage_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                    const struct voco_stage *s, const struct voco_stage_saved *saved,
                    const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const int64_t m = voco_rows(dy);
    const struct voco_tensor nw = voco_weight(w, s->norm_w), nb = voco_weight(w, s->norm_b);
    const struct voco_tensor rw = voco_weight(w, s->reduction);
    const struct voco_tensor dnw = voco_gradient(w, s->norm_w);
    const struct voco_tensor dnb = voco_gradient(w, s->norm_b);
    const struct voco_tensor drw = voco_gradient(w, s->reduction);
    const struct voco_tensor rows_dy = voco_reshape(dy, 2, m, voco_cols(dy));
    const struct voco_tensor merged = voco_reshape(&saved->merged, 2, m, 8 * s->dim);
    const struct voco_tensor dmerged = voco_push_like(ctx, &ctx->grad, &merged);
    const struct voco_tensor normed = voco_push_like(ctx, &ctx->grad, &merged);
    struct voco_tensor volume;

    if (ctx->err)
        return;
    ctx->dev->linear_backward_data(ctx, &rows_dy, &rw, &dmerged);
    ctx->dev->layernorm_backward(ctx, &merged, &nw, &nb, &saved->mean, &saved->rstd,
                                 &dmerged, NULL, &dmerged, &normed, &dnw, &dnb);
    ctx->dev->linear_backward_weights(ctx, &normed, &rows_dy, &drw, NULL);
    volume = voco_reshape(&dmerged, 5, dy->dim[0], dy->dim[1], dy->dim[2], dy->dim[3],
                          8 * s->dim);
    ctx->dev->merge_backward(ctx, &volume, merge_order[s->merging], dx);
    voco_arena_release(&ctx->grad, mark);
    for (int i = VOCO_DEPTH - 1; i >= 0 && !ctx->err; i--)
        voco_swinblock_backward(ctx, w, &s->block[i], &saved->block[i], dx);
}
