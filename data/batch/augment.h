/*
 * Augmentation of one crop: flips, a quarter turn, an intensity shift, in this order.
 *
 * A flip along each axis with probability 0.2; with probability 0.2 a rotation by 90, 180
 * or 270 degrees in the plane of x and y, from x towards y; with probability 0.5 a number
 * uniform in (-0.1, 0.1) is added to all voxels, without clipping.
 */
#ifndef VOCO_DATA_BATCH_AUGMENT_H
#define VOCO_DATA_BATCH_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct voco_augment {
    bool flip[3];
    int turns;              /* quarter turns, 0..3 */
    float shift;
};

/* crop: 0..8 are the base crops, then the random ones. {0} leaves a crop as it is. */
struct voco_augment voco_augment_draw(uint64_t seed, int64_t step, int sample, int crop);

/* out[roi][roi][roi] = the crop that begins at start in the block of block_dim voxels,
 * augmented; one pass. */
void voco_augment_crop(const struct voco_augment *a, const float *block,
                       const int64_t block_dim[3], const int64_t start[3], int roi,
                       float *out);

#endif
