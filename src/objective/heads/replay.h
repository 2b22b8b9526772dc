/*
 * One given batch of Swin UNETR's pre-training, for every step of a run.
 *
 * A file has the names of the reference's batches:
 *
 *   x                [n,1,r,r,r]   crops
 *   rotation_labels  [2,n]         quarter turns of each view, 0..3
 *   cut              [2n,6]        a box a view, view-major: start and extent, axis by axis
 *   fill0 .. fill<2n-1>            [i,j,k] values of the boxes
 *
 * hash:SEED:N or hash:SEED:N:R is the reference's batch of N crops of R^3 (64), by formula.
 */
#ifndef VOCO_OBJECTIVE_HEADS_REPLAY_H
#define VOCO_OBJECTIVE_HEADS_REPLAY_H

#include "objective/heads/cutview.h"

struct voco_heads_replay {
    int crops, roi;
    float *x;                   /* [crops][roi^3] */
    struct voco_cutview *views;    /* [2][crops] */
};

/* Free also after a failure. */
enum voco_err voco_heads_replay_open(const char *spec, struct voco_heads_replay *ret);
void voco_heads_replay_free(struct voco_heads_replay *r);       /* accepts {0} */

#endif
