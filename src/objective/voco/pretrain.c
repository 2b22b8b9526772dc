/* Pre-training: batches of a store through the step. */
#include "objective/voco/pretrain.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/rng.h"
#include "objective/voco/batch.h"
#include "objective/voco/replay.h"
#include "dev/list.h"
#include "dev/wrap/trace.h"
#include "report/plot.h"
#include "objective/voco/signals.h"
#include "objective/voco/batch_mosaic.h"
#include "train/checkpoint.h"
#include "objective/voco/plan.h"
#include "train/runconfig.h"
#include "train/runlog.h"
#include "base/stop.h"

enum { ROI = 64, AHEAD = 2 };

struct run {
    const struct voco_pretrain_config *c;
    struct voco_store *store;           /* or */
    struct voco_replay replay;
    struct voco_loader *loader;
    int volumes, sw, roi;
    struct voco_plan plan;
    struct voco_uses uses;              /* what a step calls */
    struct voco_choices choices;        /* implementations of it, measured */
    struct voco_trace trace;
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_step step;
    struct voco_runlog log;
    struct voco_loop loop;
    double peak_flops;                  /* of the machine, measured; 0: not known */
    char *options;                      /* JSON of what the bits depend on */
    unsigned char *keep;                /* [crops] row mask of the step */
    float *embeddings, *predicted;
};

/* ---- setting up ---- */

static enum voco_err
open_data(struct run *r)
{
    const struct voco_pretrain_config *c = r->c;
    enum voco_err err;
    int n;

    r->volumes = (int)c->batch;
    r->sw = (int)c->sw;
    r->roi = ROI;
    if (c->replay) {
        err = voco_replay_open(c->replay, c->loop.steps, &r->replay);
        r->volumes = r->replay.volumes;
        r->sw = r->replay.sw;
        r->roi = r->replay.roi;
        return err;
    }
    if ((err = voco_store_open(c->store, &r->store)) != VOCO_OK)
        return err;
    if (!isnan(c->window[0]))
        voco_store_set_window(r->store, c->window[0], c->window[1]);
    n = voco_store_count(r->store);
    voco_note("%s: %d volume%s%s", c->store, n, voco_plural(n),
              voco_store_rejects(r->store) ? " (some inputs of convert were rejected: "
              "voco info tells which)" : "");
    if (n < r->volumes)
        voco_warn("%d volume%s for a batch of %d: a step will see some twice", n,
                  voco_plural(n), r->volumes);
    return VOCO_OK;
}

static enum voco_err
open_loader(void *run, int64_t step)
{
    struct run *r = run;
    const struct voco_pretrain_config *c = r->c;
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
    return voco_loader_open(r->store, &o, step, &r->loader);
}

/* Crops per group: as asked, or as in the part of the run that is done; 0: free. */
static int
planned_group(const struct voco_pretrain_config *c)
{
    const int64_t before = voco_runconfig_integer(c->loop.out, "group");

    return (int)(c->group ? c->group : before > 0 && before <= 1024 ? before : 0);
}

/* The same of the precision: a run goes on with what auto gave it on another CPU. */
static enum voco_precision
planned_precision(const struct voco_pretrain_config *c)
{
    int precision = c->precision;

    for (int i = VOCO_PRECISION_F32; i <= VOCO_PRECISION_BF16; i++)
        if (precision == VOCO_PRECISION_AUTO
            && voco_runconfig_is(c->loop.out, "precision", voco_precision_names[i]))
            precision = i;
    return (enum voco_precision)precision;
}

