/*
 * A given batch of views, for comparisons with the reference: the HDF5 file holds v0 and v1
 * [volumes*crops,1,r,r,r], the two views, volume-major.
 */
#ifndef VOCO_OBJECTIVE_VIEWS_REPLAY_H
#define VOCO_OBJECTIVE_VIEWS_REPLAY_H

#include "base/err.h"

struct voco_views_replay {
    int volumes, crops, roi;
    float *view[2];
};

/* crops: of a volume; the file must have a multiple of them.  Free ret also after an
 * error. */
enum voco_err voco_views_replay_open(const char *path, int crops,
                                     struct voco_views_replay *ret);
void voco_views_replay_free(struct voco_views_replay *r);       /* accepts {0} */

#endif
