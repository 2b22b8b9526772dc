/*
 * Pretexts that train a whole Swin UNETR, encoder and decoder: the network sees a crop that
 * was changed and says something about every voxel.
 *
 * What they share is in step.h (the computation), replay.h, picture.h and dense.h (the
 * objective).  A pretext is a row of this struct and a file of its own.
 * Pointers named config are to its own settings, which begin with a struct
 * voco_dense_config.
 */
#ifndef VOCO_OBJECTIVE_DENSE_PRETEXT_H
#define VOCO_OBJECTIVE_DENSE_PRETEXT_H

#include "base/rng.h"
#include "data/batch/batches.h"
#include "dev/device.h"
#include "train/objective.h"

struct voco_h5;

/* Crops of a step as the host has them. */
struct voco_dense_batch {
    struct voco_batch_head head;
    int n;                      /* samples */
    int64_t size[3];            /* of a sample */
    float *x;                   /* [n][size] */
    float *y;                   /* [n][size]: a second volume of each sample; or NULL */
    struct voco_box *box;       /* [n][most_boxes], item not set; NULL: there are none */
    int *n_box;                 /* [n] */
    int most_boxes;
};

/* Samples [first, first+n) of a batch on the device; tensors [n,d,h,w,1] of type real. */
struct voco_dense_part {
    const struct voco_dense_batch *batch;
    int first, n;
    struct voco_tensor x;       /* that the network sees */
    struct voco_tensor target;  /* intensities, or classes */
    struct voco_tensor mask;    /* 1 where the answer counts; data NULL: everywhere */
};

struct voco_pretext {
    const char *name;           /* as in --objective; in front of parameters' names where the
                                 * reference's formula fills them */
    const char *words;          /* "masked auto-encoding" */
    const char *panel[3];       /* captions of the picture: input, target, answer */
    const char *x, *y;          /* datasets of a replay; y NULL: samples have but x */
    struct voco_term term[2];
    int n_terms;
    double constant[2];         /* that is added to each term */

    /* ---- on the host ---- */

    bool pair;                  /* a sample is a crop of one volume and a crop of another */
    /* A sample's y from its crop x, which may be changed, too; both [size].  key: seed, step
     * and sample are set.  NULL: crops are left as they are. */
    void (*change)(const void *config, const struct voco_rng_key *key,
                   const int64_t size[3], float *x, float *y, void *scratch);
    size_t (*scratch_bytes)(const int64_t size[3]);

    /* Channels of the network's output; the most boxes of a sample. */
    int64_t (*outputs)(const void *config);
    int (*most_boxes)(const void *config, const int64_t size[3]);
    /* VOCO_EUSAGE: settings that contradict each other, or crops of this size. */
    enum voco_err (*check)(const void *config, const int64_t size[3]);
    /* Draws the boxes of sample i of a batch.  key as above.  NULL: there are none. */
    void (*draw)(const void *config, const struct voco_rng_key *key,
                 struct voco_dense_batch *batch, int i);
    /* Boxes of a replayed batch, allocated; NULL: a replay has none. */
    enum voco_err (*read_boxes)(const void *config, struct voco_h5 *h, const char *path,
                                struct voco_dense_batch *batch);

    /* ---- on the device ---- */

    /* x, target and mask of a part, on keep. */
    void (*make)(const void *config, struct voco_ctx *ctx, struct voco_dense_part *part);
    /* Adds the part's share of the loss to terms; its gradient takes the place of the
     * network's output y [n,d,h,w,outputs]. */
    void (*loss)(const void *config, struct voco_ctx *ctx,
                 const struct voco_dense_part *part, const struct voco_tensor *y,
                 const struct voco_tensor *terms);
    /* y as numbers to look at, comparable with the target: [n,d,h,w,1]; and the number that
     * is drawn white. */
    void (*answer)(const void *config, struct voco_ctx *ctx, const struct voco_tensor *y,
                   const struct voco_tensor *ret);
    double (*white)(const void *config);
};

extern const struct voco_pretext voco_pretext_fusion, voco_pretext_mae, voco_pretext_genesis;

/* ---- for make and loss ---- */

/* Host crops [batch->n][size] of the part as a tensor on keep. */
struct voco_tensor voco_dense_upload(struct voco_ctx *ctx,
                                     const struct voco_dense_part *part,
                                     const float *crops);

/* A tensor like those of the part on keep, filled with a value. */
struct voco_tensor voco_dense_filled(struct voco_ctx *ctx,
                                     const struct voco_dense_part *part, double value);

/* The boxes of the part's samples in y, each filled with scale * its value + shift. */
void voco_dense_paint(struct voco_ctx *ctx, const struct voco_dense_part *part, double scale,
                      double shift, const struct voco_tensor *y);

#endif
