/* Segmentation as an objective: its data, the choice of its network, its computation. */
#include "objective/segment/finetune.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "train/schedule.h"

/* ---- data ---- */

static int
crops(const struct voco_finetune_config *c)
{
    return (int)(c->batch * c->samples);
}

static void
release(void *data)
{
    struct voco_labelled *d = data;

    if (!d)
        return;
    voco_seg_close(d->loader);
    voco_unlabelled_close(&d->more);
    voco_split_free(&d->split);
    voco_store_close(d->store);
    free(d);
}

/* The volumes with label maps, split; the split's numbers become indices in the store. */
static enum voco_err
split_volumes(const struct voco_finetune_config *c, struct voco_labelled *d)
{
    const struct voco_split_options o = { .seed = (uint64_t)c->split_seed,
                                          .folds = (int)c->folds, .fold = (int)c->fold,
                                          .fraction = c->fraction };
    const char **id = NULL;
    int *at, n;
    enum voco_err err = voco_seg_labelled(d->store, c->run.store, &at, &n);

    if (err == VOCO_OK) {
        id = calloc((size_t)n, sizeof *id);
        VOCO_NEED(id);
        for (int i = 0; i < n; i++)
            id[i] = voco_store_entry(d->store, at[i])->id;
        err = voco_split_make(id, n, &o, &d->split);
    }
    if (err == VOCO_OK) {
        for (int i = 0; i < d->split.n_train; i++)
            d->split.train[i] = at[d->split.train[i]];
        for (int i = 0; i < d->split.n_validate; i++)
            d->split.validate[i] = at[d->split.validate[i]];
        voco_note("%s: training on %d volume%s, validating on %d (fold %d of %d, %g of the "
                  "training volumes)", c->run.store, d->split.n_train,
                  voco_plural(d->split.n_train), d->split.n_validate, o.fold, o.folds,
                  o.fraction);
    }
    free(id);
    free(at);
    return err;
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
    if (c->weights
        && (err = voco_model_recognise_as(c->weights, c->merging, &theirs)) != VOCO_OK)
        return err;
    if (c->net >= 0 && (int)theirs.net != c->net)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights of %s, and --net asks for %s",
                         c->weights, name[theirs.net], name[c->net]);
    *ret = theirs;
    ret->n_heads = 0;                   /* those of pre-training stay behind */
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
choose_model(const struct voco_finetune_config *c, const struct voco_labelled *d,
             struct voco_model_config *m)
{
    int64_t multiple[3];
    enum voco_err err = choose_network(c, m);

