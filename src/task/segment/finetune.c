/* Fine-tuning for segmentation: crops of a labelled store through the whole network. */
#include "task/segment/finetune.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "dev/list.h"
#include "dev/wrap/trace.h"
#include "report/plot.h"
#include "task/segment/best.h"
#include "objective/voco/plan.h"
#include "train/rates.h"
#include "train/runconfig.h"
#include "train/schedule.h"
#include "objective/segment/segment.h"
#include "base/stop.h"

enum { AHEAD = 2 };

struct run {
    const struct voco_finetune_config *c;
    struct voco_loop_config loop_config;        /* c's, with the steps */
    struct voco_store *store;
    struct voco_split split;            /* of the labelled volumes; indices in the store */
    struct voco_model_config model_config;
    struct voco_segment_plan plan;
    struct voco_uses uses;              /* what a step calls */
    struct voco_choices choices;        /* implementations of it, measured */
    struct voco_dicece loss;
    struct voco_trace trace;
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_rates rates;
    struct voco_seginfo info;           /* what the weights files say beside the tensors */
    struct voco_seg_loader *loader;
    float *label;                       /* [crops][x][y][z] of a batch */
    struct voco_runlog log;
    struct voco_loop loop;
    char *options;
    struct voco_best best;
};

static int64_t
crops(const struct voco_finetune_config *c)
{
    return c->batch * c->samples;
}

static int64_t
steps_per_epoch(const struct run *r)
{
    return (r->split.n_train + r->c->batch - 1) / r->c->batch;
}

/* ---- data ---- */

/* The volumes with label maps, split; the split's numbers become indices in the store. */
static enum voco_err
split_volumes(struct run *r)
{
    const struct voco_finetune_config *c = r->c;
    const struct voco_split_options o = { .seed = (uint64_t)c->split_seed,
                                          .folds = (int)c->folds, .fold = (int)c->fold,
                                          .fraction = c->fraction };
    const int count = voco_store_count(r->store);
    const char **id = calloc((size_t)count + 1, sizeof *id);
    int *at = calloc((size_t)count + 1, sizeof *at), n = 0;
    enum voco_err err;

    VOCO_ASSERT(id && at);
    for (int i = 0; i < count; i++)
        if (voco_store_entry(r->store, i)->label.source) {
            id[n] = voco_store_entry(r->store, i)->id;
            at[n++] = i;
        }
    if (n == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: none of %d volumes has a label map: convert a list "
                        "with labels (voco convert --help)", c->store, count);
    else
        err = voco_split_make(id, n, &o, &r->split);
    if (err == VOCO_OK) {
        if (n < count)
            voco_note("%s: %d of %d volumes have no label map and are not used", c->store,
                      count - n, count);
        for (int i = 0; i < r->split.n_train; i++)
            r->split.train[i] = at[r->split.train[i]];
        for (int i = 0; i < r->split.n_validate; i++)
            r->split.validate[i] = at[r->split.validate[i]];
        voco_note("%s: training on %d volume%s, validating on %d (fold %d of %d, %g of the "
                  "training volumes)", c->store, r->split.n_train,
                  voco_plural(r->split.n_train), r->split.n_validate, o.fold, o.folds,
                  o.fraction);
    }
    free(id);
    free(at);
    return err;
}

static enum voco_err
open_data(struct run *r)
{
    enum voco_err err = voco_store_open(r->c->store, &r->store);

    if (err == VOCO_OK)
        err = split_volumes(r);
    if (err == VOCO_OK)
        r->loop_config.steps = r->c->epochs * steps_per_epoch(r);
    return err;
}

