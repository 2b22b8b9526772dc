/* The log of a run. */
#include "train/runlog.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"

enum voco_err
voco_runlog_open(struct voco_runlog *log, const char *run, int64_t step, int64_t steps)
{
    char *path = voco_format("%s/metrics.jsonl", run);
    enum voco_err err;

    if ((err = voco_metrics_open(path, step, &log->metrics)) == VOCO_OK)
        err = voco_events_open(run, step, &log->events);
    free(path);
    voco_progress_start(&log->progress, log->title, step, steps);
    return err;
}

enum voco_err
voco_runlog_rewind(struct voco_runlog *log, const char *run, int64_t step)
{
    const int64_t steps = log->progress.total;

    voco_metrics_close(log->metrics);
    voco_events_close(log->events);
    log->metrics = NULL;
    log->events = NULL;
    return voco_runlog_open(log, run, step, steps);
}

enum voco_err
voco_runlog_write(struct voco_runlog *log, int64_t step, const struct voco_metric *row,
                  int n, const char *note)
{
    enum voco_err err = voco_metrics_write(log->metrics, step, row, n, note);

    for (int i = 0; i < n && err == VOCO_OK; i++)
        if (isfinite(row[i].value))
            err = voco_events_scalar(log->events, row[i].name, step, row[i].value);
    return err;
}

enum voco_err
voco_runlog_sync(struct voco_runlog *log)
{
    const enum voco_err err = voco_events_flush(log->events);

    return err == VOCO_OK ? voco_metrics_sync(log->metrics) : err;
}

enum voco_err
voco_runlog_close(struct voco_runlog *log)
{
    const enum voco_err first = voco_metrics_close(log->metrics);
    const enum voco_err second = voco_events_close(log->events);

    log->metrics = NULL;
    log->events = NULL;
    return first != VOCO_OK ? first : second;
}
