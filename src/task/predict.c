/* Prediction: which volumes, in which memory, one after the other. */
#include "task/predict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/stop.h"
#include "data/dataset/inputs.h"
#include "dev/list.h"
#include "task/inference.h"

struct job {
    const struct voco_task *task;
    const struct voco_predict_config *config;
    void *work;                         /* the task's */
    struct voco_predict_setup setup;
    struct voco_inputs inputs;
    struct voco_predict_need *need;     /* [inputs.n]: an upper bound of windows, then the
                                         * number */
    struct voco_inference network;
    int batch;                          /* windows at once */
    struct voco_progress progress;
    int64_t before;                     /* windows of the inputs that are done */
    int current, written, skipped, rejected;
};

/* ---- the plan ---- */

/* Two results cannot have one name. */
static enum voco_err
collect(struct job *j, int n, const char *const *path)
{
    const struct voco_inputs_options o = { .test_split = true };
    const struct voco_input_entry *a, *b;
    enum voco_err err = voco_inputs_open(&j->inputs, n, path, &o);

    if (err != VOCO_OK)
        return err;
    j->need = calloc((size_t)j->inputs.n + 1, sizeof *j->need);
    if (!j->need)
        return voco_fail(VOCO_EMEMORY, "no memory for a list of %d inputs", j->inputs.n);
    if (voco_inputs_clash(&j->inputs, &a, &b))
        return voco_fail(VOCO_EUSAGE, "%s and %s would both become %s%s: predict them in "
                         "two calls", a->source, b->source, a->id, j->setup.ending);
    return VOCO_OK;
}

/* Windows at once as memory allows; what does not fit is refused before anything is
 * begun. */
static enum voco_err
plan(struct job *j)
{
    const struct voco_predict_config *c = j->config;
    const uint64_t memory = c->memory ? (uint64_t)c->memory : voco_plan_default_memory();
    const struct voco_ctx_options open = { .threads = (int)c->threads,
                                           .choices = &j->network.choices };
    struct voco_plan_job job;
    struct voco_plan network;
    const char *worst = c->weights;
    double bytes = 0;
    uint64_t left;
    enum voco_err err;

    voco_inference_init(&j->network, c->weights, c->precision, (int)c->threads, c->trace);
    for (int i = 0; i < j->inputs.n; i++) {
        j->task->measure(j->work, &j->inputs.entry[i], &j->need[i]);
        if (j->need[i].bytes > bytes) {
            worst = j->inputs.entry[i].source;
            bytes = j->need[i].bytes;
        }
    }
    j->task->plan(j->work, &job);
    left = (double)memory > bytes ? memory - (uint64_t)bytes : 1;
    err = voco_plan_make(j->network.dev, &job, &open, left, NULL, &network);
    if (err == VOCO_EMEMORY)
        return voco_fail(VOCO_EMEMORY, "%s: needs %.0f MiB beside the network's %.0f MiB, "
                         "and %.0f MiB are allowed: raise --memory, or take a smaller %s",
                         worst, bytes / 1048576, (double)network.total / 1048576,
                         (double)memory / 1048576, job.advice);
    if (err != VOCO_OK)
        return err;
    j->batch = network.grouping.group;
    voco_note("memory: %.0f MiB for the network (%d windows at once), up to %.0f MiB for a "
              "volume; %.0f MiB allowed", (double)network.total / 1048576, j->batch,
              bytes / 1048576, (double)memory / 1048576);
    return VOCO_OK;
}

static void
describe_work(const struct job *j)
{
    for (int i = 0; i < j->inputs.n; i++) {
        const struct voco_input_entry *in = &j->inputs.entry[i];
        const struct voco_predict_need *need = &j->need[i];

        printf("%s\t%s/%s%s\t", in->source, j->config->output, in->id, j->setup.ending);
        if (need->bytes > 0)
            printf("%" PRId64 " windows\t%.0f MiB\n", need->windows, need->bytes / 1048576);
        else
            printf("%s\n", in->item && in->item->problem ? in->item->problem
                           : "known when it is read");
    }
}

