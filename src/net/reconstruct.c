/* The reconstruction decoder of Swin UNETR's pre-training. */
#include "net/reconstruct.h"

static const double slope = 0.01;
static const double eps = 1e-5;

enum { STAGES = VOCO_RECONSTRUCT_STAGES, LAYERS = 4 };  /* of a stage in torch's Sequential */

void
voco_reconstruct_init(struct voco_reconstruct *r, struct voco_params *t, int64_t in,
                      int64_t channels, const char *name)
{
    for (int s = 0; s <= STAGES; s++)
        r->width[s] = s < STAGES ? in >> s : in >> (STAGES - 1);
    r->width[STAGES + 1] = channels;
    for (int s = 0; s <= STAGES; s++) {
        const int64_t k = s < STAGES ? 3 : 1, cout = r->width[s + 1];

        r->w[s] = voco_params_add(t, 5, (int64_t[]){ cout, r->width[s], k, k, k },
                                  "%s.%d.weight", name, LAYERS * s);
        r->b[s] = voco_params_add(t, 1, &cout, "%s.%d.bias", name, LAYERS * s);
    }
}

static struct voco_conv
conv_of(const struct voco_reconstruct *r, int s)
{
    const int kernel = s < STAGES ? 3 : 1;

    return (struct voco_conv)VOCO_CONV_CUBE(r->width[s], r->width[s + 1], kernel, 1,
                                            kernel / 2);
}

/* Room on an arena of the sizes of map x, times 2^s, with so many channels. */
static struct voco_tensor
push_sized(struct voco_ctx *ctx, struct voco_arena *arena, const struct voco_tensor *x, int s,
           int64_t channels)
{
    return voco_push(ctx, arena, 5, x->dim[0], x->dim[1] << s, x->dim[2] << s,
                     x->dim[3] << s, channels);
}

/* The input of conv_s from the output of the stage before, on temp. */
static struct voco_tensor
input_of(struct voco_ctx *ctx, const struct voco_reconstruct *r,
         const struct voco_reconstruct_saved *s, int stage)
{
    struct voco_tensor up;

    if (stage == 0)
        return s->x;
    up = push_sized(ctx, &ctx->temp, &s->x, stage, r->width[stage]);
    if (!ctx->err)
        ctx->dev->upsample_forward(ctx, &s->y[stage - 1], &up);
    return up;
}

static void
stage_forward(struct voco_ctx *ctx, const struct voco_weights *w,
              const struct voco_reconstruct *r, const struct voco_reconstruct_saved *s,
              int stage)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_conv conv = conv_of(r, stage);
    const struct voco_tensor cw = voco_weight(w, r->w[stage]);
    const struct voco_tensor cb = voco_weight(w, r->b[stage]);
    const struct voco_tensor x = input_of(ctx, r, s, stage);
    const struct voco_tensor z = voco_push_exact(ctx, &ctx->temp, &s->y[stage]);
    struct voco_tensor flat_z, flat_y, room;
    const struct voco_tensor *m;

    if (ctx->err)
        return;
    m = voco_push_moments(ctx, &ctx->temp, &conv, &x, &room);
    if (ctx->err)
        return;
    flat_z = voco_as_voxels(&z);
    flat_y = voco_as_voxels(&s->y[stage]);
    ctx->dev->conv3d_forward(ctx, &conv, &x, &cw, &cb, &z, m);
    ctx->dev->instnorm_forward(ctx, &flat_z, m, NULL, slope, eps, &flat_y, &s->rstd[stage]);
    voco_arena_release(&ctx->temp, mark);
}

/* The image at half its size, which is not rounded. */
static struct voco_tensor
push_half(struct voco_ctx *ctx, struct voco_arena *arena, const struct voco_tensor *image)
{
    return voco_push_real(ctx, arena, 5, image->dim[0], image->dim[1] / 2, image->dim[2] / 2,
                          image->dim[3] / 2, image->dim[4]);
}

