/* Separable trilinear sampling: planes along x, rows along y, points along z. */
#include "data/transform/lerp.h"

#include <stdlib.h>

enum voco_err
voco_lerp_axis_init(struct voco_lerp_axis *a, int64_t n)
{
    a->n = n;
    a->lo = calloc((size_t)n, 2 * sizeof *a->lo);
    a->w = calloc((size_t)n, sizeof *a->w);
    a->hi = a->lo ? a->lo + n : NULL;
    if (!a->lo || !a->w) {
        voco_lerp_axis_free(a);
        return voco_fail(VOCO_EMEMORY, "no memory to resample an axis of %lld voxels",
                         (long long)n);
    }
    return VOCO_OK;
}

void
voco_lerp_axis_free(struct voco_lerp_axis *a)
{
    free(a->lo);
    free(a->w);
    *a = (struct voco_lerp_axis){ 0 };
}

static void
mix_planes(const float *restrict a, const float *restrict b, double w, int64_t n,
           double *restrict out)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] + w * ((double)b[i] - a[i]);
}

static void
mix_rows(const double *restrict a, const double *restrict b, double w, int64_t n,
         double *restrict out)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] + w * (b[i] - a[i]);
}

static void
pick_points(const double *restrict row, const struct voco_lerp_axis *axis,
            float *restrict out)
{
    for (int64_t i = 0; i < axis->n; i++) {
        const double a = row[axis->lo[i]], b = row[axis->hi[i]];

        out[i] = (float)(a + axis->w[i] * (b - a));
    }
}

/* The scratch is one source plane and one source row in double. */
enum voco_err
voco_lerp(struct voco_volume *v, const struct voco_lerp_axis axis[3])
{
    const int64_t dim[3] = { axis[0].n, axis[1].n, axis[2].n };
    const int64_t nz = v->dim[2], plane_n = v->dim[1] * nz;
    struct voco_volume out = { .voxel = NULL };
    enum voco_err err = voco_volume_alloc(&out, dim);
    double *plane;

    if (err)
        return err;
    plane = malloc((size_t)(plane_n + nz) * sizeof *plane);
    if (!plane) {
        voco_volume_free(&out);
        return voco_fail(VOCO_EMEMORY, "no memory for a plane of %lld voxels",
                         (long long)plane_n);
    }
    double *row = plane + plane_n;
    float *to = out.voxel;
    for (int64_t x = 0; x < dim[0]; x++) {
        mix_planes(v->voxel + axis[0].lo[x] * plane_n, v->voxel + axis[0].hi[x] * plane_n,
                   axis[0].w[x], plane_n, plane);
        for (int64_t y = 0; y < dim[1]; y++, to += dim[2]) {
            mix_rows(plane + axis[1].lo[y] * nz, plane + axis[1].hi[y] * nz,
                     axis[1].w[y], nz, row);
            pick_points(row, &axis[2], to);
        }
    }
    free(plane);
    free(v->voxel);
    v->voxel = out.voxel;
    for (int i = 0; i < 3; i++)
        v->dim[i] = dim[i];
    return VOCO_OK;
}
