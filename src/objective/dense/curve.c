/* The intensity map of Models Genesis. */
#include "objective/dense/curve.h"

static double
bezier(double t, double p, double q)
{
    const double s = 1.0 - t;

    return 3.0 * s * s * t * p + 3.0 * s * t * t * q + t * t * t;
}

/* With control values in [0,1] both coordinates ascend with the parameter. */
void
voco_curve_make(struct voco_curve *c, const double p[2], const double q[2], bool rising)
{
    for (int i = 0; i < VOCO_CURVE_POINTS; i++) {
        const double t = (double)i / (VOCO_CURVE_POINTS - 1);

        c->x[i] = bezier(t, p[0], q[0]);
        c->y[rising ? i : VOCO_CURVE_POINTS - 1 - i] = bezier(t, p[1], q[1]);
    }
}

double
voco_curve_at(const struct voco_curve *c, double v)
{
    int low = 0, high = VOCO_CURVE_POINTS - 1;

    if (!(v > c->x[low]))
        return c->y[low];
    if (v >= c->x[high])
        return c->y[high];
    while (high - low > 1) {            /* x[low] <= v < x[high] */
        const int middle = (low + high) / 2;

        if (c->x[middle] <= v)
            low = middle;
        else
            high = middle;
    }
    return c->y[low] + (c->y[high] - c->y[low]) / (c->x[high] - c->x[low]) * (v - c->x[low]);
}

void
voco_curve_map(const struct voco_curve *c, int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)voco_curve_at(c, x[i]);
}
