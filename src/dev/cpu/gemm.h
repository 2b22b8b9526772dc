/* Products of matrices on the cpu device: the common part of the implementations. */
#ifndef VOCO_DEV_CPU_GEMM_H
#define VOCO_DEV_CPU_GEMM_H

#include "dev/cpu/cpu.h"

/* c[m,n] = op(a) op(b) (+ bias[n]) (+ c), all row-major */
struct voco_gemm {
    bool ta, tb, add;
    int64_t m, n, k;
    const float *a, *b, *bias;
    float *c;
    int64_t lda, ldb, ldc;
    const uint16_t *a_bf16;         /* unless NULL, in place of a and c; b is rounded */
    uint16_t *c_bf16;
};

/* sum[n] += column sums of rows [i0,i1) of x [..,n]; 64 rows at a time in f32 (part [n] is
 * scratch), those in double */
void voco_gemm_add_columns(const struct voco_kernels *k, const float *x, int64_t i0,
                           int64_t i1, int64_t n, float *part, double *sum);

/* ---- gemm_tiles.c: the own kernels ---- */

/* Whether tiles can do the shape: rows of c are whole vectors, b is packed in little. */
bool voco_gemm_tiles_can(const struct voco_ctx *ctx, const struct voco_gemm *g);

/* a not transposed: b is packed into panels once, rows of c are shared among threads. */
void voco_gemm_tiles(struct voco_ctx *ctx, const struct voco_gemm *g);

/* Whether tiles can multiply pairs of bfloat16, too: both activations a and b are that,
 * rows of a are pairs, and many; of few rows the library is as fast. */
bool voco_gemm_pairs_can(const struct voco_ctx *ctx, const struct voco_tensor *a,
                         const struct voco_tensor *b);

/* dw[n,k] += dy[m,n]' x[m,k], db[n] += column sums of dy unless NULL; x and dy are f32, or
 * bfloat16 where pairs can.  Where rows are many threads share them and
 * add up their parts in order, else they share the rows of dw. */
void voco_gemm_tiles_weights(struct voco_ctx *ctx, const struct voco_tensor *x,
                             const struct voco_tensor *dy, float *dw, float *db);

#endif
