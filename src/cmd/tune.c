/* voco tune: which implementation of each shape is the fastest on this CPU. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "cmd/cmd.h"
#include "objective/voco/voco.h"
#include "model/recognise.h"
#include "objective/segment/segment.h"
#include "base/stop.h"
#include "dev/list.h"
#include "dev/tuner.h"
#include "model/weights.h"
#include "train/schedule.h"

enum job { PRETRAIN, FINETUNE, PREDICT };

static const char *const jobs[] = { "pretrain", "finetune", "predict", NULL };
static double roi[3] = { 96, 96, 96 };

static struct {
    int job;
    int64_t feature, batch, sw, samples, channels, classes, memory, threads, group;
    const char *weights, *out;
    bool no_probe;
} c = { .feature = 48, .batch = INT64_MIN, .sw = 2, .samples = 4, .channels = 1,
        .classes = 14 };

static const struct voco_opt options[] = {
    { "for", 0, VOCO_OPT_CHOICE, &c.job, "JOB", "whose shapes are measured", 0, 0, jobs,
      .section = "Job" },
    { "feature-size", 'f', VOCO_OPT_INT, &c.feature, "N",
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768 },
    { "batch", 'b', VOCO_OPT_INT, &c.batch, "N",
      "volumes in a step (pretrain 4, finetune 1), windows at once (predict 4)", 1, 1024 },
    { "sw", 0, VOCO_OPT_INT, &c.sw, "N",
      "pretrain: random crops of a volume, besides 9 base crops", 1, 64 },
    { "samples", 0, VOCO_OPT_INT, &c.samples, "N", "finetune: crops of a volume", 1, 256 },
    { "roi", 0, VOCO_OPT_REAL3, roi, "N", "finetune, predict: voxels of a crop or window",
      1, 1024 },
    { "channels", 0, VOCO_OPT_INT, &c.channels, "N", "finetune, predict: of the images", 1,
      64 },
    { "classes", 0, VOCO_OPT_INT, &c.classes, "N", "finetune, predict: with background", 2,
      256 },
    { "weights", 'w', VOCO_OPT_FILE, &c.weights, "FILE",
      "finetune, predict: the network of this file" },
    { "out", 'o', VOCO_OPT_FILE, &c.out, "FILE",
      "write the table here, instead of where voco looks for it", .section = "Machine" },
    { "memory", 'm', VOCO_OPT_SIZE, &c.memory, "SIZE",
      "limit of memory; 0: half of the available memory", 0, 1e15 },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "group", 0, VOCO_OPT_INT, &c.group, "N",
      "pretrain: crops in a micro-batch; 0: up to 4, by memory", 0, 1024 },
    { "no-probe", 0, VOCO_OPT_FLAG, &c.no_probe, NULL,
      "pretrain: do not run a micro-batch with and without the table" },
    { 0 }
};

/* ---- the shapes to measure ---- */

struct tune {
    const struct voco_tuner *tuner;
    struct voco_plan plan;              /* of pre-training */
    struct voco_model_config model;
    struct voco_uses uses;
    struct voco_tuned *row;             /* one for each use */
    struct voco_choices choices;
};

static int64_t
batch(int64_t usual)
{
    return c.batch == INT64_MIN ? usual : c.batch;
}

static enum voco_err
list_segment(struct tune *t)
{
    struct voco_segment_request request = {
        .training = c.job == FINETUNE, .threads = (int)c.threads, .uses = &t->uses,
        .n = (int)(c.job == FINETUNE ? batch(1) * c.samples : batch(4)),
        .memory = c.memory ? (uint64_t)c.memory : voco_plan_default_memory(),
    };
    struct voco_plan plan;
    int64_t multiple[3];
    enum voco_err err;

    t->model.classes = c.classes;
    if (c.weights && (err = voco_model_recognise(c.weights, &t->model)) != VOCO_OK)
        return err;
    voco_model_multiple(&t->model, multiple);
    for (int i = 0; i < 3; i++) {
        request.size[i] = (int64_t)roi[i];
        if (roi[i] != (double)request.size[i] || request.size[i] % multiple[i] != 0)
            return voco_fail(VOCO_EUSAGE, "tune: --roi: %g is not a multiple of %lld, by "
                             "which the network divides axis %c", roi[i],
                             (long long)multiple[i], 'x' + i);
    }
    request.model = t->model;
    return voco_segment_plan(voco_device_default(), &request, &plan);
}

