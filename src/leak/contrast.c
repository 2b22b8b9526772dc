/* Local contrast of a small grid: mean off, divided by the deviation around a voxel. */
#include "leak/contrast.h"

#include <math.h>
#include <stdlib.h>

#include "eval/score.h"
#include "leak/smooth.h"

static const double FLAT = 0.01, SOFT = 0.02;       /* of the spread */

enum { SAMPLES = 1 << 15 };     /* that percentiles are taken from */

/* low and high: percentiles 1 and 99, or the extremes where these coincide.  What the
 * filters' rounding leaves of a constant is no contrast. */
static enum voco_err
spread(const float *x, int64_t n, double *ret_low, double *ret_high)
{
    const int64_t step = n / SAMPLES + 1, m = (n + step - 1) / step;
    double *sample = malloc((size_t)m * sizeof *sample);

    if (!sample)
        return voco_fail(VOCO_EMEMORY, "no memory for percentiles");
    for (int64_t i = 0; i < m; i++)
        sample[i] = x[i * step];
    *ret_low = voco_quantile(sample, m, 0.01);
    *ret_high = voco_quantile(sample, m, 0.99);
    free(sample);
    if (*ret_high <= *ret_low)
        for (int64_t i = 0; i < n; i++) {
            *ret_low = fmin(*ret_low, x[i]);
            *ret_high = fmax(*ret_high, x[i]);
        }
    return *ret_high - *ret_low > 1e-5 * fmax(fabs(*ret_low), fabs(*ret_high)) ? VOCO_OK
        : voco_fail(VOCO_EFORMAT, "all voxels are %g: nothing to compare", *ret_low);
}

enum voco_err
voco_local_contrast(float *x, const int64_t dim[3], double sigma, uint8_t *flat)
{
    const int64_t n = dim[0] * dim[1] * dim[2];
    float *mean = malloc((size_t)n * sizeof *mean), *square = malloc((size_t)n * sizeof *square);
    double low = 0, high = 0;
    enum voco_err err = mean && square ? spread(x, n, &low, &high)
                                       : voco_fail(VOCO_EMEMORY, "no memory for contrast");

    if (!err) {
        const double half = (high - low) / 2;

        for (int64_t i = 0; i < n; i++) {       /* to about [-1,2]: squares stay exact enough */
            x[i] = (float)((fmin(fmax(x[i], low - half), high + half) - low) / (high - low));
            square[i] = x[i] * x[i];
        }
        err = voco_smooth(x, dim, sigma, mean);
    }
    if (!err)
        err = voco_smooth(square, dim, sigma, square);
    for (int64_t i = 0; i < n && !err; i++) {
        const double sd = sqrt(fmax((double)square[i] - (double)mean[i] * mean[i], 0));

        flat[i] = sd < FLAT;
        x[i] = flat[i] ? 0 : (float)((x[i] - mean[i]) / (sd + SOFT));
    }
    free(mean);
    free(square);
    return err;
}
