/* Losses of rows on the cpu device: softmax cross-entropy, masked error, and labels. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "dev/cpu/block.h"
#include "dev/cpu/softmax.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- softmax cross-entropy ---- */

struct ce {
    const struct voco_kernels *kernels;
    const struct voco_tensor *x;
    const float *target;
    struct voco_pieces z;
    int64_t c, block;           /* block: rows at a time */
    float scale;
    bool soft, skip_self;
};

static struct ce
ce_of(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x, X target, X count)
{
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];
    const int64_t block = voco_cpu_softmax_rows(c);

    VOCO_ASSERT(x->rank == 3 && o->scale > 0 && voco_count(count) == n
                && voco_count(target) == n * rows * (target->rank == 3 ? c : 1)
                && (!o->skip_self || (rows <= c && c > 1)));
    return (struct ce){ .kernels = voco_cpu_state(ctx)->kernels, .x = x,
                        .target = voco_f32(target), .c = c, .block = block,
                        .z = voco_cpu_pieces(n, rows, block == 1 ? 64 : 8192),
                        .scale = (float)o->scale, .soft = target->rank == 3,
                        .skip_self = o->skip_self };
}

/* Rows [r, r + m) of item i. */
struct rows {
    int64_t first, m;           /* first: of the batch */
    int64_t without;            /* column that the first of them leaves out, or -1 */
    const float *x;
    float *spare, *p;           /* [block,c], [c,block] */
    float top[VOCO_SOFTMAX_ROWS], sum[VOCO_SOFTMAX_ROWS];
};

static void
read_rows(const struct ce *e, int64_t i, int64_t r, int64_t to, struct rows *a)
{
    a->first = i * e->z.rows + r;
    a->m = to - r < e->block ? to - r : e->block;
    a->without = e->skip_self ? r : -1;
    a->x = voco_block_read(e->kernels, e->x, a->first * e->c, a->m * e->c, a->spare);
    voco_cpu_softmax(e->kernels, a->x, a->m, e->c, e->scale, a->without, a->p, a->top,
                     a->sum);
}

/* The class of row j of a block, or -1. */
static int64_t
class_of(const struct ce *e, const struct rows *a, int64_t j)
{
    const float label = e->target[a->first + j];
    const int64_t k = label < 0 ? -1 : (int64_t)label;

    VOCO_ASSERT(k < e->c && (k < 0 || a->without < 0 || k != a->without + j));
    return k;
}

/* The shares of the classes of row j, and the one that is left out or -1. */
static const float *
shares_of(const struct ce *e, const struct rows *a, int64_t j, int64_t *ret_without)
{
    *ret_without = a->without < 0 ? -1 : a->without + j;
    return e->target + (a->first + j) * e->c;
}

/* sum[0] += the losses, sum[1] += the rows that count */
static void
ce_block(const struct ce *e, const struct rows *a, double sum[2])
{
    for (int64_t j = 0; j < a->m; j++) {
        const double top = (double)a->top[j], rest = (double)logf(a->sum[j]);
        const float *x = a->x + j * e->c;

        if (e->soft) {
            int64_t without;
            const float *t = shares_of(e, a, j, &without);

            for (int64_t k = 0; k < e->c; k++)
                if (k != without)
                    sum[0] += (double)t[k] * (top - (double)(e->scale * x[k]) + rest);
        } else {
            const int64_t k = class_of(e, a, j);

            if (k < 0)
                continue;
            sum[0] += top - (double)(e->scale * x[k]) + rest;
        }
        sum[1] += 1;
    }
}

/* Bytes of blocks for each thread. */
static size_t
block_bytes(const struct ce *e)
{
    return (size_t)(2 * e->block * e->c) * sizeof(float);
}

static struct rows
blocks_of_thread(const struct ce *e, void *scratch)
{
    float *spare = (float *)scratch + 2 * e->block * e->c * omp_get_thread_num();

    return (struct rows){ .spare = spare, .p = spare + e->block * e->c };
}

void
voco_cpu_softmax_ce_forward(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                            X target, double weight, Y count, Y loss)
{
    const struct ce e = ce_of(ctx, o, x, target, count);
    const int64_t pieces = e.z.items * e.z.count;
    double (*sum)[2], total = 0;

    if (ctx->err)
        return;
    sum = voco_cpu_scratch(ctx, (size_t)pieces * sizeof *sum
                                + (size_t)ctx->threads * block_bytes(&e));
    if (!sum)
        return;
    memset(sum, 0, (size_t)pieces * sizeof *sum);
#pragma omp parallel num_threads(ctx->threads) if (pieces > 1)
    {
        struct rows a = blocks_of_thread(&e, sum + pieces);

#pragma omp for schedule(static)
        for (int64_t j = 0; j < pieces; j++) {
            int64_t r;
            const int64_t to = voco_cpu_piece(&e.z, j, &r);

            for (; r < to; r += e.block) {
                read_rows(&e, j / e.z.count, r, to, &a);
                ce_block(&e, &a, sum[j]);
            }
        }
    }
    for (int64_t i = 0; i < e.z.items; i++) {
        double all[2] = { 0 };

        for (int64_t j = 0; j < e.z.count; j++) {
            all[0] += sum[i * e.z.count + j][0];
            all[1] += sum[i * e.z.count + j][1];
        }
        voco_f32(count)[i] = (float)all[1];
        if (all[1] > 0)
            total += all[0] / all[1];
    }
    *voco_f32(loss) += (float)(weight * total / (double)e.z.items);
}

