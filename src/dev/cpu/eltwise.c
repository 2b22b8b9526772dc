/* Pointwise functions and slab operations of the cpu device. */
#include <math.h>

#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* Elements that a thread takes at a time; fewer in all are not worth a second thread. */
enum { GRAIN = 1 << 14 };

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
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK], *to = voco_block_room(y, i, spare_y);

        k->leaky(voco_block_read(k, x, i, m, spare_x), (float)slope, to, (size_t)m);
        voco_block_done(k, y, i, m, to);
    }
}

void
voco_cpu_leaky_backward(struct voco_ctx *ctx, X y, double slope, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[3][VOCO_BLOCK], *to = voco_block_room(dx, i, spare[2]);

        k->leaky_grad(voco_block_read(k, y, i, m, spare[0]), (float)slope,
                      voco_block_read(k, dy, i, m, spare[1]), to, (size_t)m);
        voco_block_done(k, dx, i, m, to);
    }
}

void
voco_cpu_gelu_forward(struct voco_ctx *ctx, X x, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(x->type == y->type);
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const size_t m = (size_t)voco_block_size(n, i);

        k->gelu(voco_element(x, i), voco_is_bf16(x), voco_element(y, i), m);
    }
}

void
voco_cpu_gelu_backward(struct voco_ctx *ctx, X x, X dy, Y dx, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(x->type == dy->type && x->type == dx->type && (!y || x->type == y->type));
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const size_t m = (size_t)voco_block_size(n, i);

        k->gelu_grad(voco_element(x, i), voco_element(dy, i), voco_is_bf16(x),
                     voco_element(dx, i), voco_element(y, i), m);
    }
}

void
voco_cpu_scale_rows(struct voco_ctx *ctx, X x, X factor, Y y)
{
    const int64_t m = voco_rows(x), c = voco_cols(x);
    const float *px = voco_f32(x), *pf = voco_f32(factor);
    float *py = voco_f32(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(factor) == m && voco_count(y) == m * c);
    for (int64_t i = 0; i < m; i++)
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (c > GRAIN)
        for (int64_t j = 0; j < c; j++)
            py[i * c + j] = px[i * c + j] * pf[i];
}

void
voco_cpu_sigmoid_forward(struct voco_ctx *ctx, X x, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK], e[VOCO_BLOCK];
        const float *from = voco_block_read(k, x, i, m, spare_x);
        float *to = voco_block_room(y, i, spare_y);

        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            e[j] = -fabsf(from[j]);
        k->exp(e, e, (size_t)m);
        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            to[j] = (from[j] < 0 ? e[j] : 1) / (1 + e[j]);
        voco_block_done(k, y, i, m, to);
    }
}

void
voco_cpu_sigmoid_backward(struct voco_ctx *ctx, X y, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[3][VOCO_BLOCK], *to = voco_block_room(dx, i, spare[2]);
        const float *out = voco_block_read(k, y, i, m, spare[0]);
        const float *dout = voco_block_read(k, dy, i, m, spare[1]);

        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            to[j] = dout[j] * out[j] * (1 - out[j]);
        voco_block_done(k, dx, i, m, to);
    }
}

void
voco_cpu_blend(struct voco_ctx *ctx, X a, X b, X alpha, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(a) == n && voco_count(b) == n && voco_count(alpha) == n);
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[4][VOCO_BLOCK], *to = voco_block_room(y, i, spare[3]);
        const float *pa = voco_block_read(k, a, i, m, spare[0]);
        const float *pb = voco_block_read(k, b, i, m, spare[1]);
        const float *share = voco_block_read(k, alpha, i, m, spare[2]);

        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            to[j] = share[j] * pa[j] + (1 - share[j]) * pb[j];
        voco_block_done(k, y, i, m, to);
    }
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
        part[i] = k->sum_squares(voco_f32(x) + from, (size_t)(to - from));
    }
    for (int i = 0; i < SHARES; i++)
        sum += part[i];
    *voco_f32(y) = (float)sum;
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
    float *const top = o->amsgrad ? voco_f32(vmax) : NULL;

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        k->adamw(&step, voco_f32(grad) + i, voco_f32(w) + i, voco_f32(m) + i,
                 voco_f32(v) + i,
                 top ? top + i : NULL, grain(n, i));
}

/* m NULL: no momentum */
static void
sgd_grain(const struct voco_sgd *o, const float *grad, float *w, float *m, int64_t n)
{
    const float lr = (float)o->lr, decay = (float)o->weight_decay;
    const float momentum = (float)o->momentum;

    if (!m) {
        for (int64_t i = 0; i < n; i++)
            w[i] -= lr * (grad[i] + decay * w[i]);
        return;
    }
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = grad[i] + decay * w[i];

        m[i] = momentum * m[i] + g;
        w[i] -= lr * (o->nesterov ? g + momentum * m[i] : m[i]);
    }
}

void
voco_cpu_sgd(struct voco_ctx *ctx, const struct voco_sgd *o, X grad, Y w, Y m)
{
    const int64_t n = voco_count(grad);

    if (ctx->err)
        return;
    VOCO_ASSERT((o->momentum > 0) == (m != NULL) && (!o->nesterov || m));
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > GRAIN)
    for (int64_t i = 0; i < n; i += GRAIN)
        sgd_grain(o, voco_f32(grad) + i, voco_f32(w) + i, m ? voco_f32(m) + i : NULL,
                  (int64_t)grain(n, i));
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
        k->ema((float)momentum, (float)(1 - momentum), voco_f32(student) + i,
               voco_f32(teacher) + i,
               grain(n, i));
}
