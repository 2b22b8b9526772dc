/*
 * A projection head: [rows, 24f] -> [rows, out], with one of three norms.
 *
 *   batch norm   linear, norm, ReLU; linear, norm, ReLU; linear: VoCo's, 1024 wide.  The norm
 *                runs over all rows of the batch, random crops and bases alike.
 *   row norm     the same, but every row is normalised over its own features
 *   no norm      linear, ReLU; linear
 *
 * The norms have no parameters and no running statistics.
 */
#ifndef VOCO_NET_HEAD_H
#define VOCO_NET_HEAD_H

#include "net/param.h"

enum voco_head_norm { VOCO_HEAD_BATCH_NORM, VOCO_HEAD_ROW_NORM, VOCO_HEAD_NO_NORM };

enum { VOCO_HEAD_LAYERS = 3 };          /* at most */

struct voco_head {
    enum voco_head_norm norm;
    int layers;
    int64_t in, hidden, out;
    int w[VOCO_HEAD_LAYERS], b[VOCO_HEAD_LAYERS];
};

struct voco_head_saved {
    struct voco_tensor x;
    struct { struct voco_tensor normed, rstd, active; } layer[VOCO_HEAD_LAYERS - 1];
};

/* Adds PREFIXlayer{1,2,3}.0.{weight,bias}. */
void voco_head_init(struct voco_head *h, struct voco_params *t, enum voco_head_norm norm,
                    int64_t in, int64_t hidden, int64_t out, const char *prefix);

/* saved NULL: inference. */
void voco_head_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                       const struct voco_head *h, const struct voco_tensor *x,
                       const struct voco_tensor *y, struct voco_head_saved *saved);
void voco_head_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_head *h, const struct voco_head_saved *saved,
                        const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
