/* The kernels in portable C: the reference for the others.  Sums are in double. */
#include "simd/kernels.h"

#include <math.h>
#include <string.h>

static void
add(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void
scale(const float *x, float a, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

static float
dot(const float *x, const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return (float)sum;
}

static double
sum_squares(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static void
leaky(const float *x, float slope, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void
leaky_grad(const float *y, float slope, const float *dy, float *dx, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : slope * dy[i];
}

static void
exponential(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = expf(x[i]);
}

static float
log_sum_exp(const float *x, size_t n)
{
    float top = x[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - top);
    return (float)(top + log(sum));
}

static void
adamw(const struct voco_adamw_step *a, const float *g, float *w, float *m, float *v,
      float *vmax, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float top;

        m[i] = a->beta1 * m[i] + a->one_beta1 * g[i];
        v[i] = a->beta2 * v[i] + a->one_beta2 * g[i] * g[i];
        top = v[i];
        if (vmax)
            top = vmax[i] = vmax[i] > v[i] ? vmax[i] : v[i];
        w[i] = a->decay * w[i]
               - a->scale * m[i] / (sqrtf(top) * a->rsqrt_bias2 + a->eps);
    }
}

static void
ema(float momentum, float one_momentum, const float *s, float *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t[i] = momentum * t[i] + one_momentum * s[i];
}

static float
from_bf16(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;

    memcpy(&y, &bits, sizeof y);
    return y;
}

/* Adding half of what is cut off, less one where the result is even, carries over where it
 * rounds up; this might turn a NaN into an infinity. */
static uint16_t
to_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void
widen(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = from_bf16(x[i]);
}

static void
narrow(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = to_bf16(x[i]);
}

static float
peak(float x, size_t rounds)
{
    float chain[12], sum = 0;

    for (int k = 0; k < 12; k++)
        chain[k] = (float)k * x;
    for (size_t i = 0; i < rounds; i++)
        for (int k = 0; k < 12; k++)
            chain[k] = chain[k] * 0.5f + x;
    for (int k = 0; k < 12; k++)
        sum += chain[k];
    return sum;
}

/* Element i of x, which holds bfloat16 or float. */
static float
get(const void *x, bool bf16, size_t i)
{
    return bf16 ? from_bf16(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

static void
put(void *y, bool bf16, size_t i, float value)
{
    if (bf16)
        ((uint16_t *)y)[i] = to_bf16(value);
    else
        ((float *)y)[i] = value;
}

/* Phi(x), the normal distribution function; erfc keeps the lower tail exact. */
static double
normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

static double
normal_density(double x)
{
    return 0.39894228040143267794 * exp(-0.5 * x * x);
}

static void
gelu(const void *x, bool bf16, void *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float t = get(x, bf16, i);

        put(y, bf16, i, (float)(t * normal_cdf(t)));
    }
}

/* (x Phi(x))' = Phi(x) + x phi(x) */
static void
gelu_grad(const void *x, const void *dy, bool bf16, void *dx, void *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float t = get(x, bf16, i);

        put(dx, bf16, i, (float)(get(dy, bf16, i) * (normal_cdf(t) + t * normal_density(t))));
    }
    if (y)
        gelu(x, bf16, y, n);
}

static void
moments(const void *x, bool bf16, size_t rows, size_t c, double *mean, double *m2)
{
    for (size_t j = 0; j < c; j++) {
        double sum = 0, squares = 0;

        for (size_t i = 0; i < rows; i++)
            sum += get(x, bf16, i * c + j);
        mean[j] = rows ? sum / (double)rows : 0;
        for (size_t i = 0; i < rows; i++) {
            const double d = get(x, bf16, i * c + j) - mean[j];

            squares += d * d;
        }
        m2[j] = squares;
    }
}

static void
norm_rows(const struct voco_norm_rows *a)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j++) {
            const size_t k = i * a->c + j;
            float t = (get(a->x, a->x_bf16, k) - a->mean[j]) * a->rstd[j];

            if (a->r)
                t += get(a->r, a->bf16, k);
            put(a->y, a->bf16, k, t > 0 ? t : a->slope * t);
        }
}

/* g and xhat of element k, rebuilt from y. */
static void
rebuild(const struct voco_norm_rows_grad *a, size_t k, float *g, float *xhat)
{
    const float y = get(a->y, a->bf16, k), dy = get(a->dy, a->dy_bf16, k);

    *g = y > 0 ? dy : a->slope * dy;
    *xhat = (y > 0 ? y : y / a->slope) - (a->r ? get(a->r, a->bf16, k) : 0);
}

static void
norm_rows_sums(const struct voco_norm_rows_grad *a)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j++) {
            float g, xhat;

            rebuild(a, i * a->c + j, &g, &xhat);
            a->sum_g[j] += g;
            a->sum_gx[j] += (double)g * xhat;
        }
}