static enum voco_err
open_loader(void *run, int64_t step)
{
    struct run *r = run;
    const struct voco_finetune_config *c = r->c;
    const struct voco_seg_options o = {
        .seed = (uint64_t)c->seed, .volume = r->split.train, .n_volumes = r->split.n_train,
        .batch = (int)c->batch, .samples = (int)c->samples,
        .roi = { c->roi[0], c->roi[1], c->roi[2] }, .positive = c->positive,
        .classes = (int)r->model_config.classes, .augment = c->augment,
        .threads = c->loader_threads ? (int)c->loader_threads : 1, .ahead = AHEAD,
    };

    voco_seg_close(r->loader);
    r->loader = NULL;
    return voco_seg_open(r->store, &o, step, &r->loader);
}

/* ---- the model ---- */

/* The network of the weights, or as asked for. */
static enum voco_err
choose_network(const struct voco_finetune_config *c, struct voco_model_config *ret)
{
    static const char *const name[] = { "a Swin UNETR", "a PlainConvUNet" };
    struct voco_model_config theirs = { .feature = 48, .merging = VOCO_MERGING_LEGACY,
                                        .plainconv = voco_plainconv_default };
    enum voco_err err;

    if (c->net >= 0)
        theirs.net = (enum voco_net)c->net;
    if (c->weights && (err = voco_model_recognise(c->weights, &theirs)) != VOCO_OK)
        return err;
    if (c->net >= 0 && (int)theirs.net != c->net)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights of %s, and --net asks for %s",
                         c->weights, name[theirs.net], name[c->net]);
    *ret = theirs;
    if (theirs.net == VOCO_NET_PLAINCONV)
        return c->feature || c->plain || c->merging >= 0
            ? voco_fail(VOCO_EUSAGE, "--feature-size, --plain and --merging are of Swin UNETR, "
                        "and this is a PlainConvUNet") : VOCO_OK;
    if (c->weights && c->feature && c->feature != theirs.feature)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights of feature size %" PRId64
                         ", and --feature-size is %" PRId64, c->weights, theirs.feature,
                         c->feature);
    if (c->weights && c->merging >= 0 && (int)theirs.merging != c->merging)
        voco_warn("%s: made with %s patch merging, this run has %s: see --merging",
                  c->weights, voco_merging_name(theirs.merging),
                  voco_merging_name((enum voco_merging)c->merging));
    if (c->feature)
        ret->feature = c->feature;
    if (c->merging >= 0)
        ret->merging = (enum voco_merging)c->merging;
    ret->plain |= c->plain;
    return VOCO_OK;
}

/* A network with the channels and classes of the store, and crops that it can divide. */
static enum voco_err
choose_model(struct run *r)
{
    const struct voco_finetune_config *c = r->c;
    const int in_store = voco_store_n_classes(r->store);
    int64_t multiple[3];
    enum voco_err err = choose_network(c, &r->model_config);

    if (err != VOCO_OK)
        return err;
    r->model_config.in_channels = voco_store_entry(r->store, r->split.train[0])->channels;
    r->model_config.classes = c->classes ? c->classes : in_store;
    voco_model_multiple(&r->model_config, multiple);
    for (int i = 0; i < 3; i++)
        if (c->roi[i] % multiple[i] != 0)
            return voco_fail(VOCO_EUSAGE, "--roi: %" PRId64 " is not a multiple of %" PRId64
                             ", by which the network divides axis %c", c->roi[i],
                             multiple[i], 'x' + i);
    if (r->model_config.classes < 2)
        return voco_fail(VOCO_EFORMAT, "%s: its label maps hold nothing but background",
                         c->store);
    if (r->model_config.classes < in_store)
        return voco_fail(VOCO_EUSAGE, "--classes %" PRId64 ", but the label maps of %s go up "
                         "to class %d", r->model_config.classes, c->store, in_store - 1);
    return VOCO_OK;
}

static bool
has_class(const struct voco_store_label *label, int64_t k)
{
    for (int i = 0; i < label->n_counts; i++)
        if (label->count[i].class_id == k)
            return label->count[i].voxels > 0;
    return false;
}

