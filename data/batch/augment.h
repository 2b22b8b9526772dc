/*
 * How a crop is changed while it is copied: flips, quarter turns, a scale and a shift of
 * intensities, in this order.  Directions are numpy's: flip, and rot90(k, axes=(0, 1)).
 *
 * Which changes are drawn, and how often, is the objective's.
 */
#ifndef VOCO_DATA_BATCH_AUGMENT_H
#define VOCO_DATA_BATCH_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct voco_augment {
    bool flip[3];
    int turns;              /* quarter turns from x towards y, 0..3 */
    float scale, shift;     /* v -> v * scale + shift */
};

/* Row (x,y) of the result comes from row (*sx,*sy) of a crop of n[0] rows by n[1]: undoes
 * the turns, then the flips.  n[0] == n[1] unless turns is even.
 * One turn: out[x][y] = in[y][n-1-x]. */
static inline void
voco_augment_source(const struct voco_augment *a, const int64_t n[2], int64_t x, int64_t y,
                    int64_t *sx, int64_t *sy)
{
    switch (a->turns) {
    case 0: *sx = x;            *sy = y;            break;
    case 1: *sx = y;            *sy = n[0] - 1 - x; break;
    case 2: *sx = n[0] - 1 - x; *sy = n[1] - 1 - y; break;
    default: *sx = n[0] - 1 - y; *sy = x;           break;
    }
    if (a->flip[0])
        *sx = n[0] - 1 - *sx;
    if (a->flip[1])
        *sy = n[1] - 1 - *sy;
}

#endif