    if (err != VOCO_OK)
        return err;
    m->in_channels = voco_store_entry(d->store, d->split.train[0])->channels;
    voco_model_multiple(m, multiple);
    for (int i = 0; i < 3; i++)
        if ((int64_t)c->roi[i] % multiple[i] != 0)
            return voco_fail(VOCO_EUSAGE, "--roi: %" PRId64 " is not a multiple of %" PRId64
                             ", by which the network divides axis %c", (int64_t)c->roi[i],
                             multiple[i], 'x' + i);
    return voco_seg_classes(d->store, c->run.store, c->classes, &m->classes);
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
warn_of_absent_classes(const struct voco_labelled *d, int64_t classes)
{
    for (int64_t k = 1; k < classes; k++) {
        bool there = false;

        for (int i = 0; i < d->split.n_train && !there; i++)
            there = has_class(&voco_store_entry(d->store, d->split.train[i])->label, k);
        if (!there)
            voco_warn("class %" PRId64 " is in none of the training volumes: it will not be "
                      "learnt", k);
    }
}

/* Settings that came from the weights and the store, for config.json. */
static void
complete(struct voco_finetune_config *c, const struct voco_model_config *m)
{
    c->net = (int)m->net;
    c->feature = m->feature;
    c->merging = (int)m->merging;
    c->plain = m->plain;
    c->classes = m->classes;
    if (c->roi[0] != c->roi[1] && c->turn > 0.0) {
        voco_note("crops are not square: no quarter turns");
        c->turn = 0.0;
    }
}

/* The second store and the teacher of a semi-supervised run. */
static enum voco_err
prepare_semi(struct voco_finetune_config *c, struct voco_labelled *d, struct voco_setup *ret)
{
    const enum voco_err err = voco_semi_settle(&c->semi, c->run.loop.steps,
                                               &ret->model.teacher);

    ret->also = c->unlabelled;
    ret->also_name = "unlabelled";
    ret->early = c->semi.start;
    return err != VOCO_OK ? err
        : voco_unlabelled_open(c->unlabelled, d->store, d->split.train[0], d->split.validate,
                               d->split.n_validate, &d->more);
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_finetune_config *c = config;
    struct voco_labelled *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    if ((err = voco_store_open(c->run.store, &d->store)) != VOCO_OK
        || (err = split_volumes(c, d)) != VOCO_OK
        || (err = choose_model(c, d, &ret->model)) != VOCO_OK)
        return err;
    complete(c, &ret->model);
    ret->init = ret->model.net == VOCO_NET_PLAINCONV ? VOCO_INIT_HE : VOCO_INIT_TORCH;
    ret->epoch = (d->split.n_train + c->batch - 1) / c->batch;
    ret->n_validate = d->split.n_validate;
    ret->layer_decay = c->layer_decay;
    ret->freeze_encoder = c->freeze_encoder;
    c->run.loop.steps = c->epochs * ret->epoch;
    c->run.warmup = c->warmup_epochs * ret->epoch;
    if (c->unlabelled && (err = prepare_semi(c, d, ret)) != VOCO_OK)
        return err;
    c->request = (struct voco_segment_request){
        .model = ret->model, .training = true, .frozen = c->freeze_encoder,
        .taught = c->unlabelled, .n = crops(c),
        .size = { (int64_t)c->roi[0], (int64_t)c->roi[1], (int64_t)c->roi[2] },
    };
    return VOCO_OK;
}

static enum voco_err
inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    const struct voco_finetune_config *c = config;
    struct voco_labelled *d = data;
    const int64_t *size = c->request.size;
    struct voco_seg_options o = {
        .seed = (uint64_t)c->run.seed, .volume = d->split.train,
        .n_volumes = d->split.n_train, .batch = (int)c->batch, .samples = (int)c->samples,
        .roi = { size[0], size[1], size[2] }, .positive = c->positive,
        .classes = (int)c->classes,
        .augment = { .flip = (float)c->flip, .turn = (float)c->turn,
                     .scale = (float)c->scale, .scale_by = 0.1f, .shift = (float)c->shift,
                     .shift_by = 0.1f },
    };
    enum voco_err err = voco_seg_open(d->store, &o, &d->loader);

    ret[0] = (struct voco_input){ &voco_labelled_kind, d->loader, (int)c->batch };
    *ret_n = 1;
    if (err != VOCO_OK || !c->unlabelled)
        return err;
    o.seed |= UINT64_C(1) << 63;        /* above every --seed: other numbers */
    o.unlabelled = true;
    o.volume = d->more.volume;
    o.n_volumes = d->more.n;
    err = voco_seg_open(d->more.store, &o, &d->more.loader);
    ret[1] = (struct voco_input){ &voco_unlabelled_kind, d->more.loader, (int)c->batch };
    *ret_n = 2;
    return err;
}

/* ---- the plan ---- */

