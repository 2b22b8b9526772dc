/*
 * The encoder of Swin UNETR (v2) and its embedding: the backbone that VoCo trains.
 *
 *   h0 = patch_embed(x)                            f x (s/2)^3
 *   h_i = layers_i(layers_ic(h_(i-1)))             2^i f x (s/2^(i+1))^3     i = 1..4
 *   maps = encoder1(x), encoder2(n(h0)), encoder3(n(h1)), encoder4(n(h2)), encoder10(n(h4))
 *   embedding = means of the maps over their voxels, side by side            24 f numbers
 *
 * n is a layer norm over channels without parameters; only what goes into the encoderN
 * blocks is normalised, the stages pass on the plain h_i.  No operation couples two crops
 * of a batch.   x [n,s,s,s,1], s a multiple of 2, at least 32.
 */
#ifndef VOCO_NET_ENCODER_H
#define VOCO_NET_ENCODER_H

#include "net/resblock.h"
#include "net/stage.h"

enum { VOCO_STAGES = 4, VOCO_MAPS = 5 };

struct voco_encoder {
    int64_t feature;            /* f: 48 is the Base model, 96 Large, 192 Huge */
    int64_t in_channels;
    int patch_w, patch_b;
    struct voco_resblock mix[VOCO_STAGES];      /* layersNc */
    struct voco_stage stage[VOCO_STAGES];       /* layersN */
    struct voco_resblock map[VOCO_MAPS];        /* encoder1, 2, 3, 4, 10 */
};

struct voco_encoder_saved {
    struct voco_tensor x;
    struct voco_tensor h[VOCO_STAGES + 1];
    struct { struct voco_tensor mean, rstd; } norm[VOCO_MAPS];
    struct voco_resblock_saved mix[VOCO_STAGES];
    struct voco_stage_saved stage[VOCO_STAGES];
    struct voco_resblock_saved map[VOCO_MAPS];
};

/* Adds the backbone's parameters, each name behind the prefix ("backbone."). */
void voco_encoder_init(struct voco_encoder *e, struct voco_params *t, int64_t in_channels,
                       int64_t feature, enum voco_merging merging, const char *prefix);

/* Numbers in an embedding: 24 f. */
int64_t voco_encoder_width(const struct voco_encoder *e);

/* embedding [n, 24f].  saved NULL: inference. */
void voco_encoder_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_encoder *e, const struct voco_tensor *x,
                          const struct voco_tensor *embedding,
                          struct voco_encoder_saved *saved);

/* dembedding [n, 24f] -> gradients of the parameters. */
void voco_encoder_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                           const struct voco_encoder *e,
                           const struct voco_encoder_saved *saved,
                           const struct voco_tensor *dembedding);

#endif
