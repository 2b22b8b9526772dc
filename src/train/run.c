/* A training run. */
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/stop.h"
#include "report/plot.h"
#include "train/runconfig.h"
#include "train/schedule.h"
#include "train/settings.h"
#include "train/update.h"
#include "train/validate.h"

/* ---- setting up ---- */

/* A run goes on with the precision that auto gave it, on another CPU too. */
static enum voco_precision
planned_precision(const struct voco_run_config *c)
{
    int precision = c->precision;

    for (int i = VOCO_PRECISION_F32; i <= VOCO_PRECISION_BF16; i++)
        if (precision == VOCO_PRECISION_AUTO
            && voco_runconfig_is(c->loop.out, "precision", voco_precision_names[i]))
            precision = i;
    return (enum voco_precision)precision;
}

static const struct voco_device *
device(const struct voco_run_config *c)
{
    return voco_device_by_name(voco_device_names[c->device], planned_precision(c));
}

static struct voco_ctx_options
open_options(const struct voco_run *r)
{
    return (struct voco_ctx_options){ .threads = (int)r->config->threads,
                                      .choices = &r->choices };
}

static enum voco_err
make_plan(struct voco_run *r)
{
    const struct voco_run_config *c = r->config;
    const struct voco_device *dev = device(c);
    const uint64_t memory = c->memory ? (uint64_t)c->memory : voco_plan_default_memory();
    const struct voco_ctx_options open = open_options(r);
    struct voco_plan_job job;
    enum voco_err err;

    if (!dev)
        return VOCO_EUSAGE;
    r->choices = voco_choices_read(dev, (int)c->threads, c->loop.out);
    r->objective->plan(c, &r->setup.model, &job);
    if (r->task)
        job.batches += (uint64_t)r->task->validate_bytes(c, r->data, &r->setup.model);
    if (r->watching)
        job.batches += (uint64_t)c->watch->bytes(r->watching, &r->setup.model);
    if ((err = voco_plan_make(dev, &job, &open, memory, &r->uses, &r->plan))
        != VOCO_OK)
        return err;
    r->objective->announce(c, r->data, &r->setup, dev, &r->plan);
    return VOCO_OK;
}

static enum voco_err
open_device(struct voco_run *r)
{
    const struct voco_ctx_options open = open_options(r);

    return voco_ctx_open(&r->ctx, voco_trace_wrap(&r->trace, r->config->trace,
                                                  device(r->config)), &open);
}

/* Settings and facts that decide the numbers: a run that is resumed under the same ones
 * goes on with the same bits. */
static void
record_options(struct voco_run *r)
{
    json_t *options = voco_settings_record(r->objective->options, r->config);

    r->more = json_pack("{s:s}", "objective", r->objective->name);
    r->objective->facts(r->config, r->data, &r->setup, options, r->more);
    json_object_set_new(options, "group", json_integer(r->plan.grouping.group));
    json_object_set_new(options, "again", json_boolean(r->plan.grouping.again));
    voco_runconfig_machine(options, &r->ctx);
    voco_runconfig_choices(options, &r->ctx, &r->uses);
    r->options = voco_runconfig_text(options);
    r->loop.options = r->options;
}

static enum voco_err
record_store(struct voco_run *r, const char *name, const char *path)
{
    struct voco_store *store;
    const enum voco_err err = voco_store_open(path, &store);

    if (err != VOCO_OK)
        return err;
    voco_provenance_store(&r->provenance, name, path, voco_store_hash(store));
    for (int i = 0; i < voco_store_count(store); i++) {
        const struct voco_store_entry *e = voco_store_entry(store, i);

        voco_provenance_volume(&r->provenance, name, e->id, e->affine);
    }
    voco_store_close(store);
    return VOCO_OK;
}

/* Where the weights will come from, for every file of them. */
static enum voco_err
record_provenance(struct voco_run *r)
{
    const char *init = json_string_value(json_object_get(r->more, "init"));
    const char *weights = json_string_value(json_object_get(r->more, "weights"));
    enum voco_err err;

    voco_provenance_begin(&r->provenance, r->objective->name, r->options, &r->setup.model,
                          &r->loop.state.step);
    if ((r->config->store
         && (err = record_store(r, "store", r->config->store)) != VOCO_OK)
        || (r->setup.also
            && (err = record_store(r, r->setup.also_name, r->setup.also)) != VOCO_OK))
        return err;
    if (init || weights)
        voco_provenance_parent(&r->provenance, init ? init : weights);
    r->model.provenance = &r->provenance;
    return VOCO_OK;
}

