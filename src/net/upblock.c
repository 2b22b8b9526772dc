/* The up block: MONAI's UnetrUpBlock, instance norm, residual. */
#include "net/upblock.h"

#include <stdio.h>

void
voco_upblock_init(struct voco_upblock *b, struct voco_params *t, int64_t cin, int64_t cout,
                  const char *name)
{
    char block[128];

    b->cin = cin;
    b->cout = cout;
    b->up = voco_params_add(t, 5, (int64_t[]){ cin, cout, 2, 2, 2 },
                            "%s.transp_conv.conv.weight", name);
    snprintf(block, sizeof block, "%s.conv_block", name);
    voco_resblock_init(&b->block, t, 2 * cout, cout, block);
}

void
voco_upblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                     const struct voco_upblock *b, const struct voco_tensor *x,
                     const struct voco_tensor *skip, const struct voco_tensor *y,
                     struct voco_upblock_saved *saved)
{
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor up_w = voco_weight(w, b->up);
    const struct voco_tensor both = voco_push(ctx, arena, 5, y->dim[0], y->dim[1], y->dim[2],
                                              y->dim[3], 2 * b->cout);
    const size_t inner = voco_arena_mark(&ctx->temp);
    const struct voco_tensor up = voco_push_like(ctx, &ctx->temp, y);

    if (ctx->err)
        return;
    ctx->dev->deconv_forward(ctx, x, &up_w, NULL, &up);
    ctx->dev->copy_columns(ctx, &up, 0, &both, 0, b->cout);
    ctx->dev->copy_columns(ctx, skip, 0, &both, b->cout, b->cout);
    voco_arena_release(&ctx->temp, inner);
    if (saved)
        saved->x = *x;
    voco_resblock_forward(ctx, w, &b->block, &both, y, saved ? &saved->block : NULL);
    voco_arena_release(&ctx->temp, mark);
}

void
voco_upblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                      const struct voco_upblock *b, const struct voco_upblock_saved *saved,
                      const struct voco_tensor *dy, const struct voco_tensor *dx,
                      const struct voco_tensor *dskip)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor up_w = voco_weight(w, b->up), dup_w = voco_gradient(w, b->up);
    const struct voco_tensor dup = voco_push_like(ctx, &ctx->grad, dy);
    const struct voco_tensor dboth = voco_push_like(ctx, &ctx->grad, &saved->block.x);

    if (ctx->err)
        return;
    voco_resblock_backward(ctx, w, &b->block, &saved->block, dy, &dboth);
    if (ctx->err)
        return;
    ctx->dev->copy_columns(ctx, &dboth, 0, &dup, 0, b->cout);
    ctx->dev->copy_columns(ctx, &dboth, b->cout, dskip, 0, b->cout);
    ctx->dev->deconv_backward(ctx, &saved->x, &up_w, &dup, dx, &dup_w, NULL);
    voco_arena_release(&ctx->grad, mark);
}
