/*
 * Instance and layer norm of the cpu device: shares of rows around the kernels of simd/.
 *
 * How rows are cut depends on the shape alone, and results of pieces are combined in
 * their order, in double: results do not depend on the number of threads.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* doubles, and floats behind them; NULL when ctx has failed */
static double *
scratch(struct voco_ctx *ctx, int64_t doubles, int64_t floats, float **ret_floats)
{
    double *p = NULL;

    if (!ctx->err)
        p = voco_cpu_scratch(ctx, (size_t)doubles * sizeof *p
                                  + (size_t)floats * sizeof **ret_floats);
    *ret_floats = p ? (float *)(p + doubles) : NULL;
    return p;
}

/* ---- instance norm ---- */

enum {
    PIECE = 1 << 16,        /* elements that are worth a thread's while */
    PIECES_MAX = 64,        /* of one item */
    BLOCK = 1 << 14,        /* elements read twice by the two sweeps of moments: 64 KiB */
    SCRATCH_MAX = 1 << 17   /* doubles: 1 MiB */
};

/*
 * A volume [n,s,c] in pieces of rows.  Large items go one after the other with all
 * threads on each, so that the second pass may find the item in the last-level cache;
 * small ones go in batches with one thread on each.
 */
struct plan {
    int64_t n, s, c;
    int64_t pieces;         /* of an item */
    int64_t batch;          /* items at once */
};

static int64_t
clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static struct plan
plan_of(const struct voco_tensor *x)
{
    struct plan p = { .n = x->dim[0], .c = voco_cols(x) };

    p.s = p.n ? voco_rows(x) / p.n : 0;
    p.pieces = clamp(p.s * p.c / PIECE, 1, clamp(p.s, 1, PIECES_MAX));
    p.batch = p.pieces > 1 ? 1 : clamp(SCRATCH_MAX / (2 * p.c), 1, p.n);
    return p;
}

/* Rows [*ret_from, *ret_to) of piece i of an item. */
static void
piece_rows(const struct plan *p, int64_t i, int64_t *ret_from, int64_t *ret_to)
{
    *ret_from = p->s * i / p->pieces;
    *ret_to = p->s * (i + 1) / p->pieces;
}

/* Join the moments of nb more rows to those of na rows (Chan, Golub and LeVeque 1979). */
static void
join_moments(double na, double *mean, double *m2, double nb, const double *mean_b,
             const double *m2_b, int64_t c)
{
    const double share = nb / (na + nb);

    for (int64_t j = 0; j < c; j++) {
        const double d = mean_b[j] - mean[j];

        mean[j] += d * share;
        m2[j] += m2_b[j] + d * d * na * share;
    }
}

/* mean and m2 [c] of rows [from, to) of x; more has 2c. */
static void
moments_of_rows(const struct voco_kernels *k, X x, int64_t from, int64_t to, double *mean,
                double *m2, double *more)
{
    const int64_t c = voco_cols(x), step = clamp(BLOCK / c, 8, to - from);

    for (int64_t i = from; i < to; i += step) {
        const int64_t m = clamp(to - i, 0, step);
        const void *rows = voco_element(x, i * c);

        if (i == from) {
            k->moments(rows, voco_is_bf16(x), (size_t)m, (size_t)c, mean, m2);
            continue;
        }
        k->moments(rows, voco_is_bf16(x), (size_t)m, (size_t)c, more, more + c);
        join_moments((double)(i - from), mean, m2, (double)m, more, more + c, c);
    }
}

/* part [pieces,2,c] of one item -> mean, variance [2,c] */
static void
finish_moments(const struct plan *p, double *part, float *ret)
{
    for (int64_t i = 1; i < p->pieces; i++) {
        const double *more = part + i * 2 * p->c;
        int64_t from, to;

        piece_rows(p, i, &from, &to);
        join_moments((double)from, part, part + p->c, (double)(to - from), more,
                     more + p->c, p->c);
    }
    for (int64_t j = 0; j < p->c; j++) {
        ret[j] = (float)part[j];
        ret[p->c + j] = (float)(part[p->c + j] / (double)p->s);
    }
}

void
voco_cpu_join_tiles(struct voco_ctx *ctx, const float *parts, int64_t tiles,
                    int64_t stride, int64_t voxels, const float *bias, Y moments)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = moments->dim[0], c = moments->dim[2], columns = 2 * stride;
    float *none;
    double *all = scratch(ctx, ctx->threads * 4 * columns, 0, &none);

    if (!all)
        return;
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double *mean = all + omp_get_thread_num() * 4 * columns, *m2 = mean + columns;
        float *to = voco_f32(moments) + i * 2 * c;
        const struct voco_tensor rows = voco_view((float *)parts + i * tiles * columns,
                                                  VOCO_F32, 2, tiles, columns);

        moments_of_rows(k, &rows, 0, tiles, mean, m2, m2 + columns);
        for (int64_t j = 0; j < c; j++) {       /* within tiles, and between their means */
            to[j] = (float)(mean[j] + (bias ? bias[j] : 0));
            to[c + j] = (float)(mean[stride + j] / (double)voxels + m2[j] / (double)tiles);
        }
    }
}