static enum voco_err
set_up(struct voco_run *r)
{
    const struct voco_objective *o = r->objective;
    enum voco_err err;

    if ((err = voco_folder_make(r->config->loop.out)) != VOCO_OK
        || (err = open_device(r)) != VOCO_OK
        || (err = voco_model_describe(&r->model, &r->setup.model)) != VOCO_OK
        || (err = voco_model_allocate(&r->model, &r->ctx, true)) != VOCO_OK
        || (err = voco_rates_make(&r->rates, &r->model, r->setup.layer_decay,
                                  r->setup.freeze_encoder)) != VOCO_OK
        || (r->task && (err = r->task->describe(r->config, r->data, &r->setup.model,
                                                &r->info)) != VOCO_OK)
        || (err = o->open(r->config, &r->ctx, &r->model, &r->plan.grouping, &r->work))
           != VOCO_OK
        || (err = o->inputs(r->config, r->data, r->input, &r->n_inputs)) != VOCO_OK)
        return err;
    r->model.seginfo = r->task ? &r->info : NULL;
    r->ctx.dev->peak(&r->ctx, &r->peak);
    if (r->peak.flops > 0.0 && r->peak.share < 0.9)
        voco_note("this machine does something else, too: %d thread%s ran %.0f %% of the time; "
                  "rates and seconds in the log are those of a busy machine", r->ctx.threads,
                  voco_plural(r->ctx.threads), 100.0 * r->peak.share);
    record_options(r);
    return record_provenance(r);
}

static enum voco_err
write_config(const struct voco_run *r)
{
    const struct voco_plan *p = &r->plan;
    const enum voco_err err = voco_choices_keep(&r->ctx, &r->uses, r->config->loop.out);

    if (err != VOCO_OK)
        return err;
    json_object_set_new(r->more, "plan", json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:b, s:I, s:I, s:f}", "crops", p->items, "group",
        p->grouping.group, "groups", p->groups, "kept", p->grouping.kept, "lean",
        p->grouping.lean, "again", p->grouping.again, "parameters",
        (json_int_t)p->parameters, "bytes", (json_int_t)p->total, "tflop",
        p->flops * 1e-12));
    return voco_runconfig_write(r->config->loop.out, r->options, json_incref(r->more));
}

/* ---- for the loop ---- */

static enum voco_err
fits(void *run, const char *checkpoint, const char *options)
{
    const struct voco_run *r = run;

    return voco_settings_compare(r->objective, checkpoint, options, r->options);
}

static enum voco_err
start(void *run)
{
    struct voco_run *r = run;

    voco_model_fill(&r->model, &r->ctx, r->setup.init, (uint64_t)r->config->seed);
    return r->ctx.err ? r->ctx.err
                      : r->objective->initialise(r->config, &r->ctx, &r->model);
}

static void
close_batches(struct voco_run *r)
{
    for (int i = 0; i < r->n_inputs; i++) {
        voco_batches_close(r->batches[i]);
        r->batches[i] = NULL;
    }
}

static enum voco_err
seek(void *run, int64_t step)
{
    struct voco_run *r = run;
    const int threads = r->config->loader_threads ? (int)r->config->loader_threads : 1;
    enum voco_err err = VOCO_OK;

    close_batches(r);
    for (int i = 0; i < r->n_inputs && err == VOCO_OK; i++)
        err = voco_batches_open(r->input[i].kind, r->input[i].source, r->input[i].units,
                                threads, VOCO_BATCHES_AHEAD, step, &r->batches[i]);
    return err;
}

/* ---- a step ---- */

/* How long the parts of a step took. */
struct times {
    double start, load, gradient, update;
    int64_t page_faults;
};

static enum voco_err
next_batches(struct voco_run *r, int64_t step, const struct voco_batch_head **batch,
             double *ret_waited_s)
{
    *ret_waited_s = 0.0;
    for (int i = 0; i < r->n_inputs; i++) {
        const void *next;
        double waited_s;
        const enum voco_err err = voco_batches_next(r->batches[i], &next, &waited_s);

        if (err != VOCO_OK)
            return err;
        batch[i] = next;
        VOCO_ASSERT(batch[i]->step == step);
        *ret_waited_s += waited_s;
    }
    return VOCO_OK;
}

/* Why the step is skipped, with its volumes; free the result. */
static char *
skip_note(const struct voco_run *r, const struct voco_gradient *g,
          const struct voco_batch_head *const *batch)
{
    char *note = voco_format("skipped: %s is not a number; volumes:",
                             isfinite(g->loss) ? "the gradient" : "the loss");

    for (int i = 0; i < r->n_inputs; i++) {
        char *ids = batch[i]->store
            ? voco_store_ids(batch[i]->store, batch[i]->volume, batch[i]->n_volumes)
            : voco_format("the replayed batch");
        char *more = voco_format("%s%s %s", note, i ? ";" : "", ids);

        free(ids);
        free(note);
        note = more;
    }
    return note;
}

