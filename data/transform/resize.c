/* Resize with corners on corners, as torch.nn.functional.interpolate does it for a float
 * volume (mode trilinear, align_corners). */
#include "data/transform/geometry.h"

#include <math.h>
#include <string.h>

#include "data/transform/lerp.h"

/* torch rounds the step to float, and where its compiler fused multiply and subtract, as
 * it did for the reference, nothing else before the weight.  A step in double would move
 * samples by up to 1e-5 voxels. */
static void
place_axis(struct voco_lerp_axis *a, int64_t n)
{
    const float step = a->n > 1 ? (float)(n - 1) / (float)(a->n - 1) : 0;

    for (int64_t i = 0; i < a->n; i++) {
        const double at = (double)step * (double)i;
        const int64_t lo = (int64_t)at < n - 1 ? (int64_t)at : n - 1;

        a->lo[i] = lo;
        a->hi[i] = lo + 1 < n ? lo + 1 : lo;
        a->w[i] = fmin(at - (double)lo, 1);
    }
}

void
voco_resize_header(struct voco_volume *v, const int64_t dim[3])
{
    for (int j = 0; j < 3; j++) {
        const double ratio = (double)v->dim[j] / (double)dim[j];

        for (int i = 0; i < 3; i++) {
            v->affine[i][3] += v->affine[i][j] * (ratio - 1) / 2;
            v->affine[i][j] *= ratio;
        }
        v->dim[j] = dim[j];
    }
}

enum voco_err
voco_resize(struct voco_volume *v, const int64_t dim[3])
{
    struct voco_lerp_axis axis[3] = { { 0 } };
    struct voco_volume header = *v;
    enum voco_err err = VOCO_OK;

    if (memcmp(v->dim, dim, sizeof v->dim) == 0)
        return VOCO_OK;
    for (int i = 0; i < 3 && !err; i++) {
        err = voco_lerp_axis_init(&axis[i], dim[i]);
        if (!err)
            place_axis(&axis[i], v->dim[i]);
    }
    if (!err)
        err = voco_lerp(v, axis);
    if (!err) {
        voco_resize_header(&header, dim);
        memcpy(v->affine, header.affine, sizeof v->affine);
    }
    for (int i = 0; i < 3; i++)
        voco_lerp_axis_free(&axis[i]);
    return err;
}