void
voco_cpu_instnorm_forward(struct voco_ctx *ctx, X x, X moments, X r, double slope,
                          double eps, Y y, Y rstd)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const struct plan p = plan_of(x);
    const int64_t tasks = p.batch * p.pieces, c = p.c;
    const bool stream = y->data != x->data && (!r || y->data != r->data)
                      && voco_cpu_stream(voco_count(y));
    float *own;             /* moments of a batch */
    double *part = scratch(ctx, (tasks + ctx->threads) * 2 * c, p.batch * 2 * c, &own);

    if (!part)
        return;
    VOCO_ASSERT((voco_is_bf16(y) || !voco_is_bf16(x)) && (!r || r->type == y->type));
#pragma omp parallel num_threads(ctx->threads)
    for (int64_t first = 0; first < p.n; first += p.batch) {
        const int64_t items = clamp(p.n - first, 0, p.batch);
        const float *known = moments ? voco_f32(moments) + first * 2 * c : own;

#pragma omp for schedule(static)
        for (int64_t i = 0; i < (moments ? 0 : items * p.pieces); i++) {
            const int64_t item = (first + i / p.pieces) * p.s;
            double *sums = part + i * 2 * c;
            int64_t from, to;

            piece_rows(&p, i % p.pieces, &from, &to);
            moments_of_rows(k, x, item + from, item + to, sums, sums + c,
                            part + (tasks + omp_get_thread_num()) * 2 * c);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < items; i++) {
            if (!moments)
                finish_moments(&p, part + i * p.pieces * 2 * c, own + i * 2 * c);
            for (int64_t j = 0; j < c; j++)
                voco_f32(rstd)[(first + i) * c + j]
                    = (float)(1 / sqrt((double)known[(2 * i + 1) * c + j] + eps));
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < items * p.pieces; i++) {
            const int64_t item = first + i / p.pieces;
            int64_t from, to;

            piece_rows(&p, i % p.pieces, &from, &to);
            k->norm_rows(&(struct voco_norm_rows){
                .rows = (size_t)(to - from), .c = (size_t)c, .x_bf16 = voco_is_bf16(x),
                .bf16 = voco_is_bf16(y), .x = voco_element(x, (item * p.s + from) * c),
                .r = voco_element(r, (item * p.s + from) * c),
                .mean = known + i / p.pieces * 2 * c, .rstd = voco_f32(rstd) + item * c,
                .slope = (float)slope, .y = voco_element(y, (item * p.s + from) * c),
                .stream = stream });
        }
    }
}

/* sums [pieces,2,c] of one item -> mean_g, mean_gx [c] */
static void
finish_sums(const struct plan *p, const double *sums, float *mean_g, float *mean_gx)
{
    for (int64_t j = 0; j < p->c; j++) {
        double g = 0, gx = 0;

        for (int64_t i = 0; i < p->pieces; i++) {
            g += sums[i * 2 * p->c + j];
            gx += sums[(i * 2 + 1) * p->c + j];
        }
        mean_g[j] = (float)(g / (double)p->s);
        mean_gx[j] = (float)(gx / (double)p->s);
    }
}

void
voco_cpu_instnorm_backward(struct voco_ctx *ctx, X y, X r, X rstd, double slope, X dy,
                           Y dx, Y dr)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const struct plan p = plan_of(y);
    const int64_t tasks = p.batch * p.pieces, c = p.c;
    const bool stream = dx->data != dy->data && voco_cpu_stream(voco_count(y));
    float *means;
    double *sums = scratch(ctx, tasks * 2 * c, p.batch * 2 * c, &means);

    if (!sums)
        return;
    VOCO_ASSERT((!r || r->type == y->type) && (!dr || dr->type == y->type)
                && (voco_is_bf16(y) || !voco_is_bf16(dy))
                && (voco_is_bf16(dy) || !voco_is_bf16(dx)));
