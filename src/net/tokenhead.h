/*
 * A linear layer on one token of a map: y = linear(token of x).
 *
 * x [n,d,h,w,c]; tokens are counted in row-major order, the last axis fastest; y [n,out].
 */
#ifndef VOCO_NET_TOKENHEAD_H
#define VOCO_NET_TOKENHEAD_H

#include "net/param.h"

struct voco_tokenhead {
    int64_t token;
    int w, b;
};

/* Adds NAME.weight and NAME.bias. */
void voco_tokenhead_init(struct voco_tokenhead *h, struct voco_params *t, int64_t token,
                         int64_t in, int64_t out, const char *name);

void voco_tokenhead_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                            const struct voco_tokenhead *h, const struct voco_tensor *x,
                            const struct voco_tensor *y);

/* The token of dx is overwritten, its other tokens stay. */
void voco_tokenhead_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                             const struct voco_tokenhead *h, const struct voco_tensor *x,
                             const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
