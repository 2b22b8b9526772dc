/* The picture of a run, or of several: which numbers, in which order, next to which. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/metrics.h"
#include "report/plot.h"

enum {
    WIDTH = 1280, MARGIN = 28, HEAD = 84, WIDE_HEIGHT = 400, HEIGHT = 248,
    COLUMN = (WIDTH - 3 * MARGIN) / 2, LINES = 8, RUNS = VOCO_SERIES_MAX
};

struct panel {
    const char *title;
    struct { const char *key, *name; } line[LINES];
    bool log_y, smooth;
    double low, high, guide;        /* as in struct voco_chart; guide 0: none */
    const char *guide_name;
};

/* The first is drawn wide.  A random crop's centre is uniform in the middle half of the
 * block, so the middle base has the largest true weight for a quarter of them. */
static const struct panel one_run[] = {
    { "Loss and its terms",
      { { "loss", "loss" }, { "intra", "intra" }, { "inter", "inter" }, { "pos", "pos" },
        { "neg", "neg" }, { "reg", "reg" }, { "ce", "ce" }, { "dice", "dice" } },
      false, true, 1, -1, 0, NULL },
    { "Terms of the segmentation loss",
      { { "dice_loss", "Dice" }, { "cross_entropy", "cross-entropy" } },
      false, true, 1, -1, 0, NULL },
    { "Terms of rotation, contrast and reconstruction",
      { { "rotation", "rotation" }, { "contrast", "contrast" },
        { "reconstruction", "reconstruction" } },
      false, true, 1, -1, 0, NULL },
    { "Dice in validation", { { "val_dice", "mean of classes" } }, false, true, 0, 1, 0,
      NULL },
    { "Voxel probe of the encoder: Dice", { { "probe_dice", "mean of classes" } }, false, false,
      0, 0, 0, NULL },
    { "Loss of labelled crops, and of those with labels of the teacher",
      { { "labelled", "labelled" }, { "unlabelled", "teacher's" }, { "semi", "teacher's" } },
      false, true, 1, -1, 0, NULL },
    { "Share of voxels whose class the teacher finds probable enough",
      { { "confident", "share" } }, false, true, 0, 1, 0, NULL },
    { "Position of the random crops",
      { { "position_accuracy", "accuracy" }, { "position_error", "mean error" } },
      false, true, 0, 1, 0.25, "accuracy of always saying the middle" },
    { "Rows whose nearest is the other view", { { "pair_accuracy", "accuracy" } },
      false, true, 0, 1, 0, NULL },
    { "Distances of rows",
      { { "alignment", "alignment" }, { "uniformity", "uniformity" } },
      false, true, 1, -1, 0, NULL },
    { "Turns of the views", { { "rotation_accuracy", "accuracy" } }, false, true, 0, 1, 0.25,
      "accuracy of guessing" },
    { "Gradient norm", { { "grad_norm", "norm" } }, true, true, 1, -1, 0, NULL },
    { "Mean cosine of embeddings (1: collapsed)", { { "embedding_cosine", "cosine" } },
      false, true, 0, 1, 0, NULL },
    { "Effective rank of embeddings (1: collapsed)", { { "effective_rank", "rank" } },
      false, true, 1, 1, 0, NULL },
    { "Learning rate", { { "lr", "lr" } }, false, false, 0, 0, 0, NULL },
    { "Seconds per step",
      { { "seconds", "step" }, { "seconds_load", "load" },
        { "seconds_forward", "forward" }, { "seconds_backward", "backward" },
        { "seconds_update", "update" } },
      false, false, 0, 0, 0, NULL },
};

