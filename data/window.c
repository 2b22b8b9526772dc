/* Window, percentiles by radix selection, moments. */
#include "data/window.h"

#include <math.h>
#include <string.h>

static int64_t
voxels(const struct voco_volume *v)
{
    return v->dim[0] * v->dim[1] * v->dim[2];
}

void
voco_window_replace_nonfinite(struct voco_volume *v, float value)
{
    const int64_t n = voxels(v);

    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v->voxel[i]))
            v->voxel[i] = value;
}

void
voco_window_extrema(const struct voco_volume *v, float *ret_low, float *ret_high)
{
    const int64_t n = voxels(v);
    float low = v->voxel[0], high = v->voxel[0];

    for (int64_t i = 1; i < n; i++) {
        low = v->voxel[i] < low ? v->voxel[i] : low;
        high = v->voxel[i] > high ? v->voxel[i] : high;
    }
    *ret_low = low;
    *ret_high = high;
}

int64_t
voco_window_moments(const struct voco_volume *v, double *ret_mean, double *ret_sd)
{
    const int64_t n = voxels(v);
    int64_t count = 0;
    double sum = 0, square = 0, mean;

    for (int64_t i = 0; i < n; i++) {
        sum += v->voxel[i];
        count += v->voxel[i] != 0;
    }
    mean = count ? sum / (double)count : 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = v->voxel[i] - mean;

        square += v->voxel[i] != 0 ? d * d : 0;
    }
    *ret_mean = mean;
    *ret_sd = count ? sqrt(square / (double)count) : 0;
    return count;
}

void
voco_window_box_moments(const struct voco_volume *v, int64_t n, double *ret_mean,
                        double *ret_sd)
{
    const int64_t outside = voxels(v) - n;
    double sum = 0, square = 0, mean;

    for (int64_t i = 0; i < voxels(v); i++)
        sum += v->voxel[i];
    mean = n ? sum / (double)n : 0;
    for (int64_t i = 0; i < voxels(v); i++) {
        const double d = v->voxel[i] - mean;

        square += d * d;
    }
    square -= (double)outside * mean * mean;
    *ret_mean = mean;
    *ret_sd = n && square > 0 ? sqrt(square / (double)n) : 0;
}

/* Floats in the order of their values as unsigned integers in the order of theirs. */
static uint32_t
key_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float
value_of(uint32_t key)
{
    const uint32_t u = key & 0x80000000u ? key & 0x7FFFFFFFu : ~key;
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* The rank-th smallest nonzero voxel, rank from 0: digits of 11, 11 and 10 bits are
 * settled from the top, each by one histogram over the voxels that share those above. */
static float
select_nonzero(const struct voco_volume *v, int64_t rank)
{
    static const int low_bit[3] = { 21, 10, 0 };
    const int64_t n = voxels(v);
    uint32_t prefix = 0, mask = 0;

    for (int digit = 0; digit < 3; digit++) {
        const int shift = low_bit[digit];
        const uint32_t span = digit < 2 ? 2047 : 1023;
        int64_t histogram[2048] = { 0 };
        uint32_t d = 0;

        for (int64_t i = 0; i < n; i++) {
            const uint32_t key = key_of(v->voxel[i]);

            if (v->voxel[i] != 0 && (key & mask) == prefix)
                histogram[key >> shift & span]++;
        }
        while (d < span && rank >= histogram[d])
            rank -= histogram[d++];
        prefix |= d << shift;
        mask |= span << shift;
    }
    return value_of(prefix);
}

/* The nonzero voxel of the rank after, where x is the one of this rank. */
static float
next_nonzero(const struct voco_volume *v, float x, int64_t rank)
{
    const int64_t n = voxels(v);
    int64_t up_to = 0;
    float next = INFINITY;

    for (int64_t i = 0; i < n; i++) {
        const float y = v->voxel[i];

        up_to += y != 0 && y <= x;
        next = y != 0 && y > x && y < next ? y : next;
    }
    return up_to > rank + 1 ? x : next;
}

double
voco_window_percentile(const struct voco_volume *v, double percent)
{
    const int64_t n = voxels(v);
    int64_t count = 0, below;
    double at, a, b;

    for (int64_t i = 0; i < n; i++)
        count += v->voxel[i] != 0;
    if (!count)
        return 0;
    at = percent / 100 * (double)(count - 1);
    below = (int64_t)at;
    a = select_nonzero(v, below);
    if (below + 1 >= count || at == (double)below)
        return a;
    b = next_nonzero(v, (float)a, below);
    return a + (b - a) * (at - (double)below);
}

void
voco_window_normalize(struct voco_volume *v, double mean, double high)
{
    const int64_t n = voxels(v);
    const float middle = (float)mean, sd = (float)(high - mean);

    for (int64_t i = 0; i < n; i++)
        if (v->voxel[i] != 0)
            v->voxel[i] = (v->voxel[i] - middle) / sd;
}

void
voco_window_map(struct voco_volume *v, double scale, double shift)
{
    const int64_t n = voxels(v);

    for (int64_t i = 0; i < n; i++)
        v->voxel[i] = (float)scale * v->voxel[i] + (float)shift;
}

void
voco_window_apply(struct voco_volume *v, double low, double high,
                  int64_t *ret_below, int64_t *ret_above)
{
    const int64_t n = voxels(v);
    const float zero = (float)low, range = (float)(high - low);
    int64_t below = 0, above = 0;

    for (int64_t i = 0; i < n; i++) {
        const float y = (v->voxel[i] - zero) / range;

        below += y < 0;
        above += y > 1;
        v->voxel[i] = y < 0 ? 0 : y > 1 ? 1 : y;
    }
    *ret_below = below;
    *ret_above = above;
}
