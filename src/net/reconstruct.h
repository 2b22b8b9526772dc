/*
 * The decoder of Swin UNETR's pre-training: from the deepest map to the image, without
 * skip connections.
 *
 *   x_0     = the map                                                 [n,d,h,w,16f]
 *   y_s     = leaky(norm(conv_s(x_s)))       conv 3x3x3 with bias     s = 0..4
 *   x_(s+1) = up(y_s)                        trilinear, twice the size
 *   image   = conv_5(x_5) = up(conv_5(y_4))  conv 1x1x1 with bias     [n,32d,32h,32w,c]
 *
 * Channels 16f, 8f, 4f, 2f, f, f, c; norms are instance norms without parameters, the slope
 * is 0.01.  The weights of up sum to 1 at every voxel, so that a 1x1x1 convolution commutes
 * with it: conv_5 is computed in front of the last up, on an eighth of the voxels.
 */
#ifndef VOCO_NET_RECONSTRUCT_H
#define VOCO_NET_RECONSTRUCT_H

#include "net/param.h"

enum { VOCO_RECONSTRUCT_STAGES = 5, VOCO_RECONSTRUCT_SCALE = 1 << VOCO_RECONSTRUCT_STAGES };

struct voco_reconstruct {
    int64_t width[VOCO_RECONSTRUCT_STAGES + 2];     /* in front of conv_s, and behind all */
    int w[VOCO_RECONSTRUCT_STAGES + 1], b[VOCO_RECONSTRUCT_STAGES + 1];
};

struct voco_reconstruct_saved {
    struct voco_tensor x;       /* the map; the caller's */
    struct voco_tensor y[VOCO_RECONSTRUCT_STAGES], rstd[VOCO_RECONSTRUCT_STAGES];
};

/* Adds NAME.0, NAME.4, ... NAME.20 (.weight, .bias): the numbers of the layers in torch's
 * Sequential.  in: channels of the map, a multiple of 16; channels: of the image. */
void voco_reconstruct_init(struct voco_reconstruct *r, struct voco_params *t, int64_t in,
                           int64_t channels, const char *name);

/* x [n,d,h,w,in] -> y [n,32d,32h,32w,channels].  saved NULL: inference. */
void voco_reconstruct_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                              const struct voco_reconstruct *r, const struct voco_tensor *x,
                              const struct voco_tensor *y,
                              struct voco_reconstruct_saved *saved);

/* dx is overwritten; dy is kept. */
void voco_reconstruct_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                               const struct voco_reconstruct *r,
                               const struct voco_reconstruct_saved *saved,
                               const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