static const struct panel many_runs[] = {
    { "Loss", { { "loss", NULL } }, false, true, 1, -1, 0, NULL },
    { "Intra: crops against their own volume", { { "intra", NULL } }, false, true, 1, -1,
      0, NULL },
    { "Inter: crops against the next volume", { { "inter", NULL } }, false, true, 1, -1,
      0, NULL },
    { "Reg: bases against each other", { { "reg", NULL } }, false, true, 1, -1, 0, NULL },
    { "Rotation: the turn of a view", { { "rotation", NULL } }, false, true, 1, -1, 0, NULL },
    { "Contrast: views of one crop", { { "contrast", NULL } }, false, true, 1, -1, 0, NULL },
    { "Reconstruction: mean error of voxels", { { "reconstruction", NULL } }, false, true, 1,
      -1, 0, NULL },
    { "Dice in validation", { { "val_dice", NULL } }, false, true, 0, 1, 0, NULL },
    { "Voxel probe of the encoder: Dice", { { "probe_dice", NULL } }, false, false, 0, 0, 0,
      NULL },
    { "Loss of labelled crops", { { "labelled", NULL } }, false, true, 1, -1, 0, NULL },
    { "Loss of crops with labels of the teacher",
      { { "unlabelled", NULL }, { "semi", NULL } }, false, true, 1, -1, 0, NULL },
    { "Position accuracy", { { "position_accuracy", NULL } }, false, true, 0, 1, 0.25,
      "always the middle base" },
    { "Rows whose nearest is the other view", { { "pair_accuracy", NULL } }, false,
      true, 0, 1, 0, NULL },
    { "Alignment of pairs of views", { { "alignment", NULL } }, false, true, 1, -1, 0,
      NULL },
    { "Uniformity of rows", { { "uniformity", NULL } }, false, true, 1, -1, 0, NULL },
    { "Accuracy of turns", { { "rotation_accuracy", NULL } }, false, true, 0, 1, 0.25,
      "guessing" },
    { "Gradient norm", { { "grad_norm", NULL } }, true, true, 1, -1, 0, NULL },
    { "Mean cosine of embeddings (1: collapsed)", { { "embedding_cosine", NULL } }, false,
      true, 0, 1, 0, NULL },
    { "Effective rank of embeddings (1: collapsed)", { { "effective_rank", NULL } }, false,
      true, 1, 1, 0, NULL },
    { "Learning rate", { { "lr", NULL } }, false, false, 0, 0, 0, NULL },
    { "Seconds per step", { { "seconds", NULL } }, false, false, 0, 0, 0, NULL },
};

struct run {
    char *name;
    struct voco_history history;
};

static bool
any_value(const double *v, int64_t n)
{
    for (int64_t i = 0; v && i < n; i++)
        if (!isnan(v[i]))
            return true;
    return false;
}

/* False if no run has anything for it: for its first line, since a key further on may stand
 * for something else in runs of another objective. */
static bool
make_chart(const struct panel *p, const struct run *run, int n_runs,
           struct voco_chart *chart)
{
    *chart = voco_chart_new(p->title);
    chart->x_label = "step";
    chart->log_y = p->log_y;
    chart->smooth = p->smooth;
    chart->low = p->low;
    chart->high = p->high;
    chart->guide = p->guide > 0 ? p->guide : NAN;
    chart->guide_name = p->guide_name;
    for (int r = 0; r < n_runs; r++) {
        if (!any_value(voco_history_series(&run[r].history, p->line[0].key),
                       run[r].history.n))
            continue;
        for (int i = 0; i < LINES && p->line[i].key; i++) {
            const struct voco_history *h = &run[r].history;
            const double *value = voco_history_series(h, p->line[i].key);

            if (!any_value(value, h->n) || chart->n_series == VOCO_SERIES_MAX)
                continue;
            chart->series[chart->n_series] = (struct voco_series){
                p->line[i].name, h->step, value, h->n,
                voco_color(n_runs > 1 ? r : chart->n_series)
            };
            chart->n_series++;
        }
    }
    return chart->n_series > 0;
}

/* "40 steps, the last is 39; loss 9.31 at first, 6.20 at last; 3.4 s per step" */
static char *
summary(const struct voco_history *h)
{
    const double *loss = voco_history_series(h, "loss");
    const double *seconds = voco_history_series(h, "seconds");
    double first = NAN, last = NAN, sum = 0;
    int64_t n = 0;

    for (int64_t i = 0; i < h->n; i++) {
        if (loss && isfinite(loss[i])) {
            first = isnan(first) ? loss[i] : first;
            last = loss[i];
        }
        if (seconds && isfinite(seconds[i])) {
            sum += seconds[i];
            n++;
        }
    }
    char *text = h->n == 1 ? voco_format("step %lld", (long long)h->step[0])
                           : voco_format("%lld steps, the last is %lld", (long long)h->n,
                                         (long long)h->step[h->n - 1]);
    if (!isnan(last)) {
        char *more = h->n == 1 ? voco_format("%s, loss %.4g", text, last)
                               : voco_format("%s; loss %.4g at first, %.4g at last", text,
                                             first, last);
        free(text);
        text = more;
    }
    if (n > 0) {
        char *more = voco_format("%s; %.3g s per step", text, sum / (double)n);
        free(text);
        text = more;
    }
    return text;
}

