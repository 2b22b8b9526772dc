/*
 * The residual convolution block of UNETR ("UnetResBlock").
 *
 *   h = leaky(norm(conv1(x)))
 *   y = leaky(norm(conv2(h)) + r)     r = x, or norm(conv3(x)) where channels differ
 *
 * conv1 and conv2 are 3x3x3 without bias, conv3 is 1x1x1; the norms are instance norms
 * without parameters; the slope is 0.01.   x [n,d,h,w,cin], y [n,d,h,w,cout].
 */
#ifndef VOCO_NET_RESBLOCK_H
#define VOCO_NET_RESBLOCK_H

#include "net/param.h"

struct voco_resblock {
    int64_t cin, cout;
    int conv1, conv2, conv3;    /* parameters; conv3 is -1 where cin == cout */
};

/* Stored for backward: x and y belong to the caller, the rest is on keep.  Lean, with few
 * input channels: h and r are recomputed, at a fraction of the cost of conv2. */
struct voco_resblock_saved {
    bool lean;
    struct voco_tensor x, h, r, y;
    struct voco_tensor rstd1, rstd2, rstd3;
};

/* Adds the parameters NAME.conv{1,2,3}.conv.weight. */
void voco_resblock_init(struct voco_resblock *b, struct voco_params *t, int64_t cin,
                        int64_t cout, const char *name);

/* saved NULL: inference, nothing stays on keep. */
void voco_resblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                           const struct voco_resblock *b, const struct voco_tensor *x,
                           const struct voco_tensor *y, struct voco_resblock_saved *saved);

/* Consumes dy (its contents are lost).  dx NULL where the input needs no gradient. */
void voco_resblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                            const struct voco_resblock *b,
                            const struct voco_resblock_saved *saved,
                            const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
