/*
 * A model and its parameter buffers: a backbone, which is the encoder of a Swin UNETR or a
 * whole segmentation network, projection heads on it, and followers: copies of heads, and
 * of the backbone, that are not trained but follow by an exponential moving average (EMA),
 * or stay as they are.
 *
 * The followers' parameters come last: the optimizer sees the front of the buffers.
 */
#ifndef VOCO_MODEL_MODEL_H
#define VOCO_MODEL_MODEL_H

#include "net/head.h"
#include "net/reconstruct.h"
#include "net/segnet.h"
#include "net/tokenhead.h"

/* How the axes d, h, w of a network lie in a volume's x, y, z: NULL-terminated names,
 * the first is the usual. */
extern const char *const voco_axes_name[];

/* A head, for the objective that trains it. */
struct voco_head_config {
    const char *prefix;         /* of its parameters' names: "student." */
    enum voco_head_norm norm;
    int64_t hidden, out;        /* widths */
    bool follower;              /* follows the head before it, and has its widths */
    double momentum;            /* of a follower: f <- momentum f + (1 - momentum) h */
};

enum { VOCO_HEADS_MAX = 4 };

/* A copy of the backbone that is not trained: parameters teacher_backbone.NAME. */
struct voco_teacher_config {
    bool there;
    bool labels;                /* it labels images; the teachers of heads are on the backbone,
                                 * not on it */
    int64_t start;              /* the step that it is copied in; below 0: none, it begins with
                                 * values of its own */
    double momentum;            /* in the steps after; 1: it stays as it is */
};

struct voco_model_config {
    enum voco_net net;          /* with heads: VOCO_NET_SWINUNETR */
    int64_t in_channels;
    int axes;                   /* index of voco_axes_name */
    struct voco_plainconv_config plainconv;     /* of a VOCO_NET_PLAINCONV */
    /* of a VOCO_NET_SWINUNETR */
    int64_t feature;            /* 12, 24, 48, 96, 192: any multiple of 12 */
    enum voco_merging merging;
    bool plain;                 /* version 1 of Swin UNETR, without layersNc */
    int64_t classes;            /* of a segmentation network, 2 or more; 1: a decoder with another
                                 * output, of intensities; 0: the encoder alone */
    struct voco_head_config head[VOCO_HEADS_MAX];       /* followers after trained heads */
    int n_heads;
    struct voco_teacher_config teacher;
    bool one_moment;            /* of the optimizer: SGD has m alone */
    bool swinheads;             /* swinViT alone and struct voco_swinheads; no classes, no head */
    bool assumed;               /* merging, or axes of a VOCO_NET_PLAINCONV: the weights do not
                                 * say, and nobody else did */
};

/* Parameters that follow others. */
struct voco_follower {
    int64_t from, at, count;    /* elements of the parameter buffer: [at] follows [from] */
    int64_t start;              /* in this step it is copied, before it nothing; -1: never */
    double momentum;            /* in the other steps */
};

/* The heads of Swin UNETR's pre-training, on the deepest map behind its norm. */
struct voco_swinheads {
    struct voco_tokenhead rotation, contrast;           /* tokens 0 and 1 */
    struct voco_reconstruct image;
};

struct voco_provenance;
struct voco_seginfo;

struct voco_model {
    struct voco_model_config config;
    const struct voco_provenance *provenance;   /* that voco_model_save writes, to be set
                                 * behind voco_model_describe; NULL: none */
    const struct voco_seginfo *seginfo;         /* the same */
    struct voco_params params;
    struct voco_segnet net;     /* where config.classes */
    struct voco_encoder encoder;                /* of a VOCO_NET_SWINUNETR; net has it, too */
    struct voco_head head[VOCO_HEADS_MAX];      /* as in config */
    struct voco_swinheads swinheads;            /* where config.swinheads */
    struct voco_follower follower[VOCO_HEADS_MAX + 1];  /* the teacher's last */
    int n_followers;
    int n_released;             /* rows of params in front of the teacher's */
    int64_t trained;            /* elements in front of the followers' */
    struct voco_arena memory;   /* of the buffers */
    struct voco_tensor weight;  /* [params.count] */
    struct voco_tensor grad, m, v, vmax;        /* [trained]; data NULL: inference, and v,
                                 * vmax of one_moment */
    struct voco_tensor before;  /* [params.count - trained]: followers before they moved */
};

/* The heads of VoCo: a trained student and a teacher that follows it. */
enum { VOCO_STUDENT, VOCO_TEACHER, VOCO_CONTRAST_HEADS };
void voco_model_contrast_heads(struct voco_model_config *config, int64_t hidden, int64_t out,
                               double momentum);

/* The table alone, without memory for numbers. */
enum voco_err voco_model_describe(struct voco_model *model,
                                  const struct voco_model_config *config);

/* Axis of the volume that axis i of the network lies on. */
int voco_model_axis(const struct voco_model_config *config, int i);

/* Sizes of images, on the volume's axes, are multiples of this. */
void voco_model_multiple(const struct voco_model_config *config, int64_t ret[3]);

/* "Swin UNETR v2, feature size 48, legacy patch merging"; writes at most 160 bytes. */
const char *voco_model_words(const struct voco_model_config *config, char buf[160]);

/* Memory for the buffers, of the device's real type; gradients and moments only for
 * training, zeroed.  In a planning context the memory is out of reach and only counted. */
enum voco_err voco_model_allocate(struct voco_model *model, struct voco_ctx *ctx,
                                  bool training);

/* Fills every parameter; followers get values of their own, as VoCo's teacher does. */
void voco_model_fill(struct voco_model *model, struct voco_ctx *ctx, enum voco_init init,
                     uint64_t seed);

/* Moves every follower towards the parameters that it follows, as this step asks for, and
 * keeps its old values; undo restores them. */
void voco_model_follow(struct voco_model *model, struct voco_ctx *ctx, int64_t step);
void voco_model_follow_undo(struct voco_model *model, struct voco_ctx *ctx, int64_t step);

/* The square of the norm of the gradient, into host memory. */
double voco_model_grad_squared(const struct voco_model *model, struct voco_ctx *ctx);

void voco_model_free(struct voco_model *model);     /* accepts {0} */

struct voco_weights voco_model_weights(const struct voco_model *model);

/* The teacher's, for the backbone's net or encoder; they have no gradient. */
struct voco_weights voco_model_teacher_weights(const struct voco_model *model);

#endif