static void
draw_head(struct voco_canvas *c, const struct run *run, int n_runs)
{
    const struct voco_text_style title = { 24, 0x202020, VOCO_LEFT, true, false };
    struct voco_text_style small = { 15, 0x606060, VOCO_LEFT, false, false };
    double x = MARGIN;

    if (n_runs == 1) {
        char *text = summary(&run->history);

        voco_canvas_text(c, x, 40, &title, run->name);
        voco_canvas_text(c, x, 64, &small, text);
        free(text);
        return;
    }
    voco_canvas_text(c, x, 40, &title, "VoCo pre-training runs");
    for (int r = 0; r < n_runs; r++) {
        voco_canvas_line(c, x + 2, 60, x + 18, 60, 4, voco_color(r), 1);
        voco_canvas_text(c, x + 26, 64, &small, run[r].name);
        x += 26 + voco_text_width(&small, run[r].name) + 24;
    }
}

/* The picture of everything that the runs have logged. */
static enum voco_err
draw(const struct run *run, int n_runs, const char *path)
{
    const struct panel *panel = n_runs > 1 ? many_runs : one_run;
    const int n_panels = (int)(n_runs > 1 ? sizeof many_runs / sizeof *many_runs
                                          : sizeof one_run / sizeof *one_run);
    struct voco_chart *chart = calloc((size_t)n_panels, sizeof *chart);
    struct voco_canvas c = { 0 };
    int n = 0;
    enum voco_err err;

    VOCO_NEED(chart);
    for (int i = 0; i < n_panels; i++)
        n += make_chart(&panel[i], run, n_runs, &chart[n]);
    const int rows = n / 2;         /* below the wide one */

    err = voco_canvas_init(&c, WIDTH, HEAD + WIDE_HEIGHT + MARGIN +
                           rows * (HEIGHT + MARGIN), 0xFFFFFF);
    if (!err) {
        draw_head(&c, run, n_runs);
        for (int i = 0; i < n; i++) {
            const int row = (i - 1) / 2, column = (i - 1) % 2;

            if (i == 0)
                voco_chart_draw(&c, MARGIN, HEAD, WIDTH - 2 * MARGIN, WIDE_HEIGHT, chart);
            else
                voco_chart_draw(&c, MARGIN + column * (COLUMN + MARGIN),
                                HEAD + WIDE_HEIGHT + MARGIN + row * (HEIGHT + MARGIN),
                                COLUMN, HEIGHT, &chart[i]);
        }
        err = voco_canvas_write(&c, path);
    }
    voco_canvas_free(&c);
    free(chart);
    return err;
}

/* The last part of a path: "runs/demo/" -> "demo". Free the result. */
static char *
folder_name(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t first = n;
    while (first > 0 && path[first - 1] != '/')
        first--;
    return voco_format("%.*s", (int)(n - first), path + first);
}

static enum voco_err
read_run(const char *folder, struct run *run)
{
    char *path = voco_format("%s/metrics.jsonl", folder);
    enum voco_err err;

    run->name = folder_name(folder);
    if (!voco_file_exists(path))
        err = voco_fail(VOCO_EFORMAT, "%s: no metrics.jsonl in it; expected the folder "
                        "that voco pretrain --out has written", folder);
    else
        err = voco_history_read(path, &run->history);
    if (!err && run->history.n == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: no finished step in it yet", path);
    free(path);
    return err;
}

enum voco_err
voco_plot_runs(const char *const *run_folder, int n, const char *path)
{
    struct run run[RUNS] = { { 0 } };
    enum voco_err err = VOCO_OK;

    if (n > RUNS)
        return voco_fail(VOCO_EUSAGE, "%d runs are too many for one picture; at most %d",
                         n, RUNS);
    for (int i = 0; i < n && !err; i++)
        err = read_run(run_folder[i], &run[i]);
    if (!err)
        err = draw(run, n, path);
    for (int i = 0; i < n; i++) {
        free(run[i].name);
        voco_history_free(&run[i].history);
    }
    return err;
}

enum voco_err
voco_plot_run(const char *run_folder)
{
    char *path = voco_format("%s/loss.png", run_folder);
    const enum voco_err err = voco_plot_runs(&run_folder, 1, path);

    free(path);
    return err;
}
