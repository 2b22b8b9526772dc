/* Foreground box, crop and symmetric padding. */
#include "data/geometry.h"

#include <string.h>

static bool
is_foreground(float v, float threshold, bool nonzero)
{
    return nonzero ? v != 0 : v > threshold;
}

/* Widens [low, high] by the foreground of a row; false when it has none.  Reads the row
 * from both ends, so the inside of a body costs nothing. */
static bool
widen_by_row(const float *row, int64_t n, float threshold, bool nonzero,
             int64_t *low, int64_t *high)
{
    int64_t first = 0, last = n - 1;

    while (first < n && !is_foreground(row[first], threshold, nonzero))
        first++;
    if (first == n)
        return false;
    while (!is_foreground(row[last], threshold, nonzero))
        last--;
    if (first < *low)
        *low = first;
    if (last > *high)
        *high = last;
    return true;
}

bool
voco_foreground_box(const struct voco_volume *v, float threshold, bool nonzero,
                    struct voco_box *ret)
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
voco_box_widen(struct voco_box *box, const int64_t multiple[3])
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
voco_crop(struct voco_volume *v, const struct voco_box *box)
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

enum voco_err
voco_pad_at(struct voco_volume *v, const int64_t dim[3], const int64_t before[3],
            float value)
{
    struct voco_volume out = { .voxel = NULL };
    int64_t back[3];
    enum voco_err err;

    for (int i = 0; i < 3; i++) {
        VOCO_ASSERT(before[i] >= 0 && before[i] <= dim[i] - v->dim[i]);
        back[i] = -before[i];
    }
    if (memcmp(dim, v->dim, sizeof v->dim) == 0)
        return VOCO_OK;
    err = voco_volume_alloc(&out, dim);
    if (err)
        return err;
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++)
        out.voxel[i] = value;
    for (int64_t x = 0; x < v->dim[0]; x++)
        for (int64_t y = 0; y < v->dim[1]; y++)
            memcpy(out.voxel + ((x + before[0]) * dim[1] + y + before[1]) * dim[2]
                       + before[2],
                   v->voxel + (x * v->dim[1] + y) * v->dim[2],
                   (size_t)v->dim[2] * sizeof *v->voxel);
    memcpy(out.affine, v->affine, sizeof out.affine);
    shift_origin(&out, back);
    voco_volume_free(v);
    *v = out;
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