static enum voco_err
list_pretrain(struct tune *t)
{
    struct voco_pretrain_config p = VOCO_PRETRAIN_DEFAULTS;
    struct voco_plan_job job;

    p.common.feature = c.feature;
    p.common.group = c.group;
    p.size.volumes = (int)batch(4);
    p.size.sw = (int)c.sw;
    t->model = voco_pretrain_model(&p);
    voco_pretrain_plan(&p, &t->model, &job);
    return voco_plan_make(voco_device_default(), &job,
                          &(struct voco_ctx_options){ .threads = (int)c.threads },
                          c.memory ? (uint64_t)c.memory : voco_plan_default_memory(),
                          &t->uses, &t->plan);
}

/* Convolutions of one voxel may be done as linear layers: these are measured, too, and
 * before all convolutions. */
static void
add_linear(struct voco_uses *uses)
{
    const int n = uses->n;

    for (int i = 0; i < n; i++) {
        const struct voco_use u = uses->row[i];
        const struct voco_conv conv = voco_shape_conv_of(&u.shape);
        struct voco_shape s;

        if (!voco_shape_is_conv(&u.shape) || conv.cin == 1
            || !voco_conv_is_cube(&conv, 1, 1, 0))
            continue;
        s = voco_shape_linear(u.shape.op == VOCO_SHAPE_CONV ? VOCO_SHAPE_LINEAR
                              : u.shape.op == VOCO_SHAPE_CONV_DATA ? VOCO_SHAPE_LINEAR_DATA
                              : VOCO_SHAPE_LINEAR_WEIGHTS,
                              u.shape.size[0] * u.shape.size[1] * u.shape.size[2]
                              * u.shape.size[3], conv.cin, conv.cout);
        voco_uses_add(uses, &s, u.calls, u.weight[0]);
    }
}

static int
linear_first(const void *a, const void *b)
{
    const struct voco_use *p = a, *q = b;

    return voco_shape_is_conv(&p->shape) - voco_shape_is_conv(&q->shape);
}

/* ---- measuring ---- */

/* Seconds of a call with its share of packing the weights, which happens once a step. */
static double
cost(const struct voco_use *u, const struct voco_timing *t)
{
    return t->seconds + t->pack_seconds * u->weights / (double)u->calls;
}

/* The fastest, but that of the rules where another is not clearly faster. */
static int
choose(const struct voco_use *u, const struct voco_tuned *row)
{
    const double clearly = 0.97;
    int best = 0;

    for (int i = 1; i < row->n; i++)
        if (cost(u, &row->t[i]) < cost(u, &row->t[best]))
            best = i;
    return cost(u, &row->t[best]) < clearly * cost(u, &row->t[0]) ? best : 0;
}

static enum voco_err
measure(struct tune *t)
{
    struct voco_progress progress;
    struct voco_ctx ctx;
    char text[80];
    /* the table as it grows is for the linear layers inside others */
    enum voco_err err = voco_ctx_open(&ctx, voco_device_default(),
                                      &(struct voco_ctx_options){
                                          .threads = t->choices.threads,
                                          .choices = &t->choices });

    if (err != VOCO_OK)
        return err;
    voco_progress_start(&progress, "tune", 0, t->uses.n);
    for (int i = 0; i < t->uses.n && err == VOCO_OK; i++) {
        struct voco_tuned *row = &t->row[i];

        row->shape = t->uses.row[i].shape;
        row->n = t->tuner->time(&ctx, &row->shape, row->t);
        voco_progress_show(&progress, i + 1, "%s", voco_shape_text(&row->shape, text));
        if (voco_stop_signal)
            err = voco_fail(VOCO_ESTOPPED, "tune: stopped, nothing is written");
        else if ((err = ctx.err) == VOCO_OK) {
            row->choice = choose(&t->uses.row[i], row);
            voco_choices_set(&t->choices, &row->shape, row->t[row->choice].impl);
        }
    }
    if (err == VOCO_OK)
        voco_progress_end(&progress, "with %d thread%s", ctx.threads,
                          voco_plural(ctx.threads));
    voco_ctx_close(&ctx);
    return err;
}

