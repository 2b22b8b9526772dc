/*
 * A projection head, and the contrast that VoCo trains it with.
 *
 *   projector: linear, batch norm, ReLU; again; linear      [rows, 24f] -> [rows, 1024]
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

/*
 * The three losses on projected rows: student and teacher [B*sw + B*9, c], the random
 * crops of all volumes first, both volume-major; labels [B*sw, 9].
 *
 *   intra = mean_i CE(label_i, assign(S random_i, T base_i))
 *   inter = mean_i CE(assign(T random_i, T base_j), assign(S random_i, S base_j))
 *   reg   = mean_i mean_{p<q} assign(S base_i[p], stopgrad S base_i[q])^2
 *   with j = i+1 modulo B; gradients flow into S only.
 *
 * terms [3] gets intra, inter, reg; predicted [B*sw, 9] the weights of the intra term;
 * dstudent is overwritten.
 */
void voco_contrast(struct voco_ctx *ctx, int64_t volumes, int64_t sw,
                   const struct voco_tensor *student, const struct voco_tensor *teacher,
                   const struct voco_tensor *labels, const struct voco_tensor *terms,
                   const struct voco_tensor *predicted, const struct voco_tensor *dstudent);

#endif