static void
norm_rows_grad(const struct voco_norm_rows_grad *a)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j++) {
            const size_t k = i * a->c + j;
            float g, xhat;

            rebuild(a, k, &g, &xhat);
            put(a->dx, a->dx_bf16, k,
                a->rstd[j] * (g - a->mean_g[j] - xhat * a->mean_gx[j]));
            if (a->dr)
                put(a->dr, a->bf16, k, g);
        }
}

static void
layernorm(const struct voco_layernorm_rows *a)
{
    for (size_t i = 0; i < a->rows; i++) {
        const size_t first = i * a->c;
        double sum = 0, squares = 0, mean, rstd;

        for (size_t j = 0; j < a->c; j++)
            sum += get(a->x, a->bf16, first + j);
        mean = sum / (double)a->c;
        for (size_t j = 0; j < a->c; j++) {
            const double d = get(a->x, a->bf16, first + j) - mean;

            squares += d * d;
        }
        rstd = 1 / sqrt(squares / (double)a->c + a->eps);
        for (size_t j = 0; j < a->c; j++) {
            const double t = (get(a->x, a->bf16, first + j) - mean) * rstd;

            put(a->y, a->bf16, first + j, (float)(a->w ? t * a->w[j] + a->b[j] : t));
        }
        a->mean[i] = (float)mean;
        a->rstd[i] = (float)rstd;
    }
}

/* dx = rstd (p - mean(p) - xhat mean(p xhat)) with p = dy w */
static void
layernorm_grad(const struct voco_layernorm_grad *a)
{
    for (size_t i = 0; i < a->rows; i++) {
        const size_t first = i * a->c;
        double sum_p = 0, sum_px = 0;

        for (size_t j = 0; j < a->c; j++) {
            const float dy = get(a->dy, a->bf16, first + j);
            const float xhat = (get(a->x, a->bf16, first + j) - a->mean[i]) * a->rstd[i];
            const double p = a->w ? (double)dy * a->w[j] : dy;

            sum_p += p;
            sum_px += p * xhat;
            if (a->w) {
                a->dw[j] += dy * xhat;
                a->db[j] += dy;
            }
        }
        sum_p /= (double)a->c;
        sum_px /= (double)a->c;
        for (size_t j = 0; j < a->c; j++) {
            const float dy = get(a->dy, a->bf16, first + j);
            const float xhat = (get(a->x, a->bf16, first + j) - a->mean[i]) * a->rstd[i];
            const double p = a->w ? (double)dy * a->w[j] : dy;

            put(a->dx, a->bf16, first + j,
                (float)(a->rstd[i] * (p - sum_p - xhat * sum_px))
                + (a->r ? get(a->r, a->bf16, first + j) : 0));
            if (a->y)
                put(a->y, a->bf16, first + j, a->w ? xhat * a->w[j] + a->b[j] : xhat);
        }
    }
}

static void
gather(const struct voco_rows *a, const void *x, float *panel)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t d = 0; d < a->head_row; d++) {
            const size_t at = (size_t)a->row[i] * a->stride + d;

            panel[i * a->head_row + d] = d >= a->head_dim ? 0
                : a->scale * get(x, a->bf16, at);
        }
}

static void
scatter(const struct voco_rows *a, const float *panel, void *x)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t d = 0; d < a->head_dim; d++)
            put(x, a->bf16, (size_t)a->row[i] * a->stride + d,
                a->scale * panel[i * a->head_row + d]);
}

static void
gather_columns(const struct voco_rows *a, const void *x, float *panel, size_t cols)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t d = 0; d < a->head_dim; d++)
            panel[d * cols + i] = a->scale * get(x, a->bf16,
                                                 (size_t)a->row[i] * a->stride + d);
}

static void
scatter_columns(const struct voco_rows *a, const float *panel, size_t cols, void *x)
{
    for (size_t i = 0; i < a->rows; i++)
        for (size_t d = 0; d < a->head_dim; d++)
            put(x, a->bf16, (size_t)a->row[i] * a->stride + d,
                a->scale * panel[d * cols + i]);
}

static void
product(const struct voco_product *p)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            float *c = &p->c[i * p->ldc + j], sum = p->add ? *c : p->bias ? p->bias[j] : 0;

            for (size_t k = 0; k < p->depth; k++)
                sum += p->a[i * p->row + k * p->step] * p->b[k * p->ldb + j];
            *c = sum;
        }
}

/* s[j] = q k'_j + bias_j */
static void
scores(const float *q, const float *kt, const float *bias, size_t head_dim, size_t cols,
       float *s)
{
    for (size_t j = 0; j < cols; j++)
        s[j] = bias[j];
    for (size_t d = 0; d < head_dim; d++)
        for (size_t j = 0; j < cols; j++)
            s[j] += q[d] * kt[d * cols + j];
}