void
voco_reconstruct_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                         const struct voco_reconstruct *r, const struct voco_tensor *x,
                         const struct voco_tensor *y, struct voco_reconstruct_saved *saved)
{
    struct voco_reconstruct_saved local;
    struct voco_reconstruct_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_conv conv = conv_of(r, STAGES);
    const struct voco_tensor cw = voco_weight(w, r->w[STAGES]);
    const struct voco_tensor cb = voco_weight(w, r->b[STAGES]);
    struct voco_tensor half;

    s->x = *x;
    for (int i = 0; i < STAGES && !ctx->err; i++) {
        s->rstd[i] = voco_push_real(ctx, arena, 2, x->dim[0], r->width[i + 1]);
        s->y[i] = push_sized(ctx, arena, x, i, r->width[i + 1]);
        if (!ctx->err)
            stage_forward(ctx, w, r, s, i);
    }
    half = push_half(ctx, &ctx->temp, y);
    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv, &s->y[STAGES - 1], &cw, &cb, &half, NULL);
    ctx->dev->upsample_forward(ctx, &half, y);
    voco_arena_release(&ctx->temp, mark);
}

/* dy of the stage, which is kept -> dx, the gradient of the map or of the stage before. */
static void
stage_backward(struct voco_ctx *ctx, const struct voco_weights *w,
               const struct voco_reconstruct *r, const struct voco_reconstruct_saved *s,
               int stage, const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad), temp = voco_arena_mark(&ctx->temp);
    const struct voco_conv conv = conv_of(r, stage);
    const struct voco_tensor cw = voco_weight(w, r->w[stage]);
    const struct voco_tensor dw = voco_gradient(w, r->w[stage]);
    const struct voco_tensor db = voco_gradient(w, r->b[stage]);
    const struct voco_tensor flat_y = voco_as_voxels(&s->y[stage]);
    const struct voco_tensor flat_dy = voco_as_voxels(dy);
    const struct voco_tensor dz = voco_push_exact(ctx, &ctx->grad, dy);
    const struct voco_tensor x = input_of(ctx, r, s, stage);
    struct voco_tensor flat_dz, dup = *dx;

    if (stage)
        dup = voco_push_like(ctx, &ctx->grad, &x);
    if (ctx->err)
        return;
    flat_dz = voco_as_voxels(&dz);
    ctx->dev->instnorm_backward(ctx, &flat_y, NULL, &s->rstd[stage], slope, &flat_dy,
                                &flat_dz, NULL);
    ctx->dev->conv3d_backward_weights(ctx, &conv, &x, &dz, &dw, &db);
    ctx->dev->conv3d_backward_data(ctx, &conv, &dz, &cw, &dup);
    if (stage)
        ctx->dev->upsample_backward(ctx, &dup, dx);
    voco_arena_release(&ctx->grad, mark);
    voco_arena_release(&ctx->temp, temp);
}

void
voco_reconstruct_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_reconstruct *r,
                          const struct voco_reconstruct_saved *s,
                          const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_conv conv = conv_of(r, STAGES);
    const struct voco_tensor cw = voco_weight(w, r->w[STAGES]);
    const struct voco_tensor dw = voco_gradient(w, r->w[STAGES]);
    const struct voco_tensor db = voco_gradient(w, r->b[STAGES]);
    struct voco_tensor d = voco_push_like(ctx, &ctx->grad, &s->y[STAGES - 1]);
    const struct voco_tensor half = push_half(ctx, &ctx->grad, dy);

    if (ctx->err)
        return;
    ctx->dev->upsample_backward(ctx, dy, &half);
    ctx->dev->conv3d_backward_weights(ctx, &conv, &s->y[STAGES - 1], &half, &dw, &db);
    ctx->dev->conv3d_backward_data(ctx, &conv, &half, &cw, &d);
    for (int i = STAGES - 1; i >= 0 && !ctx->err; i--) {
        const struct voco_tensor below = i ? voco_push_like(ctx, &ctx->grad, &s->y[i - 1])
                                           : *dx;

        if (ctx->err)
            return;
        stage_backward(ctx, w, r, s, i, &d, &below);
        d = below;
    }
    voco_arena_release(&ctx->grad, mark);
}
