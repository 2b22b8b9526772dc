/*
 * The voxels of a block out of a store, and its crops.
 *
 * A crop has an edge in voxels of the block and, for the network, one of roi voxels.  The
 * voxels of the block are those of the store, or, where a crop's edge is given in
 * millimetres, those of a grid on which that edge has so many voxels; they are then
 * interpolated.  Crops whose edge is not roi are resized.
 */
#ifndef VOCO_OBJECTIVE_VOCO_CUT_H
#define VOCO_OBJECTIVE_VOCO_CUT_H

#include "data/batch/augment.h"
#include "data/store/store.h"
#include "data/volume/volume.h"
#include "objective/voco/block.h"

struct voco_cut {
    const struct voco_store *store;
    struct voco_tiling tiling;
    int roi;
    double crop_mm;             /* edge of a crop; 0: tiling.edge voxels of the store */
};

/* Memory of a thread. */
struct voco_cut_own {
    struct voco_volume block, crop;
    struct voco_store_scratch scratch;
};

/* The voxels of volume number i that hold a block. */
void voco_cut_size(const struct voco_cut *s, int i, int64_t size[3]);

/* Every volume must hold a block: VOCO_EFORMAT with the sizes of one that does not. */
enum voco_err voco_cut_check(const struct voco_cut *s);

/* Reads the block that begins at voxel start of volume i into own->block. */
enum voco_err voco_cut_read(const struct voco_cut *s, int i, const int64_t start[3],
                               struct voco_cut_own *own);

/* out [roi^3] = the crop that begins at start in own->block, augmented. */
enum voco_err voco_cut_crop(const struct voco_cut *s, const int start[3],
                               const struct voco_augment *augment,
                               struct voco_cut_own *own, float *out);

void voco_cut_own_free(struct voco_cut_own *own);     /* accepts {0} */

#endif
