/*
 * The oracle: every primitive of dev/device.h in plain loops over double.
 *
 * This is the specification that the other devices are tested against, so it is written
 * to be read.  Loops run over contiguous channels inside and over items or rows outside,
 * where threads may share them; no result depends on the number of threads.
 */
#ifndef VOCO_DEV_ORACLE_ORACLE_H
#define VOCO_DEV_ORACLE_ORACLE_H

#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "dev/device.h"

/* X is read; the view of Y is const, its elements are written: as in dev/device.h */
#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* The elements; NULL for an optional tensor that is left out. */
static inline double *
f64(const struct voco_tensor *x)
{
    VOCO_ASSERT(!x || x->type == VOCO_F64);
    return x ? x->data : NULL;
}

/* Which of the ctx->threads this is, inside a parallel loop. */
static inline int
thread(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* y[n] += a x[n] */
static inline void
axpy(int64_t n, double a, const double *restrict x, double *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static inline double
dot(int64_t n, const double *x, const double *y)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* y[n] += x[k] m[k,n]; four rows of m at a time, which halves the loads of y */
static inline void
add_row_times_matrix(int64_t k, int64_t n, const double *restrict x,
                     const double *restrict m, double *restrict y)
{
    for (; k >= 4; k -= 4, x += 4, m += 4 * n) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] += x[0] * m[i] + x[1] * m[n + i] + x[2] * m[2 * n + i]
                  + x[3] * m[3 * n + i];
    }
    for (; k > 0; k--, x++, m += n)
        axpy(n, x[0], m, y);
}

/* ---- oracle_conv.c ---- */
void voco_oracle_conv3d_forward(struct voco_ctx *ctx, const struct voco_conv *conv, X x,
                                X w, X b, Y y, Y moments);
void voco_oracle_conv3d_backward_data(struct voco_ctx *ctx, const struct voco_conv *conv,
                                      X dy, X w, Y dx);
void voco_oracle_conv3d_backward_weights(struct voco_ctx *ctx,
                                         const struct voco_conv *conv, X x, X dy, Y dw,
                                         Y db);
void voco_oracle_deconv_forward(struct voco_ctx *ctx, X x, X w, X b, Y y);
void voco_oracle_deconv_backward(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db);
void voco_oracle_linear_forward(struct voco_ctx *ctx, X x, X w, X b, Y y);
void voco_oracle_linear_backward_data(struct voco_ctx *ctx, X dy, X w, Y dx);
void voco_oracle_linear_backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw, Y db);
size_t voco_oracle_conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                                  const struct voco_conv *conv, X x);

/* ---- oracle_norm.c ---- */
/* moments [n,2,c] of x [n,s,c] */
void voco_oracle_moments(struct voco_ctx *ctx, X x, Y moments);
void voco_oracle_instnorm_forward(struct voco_ctx *ctx, X x, X moments, X r, double slope,
                                  double eps, Y y, Y rstd);
void voco_oracle_instnorm_backward(struct voco_ctx *ctx, X y, X r, X rstd, double slope,
                                   X dy, Y dx, Y dr);
void voco_oracle_layernorm_forward(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y,
                                   Y mean, Y rstd);
void voco_oracle_layernorm_backward(struct voco_ctx *ctx, X x, X w, X b, X mean, X rstd,
                                    X dy, X r, Y dx, Y y, Y dw, Y db);
void voco_oracle_affine_forward(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y);
void voco_oracle_affine_backward(struct voco_ctx *ctx, X x, X w, X b, double slope, X dy,
                                 Y dx, Y dw, Y db);

/* ---- voco_oracle_attn.c ---- */
void voco_oracle_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                              X qkv_bias, X table, Y y, Y lse);
void voco_oracle_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win,
                               X qkv, X qkv_bias, X table, X y, X lse, X dy, Y dqkv,
                               Y dqkv_bias, Y dtable);
size_t voco_oracle_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                                  const struct voco_windows *win, X qkv);

/* ---- oracle_contrast.c ---- */
void voco_oracle_assign_forward(struct voco_ctx *ctx, X a, X b, Y s);
void voco_oracle_assign_backward(struct voco_ctx *ctx, X a, X b, X s, X ds, Y da, Y db);
void voco_oracle_ce_forward(struct voco_ctx *ctx, X y, X p, double weight, Y loss);
void voco_oracle_ce_backward(struct voco_ctx *ctx, X y, X p, double weight, Y dp);
void voco_oracle_decor_forward(struct voco_ctx *ctx, X s, double weight, Y loss);
void voco_oracle_decor_backward(struct voco_ctx *ctx, X s, double weight, Y ds);

/* ---- oracle_dicece.c ---- */
void voco_oracle_dicece_forward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                                X label, double weight, Y sums, Y loss);
void voco_oracle_dicece_backward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                                 X label, X sums, double weight, Y dx);

#endif
