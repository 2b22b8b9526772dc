/*
 * Boxes in a crop, as functions of uniform numbers in [0,1): three for the start, three for
 * the extent.  All of them lie inside the crop.
 */
#ifndef VOCO_OBJECTIVE_DENSE_BOXES_H
#define VOCO_OBJECTIVE_DENSE_BOXES_H

#include "dev/device.h"

enum { VOCO_BOX_NUMBERS = 6 };

/* Where the classes of volume fusion lie: extents uniform integers from 8 to 0.625 of the
 * crop's edge.  Crops have edges of at least 13. */
enum { VOCO_FUSION_BOX_MIN = 8 };
struct voco_box voco_box_fusion(const float u[VOCO_BOX_NUMBERS], const int64_t size[3]);

/* A block whose voxels are shuffled: extents from 1 to a tenth of the edge. */
struct voco_box voco_box_shuffle(const float u[VOCO_BOX_NUMBERS], const int64_t size[3]);

/* A box of in-painting, extents from a sixth to a third of the edge, and a window that
 * out-painting leaves, the edge less three to four sevenths of it.  Both are 3 voxels away
 * from the border; edges of at least 12. */
struct voco_box voco_box_inpaint(const float u[VOCO_BOX_NUMBERS], const int64_t size[3]);
struct voco_box voco_box_outpaint(const float u[VOCO_BOX_NUMBERS], const int64_t size[3]);

int64_t voco_box_voxels(const struct voco_box *b);

/* to = from inside the box; both [size], row-major. */
void voco_box_copy(const float *from, const int64_t size[3], const struct voco_box *b,
                   float *to);

#endif
