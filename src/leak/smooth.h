/*
 * Small grids of floats, [dim0][dim1][dim2]: smoothing, and sampling a volume coarsely.
 */
#ifndef VOCO_LEAK_SMOOTH_H
#define VOCO_LEAK_SMOOTH_H

#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

/* out = x under a Gaussian of this many voxels along each axis; at the border the weights
 * that lie inside are made to sum to 1.  out may be x. */
enum voco_err voco_smooth(const float *x, const int64_t dim[3], double sigma, float *out);

/*
 * Averages of v around the middles of dim[0] x dim[1] x dim[2] equal cells of cell_mm,
 * which begin at its corner.  The blur of the result is that of a Gaussian of 0.75 cells,
 * whatever the spacing of v, as long as a voxel is not longer than a cell and a half.
 * Free *ret.
 */
enum voco_err voco_cells(const struct voco_volume *v, const double cell_mm[3],
                         const int64_t dim[3], float **ret);

#endif
