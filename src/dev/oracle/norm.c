/* The oracle's normalisations: torch.nn.InstanceNorm3d(affine=False), fused with the
 * residual add and leaky ReLU that follow it, and torch.nn.LayerNorm. */
#include <math.h>

#include "dev/oracle/oracle.h"

/*
 * Channels of one item handled together: their sums stand in local arrays, so that rows
 * are read contiguously and no scratch is needed.
 */
enum { BLOCK = 32 };

static inline int64_t
block_size(int64_t c, int64_t first)
{
    return c - first < BLOCK ? c - first : BLOCK;
}

static inline double
leaky(double t, double slope)
{
    return t > 0 ? t : slope * t;
}

/* Channels [first, first+size) of one item [s,c]. */
static void
moments_block(const double *x, int64_t s, int64_t c, int64_t first, double *mean,
              double *var)
{
    const int64_t size = block_size(c, first), end = s * c;

    for (int64_t j = 0; j < size; j++)
        mean[j] = var[j] = 0;
    for (int64_t row = first; row < end; row += c)
        for (int64_t j = 0; j < size; j++)
            mean[j] += x[row + j];
    for (int64_t j = 0; j < size; j++)
        mean[j] /= (double)s;
    for (int64_t row = first; row < end; row += c)
        for (int64_t j = 0; j < size; j++)
            var[j] += (x[row + j] - mean[j]) * (x[row + j] - mean[j]);
    for (int64_t j = 0; j < size; j++)
        var[j] /= (double)s;
}

void
voco_oracle_moments(struct voco_ctx *ctx, X x, Y moments)
{
    const int64_t n = x->dim[0], c = voco_cols(x), s = voco_rows(x) / n;

    if (ctx->err)
        return;
#pragma omp parallel for collapse(2) num_threads(ctx->threads)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < c; first += BLOCK) {
            double *mean = f64(moments) + i * 2 * c + first;

            moments_block(f64(x) + i * s * c, s, c, first, mean, mean + c);
        }
}

/* The same channels; mean NULL: it is made here, and var. */
static void
instnorm_forward_block(const double *x, const double *mean, const double *var,
                       const double *r, int64_t s, int64_t c, int64_t first, double slope,
                       double eps, double *y, double *rstd)
{
    const int64_t size = block_size(c, first), end = s * c;
    double own[2][BLOCK];

    if (!mean) {
        moments_block(x, s, c, first, own[0], own[1]);
        mean = own[0];
        var = own[1];
    }
    for (int64_t j = 0; j < size; j++)
        rstd[first + j] = 1 / sqrt(var[j] + eps);
    for (int64_t row = first; row < end; row += c)
        for (int64_t j = 0; j < size; j++) {
            const double xhat = (x[row + j] - mean[j]) * rstd[first + j];

            y[row + j] = leaky(xhat + (r ? r[row + j] : 0), slope);
        }
}

/* xhat = (x - mean) rstd, rstd = 1/sqrt(var + eps), y = leaky(xhat + r) */
void
voco_oracle_instnorm_forward(struct voco_ctx *ctx, X x, X moments, X r, double slope,
                             double eps, Y y, Y rstd)
{
    const int64_t n = x->dim[0], c = voco_cols(x), s = voco_rows(x) / n;

    if (ctx->err)
        return;
#pragma omp parallel for collapse(2) num_threads(ctx->threads)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < c; first += BLOCK) {
            const int64_t at = i * s * c;
            const double *mean = moments ? f64(moments) + i * 2 * c + first : NULL;

            instnorm_forward_block(f64(x) + at, mean, mean ? mean + c : NULL,
                                   r ? f64(r) + at : NULL, s, c, first, slope, eps,
                                   f64(y) + at, f64(rstd) + i * c);
        }
}

/* g and xhat of one element from the result of forward: t = y > 0 ? y : y/slope */
struct rebuilt {
    double g, xhat;
};

static inline struct rebuilt
rebuild(double y, double r, double slope, double dy)
{
    return (struct rebuilt){ .g = y > 0 ? dy : slope * dy,
                             .xhat = (y > 0 ? y : y / slope) - r };
}

static void
instnorm_backward_block(const double *y, const double *r, const double *rstd, int64_t s,
                        int64_t c, int64_t first, double slope, const double *dy,
                        double *dx, double *dr)
{
    const int64_t size = block_size(c, first), end = s * c;
    double mean_g[BLOCK] = { 0 }, mean_gx[BLOCK] = { 0 };

    for (int64_t row = first; row < end; row += c)
        for (int64_t j = 0; j < size; j++) {
            const int64_t i = row + j;
            const struct rebuilt e = rebuild(y[i], r ? r[i] : 0, slope, dy[i]);

            mean_g[j] += e.g;
            mean_gx[j] += e.g * e.xhat;
        }
    for (int64_t j = 0; j < size; j++) {
        mean_g[j] /= (double)s;
        mean_gx[j] /= (double)s;
    }
    for (int64_t row = first; row < end; row += c)
        for (int64_t j = 0; j < size; j++) {
            const int64_t i = row + j;
            const struct rebuilt e = rebuild(y[i], r ? r[i] : 0, slope, dy[i]);

            dx[i] = rstd[first + j] * (e.g - mean_g[j] - e.xhat * mean_gx[j]);
            if (dr)
                dr[i] = e.g;
        }
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), dr = g = dy leaky'(t) */
void
voco_oracle_instnorm_backward(struct voco_ctx *ctx, X y, X r, X rstd, double slope, X dy,
                              Y dx, Y dr)
{
    const int64_t n = y->dim[0], c = voco_cols(y), s = voco_rows(y) / n;

    if (ctx->err)
        return;
    VOCO_ASSERT(slope > 0);     /* else y does not tell xhat */
#pragma omp parallel for collapse(2) num_threads(ctx->threads)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < c; first += BLOCK) {
            const int64_t at = i * s * c;

            instnorm_backward_block(f64(y) + at, r ? f64(r) + at : NULL,
                                    f64(rstd) + i * c, s, c, first, slope, f64(dy) + at,
                                    f64(dx) + at, dr ? f64(dr) + at : NULL);
        }
}

