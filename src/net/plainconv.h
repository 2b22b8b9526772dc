/*
 * PlainConvUNet, the network of nnU-Net, as the package dynamic-network-architectures has
 * it: stages of convolutions, each with a bias and followed by an instance norm with scale
 * and shift and a leaky activation; transposed convolutions upwards; an output layer at
 * every resolution of the decoder.
 *
 *   e[0] = stage0(x)       e[s] = stage_s(e[s-1])      the first convolution has the stride
 *   d[n-1] = e[n-1]        d[s] = up_s([transposed(d[s+1]), e[s]])
 *   logits[s] = out_s(d[s])                            1x1x1; [0] is of full resolution
 *
 * Of each norm and activation only the normalised numbers are stored; backward recomputes
 * the input of the next convolution from them.
 */
#ifndef VOCO_NET_PLAINCONV_H
#define VOCO_NET_PLAINCONV_H

#include "net/param.h"

enum { VOCO_PLAIN_STAGES = 8, VOCO_PLAIN_CONVS = 8 };

struct voco_plainconv_config {
    int stages;                                 /* 2 or more */
    int64_t width[VOCO_PLAIN_STAGES];           /* channels */
    int kernel[VOCO_PLAIN_STAGES][3];           /* odd; of encoder and decoder */
    int stride[VOCO_PLAIN_STAGES][3];
    int convs[VOCO_PLAIN_STAGES];               /* of a stage of the encoder */
    int up_convs[VOCO_PLAIN_STAGES];            /* of the decoder at this resolution */
};

/* nnU-Net's own for large patches: 6 stages of 32 to 320 channels, 2 convolutions each. */
extern const struct voco_plainconv_config voco_plainconv_default;

struct voco_plainconv_layer {
    struct voco_conv conv;
    int w, b, scale, shift;                     /* parameters */
};

struct voco_plainconv_stage {
    struct voco_plainconv_layer layer[VOCO_PLAIN_CONVS];
    int n;
};

struct voco_plainconv {
    struct voco_plainconv_config config;
    int64_t classes;
    struct voco_plainconv_stage down[VOCO_PLAIN_STAGES];
    struct voco_plainconv_stage up[VOCO_PLAIN_STAGES];  /* at resolution 0 .. stages-2 */
    int up_w[VOCO_PLAIN_STAGES], up_b[VOCO_PLAIN_STAGES];       /* from s+1 to s */
    int out_w[VOCO_PLAIN_STAGES], out_b[VOCO_PLAIN_STAGES];
    bool again;                 /* activation checkpointing: backward recomputes stages */
    bool frozen;                /* backward ends at e[]: down[] stores nothing and is not
                                 * trained */
};

struct voco_plainconv_stage_saved {
    struct voco_tensor xhat[VOCO_PLAIN_CONVS], rstd[VOCO_PLAIN_CONVS];
};

struct voco_plainconv_saved {
    struct voco_tensor x, e[VOCO_PLAIN_STAGES], d[VOCO_PLAIN_STAGES];
    struct voco_tensor both[VOCO_PLAIN_STAGES];         /* the input of up[s] */
    struct voco_plainconv_stage_saved down[VOCO_PLAIN_STAGES], up[VOCO_PLAIN_STAGES];
};

/* Adds the parameters by the package's names, each once. */
void voco_plainconv_init(struct voco_plainconv *p, struct voco_params *t,
                         const struct voco_plainconv_config *config, int64_t in_channels,
                         int64_t classes);

/* Factor by which resolution s is smaller than x, on each axis.  Every size of x must be a
 * multiple of the factor of the last resolution. */
void voco_plainconv_shrink(const struct voco_plainconv_config *config, int s,
                           int64_t ret[3]);

/* x [n,d,h,w,cin]; logits[0 .. outputs-1], the finest first.  saved NULL: inference,
 * nothing stays on keep. */
void voco_plainconv_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                            const struct voco_plainconv *p, const struct voco_tensor *x,
                            const struct voco_tensor *logits, int outputs,
                            struct voco_plainconv_saved *saved);

/* dlogits -> gradients of the parameters and, unless NULL, of the image (overwritten). */
void voco_plainconv_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                             const struct voco_plainconv *p,
                             struct voco_plainconv_saved *saved,
                             const struct voco_tensor *dlogits, int outputs,
                             const struct voco_tensor *dx);

#endif