#pragma omp parallel num_threads(ctx->threads)
    for (int64_t first = 0; first < p.n; first += p.batch) {
        const int64_t items = clamp(p.n - first, 0, p.batch);

        for (int pass = 0; pass < 2; pass++) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < items * p.pieces; i++) {
                const int64_t item = first + i / p.pieces;
                double *own = sums + i * 2 * c;
                const float *mean = means + i / p.pieces * 2 * c;
                struct voco_norm_rows_grad a = {
                    .c = (size_t)c, .bf16 = voco_is_bf16(y), .dy_bf16 = voco_is_bf16(dy),
                    .dx_bf16 = voco_is_bf16(dx), .slope = (float)slope, .sum_g = own,
                    .sum_gx = own + c, .rstd = voco_f32(rstd) + item * c, .mean_g = mean,
                    .mean_gx = mean + c, .stream = stream };
                int64_t from, to;

                piece_rows(&p, i % p.pieces, &from, &to);
                a.rows = (size_t)(to - from);
                from = (item * p.s + from) * c;
                a.y = voco_element(y, from);
                a.r = voco_element(r, from);
                a.dy = voco_element(dy, from);
                a.dx = voco_element(dx, from);
                a.dr = voco_element(dr, from);
                if (pass == 0) {
                    memset(own, 0, (size_t)(2 * c) * sizeof *own);
                    k->norm_rows_sums(&a);
                } else
                    k->norm_rows_grad(&a);
            }
            if (pass == 0)
#pragma omp for schedule(static)
                for (int64_t i = 0; i < items; i++)
                    finish_sums(&p, sums + i * p.pieces * 2 * c, means + i * 2 * c,
                                means + (i * 2 + 1) * c);
        }
    }
}

/* ---- layer norm ---- */

enum { ROWS = 64 };         /* at a time; f32 sums of dw, db over so many */

void
voco_cpu_layernorm_forward(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y, Y mean,
                           Y rstd)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), c = voco_cols(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(x->type == y->type);
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t i = 0; i < m; i += ROWS)
        k->layernorm(&(struct voco_layernorm_rows){
            .rows = (size_t)clamp(m - i, 0, ROWS), .c = (size_t)c, .bf16 = voco_is_bf16(x),
            .x = voco_element(x, i * c), .w = voco_f32(w), .b = voco_f32(b),
            .eps = (float)eps, .y = voco_element(y, i * c), .mean = voco_f32(mean) + i,
            .rstd = voco_f32(rstd) + i });
}

/* Rows [from, to) of a backward; a has what all rows share.  Adds to sums [2,c] through
 * spare [2c]. */
static void
layernorm_grad_rows(const struct voco_kernels *k, struct voco_layernorm_grad a, X x, X dy,
                    X r, Y dx, Y y, int64_t from, int64_t to, double *sums, float *spare)
{
    const int64_t c = (int64_t)a.c;
    const struct voco_layernorm_grad all = a;

    for (int64_t i = from; i < to; i += ROWS) {
        a.rows = (size_t)clamp(to - i, 0, ROWS);
        a.x = voco_element(x, i * c);
        a.dy = voco_element(dy, i * c);
        a.r = voco_element(r, i * c);
        a.dx = voco_element(dx, i * c);
        a.y = voco_element(y, i * c);
        a.mean = all.mean + i;
        a.rstd = all.rstd + i;
        if (a.w) {
            memset(spare, 0, (size_t)(2 * c) * sizeof *spare);
            a.dw = spare;
            a.db = spare + c;
        }
        k->layernorm_grad(&a);
        for (int64_t j = 0; a.w && j < 2 * c; j++)
            sums[j] += spare[j];
    }
}

void
voco_cpu_layernorm_backward(struct voco_ctx *ctx, X x, X w, X b, X mean, X rstd, X dy, X r,
                            Y dx, Y y, Y dw, Y db)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), c = voco_cols(x);
    const int64_t most = clamp(SCRATCH_MAX / (2 * c), 1, PIECES_MAX);
    const int64_t pieces = clamp(m / ROWS, 1, most);
    float *spare;
    double *sums = scratch(ctx, pieces * 2 * c, ctx->threads * 2 * c, &spare);

    if (!sums)
        return;
    VOCO_ASSERT(x->type == dy->type && x->type == dx->type && (!r || x->type == r->type)
                && (!y || x->type == y->type));
#pragma omp parallel num_threads(ctx->threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < pieces; i++) {
            memset(sums + i * 2 * c, 0, (size_t)(2 * c) * sizeof *sums);
            layernorm_grad_rows(k, (struct voco_layernorm_grad){
                .c = (size_t)c, .bf16 = voco_is_bf16(x), .w = voco_f32(w),
                .b = voco_f32(b), .mean = voco_f32(mean), .rstd = voco_f32(rstd) },
                x, dy, r, dx, y, m * i / pieces, m * (i + 1) / pieces,
                sums + i * 2 * c, spare + omp_get_thread_num() * 2 * c);
        }
#pragma omp for schedule(static)
        for (int64_t j = 0; j < (w ? c : 0); j++)
            voco_cpu_add_pieces(sums, pieces, c, j, voco_f32(dw), voco_f32(db));
    }
}
