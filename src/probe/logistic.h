/*
 * Logistic regression with an L2 penalty, fitted until it has converged.
 *
 *   min over W, b of  sum_i -log softmax(W x_i + b)[y_i] + lambda/2 |W|^2
 *
 * b is not penalised; with more than two classes it sums to 0.  Two classes have one output,
 * whose sigmoid is the probability of class 1.  lambda must be above 0: without a penalty,
 * classes that a plane separates have no fit.
 */
#ifndef VOCO_PROBE_LOGISTIC_H
#define VOCO_PROBE_LOGISTIC_H

#include "base/err.h"
#include "probe/linear.h"

/* Outputs of the map for so many classes. */
int voco_logistic_outputs(int classes);

/* x[n][width], y[n] in 0..classes-1.  m holds the start, zeros or the fit of another lambda,
 * and gets the fit; it has voco_logistic_outputs(classes) outputs.  ret_loss may be NULL.
 * VOCO_ENUMERIC: it did not converge. */
enum voco_err voco_logistic_fit(const double *x, const int *y, int n, int classes,
                                double lambda, struct voco_linear *m, double *ret_loss);

/* p[n][classes] */
void voco_logistic_probability(const struct voco_linear *m, const double *x, int n,
                               int classes, double *p);

#endif
