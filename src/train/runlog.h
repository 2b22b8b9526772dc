/*
 * What a run tells: metrics.jsonl, TensorBoard events, the progress line.
 */
#ifndef VOCO_TRAIN_RUNLOG_H
#define VOCO_TRAIN_RUNLOG_H

#include "base/log.h"
#include "report/metrics.h"
#include "report/tensorboard.h"
#include "train/step.h"

struct voco_runlog {
    struct voco_metrics *metrics;
    struct voco_events *events;
    struct voco_progress progress;
    double flops;               /* of a step */
    double peak_flops;          /* of the machine, measured; 0: not known */
    double started_s;
    int64_t shown_step;
};

/* One step as it is logged. */
struct voco_step_record {
    int64_t step;
    struct voco_step_result result;
    double lr;
    double load_s, update_s, seconds;
    double position_accuracy, position_error;
    double embedding_cosine, effective_rank;
    int crops;
    const char *note;           /* why it was skipped; NULL */
};

/* Opens the files of RUN at this step and starts the progress line. */
enum voco_err voco_runlog_open(struct voco_runlog *log, const char *run, int64_t step,
                               int64_t steps);
enum voco_err voco_runlog_step(struct voco_runlog *log, const struct voco_step_record *r);

/* Back to an earlier step: lines from there on are dropped. */
enum voco_err voco_runlog_rewind(struct voco_runlog *log, const char *run, int64_t step);

/* To the disk, before a checkpoint is published. */
enum voco_err voco_runlog_sync(struct voco_runlog *log);
enum voco_err voco_runlog_close(struct voco_runlog *log);   /* accepts {0} */

#endif
