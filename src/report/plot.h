/*
 * Line charts for people who watch a run.
 */
#ifndef VOCO_REPORT_PLOT_H
#define VOCO_REPORT_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "report/canvas.h"

enum { VOCO_SERIES_MAX = 16 };

struct voco_series {
    const char *name;       /* in the legend; NULL: not there */
    const int64_t *step;    /* [n], ascending */
    const double *value;    /* [n]; NaN: none, the line passes; infinite: a gap, marked */
    int64_t n;
    uint32_t color;
};

struct voco_chart {
    const char *title, *x_label;
    struct voco_series series[VOCO_SERIES_MAX];
    int n_series;
    bool log_y;             /* values that are not positive are left out */
    bool smooth;            /* raw values faint, their moving average on top */
    double low, high;       /* y range that must be shown; low > high: none */
    double guide;           /* a dashed line here, not finite: none */
    const char *guide_name;
};

/* A chart of nothing: no title, linear, every option off. */
struct voco_chart voco_chart_new(const char *title);

/* Draw into a rectangle of the canvas. */
void voco_chart_draw(struct voco_canvas *c, double x, double y, double w, double h,
                     const struct voco_chart *chart);

/* About want ticks for [low, high]: multiples of 1, 2 or 5 times a power of ten that lie
 * inside.  Writes at most 16 to tick and returns their number, *ret_step their distance. */
int voco_ticks(double low, double high, int want, double tick[16], double *ret_step);

/*
 * The log of a run as one picture: loss and its terms, position accuracy, gradient norm,
 * the collapse signals, learning rate, seconds per step.  Metrics that the run did not
 * log are left out.  voco_plot_run reads RUN/metrics.jsonl and writes RUN/loss.png.
 */
enum voco_err voco_plot_run(const char *run_folder);

/* Several runs, one line each, into a file of your choice. */
enum voco_err voco_plot_runs(const char *const *run_folder, int n, const char *path);

#endif
