/*
 * Scale and shift of channels with a leaky activation.
 *
 * Rows are cut by the shape alone and sums joined in their order, in double, so that
 * results do not depend on the number of threads.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu/block.h"

enum {
    ROWS = 64,              /* at a time; f32 sums of dw, db over so many */
    PIECES_MAX = 64,
    GRAIN = 1 << 14         /* elements that are worth a second thread */
};

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

void
voco_cpu_affine_forward(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), c = voco_cols(x);

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (m * c > GRAIN)
    for (int64_t i = 0; i < m; i++)
        for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
            const int64_t n = voco_block_size(c, q), at = i * c + q;
            const float *scale = voco_f32(w) + q, *shift = voco_f32(b) + q;
            const float leak = (float)slope;
            float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK];
            const float *in = voco_block_read(k, x, at, n, spare_x);
            float *out = voco_block_room(y, at, spare_y);

#pragma omp simd
            for (int64_t j = 0; j < n; j++) {
                const float t = scale[j] * in[j] + shift[j];

                out[j] = t > 0 ? t : leak * t;
            }
            voco_block_done(k, y, at, n, out);
        }
}

struct operands {
    const struct voco_kernels *k;
    const struct voco_tensor *x, *dy, *dx;
    const float *w, *b;
    float leak;
    int64_t c;
};

/* Channels [q, q + n) of one row: dx, and the terms for the sums of g x and of g. */
static void
grad_block(const struct operands *o, int64_t row, int64_t q, int64_t n,
           float *restrict sum_gx, float *restrict sum_g)
{
    const int64_t at = row * o->c + q;
    const float *w = o->w + q, *b = o->b + q;
    float spare[3][VOCO_BLOCK];
    const float *x = voco_block_read(o->k, o->x, at, n, spare[0]);
    const float *dy = voco_block_read(o->k, o->dy, at, n, spare[1]);
    float *dx = voco_block_room(o->dx, at, spare[2]);

#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        const float t = w[j] * x[j] + b[j];
        const float g = t > 0 ? dy[j] : o->leak * dy[j];

        sum_gx[j] += g * x[j];
        sum_g[j] += g;
        dx[j] = w[j] * g;
    }
    voco_block_done(o->k, o->dx, at, n, dx);
}

/* Rows [from, to): sums [2,c] of g x and of g, through spare [2c]. */
static void
grad_rows(const struct operands *o, int64_t from, int64_t to, double *sums, float *spare)
{
    const size_t c = (size_t)o->c;

    memset(sums, 0, 2 * c * sizeof *sums);
    for (int64_t i = from; i < to; i += ROWS) {
        memset(spare, 0, 2 * c * sizeof *spare);
        for (int64_t r = i; r < to && r < i + ROWS; r++)
            for (int64_t q = 0; q < o->c; q += VOCO_BLOCK)
                grad_block(o, r, q, voco_block_size(o->c, q), spare + q,
                           spare + o->c + q);
        for (size_t j = 0; j < 2 * c; j++)
            sums[j] += (double)spare[j];
    }
}

void
voco_cpu_affine_backward(struct voco_ctx *ctx, X x, X w, X b, double slope, X dy, Y dx,
                         Y dw, Y db)
{
    const int64_t m = voco_rows(x), c = voco_cols(x), most = m / ROWS;
    const int64_t pieces = most < 1 ? 1 : most > PIECES_MAX ? PIECES_MAX : most;
    const size_t doubles = (size_t)(pieces * 2 * c) * sizeof(double);
    const struct operands o = { .k = voco_cpu_state(ctx)->kernels, .x = x, .dy = dy,
                                .dx = dx, .w = voco_f32(w), .b = voco_f32(b),
                                .leak = (float)slope, .c = c };
    double *sums = NULL;
    float *spare;

    if (!ctx->err)
        sums = voco_cpu_scratch(ctx, doubles + (size_t)(ctx->threads * 2 * c)
                                               * sizeof *spare);
    if (!sums)
        return;
    spare = (float *)(void *)(sums + pieces * 2 * c);
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t i = 0; i < pieces; i++)
        grad_rows(&o, m * i / pieces, m * (i + 1) / pieces, sums + i * 2 * c,
                  spare + omp_get_thread_num() * 2 * c);
    for (int64_t j = 0; j < c; j++)
        voco_cpu_add_pieces(sums, pieces, c, j, voco_f32(dw), voco_f32(db));
}
