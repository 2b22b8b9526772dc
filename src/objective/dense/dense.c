/* Dense pretexts as objectives: their data, plan and computation. */
#include "objective/dense/dense.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "model/weights.h"
#include "objective/dense/picture.h"
#include "objective/dense/replay.h"
#include "objective/pretrain/patches.h"
#include "train/gradient.h"
#include "train/run.h"

/* ---- data ---- */

/* A store with the source of its crops, or a batch that is replayed. */
struct data {
    struct voco_store *store;
    bool *exclude;              /* [volumes] that are left out; NULL: none */
    struct voco_patch_source *source;
    struct voco_dense_batch replay;
};

void
voco_dense_release(void *data)
{
    struct data *d = data;

    if (!d)
        return;
    voco_patches_close(d->source);
    voco_store_close(d->store);
    voco_dense_replay_free(&d->replay);
    free(d->exclude);
    free(d);
}

static int64_t
voxels_of(const struct voco_dense_config *c)
{
    return c->size.size[0] * c->size.size[1] * c->size.size[2];
}

/* Volumes of a step. */
static int
volumes_of(const struct voco_dense_config *c)
{
    return (int)c->common.batch * (c->pretext->pair ? 2 : 1);
}

/* Numbers of a crop are those of its place in the batch. */
static struct voco_rng_key
key_of(const struct voco_dense_config *c, int64_t step, int64_t sample)
{
    return (struct voco_rng_key){ .seed = (uint64_t)c->common.run.seed,
                                  .step = (uint64_t)step, .sample = (uint32_t)sample };
}

static enum voco_err
change(const void *user, const struct voco_patch_key *k, float *crop, float *const made[],
       void *scratch)
{
    const struct voco_dense_config *c = user;
    const struct voco_rng_key key = key_of(c, k->step, k->sample * c->crops + k->crop);

    c->pretext->change(c, &key, c->size.size, crop, made[0], scratch);
    return VOCO_OK;
}

static struct voco_patches_options
patches_options(const struct voco_dense_config *c, const struct data *d)
{
    struct voco_patches_options o = {
        .seed = (uint64_t)c->common.run.seed, .batch = volumes_of(c), .crops = (int)c->crops,
        .roi = (int)c->roi, .augment = c->augment, .repeat = c->common.repeat,
        .exclude = d->exclude,
    };

    if (c->pretext->change) {
        o.n_made = 1;
        o.make = change;
        o.user = c;
        o.scratch_bytes = c->pretext->scratch_bytes(c->size.size);
    }
    return o;
}

static enum voco_err
open_store(struct voco_dense_config *c, struct data *d)
{
    struct voco_patches_options o;
    enum voco_err err;

    if (c->roi % VOCO_UNETR_MULTIPLE != 0)
        return voco_fail(VOCO_EUSAGE, "--roi %" PRId64 ": expected a multiple of %d, by "
                         "which the network divides a crop", c->roi, VOCO_UNETR_MULTIPLE);
    c->size = (struct voco_dense_size){ (int)(c->common.batch * c->crops),
                                        { c->roi, c->roi, c->roi } };
    if ((err = c->pretext->check(c, c->size.size)) != VOCO_OK
        || (err = voco_pretrain_open_store(c, volumes_of(c), &d->store, &d->exclude))
           != VOCO_OK)
        return err;
    o = patches_options(c, d);
    return voco_patches_open(d->store, &o, &d->source);
}

/* The sizes of a replay are settings of the run. */
static enum voco_err
open_replay(struct voco_dense_config *c, struct data *d)
{
    const enum voco_err err = voco_dense_replay_open(c->common.replay, c->pretext, c,
                                                     &d->replay);

    c->size.n = d->replay.n;
    for (int a = 0; a < 3; a++)
        c->size.size[a] = d->replay.size[a];
    c->common.batch = d->replay.n;
    c->crops = 1;
    c->roi = d->replay.size[0];
    return err;
}

enum voco_err
voco_dense_prepare(void *config, void **data, struct voco_setup *ret)
{
    struct voco_dense_config *c = config;
    struct data *d = calloc(1, sizeof *d);
    enum voco_err err;

    *data = d;
    VOCO_NEED(d);
    if ((err = c->common.replay ? open_replay(c, d) : open_store(c, d)) != VOCO_OK)
        return err;
    if (voxels_of(c) <= VOCO_UNETR_MULTIPLE * VOCO_UNETR_MULTIPLE * VOCO_UNETR_MULTIPLE)
        voco_warn("crops of %d^3 leave one voxel in the deepest map, which instance norm "
                  "turns into zero: larger ones teach the whole network", VOCO_UNETR_MULTIPLE);
    c->common.group = voco_pretrain_group(c);
    ret->model = (struct voco_model_config){
        .feature = c->common.feature, .in_channels = 1,
        .merging = (enum voco_merging)c->common.merging, .classes = c->pretext->outputs(c) };
    ret->init = VOCO_INIT_TORCH;
    return VOCO_OK;
}

