/* Swin UNETR's own pre-training as an objective. */
#include "objective/heads/heads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "objective/embed/collapse.h"
#include "objective/heads/picture.h"
#include "objective/heads/replay.h"
#include "objective/heads/step.h"
#include "objective/pretrain/fixed.h"
#include "objective/pretrain/patches.h"
#include "train/run.h"

/* ---- data ---- */

/* A store with the source of its crops, or a batch that is replayed. */
struct data {
    struct voco_store *store;
    bool *exclude;              /* [volumes] that are left out; NULL: none */
    struct voco_patch_source *source;
    struct voco_heads_replay replay;
    struct voco_patches replayed;       /* its crops as a batch */
    struct voco_fixed_batch fixed;
};

static const struct voco_batch_kind replay_kind = VOCO_FIXED_KIND(struct voco_patches);

static void
release(void *data)
{
    struct data *d = data;

    if (!d)
        return;
    voco_patches_close(d->source);
    voco_store_close(d->store);
    voco_heads_replay_free(&d->replay);
    free(d->exclude);
    free(d);
}

static enum voco_err
open_replay(struct voco_heads_config *c, struct data *d)
{
    const enum voco_err err = voco_heads_replay_open(c->common.replay, &d->replay);

    if (err == VOCO_OK) {               /* its sizes count, and are recorded */
        c->common.batch = c->batch_crops = d->replay.crops;
        c->crops = 1;
        c->roi = c->edge = d->replay.roi;
    }
    c->views = d->replay.views;
    d->replayed = (struct voco_patches){ .crops = d->replay.crops, .roi = d->replay.roi,
                                         .crop = d->replay.x };
    d->fixed = (struct voco_fixed_batch){ &d->replayed, sizeof d->replayed };
    return err;
}

/* Shards of one crop: nothing to tell it from, and no donor. */
static enum voco_err
check_shards(const struct voco_heads_config *c)
{
    if (c->batch_crops % c->shards != 0)
        return voco_fail(VOCO_EUSAGE, "a batch of %d crops in %" PRId64 " shards: expected a "
                         "divisor of %d; see --batch, --crops and --shards", c->batch_crops,
                         c->shards, c->batch_crops);
    if (c->batch_crops == c->shards)
        voco_warn("%s of one crop: no other crop is a donor of its cut-outs, and the contrast "
                  "term, without a crop to tell it from, is 0 and teaches nothing: see --batch, "
                  "--crops and --shards", c->shards > 1 ? "shards" : "a batch");
    return VOCO_OK;
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_heads_config *c = config;
    struct data *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    if (c->common.replay) {
        err = open_replay(c, d);
    } else {
        c->batch_crops = (int)(c->common.batch * c->crops);
        c->edge = (int)c->roi;
        c->views = NULL;
        err = voco_pretrain_open_store(c, (int)c->common.batch, &d->store, &d->exclude);
    }
    if (err != VOCO_OK || (err = check_shards(c)) != VOCO_OK)
        return err;
    c->common.group = voco_pretrain_group(c);
    ret->model = (struct voco_model_config){
        .feature = c->common.feature, .in_channels = 1,
        .merging = (enum voco_merging)c->common.merging,
        .plain = c->encoder == VOCO_ENCODER_V1, .swinheads = true };
    ret->init = VOCO_INIT_TORCH;
    return VOCO_OK;
}

static enum voco_err
open_patches(const struct voco_heads_config *c, const struct data *d,
             struct voco_patch_source **ret)
{
    const struct voco_patches_options o = {
        .seed = (uint64_t)c->common.run.seed, .batch = (int)c->common.batch,
        .crops = (int)c->crops, .roi = c->edge, .repeat = c->common.repeat,
        .exclude = d->exclude,
    };

    return voco_patches_open(d->store, &o, ret);
}

static enum voco_err
inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    const struct voco_heads_config *c = config;
    struct data *d = data;
    enum voco_err err = VOCO_OK;

    if (d->store)
        err = open_patches(c, d, &d->source);
    ret[0] = d->store
        ? (struct voco_input){ &voco_patches_kind, d->source, (int)c->common.batch }
        : (struct voco_input){ &replay_kind, &d->fixed, 1 };
    *ret_n = 1;
    return err;
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

struct work {
    struct voco_heads_step step;
    const struct voco_heads_config *config;
    struct voco_cutview *drawn;    /* [2][crops]; NULL: a replay has others */
    bool draw;                  /* new ones for every step */
    float *vectors;             /* of contrast, to look at */
};

static int
n_views(const struct voco_heads_config *c)
{
    return VOCO_CUTVIEWS * c->batch_crops;
}

static void
close_work(void *work)
{
    struct work *w = work;

    if (!w)
        return;
    for (int i = 0; w->drawn && i < n_views(w->config); i++)
        voco_cutview_free(&w->drawn[i]);
    free(w->drawn);
    voco_heads_step_free(&w->step);
    free(w->vectors);
    free(w);
}

