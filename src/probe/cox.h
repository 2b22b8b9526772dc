/*
 * Cox's proportional hazards with an L2 penalty.
 *
 *   negative log partial likelihood(beta) + lambda/2 |beta|^2
 *
 * The risk set of a time are all cases whose time is at least that.  Ties of m events by
 * Breslow (the whole risk set m times) or by Efron (of the tied events the share l/m taken out
 * of it, l = 0..m-1).
 */
#ifndef VOCO_PROBE_COX_H
#define VOCO_PROBE_COX_H

#include <stdbool.h>

#include "base/err.h"

enum voco_ties { VOCO_TIES_EFRON, VOCO_TIES_BRESLOW };

struct voco_cox {
    int n, width;
    const double *x;            /* [n][width] */
    const double *time;         /* [n] */
    const bool *event;          /* [n]; false: censored then */
    enum voco_ties ties;
    double lambda;
};

/* The value at beta; gradient[width] and hessian[width][width] (all of it) may be NULL. */
double voco_cox_value(const struct voco_cox *c, const double *beta, double *gradient,
                      double *hessian);

/* beta holds the start and gets the fit.  ret_error[width]: standard errors, from the Hessian;
 * ret_value; both may be NULL.  VOCO_ENUMERIC: no fit, because without a penalty the features
 * depend on each other or put the events in order. */
enum voco_err voco_cox_fit(const struct voco_cox *c, double *beta, double *ret_error,
                           double *ret_value);

#endif
