/* Similarity of crops, weighted cross entropy, decorrelation: tiny matrices, one thread,
 * sums in double. */
#include <math.h>

#include "dev/cpu/cpu.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

static const double norm_min = 1e-8;
static const double log_eps = 1e-6;

static double
dot(const float *a, const float *b, int64_t c)
{
    double sum = 0;

    for (int64_t i = 0; i < c; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double
norm(const float *a, int64_t c)
{
    return fmax(sqrt(dot(a, a, c)), norm_min);
}

/* s[i,j] = max(0, a_i b_j / (|a_i| |b_j|)) */
void
voco_cpu_assign_forward(struct voco_ctx *ctx, X a, X b, Y s)
{
    const int64_t m = voco_rows(a), k = voco_rows(b), c = voco_cols(a);
    const float *pa = a->data, *pb = b->data;
    float *ps = s->data;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_cols(b) == c && voco_count(s) == m * k);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) {
            const double cosine = dot(pa + i * c, pb + j * c, c)
                                  / (norm(pa + i * c, c) * norm(pb + j * c, c));

            ps[i * k + j] = cosine > 0 ? (float)cosine : 0.0f;
        }
}

/* dx += d (y / |y| - cosine x / |x|) / |x|;  a norm at its floor is a constant */
static void
add_cosine_gradient(const float *x, const float *y, double cosine, double d, int64_t c,
                    float *dx)
{
    const double nx = norm(x, c), ny = norm(y, c);
    const double pull = nx > norm_min ? cosine / nx : 0.0;

    for (int64_t i = 0; i < c; i++)
        dx[i] += (float)(d / nx * ((double)y[i] / ny - pull * (double)x[i]));
}

void
voco_cpu_assign_backward(struct voco_ctx *ctx, X a, X b, X s, X ds, Y da, Y db)
{
    const int64_t m = voco_rows(a), k = voco_rows(b), c = voco_cols(a);
    const float *pa = a->data, *pb = b->data, *ps = s->data, *pds = ds->data;

    if (ctx->err)
        return;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) {
            const double cosine = (double)ps[i * k + j], d = (double)pds[i * k + j];

            if (!(cosine > 0))
                continue;
            if (da)
                add_cosine_gradient(pa + i * c, pb + j * c, cosine, d, c,
                                    (float *)da->data + i * c);
            if (db)
                add_cosine_gradient(pb + j * c, pa + i * c, cosine, d, c,
                                    (float *)db->data + j * c);
        }
}

/* The divisor of both sums of the cross entropy. */
static void
ce_weights(const struct voco_ce *o, X y, double *ret_positive, double *ret_negative)
{
    const float *py = y->data;
    double sum = 0, zeros = 0;

    for (int64_t i = 0; i < voco_count(y); i++) {
        sum += (double)py[i];
        zeros += py[i] == 0.0f;
    }
    *ret_positive = 1 / (sum + o->eps_y);
    *ret_negative = 1 / (zeros + o->eps_zero);
}

/* One sum, or those of the positive and the negative part. */
void
voco_cpu_ce_forward(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p, double weight,
                    Y loss)
{
    const int64_t parts = voco_count(loss);
    const float *py = y->data, *pp = p->data;
    double positive, negative, sum[2] = { 0, 0 };

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == voco_count(p) && (parts == 1 || parts == 2));
    ce_weights(o, y, &positive, &negative);
    for (int64_t i = 0; i < voco_count(y); i++) {
        const double yi = (double)py[i], pi = (double)pp[i];

        if (yi == 0)
            sum[parts - 1] -= negative * (o->squared ? -pi * pi : log(1 - pi + log_eps));
        else
            sum[0] -= positive * yi * log(1 - fabs(yi - pi) + log_eps);
    }
    for (int64_t i = 0; i < parts; i++)
        ((float *)loss->data)[i] += (float)(weight * sum[i]);
}

void
voco_cpu_ce_backward(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p, double weight,
                     Y dp)
{
    const float *py = y->data, *pp = p->data;
    float *pd = dp->data;
    double positive, negative;

    if (ctx->err)
        return;
    ce_weights(o, y, &positive, &negative);
    for (int64_t i = 0; i < voco_count(y); i++) {
        const double yi = (double)py[i], pi = (double)pp[i], diff = yi - pi;
        const double sign = diff > 0 ? 1 : diff < 0 ? -1 : 0;

        const double absent = o->squared ? negative * 2 * pi : negative / (1 - pi + log_eps);

        pd[i] = (float)(weight * (yi == 0 ? absent
                                  : -positive * yi * sign
                                    / (1 - fabs(diff) + log_eps)));
    }
}

/* mean over p < q of s[p,q]^power */
void
voco_cpu_decor_forward(struct voco_ctx *ctx, int power, X s, double weight, Y loss)
{
    const int64_t n = voco_rows(s);
    const float *ps = s->data;
    double sum = 0;

    if (ctx->err || n < 2)
        return;
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = p + 1; q < n; q++)
            sum += (double)ps[p * n + q] * (power == 2 ? (double)ps[p * n + q] : 1);
    *(float *)loss->data += (float)(weight * sum / (double)(n * (n - 1) / 2));
}

void
voco_cpu_decor_backward(struct voco_ctx *ctx, int power, X s, double weight, Y ds)
{
    const int64_t n = voco_rows(s);
    const double scale = n < 2 ? 0 : power * weight / (double)(n * (n - 1) / 2);
    const float *ps = s->data;
    float *pd = ds->data;

    if (ctx->err)
        return;
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = 0; q < n; q++)
            pd[p * n + q] = q <= p ? 0.0f
                : (float)(scale * (power == 2 ? (double)ps[p * n + q] : 1));
}