enum voco_err
voco_dense_inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX],
                  int *ret_n)
{
    const struct voco_dense_config *c = config;
    struct data *d = data;

    ret[0] = d->store
        ? (struct voco_input){ &voco_patches_kind, d->source, volumes_of(c) }
        : (struct voco_input){ &voco_dense_replay_kind, &d->replay, 1 };
    *ret_n = 1;
    return VOCO_OK;
}

/* ---- the plan ---- */

/* Crops in a micro-batch, at most: the voxels of four of 64^3, as in segmentation. */
static int
most_items(const struct voco_plan_job *job)
{
    const struct voco_dense_config *c = job->user;
    const int64_t items = (INT64_C(4) << 18) / voxels_of(c);
    const int most = job->items < 4 ? job->items : 4;

    return items < 1 ? 1 : items < most ? (int)items : most;
}

/* On ladder 0 activations are kept, on ladder 1 those inside blocks are recomputed. */
static int
choices(const struct voco_plan_job *job, int k)
{
    const bool asked = ((const struct voco_dense_config *)job->user)->common.group > 0;

    return k > 1 ? 0 : asked ? 1 : voco_plan_halvings(most_items(job));
}

static struct voco_grouping
choice(const struct voco_plan_job *job, int k, int i)
{
    const int asked = (int)((const struct voco_dense_config *)job->user)->common.group;

    return (struct voco_grouping){
        .group = asked ? asked : voco_plan_halved(most_items(job), i), .again = k == 1 };
}

/* A step without boxes, whose crops nobody reads. */
struct rehearsal {
    struct voco_dense_step step;
    struct voco_dense_batch batch;
};

static struct voco_dense_step
step_of(const struct voco_dense_config *c, struct voco_ctx *ctx, struct voco_model *model,
        const struct voco_grouping *grouping)
{
    voco_segnet_set_again(&model->net, grouping->again);
    return (struct voco_dense_step){ .ctx = ctx, .model = model, .pretext = c->pretext,
                                     .config = c, .group = grouping->group };
}

static enum voco_err
rehearse_gradient(void *work, const struct voco_batch_head *const batch[],
                  const volatile sig_atomic_t *stop, double *ret_term)
{
    const struct rehearsal *r = work;

    (void)batch;
    return voco_dense_gradient(&r->step, &r->batch, stop, ret_term);
}

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    const struct voco_dense_config *c = job->user;
    const struct voco_objective training = { .n_terms = c->pretext->n_terms,
                                             .gradient = rehearse_gradient };
    /* a batch out of reach: in a planning context nobody reads it */
    float *const nowhere = model->weight.data;
    struct rehearsal r = {
        step_of(c, ctx, model, grouping),
        { .n = c->size.n, .x = nowhere, .y = nowhere,
          .size = { c->size.size[0], c->size.size[1], c->size.size[2] } } };
    struct voco_gradient result;

    (void)bytes;
    return voco_take_gradient(&training, &r, ctx, model, &voco_comm_self, NULL, NULL,
                              &result);
}

void
voco_dense_plan(const void *config, const struct voco_model_config *model,
                struct voco_plan_job *ret)
{
    const struct voco_dense_config *c = config;
    const uint64_t volumes = c->pretext->y ? 2 : 1;     /* of a sample */

    *ret = (struct voco_plan_job){
        .user = c, .name = "a step of pre-training encoder and decoder",
        .advice = "--roi or --feature-size", .model = *model, .training = true,
        .items = c->size.n,
        .batches = (uint64_t)(VOCO_BATCHES_AHEAD + 1) * (uint64_t)c->size.n * volumes
                   * (uint64_t)voxels_of(c) * 4,
        .program = (uint64_t)96 << 20, .choices = choices, .choice = choice,
        .rehearse = rehearse,
    };
}

void
voco_dense_announce(const void *config, void *data, const struct voco_setup *setup,
                    const struct voco_device *dev, const struct voco_plan *p)
{
    const struct voco_dense_config *c = config;
    const int64_t *size = c->size.size;
    char total[16], words[160];

    (void)data;
    voco_note("model: %s, encoder and decoder, %.1f M parameters; %s",
              voco_model_words(&setup->model, words), (double)p->parameters / 1e6,
              c->pretext->words);
    voco_note("step: %d sample%s of %" PRId64 " x %" PRId64 " x %" PRId64 ", %.2f TFLOP",
              p->items, voco_plural(p->items), size[0], size[1], size[2], p->flops * 1e-12);
    voco_note("plan: activations in %s; %d micro-batch%s of %d crop%s%s; %s of memory",
              voco_type_name(dev->act), p->groups, p->groups == 1 ? "" : "es",
              p->grouping.group, voco_plural(p->grouping.group),
              p->grouping.again ? ", with recomputation" : "",
              voco_format_bytes((double)p->total, total));
}

