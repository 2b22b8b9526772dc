/*
 * The ranks of a run: processes that compute shares of the same step.
 *
 * The run calls these at the points where ranks must agree; nothing else knows of ranks.
 */
#ifndef VOCO_TRAIN_COMM_H
#define VOCO_TRAIN_COMM_H

#include "dev/device.h"

struct voco_comm {
    int rank, ranks;
    /* x becomes the sum of all ranks' x, the same bits on each. */
    void (*sum)(const struct voco_comm *comm, struct voco_ctx *ctx,
                const struct voco_tensor *x);
};

/* One process: sums over one rank change nothing. */
extern const struct voco_comm voco_comm_self;

#endif