static enum voco_err
plan(struct run *r)
{
    const struct voco_pretrain_config *c = r->c;
    const struct voco_device *dev = voco_device_by_name(voco_device_names[c->device],
                                                        planned_precision(c));
    const struct voco_plan_request request = {
        .model = { .feature = c->feature, .in_channels = 1, .hidden = 1024, .out = 1024,
                   .merging = (enum voco_merging)c->merging },
        .volumes = r->volumes, .sw = r->sw, .roi = r->roi, .threads = (int)c->threads,
        .group = planned_group(c), .ahead = AHEAD,
        .memory = c->memory ? (uint64_t)c->memory : voco_plan_default_memory(),
        .choices = &r->choices, .uses = &r->uses,
    };
    char total[16];
    enum voco_err err;

    if (!dev)
        return VOCO_EUSAGE;
    r->choices = voco_choices_read(dev, (int)c->threads, c->loop.out);
    if ((err = voco_plan_step(dev, &request, &r->plan)) != VOCO_OK)
        return err;
    voco_note("model: feature size %" PRId64 ", %.1f M parameters, %s patch merging; step: "
              "%d volume%s, %d crops, %.2f TFLOP", c->feature,
              (double)r->plan.parameters / 1e6, voco_merging_name(request.model.merging),
              r->volumes, voco_plural(r->volumes), r->plan.crops,
              r->plan.flops * 1e-12);
    voco_note("plan: activations in %s; %d group%s of %d crops, %d kept, %d kept in part and "
              "%d recomputed, %s of memory", voco_type_name(dev->act), r->plan.groups,
              voco_plural(r->plan.groups), r->plan.grouping.group,
              r->plan.grouping.kept - r->plan.grouping.lean, r->plan.grouping.lean,
              r->plan.groups - r->plan.grouping.kept,
              voco_format_bytes((double)r->plan.total, total));
    if (c->trace) {
        voco_trace_init(&r->trace, dev, NULL, 0.0);
        dev = &r->trace.device;
    }
    return voco_ctx_open(&r->ctx, dev,
                         &(struct voco_ctx_options){ .threads = (int)c->threads,
                                                     .choices = &r->choices });
}

/* Parameters as the run begins. */
static enum voco_err
initialise(void *run)
{
    struct run *r = run;
    const char *init = r->c->init;
    unsigned long long seed = (unsigned long long)r->c->seed;
    struct voco_model_config theirs;
    const struct voco_demand demand = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_BACKBONE,
                                        .partial = r->c->partial,
                                        .min_percent = r->c->min_coverage };
    struct voco_coverage cover;
    int end = 0;
    enum voco_err err;

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
    if ((err = voco_model_recognise_swinunetr(init, &theirs)) != VOCO_OK)
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

static json_t *
text_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

/* What decides the numbers: a run resumed under the same ones continues with the same
 * bits. */
static char *
numeric_options(const struct run *r)
{
    const struct voco_pretrain_config *c = r->c;
    json_t *repeats = json_array(), *o;
    char hash[16] = "";

    for (int i = 0; i < c->n_repeat; i++)
        json_array_append_new(repeats, json_string(c->repeat[i]));
    if (r->store)
        snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(r->store));
    o = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:f, "
                  "s:f, s:b, s:b, s:o, s:o, s:s, s:i}",
                  "feature-size", (json_int_t)c->feature, "merging",
                  voco_merging_name((enum voco_merging)c->merging), "batch",
                  (json_int_t)c->batch, "sw", (json_int_t)c->sw, "seed",
                  (json_int_t)c->seed, "steps", (json_int_t)c->loop.steps, "warmup",
                  (json_int_t)c->warmup, "schedule",
                  c->schedule == VOCO_CONSTANT ? "constant" : "warmup-cosine", "lr", c->lr,
                  "weight-decay", c->weight_decay, "beta1", c->beta1, "beta2", c->beta2,
                  "eps", c->eps, "momentum", c->momentum, "drop", c->drop, "amsgrad",
                  !c->no_amsgrad, "augment", !c->no_augment, "repeat", repeats, "replay",
                  text_or_null(c->replay), "store-hash", hash, "group",
                  r->plan.grouping.group);
    VOCO_ASSERT(o);
    voco_runconfig_machine(o, &r->ctx);
    voco_runconfig_choices(o, &r->ctx, &r->uses);
    return voco_runconfig_text(o);
}

static enum voco_err
write_config(const struct run *r)
{
    const struct voco_plan *p = &r->plan;
    json_t *plan = json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:f}", "crops", p->crops,
                             "group", p->grouping.group, "groups", p->groups, "kept",
                             p->grouping.kept, "lean", p->grouping.lean, "parameters", (json_int_t)p->parameters,
                             "bytes", (json_int_t)p->total, "tflop", p->flops * 1e-12);
    const enum voco_err err = voco_choices_keep(&r->ctx, &r->uses, r->c->loop.out);

    if (err != VOCO_OK) {
        json_decref(plan);
        return err;
    }
    return voco_runconfig_write(r->c->loop.out, r->options,
                                json_pack("{s:o, s:o, s:o}", "store",
                                          text_or_null(r->c->store), "init",
                                          text_or_null(r->c->init), "plan", plan));
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
    r->options = numeric_options(r);
    r->peak_flops = r->ctx.dev->peak(&r->ctx);
    r->trace.peak = r->peak_flops * 1e-9;
    r->loop.options = r->options;
    return VOCO_OK;
}

/* ---- a step ---- */

