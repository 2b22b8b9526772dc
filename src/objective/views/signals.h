/*
 * Do the rows of two views agree, and do those of different crops differ?  Small sums on
 * the host over the rows of one step.
 */
#ifndef VOCO_OBJECTIVE_VIEWS_SIGNALS_H
#define VOCO_OBJECTIVE_VIEWS_SIGNALS_H

#include <stdint.h>

/* Of one set, or means over sets (T. Wang and P. Isola, ICML 2020). */
struct voco_agreement {
    double alignment;           /* mean of |u - u'|^2 of the two views of a crop; 0: equal */
    double uniformity;          /* log of the mean of exp(-2 |u - v|^2) over pairs of rows */
    double accuracy;            /* share of rows whose nearest row is the other view */
};

/* Of rows [2n][c] of length 1, those of view 0 first, at least one crop. */
struct voco_agreement voco_agreement_of(const float *rows, int n, int64_t c);

#endif
