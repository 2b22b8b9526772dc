/* VoCo as an objective: its data, its computation, what there is to see of it. */
#include "objective/voco/voco.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "objective/embed/collapse.h"
#include "objective/pretrain/fixed.h"
#include "objective/voco/batch_mosaic.h"
#include "objective/voco/replay.h"
#include "objective/voco/signals.h"
#include "objective/voco/step.h"

/* ---- data ---- */

/* A store with the source of its batches, or a batch that is replayed. */
struct data {
    struct voco_store *store;
    bool *exclude;              /* [volumes] that are left out; NULL: none */
    struct voco_loader *loader;
    struct voco_replay replay;
};

static void
release(void *data)
{
    struct data *d = data;

    if (!d)
        return;
    voco_loader_close(d->loader);
    voco_store_close(d->store);
    voco_replay_free(&d->replay);
    free(d->exclude);
    free(d);
}

static struct voco_loader_options
loader_options(const struct voco_pretrain_config *c, const struct data *d)
{
    return (struct voco_loader_options){
        .seed = (uint64_t)c->common.run.seed, .batch = c->size.volumes, .sw = c->size.sw,
        .roi = c->size.roi, .grid = voco_contrast_tiling(c), .crop_mm = c->crop_mm,
        .augment = c->augment, .shift = voco_variant_of(c)->shift, .drop = c->drop,
        .repeat = c->common.repeat, .exclude = d->exclude,
    };
}

/* Without a teacher the target of the inter-volume term would be its own prediction. */
static bool
has_inter(const struct voco_pretrain_config *c)
{
    return c->teacher && c->inter;
}

struct voco_model_config
voco_pretrain_model(const struct voco_pretrain_config *c)
{
    const struct voco_variant *v = voco_variant_of(c);
    const char *init = c->common.init;
    /* weights from elsewhere have no teacher: it begins as their copy */
    const int64_t start = init && strncmp(init, "hash:", 5) != 0 ? 0 : -1;
    struct voco_model_config model = { .feature = c->common.feature, .in_channels = 1,
                                       .merging = (enum voco_merging)c->common.merging };

    voco_model_contrast_heads(&model, v->width, v->width, c->momentum);
    model.head[VOCO_STUDENT].norm = model.head[VOCO_TEACHER].norm = v->norm;
    model.teacher = (struct voco_teacher_config){ .there = v->teacher_backbone, .start = start,
                                                  .momentum = c->momentum };
    if (!c->teacher)
        model.n_heads = VOCO_TEACHER;
    return model;
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_pretrain_config *c = config;
    const struct voco_tiling grid = voco_contrast_tiling(c);
    struct data *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    if (c->common.replay) {
        err = voco_replay_open(c->common.replay, grid.n, c->common.run.loop.steps,
                               &d->replay);
        c->size = (struct voco_contrast_size){ d->replay.volumes, d->replay.sw,
                                               d->replay.bases, d->replay.roi };
        c->common.batch = d->replay.volumes;    /* the file counts, and is recorded */
        c->sw = d->replay.sw;
    } else {
        c->size = (struct voco_contrast_size){ (int)c->common.batch, (int)c->sw,
                                               voco_tiling_bases(&grid), (int)c->roi };
        err = voco_pretrain_open_store(c, c->size.volumes, &d->store, &d->exclude);
    }
    if (err != VOCO_OK)
        return err;
    if (c->size.volumes % c->shards != 0)
        return voco_fail(VOCO_EUSAGE, "a batch of %d volumes in %" PRId64 " shards: expected a "
                         "divisor of %d; see --batch and --shards", c->size.volumes,
                         c->shards, c->size.volumes);
    c->common.group = voco_pretrain_group(c);
    ret->model = voco_pretrain_model(c);
    ret->init = VOCO_INIT_TORCH;
    return VOCO_OK;
}

/* ---- a replayed batch ---- */

static enum voco_err
replay_alloc(const void *source, void *batch)
{
    const struct voco_replay *replay = source;

    *(struct voco_batch *)batch = (struct voco_batch){
        .sw = replay->sw, .roi = replay->roi, .bases = replay->bases, .img = replay->img,
        .crops = replay->crops, .labels = replay->labels };
    return VOCO_OK;
}

static void
replay_begin(void *source, void *batch, int unit)
{
    const struct voco_replay *replay = source;
    struct voco_batch *b = batch;
    const int64_t rows = (int64_t)replay->volumes * (replay->sw + replay->bases);

    (void)unit;
    b->keep = replay->keep ? replay->keep + b->head.step * rows : NULL;
}

static const struct voco_batch_kind replay_kind = {
    .name = "a replayed batch", .bytes = sizeof(struct voco_batch), .alloc = replay_alloc,
    .begin = replay_begin, VOCO_FIXED_REST
};

static enum voco_err
inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    const struct voco_pretrain_config *c = config;
    struct data *d = data;
    const struct voco_loader_options o = loader_options(c, d);
    enum voco_err err = VOCO_OK;

    if (d->store)
        err = voco_loader_open(d->store, &o, &d->loader);
    ret[0] = d->store
        ? (struct voco_input){ &voco_crops_kind, d->loader, c->size.volumes }
        : (struct voco_input){ &replay_kind, &d->replay, 1 };
    *ret_n = 1;
    return err;
}

