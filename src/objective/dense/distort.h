/*
 * The distortions of Models Genesis, which the network learns to undo: local shuffling, a
 * map of intensities, in- or out-painting.
 */
#ifndef VOCO_OBJECTIVE_DENSE_DISTORT_H
#define VOCO_OBJECTIVE_DENSE_DISTORT_H

#include "base/rng.h"
#include "objective/dense/boxes.h"
#include "objective/dense/curve.h"

struct voco_distortion {
    double flip;                /* probability of each of up to three flips */
    double shuffle, curve, paint;       /* probabilities of the three */
    double inpaint;             /* of painting inside; else around */
    int blocks;                 /* that are shuffled; at most 65535 */
};

/* y[size], row-major, is flipped in place; x[size] becomes y distorted.  key: seed, step and
 * sample count; the same key gives the same bits.  scratch: voco_distort_bytes(size). */
void voco_distort(const struct voco_distortion *d, const struct voco_rng_key *key,
                  const int64_t size[3], float *y, float *x, void *scratch);
size_t voco_distort_bytes(const int64_t size[3]);

/* The voxels of block b of y are permuted into x: value i of the block, row-major, is value
 * order[i] of y. */
void voco_shuffle_block(const float *y, const int64_t size[3], const struct voco_box *b,
                        const uint32_t *order, float *x);

#endif
