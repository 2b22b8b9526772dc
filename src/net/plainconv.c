/* PlainConvUNet; the names are those of dynamic-network-architectures. */
#include "net/plainconv.h"

#include <stdio.h>

static const double slope = 0.01;
static const double eps = 1e-5;

#define CUBE3 { 3, 3, 3 }
#define HALVE { 2, 2, 2 }

const struct voco_plainconv_config voco_plainconv_default = {
    .stages = 6, .width = { 32, 64, 128, 256, 320, 320 },
    .kernel = { CUBE3, CUBE3, CUBE3, CUBE3, CUBE3, CUBE3 },
    .stride = { { 1, 1, 1 }, HALVE, HALVE, HALVE, HALVE, HALVE },
    .convs = { 2, 2, 2, 2, 2, 2 }, .up_convs = { 2, 2, 2, 2, 2 },
};

/* ---- making ---- */

static void
stage_init(struct voco_plainconv_stage *st, struct voco_params *t, int n, int64_t cin,
           int64_t cout, const int kernel[3], const int stride[3], const char *name)
{
    st->n = n;
    for (int k = 0; k < n; k++) {
        struct voco_plainconv_layer *l = &st->layer[k];

        l->conv = (struct voco_conv){ .cin = k ? cout : cin, .cout = cout };
        for (int i = 0; i < 3; i++) {
            l->conv.kernel[i] = kernel[i];
            l->conv.stride[i] = k ? 1 : stride[i];
            l->conv.pad[i] = (kernel[i] - 1) / 2;
        }
        l->w = voco_params_add(t, 5, (int64_t[]){ cout, l->conv.cin, kernel[0], kernel[1],
                                                  kernel[2] },
                               "%s.convs.%d.conv.weight", name, k);
        l->b = voco_params_add(t, 1, &cout, "%s.convs.%d.conv.bias", name, k);
        l->scale = voco_params_add(t, 1, &cout, "%s.convs.%d.norm.weight", name, k);
        l->shift = voco_params_add(t, 1, &cout, "%s.convs.%d.norm.bias", name, k);
    }
}

/* From resolution s+1 up to s; the package counts these from the coarsest on. */
static void
up_init(struct voco_plainconv *p, struct voco_params *t, int s)
{
    static const int whole[3] = { 1, 1, 1 };
    const struct voco_plainconv_config *c = &p->config;
    const int64_t cin = c->width[s + 1], cout = c->width[s];
    const int *k = c->stride[s + 1], number = c->stages - 2 - s;
    char name[64];

    snprintf(name, sizeof name, "decoder.stages.%d", number);
    stage_init(&p->up[s], t, c->up_convs[s], 2 * cout, cout, c->kernel[s], whole, name);
    p->up_w[s] = voco_params_add(t, 5, (int64_t[]){ cin, cout, k[0], k[1], k[2] },
                                 "decoder.transpconvs.%d.weight", number);
    p->up_b[s] = voco_params_add(t, 1, &cout, "decoder.transpconvs.%d.bias", number);
    p->out_w[s] = voco_params_add(t, 5, (int64_t[]){ p->classes, cout, 1, 1, 1 },
                                  "decoder.seg_layers.%d.weight", number);
    p->out_b[s] = voco_params_add(t, 1, &p->classes, "decoder.seg_layers.%d.bias", number);
}

void
voco_plainconv_init(struct voco_plainconv *p, struct voco_params *t,
                    const struct voco_plainconv_config *config, int64_t in_channels,
                    int64_t classes)
{
    char name[64];

    VOCO_ASSERT(config->stages >= 2 && config->stages <= VOCO_PLAIN_STAGES);
    *p = (struct voco_plainconv){ .config = *config, .classes = classes };
    for (int s = 0; s < config->stages; s++) {
        snprintf(name, sizeof name, "encoder.stages.%d.0", s);
        stage_init(&p->down[s], t, config->convs[s], s ? config->width[s - 1] : in_channels,
                   config->width[s], config->kernel[s], config->stride[s], name);
    }
    for (int s = config->stages - 2; s >= 0; s--)
        up_init(p, t, s);
}

void
voco_plainconv_shrink(const struct voco_plainconv_config *config, int s, int64_t ret[3])
{
    for (int i = 0; i < 3; i++) {
        ret[i] = 1;
        for (int k = 0; k <= s; k++)
            ret[i] *= config->stride[k][i];
    }
}

/* ---- stages ---- */

