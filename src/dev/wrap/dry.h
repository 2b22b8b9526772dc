/*
 * A device that plans: it computes nothing and never touches data.
 *
 * Its arenas lie in address space that nobody may access.  The real composition code runs
 * once, and the sizes that the arenas reach are the memory plan.  The inner device's
 * workspace entries tell how much workspace it needs; operations are counted.
 */
#ifndef VOCO_DEV_WRAP_DRY_H
#define VOCO_DEV_WRAP_DRY_H

#include "dev/shape.h"

struct voco_dry {
    struct voco_device device;          /* first: ctx->dev points to it */
    const struct voco_device *inner;
    double flops;                       /* of all calls so far, by the direct method */
    uint64_t packed_bytes;              /* weights kept in another order */
    const void **weights;               /* those that are counted in packed_bytes */
    int n, room;
    struct voco_uses *uses;             /* NULL, or gets the shapes that have a choice */
};

/* For voco_ctx_open(&ctx, &ret->device, ...); life is the inner device's, so its state is
 * made and its workspace entries work as usual.  Downloads give zeros. */
void voco_dry_init(struct voco_dry *ret, const struct voco_device *inner);
void voco_dry_free(struct voco_dry *dry);       /* accepts {0}; after voco_ctx_close */

#endif
