/*
 * A picture of what Swin UNETR's pre-training sees and answers: for some views the crop with
 * its boxes cut out, the crop that is to be found, and the reconstruction.
 */
#ifndef VOCO_OBJECTIVE_HEADS_PICTURE_H
#define VOCO_OBJECTIVE_HEADS_PICTURE_H

#include "base/err.h"

struct voco_heads_shown {
    char name[160];             /* of the crop */
    int turns, guess;           /* true and predicted */
    float *input, *target, *image;      /* [roi^3] each */
};

/* n views below each other under a title. */
enum voco_err voco_heads_picture(const char *path, const char *title, int roi,
                                 const struct voco_heads_shown *shown, int n);

#endif
