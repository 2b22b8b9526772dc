/*
 * A segmentation network of any kind: from volumes to logits of classes, and back.
 *
 * Networks with deep supervision have outputs at coarser resolutions too, which count in
 * training only: output i has 1/2^i of the weight of the first, the coarsest none, as in
 * nnU-Net.
 */
#ifndef VOCO_NET_SEGNET_H
#define VOCO_NET_SEGNET_H

#include "net/plainconv.h"
#include "net/unetr.h"

enum voco_net { VOCO_NET_SWINUNETR, VOCO_NET_PLAINCONV };

enum { VOCO_OUTPUTS = VOCO_PLAIN_STAGES };

struct voco_segnet {
    enum voco_net kind;
    union {
        struct voco_unetr unetr;
        struct voco_plainconv plain;
    };
};

struct voco_segnet_saved {
    union {
        struct voco_unetr_saved unetr;
        struct voco_plainconv_saved plain;
    };
};

/* Outputs that count in training, and their weights, which sum to 1. */
int voco_segnet_outputs(const struct voco_segnet *net, double weight[VOCO_OUTPUTS]);

/* Factor by which output i is smaller than the image, axis by axis. */
void voco_segnet_shrink(const struct voco_segnet *net, int i, int64_t ret[3]);

/* Sizes of images are multiples of this. */
void voco_segnet_multiple(const struct voco_segnet *net, int64_t ret[3]);

/* Activation checkpointing: backward recomputes the insides of blocks. */
void voco_segnet_set_again(struct voco_segnet *net, bool again);

/* Frozen: backward leaves out the encoder, whose gradients stay as they are. */
void voco_segnet_set_frozen(struct voco_segnet *net, bool frozen);

/* logits[outputs], the finest first.  saved NULL: inference, nothing stays on keep. */
void voco_segnet_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                         const struct voco_segnet *net, const struct voco_tensor *x,
                         const struct voco_tensor *logits, int outputs,
                         struct voco_segnet_saved *saved);

/* dlogits[outputs] -> gradients of the parameters. */
void voco_segnet_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_segnet *net, struct voco_segnet_saved *saved,
                          const struct voco_tensor *dlogits, int outputs);

#endif
