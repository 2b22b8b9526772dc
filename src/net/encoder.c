/* Swin UNETR's encoder (MONAI) with VoCo's pooled embedding. */
#include "net/encoder.h"

#include <stdio.h>

static const double eps = 1e-5;

const int voco_map_source[VOCO_MAPS] = { -1, 0, 1, 2, 4 };
static const char *const map_name[VOCO_MAPS] = { "encoder1", "encoder2", "encoder3",
                                                 "encoder4", "encoder10" };

void
voco_encoder_init(struct voco_encoder *e, struct voco_params *t,
                  const struct voco_encoder_config *config, const char *prefix)
{
    const int64_t f = config->feature;
    char name[128];

    *e = (struct voco_encoder){ .config = *config };
    e->patch_w = voco_params_add(t, 5, (int64_t[]){ f, config->in_channels, 2, 2, 2 },
                                 "%sswinViT.patch_embed.proj.weight", prefix);
    e->patch_b = voco_params_add(t, 1, &f, "%sswinViT.patch_embed.proj.bias", prefix);
    for (int i = 0; i < VOCO_STAGES; i++) {
        snprintf(name, sizeof name, "%sswinViT.layers%d.0", prefix, i + 1);
        voco_stage_init(&e->stage[i], t, f << i, 3 << i, config->merging, name);
    }
    for (int i = 0; i < VOCO_STAGES && !config->plain; i++) {
        snprintf(name, sizeof name, "%sswinViT.layers%dc.0.layer", prefix, i + 1);
        voco_resblock_init(&e->mix[i], t, f << i, f << i, name);
    }
    for (int i = 0; i < VOCO_MAPS && !config->trunk; i++) {
        const int source = voco_map_source[i];
        const int64_t cin = source < 0 ? config->in_channels : f << source;

        snprintf(name, sizeof name, "%s%s.layer", prefix, map_name[i]);
        voco_resblock_init(&e->map[i], t, cin, source < 0 ? f : cin, name);
    }
}

static struct voco_conv
patch_conv(const struct voco_encoder *e)
{
    return (struct voco_conv)VOCO_CONV_CUBE(e->config.in_channels, e->config.feature, 2, 2,
                                            0);
}

void
voco_channelnorm_forward(struct voco_ctx *ctx, const struct voco_tensor *x,
                         const struct voco_tensor *y, const struct voco_tensor *mean,
                         const struct voco_tensor *rstd)
{
    const struct voco_tensor rows = voco_as_tokens(x), rows_y = voco_as_tokens(y);

    ctx->dev->layernorm_forward(ctx, &rows, NULL, NULL, eps, &rows_y, mean, rstd);
}

void
voco_channelnorm_backward(struct voco_ctx *ctx, const struct voco_tensor *x,
                          const struct voco_tensor *mean, const struct voco_tensor *rstd,
                          const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const struct voco_tensor rows = voco_as_tokens(x);
    const struct voco_tensor rows_dy = voco_as_tokens(dy), rows_dx = voco_as_tokens(dx);

    ctx->dev->layernorm_backward(ctx, &rows, NULL, NULL, mean, rstd, &rows_dy, NULL, &rows_dx,
                                 NULL, NULL, NULL);
}

/* ---- maps ---- */

static const struct voco_tensor *
source_of(const struct voco_encoder_saved *s, int i)
{
    return i ? &s->h[voco_map_source[i]] : &s->x;
}

/* inside NULL: only y stays. */
static void
run_map(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_encoder *e,
        int i, const struct voco_tensor *source, const struct voco_tensor *y,
        struct voco_map_saved *inside)
{
    struct voco_arena *arena = inside ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);
    struct voco_tensor x = *source;

    if (i) {
        const struct voco_tensor mean = voco_push_real(ctx, arena, 1, voco_rows(source));
        const struct voco_tensor rstd = voco_push_like(ctx, arena, &mean);

        x = voco_push_like(ctx, arena, source);
        if (ctx->err)
            return;
        voco_channelnorm_forward(ctx, source, &x, &mean, &rstd);
        if (inside) {
            inside->mean = mean;
            inside->rstd = rstd;
        }
    }
    voco_resblock_forward(ctx, w, &e->map[i], &x, y, inside ? &inside->block : NULL);
    if (!inside)
        voco_arena_release(arena, mark);
}

