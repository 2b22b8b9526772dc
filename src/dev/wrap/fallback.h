/*
 * A device whose missing entries another one computes: tensors are downloaded, the entry of
 * the other device runs on the copies, and what it wrote is uploaded.
 *
 * So a new device can land entry by entry, with every test green, in the order of what its
 * profile shows.  It needs open, close, describe, peak, sync, reserve, upload and download;
 * everything else may be NULL.  conv_workspace, attn_workspace, conv_packed_bytes and
 * conv_moments answer for entries of the device itself, and are needed with those.
 */
#ifndef VOCO_DEV_WRAP_FALLBACK_H
#define VOCO_DEV_WRAP_FALLBACK_H

#include "dev/device.h"

struct voco_fallback {
    struct voco_device device;          /* first: ctx->dev points to it */
    const struct voco_device *inner;    /* may lack entries */
    const struct voco_device *helper;   /* has all of them, and the types of inner */
};

/* For voco_ctx_open(&ctx, &ret->device, ...), or for another wrapper. */
void voco_fallback_init(struct voco_fallback *ret, const struct voco_device *inner,
                        const struct voco_device *helper);

#endif
