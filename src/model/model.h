/*
 * A model and its slabs: for pre-training the encoder of a Swin UNETR with student and
 * teacher heads, for segmentation a whole network.
 *
 * The teacher's rows come last, so that what the optimizer sees is the front of the slab.
 */
#ifndef VOCO_MODEL_MODEL_H
#define VOCO_MODEL_MODEL_H

#include "net/head.h"
#include "net/segnet.h"

/* How the axes d, h, w of a network lie in a volume's x, y, z: NULL-terminated names,
 * the first is the usual. */
extern const char *const voco_axes_name[];

struct voco_model_config {
    enum voco_net net;          /* pre-training: VOCO_NET_SWINUNETR */
    int64_t in_channels;
    int axes;                   /* index of voco_axes_name */
    struct voco_plainconv_config plainconv;     /* of a VOCO_NET_PLAINCONV */
    /* of a VOCO_NET_SWINUNETR */
    int64_t feature;            /* 12, 24, 48, 96, 192: any multiple of 12 */
    enum voco_merging merging;
    bool plain;                 /* version 1 of Swin UNETR, without layersNc */
    int64_t classes;            /* segmentation: 2 or more; 0: pre-training */
    int64_t hidden, out;        /* of the heads of pre-training; 1024 */
};

struct voco_model {
    struct voco_model_config config;
    struct voco_params params;
    struct voco_segnet net;     /* segmentation */
    struct voco_encoder encoder;                /* pre-training */
    struct voco_head student, teacher;
    int64_t trained;            /* slab elements in front of the teacher's */
    int64_t student_at;         /* offset of the student's rows; the teacher's mirror them */
    struct voco_arena memory;   /* of the slabs */
    struct voco_tensor weight;  /* [params.count] */
    struct voco_tensor grad, m, v, vmax;        /* [trained]; data NULL: inference */
};

/* The table alone, without memory for numbers. */
enum voco_err voco_model_describe(struct voco_model *model,
                                  const struct voco_model_config *config);

/* Axis of the volume that axis i of the network lies on. */
int voco_model_axis(const struct voco_model_config *config, int i);

/* Sizes of images, on the volume's axes, are multiples of this. */
void voco_model_multiple(const struct voco_model_config *config, int64_t ret[3]);

/* "Swin UNETR v2, feature size 48, legacy patch merging"; writes at most 160 bytes. */
const char *voco_model_words(const struct voco_model_config *config, char buf[160]);

/* Memory for the slabs, of the device's real type; grad and moments only for training,
 * zeroed.  In a planning context the memory is out of reach and only counted. */
enum voco_err voco_model_allocate(struct voco_model *model, struct voco_ctx *ctx,
                                  bool training);

/* Fills every parameter; the teacher gets values of its own, as in the original. */
void voco_model_fill(struct voco_model *model, struct voco_ctx *ctx, enum voco_init init,
                     uint64_t seed);

/* AdamW on the gradient at hand.  o->step counts updates from 1. */
enum voco_err voco_model_update(struct voco_model *model, struct voco_ctx *ctx,
                                const struct voco_adamw *o);

void voco_model_free(struct voco_model *model);     /* accepts {0} */

struct voco_weights voco_model_weights(const struct voco_model *model);

#endif
