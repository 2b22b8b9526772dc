/*
 * The block of a volume and the crops in it (VoCo's geometry).
 *
 * A block of 3roi x 3roi x roi voxels is tiled 3 x 3 x 1 by base crops; base (i,j),
 * number 3i+j, begins at (i roi, j roi, 0): i runs along x, j along y.  Random crops
 * lie anywhere in x and y, with the full height in z.
 */
#ifndef VOCO_OBJECTIVE_VOCO_BLOCK_H
#define VOCO_OBJECTIVE_VOCO_BLOCK_H

#include <stdint.h>

#include "objective/voco/batch.h"

/* size[] = {3roi, 3roi, roi}. */
void voco_block_size(int roi, int64_t size[3]);

/* Where the block of this sample begins: per axis uniform in 0..dim-size, both included;
 * dim >= size. */
void voco_block_start(uint64_t seed, int64_t step, int sample, const int64_t dim[3],
                      int roi, int64_t start[3]);

/* Centre of random crop number crop in the block: x and y uniform in
 * roi/2 .. 3roi-roi/2-1, both included, so that it begins at 0 .. 2roi-1. */
void voco_crop_center(uint64_t seed, int64_t step, int sample, int crop, int roi,
                      int center[2]);

/* label[3i+j] = share of the crop's area that lies in base (i,j). */
void voco_crop_labels(const int center[2], int roi, float label[VOCO_BASES]);

#endif