static double
learning_rate(const struct voco_run *r, const struct voco_state *state)
{
    const struct voco_run_config *c = r->config;

    return c->lr * state->lr_scale
        * voco_schedule((enum voco_schedule)c->schedule, state->step, c->warmup,
                        c->loop.steps);
}

/* Crops and operations of a step. */
static int
step_items(const struct voco_run *r, int64_t step)
{
    return step < r->setup.early ? r->plan.early_items : r->plan.items;
}

static double
step_flops(const struct voco_run *r, int64_t step)
{
    return step < r->setup.early ? r->plan.early_flops : r->plan.flops;
}

static void
record_step(struct voco_run *r, int64_t step, const struct voco_gradient *g, double lr,
            const struct times *t)
{
    struct voco_record *record = &r->record;
    const double all_s = voco_seconds() - t->start;
    const double rate = step_flops(r, step) / (all_s - t->load);

    voco_record_add(record, g->loss, "loss");
    for (int i = 0; i < r->objective->n_terms; i++)
        voco_record_add(record, g->term[i], "%s", r->objective->term[i].name);
    voco_record_add(record, g->norm, "grad_norm");
    voco_record_add(record, lr, "lr");
    voco_record_add(record, all_s, "seconds");
    voco_record_add(record, t->load, "seconds_load");
    voco_record_add(record, t->gradient, "seconds_gradient");
    voco_record_add(record, t->update, "seconds_update");
    voco_record_add(record, step_items(r, step) / all_s, "crops_per_second");
    voco_record_add(record, rate * 1e-9, "gflops");
    voco_record_append(record, &r->seen);
    voco_record_add(record, (double)(voco_page_faults() - t->page_faults), "page_faults");
    if (r->peak.flops > 0.0)
        voco_record_add(record, rate / r->peak.flops, "peak_fraction");
}

/* "epoch 3  loss 0.7 (intra 0.6 inter 0.1)  position 25%  best Dice 0.4  2 crops/s  50
 * GFLOP/s" */
static void
show_progress(struct voco_run *r, int64_t step, const struct voco_gradient *g,
              const struct times *t)
{
    const double all_s = voco_seconds() - t->start;
    char text[400];
    size_t n = 0;

    if (r->setup.epoch)
        n += (size_t)snprintf(text + n, sizeof text - n, "epoch %" PRId64 "  ",
                              step / r->setup.epoch + 1);
    n += (size_t)snprintf(text + n, sizeof text - n, "loss %.4f (", g->loss);
    for (int i = 0; i < r->objective->n_terms; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.3f", i ? " " : "",
                              r->objective->term[i].word, g->term[i]);
    n += (size_t)snprintf(text + n, sizeof text - n, ")%s%s", r->seen.words[0] ? "  " : "",
                          r->seen.words);
    if (r->task && !isnan(r->best.score))
        snprintf(text + n, sizeof text - n, "  best %s %.4f", r->task->score.word,
                 r->best.score);
    voco_progress_show(&r->log.progress, step + 1, "%s  %.2f crops/s  %.0f GFLOP/s", text,
                       step_items(r, step) / all_s,
                       step_flops(r, step) / (all_s - t->load) * 1e-9);
}

/* What is due before a step, or at the end. */
static enum voco_err
measure(struct voco_run *r, int64_t step)
{
    enum voco_err err = voco_validation_due(r, step) ? voco_validate(r, step) : VOCO_OK;

    if (err == VOCO_OK && voco_watch_due(r, step))
        err = voco_watch_measure(r, step);
    return err;
}

static enum voco_err
one_step(void *run, const struct voco_state *state, bool *ret_finite)
{
    struct voco_run *r = run;
    const int64_t step = state->step;
    const struct voco_batch_head *batch[VOCO_INPUTS_MAX];
    const double lr = learning_rate(r, state);
    struct times t = { .start = 0 };
    struct voco_gradient g;
    char *note = NULL;
    double mark_s;
    enum voco_err err;

    voco_record_clear(&r->record);
    voco_record_clear(&r->seen);
    if ((err = measure(r, step)) != VOCO_OK)
        return err;
    t.page_faults = voco_page_faults();
    t.start = voco_seconds();
    if ((err = next_batches(r, step, batch, &t.load)) != VOCO_OK)
        return voco_loop_give_up(&r->loop, err);
    mark_s = voco_seconds();
    if ((err = voco_take_gradient(r->objective, r->work, &r->ctx, &r->model, r->comm, batch,
                                  &voco_stop_signal, &g)) != VOCO_OK)
        return err;
    t.gradient = voco_seconds() - mark_s;
    if (r->objective->observe)
        r->objective->observe(r->work, batch, &r->seen);
    mark_s = voco_seconds();
    *ret_finite = g.finite;
    if (g.finite) {
        err = voco_update(r->config, &r->rates, &r->model, &r->ctx, lr, g.norm,
                          state->updates);
    } else {
        note = skip_note(r, &g, batch);
        voco_warn("step %" PRId64 " %s", step, note);
    }
    t.update = voco_seconds() - mark_s;
    record_step(r, step, &g, lr, &t);
    show_progress(r, step, &g, &t);
    if (err == VOCO_OK)
        err = voco_runlog_write(&r->log, step, r->record.row, r->record.n, note);
    free(note);
    if (r->loop.fresh && step + 1 < r->config->loop.steps)
        voco_trace_clear(&r->trace);        /* the first step touches the memory first */
    return err;
}

