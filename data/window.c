/* Window, percentiles by histograms of keys, moments. */
#include "data/window.h"

#include <math.h>
#include <stdlib.h>
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

/*
 * The nonzero voxels of some ranks, from 0 at the smallest, by two histograms: of the
 * upper halves of the keys, then of the lower halves of those that share the upper half
 * of a wanted one.
 */
enum { HALF = 1 << 16, RANKS = 4 };

struct selection {
    uint32_t *upper;            /* [HALF] voxels by the upper half of their key */
    uint32_t *lower[RANKS];     /* [HALF] by the lower half, those of one upper half */
    uint8_t *wanted;            /* [HALF] 1 + which lower; 0: none */
};

static void
free_selection(struct selection *s)
{
    free(s->upper);
    free(s->wanted);
}

/* The bucket that holds a rank, which becomes the rank inside of it. */
static uint32_t
bucket_of(const uint32_t *histogram, int64_t *rank)
{
    uint32_t b = 0;

    while (b < HALF - 1 && *rank >= histogram[b])
        *rank -= histogram[b++];
    return b;
}

static enum voco_err
start_selection(const struct voco_volume *v, struct selection *s, int64_t *ret_count)
{
    const int64_t n = voxels(v);
    int64_t count = 0;

    if (n > UINT32_MAX)
        return voco_fail(VOCO_EFORMAT, "more than %u voxels have no percentiles",
                         UINT32_MAX);
    s->upper = calloc((1 + RANKS) * (size_t)HALF, sizeof *s->upper);
    s->wanted = calloc(HALF, 1);
    if (!s->upper || !s->wanted)
        return voco_fail(VOCO_EMEMORY, "no memory for histograms");
    for (int i = 0; i < RANKS; i++)
        s->lower[i] = s->upper + (size_t)(1 + i) * HALF;
    for (int64_t i = 0; i < n; i++) {
        const bool counts = v->voxel[i] != 0;

        s->upper[key_of(v->voxel[i]) >> 16] += counts;
        count += counts;
    }
    *ret_count = count;
    return VOCO_OK;
}

static void
select_ranks(const struct voco_volume *v, struct selection *s, int64_t rank[RANKS],
             float ret[RANKS])
{
    const int64_t n = voxels(v);
    uint32_t upper[RANKS];

    for (int i = 0; i < RANKS; i++) {
        upper[i] = bucket_of(s->upper, &rank[i]);
        if (!s->wanted[upper[i]])
            s->wanted[upper[i]] = (uint8_t)(1 + i);
    }
    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = key_of(v->voxel[i]);
        const int which = s->wanted[key >> 16];

        if (which && v->voxel[i] != 0)
            s->lower[which - 1][key & (HALF - 1)]++;
    }
    for (int i = 0; i < RANKS; i++) {
        const uint32_t *lower = s->lower[s->wanted[upper[i]] - 1];

        ret[i] = value_of(upper[i] << 16 | bucket_of(lower, &rank[i]));
    }
}

enum voco_err
voco_window_percentiles(const struct voco_volume *v, const double percent[2],
                        double ret[2])
{
    struct selection s = { .upper = NULL };
    int64_t count = 0, rank[RANKS];
    float value[RANKS];
    double part[2];
    const enum voco_err err = start_selection(v, &s, &count);

    ret[0] = ret[1] = 0;
    if (!err && count) {
        for (int i = 0; i < 2; i++) {
            const double at = percent[i] / 100 * (double)(count - 1);

            rank[2 * i] = (int64_t)at;
            rank[2 * i + 1] = (int64_t)at + 1 < count ? (int64_t)at + 1 : count - 1;
            part[i] = at - floor(at);
        }
        select_ranks(v, &s, rank, value);
        for (int i = 0; i < 2; i++)
            ret[i] = value[2 * i] + ((double)value[2 * i + 1] - value[2 * i]) * part[i];
    }
    free_selection(&s);
    return err;
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
