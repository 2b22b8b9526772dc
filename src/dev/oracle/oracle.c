/* The oracle device: life, memory, pointwise entries, pooling, merging, slabs, and the
 * table.  Sources of the formulas: torch.nn.GELU (exact), torch.optim.AdamW and SGD. */
#include "dev/oracle/oracle.h"

#include <math.h>

enum voco_err
voco_oracle_open(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    (void)options;
    ctx->state = NULL;
    return VOCO_OK;
}

void
voco_oracle_close(struct voco_ctx *ctx)
{
    (void)ctx;
}

/* Loops of this compiler alone. */
int
voco_oracle_describe(struct voco_fact ret[VOCO_FACTS_MAX])
{
    (void)ret;
    return 0;
}

void
voco_oracle_peak(const struct voco_ctx *ctx, struct voco_peak *ret)
{
    (void)ctx;
    *ret = (struct voco_peak){ .share = 1, .of = "" };
}

void
voco_oracle_sync(struct voco_ctx *ctx)
{
    (void)ctx;
}

enum voco_err
voco_oracle_reserve(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret)
{
    (void)ctx;
    return voco_arena_init(ret, limit, false);
}

/* ---- memory ---- */

void
voco_oracle_upload(struct voco_ctx *ctx, X host, Y y)
{
    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == voco_count(y));
    for (int64_t i = 0; i < voco_count(y); i++)
        f64(y)[i] = host->type == VOCO_U8 ? ((const uint8_t *)host->data)[i]
                  : host->type == VOCO_F32 ? (double)((const float *)host->data)[i]
                                           : f64(host)[i];
}

void
voco_oracle_download(struct voco_ctx *ctx, X x, Y host)
{
    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == voco_count(x));
    for (int64_t i = 0; i < voco_count(x); i++) {
        if (host->type == VOCO_F32)
            ((float *)host->data)[i] = (float)f64(x)[i];
        else
            f64(host)[i] = f64(x)[i];
    }
}

void
voco_oracle_fill(struct voco_ctx *ctx, Y y, double value)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(y); i++)
        f64(y)[i] = value;
}

void
voco_oracle_copy(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == voco_count(y));
    memcpy(f64(y), f64(x), voco_tensor_bytes(x));
}

void
voco_oracle_add(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == voco_count(y));
    axpy(voco_count(x), 1, f64(x), f64(y));
}

/* ---- pointwise ---- */

void
voco_oracle_leaky_forward(struct voco_ctx *ctx, X x, double slope, Y y)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(x); i++)
        f64(y)[i] = f64(x)[i] > 0 ? f64(x)[i] : slope * f64(x)[i];
}

void
voco_oracle_leaky_backward(struct voco_ctx *ctx, X y, double slope, X dy, Y dx)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(y); i++)
        f64(dx)[i] = f64(y)[i] > 0 ? f64(dy)[i] : slope * f64(dy)[i];
}

/* The distribution function of the standard normal. */
static double
cumulative(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* y = x Phi(x) */
void
voco_oracle_gelu_forward(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t i = 0; i < voco_count(x); i++)
        f64(y)[i] = f64(x)[i] * cumulative(f64(x)[i]);
}

/* dx = dy (Phi(x) + x phi(x)), phi(x) = exp(-x^2/2) / sqrt(2 pi) */
void
voco_oracle_gelu_backward(struct voco_ctx *ctx, X x, X dy, Y dx, Y y)
{
    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t i = 0; i < voco_count(x); i++) {
        const double t = f64(x)[i];
        const double density = 0.39894228040143267794 * exp(-0.5 * t * t);

        f64(dx)[i] = f64(dy)[i] * (cumulative(t) + t * density);
        if (y)
            f64(y)[i] = t * cumulative(t);
    }
}

void
voco_oracle_scale_rows(struct voco_ctx *ctx, X x, X factor, Y y)
{
    const int64_t c = voco_cols(x);

    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(x); i++)
        f64(y)[i] = f64(x)[i] * f64(factor)[i / c];
}

