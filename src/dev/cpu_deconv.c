/* Transposed convolution whose stride is its kernel: a linear layer for each place of the
 * output cell, gathered so that each product is dense. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cpu_block.h"
#include "dev/cpu_conv.h"

enum { CELLS = 64 };            /* input voxels that one thread handles at a time */

struct shape {
    int64_t m, d, h, w, cin, cout;      /* m = n d h w input voxels */
    int64_t k[3], taps, cols;           /* kernel; outputs of a voxel: taps cout */
};

static struct shape
shape_of(const struct voco_tensor *x, const struct voco_tensor *w)
{
    const int64_t *k = w->dim + 2, taps = k[0] * k[1] * k[2];

    VOCO_ASSERT(w->rank == 5 && w->dim[0] == x->dim[4]);
    return (struct shape){ .m = voco_rows(x), .d = x->dim[1], .h = x->dim[2],
                           .w = x->dim[3], .cin = x->dim[4], .cout = w->dim[1],
                           .k = { k[0], k[1], k[2] }, .taps = taps,
                           .cols = taps * w->dim[1] };
}

/* torch [cin,cout,taps] -> [cin,taps,cout] */
static enum voco_err
make_packed(void *arg, const float *w, float *packed)
{
    const struct shape *s = arg;

    for (int64_t i = 0; i < s->cin; i++)
        for (int64_t o = 0; o < s->cout; o++)
            for (int64_t a = 0; a < s->taps; a++)
                packed[(i * s->taps + a) * s->cout + o] = w[(i * s->cout + o) * s->taps + a];
    return VOCO_OK;
}

static const float *
packed_of(struct voco_ctx *ctx, const struct voco_tensor *w, struct shape *s)
{
    const int64_t count = voco_count(w);

    return voco_packed(ctx, w->data, count, VOCO_LAYOUT_DECONV,
                       (size_t)count * sizeof(float), make_packed, s);
}

/* Copy between cells[rows,taps,cout] of input voxels [from,from+rows) and y. */
static void
move_cells(const struct voco_kernels *k, const struct shape *s, const struct voco_tensor *y,
           float *cells, int64_t from, int64_t rows, bool gather)
{
    const int64_t line = s->k[2] * s->cout;     /* contiguous in both */

    for (int64_t r = from; r < from + rows; r++) {
        const int64_t l = r % s->w, j = r / s->w % s->h, i = r / s->w / s->h;  /* i: n d */

        for (int64_t a = 0; a < s->k[0] * s->k[1]; a++, cells += line) {
            const int64_t row = (s->k[0] * i + a / s->k[1]) * s->k[1] * s->h
                              + s->k[1] * j + a % s->k[1];
            const int64_t at = (row * s->w + l) * line;

            if (gather)
                voco_block_get(k, y, at, line, cells);
            else
                voco_block_put(k, y, at, line, cells);
        }
    }
}

/* x[m,n] += b, by the calling thread */
static void
add_bias(const float *b, float *x, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++, x += n)
        for (int64_t j = 0; j < n; j++)
            x[j] += b[j];
}

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

void
voco_cpu_deconv_forward(struct voco_ctx *ctx, X x, X w, X b, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    struct shape s = shape_of(x, w);
    const int64_t cols = s.cols, each = CELLS * (cols + s.cin);
    const float *packed;
    float *scratch;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == s.m * cols);
    packed = packed_of(ctx, w, &s);
    scratch = voco_cpu_scratch(ctx, (size_t)ctx->threads * (size_t)each * sizeof(float));
    if (!packed || !scratch)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num();
        float *cells = scratch + t * each, *spare = cells + CELLS * cols;
        int64_t from, to;

        voco_cpu_share(s.m, CELLS, t, omp_get_num_threads(), &from, &to);
        for (int64_t r = from; r < to; r += CELLS) {
            const int64_t rows = to - r < CELLS ? to - r : CELLS;

            voco_cpu_sgemm(false, false, rows, cols, s.cin,
                           voco_block_read(k, x, r * s.cin, rows * s.cin, spare), s.cin,
                           packed, cols, false, cells, cols);
            if (b)
                add_bias(voco_f32(b), cells, rows * s.taps, s.cout);
            move_cells(k, &s, y, cells, r, rows, false);
        }
    }
}

static void
backward_data(struct voco_ctx *ctx, const struct shape *s, const float *packed, Y dy, Y dx,
              float *scratch)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t cols = s->cols, each = CELLS * (cols + s->cin);

    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num();
        float *cells = scratch + t * each, *spare = cells + CELLS * cols;
        int64_t from, to;

        voco_cpu_share(s->m, CELLS, t, omp_get_num_threads(), &from, &to);
        for (int64_t r = from; r < to; r += CELLS) {
            const int64_t rows = to - r < CELLS ? to - r : CELLS;

            float *room = voco_block_room(dx, r * s->cin, spare);

            move_cells(k, s, dy, cells, r, rows, true);
            voco_cpu_sgemm(false, true, rows, s->cin, cols, cells, cols, packed, cols,
                           false, room, s->cin);
            voco_block_done(k, dx, r * s->cin, rows * s->cin, room);
        }
    }
}

/* All threads gather the same cells, then each makes some rows of dw; sum over voxels is
 * in their order, whatever the number of threads.  Behind cells are x and dw in packed
 * order. */
static void
backward_weights(struct voco_ctx *ctx, const struct shape *s, X x, Y dy, Y dw,
                 float *scratch)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t cols = s->cols, cells_at_once = CELLS * ctx->threads;
    float *cells = scratch, *rows_x = scratch + cells_at_once * cols;
    float *sum = rows_x + cells_at_once * s->cin, *to_add = dw->data;

    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        int64_t i0, i1, from, to;

        voco_cpu_share(s->cin, 16, t, nt, &i0, &i1);
        for (int64_t r = 0; r < s->m; r += cells_at_once) {
            const int64_t rows = s->m - r < cells_at_once ? s->m - r : cells_at_once;

            voco_cpu_share(rows, 1, t, nt, &from, &to);
            move_cells(k, s, dy, cells + from * cols, r + from, to - from, true);
            voco_block_get(k, x, (r + from) * s->cin, (to - from) * s->cin,
                           rows_x + from * s->cin);
            #pragma omp barrier
            if (i0 < i1)
                voco_cpu_sgemm(true, false, i1 - i0, cols, rows,
                               rows_x + i0, s->cin, cells, cols, r > 0, sum + i0 * cols,
                               cols);
            #pragma omp barrier
        }
        for (int64_t i = i0; i < i1; i++)
            for (int64_t o = 0; o < s->cout; o++)
                for (int64_t a = 0; a < s->taps; a++)
                    to_add[(i * s->cout + o) * s->taps + a]
                        += sum[(i * s->taps + a) * s->cout + o];
    }
}

void
voco_cpu_deconv_backward(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db)
{
    struct shape s = shape_of(x, w);
    const size_t floats = (size_t)ctx->threads * CELLS * (size_t)(s.cols + s.cin)
                          + (size_t)voco_count(w);
    const float *packed;
    float *scratch;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(dy) == s.m * s.cols);
    packed = packed_of(ctx, w, &s);
    scratch = voco_cpu_scratch(ctx, floats * sizeof(float));
    if (!packed || !scratch)
        return;
    if (dx)
        backward_data(ctx, &s, packed, dy, dx, scratch);
    backward_weights(ctx, &s, x, dy, dw, scratch);
    if (db)
        voco_cpu_columns_add(ctx, dy, voco_f32(db));
}
