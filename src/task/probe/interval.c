/* Bootstrap of patients. */
#include "task/probe/interval.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "eval/score.h"
#include "probe/matrix.h"

void
voco_probe_draw(uint64_t seed, int replicate, const int *group, int n, int groups,
                double *weight)
{
    const struct voco_rng_key key = { .seed = seed, .step = (uint64_t)replicate,
                                      .purpose = VOCO_RNG_BOOTSTRAP };
    double *drawn = voco_doubles(groups);

    for (int g = 0; g < groups; g++)
        drawn[voco_rng_below(&key, (uint32_t)g, (uint32_t)groups)]++;
    for (int i = 0; i < n; i++)
        weight[i] = drawn[group[i]];
    free(drawn);
}

void
voco_probe_interval(const double *x, const double *minus, int n, double *ret_low,
                    double *ret_high)
{
    double *sorted = voco_doubles(n);
    int m = 0;

    for (int i = 0; i < n; i++) {
        const double v = minus ? x[i] - minus[i] : x[i];

        if (isfinite(v))
            sorted[m++] = v;
    }
    *ret_low = m ? voco_quantile(sorted, m, 0.025) : NAN;
    *ret_high = m ? voco_quantile(sorted, m, 0.975) : NAN;
    free(sorted);
}

json_t *
voco_probe_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
