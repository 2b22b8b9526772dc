/* Contrasts between views as objectives: data, computation, what there is to see of them. */
#include "objective/views/views.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "model/weights.h"
#include "objective/embed/collapse.h"
#include "objective/pretrain/fixed.h"
#include "objective/views/batch.h"
#include "objective/views/picture.h"
#include "objective/views/replay.h"
#include "objective/views/signals.h"
#include "train/run.h"

/* ---- data ---- */

/* A store with the source of its batches, or a batch that is replayed. */
struct data {
    struct voco_store *store;
    bool *exclude;              /* [volumes] that are left out; NULL: none */
    struct voco_views_source *source;
    struct voco_views_replay replay;
    struct voco_views replayed;         /* its views as a batch */
    struct voco_fixed_batch fixed;
};

static const struct voco_batch_kind replay_kind = VOCO_FIXED_KIND(struct voco_views);

static void
release(void *data)
{
    struct data *d = data;

    if (!d)
        return;
    voco_views_close(d->source);
    voco_store_close(d->store);
    voco_views_replay_free(&d->replay);
    free(d->exclude);
    free(d);
}

static struct voco_views_options
batch_options(const struct voco_views_config *c, const struct data *d)
{
    return (struct voco_views_options){
        .seed = (uint64_t)c->common.run.seed, .batch = c->size.volumes,
        .crops = c->size.crops, .roi = c->size.roi, .recipe = c->kind->recipe,
        .strength = c->strength, .augment = c->augment, .repeat = c->common.repeat,
        .exclude = d->exclude,
    };
}

static enum voco_err
check(const void *config)
{
    const struct voco_views_config *c = config;

    if (c->roi % 2)
        return voco_fail(VOCO_EUSAGE, "pretrain: --roi %" PRId64 ": expected an even number",
                         c->roi);
    return voco_pretrain_check(config);
}

/* The sets that the volumes of a batch make, each with two crops or more: an anchor needs
 * another one beside its own. */
static enum voco_err
make_sets(const struct voco_views_config *c, struct voco_views_size *size)
{
    size->sets = c->kind->across ? (int)c->shards : size->volumes;
    if (size->volumes % size->sets != 0)
        return voco_fail(VOCO_EUSAGE, "a batch of %d volumes in %d shards: expected a divisor "
                         "of %d; see --batch and --shards", size->volumes, size->sets,
                         size->volumes);
    if (size->volumes / size->sets * size->crops < 2)
        return voco_fail(VOCO_EUSAGE, "one crop in each of %d shard%s leaves nothing to tell "
                         "it from: raise --crops or --batch", size->sets,
                         voco_plural(size->sets));
    return VOCO_OK;
}

static enum voco_err
open_replay(struct voco_views_config *c, struct data *d)
{
    struct voco_views_replay *r = &d->replay;
    const enum voco_err err = voco_views_replay_open(c->common.replay, (int)c->crops, r);

    if (err != VOCO_OK)
        return err;
    c->common.batch = r->volumes;       /* the file's sizes count, and are recorded */
    c->roi = r->roi;
    d->replayed = (struct voco_views){ .crops = r->crops, .roi = r->roi,
                                       .view = { r->view[0], r->view[1] } };
    d->fixed = (struct voco_fixed_batch){ &d->replayed, sizeof d->replayed };
    return VOCO_OK;
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_views_config *c = config;
    struct data *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    err = c->common.replay ? open_replay(c, d)
        : voco_pretrain_open_store(c, (int)c->common.batch, &d->store, &d->exclude);
    if (err == VOCO_OK && d->store)
        err = voco_patches_fit(d->store, d->exclude, (int)c->roi);
    if (err != VOCO_OK)
        return err;
    c->size = (struct voco_views_size){ (int)c->common.batch, (int)c->crops, (int)c->roi, 1 };
    if ((err = make_sets(c, &c->size)) != VOCO_OK)
        return err;
    c->common.group = voco_pretrain_group(c);
    ret->model = (struct voco_model_config){
        .feature = c->common.feature, .in_channels = 1,
        .merging = (enum voco_merging)c->common.merging, .n_heads = 1,
        .head = { { .prefix = "projector.", .norm = c->kind->norm, .hidden = c->hidden,
                    .out = c->projection } } };
    ret->init = VOCO_INIT_TORCH;
    return VOCO_OK;
}

