/* The pre-training loop: batches in, steps, checkpoints out. */
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/rng.h"
#include "data/loader.h"
#include "data/replay.h"
#include "dev/cpu.h"
#include "dev/trace.h"
#include "report/plot.h"
#include "report/signals.h"
#include "train/batch_mosaic.h"
#include "train/checkpoint.h"
#include "train/plan.h"
#include "train/runconfig.h"
#include "train/runlog.h"
#include "train/stop.h"

enum { ROI = 64, AHEAD = 2 };

struct run {
    const struct voco_run_config *c;
    struct voco_store *store;           /* or */
    struct voco_replay replay;
    struct voco_loader *loader;
    int volumes, sw, roi;
    struct voco_plan plan;
    struct voco_trace trace;
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_step step;
    struct voco_state state;
    struct voco_runlog log;
    char *options;                      /* JSON of what the bits depend on */
    unsigned char *keep;                /* [crops] row mask of the step */
    float *embeddings, *predicted;
    double started_s, saved_s;
    int64_t saved_step;                 /* of the last checkpoint; -1: none */
};

/* ---- setting up ---- */

static enum voco_err
open_data(struct run *r)
{
    const struct voco_run_config *c = r->c;
    enum voco_err err;

    r->volumes = (int)c->batch;
    r->sw = (int)c->sw;
    r->roi = ROI;
    if (c->replay) {
        err = voco_replay_open(c->replay, c->steps, &r->replay);
        r->volumes = r->replay.volumes;
        r->sw = r->replay.sw;
        r->roi = r->replay.roi;
        return err;
    }
    if ((err = voco_store_open(c->store, &r->store)) != VOCO_OK)
        return err;
    if (!isnan(c->window[0]))
        voco_store_set_window(r->store, c->window[0], c->window[1]);
    voco_note("%s: %d volumes%s", c->store, voco_store_count(r->store),
              voco_store_rejects(r->store) ? " (some inputs of convert were rejected: "
              "voco info tells which)" : "");
    if (voco_store_count(r->store) < r->volumes)
        voco_warn("%d volumes are fewer than a batch of %d: a step will see some twice",
                  voco_store_count(r->store), r->volumes);
    return VOCO_OK;
}

static enum voco_err
open_loader(struct run *r)
{
    const struct voco_run_config *c = r->c;
    struct voco_loader_options o = {
        .seed = (uint64_t)c->seed, .batch = r->volumes, .sw = r->sw, .roi = r->roi,
        .augment = !c->no_augment,
        .threads = c->loader_threads ? (int)c->loader_threads : 1, .ahead = AHEAD,
        .n_repeat = c->n_repeat,
    };

    voco_loader_close(r->loader);
    r->loader = NULL;
    if (!r->store)
        return VOCO_OK;
    for (int i = 0; i < c->n_repeat; i++)
        o.repeat[i] = c->repeat[i];
    return voco_loader_open(r->store, &o, r->state.step, &r->loader);
}

static enum voco_err
plan(struct run *r)
{
    const struct voco_run_config *c = r->c;
    const struct voco_device *dev = c->device == VOCO_DEVICE_ORACLE ? &voco_oracle
                                                                    : &voco_cpu;
    const struct voco_plan_request request = {
        .model = { .feature = c->feature, .in_channels = 1, .hidden = 1024, .out = 1024,
                   .merging = (enum voco_merging)c->merging },
        .volumes = r->volumes, .sw = r->sw, .roi = r->roi, .threads = (int)c->threads,
        .group = (int)(c->group ? c->group : voco_runconfig_group(c->out)), .ahead = AHEAD,
        .memory = c->memory ? (uint64_t)c->memory : voco_plan_default_memory(),
    };
    char total[16];
    enum voco_err err = voco_plan_step(dev, &request, &r->plan);

    if (err != VOCO_OK)
        return err;
    voco_note("model: feature size %" PRId64 ", %.1f M parameters, %s patch merging; step: "
              "%d volumes, %d crops, %.2f TFLOP", c->feature, (double)r->plan.parameters / 1e6,
              voco_merging_name(request.model.merging), r->volumes, r->plan.crops,
              r->plan.flops * 1e-12);
    voco_note("plan: %d groups of %d crops, %d kept and %d recomputed, %s of memory",
              r->plan.groups, r->plan.grouping.group, r->plan.grouping.kept,
              r->plan.groups - r->plan.grouping.kept,
              voco_format_bytes((double)r->plan.total, total));
    if (c->trace) {
        voco_trace_init(&r->trace, dev, NULL, 0.0);
        dev = &r->trace.device;
    }
    return voco_ctx_open(&r->ctx, dev, (size_t)1 << 40, false, (int)c->threads);
}