static void
activate(struct voco_ctx *ctx, const struct voco_weights *w,
         const struct voco_plainconv_layer *l, const struct voco_tensor *xhat,
         const struct voco_tensor *y)
{
    const struct voco_tensor scale = voco_weight(w, l->scale);
    const struct voco_tensor shift = voco_weight(w, l->shift);
    const struct voco_tensor from = voco_as_tokens(xhat), to = voco_as_tokens(y);

    ctx->dev->affine_forward(ctx, &from, &scale, &shift, slope, &to);
}

/* xhat NULL: everything happens in y. */
static void
layer_forward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_plainconv_layer *l, const struct voco_tensor *x,
              const struct voco_tensor *xhat, const struct voco_tensor *rstd,
              const struct voco_tensor *y)
{
    const struct voco_tensor cw = voco_weight(w, l->w), cb = voco_weight(w, l->b);
    const struct voco_tensor *h = xhat ? xhat : y;
    const struct voco_tensor flat = voco_as_voxels(h);
    const size_t mark = voco_arena_mark(&ctx->temp);
    struct voco_tensor room;
    const struct voco_tensor *m = voco_push_moments(ctx, &ctx->temp, &l->conv, x, &room);

    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &l->conv, x, &cw, &cb, h, m);
    ctx->dev->instnorm_forward(ctx, &flat, m, NULL, 1.0, eps, &flat, rstd);
    voco_arena_release(&ctx->temp, mark);
    activate(ctx, w, l, h, y);
}

static void
stage_forward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_plainconv_stage *st, const struct voco_tensor *x,
              const struct voco_tensor *y, struct voco_plainconv_stage_saved *saved)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    struct voco_tensor in = *x, out;

    for (int k = 0; k < st->n && !ctx->err; k++, in = out) {
        struct voco_tensor xhat = { .rank = 0 };
        const struct voco_tensor rstd = voco_push_real(ctx, arena, 2, y->dim[0],
                                                       st->layer[k].conv.cout);

        if (saved) {
            saved->rstd[k] = rstd;
            saved->xhat[k] = xhat = voco_push_like(ctx, arena, y);
        }
        out = k == st->n - 1 ? *y : voco_push_like(ctx, &ctx->temp, y);
        if (!ctx->err)
            layer_forward(ctx, w, &st->layer[k], &in, saved ? &xhat : NULL, &rstd, &out);
    }
    voco_arena_release(&ctx->temp, mark);
}

/* Consumes dy; x is the input of the layer. */
static void
layer_backward(struct voco_ctx *ctx, const struct voco_weights *w,
               const struct voco_plainconv_layer *l, const struct voco_tensor *x,
               const struct voco_tensor *xhat, const struct voco_tensor *rstd,
               const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const struct voco_tensor scale = voco_weight(w, l->scale);
    const struct voco_tensor shift = voco_weight(w, l->shift);
    const struct voco_tensor dscale = voco_gradient(w, l->scale);
    const struct voco_tensor dshift = voco_gradient(w, l->shift);
    const struct voco_tensor cw = voco_weight(w, l->w);
    const struct voco_tensor dw = voco_gradient(w, l->w), db = voco_gradient(w, l->b);
    const struct voco_tensor rows = voco_as_tokens(xhat), drows = voco_as_tokens(dy);
    const struct voco_tensor flat = voco_as_voxels(xhat), dflat = voco_as_voxels(dy);

    ctx->dev->affine_backward(ctx, &rows, &scale, &shift, slope, &drows, &drows, &dscale,
                              &dshift);
    ctx->dev->instnorm_backward(ctx, &flat, NULL, rstd, 1.0, &dflat, &dflat, NULL);
    ctx->dev->conv3d_backward_weights(ctx, &l->conv, x, dy, &dw, &db);
    if (dx)
        ctx->dev->conv3d_backward_data(ctx, &l->conv, dy, &cw, dx);
}

/* Consumes dy.  dx may be NULL. */
static void
stage_backward(struct voco_ctx *ctx, const struct voco_weights *w,
               const struct voco_plainconv_stage *st,
               const struct voco_plainconv_stage_saved *saved, const struct voco_tensor *x,
               const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad), inner = voco_arena_mark(&ctx->temp);
    struct voco_tensor dout = *dy, din;

    for (int k = st->n - 1; k >= 0 && !ctx->err; k--, dout = din) {
        const struct voco_tensor in = k ? voco_push_like(ctx, &ctx->temp, dy) : *x;

        if (k)
            din = voco_push_like(ctx, &ctx->grad, dy);
        else
            din = dx ? *dx : *dy;
        if (ctx->err)
            break;
        if (k)
            activate(ctx, w, &st->layer[k - 1], &saved->xhat[k - 1], &in);
        layer_backward(ctx, w, &st->layer[k], &in, &saved->xhat[k], &saved->rstd[k], &dout,
                       k || dx ? &din : NULL);
        voco_arena_release(&ctx->temp, inner);
    }
    voco_arena_release(&ctx->grad, mark);
}

