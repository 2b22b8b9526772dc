/*
 * The exact Euclidean distance transform on an anisotropic grid.
 */
#ifndef VOCO_EVAL_DISTANCE_H
#define VOCO_EVAL_DISTANCE_H

#include <stdint.h>

#include "base/err.h"

/*
 * out[i] = squared distance in mm^2 from voxel i to the nearest voxel with mask[i] != 0,
 * centre to centre; infinite everywhere when there is none.  Both are [dim0][dim1][dim2],
 * mm is the distance of voxels along each axis.  Exact up to the rounding of doubles.
 * Linear in the number of voxels; threads work on lines.
 */
enum voco_err voco_distance_squared(const uint8_t *mask, const int64_t dim[3],
                                    const double mm[3], int threads, double *out);

#endif