/* Fresh parameters and zero moments, as the run began. */
static enum voco_err
initialise(struct run *r)
{
    const char *init = r->c->init;
    unsigned long long seed = (unsigned long long)r->c->seed;
    struct voco_model_config theirs;
    const struct voco_demand demand = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_BACKBONE,
                                        .partial = r->c->partial,
                                        .min_percent = r->c->min_coverage };
    struct voco_coverage cover;
    int end = 0;
    enum voco_err err;

    r->ctx.dev->fill(&r->ctx, &r->model.m, 0.0);
    r->ctx.dev->fill(&r->ctx, &r->model.v, 0.0);
    r->ctx.dev->fill(&r->ctx, &r->model.vmax, 0.0);
    r->state = (struct voco_state){ .lr_scale = 1.0 };
    if (init && sscanf(init, "hash:%llu%n", &seed, &end) == 1 && !init[end]) {
        voco_model_fill(&r->model, &r->ctx, VOCO_INIT_HASH, seed);
        return r->ctx.err;
    }
    if (init && strncmp(init, "hash:", 5) == 0)
        return voco_fail(VOCO_EUSAGE, "--init '%s': expected hash:SEED with a whole number",
                         init);
    voco_model_fill(&r->model, &r->ctx, VOCO_INIT_TORCH, seed);
    if (!init)
        return r->ctx.err;
    if ((err = voco_model_recognise(init, &theirs)) != VOCO_OK)
        return err;
    if (theirs.feature != r->c->feature)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights of feature size %" PRId64 ", this "
                         "run has --feature-size %" PRId64, init, theirs.feature,
                         r->c->feature);
    if (theirs.merging != r->model.config.merging)
        voco_warn("%s: made with %s patch merging, this run has %s: see --merging", init,
                  voco_merging_name(theirs.merging),
                  voco_merging_name(r->model.config.merging));
    return voco_model_load(init, &r->ctx, &r->model, &demand, &cover);
}

/* From a checkpoint, if its model is the one asked for. */
static enum voco_err
resume(struct run *r, const char *checkpoint)
{
    struct voco_state then;
    enum voco_err err = voco_checkpoint_state(checkpoint, &then);

    if (err == VOCO_OK)
        err = voco_runconfig_compare(checkpoint, then.options, r->options);
    free((char *)then.options);
    if (err != VOCO_OK)
        return err;
    err = voco_checkpoint_read(checkpoint, &r->ctx, &r->model, &r->state);
    free((char *)r->state.options);
    if (err != VOCO_OK)
        return err;
    r->saved_step = r->state.step;
    if (r->state.step < r->c->steps)
        voco_note("%s: going on at step %" PRId64, checkpoint, r->state.step);
    else
        voco_note("%s: all %" PRId64 " steps are done already", checkpoint, r->c->steps);
    return VOCO_OK;
}

static enum voco_err
resume_or_start(struct run *r)
{
    char *checkpoint = NULL, *metrics = voco_format("%s/metrics.jsonl", r->c->out);
    enum voco_err err = voco_checkpoint_newest(r->c->out, &checkpoint);

    r->saved_step = -1;
    if (r->c->resume == VOCO_RESUME_NO
        && (checkpoint || err != VOCO_OK || voco_file_exists(metrics))) {
        err = voco_fail(VOCO_EUSAGE, "%s holds a run already: give another --out, or "
                        "--resume auto to go on with it", r->c->out);
    } else if (err == VOCO_OK && checkpoint) {
        err = resume(r, checkpoint);
    } else if (err == VOCO_OK) {
        err = initialise(r);
    }
    r->state.options = r->options;
    free(checkpoint);
    free(metrics);
    return err;
}

