/* Foreground box, crop and symmetric padding. */
#include "data/transform/geometry.h"

#include <stdlib.h>
#include <string.h>

#include "data/volume/clip.h"

enum { SCAN = 32 };             /* voxels that are looked at at once */

/* Is there a foreground voxel among n?  Floats above a threshold have bits of a higher
 * order; those that are not 0 have bits other than the sign. */
static bool
any_foreground(const float *voxel, int64_t n, float threshold, bool nonzero)
{
    const int32_t least = voco_order_of(threshold == 0 ? 0.0f : threshold);
    int32_t any = 0;

    if (nonzero) {
#pragma omp simd reduction(|:any)
        for (int64_t i = 0; i < n; i++)
            any |= voco_bits_of(voxel[i]) & INT32_MAX;
    } else {
#pragma omp simd reduction(|:any)
        for (int64_t i = 0; i < n; i++)
            any |= voco_order_of(voxel[i]) > least;
    }
    return any != 0;
}

/* Widens [low, high] by the foreground of a row; false when it has none.  Reads the row
 * from both ends, so the inside of a body costs nothing. */
static bool
widen_by_row(const float *row, int64_t n, float threshold, bool nonzero,
             int64_t *low, int64_t *high)
{
    int64_t first = 0, last = n - 1;

    while (n - first >= SCAN && !any_foreground(row + first, SCAN, threshold, nonzero))
        first += SCAN;
    while (first < n && !any_foreground(row + first, 1, threshold, nonzero))
        first++;
    if (first == n)
        return false;
    while (last - first >= SCAN
           && !any_foreground(row + last - SCAN + 1, SCAN, threshold, nonzero))
        last -= SCAN;
    while (!any_foreground(row + last, 1, threshold, nonzero))
        last--;
    if (first < *low)
        *low = first;
    if (last > *high)
        *high = last;
    return true;
}

bool
voco_foreground_box(const struct voco_volume *v, float threshold, bool nonzero,
                    struct voco_crop_box *ret)
{
    int64_t low[3], high[3] = { -1, -1, -1 };

    memcpy(low, v->dim, sizeof low);
    for (int64_t x = 0; x < v->dim[0]; x++)
        for (int64_t y = 0; y < v->dim[1]; y++) {
            const float *row = v->voxel + (x * v->dim[1] + y) * v->dim[2];

            if (!widen_by_row(row, v->dim[2], threshold, nonzero, &low[2], &high[2]))
                continue;
            low[0] = x < low[0] ? x : low[0];
            high[0] = x;
            low[1] = y < low[1] ? y : low[1];
            high[1] = y > high[1] ? y : high[1];
        }
    for (int i = 0; i < 3; i++) {
        ret->start[i] = high[0] < 0 ? 0 : low[i];
        ret->size[i] = high[0] < 0 ? 0 : high[i] - low[i] + 1;
    }
    return high[0] >= 0;
}

void
voco_box_widen(struct voco_crop_box *box, const int64_t multiple[3])
{
    for (int i = 0; i < 3; i++) {
        const int64_t m = multiple[i] > 0 ? multiple[i] : 1;
        const int64_t size = (box->size[i] + m - 1) / m * m;

        box->start[i] -= (size - box->size[i]) / 2;
        box->size[i] = size;
    }
}

/* Move the origin by this many voxels along each axis. */
static void
shift_origin(struct voco_volume *v, const int64_t by[3])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            v->affine[i][3] += v->affine[i][j] * (double)by[j];
}

/* Rows move towards the front of the buffer, so each is read before it is overwritten. */
void
voco_crop(struct voco_volume *v, const struct voco_crop_box *box)
{
    float *to = v->voxel;

    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(box->start[i] >= 0 && box->size[i] >= 1
                    && box->start[i] <= v->dim[i] - box->size[i]);
    for (int64_t x = box->start[0]; x < box->start[0] + box->size[0]; x++)
        for (int64_t y = box->start[1]; y < box->start[1] + box->size[1]; y++) {
            memmove(to, v->voxel + (x * v->dim[1] + y) * v->dim[2] + box->start[2],
                    (size_t)box->size[2] * sizeof *to);
            to += box->size[2];
        }
    memcpy(v->dim, box->size, sizeof v->dim);
    shift_origin(v, box->start);
}

static void
fill(float *from, const float *end, float value)
{
    while (from < end)
        *from++ = value;
}

/* Rows move towards the end of the buffer, the last one first. */
enum voco_err
voco_pad_at(struct voco_volume *v, const int64_t dim[3], const int64_t before[3],
            float value)
{
    const int64_t *old = v->dim, nz = old[2];
    const enum voco_err err = voco_volume_fits(dim);
    int64_t back[3];

    for (int i = 0; i < 3; i++) {
        VOCO_ASSERT(before[i] >= 0 && before[i] <= dim[i] - old[i]);
        back[i] = -before[i];
    }
    if (err || memcmp(dim, old, sizeof v->dim) == 0)
        return err;
    const int64_t n = dim[0] * dim[1] * dim[2];
    float *more = realloc(v->voxel, (size_t)n * sizeof *more);
    if (!more)
        return voco_fail(VOCO_EMEMORY, "no memory to pad to %lld voxels", (long long)n);
    v->voxel = more;
    float *end = more + n;
    for (int64_t x = old[0] - 1; x >= 0; x--)
        for (int64_t y = old[1] - 1; y >= 0; y--) {
            float *to = more + ((x + before[0]) * dim[1] + y + before[1]) * dim[2]
                + before[2];

            memmove(to, more + (x * old[1] + y) * nz, (size_t)nz * sizeof *to);
            fill(to + nz, end, value);
            end = to;
        }
    fill(more, end, value);
    memcpy(v->dim, dim, sizeof v->dim);
    shift_origin(v, back);
    return VOCO_OK;
}

void
voco_pad_plan(const int64_t dim[3], const int64_t least[3], int64_t ret_dim[3],
              int64_t before[3])
{
    for (int i = 0; i < 3; i++) {
        ret_dim[i] = least[i] > dim[i] ? least[i] : dim[i];
        before[i] = (ret_dim[i] - dim[i]) / 2;
    }
}
