/*
 * The encoder of Swin UNETR.  The decoder uses its maps; VoCo's embedding is their means.
 *
 *   h0 = patch_embed(x)                            f x (s/2)^3
 *   h_i = layers_i(layers_ic(h_(i-1)))             2^i f x (s/2^(i+1))^3     i = 1..4
 *   maps = encoder1(x), encoder2(n(h0)), encoder3(n(h1)), encoder4(n(h2)), encoder10(n(h4))
 *   embedding = means of the maps over their voxels, side by side            24 f numbers
 *
 * n is a layer norm over channels without parameters; only the inputs of the encoderN
 * blocks are normalised, the stages pass on h_i itself.  The first version of Swin UNETR
 * ("plain") has no layers_ic.  No operation couples two crops of a batch.
 *
 * x [n,d,h,w,c], sizes even; the maps of a decoder fit together where they are multiples
 * of 32.
 */
#ifndef VOCO_NET_ENCODER_H
#define VOCO_NET_ENCODER_H

#include "net/resblock.h"
#include "net/stage.h"

enum { VOCO_STAGES = 4, VOCO_MAPS = 5 };

struct voco_encoder_config {
    int64_t feature;            /* f: 48 is the Base model, 96 Large, 192 Huge */
    int64_t in_channels;
    enum voco_merging merging;
    bool plain;                 /* version 1 */
    bool trunk;                 /* swinViT alone: no maps, no embedding */
};

struct voco_encoder {
    struct voco_encoder_config config;
    int patch_w, patch_b;
    struct voco_resblock mix[VOCO_STAGES];      /* layersNc */
    struct voco_stage stage[VOCO_STAGES];       /* layersN */
    struct voco_resblock map[VOCO_MAPS];        /* encoder1, 2, 3, 4, 10 */
};

/* Which activations are stored on keep: none (inference, all on temp); the inputs and
 * outputs of blocks, whose insides backward recomputes (activation checkpointing); all. */
enum voco_keep { VOCO_KEEP_NOTHING, VOCO_KEEP_ENDS, VOCO_KEEP_ALL };

struct voco_level_saved {
    struct voco_resblock_saved mix;
    struct voco_stage_saved stage;
};

struct voco_map_saved {
    struct voco_tensor mean, rstd;
    struct voco_resblock_saved block;
};

struct voco_encoder_saved {
    enum voco_keep keep;
    struct voco_tensor x;
    struct voco_tensor h[VOCO_STAGES + 1];
    struct voco_level_saved level[VOCO_STAGES];
    struct voco_map_saved map[VOCO_MAPS];
};

/* Adds the encoder's parameters, each name behind the prefix ("backbone."). */
void voco_encoder_init(struct voco_encoder *e, struct voco_params *t,
                       const struct voco_encoder_config *config, const char *prefix);

/* ---- the embedding ---- */

/* Numbers in an embedding: 24 f. */
int64_t voco_encoder_width(const struct voco_encoder *e);

/* embedding [n, 24f].  saved NULL: inference. */
void voco_encoder_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                          const struct voco_encoder *e, const struct voco_tensor *x,
                          const struct voco_tensor *embedding,
                          struct voco_encoder_saved *saved);

/* dembedding [n, 24f] -> gradients of the parameters. */
void voco_encoder_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                           const struct voco_encoder *e, struct voco_encoder_saved *saved,
                           const struct voco_tensor *dembedding);

/* ---- its parts, for the decoder ---- */

/* Computes s->h from x.  The caller sets s->keep, which decides the arena. */
void voco_encoder_trunk_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                                const struct voco_encoder *e, const struct voco_tensor *x,
                                struct voco_encoder_saved *s);

/* dh[i], i <= top, holds the gradients that maps and decoder send to h[i]; it is overwritten.
 * The hidden states behind top get none.  dx, the image's gradient, is added to; it may be
 * NULL. */
void voco_encoder_trunk_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                                 const struct voco_encoder *e,
                                 struct voco_encoder_saved *s,
                                 const struct voco_tensor dh[VOCO_STAGES + 1], int top,
                                 const struct voco_tensor *dx);

/* Map i of the hidden state that feeds it (h[voco_map_source[i]], map 0 of the image). */
extern const int voco_map_source[VOCO_MAPS];

void voco_encoder_map_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                              const struct voco_encoder *e, int i,
                              struct voco_encoder_saved *s, const struct voco_tensor *y);

/* Consumes dy; dsource is overwritten, NULL where the source needs no gradient.  y is the
 * output of forward, recomputed if s->keep is VOCO_KEEP_ENDS. */
void voco_encoder_map_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                               const struct voco_encoder *e, int i,
                               struct voco_encoder_saved *s, const struct voco_tensor *y,
                               const struct voco_tensor *dy,
                               const struct voco_tensor *dsource);

/* The layer norm n of volumes: y = n(x); dx = its gradient, dx may be dy. */
void voco_channelnorm_forward(struct voco_ctx *ctx, const struct voco_tensor *x,
                              const struct voco_tensor *y, const struct voco_tensor *mean,
                              const struct voco_tensor *rstd);
void voco_channelnorm_backward(struct voco_ctx *ctx, const struct voco_tensor *x,
                               const struct voco_tensor *mean,
                               const struct voco_tensor *rstd,
                               const struct voco_tensor *dy, const struct voco_tensor *dx);

#endif
