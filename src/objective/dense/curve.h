/*
 * A random map of intensities, as in Models Genesis: a cubic Bezier curve between (0,0) and
 * (1,1), as a table that is interpolated linearly.
 */
#ifndef VOCO_OBJECTIVE_DENSE_CURVE_H
#define VOCO_OBJECTIVE_DENSE_CURVE_H

#include <stdbool.h>
#include <stdint.h>

enum { VOCO_CURVE_POINTS = 100000 };

struct voco_curve {
    double x[VOCO_CURVE_POINTS];    /* ascending from 0 to 1 */
    double y[VOCO_CURVE_POINTS];
};

/* The curve of the control points (0,0), p, q, (1,1), p and q in the unit square.  Rising:
 * y belongs to x.  Falling: y runs along the curve from (1,1) to (0,0) while x ascends,
 * which turns light into dark. */
void voco_curve_make(struct voco_curve *c, const double p[2], const double q[2],
                     bool rising);

/* The value at v; outside [0,1] that of the nearer end. */
double voco_curve_at(const struct voco_curve *c, double v);

/* x[n], in place. */
void voco_curve_map(const struct voco_curve *c, int64_t n, float *x);

#endif
