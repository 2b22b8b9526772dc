/*
 * A view of a crop: a turn, and the boxes that are cut out of the turned crop.
 *
 * The turn is k quarter turns in the plane of the second and third axis; k is the label of
 * the rotation term, the turned crop the target of the reconstruction.  The boxes are
 * overwritten in order: the first by noise, the others by the voxels that another crop of
 * the batch, the donor, has at the same place.  A donor with a lower number is cut out
 * already, one with a higher number is not.
 */
#ifndef VOCO_OBJECTIVE_HEADS_CUTVIEW_H
#define VOCO_OBJECTIVE_HEADS_CUTVIEW_H

#include "dev/device.h"

enum { VOCO_CUTVIEWS = 2, VOCO_TURNS = 4 };

struct voco_cutview {
    int turns;                  /* k: 0..3 */
    struct voco_box *box;       /* items 0; the first n_noise get noise */
    int n, n_noise;
    int donor;                  /* number of a crop of the shard, for the others */
    float *noise;               /* values of the noise boxes, box by box, row-major */
    int room;                   /* of box */
    int64_t noise_room;         /* of noise */
};

/* A crop in a batch. */
struct voco_cutview_key {
    uint64_t seed;
    int64_t step;
    int sample;                 /* in the batch */
    int view;                   /* 0 or 1 */
};

/*
 * Draws view key.view of a crop of roi^3, roi at least 20, a pure function of the key:
 *
 *   k uniform in 0..3
 *   a goal uniform in 0..0.3 of the voxels; boxes until the sum of their volumes reaches
 *     it: per axis the start uniform in 0..roi-t-1, the extent uniform in t..roi/4-1,
 *     t = roi/20, cut at the far border; overlaps count twice.  They get noise
 *   a donor uniform among the crops of the shard; unless it is the crop itself, a second
 *     goal, and boxes that get the donor's voxels
 *
 * The noise of a box is normal, then scaled so that its least value is 0 and its greatest
 * 1.  shard: crops in a shard; those of a shard are neighbours in the batch.  The struct is
 * filled anew and keeps its memory; begin with {0}.
 */
void voco_cutview_draw(struct voco_cutview *v, const struct voco_cutview_key *key, int shard,
                       int roi);

/* Appends a box. */
void voco_cutview_add(struct voco_cutview *v, const int64_t start[3],
                      const int64_t extent[3]);

/* The noise boxes, painted in order into a crop of roi^3 whose other voxels stay. */
void voco_cutview_paint_noise(const struct voco_cutview *v, int roi, float *crop);

void voco_cutview_free(struct voco_cutview *v);           /* accepts {0} */

#endif