void
voco_encoder_map_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                         const struct voco_encoder *e, int i, struct voco_encoder_saved *s,
                         const struct voco_tensor *y)
{
    run_map(ctx, w, e, i, source_of(s, i), y,
            s->keep == VOCO_KEEP_ALL ? &s->map[i] : NULL);
}

void
voco_encoder_map_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_encoder *e, int i, struct voco_encoder_saved *s,
                          const struct voco_tensor *y, const struct voco_tensor *dy,
                          const struct voco_tensor *dsource)
{
    const size_t mark = voco_arena_mark(&ctx->keep);

    if (s->keep == VOCO_KEEP_ENDS)
        run_map(ctx, w, e, i, source_of(s, i), y, &s->map[i]);
    if (!ctx->err)
        voco_resblock_backward(ctx, w, &e->map[i], &s->map[i].block, dy, dsource);
    if (!ctx->err && dsource && i)
        voco_channelnorm_backward(ctx, source_of(s, i), &s->map[i].mean, &s->map[i].rstd,
                                  dsource, dsource);
    voco_arena_release(&ctx->keep, mark);
}

/* ---- trunk ---- */

/* Level i (0..3), x = h[i] -> y = h[i+1]; inside NULL: only y stays. */
static void
run_level(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_encoder *e,
          int i, const struct voco_tensor *x, const struct voco_tensor *y,
          struct voco_level_saved *inside)
{
    struct voco_arena *arena = inside ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);
    struct voco_tensor mixed = *x;

    if (!e->config.plain) {
        mixed = voco_push_like(ctx, arena, x);
        if (ctx->err)
            return;
        voco_resblock_forward(ctx, w, &e->mix[i], x, &mixed, inside ? &inside->mix : NULL);
    }
    if (ctx->err)
        return;
    voco_stage_forward(ctx, w, &e->stage[i], &mixed, y, inside ? &inside->stage : NULL);
    if (!inside)
        voco_arena_release(arena, mark);
}

void
voco_encoder_trunk_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                           const struct voco_encoder *e, const struct voco_tensor *x,
                           struct voco_encoder_saved *s)
{
    struct voco_arena *arena = s->keep == VOCO_KEEP_NOTHING ? &ctx->temp : &ctx->keep;
    const struct voco_conv conv = patch_conv(e);
    const struct voco_tensor pw = voco_weight(w, e->patch_w), pb = voco_weight(w, e->patch_b);

    s->x = *x;
    s->h[0] = voco_push(ctx, arena, 5, x->dim[0], x->dim[1] / 2, x->dim[2] / 2,
                        x->dim[3] / 2, e->config.feature);
    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv, x, &pw, &pb, &s->h[0], NULL);
    for (int i = 0; i < VOCO_STAGES && !ctx->err; i++) {
        int64_t half[3];

        voco_stage_halve(&s->h[i].dim[1], half);
        s->h[i + 1] = voco_push(ctx, arena, 5, x->dim[0], half[0], half[1], half[2],
                                2 * s->h[i].dim[4]);
        if (!ctx->err)
            run_level(ctx, w, e, i, &s->h[i], &s->h[i + 1],
                      s->keep == VOCO_KEEP_ALL ? &s->level[i] : NULL);
    }
}

/* dx = gradient of h[i] through level i. */
static void
level_backward(struct voco_ctx *ctx, const struct voco_weights *w,
               const struct voco_encoder *e, int i, struct voco_encoder_saved *s,
               const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad), kept = voco_arena_mark(&ctx->keep);
    struct voco_tensor dmixed = *dx;

    if (s->keep == VOCO_KEEP_ENDS)
        run_level(ctx, w, e, i, &s->h[i], &s->h[i + 1], &s->level[i]);
    if (!e->config.plain)
        dmixed = voco_push_like(ctx, &ctx->grad, dx);
    if (ctx->err)
        return;
    voco_stage_backward(ctx, w, &e->stage[i], &s->level[i].stage, dy, &dmixed);
    if (!ctx->err && !e->config.plain)
        voco_resblock_backward(ctx, w, &e->mix[i], &s->level[i].mix, &dmixed, dx);
    voco_arena_release(&ctx->grad, mark);
    voco_arena_release(&ctx->keep, kept);
}