/* Classes that no training volume contains cannot be learnt. */
static void
warn_of_absent_classes(const struct run *r)
{
    for (int64_t k = 1; k < r->model_config.classes; k++) {
        bool there = false;

        for (int i = 0; i < r->split.n_train && !there; i++)
            there = has_class(&voco_store_entry(r->store, r->split.train[i])->label, k);
        if (!there)
            voco_warn("class %" PRId64 " is in none of the training volumes: it will not be "
                      "learnt", k);
    }
}

static struct voco_validation
validation(struct run *r)
{
    return (struct voco_validation){
        .ctx = &r->ctx, .model = &r->model, .store = r->store, .volume = r->split.validate,
        .n = r->split.n_validate, .roi = { r->c->roi[0], r->c->roi[1], r->c->roi[2] },
        .overlap = r->c->val_overlap, .batch = r->plan.group, .stop = &voco_stop_signal,
    };
}

/* The largest need of a validation volume, beside the network's. */
static double
validation_bytes(struct run *r)
{
    struct voco_validation v = validation(r);
    double most = 0;

    v.model = &(struct voco_model){ .config = r->model_config };
    v.batch = 1;
    for (int i = 0; i < v.n; i++)
        most = fmax(most, voco_validate_bytes(&v, voco_store_entry(r->store,
                                                                   v.volume[i])->dim));
    return most;
}

static enum voco_err
plan(struct run *r)
{
    const struct voco_finetune_config *c = r->c;
    const uint64_t memory = c->memory ? (uint64_t)c->memory : voco_plan_default_memory();
    const double crop = 4.0 * (double)(c->roi[0] * c->roi[1] * c->roi[2])
                        * (double)(r->model_config.in_channels + 1);
    const double data = (AHEAD + 2) * (double)crops(c) * crop + validation_bytes(r);
    const struct voco_segment_request request = {
        .model = r->model_config, .training = true, .frozen = c->freeze_encoder,
        .n = (int)crops(c), .size = { c->roi[0], c->roi[1], c->roi[2] },
        .threads = (int)c->threads,
        .memory = memory > data ? memory - (uint64_t)data : 1, .choices = &r->choices,
        .uses = &r->uses,
    };
    char total[16], words[160];
    enum voco_err err;

    r->choices = voco_choices_read(voco_device_default(), (int)c->threads, c->loop.out);
    if ((err = voco_segment_plan(voco_device_default(), &request, &r->plan)) != VOCO_OK)
        return err;
    voco_note("model: %s, %" PRId64 " input channels, %" PRId64 " classes",
              voco_model_words(&r->model_config, words), r->model_config.in_channels,
              r->model_config.classes);
    voco_note("step: %" PRId64 " crops of %" PRId64 " x %" PRId64 " x %" PRId64 ", %d at a "
              "time%s, %.2f TFLOP, %s of memory; %" PRId64 " steps an epoch, %" PRId64
              " in all", crops(c), c->roi[0], c->roi[1], c->roi[2], r->plan.group,
              r->plan.again ? " with recomputation" : "", r->plan.flops * 1e-12,
              voco_format_bytes((double)r->plan.total + data, total), steps_per_epoch(r),
              r->loop_config.steps);
    if (r->split.n_validate)
        voco_note("validation: windows overlap by %g", c->val_overlap);
    return VOCO_OK;
}

/* ---- setting up ---- */

