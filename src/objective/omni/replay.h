/*
 * The labelled crops of a replayed step, which the file of its other crops has, too
 * (objective/voco/replay.h): labelled and label, both [n,1,r,r,r] of any number type.
 */
#ifndef VOCO_OBJECTIVE_OMNI_REPLAY_H
#define VOCO_OBJECTIVE_OMNI_REPLAY_H

#include "data/batch/batches.h"

struct voco_omni_replay {
    int n, roi;
    int classes;                /* one more than the largest label */
    float *image;               /* [n][roi^3] */
    uint8_t *label;
};

enum voco_err voco_omni_replay_open(const char *path, struct voco_omni_replay *ret);
void voco_omni_replay_free(struct voco_omni_replay *r);     /* accepts {0} */

/* Batches of one unit, struct voco_seg_batch; the source is a struct voco_omni_replay. */
extern const struct voco_batch_kind voco_omni_replay_kind;

#endif
