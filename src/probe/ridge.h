/*
 * Ridge regression, with several targets and several strengths of the penalty.
 *
 *   min over w, b of  sum_i |y_i - x_i w - b|^2 + lambda |w|^2      b is not penalised
 *
 * With fewer rows than features the equations are those of the span of the rows
 * (probe/linear.h).
 */
#ifndef VOCO_PROBE_RIDGE_H
#define VOCO_PROBE_RIDGE_H

#include "base/err.h"
#include "probe/linear.h"

/* x[n][width], y[n][targets]; ret[n_lambda], each to be freed.  VOCO_ENUMERIC: lambda is 0 and
 * the features are linearly dependent. */
enum voco_err voco_ridge_fit(const double *x, const double *y, int n, int width, int targets,
                             const double *lambda, int n_lambda, struct voco_linear *ret);

/* The solutions for sums that are given: gram[width][width] of centred features, its lower
 * triangle, and cross[targets][width], the sums of centred target times centred feature.
 * w[targets][width] for one lambda. */
enum voco_err voco_ridge_solve(const double *gram, const double *cross, int width, int targets,
                               double lambda, double *w);

#endif