static enum voco_err
set_up(struct run *r)
{
    const size_t crops = (size_t)r->plan.crops;
    enum voco_err err;

    if ((err = voco_model_describe(&r->model, &(struct voco_model_config){
             .feature = r->c->feature, .in_channels = 1, .hidden = 1024, .out = 1024,
             .merging = (enum voco_merging)r->c->merging })) != VOCO_OK
        || (err = voco_model_allocate(&r->model, &r->ctx, true)) != VOCO_OK
        || (err = voco_step_init(&r->step, &r->ctx, &r->model, r->volumes, r->sw, r->roi,
                                 r->plan.grouping)) != VOCO_OK)
        return err;
    r->step.momentum = r->c->momentum;
    r->step.drop = r->c->drop;
    r->step.stop = &voco_stop_signal;
    r->keep = malloc(crops);
    r->embeddings = malloc(crops * (size_t)voco_cols(&r->step.embedding) * sizeof(float));
    r->predicted = malloc(crops * 9 * sizeof(float));
    if (!r->keep || !r->embeddings || !r->predicted)
        return voco_fail(VOCO_EMEMORY, "no memory for the log of %zu crops", crops);
    r->options = voco_runconfig_options(r->c, r->store, &r->plan, &r->ctx);
    r->log.flops = r->plan.flops;
    r->log.peak_flops = r->c->device == VOCO_DEVICE_CPU ? voco_cpu_peak(&r->ctx) : 0.0;
    r->trace.peak = r->log.peak_flops * 1e-9;
    return VOCO_OK;
}

/* ---- a step ---- */

/* The batch of this step as the step wants it. */
static enum voco_err
next_batch(struct run *r, struct voco_step_input *in, const struct voco_batch **batch,
           double *waited_s)
{
    const int64_t crops = r->plan.crops;
    enum voco_err err;

    *waited_s = 0.0;
    *batch = NULL;
    if (!r->loader) {
        *in = (struct voco_step_input){ r->replay.img, r->replay.crops, r->replay.labels,
                                        r->replay.keep
                                        ? r->replay.keep + r->state.step * crops : NULL };
        return VOCO_OK;
    }
    if ((err = voco_loader_next(r->loader, batch, waited_s)) != VOCO_OK)
        return err;
    VOCO_ASSERT((*batch)->step == r->state.step);
    for (int64_t i = 0; i < crops; i++) {
        const struct voco_rng_key key = { .seed = (uint64_t)r->c->seed,
                                          .step = (uint64_t)r->state.step,
                                          .sample = (uint32_t)i,
                                          .purpose = VOCO_RNG_ROWDROP };

        r->keep[i] = voco_rng_unit(&key, 0) >= (float)r->c->drop;
    }
    *in = (struct voco_step_input){ (*batch)->img, (*batch)->crops, (*batch)->labels,
                                    r->keep };
    return VOCO_OK;
}

/* The volumes of a batch for a message. Free the result. */
static char *
volumes_of(const struct run *r, const struct voco_batch *batch)
{
    char *text = voco_format("%s", batch ? "" : "the replayed batch");

    for (int i = 0; batch && i < batch->n_volumes; i++) {
        char *more = voco_format("%s%s%s", text, i ? ", " : "",
                                 voco_store_entry(r->store, batch->volume[i])->id);

        free(text);
        text = more;
    }
    return text;
}

static void
look_at(struct run *r, const struct voco_step_input *in, struct voco_step_record *record)
{
    struct voco_collapse collapse = { NAN, NAN };
    const int rows = r->plan.crops < VOCO_SIGNALS_ROWS ? r->plan.crops : VOCO_SIGNALS_ROWS;
    struct voco_position position;

    voco_step_embeddings(&r->step, r->embeddings);
    voco_step_predicted(&r->step, r->predicted);
    if (voco_collapse_signals(r->embeddings, rows, (int)voco_cols(&r->step.embedding),
                              &collapse) != VOCO_OK)
        voco_detail("collapse signals: %s", voco_fail_text());
    position = voco_position_signals(in->labels, r->predicted, r->volumes * r->sw, 9);
    record->embedding_cosine = collapse.cosine;
    record->effective_rank = collapse.effective_rank;
    record->position_accuracy = position.accuracy;
    record->position_error = position.error;
}

static enum voco_err
save(struct run *r)
{
    enum voco_err err;

    if (r->saved_step == r->state.step)
        return VOCO_OK;
    if ((err = voco_runlog_sync(&r->log)) != VOCO_OK
        || (err = voco_checkpoint_write(r->c->out, &r->ctx, &r->model, &r->state,
                                        (int)r->c->keep_last)) != VOCO_OK)
        return err;
    r->saved_step = r->state.step;
    r->saved_s = voco_seconds();
    voco_detail("checkpoint at step %" PRId64, r->state.step);
    return VOCO_OK;
}

/* After too many bad steps in a row: the last checkpoint, or the start, with half the
 * learning rate. */
