/*
 * The block of a volume and the crops in it (VoCo's geometry).
 *
 * A block is tiled n[0] x n[1] x n[2] by base crops; base (i,j,l), number
 * (i n[1] + j) n[2] + l, begins at (i edge, j edge, l edge): i runs along x, j along y, l
 * along z.  Random crops lie anywhere in the block.  Published VoCo has 3 x 3 x 1 bases,
 * so that random crops move along x and y alone.
 */
#ifndef VOCO_OBJECTIVE_VOCO_BLOCK_H
#define VOCO_OBJECTIVE_VOCO_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCO_BASES_MAX = 64 };

struct voco_tiling {
    int n[3];               /* base crops along x, y, z */
    int edge;               /* of a crop, in voxels of the block */
    bool last;              /* random crops begin at 0 .. (n-1) edge; false: at
                             * 0 .. (n-1) edge - 1, as published */
};

/* From "3x3x1".  VOCO_EUSAGE: not of this form, or not 2 to VOCO_BASES_MAX base crops. */
enum voco_err voco_tiling_parse(const char *text, int n[3]);

int voco_tiling_bases(const struct voco_tiling *g);

/* size[] = n edge */
void voco_block_size(const struct voco_tiling *g, int64_t size[3]);

/* Where a box of this size begins, in a volume of dim voxels: per axis uniform in
 * 0..dim-size, both included; dim >= size. */
void voco_block_start(uint64_t seed, int64_t step, int sample, const int64_t dim[3],
                      const int64_t size[3], int64_t start[3]);

/* Where base crop k begins in the block. */
void voco_base_start(const struct voco_tiling *g, int k, int start[3]);

/* Where a random crop begins in the block, uniform; crop: its number in the volume. */
void voco_crop_start(const struct voco_tiling *g, uint64_t seed, int64_t step, int sample,
                     int crop, int start[3]);

/* label[k] = share of the crop's volume that lies in base k; they sum to 1. */
void voco_crop_labels(const struct voco_tiling *g, const int start[3], float *label);

#endif