/* The batch of a step as the step wants it. */
static enum voco_err
next_batch(struct run *r, int64_t step, struct voco_step_input *in,
           const struct voco_batch **batch, double *waited_s)
{
    const int64_t crops = r->plan.crops;
    enum voco_err err;

    *waited_s = 0.0;
    *batch = NULL;
    if (!r->loader) {
        *in = (struct voco_step_input){ r->replay.img, r->replay.crops, r->replay.labels,
                                        r->replay.keep ? r->replay.keep + step * crops
                                                       : NULL };
        return VOCO_OK;
    }
    if ((err = voco_loader_next(r->loader, batch, waited_s)) != VOCO_OK)
        return err;
    VOCO_ASSERT((*batch)->step == step);
    for (int64_t i = 0; i < crops; i++) {
        const struct voco_rng_key key = { .seed = (uint64_t)r->c->seed,
                                          .step = (uint64_t)step, .sample = (uint32_t)i,
                                          .purpose = VOCO_RNG_ROWDROP };

        r->keep[i] = voco_rng_unit(&key, 0) >= (float)r->c->drop;
    }
    *in = (struct voco_step_input){ (*batch)->img, (*batch)->crops, (*batch)->labels,
                                    r->keep };
    return VOCO_OK;
}

/* One step as it is logged. */
struct record {
    int64_t step;
    struct voco_step_result result;
    double lr, load_s, update_s, seconds;
    int64_t page_faults;
    struct voco_position position;
    struct voco_collapse collapse;
    const char *note;           /* why it was skipped; NULL */
};

static void
look_at(struct run *r, const struct voco_step_input *in, struct record *record)
{
    const int rows = r->plan.crops < VOCO_SIGNALS_ROWS ? r->plan.crops : VOCO_SIGNALS_ROWS;

    record->collapse = (struct voco_collapse){ NAN, NAN };
    voco_step_embeddings(&r->step, r->embeddings);
    voco_step_predicted(&r->step, r->predicted);
    if (voco_collapse_signals(r->embeddings, rows, (int)voco_cols(&r->step.embedding),
                              &record->collapse) != VOCO_OK)
        voco_detail("collapse signals: %s", voco_fail_text());
    record->position = voco_position_signals(in->labels, r->predicted, r->volumes * r->sw, 9);
}

static enum voco_err
log_step(struct run *r, const struct record *s)
{
    const double compute_s = s->result.forward_s + s->result.backward_s + s->update_s;
    const double rate = r->plan.flops / compute_s, crops_s = r->plan.crops / s->seconds;
    const struct voco_metric row[] = {
        { "loss", s->result.loss }, { "intra", s->result.intra },
        { "inter", s->result.inter }, { "reg", s->result.reg },
        { "grad_norm", s->result.grad_norm }, { "lr", s->lr }, { "seconds", s->seconds },
        { "seconds_load", s->load_s }, { "seconds_forward", s->result.forward_s },
        { "seconds_backward", s->result.backward_s }, { "seconds_update", s->update_s },
        { "crops_per_second", crops_s }, { "gflops", rate * 1e-9 },
        { "position_accuracy", s->position.accuracy },
        { "position_error", s->position.error },
        { "embedding_cosine", s->collapse.cosine },
        { "effective_rank", s->collapse.effective_rank },
        { "page_faults", (double)s->page_faults },
        { "peak_fraction", rate / r->peak_flops },
    };
    const int n = (int)(sizeof row / sizeof *row) - (r->peak_flops > 0.0 ? 0 : 1);

    voco_progress_show(&r->log.progress, s->step + 1, "loss %.4f (intra %.3f inter %.3f reg "
                       "%.3f)  position %.0f%%  %.2f crops/s  %.0f GFLOP/s", s->result.loss,
                       s->result.intra, s->result.inter, s->result.reg,
                       100.0 * s->position.accuracy, crops_s, rate * 1e-9);
    return voco_runlog_write(&r->log, s->step, row, n, s->note);
}

static enum voco_err
update(struct run *r, const struct voco_state *state, double lr)
{
    return voco_model_update(&r->model, &r->ctx, &(struct voco_adamw){
        .lr = lr, .beta1 = r->c->beta1, .beta2 = r->c->beta2, .eps = r->c->eps,
        .weight_decay = r->c->weight_decay, .amsgrad = !r->c->no_amsgrad,
        .step = state->updates + 1 });
}

