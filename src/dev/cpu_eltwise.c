/* Pointwise functions and slab operations of the cpu device. */
#include <math.h>

#include "dev/cpu.h"
#include "simd/kernels.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* Elements that a thread takes at a time; fewer in all are not worth a second thread. */
enum { GRAIN = 1 << 14 };

static float *
f32(const struct voco_tensor *x)
{
    VOCO_ASSERT(!x || x->type == VOCO_F32);
    return x ? x->data : NULL;
}

/* How many elements the grain at i of n has. */
static size_t
grain(int64_t n, int64_t i)
{
    return (size_t)(n - i < GRAIN ? n - i : GRAIN);
}

void
voco_cpu_leaky_forward(struct voco_ctx *ctx, X x, double slope, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->leaky(f32(x) + i, (float)slope, f32(y) + i, grain(n, i));
}

void
voco_cpu_leaky_backward(struct voco_ctx *ctx, X y, double slope, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->leaky_grad(f32(y) + i, (float)slope, f32(dy) + i, f32(dx) + i, grain(n, i));
}

void
voco_cpu_gelu_forward(struct voco_ctx *ctx, X x, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->gelu(f32(x) + i, f32(y) + i, grain(n, i));
}

void
voco_cpu_gelu_backward(struct voco_ctx *ctx, X x, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->gelu_grad(f32(x) + i, f32(dy) + i, f32(dx) + i, grain(n, i));
}

/* A partial sum per share, added in order: the number of threads does not matter. */
void
voco_cpu_sum_squares(struct voco_ctx *ctx, X x, Y y)
{
    enum { SHARES = 256 };
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);
    double part[SHARES], sum = 0;

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int i = 0; i < SHARES; i++) {
        int64_t from, to;

        voco_cpu_share(n, GRAIN, i, SHARES, &from, &to);
        part[i] = k->sum_squares(f32(x) + from, (size_t)(to - from));
    }
    for (int i = 0; i < SHARES; i++)
        sum += part[i];
    *f32(y) = (float)sum;
}

void
voco_cpu_adamw(struct voco_ctx *ctx, const struct voco_adamw *o, X grad, Y w, Y m, Y v,
               Y vmax)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(grad);
    const double t = (double)o->step;
    const struct voco_adamw_step step = {
        .decay = (float)(1 - o->lr * o->weight_decay),
        .beta1 = (float)o->beta1, .one_beta1 = (float)(1 - o->beta1),
        .beta2 = (float)o->beta2, .one_beta2 = (float)(1 - o->beta2),
        .scale = (float)(o->lr / (1 - pow(o->beta1, t))),
        .rsqrt_bias2 = (float)(1 / sqrt(1 - pow(o->beta2, t))), .eps = (float)o->eps
    };
    float *const top = o->amsgrad ? f32(vmax) : NULL;

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->adamw(&step, f32(grad) + i, f32(w) + i, f32(m) + i, f32(v) + i,
                 top ? top + i : NULL, grain(n, i));
}

void
voco_cpu_ema(struct voco_ctx *ctx, double momentum, X student, Y teacher)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(student);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->ema((float)momentum, (float)(1 - momentum), f32(student) + i, f32(teacher) + i,
               grain(n, i));
}
