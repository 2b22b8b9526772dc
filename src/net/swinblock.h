/*
 * One Swin transformer block on a volume of tokens.
 *
 *   x1 = x  + proj(attention(qkv(norm1(x))))       in (shifted) windows
 *   y  = x1 + linear2(gelu(linear1(norm2(x1))))
 *
 * x, y [n,d,h,w,c].  The hidden layer of the second line has 4c units.
 */
#ifndef VOCO_NET_SWINBLOCK_H
#define VOCO_NET_SWINBLOCK_H

#include "net/param.h"

enum { VOCO_WINDOW = 7 };       /* edge of an attention window in tokens */

struct voco_swinblock {
    int64_t dim;                /* c */
    int heads;
    bool shifted;               /* by half a window */
    struct { int w, b; } norm1, norm2, qkv, proj, linear1, linear2;
    int table;                  /* relative position bias */
};

/* x and y belong to the caller, the rest is on keep.  Norms and the activation are cheap to
 * recompute and are not stored; lean: qkv and hidden are not stored either. */
struct voco_swinblock_saved {
    bool lean;
    struct voco_tensor x, x1, qkv, attended, hidden;
    struct voco_tensor mean1, rstd1, mean2, rstd2, lse;
};

/* Adds the parameters NAME.norm1.weight ... NAME.mlp.linear2.bias. */
void voco_swinblock_init(struct voco_swinblock *b, struct voco_params *t, int64_t dim,
                         int heads, bool shifted, const char *name);

/* The windows of this block on a volume of this size: an axis no longer than the window
 * gets a window of its own length and no shift. */
struct voco_windows voco_swinblock_windows(const struct voco_swinblock *b,
                                           const int64_t size[3]);

/* saved NULL: inference, nothing stays on keep. */
void voco_swinblock_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                            const struct voco_swinblock *b, const struct voco_tensor *x,
                            const struct voco_tensor *y,
                            struct voco_swinblock_saved *saved);

/* dy is turned into dx in place. */
void voco_swinblock_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                             const struct voco_swinblock *b,
                             const struct voco_swinblock_saved *saved,
                             const struct voco_tensor *dy);

#endif
