/* The oracle's contrast terms: clipped cosine similarity, the weighted cross entropy of
 * position labels, and the decorrelation of bases (doc/model.md has the formulas). */
#include <math.h>

#include "dev/oracle/oracle.h"

static const double NORM_MIN = 1e-8;    /* torch.nn.functional.cosine_similarity */
static const double LOG_EPS = 1e-6;     /* inside the logarithms */

static double
norm(int64_t c, const double *a)
{
    return fmax(sqrt(dot(c, a, a)), NORM_MIN);
}

/* s = max(0, a.b / (|a| |b|)) */
void
voco_oracle_assign_forward(struct voco_ctx *ctx, X a, X b, Y s)
{
    const int64_t m = a->dim[0], k = b->dim[0], c = voco_cols(a);

    if (ctx->err)
        return;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) {
            const double *p = f64(a) + i * c, *q = f64(b) + j * c;

            f64(s)[i * k + j] = fmax(0, dot(c, p, q) / (norm(c, p) * norm(c, q)));
        }
}

/* da += ds (b/|b| - s a/|a|) / |a|, the second part only where the norm is not held */
static void
cosine_backward(int64_t c, double s, double ds, const double *a, const double *b,
                double *da)
{
    const double na = norm(c, a), nb = norm(c, b);

    axpy(c, ds / (na * nb), b, da);
    if (na > NORM_MIN)
        axpy(c, -ds * s / (na * na), a, da);
}

/* Nothing flows where the similarity was clipped to zero. */
void
voco_oracle_assign_backward(struct voco_ctx *ctx, X a, X b, X s, X ds, Y da, Y db)
{
    const int64_t m = a->dim[0], k = b->dim[0], c = voco_cols(a);

    if (ctx->err)
        return;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) {
            const double sim = f64(s)[i * k + j], g = f64(ds)[i * k + j];
            const double *p = f64(a) + i * c, *q = f64(b) + j * c;

            if (sim > 0 && da)
                cosine_backward(c, sim, g, p, q, f64(da) + i * c);
            if (sim > 0 && db)
                cosine_backward(c, sim, g, q, p, f64(db) + j * c);
        }
}

/* The denominators of both parts of CE(y, p). */
struct ce_scale {
    double positive, absent;
};

static struct ce_scale
ce_scale(const struct voco_ce *o, X y)
{
    struct ce_scale z = { o->eps_y, o->eps_zero };

    for (int64_t i = 0; i < voco_count(y); i++) {
        z.positive += f64(y)[i];
        z.absent += f64(y)[i] == 0;
    }
    return z;
}

void
voco_oracle_ce_forward(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p,
                       double weight, Y loss)
{
    double positive = 0, absent = 0;

    if (ctx->err)
        return;

    const struct ce_scale z = ce_scale(o, y);

    for (int64_t i = 0; i < voco_count(y); i++) {
        const double t = f64(y)[i], s = f64(p)[i];

        positive -= t * log(1 - fabs(t - s) + LOG_EPS);
        if (t == 0)
            absent += o->squared ? s * s : -log(1 - s + LOG_EPS);
    }
    if (voco_count(loss) == 1) {
        f64(loss)[0] += weight * (positive / z.positive + absent / z.absent);
    } else {
        f64(loss)[0] += weight * positive / z.positive;
        f64(loss)[1] += weight * absent / z.absent;
    }
}

void
voco_oracle_ce_backward(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p,
                        double weight, Y dp)
{
    if (ctx->err)
        return;

    const struct ce_scale z = ce_scale(o, y);

    for (int64_t i = 0; i < voco_count(y); i++) {
        const double t = f64(y)[i], s = f64(p)[i];
        const double sign = (s > t) - (s < t);      /* d|y-p|/dp, 0 at 0 as in torch */
        double g = t * sign / (1 - fabs(t - s) + LOG_EPS) / z.positive;

        if (t == 0)
            g += (o->squared ? 2 * s : 1 / (1 - s + LOG_EPS)) / z.absent;
        f64(dp)[i] = weight * g;
    }
}

/* loss += weight mean over p<q of s[p,q]^power; no pairs, no loss */
void
voco_oracle_decor_forward(struct voco_ctx *ctx, int power, X s, double weight, Y loss)
{
    const int64_t k = s->dim[0];
    double sum = 0;

    if (ctx->err || k < 2)
        return;
    for (int64_t p = 0; p < k; p++)
        for (int64_t q = p + 1; q < k; q++)
            sum += f64(s)[p * k + q] * (power == 2 ? f64(s)[p * k + q] : 1);
    f64(loss)[0] += weight * sum / (double)(k * (k - 1) / 2);
}

void
voco_oracle_decor_backward(struct voco_ctx *ctx, int power, X s, double weight, Y ds)
{
    const int64_t k = s->dim[0];

    if (ctx->err)
        return;
    for (int64_t p = 0; p < k; p++)
        for (int64_t q = 0; q < k; q++)
            f64(ds)[p * k + q] = p >= q ? 0
                : weight * power * (power == 2 ? f64(s)[p * k + q] : 1)
                  / (double)(k * (k - 1) / 2);
}
