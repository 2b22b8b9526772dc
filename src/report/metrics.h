/*
 * metrics.jsonl: one JSON object per step, the history of the run that counts.
 *
 * Every number reads back as the same double.  A number that is not finite is written as null
 * and named under "nonfinite": {"step":7,"loss":null,"nonfinite":{"loss":"nan"}}.
 */
#ifndef VOCO_REPORT_METRICS_H
#define VOCO_REPORT_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Names that the plots know: loss intra inter reg labelled unlabelled semi dice_loss
 * cross_entropy val_dice confident grad_norm lr seconds (the whole step), seconds_load
 * seconds_forward seconds_backward seconds_update, position_accuracy, position_error,
 * embedding_cosine, effective_rank, crops_per_second, gflops, peak_fraction.  Others are welcome. */
struct voco_metric {
    const char *name;       /* letters, digits and _ */
    double value;
};

struct voco_metrics;        /* the writer */

/* Open for appending at from_step: lines of that step and later ones, and a line that a
 * crash left incomplete, are removed first (the file is rewritten).  0: a new run. */
enum voco_err voco_metrics_open(const char *path, int64_t from_step,
                                struct voco_metrics **ret);

/* One line, flushed.  note is free text under "note", such as why a step was skipped; NULL
 * for none. */
enum voco_err voco_metrics_write(struct voco_metrics *m, int64_t step,
                                 const struct voco_metric *row, int n, const char *note);

/* To the disk: before a checkpoint of the same step is published. */
enum voco_err voco_metrics_sync(struct voco_metrics *m);
enum voco_err voco_metrics_close(struct voco_metrics *m);   /* accepts NULL */

/* Room for any double, shortest of 15 to 17 digits that reads back the same. */
const char *voco_format_double(double v, char buf[32]);

/* ---- reading ---- */
struct voco_history {
    int64_t n;              /* steps */
    int64_t *step;          /* [n], ascending; of a repeated step the last line counts */
    int n_series;
    char **name;            /* [n_series], in the order of first appearance */
    double **value;         /* [n_series][n]; NaN where a step has no such number, an
                             * infinity where it has one that was not finite (null) */
    int64_t bad_lines;      /* not a JSON object with a step; left out */
};

enum voco_err voco_history_read(const char *path, struct voco_history *ret);
void voco_history_free(struct voco_history *h);             /* accepts {0} */

/* [n], or NULL if no step has it. */
const double *voco_history_series(const struct voco_history *h, const char *name);

#endif
