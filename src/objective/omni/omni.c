/* Omni-supervised pre-training: VoCo's row, and the decoder's share. */
#include "objective/omni/omni.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "objective/omni/replay.h"
#include "objective/segment/segment.h"

static const struct voco_objective *const voco = &voco_objective_voco;

enum { CROPS, LABELS, INPUTS };     /* the streams of batches */

/* ---- data ---- */

struct data {
    void *voco;                 /* of VoCo's row */
    struct voco_store *store;   /* the labelled one; NULL: a replay */
    int *volume, n_volumes;     /* of it, with label maps */
    struct voco_seg_loader *loader;
    struct voco_omni_replay replay;
};

static void
release(void *data)
{
    struct data *d = data;

    if (!d)
        return;
    voco->release(d->voco);
    voco_seg_close(d->loader);
    voco_store_close(d->store);
    voco_omni_replay_free(&d->replay);
    free(d->volume);
    free(d);
}

/* The volumes of the first store, beside the labelled ones. */
static enum voco_err
compare_stores(const struct voco_omni_config *c, const struct data *d)
{
    const char *path = c->voco.common.run.store;
    struct voco_store *store;
    enum voco_err err = voco_store_open(path, &store);

    if (err == VOCO_OK)
        err = voco_semi_images(path, store, voco_store_entry(d->store, d->volume[0]), true);
    voco_store_close(store);
    return err;
}

static enum voco_err
open_labelled(const struct voco_omni_config *c, struct data *d, int64_t *ret_classes)
{
    enum voco_err err = voco_store_open(c->labelled, &d->store);

    if (err != VOCO_OK
        || (err = voco_seg_labelled(d->store, c->labelled, &d->volume, &d->n_volumes))
           != VOCO_OK
        || (err = voco_seg_classes(d->store, c->labelled, c->classes, ret_classes))
           != VOCO_OK)
        return err;
    if (voco_store_entry(d->store, d->volume[0])->channels != 1)
        return voco_fail(VOCO_EFORMAT, "%s: volumes of %d channels: expected one",
                         c->labelled, voco_store_entry(d->store, d->volume[0])->channels);
    voco_note("%s: %d labelled volume%s, %" PRId64 " classes", c->labelled, d->n_volumes,
              voco_plural(d->n_volumes), *ret_classes);
    return compare_stores(c, d);
}

static enum voco_err
open_replay(struct voco_omni_config *c, struct data *d, int64_t *ret_classes)
{
    const enum voco_err err = voco_omni_replay_open(c->voco.common.replay, &d->replay);

    if (err != VOCO_OK)
        return err;
    c->batch = 1;
    c->samples = d->replay.n;
    c->roi = d->replay.roi;
    *ret_classes = c->classes ? c->classes : d->replay.classes;
    if (d->replay.roi % VOCO_UNETR_MULTIPLE != 0)
        return voco_fail(VOCO_EFORMAT, "%s: labelled crops of %d^3: expected a multiple of %d",
                         c->voco.common.replay, d->replay.roi, VOCO_UNETR_MULTIPLE);
    if (*ret_classes < d->replay.classes)
        return voco_fail(VOCO_EUSAGE, "--classes %" PRId64 ", but the labels of %s go up to "
                         "class %d", *ret_classes, c->voco.common.replay,
                         d->replay.classes - 1);
    return VOCO_OK;
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_omni_config *c = config;
    struct data *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    if ((err = voco->prepare(config, &d->voco, ret)) != VOCO_OK
        || (err = c->labelled ? open_labelled(c, d, &ret->model.classes)
                              : open_replay(c, d, &ret->model.classes)) != VOCO_OK
        || (err = voco_semi_settle(&c->semi, c->voco.common.run.loop.steps,
                                   &ret->model.teacher)) != VOCO_OK)
        return err;
    c->classes = ret->model.classes;
    c->n = (int)(c->batch * c->samples);
    ret->also = c->labelled;
    ret->also_name = "labelled";
    ret->early = c->semi.start;
    return VOCO_OK;
}

static enum voco_err
inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    const struct voco_omni_config *c = config;
    struct data *d = data;
    const float p = c->voco.augment ? 0.2f : 0.0f;
    const struct voco_seg_options o = {
        .seed = (uint64_t)c->voco.common.run.seed, .volume = d->volume,
        .n_volumes = d->n_volumes, .batch = (int)c->batch, .samples = (int)c->samples,
        .roi = { c->roi, c->roi, c->roi }, .positive = c->positive,
        .classes = (int)c->classes,
        .augment = { .flip = p, .turn = p, .shift = p / 2, .shift_by = 0.1f },
    };
    enum voco_err err = voco->inputs(config, d->voco, ret, ret_n);

    VOCO_ASSERT(err != VOCO_OK || *ret_n == LABELS);
    if (err == VOCO_OK && d->store)
        err = voco_seg_open(d->store, &o, &d->loader);
    ret[LABELS] = d->store
        ? (struct voco_input){ &voco_labelled_kind, d->loader, (int)c->batch }
        : (struct voco_input){ &voco_omni_replay_kind, &d->replay, 1 };
    *ret_n = INPUTS;
    return err;
}