static void
plan(const void *config, const struct voco_model_config *model, struct voco_plan_job *ret)
{
    const struct voco_finetune_config *c = config;
    const int64_t *size = c->request.size;
    const double crop = 4.0 * (double)(size[0] * size[1] * size[2])
                        * (double)(model->in_channels + 1);

    voco_segment_job(&c->request, ret);
    ret->batches = (uint64_t)((VOCO_BATCHES_AHEAD + 2) * (double)ret->items * crop);
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_finetune_config *c = config;
    const struct voco_labelled *d = data;
    const int64_t *size = c->request.size;
    char total[16], words[160];

    (void)dev;
    voco_note("model: %s, %" PRId64 " input channels, %" PRId64 " classes",
              voco_model_words(&setup->model, words), setup->model.in_channels,
              setup->model.classes);
    voco_note("step: %d crops of %" PRId64 " x %" PRId64 " x %" PRId64 ", %d at a "
              "time%s, %.2f TFLOP, %s of memory; %" PRId64 " steps an epoch, %" PRId64
              " in all", p->items, size[0], size[1], size[2], p->grouping.group,
              p->grouping.again ? " with recomputation" : "", p->flops * 1e-12,
              voco_format_bytes((double)p->total, total), setup->epoch, c->run.loop.steps);
    if (c->unlabelled)
        voco_note("from step %" PRId64 " on: %d crops more, labelled by %s", c->semi.start,
                  crops(c), c->semi.teacher == VOCO_SEMI_EMA ? "a moving average of the network"
                  : "a copy of the network as it is then");
    if (setup->n_validate)
        voco_note("validation: windows overlap by %g", c->val_overlap);
    warn_of_absent_classes(d, c->classes);
}

/* ---- the start ---- */

static enum voco_err
initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model)
{
    const struct voco_finetune_config *c = config;
    const struct voco_demand demand = {
        .want = VOCO_PARTS_NETWORK, .need = VOCO_PARTS_BACKBONE,
        .trunk_alone = !c->freeze_encoder, .partial = c->partial,
        .min_percent = c->min_coverage, .adapter = (enum voco_adapter)c->adapter,
    };
    struct voco_coverage cover;

    return c->weights ? voco_model_load(c->weights, ctx, model, &demand, &cover) : VOCO_OK;
}

static json_t *
ids(const struct voco_store *store, const int *volume, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_string(voco_store_entry(store, volume[i])->id));
    return list;
}

static void
facts(const void *config, void *data, const struct voco_setup *setup, json_t *options,
      json_t *more)
{
    const struct voco_finetune_config *c = config;
    const struct voco_labelled *d = data;
    char hash[16];

    snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(d->store));
    json_object_set_new(options, "in-channels", json_integer(setup->model.in_channels));
    json_object_set_new(options, "store-hash", json_string(hash));
    json_object_set_new(options, "semi", json_boolean(c->unlabelled != NULL));
    if (c->unlabelled) {
        snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(d->more.store));
        json_object_set_new(options, "semi-hash", json_string(hash));
        json_object_set_new(more, "semi", json_string(c->unlabelled));
    }
    json_object_set_new(more, "store", json_string(c->run.store));
    json_object_set_new(more, "weights", c->weights ? json_string(c->weights) : json_null());
    json_object_set_new(more, "train", ids(d->store, d->split.train, d->split.n_train));
    json_object_set_new(more, "validate", ids(d->store, d->split.validate,
                                              d->split.n_validate));
}

/* ---- the computation ---- */

struct work {
    struct voco_ctx *ctx;
    struct voco_model *model;
    int group;
    struct voco_dicece loss;
    struct voco_segment_batch batch;
    struct voco_semi_config semi;
    struct voco_segment_result labelled, unlabelled;    /* of the step */
};

static void
close_work(void *work)
{
    free(work);
}

static enum voco_err
open_work(const void *config, struct voco_ctx *ctx, struct voco_model *model,
          const struct voco_grouping *grouping, void **work)
{
    const struct voco_finetune_config *c = config;
    const int64_t *size = c->request.size;
    struct work *w = calloc(1, sizeof *w);

    *work = w;
    VOCO_NEED(w);
    *w = (struct work){
        .ctx = ctx, .model = model, .group = grouping->group, .semi = c->semi,
        .loss = { .background = c->squared_dice, .squared = c->squared_dice,
                  .smooth_nr = c->squared_dice ? 0 : 1e-5,
                  .smooth_dr = c->squared_dice ? 1e-6 : 1e-5 },
        .batch = { .n = crops(c), .size = { size[0], size[1], size[2] } },
    };
    voco_segnet_set_again(&model->net, grouping->again);
    voco_segnet_set_frozen(&model->net, c->freeze_encoder);
    return VOCO_OK;
}