/* y = (x - mean) rstd w + b, per row */
void
voco_oracle_layernorm_forward(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y,
                              Y mean, Y rstd)
{
    const int64_t c = voco_cols(x);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < voco_rows(x); row++) {
        const double *in = f64(x) + row * c;
        double *out = f64(y) + row * c;
        double mu = 0, var = 0;

        for (int64_t j = 0; j < c; j++)
            mu += in[j] / (double)c;
        for (int64_t j = 0; j < c; j++)
            var += (in[j] - mu) * (in[j] - mu) / (double)c;
        f64(mean)[row] = mu;
        f64(rstd)[row] = 1 / sqrt(var + eps);
        for (int64_t j = 0; j < c; j++)
            out[j] = (in[j] - mu) * f64(rstd)[row] * (w ? f64(w)[j] : 1)
                   + (b ? f64(b)[j] : 0);
    }
}

/*
 * With g = dy w and xhat = (x - mean) rstd:  dx = rstd (g - mean(g) - xhat mean(g xhat)),
 * dw += sum over rows of dy xhat, db += sum over rows of dy.  dw and db first, since dx
 * may be dy.  y = w xhat + b.
 */
void
voco_oracle_layernorm_backward(struct voco_ctx *ctx, X x, X w, X b, X mean, X rstd, X dy,
                               X r, Y dx, Y y, Y dw, Y db)
{
    const int64_t m = voco_rows(x), c = voco_cols(x);

    if (ctx->err)
        return;
    for (int64_t row = 0; dw && row < m; row++)
        for (int64_t j = 0; j < c; j++) {
            const double g = f64(dy)[row * c + j];

            f64(dw)[j] += g * (f64(x)[row * c + j] - f64(mean)[row]) * f64(rstd)[row];
            f64(db)[j] += g;
        }
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < m; row++) {
        const double *in = f64(x) + row * c, *out = f64(dy) + row * c;
        const double mu = f64(mean)[row], scale = f64(rstd)[row];
        double mean_g = 0, mean_gx = 0;

        for (int64_t j = 0; j < c; j++) {
            const double g = out[j] * (w ? f64(w)[j] : 1);

            mean_g += g / (double)c;
            mean_gx += g * (in[j] - mu) * scale / (double)c;
        }
        for (int64_t j = 0; j < c; j++) {
            const double g = out[j] * (w ? f64(w)[j] : 1);

            f64(dx)[row * c + j] = scale * (g - mean_g - (in[j] - mu) * scale * mean_gx)
                                   + (r ? f64(r)[row * c + j] : 0);
            if (y)
                f64(y)[row * c + j] = (in[j] - mu) * scale * (w ? f64(w)[j] : 1)
                                      + (w ? f64(b)[j] : 0);
        }
    }
}

/* y = leaky(w x + b), channel by channel */
void
voco_oracle_affine_forward(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y)
{
    const int64_t c = voco_cols(x);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < voco_rows(x); row++)
        for (int64_t j = 0; j < c; j++) {
            const double t = f64(w)[j] * f64(x)[row * c + j] + f64(b)[j];

            f64(y)[row * c + j] = t > 0 ? t : slope * t;
        }
}

/* dx = w g, dw += sum over rows of g x, db += sum of g;  g = dy leaky'(w x + b) */
void
voco_oracle_affine_backward(struct voco_ctx *ctx, X x, X w, X b, double slope, X dy, Y dx,
                            Y dw, Y db)
{
    const int64_t c = voco_cols(x);

    if (ctx->err)
        return;
    for (int64_t row = 0; row < voco_rows(x); row++)
        for (int64_t j = 0; j < c; j++) {
            const double in = f64(x)[row * c + j];
            const double g = f64(dy)[row * c + j]
                           * (f64(w)[j] * in + f64(b)[j] > 0 ? 1 : slope);

            f64(dw)[j] += g * in;
            f64(db)[j] += g;
            f64(dx)[row * c + j] = f64(w)[j] * g;
        }
}

/* ---- rows of length 1: torch.nn.functional.normalize ---- */

void
voco_oracle_l2norm_forward(struct voco_ctx *ctx, X x, double eps, Y y, Y norm)
{
    const int64_t m = voco_rows(x), c = voco_cols(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(norm) == m && voco_count(y) == m * c && eps > 0);
    for (int64_t i = 0; i < m; i++) {
        const double *in = f64(x) + i * c;
        const double length = sqrt(dot(c, in, in));

        f64(norm)[i] = length > eps ? length : -eps;
        for (int64_t j = 0; j < c; j++)
            f64(y)[i * c + j] = in[j] / fmax(length, eps);
    }
}

/* dx = (dy - y sum(y dy)) / |x|, or dy / eps */
void
voco_oracle_l2norm_backward(struct voco_ctx *ctx, X y, X norm, X dy, Y dx)
{
    const int64_t m = voco_rows(y), c = voco_cols(y);

    if (ctx->err)
        return;
    for (int64_t i = 0; i < m; i++) {
        const double *out = f64(y) + i * c, *dout = f64(dy) + i * c;
        const double length = f64(norm)[i];
        const double along = length > 0 ? dot(c, out, dout) : 0;

        for (int64_t j = 0; j < c; j++)
            f64(dx)[i * c + j] = (dout[j] - out[j] * along) / fabs(length);
    }
}
