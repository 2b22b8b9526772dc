/*
 * Dense matrices of doubles, row-major, of the sizes that probes have.
 */
#ifndef VOCO_PROBE_MATRIX_H
#define VOCO_PROBE_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

/* n doubles, zeroed; ends the program without memory. */
double *voco_doubles(int64_t n);

double voco_dot(const double *a, const double *b, int n);
/* y += scale x */
void voco_axpy(double scale, const double *x, int n, double *y);

/* g[cols][cols] += sum over rows of weight[row] x[row] x[row]', the lower triangle only.
 * weight NULL: all 1. */
void voco_gram(const double *x, const double *weight, int64_t rows, int cols, double *g);

/* The lower triangle of a[n][n] becomes L with a = L L'.  false: a is not positive definite,
 * as far as doubles can tell. */
bool voco_cholesky(double *a, int n);
/* b becomes the solution x of L L' x = b. */
void voco_cholesky_solve(const double *l, int n, double *b);
/* The diagonal of the inverse of L L'. */
void voco_cholesky_inverse_diagonal(const double *l, int n, double *ret);

#endif
