/*
 * A pre-training run: from a store, or a replayed batch, to a folder with everything that
 * happened in it.
 *
 *   RUN/config.json         every option, versions, machine, store
 *   RUN/metrics.jsonl       one object a step
 *   RUN/events.out.*        the same for TensorBoard
 *   RUN/ckpt-<step>/        where it can go on
 *   RUN/model.safetensors   at the end: backbone, student, teacher
 *   RUN/loss.png mosaic.png
 */
#ifndef VOCO_OBJECTIVE_VOCO_PRETRAIN_H
#define VOCO_OBJECTIVE_VOCO_PRETRAIN_H

#include "train/loop.h"
#include "train/schedule.h"

struct voco_pretrain_config {
    struct voco_loop_config loop;
    const char *store, *replay;     /* one of the two */
    const char *init;               /* NULL, "hash:SEED" or a weights file */
    bool partial;                   /* of init: take what fits ... */
    double min_coverage;            /* ... and per cent of the backbone that it must have */
    int64_t feature, batch, sw, seed;
    int merging;                    /* enum voco_merging */
    int device;                     /* in voco_device_names */
    int precision;                  /* enum voco_precision */
    int64_t warmup;
    int schedule;                   /* enum voco_schedule */
    double lr, weight_decay, beta1, beta2, eps;
    bool no_amsgrad, no_augment;
    double momentum, drop;
    const char *repeat[64];
    int n_repeat;
    double window[2];               /* of an i16 store; NaN: as converted */
    int64_t memory;                 /* bytes; 0: half of what is available */
    int64_t threads, loader_threads;    /* 0: what the machine has; 0: one */
    int64_t group;                  /* crops; 0: planned */
    bool trace;
};

/* Runs or resumes.  VOCO_ESTOPPED: stopped on request with a durable checkpoint. */
enum voco_err voco_pretrain(const struct voco_pretrain_config *config);

#endif
