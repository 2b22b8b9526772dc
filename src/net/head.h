/*
 * A projection head.
 *
 *   projector: linear, batch norm, ReLU; linear, batch norm, ReLU; linear      [rows, 24f] -> [rows, 1024]
 *
 * The batch norms have no parameters and no running statistics: they run over all rows of
 * the batch, random crops and bases alike.
 */
#ifndef VOCO_NET_HEAD_H
#define VOCO_NET_HEAD_H

#include "net/param.h"

enum { VOCO_HEAD_LAYERS = 3 };

struct voco_head {
    int64_t in, hidden, out;
    int w[VOCO_HEAD_LAYERS], b[VOCO_HEAD_LAYERS];
};

struct voco_head_saved {
    struct voco_tensor x;
    struct { struct voco_tensor normed, rstd, active; } layer[VOCO_HEAD_LAYERS - 1];
};

/* Adds PREFIXlayer{1,2,3}.0.{weight,bias}. */
void voco_head_init(struct voco_head *h, struct voco_params *t, int64_t in, int64_t hidden,
                    int64_t out, const char *prefix);

/* saved NULL: inference. */
void voco_head_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_head *h, const struct voco_tensor *x,
                       const struct voco_tensor *y, struct voco_head_saved *saved);
void voco_head_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_head *h, const struct voco_head_saved *saved,
                        const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