static enum voco_err
one_step(void *run, const struct voco_state *state, bool *ret_finite)
{
    struct run *r = run;
    const double start_s = voco_seconds();
    struct record record = { .step = state->step, .page_faults = -voco_page_faults() };
    const struct voco_batch *batch;
    struct voco_step_input in;
    char *note = NULL;
    double before_update_s;
    enum voco_err err;

    record.lr = r->c->lr * state->lr_scale
        * voco_schedule((enum voco_schedule)r->c->schedule, state->step, r->c->warmup,
                        r->c->loop.steps);
    if ((err = next_batch(r, state->step, &in, &batch, &record.load_s)) != VOCO_OK)
        return voco_loop_give_up(&r->loop, err);
    if ((err = voco_step_gradient(&r->step, &in, &record.result)) != VOCO_OK)
        return err;
    before_update_s = voco_seconds();
    look_at(r, &in, &record);
    *ret_finite = record.result.finite;
    if (record.result.finite) {
        err = update(r, state, record.lr);
    } else {
        char *which = batch ? voco_store_ids(r->store, batch->volume, batch->n_volumes)
                            : voco_format("the replayed batch");

        note = voco_format("skipped: %s is not a number; volumes: %s",
                           isfinite(record.result.loss) ? "the gradient" : "the loss", which);
        voco_warn("step %" PRId64 " %s", state->step, note);
        free(which);
    }
    record.update_s = voco_seconds() - before_update_s;
    record.seconds = voco_seconds() - start_s;
    record.page_faults += voco_page_faults();
    record.note = note;
    if (err == VOCO_OK)
        err = log_step(r, &record);
    free(note);
    if (r->loop.fresh && state->step + 1 < r->c->loop.steps)
        voco_trace_clear(&r->trace);        /* it touched the memory first */
    return err;
}

/* ---- the end ---- */

static enum voco_err
draw_mosaic(struct run *r)
{
    const struct voco_loader_options o = { .seed = (uint64_t)r->c->seed,
                                           .batch = r->volumes, .sw = r->sw, .roi = r->roi,
                                           .threads = 1, .ahead = 1 };
    char *path = voco_format("%s/mosaic.png", r->c->loop.out);
    char *title = voco_format("%s, step %" PRId64, r->c->loop.out, r->loop.state.step);
    const enum voco_err err = voco_batch_mosaic(path, title, r->store, &o, &r->step);

    free(path);
    free(title);
    return err;
}

static enum voco_err
finish(struct run *r)
{
    char *path = voco_format("%s/model.safetensors", r->c->loop.out);
    enum voco_err err;

    err = voco_model_save(path, &r->ctx, &r->model, NULL, NULL, NULL);
    free(path);
    if (err != VOCO_OK)
        return err;
    voco_progress_end(&r->log.progress, "%" PRId64 " steps; weights in %s/model.safetensors",
                      r->loop.state.step, r->c->loop.out);
    if ((err = voco_runlog_close(&r->log)) != VOCO_OK)
        return err;
    if (voco_plot_run(r->c->loop.out) != VOCO_OK)
        voco_warn("no plot: %s", voco_fail_text());
    if (r->store && draw_mosaic(r) != VOCO_OK)
        voco_warn("no mosaic: %s", voco_fail_text());
    return VOCO_OK;
}

static void
tear_down(struct run *r)
{
    voco_runlog_close(&r->log);
    voco_loop_end(&r->loop);
    if (r->c->trace && r->ctx.dev)
        voco_trace_report(&r->trace, stderr);
    voco_loader_close(r->loader);
    voco_store_close(r->store);
    voco_replay_free(&r->replay);
    voco_step_free(&r->step);
    voco_model_free(&r->model);
    voco_ctx_close(&r->ctx);
    voco_trace_free(&r->trace);
    voco_uses_free(&r->uses);
    voco_choices_free(&r->choices);
    free(r->options);
    free(r->keep);
    free(r->embeddings);
    free(r->predicted);
}

enum voco_err
voco_pretrain(const struct voco_pretrain_config *config)
{
    struct run r = { .c = config, .log = { .title = "pretrain" } };
    char *why;
    enum voco_err err;

    voco_stop_install();
    r.loop = (struct voco_loop){ .c = &config->loop, .ctx = &r.ctx, .model = &r.model,
                                 .log = &r.log,
                                 .job = { &r, initialise, open_loader, one_step } };
    if ((err = open_data(&r)) == VOCO_OK && (err = plan(&r)) == VOCO_OK
        && (err = voco_folder_make(config->loop.out)) == VOCO_OK
        && (err = set_up(&r)) == VOCO_OK
        && (err = voco_loop_begin(&r.loop)) == VOCO_OK
        && (err = write_config(&r)) == VOCO_OK
        && (err = voco_loop_run(&r.loop)) == VOCO_OK)
        err = finish(&r);
    why = voco_format("%s", voco_fail_text());
    tear_down(&r);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
