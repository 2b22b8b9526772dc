/*
 * The augmentation of pre-training crops: flips, quarter turns and a shift of intensities
 *, applied while a crop is copied out of its block.
 */
#ifndef VOCO_OBJECTIVE_PRETRAIN_AUGMENT_H
#define VOCO_OBJECTIVE_PRETRAIN_AUGMENT_H

#include "data/batch/augment.h"

/*
 * How a crop is augmented: a flip along each axis with probability 0.2; with probability
 * 0.2 one to three quarter turns; with probability 0.5 a number uniform in (-0.1, 0.1) is
 * added to all voxels, without clipping.  sample: number of the volume in the batch; crop:
 * number of the crop of the volume.
 */
struct voco_augment voco_crop_augment(uint64_t seed, int64_t step, int sample, int crop);

/* The same with another probability of the added number. */
struct voco_augment voco_crop_augment_by(uint64_t seed, int64_t step, int sample, int crop,
                                         double shift);

/* out[roi][roi][roi] = the crop that begins at start in the block of block_dim voxels,
 * augmented; one pass.  The scale is 1. */
void voco_crop_copy(const struct voco_augment *a, const float *block,
                    const int64_t block_dim[3], const int64_t start[3], int roi,
                    float *out);

#endif