/* ---- the computation ---- */

struct work {
    struct voco_ctx *ctx;
    struct voco_model *model;
    void *voco;                 /* of VoCo's row */
    int64_t start;              /* step */
    struct voco_segment_batch labelled, random;
    int labelled_group, random_group;
    struct voco_segment_result semi;    /* of the step */
};

static const struct voco_dicece dicece = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };

static void
close_work(void *work)
{
    struct work *w = work;

    if (!w)
        return;
    voco->close(w->voco);
    free(w);
}

/* Crops of this edge with the voxels of a micro-batch of VoCo's. */
static int
group_of(const struct voco_omni_config *c, const struct voco_grouping *g, int64_t edge)
{
    const int64_t roi = c->voco.size.roi;
    const int64_t n = g->group * roi * roi * roi / (edge * edge * edge);

    return n > 1 ? (int)n : 1;
}

static enum voco_err
open_work(const void *config, struct voco_ctx *ctx, struct voco_model *model,
          const struct voco_grouping *grouping, void **work)
{
    const struct voco_omni_config *c = config;
    const int64_t roi = c->voco.size.roi;
    struct work *w = calloc(1, sizeof *w);

    *work = w;
    VOCO_NEED(w);
    *w = (struct work){
        .ctx = ctx, .model = model, .start = c->semi.start,
        .labelled = { .n = c->n, .size = { c->roi, c->roi, c->roi } },
        .random = { .n = c->voco.size.volumes * c->voco.size.sw, .size = { roi, roi, roi },
                    .threshold = c->semi.threshold },
        .labelled_group = group_of(c, grouping, c->roi), .random_group = grouping->group };
    voco_segnet_set_again(&model->net, grouping->again);
    return voco->open(config, ctx, model, grouping, &w->voco);
}

/* DiceCE of the random crops with the teacher's labels.  The maps of the encoder count as
 * constants. */
static enum voco_err
semi_gradient(struct work *w, const float *img, const volatile sig_atomic_t *stop)
{
    struct voco_unetr *net = &w->model->net.unetr;
    enum voco_err err;

    w->random.image = img;
    w->random.stop = stop;
    net->cut = VOCO_CUT_MAPS;
    err = voco_segment_gradient(w->ctx, w->model, &dicece, &w->random, w->random_group,
                                &w->semi);
    net->cut = VOCO_CUT_NOTHING;
    return err;
}

static enum voco_err
gradient(void *work, const struct voco_batch_head *const batch[],
         const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;
    const struct voco_batch *crops = (const struct voco_batch *)batch[CROPS];
    const struct voco_seg_batch *labels = (const struct voco_seg_batch *)batch[LABELS];
    struct voco_segment_result labelled;
    enum voco_err err = voco->gradient(w->voco, batch, stop, ret_term);

    if (err != VOCO_OK)
        return err;
    w->labelled.image = labels->image;
    w->labelled.label = labels->label;
    w->labelled.stop = stop;
    err = voco_segment_gradient(w->ctx, w->model, &dicece, &w->labelled, w->labelled_group,
                                &labelled);
    w->semi = (struct voco_segment_result){ .loss = 0 };
    if (err == VOCO_OK && batch[CROPS]->step >= w->start)
        err = semi_gradient(w, crops->img, stop);
    ret_term[VOCO_OMNI_LABELLED] = labelled.loss;
    ret_term[VOCO_OMNI_SEMI] = w->semi.loss;
    return err;
}

static void
observe(void *work, const struct voco_batch_head *const batch[], struct voco_record *record)
{
    const struct work *w = work;
    const size_t n = sizeof record->words;
    size_t used;

    voco->observe(w->voco, batch, record);
    if (batch[CROPS]->step < w->start)
        return;
    voco_record_add(record, w->semi.counted, "confident");
    used = strlen(record->words);
    snprintf(record->words + used, n - used, "%sconfident %.0f%%", used ? "  " : "",
             100.0 * w->semi.counted);
}

/* ---- the plan ---- */

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    const struct voco_omni_config *c = job->user;
    /* batches out of reach: in a planning context nobody reads them */
    void *const nowhere = model->weight.data;
    const int64_t step = job->early ? 0 : c->semi.start;
    const struct voco_batch crops = { .head.step = step, .img = nowhere, .crops = nowhere,
                                      .labels = nowhere };
    const struct voco_seg_batch labels = { .head.step = step, .image = nowhere,
                                           .label = nowhere };
    const struct voco_batch_head *const batch[] = { &crops.head, &labels.head };
    struct voco_gradient result;
    void *work = NULL;
    enum voco_err err = open_work(job->user, ctx, model, grouping, &work);

    if (err == VOCO_OK)
        err = voco_take_gradient(&voco_objective_omni, work, ctx, model, &voco_comm_self,
                                 batch, NULL, &result);
    if (work && ((struct work *)work)->voco)
        *bytes += ((struct voco_step *)((struct work *)work)->voco)->memory.peak;
    close_work(work);
    return err;
}

