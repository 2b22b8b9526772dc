/* Entries of the cpu device that move voxels: patch merging, pooling, columns, axes. */
#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- patch merging ---- */

void
voco_cpu_merge_forward(struct voco_ctx *ctx, X x, const int (*order)[3], Y y)
{
    const int64_t d = x->dim[1], h = x->dim[2], w = x->dim[3], c = x->dim[4];
    const int64_t d2 = (d + 1) / 2, h2 = (h + 1) / 2, w2 = (w + 1) / 2;
    const int64_t rows = x->dim[0] * d2 * h2 * w2;
    const size_t bytes = (size_t)c * voco_type_bytes(x->type);
    const char *px = x->data;
    char *py = y->data;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == rows * 8 * c && x->type == y->type);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int o = 0; o < 8; o++) {
            const int64_t k = r % w2 * 2 + order[o][2], j = r / w2 % h2 * 2 + order[o][1];
            const int64_t i = r / (w2 * h2) % d2 * 2 + order[o][0], n = r / (w2 * h2 * d2);
            char *to = py + (size_t)(r * 8 + o) * bytes;

            if (i < d && j < h && k < w)
                memcpy(to, px + (size_t)(((n * d + i) * h + j) * w + k) * bytes, bytes);
            else
                memset(to, 0, bytes);
        }
}

/* Each voxel gathers from the places of its row of dy that came from it: channels
 * [q, q + m) of voxel (i,j,k), whose row begins at element row. */
static void
gather_places(const struct voco_kernels *kernels, X dy, const int (*order)[3],
              const int64_t odd[3], int64_t row, int64_t c, int64_t q, int64_t m, float *to)
{
    float spare[VOCO_BLOCK];

    memset(to, 0, (size_t)m * sizeof *to);
    for (int o = 0; o < 8; o++)
        if (order[o][0] == odd[0] && order[o][1] == odd[1] && order[o][2] == odd[2])
            kernels->add(voco_block_read(kernels, dy, row + o * c + q, m, spare), to,
                         (size_t)m);
}

void
voco_cpu_merge_backward(struct voco_ctx *ctx, X dy, const int (*order)[3], Y dx)
{
    const struct voco_kernels *kernels = voco_cpu_state(ctx)->kernels;
    const int64_t d = dx->dim[1], h = dx->dim[2], w = dx->dim[3], c = dx->dim[4];
    const int64_t d2 = (d + 1) / 2, h2 = (h + 1) / 2, w2 = (w + 1) / 2;
    const int64_t voxels = dx->dim[0] * d * h * w;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(dy) == dx->dim[0] * d2 * h2 * w2 * 8 * c);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t v = 0; v < voxels; v++) {
        const int64_t k = v % w, j = v / w % h, i = v / (w * h) % d, n = v / (w * h * d);
        const int64_t odd[3] = { i % 2, j % 2, k % 2 };
        const int64_t row = (((n * d2 + i / 2) * h2 + j / 2) * w2 + k / 2) * 8 * c;

        for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
            const int64_t m = voco_block_size(c, q);
            float spare[VOCO_BLOCK], *to = voco_block_room(dx, v * c + q, spare);

            gather_places(kernels, dy, order, odd, row, c, q, m, to);
            voco_block_done(kernels, dx, v * c + q, m, to);
        }
    }
}

/* ---- global average pooling ---- */

void
voco_cpu_pool_forward(struct voco_ctx *ctx, X x, Y y, int64_t first)
{
    const int64_t n = x->dim[0], c = voco_cols(x), s = voco_rows(x) / (n ? n : 1);
    const int64_t cols = voco_cols(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(y) == n && first >= 0 && first + c <= cols);
    for (int64_t i = 0; i < n; i++) {
        const struct voco_tensor item = voco_slice(x, i, 1);
        float *to = voco_f32(y) + i * cols + first;

        memset(to, 0, (size_t)c * sizeof *to);
        voco_cpu_columns_add(ctx, &item, to);
        for (int64_t j = 0; j < c; j++)
            to[j] /= (float)s;
    }
}