static enum voco_err
inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    const struct voco_views_config *c = config;
    struct data *d = data;
    const struct voco_views_options o = batch_options(c, d);
    enum voco_err err = VOCO_OK;

    if (d->store)
        err = voco_views_open(d->store, &o, &d->source);
    ret[0] = d->store
        ? (struct voco_input){ &voco_views_kind, d->source, c->size.volumes }
        : (struct voco_input){ &replay_kind, &d->fixed, 1 };
    *ret_n = 1;
    return err;
}

/* ---- the plan ---- */

static const struct voco_objective *
objective_of(const struct voco_views_config *c)
{
    return c->kind->across ? &voco_objective_simclr : &voco_objective_contrast;
}

static enum voco_err open_work(const void *config, struct voco_ctx *ctx,
                               struct voco_model *model,
                               const struct voco_grouping *grouping, void **work);
static void close_work(void *work);

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    /* a batch out of reach: in a planning context nobody reads it */
    float *const nowhere = model->weight.data;
    const struct voco_views nothing = { .view = { nowhere, nowhere } };
    const struct voco_batch_head *const batch[] = { &nothing.head };
    struct voco_gradient result;
    void *work = NULL;
    enum voco_err err = open_work(job->user, ctx, model, grouping, &work);

    if (err == VOCO_OK)
        err = voco_take_gradient(objective_of(job->user), work, ctx, model, &voco_comm_self,
                                 batch, NULL, &result);
    if (work)
        *bytes += ((struct voco_views_step *)work)->memory.peak;
    close_work(work);
    return err;
}

static void
plan(const void *config, const struct voco_model_config *model, struct voco_plan_job *ret)
{
    const struct voco_views_config *c = config;
    const uint64_t roi = (uint64_t)c->size.roi;
    const int views = 2 * c->size.volumes * c->size.crops;

    *ret = (struct voco_plan_job){
        .user = c, .name = "a step of pre-training",
        .advice = "--feature-size, --batch or --crops", .model = *model, .training = true,
        .items = views,
        .batches = (uint64_t)(VOCO_BATCHES_AHEAD + 1) * (uint64_t)views * roi * roi * roi * 4,
        .program = (uint64_t)96 << 20, .rehearse = rehearse,
    };
    voco_pretrain_ladders(ret);
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_views_config *c = config;
    const struct voco_views_size *s = &c->size;

    (void)data;
    voco_note("model: feature size %" PRId64 ", %.1f M parameters, %s patch merging; step: "
              "%d volume%s, %d views, %.2f TFLOP", c->common.feature,
              (double)p->parameters / 1e6, voco_merging_name(setup->model.merging),
              s->volumes, voco_plural(s->volumes), p->items, p->flops * 1e-12);
    voco_note("loss: each view against the other one and %d more, of the same %s",
              2 * (s->volumes / s->sets * s->crops - 1),
              !c->kind->across ? "volume" : s->sets > 1 ? "shard" : "batch");
    voco_pretrain_announce_plan(dev, p);
}

/* ---- the start ---- */

static enum voco_err
initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model)
{
    return voco_pretrain_initialise(config, ctx, model, VOCO_PARTS_ALL,
                                    VOCO_PARTS_BACKBONE);
}

static void
facts(const void *config, void *data, const struct voco_setup *setup, json_t *options,
      json_t *more)
{
    const struct data *d = data;

    (void)setup;
    voco_pretrain_facts(config, d->store, options, more);
}

/* ---- the computation ---- */

/* The step, and host memory to look at it. */
struct work {
    struct voco_views_step step;        /* first */
    float *embeddings, *rows;
};

static void
close_work(void *work)
{
    struct work *w = work;

    if (!w)
        return;
    voco_views_step_free(&w->step);
    free(w->embeddings);
    free(w->rows);
    free(w);
}

