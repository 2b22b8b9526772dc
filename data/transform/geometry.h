/*
 * The transforms that change a volume's grid: orientation, spacing, crop, pad, resize.
 *
 * Each agrees with MONAI's transform of the same name in voxels, sizes and affine
 * (tests/golden/volume.h5).  Single-threaded: convert runs one volume per thread.
 * A function that replaces the voxels needs the old and the new ones at once and no more
 * than a few rows besides; on failure the volume is as it was.
 */
#ifndef VOCO_DATA_TRANSFORM_GEOMETRY_H
#define VOCO_DATA_TRANSFORM_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

/* Axis i of the result is axis from[i] of the source, reversed where flip[i]. */
struct voco_orientation {
    int from[3];
    bool flip[3];
};

/* The permutation and the flips that bring the axes of this affine closest to R, A, S.
 * "Closest" is by the rotation of its polar decomposition, strongest axis first. */
void voco_orient_plan(const double affine[4][4], struct voco_orientation *ret);

/* Axis codes of an affine as text, such as "LPS". */
void voco_orient_name(const double affine[4][4], char name[4]);

/* Only dim and affine of v, which may have no voxels. */
void voco_orient_header(struct voco_volume *v, const struct voco_orientation *o);

/* In place when no axes change places. */
enum voco_err voco_orient(struct voco_volume *v, const struct voco_orientation *o);

enum voco_interpolation { VOCO_LINEAR, VOCO_NEAREST };

/* A new grid for a volume, and how its indices map to those of the old grid. */
struct voco_regrid {
    int64_t dim[3];
    double affine[4][4];
    double to_source[4][4];     /* new index -> old index */
    bool unchanged;             /* the old grid is good enough: keep voxels and affine */
};

/*
 * The grid with this spacing, same orientation, shear removed, that begins at the same
 * corner and ends within half a voxel of the opposite one.  mm <= 0 keeps an axis, and so
 * does a spacing that differs by less than 1e-3 mm from the wanted one.
 */
enum voco_err voco_spacing_plan(const int64_t dim[3], const double affine[4][4],
                                const double mm[3], struct voco_regrid *ret);

/* Coordinates beyond the volume take its border; arithmetic in double. */
enum voco_err voco_regrid(struct voco_volume *v, const struct voco_regrid *g,
                          enum voco_interpolation how);

/*
 * Trilinear, corner voxels onto corner voxels, no smoothing.  Weights are rounded to
 * float as torch rounds them.  The affine maps voxel extents onto voxel extents, as MONAI
 * before 1.6 records it: it is off by less than half a voxel from where the samples were
 * taken; the transforms in the manifest say the exact sizes.
 */
enum voco_err voco_resize(struct voco_volume *v, const int64_t dim[3]);
void voco_resize_header(struct voco_volume *v, const int64_t dim[3]);

struct voco_crop_box {
    int64_t start[3], size[3];
};

/* Smallest box with all voxels > threshold; nonzero: all voxels != 0 instead.  False and
 * an empty box when there are none. */
bool voco_foreground_box(const struct voco_volume *v, float threshold, bool nonzero,
                         struct voco_crop_box *ret);

/* Widens the box about its middle to multiples of these sizes (0: as it is), the odd
 * voxel at the end: MONAI's k_divisible.  It may then reach beyond the volume. */
void voco_box_widen(struct voco_crop_box *box, const int64_t multiple[3]);

/* Keep the box, which lies inside.  In place. */
void voco_crop(struct voco_volume *v, const struct voco_crop_box *box);

/* Padding to this size with `before` voxels in front, both given. */
enum voco_err voco_pad_at(struct voco_volume *v, const int64_t dim[3],
                          const int64_t before[3], float value);

/* Size and voxels in front of symmetric padding to at least this size, the odd voxel at
 * the end; larger sizes stay. */
void voco_pad_plan(const int64_t dim[3], const int64_t least[3], int64_t ret_dim[3],
                   int64_t before[3]);

#endif