/* dx = f (p sum(target) - target), f 0 for a row that does not count */
static void
ce_block_backward(const struct ce *e, struct rows *a, float f, Y dx)
{
    const int64_t at = a->first * e->c;
    float *to = voco_block_room(dx, at, a->spare);

    for (int64_t j = 0; j < a->m; j++, to += e->c) {
        int64_t without, k;

        if (e->soft) {
            const float *t = shares_of(e, a, j, &without);
            float all = 0;

            for (k = 0; k < e->c; k++)
                all += k == without ? 0 : t[k];
            for (k = 0; k < e->c; k++)
                to[k] = k == without ? 0 : f * (all * a->p[k * e->block + j] - t[k]);
        } else {
            const int64_t class = class_of(e, a, j);
            const float g = class < 0 ? 0 : f;

            for (k = 0; k < e->c; k++)
                to[k] = g * a->p[k * e->block + j];
            if (class >= 0)
                to[class] = g * (a->p[class * e->block + j] - 1);
        }
    }
    voco_block_done(e->kernels, dx, at, a->m * e->c, a->spare);
}

void
voco_cpu_softmax_ce_backward(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                             X target, X count, double weight, Y dx)
{
    const struct ce e = ce_of(ctx, o, x, target, count);
    const int64_t pieces = e.z.items * e.z.count;
    void *scratch;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(dx) == voco_count(x));
    scratch = voco_cpu_scratch(ctx, (size_t)ctx->threads * block_bytes(&e));
    if (!scratch)
        return;
#pragma omp parallel num_threads(ctx->threads) if (pieces > 1)
    {
        struct rows a = blocks_of_thread(&e, scratch);

#pragma omp for schedule(static)
        for (int64_t j = 0; j < pieces; j++) {
            const double counted = (double)voco_f32(count)[j / e.z.count];
            const float f = counted > 0 ? (float)(weight * o->scale / counted
                                                  / (double)e.z.items) : 0;
            int64_t r;
            const int64_t to = voco_cpu_piece(&e.z, j, &r);

            for (; r < to; r += e.block) {
                read_rows(&e, j / e.z.count, r, to, &a);
                ce_block_backward(&e, &a, f, dx);
            }
        }
    }
}

/* ---- masked error ---- */

struct error {
    const struct voco_kernels *kernels;
    const struct voco_tensor *x, *target, *mask;
    struct voco_pieces z;       /* of elements */
    int64_t c;
    int power;
};

static struct error
error_of(struct voco_ctx *ctx, int power, X x, X target, X mask, X sums)
{
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];

    VOCO_ASSERT((power == 1 || power == 2) && x->rank == 3 && voco_count(target) == n * rows * c
                && voco_count(sums) == n && (!mask || voco_count(mask) == n * rows));
    return (struct error){ .kernels = voco_cpu_state(ctx)->kernels, .x = x, .target = target,
                           .mask = mask, .z = voco_cpu_pieces(n, rows * c, 1 << 16),
                           .c = c, .power = power };
}

/* The mask of each of n elements from at on, in spare [n] where need be. */
static const float *
mask_of(const struct error *e, int64_t at, int64_t n, float *spare)
{
    const int64_t first = at / e->c, rows = (at + n - 1) / e->c + 1 - first;
    float row[VOCO_BLOCK];
    const float *mask;

    if (!e->mask) {
        for (int64_t i = 0; i < n; i++)
            spare[i] = 1;
        return spare;
    }
    if (e->c == 1)
        return voco_block_read(e->kernels, e->mask, at, n, spare);
    mask = voco_block_read(e->kernels, e->mask, first, rows, row);
    for (int64_t r = 0, i = 0; r < rows; r++)
        for (; i < n && (at + i) / e->c == first + r; i++)
            spare[i] = mask[r];
    return spare;
}

/* sum[0] += mask |x - target|^power, sum[1] += mask of n elements from at on */
static void
error_block(const struct error *e, int64_t at, int64_t n, double sum[2])
{
    float spare[3][VOCO_BLOCK];
    const float *x = voco_block_read(e->kernels, e->x, at, n, spare[0]);
    const float *t = voco_block_read(e->kernels, e->target, at, n, spare[1]);
    const float *mask = mask_of(e, at, n, spare[2]);
    double errors = 0, masks = 0;

#pragma omp simd reduction(+ : errors, masks)
    for (int64_t i = 0; i < n; i++) {
        const float off = fabsf(x[i] - t[i]);

        errors += (double)(mask[i] * (e->power == 2 ? off * off : off));
        masks += (double)mask[i];
    }
    sum[0] += errors;
    sum[1] += masks;
}