void
voco_oracle_sigmoid_forward(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(x); i++)
        f64(y)[i] = 1 / (1 + exp(-f64(x)[i]));
}

void
voco_oracle_sigmoid_backward(struct voco_ctx *ctx, X y, X dy, Y dx)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(y); i++)
        f64(dx)[i] = f64(dy)[i] * f64(y)[i] * (1 - f64(y)[i]);
}

void
voco_oracle_blend(struct voco_ctx *ctx, X a, X b, X alpha, Y y)
{
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(a) == n && voco_count(b) == n && voco_count(alpha) == n);
    for (int64_t i = 0; i < n; i++)
        f64(y)[i] = f64(alpha)[i] * f64(a)[i] + (1 - f64(alpha)[i]) * f64(b)[i];
}

/* ---- patch merging ---- */

/* Voxel (d,h,w) of item n under offset o[3], or NULL in the padding of an odd size. */
static double *
merged_voxel(X x, int64_t n, int64_t d, int64_t h, int64_t w, const int o[3])
{
    const int64_t *dim = x->dim;

    d = 2 * d + o[0], h = 2 * h + o[1], w = 2 * w + o[2];
    if (d >= dim[1] || h >= dim[2] || w >= dim[3])
        return NULL;
    return f64(x) + (((n * dim[1] + d) * dim[2] + h) * dim[3] + w) * dim[4];
}

/* For each voxel of the merged volume and each of the eight offsets. */
#define FOR_EACH_MERGED(y)                                              \
    for (int64_t n = 0; n < (y)->dim[0]; n++)                           \
        for (int64_t d = 0; d < (y)->dim[1]; d++)                       \
            for (int64_t h = 0; h < (y)->dim[2]; h++)                   \
                for (int64_t w = 0; w < (y)->dim[3]; w++)               \
                    for (int o = 0; o < 8; o++)

void
voco_oracle_merge_forward(struct voco_ctx *ctx, X x, const int (*order)[3], Y y)
{
    const int64_t c = voco_cols(x);
    double *out = f64(y);

    if (ctx->err)
        return;
    FOR_EACH_MERGED(y) {
        const double *in = merged_voxel(x, n, d, h, w, order[o]);

        for (int64_t j = 0; j < c; j++)
            *out++ = in ? in[j] : 0;
    }
}

/* Offsets may repeat, so gradients add up; voxels of a missing offset stay zero. */
void
voco_oracle_merge_backward(struct voco_ctx *ctx, X dy, const int (*order)[3], Y dx)
{
    const int64_t c = voco_cols(dx);
    const double *out = f64(dy);

    if (ctx->err)
        return;
    voco_oracle_fill(ctx, dx, 0);
    FOR_EACH_MERGED(dy) {
        double *in = merged_voxel(dx, n, d, h, w, order[o]);

        if (in)
            axpy(c, 1, out, in);
        out += c;
    }
}

/* ---- pooling ---- */

void
voco_oracle_pool_forward(struct voco_ctx *ctx, X x, Y y, int64_t first)
{
    const int64_t n = x->dim[0], c = voco_cols(x), s = voco_rows(x) / n;

    if (ctx->err)
        return;
    for (int64_t i = 0; i < n; i++) {
        double *mean = f64(y) + i * voco_cols(y) + first;

        memset(mean, 0, (size_t)c * sizeof *mean);
        for (int64_t row = 0; row < s; row++)
            axpy(c, 1 / (double)s, f64(x) + (i * s + row) * c, mean);
    }
}

void
voco_oracle_pool_backward(struct voco_ctx *ctx, X dy, int64_t first, Y dx)
{
    const int64_t n = dx->dim[0], c = voco_cols(dx), s = voco_rows(dx) / n;

    if (ctx->err)
        return;
    for (int64_t i = 0; i < n; i++)
        for (int64_t row = 0; row < s; row++)
            for (int64_t j = 0; j < c; j++)
                f64(dx)[(i * s + row) * c + j]
                    = f64(dy)[i * voco_cols(dy) + first + j] / (double)s;
}

