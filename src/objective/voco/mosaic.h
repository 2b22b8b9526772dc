/*
 * One picture that shows the method on a volume: the block with its 3x3 base
 * crops and the random crops in it, and for every random crop the true and the predicted
 * position weights.
 *
 * Drawn as radiologists look at it: patient's right on the left, anterior at the top; the
 * data are RAS+, so x runs to the left and y upwards in the picture.
 */
#ifndef VOCO_OBJECTIVE_VOCO_MOSAIC_H
#define VOCO_OBJECTIVE_VOCO_MOSAIC_H

#include <stdbool.h>

#include "base/err.h"

/* One volume of a batch; the pointers are those of struct voco_batch at its place.  Make
 * the batch without augmentation: then the base crops join up to the block again. */
struct voco_mosaic {
    const char *name;       /* of the volume */
    int roi, sw;
    bool augmented;         /* said in the caption */
    const float *crops;     /* [9][roi][roi][roi], base k = 3i+j starts at (i*roi, j*roi, 0) */
    const float *img;       /* [sw][roi][roi][roi] */
    const int *center;      /* [sw][2] in the block, x and y */
    const float *labels;    /* [sw][9] */
    const float *predicted; /* [sw][9], cosines in [0,1]; NULL: not known */
};

/* n volumes below each other under one title ("run demo, step 40"). */
enum voco_err voco_mosaic_write(const char *path, const char *title,
                                const struct voco_mosaic *m, int n);

#endif
