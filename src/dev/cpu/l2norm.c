/* Rows of length 1 on the cpu device: torch.nn.functional.normalize. */
#include <math.h>

#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

enum { GRAIN = 1 << 14 };       /* elements that are worth a second thread */

static double
sum_of_squares(const struct voco_kernels *k, X x, int64_t at, int64_t c)
{
    float spare[VOCO_BLOCK];
    double sum = 0;

    for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
        const int64_t n = voco_block_size(c, q);

        sum += k->sum_squares(voco_block_read(k, x, at + q, n, spare), (size_t)n);
    }
    return sum;
}

void
voco_cpu_l2norm_forward(struct voco_ctx *ctx, X x, double eps, Y y, Y norm)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), c = voco_cols(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(norm) == m && voco_count(y) == m * c && eps > 0);
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (m * c > GRAIN)
    for (int64_t i = 0; i < m; i++) {
        const double length = sqrt(sum_of_squares(k, x, i * c, c));
        const float factor = (float)(1 / fmax(length, eps));

        voco_f32(norm)[i] = (float)(length > eps ? length : -eps);
        for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
            const int64_t n = voco_block_size(c, q), at = i * c + q;
            float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK];
            float *to = voco_block_room(y, at, spare_y);

            k->scale(voco_block_read(k, x, at, n, spare_x), factor, to, (size_t)n);
            voco_block_done(k, y, at, n, to);
        }
    }
}

static double
sum_of_products(const struct voco_kernels *k, X x, X y, int64_t at, int64_t c)
{
    float spare[2][VOCO_BLOCK];
    double sum = 0;

    for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
        const int64_t n = voco_block_size(c, q);
        const float *a = voco_block_read(k, x, at + q, n, spare[0]);
        const float *b = voco_block_read(k, y, at + q, n, spare[1]);

#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < n; j++)
            sum += (double)a[j] * (double)b[j];
    }
    return sum;
}

/* dx = (dy - y sum(y dy)) / |x|, or dy / eps */
void
voco_cpu_l2norm_backward(struct voco_ctx *ctx, X y, X norm, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(y), c = voco_cols(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(norm) == m && voco_count(dy) == m * c && voco_count(dx) == m * c);
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (m * c > GRAIN)
    for (int64_t i = 0; i < m; i++) {
        const float length = voco_f32(norm)[i], factor = 1 / fabsf(length);
        const float along = length > 0 ? (float)sum_of_products(k, y, dy, i * c, c) : 0;

        for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
            const int64_t n = voco_block_size(c, q), at = i * c + q;
            float spare[3][VOCO_BLOCK];
            const float *out = voco_block_read(k, y, at, n, spare[0]);
            const float *dout = voco_block_read(k, dy, at, n, spare[1]);
            float *to = voco_block_room(dx, at, spare[2]);

            for (int64_t j = 0; j < n; j++)
                to[j] = (dout[j] - along * out[j]) * factor;
            voco_block_done(k, dx, at, n, to);
        }
    }
}
