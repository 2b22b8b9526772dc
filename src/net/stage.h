/*
 * One stage of the Swin transformer ("BasicLayer"): blocks, then patch merging, which
 * halves the volume and doubles the channels.
 *
 *   merged = the eight sub-lattices of x side by side       [n,d/2,h/2,w/2,8c]
 *   y      = reduction(norm(merged))                        [n,d/2,h/2,w/2,2c]
 */
#ifndef VOCO_NET_STAGE_H
#define VOCO_NET_STAGE_H

#include "net/swinblock.h"

enum { VOCO_DEPTH = 2 };        /* blocks per stage; the second one is shifted */

/* The sub-lattices that patch merging takes.  LEGACY: two offsets twice and two never, as
 * in MONAI before 1.5, with which all published VoCo weights were trained. */
enum voco_merging { VOCO_MERGING_LEGACY, VOCO_MERGING_FIXED };

struct voco_stage {
    struct voco_swinblock block[VOCO_DEPTH];
    int64_t dim;                /* c of the input */
    enum voco_merging merging;
    int norm_w, norm_b, reduction;
};

struct voco_stage_saved {
    struct voco_swinblock_saved block[VOCO_DEPTH];
    struct voco_tensor merged, mean, rstd;
};

void voco_stage_init(struct voco_stage *s, struct voco_params *t, int64_t dim, int heads,
                     enum voco_merging merging, const char *name);

/* ceil(size/2) for each axis. */
void voco_stage_halve(const int64_t size[3], int64_t half[3]);

/* x [n,d,h,w,c] -> y; saved NULL: inference. */
void voco_stage_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_stage *s, const struct voco_tensor *x,
                        const struct voco_tensor *y, struct voco_stage_saved *saved);

/* dx [n,d,h,w,c] is overwritten; dy is kept. */
void voco_stage_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                         const struct voco_stage *s, const struct voco_stage_saved *saved,
                         const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