static enum voco_err
open_work(const void *config, struct voco_ctx *ctx, struct voco_model *model,
          const struct voco_grouping *grouping, void **work)
{
    const struct voco_views_config *c = config;
    const struct voco_views_loss loss = { c->temperature, c->kind->both };
    struct work *w = calloc(1, sizeof *w);
    enum voco_err err;

    *work = w;
    VOCO_NEED(w);
    if ((err = voco_views_step_init(&w->step, ctx, model, &c->size, &loss, *grouping))
        != VOCO_OK)
        return err;
    w->embeddings = malloc((size_t)voco_count(&w->step.embed.y) * sizeof(float));
    w->rows = malloc((size_t)voco_count(&w->step.unit) * sizeof(float));
    if (!w->embeddings || !w->rows)
        return voco_fail(VOCO_EMEMORY, "no memory for the log of %d views",
                         voco_views_rows(&w->step));
    return VOCO_OK;
}

static enum voco_err
gradient(void *work, const struct voco_batch_head *const batch[],
         const volatile sig_atomic_t *stop, double *ret_term)
{
    const struct voco_views *b = (const struct voco_views *)batch[0];

    return voco_views_gradient(work, b->view, stop, ret_term);
}

/* Of the first sets, up to the rows that collapse signals look at. */
static struct voco_agreement
agreement(const struct work *w)
{
    const struct voco_views_step *s = &w->step;
    const int n = voco_views_of_set(s), most = VOCO_SIGNALS_ROWS / (2 * n);
    const int sets = most < 1 ? 1 : most < s->size.sets ? most : s->size.sets;
    const int64_t width = voco_cols(&s->unit);
    struct voco_agreement mean = { 0, 0, 0 };

    for (int i = 0; i < sets; i++) {
        const struct voco_agreement a
            = voco_agreement_of(w->rows + (int64_t)i * 2 * n * width, n, width);

        mean.alignment += a.alignment / sets;
        mean.uniformity += a.uniformity / sets;
        mean.accuracy += a.accuracy / sets;
    }
    return mean;
}

/* Does the network tell crops apart, or do the embeddings collapse? */
static void
observe(void *work, const struct voco_batch_head *const batch[], struct voco_record *record)
{
    struct work *w = work;
    const struct voco_views_step *step = &w->step;
    struct voco_agreement a;

    (void)batch;
    voco_embed_download(step->ctx, &step->embed.y, w->embeddings);
    voco_embed_download(step->ctx, &step->unit, w->rows);
    a = agreement(w);
    voco_record_add(record, step->forward_s, "seconds_forward");
    voco_record_add(record, step->backward_s, "seconds_backward");
    voco_record_add(record, a.accuracy, "pair_accuracy");
    voco_record_add(record, a.alignment, "alignment");
    voco_record_add(record, a.uniformity, "uniformity");
    voco_collapse_record(w->embeddings, step->embed.crops, (int)voco_cols(&step->embed.y),
                         record);
    snprintf(record->words, sizeof record->words, "pairs %.0f%%", 100.0 * a.accuracy);
}

/* ---- the end ---- */

static enum voco_err
finish(struct voco_run *run)
{
    const struct data *d = run->data;
    const char *out = run->config->loop.out;
    struct voco_views_options o;
    enum voco_err err;
    char *path, *title;

    if (!d->store)
        return VOCO_OK;
    o = batch_options((const struct voco_views_config *)run->config, d);
    path = voco_format("%s/views.png", out);
    title = voco_format("%s, views of the first step", out);
    err = voco_views_picture(path, title, d->store, &o);
    free(path);
    free(title);
    return err == VOCO_OK ? err : voco_fail_in(err, "no picture of views");
}

/* ---- the rows ---- */

static const struct voco_term term[] = { { "contrast", "contrast" } };

#define ROW                                                                             \
    .title = "pretrain", .config_bytes = sizeof(struct voco_views_config),              \
    .check = check, .term = term, .n_terms = 1, .prepare = prepare, .release = release, \
    .plan = plan, .announce = announce, .inputs = inputs, .facts = facts,               \
    .initialise = initialise, .open = open_work, .close = close_work,                   \
    .gradient = gradient, .observe = observe, .finish = finish

const struct voco_objective voco_objective_contrast = {
    ROW, .name = "contrast",
    .summary = "pre-train an encoder that tells the crops of a volume apart, as CT-FM",
    .options = voco_contrast_options, .defaults = &voco_contrast_defaults,
};

const struct voco_objective voco_objective_simclr = {
    ROW, .name = "simclr",
    .summary = "pre-train an encoder that tells the crops of a batch apart, as SimCLR",
    .options = voco_simclr_options, .defaults = &voco_simclr_defaults,
};
