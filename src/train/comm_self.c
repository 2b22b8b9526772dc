/* The communicator of a run in one process. */
#include "train/comm.h"

static void
sum(const struct voco_comm *comm, struct voco_ctx *ctx, const struct voco_tensor *x)
{
    (void)comm;
    (void)ctx;
    (void)x;
}

const struct voco_comm voco_comm_self = { .rank = 0, .ranks = 1, .sum = sum };