static char *
numeric_options(const struct run *r)
{
    const struct voco_finetune_config *c = r->c;
    const struct voco_model_config *m = &r->model_config;
    const struct voco_seg_augment *a = &c->augment;
    char hash[16];
    json_t *o;

    snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(r->store));
    o = json_pack("{s:I, s:I, s:I, s:s, s:b, s:[I,I,I], s:I, s:I, s:f, s:f, s:I, s:I, s:I, "
                  "s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:b, s:b, s:b, s:f, s:I, s:f, s:s, "
                  "s:[f,f,f,f,f,f], s:i, s:b}",
                  "feature-size", (json_int_t)m->feature, "in-channels",
                  (json_int_t)m->in_channels, "classes", (json_int_t)m->classes, "merging",
                  voco_merging_name(m->merging), "plain", m->plain, "roi",
                  (json_int_t)c->roi[0], (json_int_t)c->roi[1], (json_int_t)c->roi[2],
                  "batch", (json_int_t)c->batch, "samples", (json_int_t)c->samples,
                  "positive", c->positive, "fraction", c->fraction, "folds",
                  (json_int_t)c->folds, "fold", (json_int_t)c->fold, "split-seed",
                  (json_int_t)c->split_seed, "epochs", (json_int_t)c->epochs, "warmup-epochs",
                  (json_int_t)c->warmup_epochs, "seed", (json_int_t)c->seed, "lr", c->lr,
                  "weight-decay", c->weight_decay, "beta1", c->beta1, "beta2", c->beta2,
                  "eps", c->eps, "amsgrad", c->amsgrad, "squared-dice", c->squared_dice,
                  "freeze-encoder", c->freeze_encoder, "layer-decay", c->layer_decay,
                  "val-epochs", (json_int_t)c->val_epochs, "val-overlap", c->val_overlap,
                  "store-hash", hash, "augment", (double)a->flip, (double)a->turn,
                  (double)a->scale, (double)a->scale_by, (double)a->shift,
                  (double)a->shift_by, "group", r->plan.group, "again", r->plan.again);
    VOCO_ASSERT(o);
    if (m->net == VOCO_NET_PLAINCONV)
        json_object_set_new(o, "net", json_string("plainconv"));
    voco_runconfig_machine(o, &r->ctx);
    voco_runconfig_choices(o, &r->ctx, &r->uses);
    return voco_runconfig_text(o);
}

static json_t *
ids(const struct run *r, const int *volume, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_string(voco_store_entry(r->store, volume[i])->id));
    return list;
}

static enum voco_err
write_config(const struct run *r)
{
    const enum voco_err err = voco_choices_keep(&r->ctx, &r->uses, r->c->loop.out);

    if (err != VOCO_OK)
        return err;
    return voco_runconfig_write(
        r->c->loop.out, r->options,
        json_pack("{s:s, s:o, s:o, s:o}", "store", r->c->store, "weights",
                  r->c->weights ? json_string(r->c->weights) : json_null(), "train",
                  ids(r, r->split.train, r->split.n_train), "validate",
                  ids(r, r->split.validate, r->split.n_validate)));
}

/* How volumes were prepared, and what classes are called, for whoever uses the weights. */
static enum voco_err
describe_data(struct run *r)
{
    const struct voco_store_entry *e = voco_store_entry(r->store, r->split.train[0]);
    enum voco_err err;
    int n;
    const char *const *names = voco_store_classes(r->store, &n);

    memcpy(r->info.roi, r->c->roi, sizeof r->info.roi);
    if ((err = voco_transform_of_report(e->transforms, &r->info.transform)) != VOCO_OK)
        return voco_fail_in(err, "%s: %s", r->c->store, e->id);
    r->info.has_transform = true;
    r->info.preset = voco_format("%s", e->preset);
    if (n != r->model_config.classes)
        return VOCO_OK;
    r->info.class_name = calloc((size_t)n, sizeof *r->info.class_name);
    VOCO_ASSERT(r->info.class_name);
    for (r->info.n_classes = 0; r->info.n_classes < n; r->info.n_classes++)
        r->info.class_name[r->info.n_classes] = voco_format("%s", names[r->info.n_classes]);
    return VOCO_OK;
}

static enum voco_err
open_device(struct run *r)
{
    const struct voco_device *dev = voco_device_default();

    if (r->c->trace) {
        voco_trace_init(&r->trace, dev, NULL, 0.0);
        dev = &r->trace.device;
    }
    return voco_ctx_open(&r->ctx, dev,
                         &(struct voco_ctx_options){ .threads = (int)r->c->threads,
                                                     .choices = &r->choices });
}

