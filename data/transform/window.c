/* Window, percentiles by histograms of keys, moments. */
#include "data/transform/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/volume/clip.h"

enum { COUNTED = 1 << 20 };      /* voxels that are counted in 32 bits */

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
    const float *const voxel = v->voxel;
    const int64_t n = voxels(v);
    int32_t low = INT32_MAX, high = INT32_MIN;

#pragma omp simd reduction(min:low) reduction(max:high)
    for (int64_t i = 0; i < n; i++) {
        const int32_t order = voco_order_of(voxel[i]);

        low = order < low ? order : low;
        high = order > high ? order : high;
    }
    *ret_low = voco_float_of(voco_order_bits(low));
    *ret_high = voco_float_of(voco_order_bits(high));
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
    return (uint32_t)voco_order_of(x) ^ 0x80000000u;
}

static float
value_of(uint32_t key)
{
    return voco_float_of(voco_order_bits((int32_t)(key ^ 0x80000000u)));
}

/*
 * The nonzero voxels of some ranks, from 0 at the smallest, by two histograms: of the
 * upper halves of the keys, then of the lower halves of those that share the upper half
 * of a wanted one.
 */
enum { HALF = 1 << 16, RANKS = 4, SCAN = 64 };

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
    for (int64_t i = 0; i < n; i++)
        if (v->voxel[i] != 0) {
            s->upper[key_of(v->voxel[i]) >> 16]++;
            count++;
        }
    *ret_count = count;
    return VOCO_OK;
}

/* Has one of SCAN voxels one of these upper halves? */
static bool
any_in_buckets(const float *voxel, const uint32_t upper[RANKS])
{
    uint32_t any = 0;

#pragma omp simd reduction(|:any)
    for (int i = 0; i < SCAN; i++) {
        const uint32_t u = key_of(voxel[i]) >> 16;

        any |= (u == upper[0]) | (u == upper[1]) | (u == upper[2]) | (u == upper[3]);
    }
    return any != 0;
}

static void
count_lower(const float *voxel, int64_t n, struct selection *s)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = key_of(voxel[i]);
        const int which = s->wanted[key >> 16];

        if (which && voxel[i] != 0)
            s->lower[which - 1][key & (HALF - 1)]++;
    }
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
    for (int64_t i = 0; i < n; i += SCAN) {
        const int64_t end = i + SCAN < n ? i + SCAN : n;

        if (end - i < SCAN || any_in_buckets(v->voxel + i, upper))
            count_lower(v->voxel + i, end - i, s);
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

static void
apply_some(float *restrict voxel, int n, float zero, float range, int64_t *below,
           int64_t *above)
{
    int32_t n_below = 0, n_above = 0;

#pragma omp simd reduction(+:n_below, n_above)
    for (int i = 0; i < n; i++) {
        const int32_t y = voco_bits_of((voxel[i] - zero) / range);

        n_below -= y >> 31;
        n_above -= voco_bits_above_one(y & ~(y >> 31));
        voxel[i] = voco_float_of(voco_bits_clip(y));
    }
    *below += n_below;
    *above += n_above;
}

void
voco_window_apply(struct voco_volume *v, double low, double high,
                  int64_t *ret_below, int64_t *ret_above)
{
    const int64_t n = voxels(v);
    const float zero = (float)low, range = (float)(high - low);

    *ret_below = *ret_above = 0;
    for (int64_t i = 0; i < n; i += COUNTED)
        apply_some(v->voxel + i, n - i < COUNTED ? (int)(n - i) : COUNTED, zero, range,
                   ret_below, ret_above);
}