/* Where turns differ much something else was running, and the table may be wrong. */
static void
warn_if_busy(const struct tune *t)
{
    int disturbed = 0;

    for (int i = 0; i < t->uses.n; i++) {
        const struct voco_timing *first = &t->row[i].t[0];

        disturbed += first->median > 1.3 * first->seconds;
    }
    if (disturbed > t->uses.n / 10)
        voco_warn("%d of %d shapes took very different times from turn to turn: something "
                  "else was running here; measure again when it is gone", disturbed,
                  t->uses.n);
}

/* ---- the table for people ---- */

static double
total(const struct tune *t, int i, int k)
{
    return (double)t->uses.row[i].calls * cost(&t->uses.row[i], &t->row[i].t[k]);
}

static void
print_row(const struct tune *t, int i)
{
    const struct voco_tuned *row = &t->row[i];
    const struct voco_use *u = &t->uses.row[i];
    const double rule = cost(u, &row->t[0]), best = cost(u, &row->t[row->choice]);
    char text[80];

    printf("%-44s %6lld  %-10s %9.3f  ", voco_shape_text(&row->shape, text),
           (long long)u->calls, row->t[0].impl, 1e3 * rule);
    if (row->choice)
        printf("%-10s %9.3f %5.1f%%", row->t[row->choice].impl, 1e3 * best,
               100 * (1 - best / rule));
    else
        printf("%-10s %9s %6s", "the same", "", "");
    for (int k = 1; k < row->n; k++)
        if (k != row->choice)
            printf("  %s %.3f", row->t[k].impl, 1e3 * cost(u, &row->t[k]));
    putchar('\n');
}

static void
print_table(const struct tune *t, double *ret_rule_s, double *ret_best_s)
{
    *ret_rule_s = *ret_best_s = 0;
    printf("%-44s %6s  %-10s %9s  %-10s %9s %6s  %s\n", "shape", "calls", "rule", "ms",
           "choice", "ms", "gain", "others, ms");
    for (int i = 0; i < t->uses.n; i++) {
        print_row(t, i);
        *ret_rule_s += total(t, i, 0);
        *ret_best_s += total(t, i, t->row[i].choice);
    }
}

/* Seconds of a micro-batch by the rules and with the table, the better of two each. */
static enum voco_err
probe(const struct tune *t, double ret_s[2], double *ret_step_s)
{
    enum voco_err err = VOCO_OK;

    ret_s[0] = ret_s[1] = INFINITY;
    for (int i = 0; i < 4 && err == VOCO_OK; i++) {
        struct voco_probe p;

        voco_note("running a micro-batch %s", i % 2 ? "with the table" : "by the rules");
        err = voco_pretrain_probe(voco_device_default(), &t->plan, &t->model, VOCO_ROI,
                                  &(struct voco_ctx_options){
                                      .threads = t->choices.threads,
                                      .choices = i % 2 ? &t->choices : NULL }, &p);
        if (i % 2 == 0 && p.group_s < ret_s[0])
            *ret_step_s = p.step_s;
        ret_s[i % 2] = fmin(ret_s[i % 2], p.group_s);
    }
    return err;
}

/* Runs a micro-batch both ways.  A table that makes it slower is not written: single calls
 * are measured one by one, and only the time of a step counts. */