void
voco_cpu_masked_error_forward(struct voco_ctx *ctx, int power, X x, X target, X mask,
                              double weight, Y sums, Y loss)
{
    const struct error e = error_of(ctx, power, x, target, mask, sums);
    const int64_t pieces = e.z.items * e.z.count;
    double (*sum)[2], total = 0;

    if (ctx->err)
        return;
    sum = voco_cpu_scratch(ctx, (size_t)pieces * sizeof *sum);
    if (!sum)
        return;
    memset(sum, 0, (size_t)pieces * sizeof *sum);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (pieces > 1)
    for (int64_t j = 0; j < pieces; j++) {
        int64_t i;
        const int64_t to = voco_cpu_piece(&e.z, j, &i);

        for (; i < to; i += VOCO_BLOCK)
            error_block(&e, j / e.z.count * e.z.rows + i, voco_block_size(to, i), sum[j]);
    }
    for (int64_t i = 0; i < e.z.items; i++) {
        double all[2] = { 0 };

        for (int64_t j = 0; j < e.z.count; j++) {
            all[0] += sum[i * e.z.count + j][0];
            all[1] += sum[i * e.z.count + j][1];
        }
        voco_f32(sums)[i] = (float)(all[1] / (double)e.c);
        if (all[1] > 0)
            total += all[0] / all[1];
    }
    *voco_f32(loss) += (float)(weight * total / (double)e.z.items);
}

/* dx = f mask (power 2: 2 (x - target), power 1: the sign of x - target) */
static void
error_block_backward(const struct error *e, int64_t at, int64_t n, float f, Y dx)
{
    float spare[3][VOCO_BLOCK];
    const float *x = voco_block_read(e->kernels, e->x, at, n, spare[0]);
    const float *t = voco_block_read(e->kernels, e->target, at, n, spare[1]);
    const float *mask = mask_of(e, at, n, spare[2]);
    float *to = voco_block_room(dx, at, spare[0]);

    for (int64_t i = 0; i < n; i++) {
        const float off = x[i] - t[i];
        const float slope = e->power == 2 ? 2 * off : (float)((off > 0) - (off < 0));

        to[i] = f * mask[i] * slope;
    }
    voco_block_done(e->kernels, dx, at, n, to);
}

void
voco_cpu_masked_error_backward(struct voco_ctx *ctx, int power, X x, X target, X mask, X sums,
                               double weight, Y dx)
{
    const struct error e = error_of(ctx, power, x, target, mask, sums);
    const int64_t pieces = e.z.items * e.z.count;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(dx) == voco_count(x));
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (pieces > 1)
    for (int64_t j = 0; j < pieces; j++) {
        const double all = (double)voco_f32(sums)[j / e.z.count] * (double)e.c;
        const float f = all > 0 ? (float)(weight / all / (double)e.z.items) : 0;
        int64_t i;
        const int64_t to = voco_cpu_piece(&e.z, j, &i);

        for (; i < to; i += VOCO_BLOCK)
            error_block_backward(&e, j / e.z.count * e.z.rows + i, voco_block_size(to, i), f,
                                 dx);
    }
}

/* ---- labels ---- */

/* The first of the largest. */
static int64_t
largest(const float *x, int64_t c)
{
    int64_t best = 0;

    for (int64_t k = 1; k < c; k++)
        if (x[k] > x[best])
            best = k;
    return best;
}

void
voco_cpu_argmax_rows(struct voco_ctx *ctx, X x, double threshold, Y y)
{
    const struct voco_kernels *kernels = voco_cpu_state(ctx)->kernels;
    const int64_t rows = voco_rows(x), c = voco_cols(x), block = voco_cpu_softmax_rows(c);
    float *scratch;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == rows);
    scratch = voco_cpu_scratch(ctx, (size_t)(ctx->threads * 2 * block * c)
                                    * sizeof *scratch);
    if (!scratch)
        return;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (rows > block)
    for (int64_t r = 0; r < rows; r += block) {
        float *spare = scratch + 2 * block * c * omp_get_thread_num(), *p = spare + block * c;
        const int64_t m = rows - r < block ? rows - r : block;
        const float *in = voco_block_read(kernels, x, r * c, m * c, spare);

        if (threshold > 0)
            voco_cpu_softmax(kernels, in, m, c, 1, -1, p, NULL, NULL);
        for (int64_t j = 0; j < m; j++) {
            const int64_t k = largest(in + j * c, c);
            const bool sure = threshold <= 0 || (double)p[k * block + j] >= threshold;

            voco_f32(y)[r + j] = sure ? (float)k : -1;
        }
    }
}