/* ---- the start ---- */

void
voco_dense_facts(const void *config, void *data, const struct voco_setup *setup,
                 json_t *options, json_t *more)
{
    const struct data *d = data;

    (void)setup;
    voco_pretrain_facts(config, d->store, options, more);
}

/* The reference's formula takes names with the objective's in front. */
enum voco_err
voco_dense_initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model)
{
    const struct voco_dense_config *c = config;
    char *prefix = voco_format("%s/", c->pretext->name);
    enum voco_err err;

    model->params.hash_prefix = prefix;
    err = voco_pretrain_initialise(config, ctx, model, VOCO_PARTS_ALL, VOCO_PARTS_BACKBONE);
    model->params.hash_prefix = NULL;
    free(prefix);
    return err;
}

/* ---- the computation ---- */

struct work {
    struct voco_dense_step step;
    const struct voco_dense_config *config;
    struct voco_dense_batch drawn;      /* boxes of the samples of a store */
};

void
voco_dense_close(void *work)
{
    struct work *w = work;

    if (!w)
        return;
    free(w->drawn.box);
    free(w->drawn.n_box);
    free(w);
}

enum voco_err
voco_dense_open(const void *config, struct voco_ctx *ctx, struct voco_model *model,
                const struct voco_grouping *grouping, void **work)
{
    const struct voco_dense_config *c = config;
    struct work *w = calloc(1, sizeof *w);
    struct voco_dense_batch *b;

    *work = w;
    VOCO_NEED(w);
    *w = (struct work){ .step = step_of(c, ctx, model, grouping), .config = c };
    b = &w->drawn;
    b->n = c->size.n;
    for (int a = 0; a < 3; a++)
        b->size[a] = c->size.size[a];
    if (c->common.replay || !c->pretext->draw)
        return VOCO_OK;
    b->most_boxes = c->pretext->most_boxes(c, c->size.size);
    b->box = calloc((size_t)b->n * (size_t)b->most_boxes + 1, sizeof *b->box);
    b->n_box = calloc((size_t)b->n, sizeof *b->n_box);
    return b->box && b->n_box ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for the %d boxes of %d crops", b->most_boxes,
                    b->n);
}

/* The samples of a batch of crops.  A pair is crops of two volumes: those of the second half
 * of the batch lie behind those of the first. */
static const struct voco_dense_batch *
samples_of(struct work *w, const struct voco_batch_head *head)
{
    const struct voco_dense_config *c = w->config;
    const struct voco_patches *p = (const struct voco_patches *)head;
    struct voco_dense_batch *b = &w->drawn;

    if (c->common.replay)
        return (const struct voco_dense_batch *)head;
    b->head = *head;
    b->x = p->crop;
    b->y = c->pretext->pair ? p->crop + b->n * voxels_of(c) : p->made[0];
    for (int i = 0; i < b->n && c->pretext->draw; i++) {
        const struct voco_rng_key key = key_of(c, head->step, i);

        c->pretext->draw(c, &key, b, i);
    }
    return b;
}

enum voco_err
voco_dense_take(void *work, const struct voco_batch_head *const batch[],
                const volatile sig_atomic_t *stop, double *ret_term)
{
    struct work *w = work;

    return voco_dense_gradient(&w->step, samples_of(w, batch[0]), stop, ret_term);
}

/* ---- the end ---- */

/* The samples of step 0, without augmentation. */
static enum voco_err
draw_store(const char *path, const char *title, struct work *w, const struct data *d)
{
    struct voco_patches_options o = patches_options(w->config, d);
    struct voco_patch_source *source = NULL;
    struct voco_batches *batches = NULL;
    const void *b;
    enum voco_err err;

    o.augment = false;
    o.repeat.n = 0;
    if ((err = voco_patches_open(d->store, &o, &source)) == VOCO_OK
        && (err = voco_batches_open(&voco_patches_kind, source, o.batch, 1, 1, 0, &batches))
           == VOCO_OK
        && (err = voco_batches_next(batches, &b, NULL)) == VOCO_OK)
        err = voco_dense_picture(path, title, &w->step, samples_of(w, b));
    voco_batches_close(batches);
    voco_patches_close(source);
    return err;
}

enum voco_err
voco_dense_finish(struct voco_run *run)
{
    const struct data *d = run->data;
    const char *out = run->config->loop.out;
    struct work *w = run->work;
    char *path = voco_format("%s/samples.png", out);
    char *title = voco_format("%s, step %" PRId64, out, run->loop.state.step);
    const enum voco_err err = d->store
        ? draw_store(path, title, w, d)
        : voco_dense_picture(path, title, &w->step, &d->replay);

    free(path);
    free(title);
    return err == VOCO_OK ? err : voco_fail_in(err, "no picture");
}