static enum voco_err
set_up(struct run *r)
{
    const struct voco_finetune_config *c = r->c;
    const size_t voxels = (size_t)(c->roi[0] * c->roi[1] * c->roi[2]);
    enum voco_err err;

    if ((err = open_device(r)) != VOCO_OK
        || (err = voco_model_describe(&r->model, &r->model_config)) != VOCO_OK
        || (err = voco_model_allocate(&r->model, &r->ctx, true)) != VOCO_OK
        || (err = voco_rates_make(&r->rates, &r->model.params, c->layer_decay,
                                  c->freeze_encoder)) != VOCO_OK
        || (err = describe_data(r)) != VOCO_OK)
        return err;
    voco_segnet_set_again(&r->model.net, r->plan.again);
    voco_segnet_set_frozen(&r->model.net, c->freeze_encoder);
    r->loss = (struct voco_dicece){ .background = c->squared_dice, .squared = c->squared_dice,
                                    .smooth_nr = c->squared_dice ? 0 : 1e-5,
                                    .smooth_dr = c->squared_dice ? 1e-6 : 1e-5 };
    r->label = malloc((size_t)crops(c) * voxels * sizeof *r->label);
    if (!r->label)
        return voco_fail(VOCO_EMEMORY, "no memory for the labels of a batch");
    r->options = numeric_options(r);
    r->loop.options = r->options;
    return VOCO_OK;
}

static enum voco_err
initialise(void *run)
{
    struct run *r = run;
    const struct voco_demand demand = {
        .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_BACKBONE, .partial = r->c->partial,
        .min_percent = r->c->min_coverage, .adapter = (enum voco_adapter)r->c->adapter,
    };
    struct voco_coverage cover;

    voco_model_fill(&r->model, &r->ctx, r->model_config.net == VOCO_NET_PLAINCONV
                    ? VOCO_INIT_HE : VOCO_INIT_TORCH, (uint64_t)r->c->seed);
    if (r->ctx.err || !r->c->weights)
        return r->ctx.err;
    return voco_model_load(r->c->weights, &r->ctx, &r->model, &demand, &cover);
}

/* ---- validation ---- */

static bool
validation_due(const struct run *r, int64_t step)
{
    const int64_t every = r->c->val_epochs * steps_per_epoch(r);

    return r->split.n_validate > 0
        && (step == r->loop_config.steps || (every && step > 0 && step % every == 0));
}

/* Dice after so many steps; weights that are better than all before are kept. */
static enum voco_err
validate(struct run *r, int64_t step, struct voco_validation_result *ret)
{
    const struct voco_validation v = validation(r);
    enum voco_err err = voco_validate(&v, ret);
    bool better;

    if (err != VOCO_OK)
        return err;
    if (isnan(ret->dice)) {
        voco_warn("step %" PRId64 ": no validation volume contains any class", step);
        return VOCO_OK;
    }
    better = voco_best_beaten(&r->best, ret->dice);
    voco_note("epoch %" PRId64 ": Dice %.4f on %d volume%s%s, in %.0f s",
              step / steps_per_epoch(r), ret->dice, v.n, voco_plural(v.n),
              better ? ", the best so far" : "", ret->seconds);
    if (better)
        err = voco_best_keep(&r->best, r->c->loop.out, step, &r->ctx, &r->model, &r->info,
                             ret);
    return err;
}

/* ---- a step ---- */

enum { METRICS = 12 + VOCO_VALIDATE_CLASSES };

struct record {
    struct voco_metric row[METRICS];
    char name[VOCO_VALIDATE_CLASSES][24];
    int n;
};

static void
add(struct record *record, const char *name, double value)
{
    VOCO_ASSERT(record->n < METRICS);
    record->row[record->n++] = (struct voco_metric){ name, value };
}

