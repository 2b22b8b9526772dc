/* Softmax of blocks of short rows, classes transposed to the front, or of a long row. */
#include "dev/cpu/softmax.h"

#include <string.h>

enum { ROWS = VOCO_SOFTMAX_ROWS };

/* Never the largest, and exp of it is 0. */
static const float left_out = -1e30f;

/* One long row. */
static void
softmax_row(const struct voco_kernels *kernels, const float *x, int64_t c, float scale,
            int64_t without, float *p, float *ret_top, float *ret_sum)
{
    float top, sum = 0;

    for (int64_t k = 0; k < c; k++)
        p[k] = scale * x[k];
    if (without >= 0)
        p[without] = left_out;
    top = p[0];
    for (int64_t k = 1; k < c; k++)
        top = p[k] > top ? p[k] : top;
    for (int64_t k = 0; k < c; k++)
        p[k] -= top;
    kernels->exp(p, p, (size_t)c);
    #pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < c; k++)
        sum += p[k];
    for (int64_t k = 0; k < c; k++)
        p[k] /= sum;
    if (ret_top)
        *ret_top = top;
    if (ret_sum)
        *ret_sum = sum;
}

static void
softmax_block(const struct voco_kernels *kernels, const float *x, int64_t m, int64_t c,
              float scale, int64_t without, float *p, float *ret_top, float *ret_sum)
{
    float top[ROWS], sum[ROWS] = { 0 };

    for (int64_t k = 0; k < c; k++)
        for (int64_t i = 0; i < ROWS; i++)
            p[k * ROWS + i] = i < m ? scale * x[i * c + k] : 0;
    for (int64_t i = 0; i < m && without >= 0; i++)
        p[(without + i) * ROWS + i] = left_out;
    memcpy(top, p, sizeof top);
    for (int64_t k = 1; k < c; k++)
        #pragma omp simd
        for (int i = 0; i < ROWS; i++)
            top[i] = p[k * ROWS + i] > top[i] ? p[k * ROWS + i] : top[i];
    for (int64_t k = 0; k < c; k++)
        #pragma omp simd
        for (int i = 0; i < ROWS; i++)
            p[k * ROWS + i] -= top[i];
    kernels->exp(p, p, (size_t)(c * ROWS));
    for (int64_t k = 0; k < c; k++)
        #pragma omp simd
        for (int i = 0; i < ROWS; i++)
            sum[i] += p[k * ROWS + i];
    for (int64_t k = 0; k < c; k++)
        #pragma omp simd
        for (int i = 0; i < ROWS; i++)
            p[k * ROWS + i] /= sum[i];
    if (ret_top)
        memcpy(ret_top, top, sizeof top);
    if (ret_sum)
        memcpy(ret_sum, sum, sizeof sum);
}

void
voco_cpu_softmax(const struct voco_kernels *kernels, const float *x, int64_t m, int64_t c,
                 float scale, int64_t without, float *p, float *top, float *sum)
{
    if (voco_cpu_softmax_rows(c) == 1)
        softmax_row(kernels, x, c, scale, without, p, top, sum);
    else
        softmax_block(kernels, x, m, c, scale, without, p, top, sum);
}
