/* Swin UNETR's encoder (MONAI, use_v2) with VoCo's pooled embedding. */
#include "net/encoder.h"

#include <stdio.h>

static const double eps = 1e-5;

/* The hidden state that feeds each map; map 0 reads the input itself. */
static const int map_source[VOCO_MAPS] = { -1, 0, 1, 2, 4 };
static const char *const map_name[VOCO_MAPS] = { "encoder1", "encoder2", "encoder3",
                                                 "encoder4", "encoder10" };

void
voco_encoder_init(struct voco_encoder *e, struct voco_params *t, int64_t in_channels,
                  int64_t feature, enum voco_merging merging, const char *prefix)
{
    char name[128];

    *e = (struct voco_encoder){ .feature = feature, .in_channels = in_channels };
    e->patch_w = voco_params_add(t, 5, (int64_t[]){ feature, in_channels, 2, 2, 2 },
                                 "%sswinViT.patch_embed.proj.weight", prefix);
    e->patch_b = voco_params_add(t, 1, (int64_t[]){ feature },
                                 "%sswinViT.patch_embed.proj.bias", prefix);
    for (int i = 0; i < VOCO_STAGES; i++) {
        snprintf(name, sizeof name, "%sswinViT.layers%d.0", prefix, i + 1);
        voco_stage_init(&e->stage[i], t, feature << i, 3 << i, merging, name);
    }
    for (int i = 0; i < VOCO_STAGES; i++) {
        snprintf(name, sizeof name, "%sswinViT.layers%dc.0", prefix, i + 1);
        voco_resblock_init(&e->mix[i], t, feature << i, feature << i, name);
    }
    for (int i = 0; i < VOCO_MAPS; i++) {
        const int source = map_source[i];
        const int64_t cin = source < 0 ? in_channels : feature << source;

        snprintf(name, sizeof name, "%s%s", prefix, map_name[i]);
        voco_resblock_init(&e->map[i], t, cin, source < 0 ? feature : cin, name);
    }
}

int64_t
voco_encoder_width(const struct voco_encoder *e)
{
    int64_t width = 0;

    for (int i = 0; i < VOCO_MAPS; i++)
        width += e->map[i].cout;
    return width;
}

/* First column of map i in the embedding. */
static int64_t
column(const struct voco_encoder *e, int i)
{
    int64_t first = 0;

    for (int k = 0; k < i; k++)
        first += e->map[k].cout;
    return first;
}

static struct voco_conv
patch_conv(const struct voco_encoder *e)
{
    return (struct voco_conv){ .cin = e->in_channels, .cout = e->feature, .kernel = 2,
                               .stride = 2, .pad = 0 };
}

/* Map i: normalise its source, run its block, pool into the embedding. */
static void
map_forward(struct voco_ctx *ctx, const struct voco_weights *w,
            const struct voco_encoder *e, int i, struct voco_encoder_saved *s,
            const struct voco_tensor *embedding, bool keep)
{
    struct voco_arena *arena = keep ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);
    const struct voco_tensor *source = i ? &s->h[map_source[i]] : &s->x;
    struct voco_tensor x = *source, y, flat_y;

    if (i) {
        const struct voco_tensor rows = voco_as_tokens(source);
        struct voco_tensor rows_x;

        s->norm[i].mean = voco_push(ctx, arena, 1, voco_rows(source));
        s->norm[i].rstd = voco_push(ctx, arena, 1, voco_rows(source));
        x = voco_push_like(ctx, arena, source);
        if (ctx->err)
            return;
        rows_x = voco_as_tokens(&x);
        ctx->dev->layernorm_forward(ctx, &rows, NULL, NULL, eps, &rows_x, &s->norm[i].mean,
                                    &s->norm[i].rstd);
    }
    y = voco_push(ctx, arena, 5, x.dim[0], x.dim[1], x.dim[2], x.dim[3], e->map[i].cout);
    if (ctx->err)
        return;
    voco_resblock_forward(ctx, w, &e->map[i], &x, &y, keep ? &s->map[i] : NULL);
    if (ctx->err)
        return;
    flat_y = voco_as_voxels(&y);
    ctx->dev->pool_forward(ctx, &flat_y, embedding, column(e, i));
    if (!keep)
        voco_arena_release(arena, mark);
}