/* Element (j,d) of v is at v[j row + d step].  y has `wide` numbers a row, zeros beyond
 * head_dim. */
static void
attn_of(const struct voco_attn_tile *a, size_t row, size_t step, size_t wide)
{
    for (size_t i = 0; i < a->rows; i++) {
        float *y = a->y + i * a->head_row, *s = a->work, top = VOCO_ATTN_NONE;
        double sum = 0;

        scores(a->q + i * a->head_row, a->kt, a->bias + i * a->cols, a->head_dim, a->cols,
               s);
        for (size_t j = 0; j < a->cols; j++)
            top = s[j] > top ? s[j] : top;
        for (size_t j = 0; j < a->cols; j++)
            sum += s[j] = expf(s[j] - top);
        for (size_t d = 0; d < wide; d++)
            y[d] = 0;
        for (size_t j = 0; j < a->cols; j++)
            for (size_t d = 0; d < a->head_dim; d++)
                y[d] += s[j] * a->v[j * row + d * step];
        for (size_t d = 0; d < wide; d++)
            y[d] /= (float)sum;
        a->lse[i] = top + logf((float)sum);
    }
}

static void
attn(const struct voco_attn_tile *a)
{
    attn_of(a, a->head_row, 1, a->head_row);
}

static void
attn_narrow(const struct voco_attn_tile *a)
{
    attn_of(a, 1, a->cols, a->head_dim);
}

/* P = exp(S - lse), dS = P (dy v' - dy y); dq = dS k, dk' += q' dS, dv' += dy' P.  Element
 * (j,d) of k is at k[j row + d step]; rows of dq are as those of y above. */
static void
attn_grad_of(const struct voco_attn_grad *a, const float *k, size_t row, size_t step,
             size_t wide)
{
    const size_t cols = a->cols, hr = a->head_row;
    float *p = a->work, *ds = a->work + cols;

    for (size_t i = 0; i < a->head_dim * cols; i++)
        a->dkt[i] = a->dvt[i] = 0;
    for (size_t i = 0; i < a->rows; i++) {
        const float *q = a->q + i * hr, *dy = a->dy + i * hr;
        float *dq = a->dq + i * hr, delta = 0;

        for (size_t d = 0; d < a->head_dim; d++)
            delta += dy[d] * a->y[i * hr + d];
        scores(q, a->kt, a->bias + i * cols, a->head_dim, cols, p);
        for (size_t j = 0; j < cols; j++) {
            p[j] = expf(p[j] - a->lse[i]);
            ds[j] = -delta;
        }
        for (size_t d = 0; d < a->head_dim; d++)
            for (size_t j = 0; j < cols; j++)
                ds[j] += dy[d] * a->vt[d * cols + j];
        for (size_t d = 0; d < wide; d++)
            dq[d] = 0;
        for (size_t j = 0; j < cols; j++) {
            ds[j] *= p[j];
            a->dbias[i * cols + j] += ds[j];
            for (size_t d = 0; d < a->head_dim; d++) {
                dq[d] += ds[j] * k[j * row + d * step];
                a->dkt[d * cols + j] += ds[j] * q[d];
                a->dvt[d * cols + j] += p[j] * dy[d];
            }
        }
    }
}

static void
attn_grad(const struct voco_attn_grad *a)
{
    attn_grad_of(a, a->k, a->head_row, 1, a->head_row);
}

static void
attn_narrow_grad(const struct voco_attn_grad *a)
{
    attn_grad_of(a, a->kt, 1, a->cols, a->head_dim);
}

void
voco_kernels_ref(struct voco_kernels *ret)
{
    *ret = (struct voco_kernels){
        .isa = VOCO_ISA_REF, .lanes = 1,
        .add = add, .scale = scale, .dot = dot, .sum_squares = sum_squares,
        .leaky = leaky, .leaky_grad = leaky_grad,
        .exp = exponential, .log_sum_exp = log_sum_exp,
        .gelu = gelu, .gelu_grad = gelu_grad, .adamw = adamw, .ema = ema,
        .widen = widen, .narrow = narrow, .peak = peak,
        .moments = moments, .norm_rows = norm_rows, .norm_rows_sums = norm_rows_sums,
        .norm_rows_grad = norm_rows_grad,
        .layernorm = layernorm, .layernorm_grad = layernorm_grad,
        .product = product,
        .gather = gather, .scatter = scatter, .gather_columns = gather_columns,
        .scatter_columns = scatter_columns, .attn = attn, .attn_grad = attn_grad,
        .attn_narrow = attn_narrow, .attn_narrow_grad = attn_narrow_grad,
    };
}
