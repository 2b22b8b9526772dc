/*
 * Trilinear sampling on a grid that is parallel to the source's: one table per axis.
 * Internal to data/: shared by spacing and resize.
 */
#ifndef VOCO_DATA_TRANSFORM_LERP_H
#define VOCO_DATA_TRANSFORM_LERP_H

#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

/* Output i lies between source samples lo[i] and hi[i], w[i] of the way to hi. */
struct voco_lerp_axis {
    int64_t n;
    int64_t *lo, *hi;       /* one allocation, at lo */
    double *w;
};

enum voco_err voco_lerp_axis_init(struct voco_lerp_axis *a, int64_t n);
void voco_lerp_axis_free(struct voco_lerp_axis *a);     /* accepts {0} */

/* Voxels and dim of v are replaced, the affine is not touched. */
enum voco_err voco_lerp(struct voco_volume *v, const struct voco_lerp_axis axis[3]);

#endif