/* Stage i (0..3): h[i] -> h[i+1], whose memory is pushed on the arena first. */
static void
stage_forward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_encoder *e, int i, struct voco_encoder_saved *s, bool keep)
{
    struct voco_arena *arena = keep ? &ctx->keep : &ctx->temp;
    const struct voco_tensor *x = &s->h[i];
    struct voco_tensor mixed;
    int64_t half[3];
    size_t mark;

    voco_stage_halve(&x->dim[1], half);
    s->h[i + 1] = voco_push(ctx, arena, 5, x->dim[0], half[0], half[1], half[2],
                            2 * x->dim[4]);
    mark = voco_arena_mark(arena);
    mixed = voco_push_like(ctx, arena, x);
    if (ctx->err)
        return;
    voco_resblock_forward(ctx, w, &e->mix[i], x, &mixed, keep ? &s->mix[i] : NULL);
    if (ctx->err)
        return;
    voco_stage_forward(ctx, w, &e->stage[i], &mixed, &s->h[i + 1],
                       keep ? &s->stage[i] : NULL);
    if (!keep)
        voco_arena_release(arena, mark);
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
    const struct voco_conv conv = patch_conv(e);
    const struct voco_tensor pw = voco_weight(w, e->patch_w), pb = voco_weight(w, e->patch_b);

    s->x = *x;
    s->h[0] = voco_push(ctx, arena, 5, x->dim[0], x->dim[1] / 2, x->dim[2] / 2,
                        x->dim[3] / 2, e->feature);
    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv, x, &pw, &pb, &s->h[0]);
    for (int i = 0; i < VOCO_STAGES && !ctx->err; i++)
        stage_forward(ctx, w, e, i, s, saved != NULL);
    for (int i = VOCO_MAPS - 1; i >= 0 && !ctx->err; i--)
        map_forward(ctx, w, e, i, s, embedding, saved != NULL);
    if (!saved)
        voco_arena_release(arena, mark);
}

/* From the embedding's gradient through map i; dsource, if any, is overwritten. */
static void
map_backward(struct voco_ctx *ctx, const struct voco_weights *w,
             const struct voco_encoder *e, int i, const struct voco_encoder_saved *s,
             const struct voco_tensor *dembedding, const struct voco_tensor *dsource)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dy = voco_push_like(ctx, &ctx->grad, &s->map[i].y);
    struct voco_tensor flat_dy, rows, drows;

    if (ctx->err)
        return;
    flat_dy = voco_as_voxels(&dy);
    ctx->dev->pool_backward(ctx, dembedding, column(e, i), &flat_dy);
    voco_resblock_backward(ctx, w, &e->map[i], &s->map[i], &dy, dsource);
    if (dsource && !ctx->err) {
        rows = voco_as_tokens(&s->h[map_source[i]]);
        drows = voco_as_tokens(dsource);
        ctx->dev->layernorm_backward(ctx, &rows, NULL, &s->norm[i].mean, &s->norm[i].rstd,
                                     &drows, &drows, NULL, NULL);
    }
    voco_arena_release(&ctx->grad, mark);
}

/* dx = gradient of h[i] through layers_ic and layers_i. */
static void
stage_backward(struct voco_ctx *ctx, const struct voco_weights *w,
               const struct voco_encoder *e, int i, const struct voco_encoder_saved *s,
               const struct voco_tensor *dnext, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dmixed = voco_push_like(ctx, &ctx->grad, dx);

    if (ctx->err)
        return;
    voco_stage_backward(ctx, w, &e->stage[i], &s->stage[i], dnext, &dmixed);
    if (!ctx->err)
        voco_resblock_backward(ctx, w, &e->mix[i], &s->mix[i], &dmixed, dx);
    voco_arena_release(&ctx->grad, mark);
}

void
voco_encoder_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                      const struct voco_encoder *e, const struct voco_encoder_saved *s,
                      const struct voco_tensor *dembedding)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_conv conv = patch_conv(e);
    const struct voco_tensor dpw = voco_gradient(w, e->patch_w);
    const struct voco_tensor dpb = voco_gradient(w, e->patch_b);
    struct voco_tensor dh[VOCO_STAGES + 1];

    map_backward(ctx, w, e, 0, s, dembedding, NULL);
    for (int i = 0; i <= VOCO_STAGES; i++)
        dh[i] = voco_push_like(ctx, &ctx->grad, &s->h[i]);
    for (int i = VOCO_STAGES, map = VOCO_MAPS - 1; i >= 0 && !ctx->err; i--) {
        const size_t inner = voco_arena_mark(&ctx->grad);

        if (i < VOCO_STAGES)
            stage_backward(ctx, w, e, i, s, &dh[i + 1], &dh[i]);
        if (ctx->err || map_source[map] != i)
            continue;                                   /* h3 feeds no map */
        if (i == VOCO_STAGES) {
            map_backward(ctx, w, e, map--, s, dembedding, &dh[i]);
        } else {
            const struct voco_tensor d = voco_push_like(ctx, &ctx->grad, &dh[i]);

            if (ctx->err)
                break;
            map_backward(ctx, w, e, map--, s, dembedding, &d);
            ctx->dev->add(ctx, &d, &dh[i]);
            voco_arena_release(&ctx->grad, inner);
        }
    }
    if (!ctx->err)
        ctx->dev->conv3d_backward_weights(ctx, &conv, &s->x, &dh[0], &dpw, &dpb);
    voco_arena_release(&ctx->grad, mark);
}
