/*
 * How well a predicted label map agrees with the true one, class by class.
 *
 * Definitions and conventions are MONAI's (DiceMetric, compute_hausdorff_distance with
 * percentile 95, compute_surface_dice).  The surface of a class are its voxels of which
 * one of the six neighbours is of another class or outside of the volume; distances go
 * from voxel centre to voxel centre, in mm.
 */
#ifndef VOCO_EVAL_SCORE_H
#define VOCO_EVAL_SCORE_H

#include <stdint.h>

#include "base/err.h"

struct voco_score {
    int64_t truth, predicted, both;     /* voxels */
    double dice;                /* NaN when the truth lacks the class */
    double hd95_mm;             /* the larger of the 95th percentiles of both directions;
                                 * NaN when either lacks the class */
    double surface_dice;        /* share of both surfaces within the tolerance of the
                                 * other; NaN when both lack the class, 0 when one does */
    double truth_ml, predicted_ml;
    double volume_error;        /* (predicted - truth) / truth; NaN without truth */
};

/* 2 both / (truth + predicted), of numbers of voxels; NaN when the truth has none. */
double voco_dice(int64_t truth, int64_t predicted, int64_t both);

struct voco_score_pair {
    const uint16_t *predicted, *truth;
    int64_t dim[3];
    double mm[3];
};

/* ret[c] for classes c from 1 to n_classes-1; labels from n_classes on are VOCO_EFORMAT.
 * tolerance_mm is that of surface_dice.  threads work on one class. */
enum voco_err voco_score(const struct voco_score_pair *p, int n_classes,
                         double tolerance_mm, int threads, struct voco_score *ret);

/* The q-th quantile of x[0..n), 0 <= q <= 1, linear between order statistics, as
 * numpy.quantile; x gets sorted. n >= 1. */
double voco_quantile(double *x, int64_t n, double q);

#endif
