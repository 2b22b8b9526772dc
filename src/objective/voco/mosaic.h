/*
 * One picture that shows the method on a volume: the block with its base crops, layer by
 * layer along z, and the random crops in it, and for every random crop the true and the
 * predicted position weights.
 *
 * Drawn as radiologists look at it: patient's right on the left, anterior at the top; the
 * data are RAS+, so x runs to the left and y upwards in the picture.
 */
#ifndef VOCO_OBJECTIVE_VOCO_MOSAIC_H
#define VOCO_OBJECTIVE_VOCO_MOSAIC_H

#include <stdbool.h>

#include "objective/voco/block.h"

/* One volume of a batch; the pointers are those of struct voco_batch at its place.  Make
 * the batch without augmentation: then the base crops join up to the block again. */
struct voco_mosaic {
    const char *name;       /* of the volume */
    int roi, sw;
    bool augmented;         /* said in the caption */
    struct voco_tiling grid;
    const float *crops;     /* [bases][roi][roi][roi] */
    const float *img;       /* [sw][roi][roi][roi] */
    const int *start;       /* [sw][3] in the block */
    const float *labels;    /* [sw][bases] */
    const float *predicted; /* [sw][bases], cosines in [0,1]; NULL: not known */
};

/* n volumes below each other under one title ("run demo, step 40"). */
enum voco_err voco_mosaic_write(const char *path, const char *title,
                                const struct voco_mosaic *m, int n);

#endif
