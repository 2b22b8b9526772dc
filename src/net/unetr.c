/* Swin UNETR: MONAI's SwinUNETR, with and without use_v2. */
#include "net/unetr.h"

#include <stdio.h>

enum { DEEP = VOCO_UPS - 1 };   /* decoder5, whose skip is a norm and no block */

void
voco_unetr_init(struct voco_unetr *u, struct voco_params *t,
                const struct voco_encoder_config *config, int64_t classes,
                const char *prefix)
{
    const int64_t f = config->feature;
    char name[128];

    *u = (struct voco_unetr){ .classes = classes };
    voco_encoder_init(&u->encoder, t, config, prefix);
    for (int i = DEEP; i >= 0; i--) {
        const int64_t cout = i ? f << (i - 1) : f;

        snprintf(name, sizeof name, "%sdecoder%d", prefix, i + 1);
        voco_upblock_init(&u->up[i], t, f << i, cout, name);
    }
    u->out_w = voco_params_add(t, 5, (int64_t[]){ classes, f, 1, 1, 1 },
                               "%sout.conv.conv.weight", prefix);
    u->out_b = voco_params_add(t, 1, &classes, "%sout.conv.conv.bias", prefix);
}

static struct voco_conv
out_conv(const struct voco_unetr *u)
{
    return (struct voco_conv)VOCO_CONV_CUBE(u->encoder.config.feature, u->classes, 1, 1, 0);
}

/* Map i of the encoder; behind a cut nothing of it is stored. */
static void
map_forward(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_unetr *u,
            int i, struct voco_unetr_saved *s, const struct voco_tensor *y)
{
    const enum voco_keep keep = s->encoder.keep;

    if (ctx->err)
        return;
    if (u->cut)
        s->encoder.keep = VOCO_KEEP_NOTHING;
    voco_encoder_map_forward(ctx, w, &u->encoder, i, &s->encoder, y);
    s->encoder.keep = keep;
}

/* The skip connection of decoder i+1, on the arena. */
static void
skip_forward(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_unetr *u,
             int i, struct voco_arena *arena, struct voco_unetr_saved *s)
{
    s->skip[i] = voco_push_like(ctx, arena, &s->d[i]);
    if (i == DEEP) {
        const struct voco_tensor *h = &s->encoder.h[3];
        struct voco_arena *inner = s->encoder.keep == VOCO_KEEP_NOTHING ? &ctx->temp
                                                                        : &ctx->keep;

        s->mean = voco_push_real(ctx, inner, 1, voco_rows(h));
        s->rstd = voco_push_like(ctx, inner, &s->mean);
        if (!ctx->err)
            voco_channelnorm_forward(ctx, h, &s->skip[i], &s->mean, &s->rstd);
    } else {
        map_forward(ctx, w, u, i, s, &s->skip[i]);
    }
}

void
voco_unetr_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                   const struct voco_unetr *u, const struct voco_tensor *x,
                   const struct voco_tensor *logits, struct voco_unetr_saved *saved)
{
    struct voco_unetr_saved local;
    struct voco_unetr_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_conv conv = out_conv(u);
    const struct voco_tensor ow = voco_weight(w, u->out_w), ob = voco_weight(w, u->out_b);

    for (int i = 1; i <= 3; i++)
        VOCO_ASSERT(x->dim[i] % VOCO_UNETR_MULTIPLE == 0);
    s->keep = !saved ? VOCO_KEEP_NOTHING : u->again ? VOCO_KEEP_ENDS : VOCO_KEEP_ALL;
    s->encoder.keep = u->cut == VOCO_CUT_SKIPS ? VOCO_KEEP_NOTHING : s->keep;
    voco_encoder_trunk_forward(ctx, w, &u->encoder, x, &s->encoder);
    if (ctx->err)
        return;
    s->d[VOCO_UPS] = voco_push_like(ctx, arena, &s->encoder.h[VOCO_STAGES]);
    map_forward(ctx, w, u, VOCO_MAPS - 1, s, &s->d[VOCO_UPS]);
    for (int i = DEEP; i >= 0 && !ctx->err; i--) {
        const struct voco_tensor *below = &s->d[i + 1];

        s->d[i] = voco_push(ctx, arena, 5, below->dim[0], 2 * below->dim[1],
                            2 * below->dim[2], 2 * below->dim[3], u->up[i].cout);
        if (!ctx->err)
            skip_forward(ctx, w, u, i, arena, s);
        if (!ctx->err)
            voco_upblock_forward(ctx, w, &u->up[i], below, &s->skip[i], &s->d[i],
                                 s->keep == VOCO_KEEP_ALL ? &s->up[i] : NULL);
    }
    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv, &s->d[0], &ow, &ob, logits, NULL);
    voco_arena_release(&ctx->temp, mark);
}