/* ---- columns ---- */

void
voco_oracle_copy_columns(struct voco_ctx *ctx, X x, int64_t from, Y y, int64_t to, int64_t n)
{
    const int64_t cx = voco_cols(x), cy = voco_cols(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(x) == voco_rows(y) && from + n <= cx && to + n <= cy);
    for (int64_t i = 0; i < voco_rows(x); i++)
        for (int64_t k = 0; k < n; k++)
            f64(y)[i * cy + to + k] = f64(x)[i * cx + from + k];
}

/* ---- slabs ---- */

void
voco_oracle_sum_squares(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
    f64(y)[0] = dot(voco_count(x), f64(x), f64(x));
}

/* The order of operations of torch.optim.AdamW: decay first; vmax is the maximum of v
 * before its bias is corrected. */
void
voco_oracle_adamw(struct voco_ctx *ctx, const struct voco_adamw *o, X grad, Y w, Y m, Y v, Y vmax)
{
    const double unbias1 = 1 - pow(o->beta1, (double)o->step);
    const double unbias2 = 1 - pow(o->beta2, (double)o->step);

    if (ctx->err)
        return;
    VOCO_ASSERT(!o->amsgrad == !vmax);
    for (int64_t i = 0; i < voco_count(w); i++) {
        const double g = f64(grad)[i];
        double top;

        f64(w)[i] *= 1 - o->lr * o->weight_decay;
        f64(m)[i] = o->beta1 * f64(m)[i] + (1 - o->beta1) * g;
        f64(v)[i] = o->beta2 * f64(v)[i] + (1 - o->beta2) * g * g;
        if (vmax)
            f64(vmax)[i] = fmax(f64(vmax)[i], f64(v)[i]);
        top = vmax ? f64(vmax)[i] : f64(v)[i];
        f64(w)[i] -= o->lr / unbias1 * f64(m)[i] / (sqrt(top) / sqrt(unbias2) + o->eps);
    }
}

/* g = grad + weight_decay w, m = momentum m + g, w -= lr (nesterov ? g + momentum m : m);
 * torch's m begins as the first g, which is momentum 0 + g. */
void
voco_oracle_sgd(struct voco_ctx *ctx, const struct voco_sgd *o, X grad, Y w, Y m)
{
    if (ctx->err)
        return;
    VOCO_ASSERT((o->momentum > 0) == (m != NULL) && (!o->nesterov || m));
    for (int64_t i = 0; i < voco_count(w); i++) {
        const double g = f64(grad)[i] + o->weight_decay * f64(w)[i];
        double step = g;

        if (m) {
            f64(m)[i] = o->momentum * f64(m)[i] + g;
            step = o->nesterov ? g + o->momentum * f64(m)[i] : f64(m)[i];
        }
        f64(w)[i] -= o->lr * step;
    }
}

void
voco_oracle_ema(struct voco_ctx *ctx, double momentum, X student, Y teacher)
{
    if (ctx->err)
        return;
    for (int64_t i = 0; i < voco_count(student); i++)
        f64(teacher)[i] = momentum * f64(teacher)[i] + (1 - momentum) * f64(student)[i];
}

size_t
voco_oracle_conv_packed_bytes(struct voco_ctx *ctx, const struct voco_conv *conv, X x)
{
    (void)ctx, (void)conv, (void)x;
    return 0;
}

bool
voco_oracle_conv_moments(struct voco_ctx *ctx, const struct voco_conv *conv, X x)
{
    (void)ctx, (void)conv, (void)x;
    return true;
}

const struct voco_device voco_oracle = {
    .name = "oracle", .option = "oracle", .real = VOCO_F64, .act = VOCO_F64,
    .host_memory = true,
    VOCO_DEVICE_TABLE(voco_oracle_)
};
