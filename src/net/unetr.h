/*
 * The whole Swin UNETR: the encoder, five up blocks, an output layer.
 *
 *   d5 = encoder10(n(h4))                                       16f, 1/32 of the edge
 *   d4 = decoder5(d5, n(h3))                                     8f, 1/16
 *   d3 = decoder4(d4, encoder4(n(h2)))                           4f, 1/8
 *   d2 = decoder3(d3, encoder3(n(h1)))                           2f, 1/4
 *   d1 = decoder2(d2, encoder2(n(h0)))                            f, 1/2
 *   d0 = decoder1(d1, encoder1(x))                                f, 1
 *   logits = out(d0)                                             1x1x1 convolution
 *
 * x [n,d,h,w,c], every size a multiple of 32; logits [n,d,h,w,classes].
 */
#ifndef VOCO_NET_UNETR_H
#define VOCO_NET_UNETR_H

#include "net/encoder.h"
#include "net/upblock.h"

enum { VOCO_UPS = 5, VOCO_UNETR_MULTIPLE = 32 };

/* Where backward ends besides at the image: nowhere else; at the maps of the encoder, so
 * that only h3, whose skip has no block, passes a gradient to it; at all skips. */
enum voco_cut { VOCO_CUT_NOTHING, VOCO_CUT_MAPS, VOCO_CUT_SKIPS };

struct voco_unetr {
    struct voco_encoder encoder;
    struct voco_upblock up[VOCO_UPS];           /* decoder1 .. decoder5 */
    int64_t classes;
    int out_w, out_b;
    bool again;                 /* activation checkpointing: backward recomputes blocks */
    enum voco_cut cut;          /* what lies behind it stores nothing */
};

struct voco_unetr_saved {
    enum voco_keep keep;                        /* of the decoder */
    struct voco_encoder_saved encoder;
    struct voco_tensor skip[VOCO_UPS];          /* of decoder1 .. decoder5 */
    struct voco_tensor d[VOCO_UPS + 1];
    struct voco_tensor mean, rstd;              /* of n(h3) */
    struct voco_upblock_saved up[VOCO_UPS];
};

/* Adds the parameters of encoder, decoder and output layer. */
void voco_unetr_init(struct voco_unetr *u, struct voco_params *t,
                     const struct voco_encoder_config *config, int64_t classes,
                     const char *prefix);

/* saved NULL: inference, nothing stays on keep. */
void voco_unetr_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                        const struct voco_unetr *u, const struct voco_tensor *x,
                        const struct voco_tensor *logits, struct voco_unetr_saved *saved);

/* dlogits -> gradients of the parameters in front of u->cut and, unless NULL, of the image
 * (overwritten), which a cut excludes. */
void voco_unetr_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                         const struct voco_unetr *u, struct voco_unetr_saved *saved,
                         const struct voco_tensor *dlogits, const struct voco_tensor *dx);

#endif
