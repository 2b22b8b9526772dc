/*
 * Statistics of a sample of cases: means with bootstrap intervals, and paired tests.
 */
#ifndef VOCO_EVAL_STATS_H
#define VOCO_EVAL_STATS_H

#include <stdint.h>

#include "base/err.h"

struct voco_stats {
    int n;                      /* values that are numbers; NaN and infinite ones are out */
    double mean, sd;            /* sd over n - 1; NaN below 2 */
    double median, least, most;
    double low, high;           /* 95 % interval of the mean */
};

/*
 * Columns of n cases, x[column * n + case].  The interval is that of the percentiles 2.5
 * and 97.5 of the means of resampled cases (with replacement, the same cases in every
 * column, so that columns stay comparable).  A pure function of its arguments.
 */
enum voco_err voco_bootstrap(const double *x, int columns, int n, uint64_t seed,
                             int replicates, struct voco_stats *ret);

/*
 * Two-sided p of a mean difference under random signs: all 2^n of them up to n = 16, else
 * draws of them, counting the one that was seen.  Values that are no numbers are out; 1
 * without any.
 */
double voco_sign_flip(const double *difference, int n, uint64_t seed, int draws);

#endif