/* ---- the end ---- */

static enum voco_err
measure_at_end(struct voco_run *r)
{
    const int64_t steps = r->config->loop.steps;
    enum voco_err err;

    if (!voco_validation_due(r, steps) && !voco_watch_due(r, steps))
        return VOCO_OK;
    voco_record_clear(&r->record);
    if ((err = measure(r, steps)) != VOCO_OK)
        return err;
    return voco_runlog_write(&r->log, steps, r->record.row, r->record.n, NULL);
}

static enum voco_err
finish(struct voco_run *r)
{
    const char *out = r->config->loop.out;
    char *path = voco_format("%s/model.safetensors", out);
    enum voco_err err = measure_at_end(r);

    if (err == VOCO_OK)
        err = voco_model_save(path, &r->ctx, &r->model, NULL, NULL);
    free(path);
    if (err != VOCO_OK)
        return err;
    if (r->task && r->setup.n_validate)
        voco_progress_end(&r->log.progress, "%" PRId64 " steps; best %s %.4f at step %"
                          PRId64 ": %s/best.safetensors", r->loop.state.step,
                          r->task->score.word, r->best.score, r->best.step, out);
    else
        voco_progress_end(&r->log.progress, "%" PRId64 " step%s; weights in "
                          "%s/model.safetensors", r->loop.state.step,
                          voco_plural(r->loop.state.step), out);
    if ((err = voco_runlog_close(&r->log)) != VOCO_OK)
        return err;
    if (voco_plot_run(out) != VOCO_OK)
        voco_warn("no plot: %s", voco_fail_text());
    if (r->objective->finish && r->objective->finish(r) != VOCO_OK)
        voco_warn("%s", voco_fail_text());
    return VOCO_OK;
}

static void
tear_down(struct voco_run *r)
{
    voco_runlog_close(&r->log);
    voco_loop_end(&r->loop);
    voco_trace_tell(&r->trace, &r->ctx);
    close_batches(r);
    r->objective->close(r->work);
    r->objective->release(r->data);
    voco_watch_close(r);
    voco_rates_free(&r->rates);
    voco_seginfo_free(&r->info);
    voco_provenance_free(&r->provenance);
    voco_model_free(&r->model);
    voco_ctx_close(&r->ctx);
    voco_trace_free(&r->trace);
    voco_uses_free(&r->uses);
    voco_choices_free(&r->choices);
    json_decref(r->more);
    free(r->options);
}

static enum voco_err
train(struct voco_run *r)
{
    enum voco_err err;

    if ((err = set_up(r)) != VOCO_OK
        || (err = voco_loop_begin(&r->loop)) != VOCO_OK
        || (err = write_config(r)) != VOCO_OK)
        return err;
    if (r->task)
        r->best = voco_best_read(&r->task->score, r->config->loop.out, r->loop.state.step);
    err = voco_loop_run(&r->loop);
    return err == VOCO_OK ? finish(r) : err;
}

enum voco_err
voco_run(const struct voco_objective *objective, const struct voco_task *task, void *config)
{
    struct voco_run *r = calloc(1, sizeof *r);
    char *why;
    enum voco_err err;

    VOCO_NEED(r);
    r->objective = objective;
    r->task = task;
    r->config = config;
    r->comm = &voco_comm_self;
    r->best.score = NAN;
    r->log.title = objective->title;
    r->loop = (struct voco_loop){ .c = &r->config->loop, .ctx = &r->ctx, .model = &r->model,
                                  .log = &r->log, .job = { r, fits, start, seek, one_step } };
    r->setup = (struct voco_setup){ .layer_decay = 1.0 };
    voco_stop_install();
    err = objective->prepare(config, &r->data, &r->setup);
    r->setup.model.one_moment = r->config->optimizer == VOCO_SGD;
    if (err == VOCO_OK && (err = voco_watch_open(r)) == VOCO_OK && (err = make_plan(r)) == VOCO_OK
        && !r->config->dry_run)
        err = train(r);
    why = voco_format("%s", voco_fail_text());
    tear_down(r);
    free(r);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