static enum voco_err
roll_back(struct run *r)
{
    const int64_t rollbacks = r->state.rollbacks + 1, at = r->state.step;
    const double lr_scale = r->state.lr_scale * 0.5;
    char *checkpoint = NULL;
    enum voco_err err;

    if (rollbacks > r->c->rollback_limit)
        return voco_fail(VOCO_ENUMERIC, "step %" PRId64 ": not a number again after %" PRId64
                         " roll-backs; checkpoints in %s, if any, are from before", at,
                         rollbacks - 1, r->c->out);
    if ((err = voco_checkpoint_newest(r->c->out, &checkpoint)) != VOCO_OK)
        return err;
    if (checkpoint) {
        err = voco_checkpoint_read(checkpoint, &r->ctx, &r->model, &r->state);
        if (err == VOCO_OK)
            free((char *)r->state.options);
    } else {
        err = initialise(r);
    }
    free(checkpoint);
    if (err != VOCO_OK)
        return err;
    r->state.options = r->options;
    r->state.rollbacks = rollbacks;
    r->state.lr_scale = lr_scale;
    r->state.skipped_in_row = 0;
    r->saved_step = -1;
    voco_warn("step %" PRId64 ": %" PRId64 " steps in a row were not numbers: back to step "
              "%" PRId64 " with %g of the learning rate", at, r->c->skip_limit,
              r->state.step, lr_scale);
    if ((err = voco_runlog_rewind(&r->log, r->c->out, r->state.step)) != VOCO_OK)
        return err;
    return open_loader(r);
}

/* No batch: before the run ends with this error, the work so far is kept. */
static enum voco_err
no_batch(struct run *r, enum voco_err err)
{
    char *why = voco_format("%s", voco_fail_text());

    if (save(r) != VOCO_OK)
        voco_warn("no checkpoint of step %" PRId64 ": %s", r->state.step, voco_fail_text());
    voco_fail(err, "step %" PRId64 ": %s", r->state.step, why);
    free(why);
    return err;
}

static enum voco_err
update(struct run *r, double lr)
{
    const struct voco_adamw o = {
        .lr = lr, .beta1 = r->c->beta1, .beta2 = r->c->beta2, .eps = r->c->eps,
        .weight_decay = r->c->weight_decay, .amsgrad = !r->c->no_amsgrad,
        .step = r->state.updates + 1,
    };
    const enum voco_err err = voco_model_update(&r->model, &r->ctx, &o);

    if (err == VOCO_OK)
        r->state.updates++;
    return err;
}

static enum voco_err
one_step(struct run *r)
{
    const double start_s = voco_seconds();
    struct voco_step_record record = { .step = r->state.step, .crops = r->plan.crops };
    const struct voco_batch *batch;
    struct voco_step_input in;
    char *note = NULL;
    double before_update_s;
    enum voco_err err;

    record.lr = r->c->lr * r->state.lr_scale
        * voco_schedule((enum voco_schedule)r->c->schedule, r->state.step, r->c->warmup,
                        r->c->steps);
    if ((err = next_batch(r, &in, &batch, &record.load_s)) != VOCO_OK)
        return no_batch(r, err);
    if ((err = voco_step_gradient(&r->step, &in, &record.result)) != VOCO_OK)
        return err;
    before_update_s = voco_seconds();
    look_at(r, &in, &record);
    if (record.result.finite) {
        r->state.skipped_in_row = 0;
        err = update(r, record.lr);
    } else {
        char *which = volumes_of(r, batch);

        r->state.skipped_in_row++;
        note = voco_format("skipped: %s is not a number; volumes: %s",
                           isfinite(record.result.loss) ? "the gradient" : "the loss", which);
        voco_warn("step %" PRId64 " %s", r->state.step, note);
        free(which);
    }
    record.update_s = voco_seconds() - before_update_s;
    record.seconds = voco_seconds() - start_s;
    record.note = note;
    if (err == VOCO_OK)
        err = voco_runlog_step(&r->log, &record);
    free(note);
    r->state.step++;
    if (err == VOCO_OK && r->state.skipped_in_row >= r->c->skip_limit)
        err = roll_back(r);
    return err;
}

/* ---- the run ---- */

static bool
due(const struct run *r)
{
    const struct voco_run_config *c = r->c;

    if (c->checkpoint_steps && r->state.step % c->checkpoint_steps == 0)
        return true;
    return c->checkpoint_minutes > 0.0
        && voco_seconds() - r->saved_s > 60.0 * c->checkpoint_minutes;
}