static enum voco_err
gradient_of(struct work *w, const struct voco_batch_head *head,
            const volatile sig_atomic_t *stop, struct voco_segment_result *ret)
{
    const struct voco_seg_batch *b = (const struct voco_seg_batch *)head;

    w->batch.image = b->image;
    w->batch.label = b->label;
    w->batch.threshold = w->semi.threshold;
    w->batch.stop = stop;
    return voco_segment_gradient(w->ctx, w->model, &w->loss, &w->batch, w->group, ret);
}

static enum voco_err
gradient(void *work, const struct voco_batch_head *const batch[],
         const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;
    const enum voco_err err = gradient_of(w, batch[0], stop, &w->labelled);

    ret_term[0] = w->labelled.dice;
    ret_term[1] = w->labelled.ce;
    return err;
}

/* ---- semi-supervised ---- */

enum { LABELLED, UNLABELLED, SEMI_TERMS };

static enum voco_err
semi_gradient(void *work, const struct voco_batch_head *const batch[],
              const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;
    enum voco_err err = gradient_of(w, batch[0], stop, &w->labelled);

    w->unlabelled = (struct voco_segment_result){ .loss = 0 };
    if (err == VOCO_OK && batch[1]->step >= w->semi.start)
        err = gradient_of(w, batch[1], stop, &w->unlabelled);
    ret_term[LABELLED] = w->labelled.loss;
    ret_term[UNLABELLED] = w->unlabelled.loss;
    return err;
}

static void
semi_observe(void *work, const struct voco_batch_head *const batch[],
             struct voco_record *record)
{
    const struct work *w = work;

    voco_record_add(record, w->labelled.dice, "dice_loss");
    voco_record_add(record, w->labelled.ce, "cross_entropy");
    if (batch[1]->step < w->semi.start)
        return;
    voco_record_add(record, w->unlabelled.counted, "confident");
    snprintf(record->words, sizeof record->words, "confident %.0f%%",
             100.0 * w->unlabelled.counted);
}

/* ---- the row ---- */

static const struct voco_finetune_config defaults = VOCO_FINETUNE_DEFAULTS;

static const struct voco_term terms[] = { { "dice_loss", "dice" }, { "cross_entropy", "ce" } };

/* Until the settings were a table: all of the augmentation in one. */
static const char *const recorded_once[] = { "augment", NULL };

const struct voco_objective voco_objective_segment = {
    .name = "segment", .title = "finetune", .options = voco_finetune_options,
    .defaults = &defaults, .recorded_once = recorded_once, .term = terms,
    .n_terms = sizeof terms / sizeof *terms, .prepare = prepare, .release = release,
    .plan = plan, .announce = announce, .inputs = inputs, .facts = facts,
    .initialise = initialise, .open = open_work, .close = close_work, .gradient = gradient,
};

static const struct voco_term semi_terms[SEMI_TERMS] = {
    [LABELLED] = { "labelled", "labelled" }, [UNLABELLED] = { "unlabelled", "unlabelled" },
};

const struct voco_objective voco_objective_semi = {
    .name = "segment-semi", .title = "finetune", .options = voco_finetune_options,
    .defaults = &defaults, .term = semi_terms, .n_terms = SEMI_TERMS, .prepare = prepare,
    .release = release, .plan = plan, .announce = announce, .inputs = inputs,
    .facts = facts, .initialise = initialise, .open = open_work, .close = close_work,
    .gradient = semi_gradient, .observe = semi_observe,
};
