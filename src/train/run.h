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
#ifndef VOCO_TRAIN_RUN_H
#define VOCO_TRAIN_RUN_H

#include "train/model.h"
#include "train/schedule.h"

enum voco_resume { VOCO_RESUME_AUTO, VOCO_RESUME_NO };
enum voco_device_name { VOCO_DEVICE_CPU, VOCO_DEVICE_ORACLE };

struct voco_run_config {
    const char *store, *replay;     /* one of the two */
    const char *out;
    const char *init;               /* NULL, "hash:SEED" or a weights file */
    bool partial;                   /* of init: take what fits ... */
    double min_coverage;            /* ... and per cent of the backbone that it must have */
    int64_t feature, batch, sw, seed;
    int merging;                    /* enum voco_merging */
    int device;                     /* enum voco_device_name */
    int64_t steps, warmup;
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
    int resume;                     /* enum voco_resume */
    int64_t stop_after;             /* steps done; 0: no */
    double max_hours;               /* 0: no limit */
    double checkpoint_minutes;
    int64_t checkpoint_steps;       /* 0: by time alone */
    int64_t keep_last;
    int64_t skip_limit, rollback_limit;
    bool trace;
};

/* Runs or resumes.  VOCO_ESTOPPED: stopped on request with a durable checkpoint. */
enum voco_err voco_pretrain(const struct voco_run_config *config);

#endif