/* ---- the work ---- */

static int
show(void *user, int64_t done, int64_t total)
{
    struct job *j = user;
    struct voco_predict_need *need = &j->need[j->current];

    j->progress.total += total - need->windows;
    need->windows = total;
    voco_progress_show(&j->progress, j->before + done, "%s, window %" PRId64 " of %" PRId64,
                       j->inputs.entry[j->current].id, done, total);
    return voco_stop_signal;
}

static enum voco_err
predict_one(struct job *j, const struct voco_input_entry *in)
{
    const struct voco_predict_network net = {
        .ctx = &j->network.ctx, .model = &j->network.model, .batch = j->batch,
        .progress = show, .user = j,
    };
    enum voco_err err;

    if (voco_stop_signal)
        return voco_fail(VOCO_ESTOPPED, "stopped");
    if (j->config->skip_existing && j->task->is_done(j->work, in->id)) {
        j->skipped++;
        return VOCO_OK;
    }
    err = j->task->predict(j->work, &net, in);
    j->written += err == VOCO_OK;
    return voco_input_reject(err, &j->rejected);
}

static enum voco_err
predict_all(struct job *j)
{
    int64_t windows = 0;
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < j->inputs.n; i++)
        windows += j->need[i].windows;
    voco_progress_start(&j->progress, "predict", 0, windows);
    for (j->current = 0; j->current < j->inputs.n && err == VOCO_OK; j->current++) {
        err = predict_one(j, &j->inputs.entry[j->current]);
        j->before += j->need[j->current].windows;
    }
    if (err == VOCO_ESTOPPED)
        return voco_fail(err, "stopped by signal %d; --skip-existing goes on behind the %d "
                         "volumes that are done", (int)voco_stop_signal,
                         j->written + j->skipped);
    return err;
}

static enum voco_err
open_network(struct job *j)
{
    struct voco_demand all = voco_demand_all;
    struct voco_coverage cover;
    enum voco_err err;

    all.quiet = true;                   /* prepare reported it */
    err = voco_inference_open(&j->network, &j->setup.model, &all, &cover);
    j->network.ctx.inference = true;
    return err;
}

static enum voco_err
work(struct job *j, int n, const char *const *input)
{
    const struct voco_predict_config *c = j->config;
    enum voco_err err;

    if ((err = j->task->prepare(c, &j->work, &j->setup)) != VOCO_OK
        || (err = collect(j, n, input)) != VOCO_OK || (err = plan(j)) != VOCO_OK)
        return err;
    if (c->dry_run) {
        describe_work(j);
        return VOCO_OK;
    }
    voco_stop_install();
    if ((err = open_network(j)) != VOCO_OK || (err = voco_folder_make(c->output)) != VOCO_OK
        || (err = predict_all(j)) != VOCO_OK)
        return err;
    if (j->written + j->skipped == 0)
        return voco_fail(VOCO_EFORMAT, "none of the %d inputs could be predicted",
                         j->inputs.n);
    voco_progress_end(&j->progress, "%s: %d %s%s%s%s", c->output, j->written,
                      j->setup.result, voco_plural(j->written), j->setup.beside,
                      j->skipped ? ", others were there" : "");
    if (j->rejected)
        return voco_fail(VOCO_EREJECTED, "%d of %d inputs were rejected", j->rejected,
                         j->inputs.n);
    return VOCO_OK;
}

enum voco_err
voco_predict(const struct voco_task *task, const void *config, int n,
             const char *const *input)
{
    const struct voco_predict_config *c = config;
    struct job j = { .task = task, .config = c };
    enum voco_err err;
    char *why;

    if (!c->weights || !c->output)
        return voco_fail(VOCO_EUSAGE, "predict: %s is missing",
                         c->weights ? "--output FOLDER" : "--weights FILE");
    err = work(&j, n, input);
    why = voco_format("%s", voco_fail_text());
    voco_inference_close(&j.network);
    voco_inputs_free(&j.inputs);
    task->release(j.work);
    free(j.need);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