/* From the gradient of d[i] to those of d[i+1] and of the skip. */
static void
up_backward(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_unetr *u,
            int i, struct voco_unetr_saved *s, const struct voco_tensor *dd,
            const struct voco_tensor *dbelow, const struct voco_tensor *dskip)
{
    const size_t kept = voco_arena_mark(&ctx->keep);

    if (s->keep == VOCO_KEEP_ENDS)
        voco_upblock_forward(ctx, w, &u->up[i], &s->d[i + 1], &s->skip[i], &s->d[i],
                             &s->up[i]);
    if (!ctx->err)
        voco_upblock_backward(ctx, w, &u->up[i], &s->up[i], dd, dbelow, dskip);
    voco_arena_release(&ctx->keep, kept);
}

/* Consumes dskip; dh[], dx get the gradients, if they are not cut off. */
static void
skip_backward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_unetr *u, int i, struct voco_unetr_saved *s,
              const struct voco_tensor *dskip, const struct voco_tensor *dh,
              const struct voco_tensor *dx)
{
    if (i == DEEP && u->cut < VOCO_CUT_SKIPS)
        voco_channelnorm_backward(ctx, &s->encoder.h[3], &s->mean, &s->rstd, dskip, &dh[3]);
    else if (!u->cut)
        voco_encoder_map_backward(ctx, w, &u->encoder, i, &s->encoder, &s->skip[i], dskip,
                                  i ? &dh[voco_map_source[i]] : dx);
}

void
voco_unetr_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                    const struct voco_unetr *u, struct voco_unetr_saved *s,
                    const struct voco_tensor *dlogits, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_conv conv = out_conv(u);
    const struct voco_tensor ow = voco_weight(w, u->out_w);
    const struct voco_tensor dow = voco_gradient(w, u->out_w);
    const struct voco_tensor dob = voco_gradient(w, u->out_b);
    /* the deepest hidden state that gets a gradient from here */
    const int top = u->cut == VOCO_CUT_NOTHING ? VOCO_STAGES
                    : u->cut == VOCO_CUT_MAPS ? VOCO_STAGES - 1 : -1;
    struct voco_tensor dh[VOCO_STAGES + 1], dd;

    VOCO_ASSERT(!u->cut || !dx);
    for (int i = 0; i <= top; i++)
        dh[i] = voco_push_like(ctx, &ctx->grad, &s->encoder.h[i]);
    dd = voco_push_like(ctx, &ctx->grad, &s->d[0]);
    if (ctx->err)
        return;
    for (int i = 0; i < top && u->cut; i++)
        ctx->dev->fill(ctx, &dh[i], 0.0);
    ctx->dev->conv3d_backward_weights(ctx, &conv, &s->d[0], dlogits, &dow, &dob);
    ctx->dev->conv3d_backward_data(ctx, &conv, dlogits, &ow, &dd);
    for (int i = 0; i < VOCO_UPS && !ctx->err; i++) {
        const struct voco_tensor dbelow = voco_push_like(ctx, &ctx->grad, &s->d[i + 1]);
        const size_t inner = voco_arena_mark(&ctx->grad);
        const struct voco_tensor dskip = voco_push_like(ctx, &ctx->grad, &dd);

        if (ctx->err)
            return;
        up_backward(ctx, w, u, i, s, &dd, &dbelow, &dskip);
        if (!ctx->err)
            skip_backward(ctx, w, u, i, s, &dskip, dh, dx);
        voco_arena_release(&ctx->grad, inner);
        dd = dbelow;
    }
    if (!ctx->err && !u->cut)
        voco_encoder_map_backward(ctx, w, &u->encoder, VOCO_MAPS - 1, &s->encoder,
                                  &s->d[VOCO_UPS], &dd, &dh[VOCO_STAGES]);
    if (!ctx->err && top >= 0)
        voco_encoder_trunk_backward(ctx, w, &u->encoder, &s->encoder, dh, top, dx);
    voco_arena_release(&ctx->grad, mark);
}