static void
add_validation(const struct run *r, struct record *record,
               const struct voco_validation_result *v)
{
    add(record, "val_dice", v->dice);
    add(record, "val_seconds", v->seconds);
    for (int64_t k = 1; k < r->model_config.classes; k++)
        if (!isnan(v->class_dice[k])) {
            snprintf(record->name[k], sizeof record->name[k], "val_dice_%" PRId64, k);
            add(record, record->name[k], v->class_dice[k]);
        }
}

static enum voco_err
gradient(struct run *r, const struct voco_seg_batch *b, struct voco_segment_result *ret)
{
    const int64_t voxels = b->roi[0] * b->roi[1] * b->roi[2];
    const struct voco_segment_batch batch = {
        .image = b->image, .label = r->label, .n = b->n,
        .size = { b->roi[0], b->roi[1], b->roi[2] }, .stop = &voco_stop_signal,
    };

    for (int64_t i = 0; i < b->n * voxels; i++)
        r->label[i] = b->label[i];
    return voco_segment_gradient(&r->ctx, &r->model, &r->loss, &batch, r->plan.group, ret);
}

static enum voco_err
one_step(void *run, const struct voco_state *state, bool *ret_finite)
{
    struct run *r = run;
    const int64_t step = state->step, epoch = steps_per_epoch(r);
    const double lr = r->c->lr * state->lr_scale
                      * voco_schedule(VOCO_WARMUP_COSINE, step, r->c->warmup_epochs * epoch,
                                      r->loop_config.steps);
    struct record record = { .n = 0 };
    struct voco_validation_result v;
    struct voco_segment_result result;
    const struct voco_seg_batch *b;
    double start_s, wait_s;
    char *note = NULL, best[40];
    enum voco_err err;

    if (validation_due(r, step)) {
        if ((err = validate(r, step, &v)) != VOCO_OK)
            return err;
        add_validation(r, &record, &v);
    }
    start_s = voco_seconds();
    if ((err = voco_seg_next(r->loader, &b, &wait_s)) != VOCO_OK)
        return voco_loop_give_up(&r->loop, err);
    VOCO_ASSERT(b->step == step);
    if ((err = gradient(r, b, &result)) != VOCO_OK)
        return err;
    *ret_finite = result.finite;
    if (result.finite) {
        err = voco_rates_update(&r->rates, &r->model, &r->ctx, &(struct voco_adamw){
            .lr = lr, .beta1 = r->c->beta1, .beta2 = r->c->beta2, .eps = r->c->eps,
            .weight_decay = r->c->weight_decay, .amsgrad = r->c->amsgrad,
            .step = state->updates + 1 });
    } else {
        char *which = voco_store_ids(r->store, b->volume, b->n);

        note = voco_format("skipped: %s is not a number; volumes: %s",
                           isfinite(result.loss) ? "the gradient" : "the loss", which);
        voco_warn("step %" PRId64 " %s", step, note);
        free(which);
    }
    add(&record, "loss", result.loss);
    add(&record, "dice_loss", result.dice);
    add(&record, "cross_entropy", result.ce);
    add(&record, "grad_norm", result.grad_norm);
    add(&record, "lr", lr);
    add(&record, "seconds", voco_seconds() - start_s);
    add(&record, "seconds_load", wait_s);
    add(&record, "gflops", r->plan.flops / (voco_seconds() - start_s - wait_s) * 1e-9);
    if (isnan(r->best.dice))
        best[0] = '\0';
    else
        snprintf(best, sizeof best, "  best Dice %.4f", r->best.dice);
    voco_progress_show(&r->log.progress, step + 1, "epoch %" PRId64 "  loss %.4f (dice %.3f "
                       "ce %.3f)%s  %.1f s", step / epoch + 1, result.loss, result.dice,
                       result.ce, best, voco_seconds() - start_s);
    if (err == VOCO_OK)
        err = voco_runlog_write(&r->log, step, record.row, record.n, note);
    free(note);
    if (r->loop.fresh && step + 1 < r->loop_config.steps)
        voco_trace_clear(&r->trace);        /* it touched the memory first */
    return err;
}

