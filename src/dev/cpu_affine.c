/*
 * Scale and shift of channels with a leaky activation.
 *
 * Rows are cut by the shape alone and sums joined in their order, in double, so that
 * results do not depend on the number of threads.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu.h"

enum {
    ROWS = 64,              /* at a time; f32 sums of dw, db over so many */
    PIECES_MAX = 64,
    GRAIN = 1 << 14         /* elements that are worth a second thread */
};

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

static float *
f32(const struct voco_tensor *x)
{
    VOCO_ASSERT(x->type == VOCO_F32);
    return x->data;
}

void
voco_cpu_affine_forward(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y)
{
    const int64_t m = voco_rows(x), c = voco_cols(x);
    const float *scale = f32(w), *shift = f32(b), leak = (float)slope;

    if (ctx->err)
        return;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (m * c > GRAIN)
    for (int64_t i = 0; i < m; i++) {
        const float *in = f32(x) + i * c;
        float *out = f32(y) + i * c;

#pragma omp simd
        for (int64_t j = 0; j < c; j++) {
            const float t = scale[j] * in[j] + shift[j];

            out[j] = t > 0 ? t : leak * t;
        }
    }
}

struct operands {
    const float *x, *w, *b, *dy;
    float *dx, leak;
    int64_t c;
};

/* One row: dx, and what it adds to sums of g x and of g. */
static void
grad_row(const struct operands *o, int64_t row, float *restrict sum_gx,
         float *restrict sum_g)
{
    const float *x = o->x + row * o->c, *dy = o->dy + row * o->c;
    float *dx = o->dx + row * o->c;

#pragma omp simd
    for (int64_t j = 0; j < o->c; j++) {
        const float t = o->w[j] * x[j] + o->b[j];
        const float g = t > 0 ? dy[j] : o->leak * dy[j];

        sum_gx[j] += g * x[j];
        sum_g[j] += g;
        dx[j] = o->w[j] * g;
    }
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
            grad_row(o, r, spare, spare + c);
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
    const struct operands o = { .x = f32(x), .w = f32(w), .b = f32(b), .dy = f32(dy),
                                .dx = f32(dx), .leak = (float)slope, .c = c };
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
        voco_cpu_add_pieces(sums, pieces, c, j, f32(dw), f32(db));
}
