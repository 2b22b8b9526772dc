/*
 * Dice and cross entropy of the cpu device.
 *
 * A piece of an item's voxels is a thread's work; sums are in double and pieces are
 * combined in their order, so the number of threads does not matter.
 */
#include <math.h>
#include <string.h>

#include "dev/cpu/softmax.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

enum {
    PIECE = 8192,               /* voxels of a piece */
    BLOCK = VOCO_SOFTMAX_ROWS   /* voxels whose probabilities are at hand */
};

struct shape {
    int64_t n, s, c, first;     /* first: class with a Dice term */
    int64_t pieces;             /* of an item */
};

static struct shape
shape_of(const struct voco_dicece *o, X x)
{
    const int64_t s = x->dim[1];

    VOCO_ASSERT(x->rank == 3 && x->dim[2] >= 2 && x->dim[2] <= VOCO_CLASSES_MAX);
    return (struct shape){ .n = x->dim[0], .s = s, .c = x->dim[2],
                           .first = o->background ? 0 : 1,
                           .pieces = (s + PIECE - 1) / PIECE };
}

/* -1: the voxel does not count. */
static int64_t
class_of(float label, int64_t c)
{
    const int64_t k = label < 0 ? -1 : (int64_t)label;

    VOCO_ASSERT(k < c);
    return k;
}

/* p of voxels that do not count becomes 0. */
static void
leave_out(const float *label, int64_t m, int64_t c, float *p)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < c && label[i] < 0; k++)
            p[k * BLOCK + i] = 0;
}

/* The m voxels from x, label on: sum[c][3] as in sums; sum[c][0] the cross entropy and
 * sum[c][1] the voxels that count. */
static void
add_block(const struct voco_kernels *kernels, bool squared, const float *x,
          const float *label, int64_t m, int64_t c, double (*sum)[3])
{
    float p[BLOCK * VOCO_CLASSES_MAX], top[BLOCK], all_p[BLOCK];

    voco_cpu_softmax(kernels, x, m, c, 1, -1, p, top, all_p);
    leave_out(label, m, c, p);
    for (int64_t k = 0; k < c; k++) {
        const float *pk = p + k * BLOCK;
        double all = 0;

        #pragma omp simd reduction(+:all)
        for (int64_t i = 0; i < m; i++)
            all += (double)(squared ? pk[i] * pk[i] : pk[i]);
        sum[k][1] += all;
    }
    for (int64_t i = 0; i < m; i++) {
        const int64_t t = class_of(label[i], c);

        if (t < 0)
            continue;
        sum[t][0] += (double)p[t * BLOCK + i];
        sum[t][2] += 1;
        sum[c][0] += (double)(top[i] + logf(all_p[i]) - x[i * c + t]);
        sum[c][1] += 1;
    }
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The part of both losses that item i gives, from its pieces; they are added up in the
 * first, and rounded into sums. */
static void
finish_item(const struct voco_dicece *o, const struct shape *z, double (*piece)[3],
            double weight, float *sums, double *loss)
{
    double dice = 0;

    for (int64_t j = 1; j < z->pieces; j++)
        for (int64_t k = 0; k <= z->c; k++)
            for (int r = 0; r < 3; r++)
                piece[k][r] += piece[j * (z->c + 1) + k][r];
    for (int64_t k = 0; k < z->c; k++) {
        const double *sum = piece[k];

        for (int r = 0; r < 3; r++)
            sums[3 * k + r] = (float)sum[r];
        if (k >= z->first)
            dice += 1 - (2 * sum[0] + o->smooth_nr) / (sum[1] + sum[2] + o->smooth_dr);
    }
    loss[0] += weight * dice / (double)(z->n * (z->c - z->first));
    if (piece[z->c][1] > 0)
        loss[1] += weight * piece[z->c][0] / ((double)z->n * piece[z->c][1]);
}

void
voco_cpu_dicece_forward(struct voco_ctx *ctx, const struct voco_dicece *o, X x, X label,
                        double weight, Y sums, Y loss)
{
    const struct voco_kernels *kernels = voco_cpu_state(ctx)->kernels;
    const struct shape z = shape_of(o, x);
    const size_t bytes = (size_t)(z.n * z.pieces * (z.c + 1)) * sizeof(double[3]);
    double (*sum)[3], total[2] = { 0 };

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(label) == z.n * z.s && voco_count(sums) == z.n * z.c * 3);
    sum = voco_cpu_scratch(ctx, bytes);
    if (!sum)
        return;
    memset(sum, 0, bytes);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t j = 0; j < z.n * z.pieces; j++) {
        const int64_t item = j / z.pieces * z.s;
        const int64_t from = j % z.pieces * PIECE, to = least(from + PIECE, z.s);

        for (int64_t v = item + from; v < item + to; v += BLOCK)
            add_block(kernels, o->squared, (const float *)x->data + v * z.c,
                      (const float *)label->data + v, least(item + to - v, BLOCK), z.c,
                      sum + j * (z.c + 1));
    }
    for (int64_t i = 0; i < z.n; i++)
        finish_item(o, &z, sum + i * z.pieces * (z.c + 1), weight,
                    (float *)sums->data + i * z.c * 3, total);
    ((float *)loss->data)[0] += (float)total[0];
    ((float *)loss->data)[1] += (float)total[1];
}