/* VoCo's ladders, then the last of them with activation checkpointing in the whole network. */
static int
ladders(const struct voco_plan_job *job, struct voco_plan_job *ret)
{
    int n = 0;

    *ret = *job;
    voco_pretrain_ladders(ret);
    while (ret->choices(ret, n) > 0)
        n++;
    return n;
}

static int
choices(const struct voco_plan_job *job, int k)
{
    struct voco_plan_job plain;
    const int n = ladders(job, &plain);

    return k <= n ? plain.choices(&plain, k < n ? k : n - 1) : 0;
}

static struct voco_grouping
choice(const struct voco_plan_job *job, int k, int i)
{
    struct voco_plan_job plain;
    const int n = ladders(job, &plain);
    struct voco_grouping g = plain.choice(&plain, k < n ? k : n - 1, i);

    g.again = k == n;
    return g;
}

static void
plan(const void *config, const struct voco_model_config *model, struct voco_plan_job *ret)
{
    const struct voco_omni_config *c = config;
    const uint64_t voxels = (uint64_t)(c->roi * c->roi * c->roi);

    voco->plan(config, model, ret);
    ret->name = "a step of omni-supervised pre-training";
    ret->advice = "--feature-size, --batch or --labelled-roi";
    ret->batches += (uint64_t)(VOCO_BATCHES_AHEAD + 1) * (uint64_t)c->n * voxels * 5;
    ret->early_items = ret->items;
    ret->rehearse = rehearse;
    ret->choices = choices;
    ret->choice = choice;
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_omni_config *c = config;
    struct data *d = data;

    voco->announce(config, d->voco, setup, dev, p);
    voco_note("beside them: %d labelled crop%s of %" PRId64 "^3, %" PRId64 " classes; from "
              "step %" PRId64 " on, the decoder learns from %d random crops with labels of %s",
              c->n, voco_plural(c->n), c->roi, c->classes, c->semi.start,
              c->voco.size.volumes * c->voco.size.sw,
              c->semi.teacher == VOCO_SEMI_EMA ? "a moving average of the network"
              : "a copy of the network as it is then");
}

/* ---- the start and the end ---- */

static void
facts(const void *config, void *data, const struct voco_setup *setup, json_t *options,
      json_t *more)
{
    const struct voco_omni_config *c = config;
    struct data *d = data;
    char hash[16] = "";

    voco->facts(config, d->voco, setup, options, more);
    if (d->store)
        snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(d->store));
    json_object_set_new(options, "labelled-hash", json_string(hash));
    json_object_set_new(more, "labelled", c->labelled ? json_string(c->labelled)
                                                      : json_null());
}

static enum voco_err
initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model)
{
    return voco_pretrain_initialise(config, ctx, model,
                                    VOCO_PARTS_NETWORK | 1 << VOCO_PART_HEADS,
                                    VOCO_PARTS_BACKBONE);
}

static enum voco_err
finish(struct voco_run *run)
{
    struct voco_run part = *run;

    part.data = ((struct data *)run->data)->voco;
    part.work = ((struct work *)run->work)->voco;
    return voco->finish(&part);
}

/* ---- the row ---- */

static const struct voco_omni_config defaults = VOCO_OMNI_DEFAULTS;

static const struct voco_term terms[VOCO_OMNI_TERMS] = {
    [VOCO_TERM_INTRA] = { "intra", "intra" }, [VOCO_TERM_INTER] = { "inter", "inter" },
    [VOCO_TERM_REG] = { "reg", "reg" }, [VOCO_OMNI_LABELLED] = { "labelled", "labelled" },
    [VOCO_OMNI_SEMI] = { "semi", "semi" },
};

const struct voco_objective voco_objective_omni = {
    .name = "omni", .title = "pretrain",
    .summary = "pre-train a whole Swin UNETR with VoCo, labels, and labels of a teacher",
    .details = "A step has VoCo's crops of --store, which need no labels, and crops of\n"
               "--labelled.  After half of the steps a copy of the network labels the random\n"
               "crops of --store for the decoder.  voco finetune seg takes the whole network.\n"
               "\n"
               "  voco pretrain --objective omni --store ct --labelled labelled --out run",
    .options = voco_omni_options, .defaults = &defaults,
    .config_bytes = sizeof(struct voco_omni_config), .check = voco_omni_check,
    .term = terms, .n_terms = VOCO_OMNI_TERMS,
    .prepare = prepare, .release = release, .plan = plan, .announce = announce,
    .inputs = inputs, .facts = facts, .initialise = initialise, .open = open_work,
    .close = close_work, .gradient = gradient, .observe = observe, .finish = finish,
};