static enum voco_err
open_work(const void *config, struct voco_ctx *ctx, struct voco_model *model,
          const struct voco_grouping *grouping, void **work)
{
    const struct voco_heads_config *c = config;
    struct work *w = calloc(1, sizeof *w);
    enum voco_err err;

    *work = w;
    VOCO_NEED(w);
    w->config = c;
    w->draw = !c->views;
    if (w->draw) {
        w->drawn = calloc((size_t)n_views(c), sizeof *w->drawn);
        VOCO_NEED(w->drawn);
    }
    if ((err = voco_heads_step_init(&w->step, ctx, model, c->batch_crops, c->edge,
                                    (int)c->shards, *grouping)) != VOCO_OK)
        return err;
    w->vectors = malloc((size_t)voco_count(&w->step.vectors) * sizeof *w->vectors);
    VOCO_NEED(w->vectors);
    return VOCO_OK;
}

static struct voco_heads_input
input_of(struct work *w, const struct voco_patches *b)
{
    const struct voco_heads_config *c = w->config;

    for (int i = 0; w->draw && i < n_views(c); i++) {
        const struct voco_cutview_key key = { (uint64_t)c->common.run.seed, b->head.step,
                                           i % c->batch_crops, i / c->batch_crops };

        voco_cutview_draw(&w->drawn[i], &key, c->batch_crops / (int)c->shards, c->edge);
    }
    return (struct voco_heads_input){ b->crop, w->drawn ? w->drawn : c->views };
}

static enum voco_err
gradient(void *work, const struct voco_batch_head *const batch[],
         const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;
    const struct voco_heads_input in = input_of(w, (const struct voco_patches *)batch[0]);

    return voco_heads_gradient(&w->step, &in, stop, ret_term);
}

static void
observe(void *work, const struct voco_batch_head *const batch[], struct voco_record *record)
{
    struct work *w = work;
    const double accuracy = voco_heads_rotation_accuracy(&w->step);

    (void)batch;
    voco_record_add(record, w->step.forward_s, "seconds_forward");
    voco_record_add(record, w->step.backward_s, "seconds_backward");
    voco_record_add(record, accuracy, "rotation_accuracy");
    voco_heads_vectors(&w->step, w->vectors);
    voco_collapse_record(w->vectors, voco_heads_rows(&w->step),
                         (int)voco_cols(&w->step.vectors), record);
    snprintf(record->words, sizeof record->words, "turns %.0f%%", 100.0 * accuracy);
}

/* ---- the plan ---- */

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    /* crops out of reach: in a planning context nobody reads them */
    const struct voco_patches nothing = { .crop = model->weight.data };
    const struct voco_batch_head *const batch[] = { &nothing.head };
    struct voco_gradient result;
    struct work *w = NULL;
    void *work;
    enum voco_err err = open_work(job->user, ctx, model, grouping, &work);

    w = work;
    w->draw = false;
    if (err == VOCO_OK)
        err = voco_take_gradient(&voco_objective_swin_heads, w, ctx, model, &voco_comm_self,
                                 batch, NULL, &result);
    *bytes += w->step.memory.peak;
    close_work(w);
    return err;
}

static void
plan(const void *config, const struct voco_model_config *model, struct voco_plan_job *ret)
{
    const struct voco_heads_config *c = config;
    const uint64_t voxels = (uint64_t)c->edge * (uint64_t)c->edge * (uint64_t)c->edge;
    const uint64_t crops = (uint64_t)c->batch_crops;

    /* prefetched crops; of the views the noise, a third of the voxels, and one crop of it */
    *ret = (struct voco_plan_job){
        .user = c, .name = "a step of pre-training",
        .advice = "--feature-size, --roi, --crops or --batch", .model = *model,
        .training = true, .items = n_views(c),
        .batches = ((VOCO_BATCHES_AHEAD + 1) * crops * voxels
                    + (uint64_t)n_views(c) * voxels / 3 + voxels) * sizeof(float),
        .program = (uint64_t)96 << 20, .rehearse = rehearse,
    };
    voco_pretrain_whole_ladders(ret);
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_heads_config *c = config;
    char words[160];

    (void)data;
    voco_note("model: %s, with heads %.1f M parameters; step: %d crop%s of %d^3, two views of "
              "each, %.2f TFLOP", voco_model_words(&setup->model, words),
              (double)p->parameters / 1e6, c->batch_crops, voco_plural(c->batch_crops),
              c->edge, p->flops * 1e-12);
    if (c->shards > 1)
        voco_note("loss: %" PRId64 " shards of %" PRId64 " crop%s, each with contrast and "
                  "donors of its own", c->shards, c->batch_crops / c->shards,
                  voco_plural((int)(c->batch_crops / c->shards)));
    voco_pretrain_announce_plan(dev, p);
}

/* ---- the start ---- */

static enum voco_err
initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model)
{
    model->params.hash_prefix = "heads/";
    return voco_pretrain_initialise(config, ctx, model, VOCO_PARTS_ALL,
                                    VOCO_PARTS_BACKBONE);
}

/* ---- the end ---- */

enum { SHOWN_CROPS = 2, SHOWN = VOCO_CUTVIEWS * SHOWN_CROPS };

