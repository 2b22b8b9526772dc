/*
 * The up block of UNETR ("UnetrUpBlock"): twice the resolution, joined with the skip.
 *
 *   u = transposed convolution 2x2x2 of x, stride 2        [n,2d,2h,2w,cout]
 *   y = residual block of u and skip side by side          [n,2d,2h,2w,cout]
 *
 * x [n,d,h,w,cin], skip [n,2d,2h,2w,cout].
 */
#ifndef VOCO_NET_UPBLOCK_H
#define VOCO_NET_UPBLOCK_H

#include "net/resblock.h"

struct voco_upblock {
    int64_t cin, cout;
    int up;                     /* parameter */
    struct voco_resblock block;
};

/* Stored for backward: x, skip and y belong to the caller, the rest is on keep. */
struct voco_upblock_saved {
    struct voco_tensor x;
    struct voco_resblock_saved block;
};

/* Adds NAME.transp_conv.conv.weight and NAME.conv_block.conv{1,2,3}.conv.weight. */
void voco_upblock_init(struct voco_upblock *b, struct voco_params *t, int64_t cin,
                       int64_t cout, const char *name);

/* saved NULL: inference, nothing stays on keep. */
void voco_upblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_upblock *b, const struct voco_tensor *x,
                          const struct voco_tensor *skip, const struct voco_tensor *y,
                          struct voco_upblock_saved *saved);

/* Consumes dy; dx and dskip are overwritten. */
void voco_upblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                           const struct voco_upblock *b,
                           const struct voco_upblock_saved *saved,
                           const struct voco_tensor *dy, const struct voco_tensor *dx,
                           const struct voco_tensor *dskip);

#endif