/* Why to stop before the next step, NULL to go on. */
static const char *
stop_reason(const struct run *r)
{
    if (voco_stop_signal)
        return strsignal((int)voco_stop_signal);
    if (r->c->stop_after && r->state.step >= r->c->stop_after)
        return "--stop-after";
    if (r->c->max_hours > 0.0
        && voco_seconds() - r->started_s > 3600.0 * r->c->max_hours)
        return "--max-hours";
    return NULL;
}

static enum voco_err
stop(struct run *r, const char *reason)
{
    const enum voco_err err = save(r);

    if (err != VOCO_OK)
        return err;
    voco_progress_end(&r->log.progress, "stopped (%s) at step %" PRId64 "; the same command "
                      "goes on from %s/ckpt-%" PRId64, reason, r->state.step, r->c->out,
                      r->state.step);
    return voco_fail(VOCO_ESTOPPED, "stopped at step %" PRId64 " of %" PRId64
                     " with a durable checkpoint", r->state.step, r->c->steps);
}

static enum voco_err
loop(struct run *r)
{
    bool first = true;
    enum voco_err err = VOCO_OK;

    while (r->state.step < r->c->steps) {
        const char *reason = stop_reason(r);

        if (reason)
            return stop(r, reason);
        err = one_step(r);
        if (err == VOCO_ESTOPPED)
            return stop(r, strsignal((int)voco_stop_signal));
        if (err != VOCO_OK)
            return err;
        if (first && r->state.step < r->c->steps)   /* it touched the memory first */
            voco_trace_clear(&r->trace);
        first = false;
        if (due(r) && (err = save(r)) != VOCO_OK)
            return err;
    }
    return VOCO_OK;
}

static enum voco_err
draw_mosaic(struct run *r)
{
    const struct voco_loader_options o = { .seed = (uint64_t)r->c->seed,
                                           .batch = r->volumes, .sw = r->sw, .roi = r->roi,
                                           .threads = 1, .ahead = 1 };
    char *path = voco_format("%s/mosaic.png", r->c->out);
    char *title = voco_format("%s, step %" PRId64, r->c->out, r->state.step);
    const enum voco_err err = voco_batch_mosaic(path, title, r->store, &o, &r->step);

    free(path);
    free(title);
    return err;
}

static enum voco_err
finish(struct run *r)
{
    char *path = voco_format("%s/model.safetensors", r->c->out);
    enum voco_err err;

    if ((err = save(r)) == VOCO_OK)
        err = voco_model_save(path, &r->ctx, &r->model, NULL, NULL, NULL);
    free(path);
    if (err != VOCO_OK)
        return err;
    voco_progress_end(&r->log.progress, "%" PRId64 " steps; weights in %s/model.safetensors",
                      r->state.step, r->c->out);
    if ((err = voco_runlog_close(&r->log)) != VOCO_OK)
        return err;
    if (voco_plot_run(r->c->out) != VOCO_OK)
        voco_warn("no plot: %s", voco_fail_text());
    if (r->store && draw_mosaic(r) != VOCO_OK)
        voco_warn("no mosaic: %s", voco_fail_text());
    return VOCO_OK;
}

static void
tear_down(struct run *r)
{
    voco_runlog_close(&r->log);
    if (r->c->trace && r->ctx.dev)
        voco_trace_report(&r->trace, stderr);
    voco_loader_close(r->loader);
    voco_store_close(r->store);
    voco_replay_free(&r->replay);
    voco_step_free(&r->step);
    voco_model_free(&r->model);
    voco_ctx_close(&r->ctx);
    voco_trace_free(&r->trace);
    free(r->options);
    free(r->keep);
    free(r->embeddings);
    free(r->predicted);
}

enum voco_err
voco_pretrain(const struct voco_run_config *config)
{
    struct run r = { .c = config, .started_s = voco_seconds() };
    char *why;
    enum voco_err err;

    voco_stop_install();
    if ((err = open_data(&r)) == VOCO_OK && (err = plan(&r)) == VOCO_OK
        && (err = voco_folder_make(config->out)) == VOCO_OK
        && (err = set_up(&r)) == VOCO_OK
        && (err = resume_or_start(&r)) == VOCO_OK
        && (err = voco_runconfig_write(config, &r.plan, r.options)) == VOCO_OK
        && (err = open_loader(&r)) == VOCO_OK
        && (err = voco_runlog_open(&r.log, config->out, r.state.step, config->steps))
           == VOCO_OK) {
        r.saved_s = voco_seconds();
        err = loop(&r);
        if (err == VOCO_OK)
            err = finish(&r);
    }
    why = voco_format("%s", voco_fail_text());
    tear_down(&r);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
