/* Changes of intensities.  Sources: batchgenerators (contrast, gamma), MONAI (histogram). */
#include "data/augment/intensity.h"

#include <math.h>

struct moments {
    double mean, sd;
    float low, high;
};

static struct moments
measure(const float *x, int64_t n)
{
    struct moments m = { 0.0, 0.0, x[0], x[0] };

    for (int64_t i = 0; i < n; i++) {
        m.mean += x[i];
        m.low = x[i] < m.low ? x[i] : m.low;
        m.high = x[i] > m.high ? x[i] : m.high;
    }
    m.mean /= (double)n;
    for (int64_t i = 0; i < n; i++)
        m.sd += (x[i] - m.mean) * (x[i] - m.mean);
    m.sd = sqrt(m.sd / (double)n);
    return m;
}

void
voco_intensity_scale(float *x, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(x[i] * factor);
}

void
voco_intensity_contrast(float *x, int64_t n, double factor)
{
    const struct moments m = measure(x, n);

    for (int64_t i = 0; i < n; i++) {
        const float v = (float)((x[i] - m.mean) * factor + m.mean);

        x[i] = v < m.low ? m.low : v > m.high ? m.high : v;
    }
}

void
voco_intensity_gamma(float *x, int64_t n, double gamma, bool inverted)
{
    const struct moments before = measure(x, n);
    const double span = (double)before.high - before.low;
    struct moments after;

    if (span <= 0.0)
        return;
    for (int64_t i = 0; i < n; i++) {
        /* -x runs from -high to -low */
        const double share = (inverted ? before.high - x[i] : x[i] - before.low) / span;
        const double v = pow(share, gamma) * span;

        x[i] = (float)(inverted ? before.high - v : before.low + v);
    }
    after = measure(x, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((x[i] - after.mean) * (before.sd / after.sd) + before.mean);
}

void
voco_intensity_histogram(float *x, int64_t n, const double *point, int points)
{
    const struct moments m = measure(x, n);
    const double span = (double)m.high - m.low;

    if (span <= 0.0)
        return;
    for (int64_t i = 0; i < n; i++) {
        const double at = (x[i] - m.low) / span * (points - 1);
        const int k = at >= points - 1 ? points - 2 : (int)at;
        const double v = point[k] + (at - k) * (point[k + 1] - point[k]);

        x[i] = (float)(m.low + v * span);
    }
}

void
voco_intensity_noise(float *x, int64_t n, double sd, const struct voco_rng_key *key)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += (float)(sd * voco_rng_normal(key, (uint32_t)i));
}
