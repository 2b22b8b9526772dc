/*
 * A device whose missing entries another one computes: tensors are downloaded, the entry
 * of the other device runs on the copies, and its results are uploaded.
 *
 * A new device can thus be written entry by entry, in the order that its profile
 * suggests, while every test passes.  It needs open, close, describe, peak, sync,
 * reserve, upload and download; everything else may be NULL.  conv_workspace,
 * attn_workspace, conv_packed_bytes and conv_moments answer for entries of the device
 * itself, and are needed with those.
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
