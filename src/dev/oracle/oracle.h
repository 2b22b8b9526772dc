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

#include "dev/entries.h"

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

/* The entries. */
VOCO_DEVICE_PROTOTYPES(voco_oracle_)

/* moments [n,2,c] of x [n,s,c]: norm.c */
void voco_oracle_moments(struct voco_ctx *ctx, X x, Y moments);

/* p = softmax(scale x[c]) without column `without`, whose p is 0; -1: of all.  Returns the
 * logarithm of the sum: losses.c */
double voco_oracle_softmax(int64_t c, double scale, int64_t without, const double *x,
                           double *p);

#endif
