/* The residual convolution block: MONAI's UnetResBlock, instance norm, stride 1. */
#include "net/resblock.h"

static const double slope = 0.01;
static const double eps = 1e-5;

static struct voco_conv
conv_of(int64_t cin, int64_t cout, int kernel)
{
    return (struct voco_conv)VOCO_CONV_CUBE(cin, cout, kernel, 1, kernel / 2);
}

static int
add_conv(struct voco_params *t, int64_t cin, int64_t cout, int64_t k, const char *name,
         int which)
{
    return voco_params_add(t, 5, (int64_t[]){ cout, cin, k, k, k },
                           "%s.conv%d.conv.weight", name, which);
}

void
voco_resblock_init(struct voco_resblock *b, struct voco_params *t, int64_t cin,
                   int64_t cout, const char *name)
{
    b->cin = cin;
    b->cout = cout;
    b->conv1 = add_conv(t, cin, cout, 3, name, 1);
    b->conv2 = add_conv(t, cout, cout, 3, name, 2);
    b->conv3 = cin == cout ? -1 : add_conv(t, cin, cout, 1, name, 3);
}

/* y = norm and activation of x, which may be y; moments: of x, or NULL. */
static void
normalise(struct voco_ctx *ctx, const struct voco_tensor *x,
          const struct voco_tensor *moments, const struct voco_tensor *r, double leak,
          const struct voco_tensor *y, const struct voco_tensor *rstd)
{
    const struct voco_tensor flat_x = voco_as_voxels(x), flat_y = voco_as_voxels(y);
    const struct voco_tensor flat_r = r ? voco_as_voxels(r) : flat_y;

    ctx->dev->instnorm_forward(ctx, &flat_x, moments, r ? &flat_r : NULL, leak, eps, &flat_y,
                               rstd);
}

enum { FEW_CHANNELS = 4 };      /* conv1 and conv3 of so many are cheap beside conv2 */

/* r = norm(conv3(x)), or x where there is no conv3. */
static void
residual(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_resblock *b,
         const struct voco_resblock_saved *s)
{
    const struct voco_conv conv3 = conv_of(b->cin, b->cout, 1);
    struct voco_tensor w3;

    if (ctx->err || b->conv3 < 0)
        return;
    w3 = voco_weight(w, b->conv3);
    ctx->dev->conv3d_forward(ctx, &conv3, &s->x, &w3, NULL, &s->r, NULL);
    normalise(ctx, &s->r, NULL, NULL, 1.0, &s->r, &s->rstd3);
}

/* h = leaky(norm(conv1(x))) */
static void
first_half(struct voco_ctx *ctx, const struct voco_weights *w,
           const struct voco_resblock *b, const struct voco_resblock_saved *s)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor z = voco_push_exact(ctx, &ctx->temp, &s->h);
    const struct voco_conv conv1 = conv_of(b->cin, b->cout, 3);
    const struct voco_tensor w1 = voco_weight(w, b->conv1);
    struct voco_tensor room;
    const struct voco_tensor *m = voco_push_moments(ctx, &ctx->temp, &conv1, &s->x, &room);

    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv1, &s->x, &w1, NULL, &z, m);
    normalise(ctx, &z, m, NULL, slope, &s->h, &s->rstd1);
    voco_arena_release(&ctx->temp, mark);
}

void
voco_resblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                      const struct voco_resblock *b, const struct voco_tensor *x,
                      const struct voco_tensor *y, struct voco_resblock_saved *saved)
{
    struct voco_resblock_saved local;
    struct voco_resblock_saved *s = saved ? saved : &local;
    struct voco_arena *arena = saved ? &ctx->keep : &ctx->temp;
    const bool lean = saved && ctx->lean && b->conv3 >= 0 && b->cin <= FEW_CHANNELS;
    const size_t mark = voco_arena_mark(arena), temp = voco_arena_mark(&ctx->temp);
    const int64_t n = x->dim[0];
    const struct voco_conv conv2 = conv_of(b->cout, b->cout, 3);
    const struct voco_tensor w2 = voco_weight(w, b->conv2);
    const struct voco_tensor *m;
    struct voco_tensor z, room;

    *s = (struct voco_resblock_saved){ .lean = lean, .x = *x, .y = *y, .r = *x };
    s->rstd1 = voco_push_real(ctx, arena, 2, n, b->cout);
    s->rstd2 = voco_push_real(ctx, arena, 2, n, b->cout);
    if (b->conv3 >= 0)
        s->rstd3 = voco_push_real(ctx, arena, 2, n, b->cout);
    s->h = voco_push_like(ctx, lean ? &ctx->temp : arena, y);
    if (b->conv3 >= 0)                  /* h is done with when r is made */
        s->r = saved && !lean ? voco_push_like(ctx, arena, y) : s->h;
    first_half(ctx, w, b, s);
    z = voco_push_exact(ctx, &ctx->temp, y);
    m = voco_push_moments(ctx, &ctx->temp, &conv2, y, &room);
    if (ctx->err)
        return;
    ctx->dev->conv3d_forward(ctx, &conv2, &s->h, &w2, NULL, &z, m);
    residual(ctx, w, b, s);
    normalise(ctx, &z, m, &s->r, slope, y, &s->rstd2);
    voco_arena_release(saved ? &ctx->temp : arena, saved ? temp : mark);
}