/* As stage_forward, then stage_backward, where forward saved nothing. */
static void
stage_again(struct voco_ctx *ctx, const struct voco_weights *w,
            const struct voco_plainconv *p, const struct voco_plainconv_stage *st,
            struct voco_plainconv_stage_saved *saved, const struct voco_tensor *x,
            const struct voco_tensor *y, const struct voco_tensor *dy,
            const struct voco_tensor *dx)
{
    const size_t kept = voco_arena_mark(&ctx->keep);

    if (p->again)
        stage_forward(ctx, w, st, x, y, saved);
    if (!ctx->err)
        stage_backward(ctx, w, st, saved, x, dy, dx);
    voco_arena_release(&ctx->keep, kept);
}

/* ---- the network ---- */

static struct voco_conv
out_conv(const struct voco_plainconv *p, int s)
{
    return (struct voco_conv)VOCO_CONV_CUBE(p->config.width[s], p->classes, 1, 1, 0);
}

/* A volume of the items of x at resolution s. */
static struct voco_tensor
push_map(struct voco_ctx *ctx, struct voco_arena *arena, const struct voco_plainconv *p,
         int s, const struct voco_tensor *x, int64_t channels)
{
    int64_t shrink[3];

    voco_plainconv_shrink(&p->config, s, shrink);
    return voco_push(ctx, arena, 5, x->dim[0], x->dim[1] / shrink[0], x->dim[2] / shrink[1],
                     x->dim[3] / shrink[2], channels);
}

/* d[s] of d[s+1] and e[s]. */
static void
up_forward(struct voco_ctx *ctx, const struct voco_weights *w,
           const struct voco_plainconv *p, int s, struct voco_arena *arena, bool keep,
           struct voco_plainconv_saved *v)
{
    const int64_t c = p->config.width[s];
    const struct voco_tensor uw = voco_weight(w, p->up_w[s]), ub = voco_weight(w, p->up_b[s]);
    size_t mark;

    v->d[s] = voco_push_like(ctx, arena, &v->e[s]);
    mark = voco_arena_mark(&ctx->temp);
    v->both[s] = push_map(ctx, arena, p, s, &v->x, 2 * c);
    if (!ctx->err) {
        const size_t inner = voco_arena_mark(&ctx->temp);
        const struct voco_tensor up = voco_push_like(ctx, &ctx->temp, &v->d[s]);

        if (ctx->err)
            return;
        ctx->dev->deconv_forward(ctx, &v->d[s + 1], &uw, &ub, &up);
        ctx->dev->copy_columns(ctx, &up, 0, &v->both[s], 0, c);
        ctx->dev->copy_columns(ctx, &v->e[s], 0, &v->both[s], c, c);
        voco_arena_release(&ctx->temp, inner);
        stage_forward(ctx, w, &p->up[s], &v->both[s], &v->d[s], keep ? &v->up[s] : NULL);
    }
    voco_arena_release(&ctx->temp, mark);
}

void
voco_plainconv_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_plainconv *p, const struct voco_tensor *x,
                       const struct voco_tensor *logits, int outputs,
                       struct voco_plainconv_saved *saved)
{
    const int last = p->config.stages - 1;
    const bool keep = saved && !p->again;
    struct voco_plainconv_saved local;
    struct voco_plainconv_saved *v = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(arena);

    VOCO_ASSERT(outputs >= 1 && outputs <= last);
    v->x = *x;
    for (int s = 0; s <= last && !ctx->err; s++) {
        v->e[s] = push_map(ctx, arena, p, s, x, p->config.width[s]);
        if (!ctx->err)
            stage_forward(ctx, w, &p->down[s], s ? &v->e[s - 1] : x, &v->e[s],
                          keep && !p->frozen ? &v->down[s] : NULL);
    }
    v->d[last] = v->e[last];
    for (int s = last - 1; s >= 0 && !ctx->err; s--) {
        const struct voco_conv conv = out_conv(p, s);
        const struct voco_tensor ow = voco_weight(w, p->out_w[s]);
        const struct voco_tensor ob = voco_weight(w, p->out_b[s]);

        up_forward(ctx, w, p, s, arena, keep, v);
        if (s < outputs && !ctx->err)
            ctx->dev->conv3d_forward(ctx, &conv, &v->d[s], &ow, &ob, &logits[s], NULL);
    }
    if (!saved)
        voco_arena_release(arena, mark);
}

