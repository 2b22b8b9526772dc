/* Separable resampling and smoothing. */
#include "data/augment/taps.h"

#include <math.h>
#include <string.h>

#include "base/err.h"

static int
clamp(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* The place in the line before of element i of the line after. */
static double
source(const struct voco_taps *t, int i)
{
    return (i + 0.5) * t->from / t->to - 0.5;
}

static void
begin(struct voco_taps *t, int from, int to, int taps)
{
    VOCO_ASSERT(from >= 1 && from <= VOCO_TAPS_LINE && to >= 1 && to <= VOCO_TAPS_LINE
                && taps <= VOCO_TAPS_MAX);
    t->from = from;
    t->to = to;
    t->taps = taps;
}

void
voco_taps_linear(struct voco_taps *t, int from, int to)
{
    begin(t, from, to, 2);
    for (int i = 0; i < to; i++) {
        const double at = fmax(source(t, i), 0.0);
        const int low = clamp((int)floor(at), from);

        t->index[i][0] = low;
        t->index[i][1] = clamp(low + 1, from);
        t->weight[i][1] = (float)(at - low);
        t->weight[i][0] = 1.0f - t->weight[i][1];
    }
}

void
voco_taps_nearest(struct voco_taps *t, int from, int to)
{
    begin(t, from, to, 1);
    for (int i = 0; i < to; i++) {
        t->index[i][0] = clamp((int)floor(source(t, i) + 0.5), from);
        t->weight[i][0] = 1.0f;
    }
}

/* Weight of an element at distance d, with a = -0.75. */
static double
cubic(double d)
{
    const double a = -0.75;

    return d <= 1.0 ? ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
                    : ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
}

void
voco_taps_cubic(struct voco_taps *t, int from, int to)
{
    begin(t, from, to, 4);
    for (int i = 0; i < to; i++) {
        const double at = source(t, i);
        const int low = (int)floor(at);

        for (int k = 0; k < 4; k++) {
            t->index[i][k] = clamp(low - 1 + k, from);
            t->weight[i][k] = (float)cubic(fabs(at - (low - 1 + k)));
        }
    }
}

void
voco_taps_gauss(struct voco_taps *t, int n, double sigma)
{
    const int radius = (int)(4.0 * sigma + 0.5);
    double weight[VOCO_TAPS_MAX], sum = 0.0;

    begin(t, n, n, 2 * radius + 1);
    for (int k = -radius; k <= radius; k++)
        sum += weight[k + radius] = exp(-0.5 * k * k / (sigma * sigma));
    for (int i = 0; i < n; i++)
        for (int k = -radius; k <= radius; k++) {
            const int period = 2 * n, at = ((i + k) % period + period) % period;

            t->index[i][k + radius] = at < n ? at : period - 1 - at;
            t->weight[i][k + radius] = (float)(weight[k + radius] / sum);
        }
}

/* Lines that lie side by side: to row i of y, weighted rows of x. */
static void
sum_rows(const struct voco_taps *t, int i, const float *restrict x, int64_t n,
         float *restrict y)
{
    memset(y, 0, (size_t)n * sizeof *y);
    for (int k = 0; k < t->taps; k++) {
        const float *restrict row = x + t->index[i][k] * n;
        const float weight = t->weight[i][k];

#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            y[c] += weight * row[c];
    }
}

static void
sum_line(const struct voco_taps *t, const float *restrict x, float *restrict y)
{
    for (int i = 0; i < t->to; i++) {
        float sum = 0.0f;

        for (int k = 0; k < t->taps; k++)
            sum += t->weight[i][k] * x[t->index[i][k]];
        y[i] = sum;
    }
}

void
voco_taps_apply(const struct voco_taps *t, const float *x, const int64_t size[3], int axis,
                float *y)
{
    int64_t outer = 1, inner = 1;

    VOCO_ASSERT(size[axis] == t->from);
    for (int a = 0; a < axis; a++)
        outer *= size[a];
    for (int a = axis + 1; a < 3; a++)
        inner *= size[a];
    for (int64_t o = 0; o < outer; o++, x += t->from * inner, y += t->to * inner) {
        if (inner == 1)
            sum_line(t, x, y);
        for (int i = 0; inner > 1 && i < t->to; i++)
            sum_rows(t, i, x, inner, y + i * inner);
    }
}
