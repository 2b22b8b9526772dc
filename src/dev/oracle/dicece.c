/* The oracle's loss of segmentation: MONAI's DiceCELoss with softmax and one-hot labels. */
#include <math.h>

#include "dev/oracle/oracle.h"

/* The class of voxel v, or -1. */
static int64_t
class_of(X label, int64_t v, int64_t c)
{
    const int64_t k = f64(label)[v] < 0 ? -1 : (int64_t)f64(label)[v];

    VOCO_ASSERT(k < c);
    return k;
}

/* Voxels of item i that have a class. */
static int64_t
labelled(X label, int64_t i, int64_t s)
{
    int64_t n = 0;

    for (int64_t v = i * s; v < (i + 1) * s; v++)
        n += f64(label)[v] >= 0;
    return n;
}

void
voco_oracle_dicece_forward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                           X label, double weight, Y sums, Y loss)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t n = x->dim[0], s = x->dim[1], c = x->dim[2], first = o->background ? 0 : 1;
    const struct voco_tensor p = voco_push(ctx, &ctx->temp, 1, c);
    double dice = 0, ce = 0, share = 1;

    if (ctx->err)
        return;
    ctx->dev->fill(ctx, sums, 0);
    for (int64_t v = 0; v < n * s; v++) {
        double *sum = f64(sums) + v / s * c * 3;
        const int64_t label_v = class_of(label, v, c);

        if (v % s == 0)
            share = (double)s / (double)labelled(label, v / s, s);
        if (label_v < 0)
            continue;
        voco_oracle_softmax(c, 1, -1, f64(x) + v * c, f64(&p));
        ce -= share * log(f64(&p)[label_v]);
        for (int64_t k = 0; k < c; k++) {
            const double pk = f64(&p)[k], t = k == label_v;

            sum[3 * k] += pk * t;
            sum[3 * k + 1] += o->squared ? pk * pk : pk;
            sum[3 * k + 2] += t;
        }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = first; k < c; k++) {
            const double *sum = f64(sums) + (i * c + k) * 3;

            dice += 1 - (2 * sum[0] + o->smooth_nr) / (sum[1] + sum[2] + o->smooth_dr);
        }
    f64(loss)[0] += weight * dice / (double)(n * (c - first));
    f64(loss)[1] += weight * ce / (double)(n * s);
    voco_arena_release(&ctx->temp, mark);
}

/* d dice / dp[k] = (-2 t + (2 I + a) / (U + b) dq/dp) / (U + b), over n (c - first);
 * through the softmax: dx = p (g - sum p g); the cross entropy's dx is p - t. */
void
voco_oracle_dicece_backward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                            X label, X sums, double weight, Y dx)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t n = x->dim[0], s = x->dim[1], c = x->dim[2], first = o->background ? 0 : 1;
    const struct voco_tensor p = voco_push(ctx, &ctx->temp, 1, c);
    const struct voco_tensor g = voco_push(ctx, &ctx->temp, 1, c);
    int64_t voxels = s;

    if (ctx->err)
        return;
    for (int64_t v = 0; v < n * s; v++) {
        const int64_t label_v = class_of(label, v, c);
        double mean;

        if (v % s == 0)
            voxels = labelled(label, v / s, s);
        if (label_v < 0) {
            memset(f64(dx) + v * c, 0, (size_t)c * sizeof(double));
            continue;
        }
        voco_oracle_softmax(c, 1, -1, f64(x) + v * c, f64(&p));
        for (int64_t k = 0; k < c; k++) {
            const double *sum = f64(sums) + (v / s * c + k) * 3;
            const double below = sum[1] + sum[2] + o->smooth_dr;
            const double dq = o->squared ? 2 * f64(&p)[k] : 1, t = k == label_v;

            f64(&g)[k] = k < first ? 0 : (-2 * t + (2 * sum[0] + o->smooth_nr) / below * dq)
                                         / below / (double)(n * (c - first));
        }
        mean = dot(c, f64(&p), f64(&g));
        for (int64_t k = 0; k < c; k++)
            f64(dx)[v * c + k] = weight * (f64(&p)[k] * (f64(&g)[k] - mean)
                                           + (f64(&p)[k] - (k == label_v))
                                             / (double)(n * voxels));
    }
    voco_arena_release(&ctx->temp, mark);
}