/* dd = gradient of d[s] through its output layer, or that in addition. */
static void
out_backward(struct voco_ctx *ctx, const struct voco_weights *w,
             const struct voco_plainconv *p, int s, const struct voco_plainconv_saved *v,
             const struct voco_tensor *dlogits, const struct voco_tensor *dd, bool add)
{
    const struct voco_conv conv = out_conv(p, s);
    const struct voco_tensor ow = voco_weight(w, p->out_w[s]);
    const struct voco_tensor dow = voco_gradient(w, p->out_w[s]);
    const struct voco_tensor dob = voco_gradient(w, p->out_b[s]);
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor to = add ? voco_push_like(ctx, &ctx->grad, dd) : *dd;

    if (ctx->err)
        return;
    ctx->dev->conv3d_backward_weights(ctx, &conv, &v->d[s], dlogits, &dow, &dob);
    ctx->dev->conv3d_backward_data(ctx, &conv, dlogits, &ow, &to);
    if (add)
        ctx->dev->add(ctx, &to, dd);
    voco_arena_release(&ctx->grad, mark);
}

/* Consumes dd of d[s]; gradients of d[s+1] and, unless NULL, e[s]. */
static void
up_backward(struct voco_ctx *ctx, const struct voco_weights *w,
            const struct voco_plainconv *p, int s, struct voco_plainconv_saved *v,
            const struct voco_tensor *dd, const struct voco_tensor *dbelow,
            const struct voco_tensor *de)
{
    const int64_t c = p->config.width[s];
    const struct voco_tensor uw = voco_weight(w, p->up_w[s]);
    const struct voco_tensor duw = voco_gradient(w, p->up_w[s]);
    const struct voco_tensor dub = voco_gradient(w, p->up_b[s]);
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dboth = voco_push_like(ctx, &ctx->grad, &v->both[s]);

    if (ctx->err)
        return;
    stage_again(ctx, w, p, &p->up[s], &v->up[s], &v->both[s], &v->d[s], dd, &dboth);
    if (ctx->err)
        return;
    ctx->dev->copy_columns(ctx, &dboth, 0, dd, 0, c);
    if (de)
        ctx->dev->copy_columns(ctx, &dboth, c, de, 0, c);
    ctx->dev->deconv_backward(ctx, &v->d[s + 1], &uw, dd, dbelow, &duw, &dub);
    voco_arena_release(&ctx->grad, mark);
}

/* Consumes de[] of e[]; dx is that of the image, or NULL. */
static void
down_backward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_plainconv *p, struct voco_plainconv_saved *v,
              const struct voco_tensor *de, const struct voco_tensor *dx)
{
    for (int s = p->config.stages - 1; s >= 0 && !ctx->err; s--) {
        const size_t inner = voco_arena_mark(&ctx->grad);
        const struct voco_tensor through = s ? voco_push_like(ctx, &ctx->grad, &v->e[s - 1])
                                             : de[0];

        if (ctx->err)
            return;
        stage_again(ctx, w, p, &p->down[s], &v->down[s], s ? &v->e[s - 1] : &v->x, &v->e[s],
                    &de[s], s ? &through : dx);
        if (s && !ctx->err)
            ctx->dev->add(ctx, &through, &de[s - 1]);
        voco_arena_release(&ctx->grad, inner);
    }
}

void
voco_plainconv_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_plainconv *p, struct voco_plainconv_saved *v,
                        const struct voco_tensor *dlogits, int outputs,
                        const struct voco_tensor *dx)
{
    const int last = p->config.stages - 1;
    const size_t mark = voco_arena_mark(&ctx->grad);
    struct voco_tensor de[VOCO_PLAIN_STAGES], dd;

    VOCO_ASSERT(!p->frozen || !dx);
    for (int s = p->frozen ? last : 0; s <= last; s++)
        de[s] = voco_push_like(ctx, &ctx->grad, &v->e[s]);
    dd = voco_push_like(ctx, &ctx->grad, &v->d[0]);
    if (ctx->err)
        return;
    out_backward(ctx, w, p, 0, v, &dlogits[0], &dd, false);
    for (int s = 0; s < last && !ctx->err; s++) {
        const bool bottom = s + 1 == last;
        const struct voco_tensor dbelow = bottom ? de[last]
                                          : voco_push_like(ctx, &ctx->grad, &v->d[s + 1]);

        if (!ctx->err)
            up_backward(ctx, w, p, s, v, &dd, &dbelow, p->frozen ? NULL : &de[s]);
        if (!ctx->err && !bottom && s + 1 < outputs)
            out_backward(ctx, w, p, s + 1, v, &dlogits[s + 1], &dbelow, true);
        dd = dbelow;
    }
    if (!ctx->err && !p->frozen)
        down_backward(ctx, w, p, v, de, dx);
    voco_arena_release(&ctx->grad, mark);
}