/* dx = gradient through norm and activation; dy may be dx. */
static void
normalise_backward(struct voco_ctx *ctx, const struct voco_tensor *y,
                   const struct voco_tensor *r, double leak,
                   const struct voco_tensor *rstd, const struct voco_tensor *dy,
                   const struct voco_tensor *dx, const struct voco_tensor *dr)
{
    const struct voco_tensor flat_y = voco_as_voxels(y);
    const struct voco_tensor flat_dy = voco_as_voxels(dy), flat_dx = voco_as_voxels(dx);
    const struct voco_tensor flat_r = r ? voco_as_voxels(r) : flat_y;
    const struct voco_tensor flat_dr = dr ? voco_as_voxels(dr) : flat_dx;

    ctx->dev->instnorm_backward(ctx, &flat_y, r ? &flat_r : NULL, rstd, leak, &flat_dy,
                                &flat_dx, dr ? &flat_dr : NULL);
}

/* The way around conv1 and conv2: consumes dr, adds to dx. */
static void
residual_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                  const struct voco_resblock *b, const struct voco_resblock_saved *s,
                  const struct voco_tensor *dr, const struct voco_tensor *dx)
{
    const struct voco_conv conv3 = conv_of(b->cin, b->cout, 1);
    struct voco_tensor w3, dw3, through;
    size_t mark;

    if (b->conv3 < 0) {
        if (dx)
            ctx->dev->add(ctx, dr, dx);
        return;
    }
    w3 = voco_weight(w, b->conv3);
    dw3 = voco_gradient(w, b->conv3);
    normalise_backward(ctx, &s->r, NULL, 1.0, &s->rstd3, dr, dr, NULL);
    ctx->dev->conv3d_backward_weights(ctx, &conv3, &s->x, dr, &dw3, NULL);
    if (!dx)
        return;
    mark = voco_arena_mark(&ctx->grad);
    through = voco_push_like(ctx, &ctx->grad, dx);
    if (ctx->err)
        return;
    ctx->dev->conv3d_backward_data(ctx, &conv3, dr, &w3, &through);
    ctx->dev->add(ctx, &through, dx);
    voco_arena_release(&ctx->grad, mark);
}

void
voco_resblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_resblock *b,
                       const struct voco_resblock_saved *saved,
                       const struct voco_tensor *dy, const struct voco_tensor *dx)
{
    const size_t start = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dz = voco_push_exact(ctx, &ctx->grad, dy);
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_conv conv1 = conv_of(b->cin, b->cout, 3);
    const struct voco_conv conv2 = conv_of(b->cout, b->cout, 3);
    const struct voco_tensor w1 = voco_weight(w, b->conv1), w2 = voco_weight(w, b->conv2);
    const struct voco_tensor dw1 = voco_gradient(w, b->conv1);
    const struct voco_tensor dw2 = voco_gradient(w, b->conv2);
    const struct voco_tensor dr = voco_push_like(ctx, &ctx->grad, dy);
    struct voco_resblock_saved again = *saved;
    const struct voco_resblock_saved *s = &again;
    struct voco_tensor dh;

    if (saved->lean) {
        again.r = voco_push_like(ctx, &ctx->grad, dy);
        residual(ctx, w, b, s);
    }
    if (ctx->err)
        return;
    normalise_backward(ctx, &s->y, &s->r, slope, &s->rstd2, dy, &dz, &dr);
    if (!dx) {                          /* the way around is done with: room for h, dh */
        residual_backward(ctx, w, b, s, &dr, NULL);
        voco_arena_release(&ctx->grad, mark);
    }
    dh = voco_push_like(ctx, &ctx->grad, &dz);
    if (saved->lean) {
        again.h = voco_push_like(ctx, &ctx->grad, dy);
        first_half(ctx, w, b, s);
    }
    if (ctx->err)
        return;
    ctx->dev->conv3d_backward_weights(ctx, &conv2, &s->h, &dz, &dw2, NULL);
    ctx->dev->conv3d_backward_data(ctx, &conv2, &dz, &w2, &dh);
    normalise_backward(ctx, &s->h, NULL, slope, &s->rstd1, &dh, &dh, NULL);
    ctx->dev->conv3d_backward_weights(ctx, &conv1, &s->x, &dh, &dw1, NULL);
    if (dx) {
        ctx->dev->conv3d_backward_data(ctx, &conv1, &dh, &w1, dx);
        residual_backward(ctx, w, b, s, &dr, dx);
    }
    voco_arena_release(&ctx->grad, start);
}
