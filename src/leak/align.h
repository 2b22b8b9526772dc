/*
 * How well two thumbnails agree where one lies on the other.
 */
#ifndef VOCO_LEAK_ALIGN_H
#define VOCO_LEAK_ALIGN_H

#include "leak/thumb.h"

/* The position of b in a: the turn, then the shift, in cells; and its score. */
struct voco_alignment {
    int turn;
    double shift[3];
    double score;               /* correlation over cells with contrast in both, -1 .. 1 */
    double shared;              /* these cells, as a share of the textured ones of the
                                 * thumbnail that has fewer */
};

/* Score of grids near the alignment: the shift is moved to where the correlation is
 * largest, within a cell.  A score of 0 when too little of them lies together. */
void voco_align_grids(const struct voco_thumb *a, const struct voco_thumb *b,
                      struct voco_alignment *io);

/* Score of cubes under a turn. */
void voco_align_cubes(const struct voco_thumb *a, const struct voco_thumb *b,
                      struct voco_alignment *io);

#endif