void
voco_encoder_trunk_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                            const struct voco_encoder *e, struct voco_encoder_saved *s,
                            const struct voco_tensor dh[VOCO_STAGES + 1], int top,
                            const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_conv conv = patch_conv(e);
    const struct voco_tensor pw = voco_weight(w, e->patch_w);
    const struct voco_tensor dpw = voco_gradient(w, e->patch_w);
    const struct voco_tensor dpb = voco_gradient(w, e->patch_b);
    struct voco_tensor d;

    for (int i = top - 1; i >= 0 && !ctx->err; i--) {
        d = voco_push_like(ctx, &ctx->grad, &dh[i]);
        if (ctx->err)
            return;
        level_backward(ctx, w, e, i, s, &dh[i + 1], &d);
        ctx->dev->add(ctx, &d, &dh[i]);
        voco_arena_release(&ctx->grad, mark);
    }
    ctx->dev->conv3d_backward_weights(ctx, &conv, &s->x, &dh[0], &dpw, &dpb);
    if (!dx)
        return;
    d = voco_push_like(ctx, &ctx->grad, dx);
    if (ctx->err)
        return;
    ctx->dev->conv3d_backward_data(ctx, &conv, &dh[0], &pw, &d);
    ctx->dev->add(ctx, &d, dx);
    voco_arena_release(&ctx->grad, mark);
}

/* ---- embedding ---- */

/* First column of map i in the embedding; i = VOCO_MAPS: all columns. */
static int64_t
column(const struct voco_encoder *e, int i)
{
    int64_t first = 0;

    for (int k = 0; k < i; k++)
        first += e->map[k].cout;
    return first;
}

int64_t
voco_encoder_width(const struct voco_encoder *e)
{
    return column(e, VOCO_MAPS);
}

void
voco_encoder_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                     const struct voco_encoder *e, const struct voco_tensor *x,
                     const struct voco_tensor *embedding, struct voco_encoder_saved *saved)
{
    struct voco_encoder_saved local;
    struct voco_encoder_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);

    s->keep = saved ? VOCO_KEEP_ALL : VOCO_KEEP_NOTHING;
    voco_encoder_trunk_forward(ctx, w, e, x, s);
    for (int i = VOCO_MAPS - 1; i >= 0 && !ctx->err; i--) {
        const size_t inner = voco_arena_mark(arena);
        const struct voco_tensor *from = source_of(s, i);
        const struct voco_tensor y = voco_push(ctx, arena, 5, from->dim[0], from->dim[1],
                                               from->dim[2], from->dim[3], e->map[i].cout);
        struct voco_tensor flat_y;

        if (ctx->err)
            return;
        voco_encoder_map_forward(ctx, w, e, i, s, &y);
        flat_y = voco_as_voxels(&y);
        ctx->dev->pool_forward(ctx, &flat_y, embedding, column(e, i));
        if (!saved)
            voco_arena_release(arena, inner);
    }
    if (!saved)
        voco_arena_release(arena, mark);
}

/* From the embedding's gradient through map i. */
static void
pooled_map_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                    const struct voco_encoder *e, int i, struct voco_encoder_saved *s,
                    const struct voco_tensor *dembedding,
                    const struct voco_tensor *dsource)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor *y = &s->map[i].block.y;
    const struct voco_tensor dy = voco_push_like(ctx, &ctx->grad, y);
    struct voco_tensor flat_dy;

    if (ctx->err)
        return;
    flat_dy = voco_as_voxels(&dy);
    ctx->dev->pool_backward(ctx, dembedding, column(e, i), &flat_dy);
    voco_encoder_map_backward(ctx, w, e, i, s, y, &dy, dsource);
    voco_arena_release(&ctx->grad, mark);
}

void
voco_encoder_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                      const struct voco_encoder *e, struct voco_encoder_saved *s,
                      const struct voco_tensor *dembedding)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    struct voco_tensor dh[VOCO_STAGES + 1];

    pooled_map_backward(ctx, w, e, 0, s, dembedding, NULL);
    for (int i = 0; i <= VOCO_STAGES; i++)
        dh[i] = voco_push_like(ctx, &ctx->grad, &s->h[i]);
    if (ctx->err)
        return;
    ctx->dev->fill(ctx, &dh[3], 0.0);                   /* h3 feeds no map */
    for (int i = VOCO_MAPS - 1; i > 0 && !ctx->err; i--)
        pooled_map_backward(ctx, w, e, i, s, dembedding, &dh[voco_map_source[i]]);
    if (!ctx->err)
        voco_encoder_trunk_backward(ctx, w, e, s, dh, VOCO_STAGES, NULL);
    voco_arena_release(&ctx->grad, mark);
}