/* ---- the plan ---- */

/* The block of a loader's thread that the bytes of the program allow for: 192x192x64. */
enum { BLOCK_BYTES = 9 << 20 };

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
    const struct voco_batch nothing = { .img = nowhere, .crops = nowhere,
                                        .labels = nowhere };
    const struct voco_batch_head *const batch[] = { &nothing.head };
    struct voco_gradient result;
    void *work = NULL;
    enum voco_err err = open_work(job->user, ctx, model, grouping, &work);

    if (err == VOCO_OK)
        err = voco_take_gradient(&voco_objective_voco, work, ctx, model, &voco_comm_self,
                                 batch, NULL, &result);
    if (work)
        *bytes += ((struct voco_step *)work)->memory.peak;
    close_work(work);
    return err;
}

void
voco_pretrain_plan(const void *config, const struct voco_model_config *model,
                   struct voco_plan_job *ret)
{
    const struct voco_pretrain_config *c = config;
    const uint64_t voxels = (uint64_t)c->size.roi * (uint64_t)c->size.roi
                            * (uint64_t)c->size.roi;
    const struct voco_tiling grid = voco_contrast_tiling(c);
    const uint64_t block = (uint64_t)c->size.bases * (uint64_t)grid.edge
                           * (uint64_t)grid.edge * (uint64_t)grid.edge * 4;
    const uint64_t threads = c->common.run.loader_threads
                             ? (uint64_t)c->common.run.loader_threads : 1;
    const int crops = c->size.volumes * (c->size.sw + c->size.bases);

    *ret = (struct voco_plan_job){
        .user = c, .name = "a step of pre-training", .advice = "--feature-size or --batch",
        .model = *model, .training = true, .items = crops,
        .batches = (uint64_t)(VOCO_BATCHES_AHEAD + 1) * (uint64_t)crops * voxels * 4,
        .program = (uint64_t)96 << 20, .rehearse = rehearse,
    };
    if (block > BLOCK_BYTES && !c->common.replay)
        ret->batches += (block - BLOCK_BYTES) * threads;
    voco_pretrain_ladders(ret);
}

/* Where crops are not those of the method. */
static void
announce_crops(const struct voco_pretrain_config *c)
{
    const struct voco_tiling g = voco_contrast_tiling(c);

    if (c->common.replay)
        return;
    if (c->crop_mm > 0)
        voco_note("crops: %s bases of %g mm, as %d^3 voxels", c->grid, c->crop_mm,
                  c->size.roi);
    else if (g.edge != c->size.roi)
        voco_note("crops: %s bases of %d^3 voxels, resized to %d^3", c->grid, g.edge,
                  c->size.roi);
    else if (c->size.bases != 9 || c->size.roi != 64)
        voco_note("crops: %s bases of %d^3 voxels", c->grid, g.edge);
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_pretrain_config *c = config;

    (void)data;
    voco_note("model: feature size %" PRId64 ", %.1f M parameters, %s patch merging; step: "
              "%d volume%s, %d crops, %.2f TFLOP", c->common.feature, (double)p->parameters / 1e6,
              voco_merging_name(setup->model.merging), c->size.volumes,
              voco_plural(c->size.volumes), p->items, p->flops * 1e-12);
    if (c->shards > 1)
        voco_note("loss: %" PRId64 " shards of %" PRId64 " volume%s, each with statistics "
                  "and pairs of its own", c->shards, c->size.volumes / c->shards,
                  voco_plural((int)(c->size.volumes / c->shards)));
    announce_crops(c);
    if (voco_variant_of(c)->form != VOCO_FORM_VOCO)
        voco_note("loss: pos + neg%s; %s", c->reg ? " + reg" : "",
                  c->teacher ? "the teacher is a whole network" : "there is no teacher");
    else if (!c->teacher || !c->inter || !c->reg)
        voco_note("loss: intra%s%s%s", has_inter(c) ? " + inter" : "",
                  c->reg ? " + reg" : "",
                  c->teacher ? "" : "; there is no teacher head, and so no inter term");
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
    struct voco_step step;      /* first */
    float *embeddings, *predicted;
};

static void
close_work(void *work)
{
    struct work *w = work;

    if (!w)
        return;
    voco_step_free(&w->step);
    free(w->embeddings);
    free(w->predicted);
    free(w);
}

static enum voco_err
open_work(const void *config, struct voco_ctx *ctx, struct voco_model *model,
          const struct voco_grouping *grouping, void **work)
{
    const struct voco_pretrain_config *c = config;
    struct work *w = calloc(1, sizeof *w);
    enum voco_err err;

    *work = w;
    VOCO_NEED(w);
    if ((err = voco_step_init(&w->step, ctx, model, &c->size, *grouping)) != VOCO_OK)
        return err;
    w->step.drop = c->drop;
    w->step.shards = (int)c->shards;
    w->step.form = voco_variant_of(c)->form;
    w->step.inter = has_inter(c);
    w->step.reg = c->reg;
    w->embeddings = malloc((size_t)voco_count(&w->step.embed.y) * sizeof(float));
    w->predicted = malloc((size_t)voco_count(&w->step.predicted) * sizeof(float));
    if (!w->embeddings || !w->predicted)
        return voco_fail(VOCO_EMEMORY, "no memory for the log of %d crops",
                         voco_step_crops(&w->step));
    return VOCO_OK;
}