/* All rows of an item are the same. */
void
voco_cpu_pool_backward(struct voco_ctx *ctx, X dy, int64_t first, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = dx->dim[0], c = voco_cols(dx), s = voco_rows(dx) / (n ? n : 1);
    const size_t bytes = (size_t)c * voco_type_bytes(dx->type);
    struct voco_tensor row = { .dim = { c, 1, 1, 1, 1 }, .rank = 1, .type = dx->type };
    float *mean = voco_cpu_scratch(ctx, (size_t)c * 2 * sizeof *mean);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(dy) == n && first >= 0 && first + c <= voco_cols(dy));
    row.data = mean + c;
    for (int64_t i = 0; i < n; i++) {
        float *to = voco_block_room(&row, 0, mean);

        for (int64_t j = 0; j < c; j++)
            to[j] = voco_f32(dy)[i * voco_cols(dy) + first + j] / (float)s;
        voco_block_done(k, &row, 0, c, to);
        #pragma omp parallel for num_threads(ctx->threads) schedule(static)
        for (int64_t r = 0; r < s; r++)
            memcpy((char *)dx->data + (size_t)(i * s + r) * bytes, row.data, bytes);
    }
}

/* ---- columns ---- */

void
voco_cpu_copy_columns(struct voco_ctx *ctx, X x, int64_t from, Y y, int64_t to, int64_t n)
{
    const int64_t cx = voco_cols(x), cy = voco_cols(y), rows = voco_rows(x);
    const int64_t size = (int64_t)voco_type_bytes(x->type);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(y) == rows && from >= 0 && from + n <= cx && to >= 0
                && to + n <= cy && x->type == y->type);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        memcpy((char *)y->data + (r * cy + to) * size,
               (const char *)x->data + (r * cx + from) * size, (size_t)(n * size));
}

/* ---- axes ---- */

void
voco_cpu_permute(struct voco_ctx *ctx, X x, const int axis[3], Y y)
{
    const size_t bytes = (size_t)x->dim[4] * voco_type_bytes(x->type);
    const size_t step[3] = { (size_t)(x->dim[2] * x->dim[3]) * bytes,
                             (size_t)x->dim[3] * bytes, bytes };
    const size_t item = (size_t)x->dim[1] * step[0];

    if (ctx->err)
        return;
    VOCO_ASSERT(x->type == y->type && x->dim[0] == y->dim[0] && x->dim[4] == y->dim[4]);
    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(y->dim[1 + i] == x->dim[1 + axis[i]]);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < y->dim[0] * y->dim[1]; r++) {
        const char *from = (const char *)x->data + (size_t)(r / y->dim[1]) * item
                         + (size_t)(r % y->dim[1]) * step[axis[0]];
        char *to = (char *)y->data + (size_t)(r * y->dim[2] * y->dim[3]) * bytes;

        for (int64_t j = 0; j < y->dim[2]; j++)
            for (int64_t k = 0; k < y->dim[3]; k++, to += bytes)
                memcpy(to, from + (size_t)j * step[axis[1]] + (size_t)k * step[axis[2]],
                       bytes);
    }
}

void
voco_cpu_subsample(struct voco_ctx *ctx, X x, const int64_t by[3], Y y)
{
    const size_t bytes = (size_t)x->dim[4] * voco_type_bytes(x->type);

    if (ctx->err)
        return;
    VOCO_ASSERT(x->type == y->type && x->dim[0] == y->dim[0] && x->dim[4] == y->dim[4]);
    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(y->dim[1 + i] * by[i] == x->dim[1 + i]);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < y->dim[0] * y->dim[1] * y->dim[2]; r++) {
        const int64_t n = r / y->dim[2] / y->dim[1];
        const int64_t i = r / y->dim[2] % y->dim[1] * by[0] + by[0] / 2;
        const int64_t j = r % y->dim[2] * by[1] + by[1] / 2;
        const char *row = (const char *)x->data
                        + (size_t)(((n * x->dim[1] + i) * x->dim[2] + j) * x->dim[3]) * bytes;
        char *to = (char *)y->data + (size_t)(r * y->dim[3]) * bytes;

        for (int64_t k = 0; k < y->dim[3]; k++, to += bytes)
            memcpy(to, row + (size_t)(k * by[2] + by[2] / 2) * bytes, bytes);
    }
}