/* ---- the run ---- */

static enum voco_err
finish(struct run *r)
{
    const int64_t steps = r->loop_config.steps;
    char *path = voco_format("%s/model.safetensors", r->c->loop.out);
    struct record record = { .n = 0 };
    struct voco_validation_result v;
    enum voco_err err = VOCO_OK;

    if (validation_due(r, steps) && (err = validate(r, steps, &v)) == VOCO_OK) {
        add_validation(r, &record, &v);
        err = voco_runlog_write(&r->log, steps, record.row, record.n, NULL);
    }
    if (err == VOCO_OK)
        err = voco_model_save(path, &r->ctx, &r->model, &r->info, NULL, NULL);
    free(path);
    if (err != VOCO_OK)
        return err;
    if (r->split.n_validate)
        voco_progress_end(&r->log.progress, "%" PRId64 " steps; best Dice %.4f at step %"
                          PRId64 ": %s/best.safetensors", steps, r->best.dice, r->best.step,
                          r->c->loop.out);
    else
        voco_progress_end(&r->log.progress, "%" PRId64 " steps; weights in "
                          "%s/model.safetensors", steps, r->c->loop.out);
    if ((err = voco_runlog_close(&r->log)) != VOCO_OK)
        return err;
    if (voco_plot_run(r->c->loop.out) != VOCO_OK)
        voco_warn("no plot: %s", voco_fail_text());
    return VOCO_OK;
}

static void
tear_down(struct run *r)
{
    voco_runlog_close(&r->log);
    voco_loop_end(&r->loop);
    if (r->c->trace && r->ctx.dev) {
        r->trace.peak = r->ctx.dev->peak(&r->ctx) * 1e-9;
        voco_trace_report(&r->trace, stderr);
    }
    voco_seg_close(r->loader);
    voco_split_free(&r->split);
    voco_store_close(r->store);
    voco_rates_free(&r->rates);
    voco_seginfo_free(&r->info);
    voco_model_free(&r->model);
    voco_ctx_close(&r->ctx);
    voco_trace_free(&r->trace);
    voco_uses_free(&r->uses);
    voco_choices_free(&r->choices);
    free(r->options);
    free(r->label);
}

static enum voco_err
train(struct run *r)
{
    enum voco_err err;

    if ((err = voco_folder_make(r->c->loop.out)) != VOCO_OK
        || (err = set_up(r)) != VOCO_OK
        || (err = voco_loop_begin(&r->loop)) != VOCO_OK
        || (err = write_config(r)) != VOCO_OK)
        return err;
    r->best = voco_best_read(r->c->loop.out, r->loop.state.step);
    err = voco_loop_run(&r->loop);
    return err == VOCO_OK ? finish(r) : err;
}

enum voco_err
voco_finetune(const struct voco_finetune_config *config)
{
    struct run r = { .c = config, .loop_config = config->loop, .best = { .dice = NAN },
                     .log = { .title = "finetune" } };
    char *why;
    enum voco_err err;

    voco_stop_install();
    r.loop = (struct voco_loop){ .c = &r.loop_config, .ctx = &r.ctx, .model = &r.model,
                                 .log = &r.log,
                                 .job = { &r, initialise, open_loader, one_step } };
    if ((err = open_data(&r)) == VOCO_OK && (err = choose_model(&r)) == VOCO_OK
        && (err = plan(&r)) == VOCO_OK) {
        warn_of_absent_classes(&r);
        if (!config->dry_run)
            err = train(&r);
    }
    why = voco_format("%s", voco_fail_text());
    tear_down(&r);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
