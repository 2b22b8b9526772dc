/* Learning rates: the original's WarmupCosineSchedule, and nnU-Net's polynomial. */
#include "train/schedule.h"

#include <math.h>

double
voco_schedule(enum voco_schedule kind, int64_t step, int64_t warmup, int64_t steps)
{
    const double pi = 3.14159265358979323846;
    double t, factor;

    if (kind == VOCO_CONSTANT)
        return 1.0;
    if (step < warmup)
        return (double)step / (double)warmup;
    t = (double)(step - warmup) / (double)(steps > warmup ? steps - warmup : 1);
    if (kind == VOCO_POLY)
        return t < 1.0 ? pow(1.0 - t, 0.9) : 0.0;
    factor = 0.5 * (1.0 + cos(pi * t));
    return factor > 0.0 ? factor : 0.0;
}