static enum voco_err
show_view(struct work *w, const struct voco_heads_input *in, const struct voco_patches *b,
          int view, int crop, struct voco_heads_shown *ret)
{
    const struct voco_heads_config *c = w->config;
    const size_t voxels = (size_t)c->edge * (size_t)c->edge * (size_t)c->edge;
    const char *id = !b->head.store ? "replay"
        : voco_store_entry(b->head.store, b->head.volume[crop / b->crops])->id;

    ret->input = malloc(3 * voxels * sizeof *ret->input);
    if (!ret->input)
        return voco_fail(VOCO_EMEMORY, "no memory for a picture of a crop of %d^3", c->edge);
    ret->target = ret->input + voxels;
    ret->image = ret->target + voxels;
    snprintf(ret->name, sizeof ret->name, "%.100s, crop %d, view %d", id,
             crop % b->crops + 1, view + 1);
    ret->turns = in->views[view * c->batch_crops + crop].turns;
    return voco_heads_reconstruct(&w->step, in, view, crop, ret->input, ret->target,
                                  ret->image, &ret->guess);
}

static enum voco_err
draw(const char *path, const char *title, struct work *w, const struct voco_patches *b)
{
    const int crops = w->config->batch_crops;
    const struct voco_heads_input in = input_of(w, b);
    struct voco_heads_shown shown[SHOWN] = { { .input = NULL } };
    enum voco_err err = VOCO_OK;
    int n = 0;

    for (int crop = 0; crop < crops && crop < SHOWN_CROPS; crop++)
        for (int view = 0; view < VOCO_CUTVIEWS && err == VOCO_OK; view++)
            err = show_view(w, &in, b, view, crop, &shown[n++]);
    if (err == VOCO_OK)
        err = voco_heads_picture(path, title, w->config->edge, shown, n);
    for (int i = 0; i < n; i++)
        free(shown[i].input);
    return err;
}

/* Some views of the first batch, as the trained network sees them. */
static enum voco_err
finish(struct voco_run *run)
{
    const struct voco_heads_config *c = (const struct voco_heads_config *)run->config;
    struct data *d = run->data;
    struct voco_patch_source *source = NULL;
    struct voco_batches *batches = NULL;
    const void *b;
    char *path = voco_format("%s/views.png", run->config->loop.out);
    char *title = voco_format("%s, step %" PRId64, run->config->loop.out,
                              run->loop.state.step);
    enum voco_err err = d->store ? open_patches(c, d, &source) : VOCO_OK;

    if (err == VOCO_OK)
        err = d->store ? voco_batches_open(&voco_patches_kind, source, (int)c->common.batch,
                                           1, 1, 0, &batches)
                       : voco_batches_open(&replay_kind, &d->fixed, 1, 1, 1, 0, &batches);
    if (err == VOCO_OK && (err = voco_batches_next(batches, &b, NULL)) == VOCO_OK)
        err = draw(path, title, run->work, b);
    voco_batches_close(batches);
    voco_patches_close(source);
    free(path);
    free(title);
    return err == VOCO_OK ? err : voco_fail_in(err, "no picture of views");
}

/* ---- the row ---- */

/* Schedule, rate and decay are those of the published code. */
static const struct voco_heads_config defaults = {
    .common = {
        .run = { .loop = { .steps = 100000, .checkpoint_minutes = 30, .keep_last = 3,
                           .skip_limit = 5, .rollback_limit = 3 },
                 .warmup = 500, .schedule = VOCO_WARMUP_COSINE, .lr = 4e-4,
                 .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                 .precision = VOCO_PRECISION_AUTO },
        .objective = VOCO_PRETRAIN_SWIN_HEADS, .feature = 48, .batch = 4,
        .merging = VOCO_MERGING_LEGACY, .window = { NAN, NAN } },
    .crops = 2, .roi = VOCO_HEADS_ROI_MIN, .shards = 1, .encoder = VOCO_ENCODER_V2,
};

static const struct voco_term terms[VOCO_HEADS_TERMS] = {
    [VOCO_TERM_ROTATION] = { "rotation", "rotation" },
    [VOCO_TERM_CONTRAST] = { "contrast", "contrast" },
    [VOCO_TERM_RECONSTRUCTION] = { "reconstruction", "image" },
};

const struct voco_objective voco_objective_swin_heads = {
    .name = "swin-heads", .title = "pretrain",
    .summary = "pre-train a Swin UNETR encoder by rotation, contrast and reconstruction",
    .details = "Two views of every crop are turned by quarter turns, and boxes are cut out of\n"
               "them.  The network tells the turns, which views are of one crop, and the\n"
               "crops without holes.\n"
               "\n"
               "  voco pretrain --objective swin-heads --store store --out run\n"
               "  voco finetune seg --weights run/model.safetensors --partial ...",
    .options = voco_heads_options, .defaults = &defaults, .config_bytes = sizeof defaults,
    .check = voco_heads_check, .term = terms, .n_terms = VOCO_HEADS_TERMS,
    .prepare = prepare, .release = release, .plan = plan, .announce = announce,
    .inputs = inputs, .facts = facts, .initialise = initialise, .open = open_work,
    .close = close_work, .gradient = gradient, .observe = observe, .finish = finish,
};
