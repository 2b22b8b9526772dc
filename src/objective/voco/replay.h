/*
 * A batch that is given rather than drawn: for reproducing a step elsewhere computed.
 */
#ifndef VOCO_OBJECTIVE_VOCO_REPLAY_H
#define VOCO_OBJECTIVE_VOCO_REPLAY_H

#include <stdint.h>

#include "objective/voco/block.h"

struct voco_replay {
    int volumes, sw, bases, roi;
    float *img;             /* [volumes*sw][roi^3] */
    float *crops;           /* [volumes*bases][roi^3] */
    float *labels;          /* [volumes*sw][bases] */
    unsigned char *keep;    /* [steps][volumes*(sw+bases)]; NULL: nothing is dropped */
    int64_t steps;          /* rows of keep */
};

/*
 * spec is an HDF5 file with img [B*sw,1,r,r,r], crops [B*k,1,r,r,r], labels [B,sw,k] and
 * optionally keep [N,B*(sw+k)] with N >= steps, all of any number type, for the k base crops
 * of a grid n; or, for 3 x 3 x 1, "hash:SEED:B:SW": the batch of the reference numbers,
 * 64^3 crops, by formula.  Shapes that do not fit each other are errors with both numbers.
 */
enum voco_err voco_replay_open(const char *spec, const int n[3], int64_t steps,
                               struct voco_replay *ret);
void voco_replay_free(struct voco_replay *r);       /* accepts {0} */

#endif
