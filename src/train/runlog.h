/*
 * The logs of a run: metrics.jsonl, TensorBoard events, the progress line.
 */
#ifndef VOCO_TRAIN_RUNLOG_H
#define VOCO_TRAIN_RUNLOG_H

#include "base/log.h"
#include "report/metrics.h"
#include "report/tensorboard.h"

struct voco_runlog {
    const char *title;          /* of the progress line; set before open */
    struct voco_metrics *metrics;
    struct voco_events *events;
    struct voco_progress progress;
};

/* Opens the files of RUN at this step and starts the progress line. */
enum voco_err voco_runlog_open(struct voco_runlog *log, const char *run, int64_t step,
                               int64_t steps);

/* One step's numbers, and free text under "note" or NULL.  Those that are not finite stay
 * out of TensorBoard. */
enum voco_err voco_runlog_write(struct voco_runlog *log, int64_t step,
                                const struct voco_metric *row, int n, const char *note);

/* Back to an earlier step: lines from there on are dropped. */
enum voco_err voco_runlog_rewind(struct voco_runlog *log, const char *run, int64_t step);

/* To the disk, before a checkpoint is published. */
enum voco_err voco_runlog_sync(struct voco_runlog *log);
enum voco_err voco_runlog_close(struct voco_runlog *log);   /* accepts {0} */

#endif
