/*
 * Fine-tuning for segmentation: a labelled store and pre-trained weights to a run folder.
 *
 *   RUN/config.json metrics.jsonl events.out.* ckpt-<step>/     as of pre-training
 *   RUN/best.safetensors best.json      weights of the best validation, and its Dice
 *   RUN/model.safetensors               the last weights
 *   RUN/loss.png
 *
 * A step is the crops of one volume; an epoch sees every training volume once.  Validation
 * stands before the first step of an epoch, and at the end.
 */
#ifndef VOCO_TASK_SEGMENT_FINETUNE_H
#define VOCO_TASK_SEGMENT_FINETUNE_H

#include "objective/segment/batch.h"
#include "data/dataset/split.h"
#include "train/loop.h"
#include "model/weights.h"

struct voco_finetune_config {
    struct voco_loop_config loop;   /* steps are computed: epochs * training volumes */
    const char *store;
    const char *weights;            /* NULL: from scratch */
    bool partial;                   /* take what fits of the weights */
    double min_coverage;            /* per cent of the encoder that the weights must cover */
    int adapter;                    /* enum voco_adapter: other numbers of channels */
    int net;                        /* enum voco_net; -1: of the weights, or Swin UNETR */
    int64_t feature;                /* 0: of the weights, or 48 */
    int merging;                    /* enum voco_merging; -1: of the weights, or legacy */
    bool plain;                     /* version 1 of Swin UNETR */
    int64_t classes;                /* 0: as the store has */
    int64_t roi[3];
    int64_t batch, samples;         /* volumes of a step, crops of a volume */
    double positive;                /* share of crops on labelled voxels */
    struct voco_seg_augment augment;
    double fraction;
    int64_t folds, fold, split_seed;
    int64_t epochs, warmup_epochs;
    double lr, weight_decay, beta1, beta2, eps;
    bool amsgrad, squared_dice;
    bool freeze_encoder;
    double layer_decay;             /* of the rate, per depth from the output; 1: none */
    int64_t val_epochs;             /* between validations; 0: only at the end */
    double val_overlap;
    int64_t seed;
    int64_t memory, threads, loader_threads;
    bool trace;                     /* at the end, where the time went */
    bool dry_run;                   /* say what would be done, and stop */
};

/* Runs or resumes.  VOCO_ESTOPPED: stopped on request with a durable checkpoint. */
enum voco_err voco_finetune(const struct voco_finetune_config *config);

#endif
