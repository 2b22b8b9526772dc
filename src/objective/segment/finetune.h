/*
 * Training a whole network to segment labelled volumes, from pre-trained weights or from
 * scratch.
 *
 * A step is the crops of `batch` volumes; an epoch sees every training volume once.
 */
#ifndef VOCO_OBJECTIVE_SEGMENT_FINETUNE_H
#define VOCO_OBJECTIVE_SEGMENT_FINETUNE_H

#include "data/dataset/split.h"
#include "objective/segment/batch.h"
#include "objective/segment/segment.h"
#include "objective/segment/semi.h"
#include "train/run.h"

struct voco_finetune_config {
    struct voco_run_config run;     /* steps are computed: epochs * steps of an epoch */
    const char *recipe;             /* of voco finetune --task, which the verb applies */
    const char *weights;            /* NULL: from scratch */
    bool partial;                   /* take the weights that fit */
    double min_coverage;            /* per cent of the encoder that the weights must cover */
    int adapter;                    /* enum voco_adapter: other numbers of channels */
    int net;                        /* enum voco_net; -1: of the weights, or Swin UNETR */
    int64_t feature;                /* 0: of the weights, or 48 */
    int merging;                    /* enum voco_merging; -1: of the weights, or legacy */
    bool plain;                     /* version 1 of Swin UNETR */
    int64_t classes;                /* 0: as the store has */
    double roi[3];                  /* whole numbers */
    int64_t batch, samples;         /* volumes of a step, crops of a volume */
    double positive;                /* share of crops on labelled voxels */
    double flip, turn, scale, shift;    /* probabilities: struct voco_seg_augment */
    double fraction;
    int64_t folds, fold, split_seed;
    int64_t epochs, warmup_epochs;
    bool squared_dice, freeze_encoder;
    double layer_decay;             /* of the rate, per depth from the output; 1: none */
    double val_overlap;
    const char *unlabelled;         /* a store of images that a teacher labels; NULL: none */
    struct voco_semi_config semi;
    struct voco_segment_request request;    /* of a step; prepare sets it */
};

#define VOCO_FINETUNE_DEFAULTS {                                                        \
    .run = { .loop = { .checkpoint_minutes = 30, .keep_last = 2, .skip_limit = 5,       \
                       .rollback_limit = 3 },                                           \
             .lr = 3e-4, .weight_decay = 1e-5, .beta1 = 0.9, .beta2 = 0.999,            \
             .eps = 1e-8, .sgd_momentum = 0.99, .schedule = VOCO_WARMUP_COSINE,         \
             .val_epochs = 10, .precision = VOCO_PRECISION_AUTO },                      \
    .net = -1, .merging = -1, .adapter = VOCO_ADAPT_MEAN, .roi = { 96, 96, 96 },        \
    .batch = 1, .samples = 4, .positive = 0.5, .flip = 0.2, .turn = 0.2, .shift = 0.1,  \
    .fraction = 1, .folds = 5, .epochs = 500, .warmup_epochs = 5, .layer_decay = 1,     \
    .val_overlap = 0.5, .semi = VOCO_SEMI_DEFAULTS }

/* From labelled volumes alone, and with c->unlabelled. */
extern const struct voco_objective voco_objective_segment, voco_objective_semi;
extern const struct voco_opt voco_finetune_options[];

/* VOCO_EUSAGE: settings that are missing or contradict each other. */
enum voco_err voco_finetune_check(const struct voco_finetune_config *c);

/* The data of a run, for its task. */
struct voco_labelled {
    struct voco_store *store;
    struct voco_split split;        /* of the labelled volumes; indices in the store */
    struct voco_seg_loader *loader;
    struct voco_unlabelled more;    /* of a semi-supervised run */
};

#endif
