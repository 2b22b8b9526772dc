/*
 * Instance and layer norm of the cpu device: shares of rows around the kernels of simd/.
 *
 * How rows are cut depends on the shape alone, and what the pieces give is combined in
 * their order, in double: results do not depend on the number of threads.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "dev/cpu.h"
#include "simd/kernels.h"

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

static float *
f32(const struct voco_tensor *x)
{
    VOCO_ASSERT(!x || x->type == VOCO_F32);
    return x ? x->data : NULL;
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

/* mean and m2 [c] of rows x c numbers; spare has 2c. */
static void
moments_of_rows(const struct voco_kernels *k, const float *x, int64_t rows, int64_t c,
                double *mean, double *m2, double *spare)
{
    const int64_t step = clamp(BLOCK / c, 8, rows);

    for (int64_t i = 0; i < rows; i += step) {
        const int64_t m = clamp(rows - i, 0, step);

        if (i == 0) {
            k->moments(x, (size_t)m, (size_t)c, mean, m2);
            continue;
        }
        k->moments(x + i * c, (size_t)m, (size_t)c, spare, spare + c);
        join_moments((double)i, mean, m2, (double)m, spare, spare + c, c);
    }
}

/* part [pieces,2,c] of one item -> mean, rstd [c] */
static void
finish_moments(const struct plan *p, double *part, double eps, float *mean, float *rstd)
{
    for (int64_t i = 1; i < p->pieces; i++) {
        const double *more = part + i * 2 * p->c;
        int64_t from, to;

        piece_rows(p, i, &from, &to);
        join_moments((double)from, part, part + p->c, (double)(to - from), more,
                     more + p->c, p->c);
    }
    for (int64_t j = 0; j < p->c; j++) {
        mean[j] = (float)part[j];
        rstd[j] = (float)(1 / sqrt(part[p->c + j] / (double)p->s + eps));
    }
}

void
voco_cpu_instnorm_forward(struct voco_ctx *ctx, X x, X r, double slope, double eps, Y y,
                          Y rstd)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const struct plan p = plan_of(x);
    const int64_t tasks = p.batch * p.pieces, c = p.c;
    float *mean;
    double *part = scratch(ctx, (tasks + ctx->threads) * 2 * c, p.batch * c, &mean);

    if (!part)
        return;
#pragma omp parallel num_threads(ctx->threads)
    for (int64_t first = 0; first < p.n; first += p.batch) {
        const int64_t items = clamp(p.n - first, 0, p.batch);

#pragma omp for schedule(static)
        for (int64_t i = 0; i < items * p.pieces; i++) {
            const float *item = f32(x) + (first + i / p.pieces) * p.s * c;
            double *own = part + i * 2 * c;
            int64_t from, to;

            piece_rows(&p, i % p.pieces, &from, &to);
            moments_of_rows(k, item + from * c, to - from, c, own, own + c,
                            part + (tasks + omp_get_thread_num()) * 2 * c);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < items; i++)
            finish_moments(&p, part + i * p.pieces * 2 * c, eps, mean + i * c,
                           f32(rstd) + (first + i) * c);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < items * p.pieces; i++) {
            const int64_t item = first + i / p.pieces;
            int64_t from, to, at;

            piece_rows(&p, i % p.pieces, &from, &to);
            at = (item * p.s + from) * c;
            k->norm_rows(&(struct voco_norm_rows){
                .rows = (size_t)(to - from), .c = (size_t)c, .x = f32(x) + at,
                .r = r ? f32(r) + at : NULL, .mean = mean + i / p.pieces * c,
                .rstd = f32(rstd) + item * c, .slope = (float)slope,
                .y = f32(y) + at });
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
    float *means;
    double *sums = scratch(ctx, tasks * 2 * c, p.batch * 2 * c, &means);

    if (!sums)
        return;
#pragma omp parallel num_threads(ctx->threads)
    for (int64_t first = 0; first < p.n; first += p.batch) {
        const int64_t items = clamp(p.n - first, 0, p.batch);

        for (int pass = 0; pass < 2; pass++) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < items * p.pieces; i++) {
                const int64_t item = first + i / p.pieces;
                double *own = sums + i * 2 * c;
                const float *mean = means + i / p.pieces * 2 * c;
                int64_t from, to, at;

                piece_rows(&p, i % p.pieces, &from, &to);
                at = (item * p.s + from) * c;
                const struct voco_norm_rows_grad a = {
                    .rows = (size_t)(to - from), .c = (size_t)c,
                    .y = f32(y) + at, .r = r ? f32(r) + at : NULL,
                    .dy = f32(dy) + at, .slope = (float)slope,
                    .sum_g = own, .sum_gx = own + c,
                    .rstd = f32(rstd) + item * c,
                    .mean_g = mean, .mean_gx = mean + c,
                    .dx = f32(dx) + at, .dr = dr ? f32(dr) + at : NULL
                };
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
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t i = 0; i < m; i += ROWS)
        k->layernorm(&(struct voco_layernorm_rows){
            .rows = (size_t)clamp(m - i, 0, ROWS), .c = (size_t)c,
            .x = f32(x) + i * c, .w = f32(w),
            .b = f32(b), .eps = (float)eps, .y = f32(y) + i * c,
            .mean = f32(mean) + i, .rstd = f32(rstd) + i });
}

/* Rows [from, to) of a backward; adds to sums [2,c] through spare [2c]. */
static void
layernorm_grad_rows(const struct voco_kernels *k, struct voco_layernorm_grad a,
                    int64_t from, int64_t to, double *sums, float *spare)
{
    const int64_t c = (int64_t)a.c;
    const struct voco_layernorm_grad all = a;

    for (int64_t i = from; i < to; i += ROWS) {
        a.rows = (size_t)clamp(to - i, 0, ROWS);
        a.x = all.x + i * c;
        a.dy = all.dy + i * c;
        a.dx = all.dx + i * c;
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
voco_cpu_layernorm_backward(struct voco_ctx *ctx, X x, X w, X mean, X rstd, X dy, Y dx,
                            Y dw, Y db)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), c = voco_cols(x);
    const int64_t most = clamp(SCRATCH_MAX / (2 * c), 1, PIECES_MAX);
    const int64_t pieces = clamp(m / ROWS, 1, most);
    float *spare;
    double *sums = scratch(ctx, pieces * 2 * c, ctx->threads * 2 * c, &spare);

    if (!sums)
        return;
#pragma omp parallel num_threads(ctx->threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < pieces; i++) {
            memset(sums + i * 2 * c, 0, (size_t)(2 * c) * sizeof *sums);
            layernorm_grad_rows(k, (struct voco_layernorm_grad){
                .c = (size_t)c, .x = f32(x), .w = f32(w),
                .mean = f32(mean), .rstd = f32(rstd), .dy = f32(dy), .dx = f32(dx) },
                m * i / pieces, m * (i + 1) / pieces, sums + i * 2 * c,
                spare + omp_get_thread_num() * 2 * c);
        }
#pragma omp for schedule(static)
        for (int64_t j = 0; j < (w ? c : 0); j++)
            voco_cpu_add_pieces(sums, pieces, c, j, f32(dw), f32(db));
    }
}