static enum voco_err
gradient(void *work, const struct voco_batch_head *const batch[],
         const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;
    const struct voco_batch *b = (const struct voco_batch *)batch[0];
    const struct voco_step_input in = { b->img, b->crops, b->labels, b->keep };

    return voco_step_gradient(&w->step, &in, stop, ret_term);
}

/* Does the network learn the positions, or do the embeddings collapse? */
static void
observe(void *work, const struct voco_batch_head *const batch[], struct voco_record *record)
{
    struct work *w = work;
    const struct voco_batch *b = (const struct voco_batch *)batch[0];
    const struct voco_step *step = &w->step;
    struct voco_position position;

    voco_step_embeddings(&w->step, w->embeddings);
    voco_step_predicted(&w->step, w->predicted);
    position = voco_position_signals(b->labels, w->predicted,
                                     step->size.volumes * step->size.sw, step->size.bases);
    voco_record_add(record, step->forward_s, "seconds_forward");
    voco_record_add(record, step->backward_s, "seconds_backward");
    voco_record_add(record, position.accuracy, "position_accuracy");
    voco_record_add(record, position.error, "position_error");
    voco_collapse_record(w->embeddings, step->embed.crops, (int)voco_cols(&step->embed.y),
                         record);
    snprintf(record->words, sizeof record->words, "position %.0f%%",
             100.0 * position.accuracy);
}

/* ---- the end ---- */

static enum voco_err
finish(struct voco_run *run)
{
    const struct data *d = run->data;
    const char *out = run->config->loop.out;
    struct voco_loader_options o;
    enum voco_err err;
    char *path, *title;

    if (!d->store)
        return VOCO_OK;
    o = loader_options((const struct voco_pretrain_config *)run->config, d);
    o.augment = false;
    o.repeat.n = 0;
    path = voco_format("%s/mosaic.png", out);
    title = voco_format("%s, step %" PRId64, out, run->loop.state.step);
    err = voco_batch_mosaic(path, title, d->store, &o, &((struct work *)run->work)->step);
    free(path);
    free(title);
    return err == VOCO_OK ? err : voco_fail_in(err, "no mosaic");
}

/* ---- the rows ---- */

static const struct voco_pretrain_config defaults = VOCO_PRETRAIN_DEFAULTS;

static const struct voco_term terms[VOCO_CONTRAST_TERMS] = {
    [VOCO_TERM_INTRA] = { "intra", "intra" }, [VOCO_TERM_INTER] = { "inter", "inter" },
    [VOCO_TERM_REG] = { "reg", "reg" },
};

static const struct voco_term parts[VOCO_CONTRAST_TERMS] = {
    [VOCO_TERM_POS] = { "pos", "pos" }, [VOCO_TERM_NEG] = { "neg", "neg" },
    [VOCO_TERM_REG] = { "reg", "reg" },
};

#define FUNCTIONS                                                                       \
    .prepare = prepare, .release = release, .plan = voco_pretrain_plan,                 \
    .announce = announce, .inputs = inputs, .facts = facts, .initialise = initialise,   \
    .open = open_work, .close = close_work, .gradient = gradient, .observe = observe,   \
    .finish = finish

const struct voco_objective voco_objective_voco = {
    .name = "voco", .title = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo",
    .options = voco_pretrain_options, .defaults = &defaults,
    .config_bytes = sizeof(struct voco_pretrain_config), .check = voco_contrast_check,
    .term = terms, .n_terms = VOCO_CONTRAST_TERMS, FUNCTIONS,
};

const struct voco_objective voco_objective_voco_cvpr = {
    .name = "voco-cvpr", .title = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo's first version",
    .details = "As published at CVPR 2024: 4x4 base crops of 96^3 voxels, resized to 64^3;\n"
               "a teacher that is a whole network; squared negatives; no term between\n"
               "volumes.",
    .options = voco_cvpr_options, .defaults = &voco_cvpr_defaults,
    .config_bytes = sizeof(struct voco_pretrain_config), .check = voco_contrast_check,
    .term = parts, .n_terms = VOCO_CONTRAST_TERMS, FUNCTIONS,
};

const struct voco_objective voco_objective_voco_nnssl = {
    .name = "voco-nnssl", .title = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo as in nnssl",
    .details = "The variant of the package nnssl, whose results are those of the OpenMind\n"
               "benchmark: 4x4 base crops of 64^3 voxels; no teacher; row norms in the\n"
               "projector; squared negatives; similarities of base crops not squared.",
    .options = voco_nnssl_options, .defaults = &voco_nnssl_defaults,
    .config_bytes = sizeof(struct voco_pretrain_config), .check = voco_contrast_check,
    .term = parts, .n_terms = VOCO_CONTRAST_TERMS, FUNCTIONS,
};
