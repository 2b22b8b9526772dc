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
    log->started_s = voco_seconds();
    voco_progress_start(&log->progress, "pretrain", step, steps);
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

/* A number of zero stands for "not known" in these two. */
static double
or_nan(double x)
{
    return x > 0.0 ? x : NAN;
}

enum voco_err
voco_runlog_step(struct voco_runlog *log, const struct voco_step_record *r)
{
    const double compute_s = r->result.forward_s + r->result.backward_s + r->update_s;
    const double rate = log->flops / compute_s;
    const struct voco_metric row[] = {
        { "loss", r->result.loss }, { "intra", r->result.intra },
        { "inter", r->result.inter }, { "reg", r->result.reg },
        { "grad_norm", r->result.grad_norm }, { "lr", r->lr }, { "seconds", r->seconds },
        { "seconds_load", r->load_s }, { "seconds_forward", r->result.forward_s },
        { "seconds_backward", r->result.backward_s }, { "seconds_update", r->update_s },
        { "crops_per_second", r->crops / r->seconds }, { "gflops", rate * 1e-9 },
        { "position_accuracy", r->position_accuracy },
        { "position_error", r->position_error },
        { "embedding_cosine", r->embedding_cosine },
        { "effective_rank", r->effective_rank },
        { "peak_fraction", or_nan(log->peak_flops > 0.0 ? rate / log->peak_flops : 0.0) },
    };
    int n = (int)(sizeof row / sizeof *row);
    enum voco_err err;

    if (!(log->peak_flops > 0.0))
        n--;                                            /* peak_fraction is the last */
    err = voco_metrics_write(log->metrics, r->step, row, n, r->note);
    for (int i = 0; i < n && err == VOCO_OK; i++)
        if (isfinite(row[i].value))
            err = voco_events_scalar(log->events, row[i].name, r->step, row[i].value);
    voco_progress_show(&log->progress, r->step + 1, "loss %.4f (intra %.3f inter %.3f reg "
                       "%.3f)  position %.0f%%  %.2f crops/s  %.0f GFLOP/s",
                       r->result.loss, r->result.intra, r->result.inter, r->result.reg,
                       100.0 * r->position_accuracy, r->crops / r->seconds, rate * 1e-9);
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