static enum voco_err
verify(const struct tune *t, double gain_s, bool *ret_worth)
{
    double group_s[2], step_s = 0, gain;
    const enum voco_err err = probe(t, group_s, &step_s);

    if (err != VOCO_OK)
        return err;
    gain = 1 - group_s[1] / group_s[0];
    printf("a step: %.2f s by the rules; predicted gain %.1f %%; measured on a micro-batch "
           "%.1f %% (%.3f s, %.3f s)\n", step_s, 100 * gain_s / step_s, 100 * gain, group_s[0],
           group_s[1]);
    *ret_worth = gain > -0.01;
    return VOCO_OK;
}

static enum voco_err
report(const struct tune *t, bool *ret_worth)
{
    double rule_s, best_s;
    int other = 0;

    warn_if_busy(t);
    print_table(t, &rule_s, &best_s);
    for (int i = 0; i < t->uses.n; i++)
        other += t->row[i].choice != 0;
    printf("%d of %d shapes differ from the rules; all calls of a %s: %.3f s by the rules, "
           "%.3f s as chosen\n", other, t->uses.n, c.job == PREDICT ? "batch" : "step",
           rule_s, best_s);
    fflush(stdout);
    *ret_worth = true;
    return c.job == PRETRAIN && !c.no_probe ? verify(t, rule_s - best_s, ret_worth) : VOCO_OK;
}

/* ---- the verb ---- */

static enum voco_err
tune(struct tune *t, const char *path)
{
    char *machine = t->tuner->machine(t->choices.threads);
    bool worth;
    enum voco_err err;

    voco_stop_install();
    add_linear(&t->uses);
    qsort(t->uses.row, (size_t)t->uses.n, sizeof t->uses.row[0], linear_first);
    t->row = calloc((size_t)t->uses.n, sizeof *t->row);
    VOCO_NEED(t->row);
    voco_note("%s: %d shapes", machine, t->uses.n);
    free(machine);
    if ((err = measure(t)) != VOCO_OK || (err = report(t, &worth)) != VOCO_OK)
        return err;
    if (!worth) {
        printf("no table is written: with it a micro-batch takes longer than by the rules\n");
        return VOCO_OK;
    }
    err = t->tuner->write(path, t->choices.threads, t->row, t->uses.n);
    if (err == VOCO_OK)
        printf("table: %s\n", path);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    const struct voco_tuner *tuner = voco_device_default()->tuner;
    char *path = c.out ? voco_format("%s", c.out) : tuner->path((int)c.threads);
    struct tune t = { .tuner = tuner,
                      .model = { .feature = c.feature, .in_channels = c.channels,
                                 .merging = VOCO_MERGING_LEGACY },
                      .choices.threads = c.threads ? (int)c.threads
                                                   : voco_default_threads() };
    enum voco_err err;

    (void)argc;
    (void)argv;
    if (getenv("VOCO_IMPL"))
        err = voco_fail(VOCO_EUSAGE, "tune: VOCO_IMPL forces implementations: unset it");
    else
        err = c.job == PRETRAIN ? list_pretrain(&t) : list_segment(&t);
    if (err == VOCO_OK && (err = tuner->prepare(path)) == VOCO_OK)
        err = tune(&t, path);
    voco_uses_free(&t.uses);
    voco_choices_free(&t.choices);
    free(t.row);
    free(path);
    return err;
}

const struct voco_verb voco_cmd_tune = {
    .name = "tune",
    .summary = "measure which implementation of each shape is fastest on this CPU",
    .args = "",
    .details = "Writes a table for this CPU, its kernels and this number of threads, which\n"
               "plan, pretrain, finetune, predict and embed take from then on.  Give the\n"
               "options of the job.  Shapes that are in the table already are measured again,\n"
               "others stay.  Nothing else may run on the machine meanwhile.",
    .options = options,
    .max_args = 0,
    .run = run,
};