/* The gradient of Dice by the probability of class k is on[k] at voxels of the class, plus
 * all[k] (times p when squared). */
static void
slopes(const struct voco_dicece *o, const struct shape *z, const float *sums, double weight,
       float *on, float *all)
{
    for (int64_t k = 0; k < z->c; k++) {
        const double below = (double)sums[3 * k + 1] + (double)sums[3 * k + 2]
                             + o->smooth_dr;
        const double f = k < z->first ? 0
                         : weight / (double)(z->n * (z->c - z->first)) / below;

        on[k] = (float)(-2 * f);
        all[k] = (float)(f * (2 * (double)sums[3 * k] + o->smooth_nr) / below
                         * (o->squared ? 2 : 1));
    }
}

/* dx = p (g - sum p g) + ce (p - 1 at the voxel's class), g as slopes says */
static void
block_backward(const struct voco_kernels *kernels, bool squared, const float *x,
               const float *label, int64_t m, int64_t c, const float *on, const float *all,
               float ce, float *dx)
{
    float p[BLOCK * VOCO_CLASSES_MAX], less[BLOCK], mine[BLOCK] = { 0 };

    voco_cpu_softmax(kernels, x, m, c, 1, -1, p, NULL, NULL);
    for (int i = 0; i < BLOCK; i++)
        less[i] = -ce;
    for (int64_t i = 0; i < m; i++) {
        const int64_t t = class_of(label[i], c);

        if (t < 0)
            continue;
        mine[i] = on[t] * p[t * BLOCK + i];
        less[i] += mine[i];
    }
    for (int64_t k = 0; k < c; k++) {
        const float *pk = p + k * BLOCK, g = all[k];

        #pragma omp simd
        for (int i = 0; i < BLOCK; i++)
            less[i] += pk[i] * (squared ? g * pk[i] : g);
    }
    for (int64_t k = 0; k < c; k++) {
        float *pk = p + k * BLOCK, g = all[k];

        #pragma omp simd
        for (int i = 0; i < BLOCK; i++)
            pk[i] *= (squared ? g * pk[i] : g) - less[i];
    }
    leave_out(label, m, c, p);
    for (int64_t i = 0; i < m; i++) {
        const int64_t t = class_of(label[i], c);

        if (t >= 0)
            p[t * BLOCK + i] += mine[i] - ce;
        for (int64_t k = 0; k < c; k++)
            dx[i * c + k] = p[k * BLOCK + i];
    }
}

/* The share of a voxel in the mean of the cross entropy of item i, times weight. */
static float
ce_share(const struct shape *z, const float *label, int64_t i, double weight)
{
    int64_t n = 0;

    for (int64_t v = i * z->s; v < (i + 1) * z->s; v++)
        n += label[v] >= 0;
    return n ? (float)(weight / (double)(z->n * n)) : 0;
}

void
voco_cpu_dicece_backward(struct voco_ctx *ctx, const struct voco_dicece *o, X x, X label,
                         X sums, double weight, Y dx)
{
    const struct voco_kernels *kernels = voco_cpu_state(ctx)->kernels;
    const struct shape z = shape_of(o, x);
    float *ce;

    if (ctx->err || !(ce = voco_cpu_scratch(ctx, (size_t)z.n * sizeof *ce)))
        return;
    for (int64_t i = 0; i < z.n; i++)
        ce[i] = ce_share(&z, label->data, i, weight);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t j = 0; j < z.n * z.pieces; j++) {
        const int64_t item = j / z.pieces * z.s;
        const int64_t from = j % z.pieces * PIECE, to = least(from + PIECE, z.s);
        float on[VOCO_CLASSES_MAX], all[VOCO_CLASSES_MAX];

        slopes(o, &z, (const float *)sums->data + j / z.pieces * z.c * 3, weight, on, all);
        for (int64_t v = item + from; v < item + to; v += BLOCK)
            block_backward(kernels, o->squared, (const float *)x->data + v * z.c,
                           (const float *)label->data + v, least(item + to - v, BLOCK),
                           z.c, on, all, ce[j / z.pieces],
                           (float *)dx->data + v * z.c);
    }
}
