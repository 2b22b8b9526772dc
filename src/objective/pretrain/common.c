/* Settings, data and plans of pre-training, whatever the objective. */
#include "objective/pretrain/common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/store/leaklist.h"
#include "model/weights.h"
#include "train/runconfig.h"

enum voco_err
voco_pretrain_check(const void *config)
{
    const struct voco_pretrain_common *c = config;
    const struct voco_run_config *r = &c->run;

    if (!r->loop.out && !r->dry_run)
        return voco_fail(VOCO_EUSAGE, "pretrain: --out RUN is missing: where should the run "
                         "go?");
    if (!r->store == !c->replay)
        return voco_fail(VOCO_EUSAGE, "pretrain: %s", r->store ? "--store and --replay "
                         "exclude each other" : "--store STORE is missing: make one with "
                         "voco convert");
    if (r->probe_steps && !r->probe)
        return voco_fail(VOCO_EUSAGE, "pretrain: --probe-steps %lld without --probe STORE: on "
                         "which labelled volumes?", (long long)r->probe_steps);
    if (r->beta1 >= 1.0 || r->beta2 >= 1.0 || r->sgd_momentum >= 1.0)
        return voco_fail(VOCO_EUSAGE, "pretrain: --beta1 %g --beta2 %g --sgd-momentum %g: "
                         "expected numbers below 1", r->beta1, r->beta2, r->sgd_momentum);
    if (r->schedule != VOCO_CONSTANT && r->loop.steps <= r->warmup)
        voco_warn("all %lld steps lie inside the warm-up of %lld, the rate never gets to "
                  "%g: see --warmup and --schedule", (long long)r->loop.steps,
                  (long long)r->warmup, r->lr);
    return voco_device_by_name(voco_device_names[r->device],
                               (enum voco_precision)r->precision) ? VOCO_OK : VOCO_EUSAGE;
}

/* ---- data ---- */

enum voco_err
voco_pretrain_open_store(const void *config, int volumes, struct voco_store **store,
                         bool **exclude)
{
    const struct voco_pretrain_common *c = config;
    enum voco_err err = voco_store_open(c->run.store, store);
    int n;

    *exclude = NULL;
    if (err != VOCO_OK)
        return err;
    if (!isnan(c->window[0]))
        voco_store_set_window(*store, c->window[0], c->window[1]);
    n = voco_store_count(*store);
    voco_note("%s: %d volume%s%s", c->run.store, n, voco_plural(n),
              voco_store_rejects(*store) ? " (some inputs of convert were rejected: "
              "voco info tells which)" : "");
    if (c->exclude) {
        int left_out;

        if ((err = voco_leak_report_read(c->exclude, *store, exclude, &left_out))
            != VOCO_OK)
            return err;
        voco_note("%s: %d volume%s left out", c->exclude, left_out, voco_plural(left_out));
        n -= left_out;
    }
    if (n < volumes)
        voco_warn("%d volume%s for a batch of %d: a step will see some twice", n,
                  voco_plural(n), volumes);
    return VOCO_OK;
}

void
voco_pretrain_facts(const void *config, const struct voco_store *store, json_t *options,
                    json_t *more)
{
    const struct voco_pretrain_common *c = config;
    char hash[16] = "";

    if (store)
        snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(store));
    json_object_set_new(options, "store-hash", json_string(hash));
    json_object_set_new(more, "store", c->run.store ? json_string(c->run.store)
                                                    : json_null());
    json_object_set_new(more, "init", c->init ? json_string(c->init) : json_null());
}

/* ---- the plan ---- */

int64_t
voco_pretrain_group(const void *config)
{
    const struct voco_pretrain_common *c = config;
    const int64_t before = voco_runconfig_integer(c->run.loop.out, "group");

    return c->group ? c->group : before > 0 && before <= 1024 ? before : 0;
}

static int
groups_of(const struct voco_plan_job *job, int group)
{
    return (job->items + group - 1) / group;
}

/* Crops in a micro-batch on ladder k; 0: there is no such ladder. */
static int
group_of(const struct voco_plan_job *job, int k)
{
    const int64_t asked = ((const struct voco_pretrain_common *)job->user)->group;

    if (asked)
        return k == 0 ? (int)asked : 0;
    return k < voco_plan_halvings(4) ? voco_plan_halved(4, k) : 0;
}

static int
choices(const struct voco_plan_job *job, int k)
{
    const int group = group_of(job, k);

    return group ? 2 * groups_of(job, group) : 0;
}

/* n micro-batches: all kept whole; 1, 2, .. n of them lean; all that are kept lean,
 * n - 1, .. 1 of them. */
static struct voco_grouping
choice(const struct voco_plan_job *job, int k, int i)
{
    const int group = group_of(job, k), n = groups_of(job, group);
    const int kept = i <= n ? n : 2 * n - i;

    return (struct voco_grouping){ group, kept, i <= n ? i : kept, false };
}

void
voco_pretrain_ladders(struct voco_plan_job *job)
{
    job->choices = choices;
    job->choice = choice;
}

static int
whole_choices(const struct voco_plan_job *job, int k)
{
    const int group = group_of(job, k);

    return group ? groups_of(job, group) : 0;
}

static struct voco_grouping
whole_choice(const struct voco_plan_job *job, int k, int i)
{
    const int group = group_of(job, k);

    return (struct voco_grouping){ .group = group, .kept = groups_of(job, group) - i };
}

void
voco_pretrain_whole_ladders(struct voco_plan_job *job)
{
    job->choices = whole_choices;
    job->choice = whole_choice;
}

void
voco_pretrain_announce_plan(const struct voco_device *dev, const struct voco_plan *p)
{
    char total[16];

    voco_note("plan: activations in %s; %d micro-batch%s of %d crop%s: %d stored, %d stored "
              "in part, %d recomputed; %s of memory", voco_type_name(dev->act), p->groups,
              p->groups == 1 ? "" : "es", p->grouping.group, voco_plural(p->grouping.group),
              p->grouping.kept - p->grouping.lean, p->grouping.lean,
              p->groups - p->grouping.kept, voco_format_bytes((double)p->total, total));
}

/* ---- the start ---- */

enum voco_err
voco_pretrain_initialise(const void *config, struct voco_ctx *ctx, struct voco_model *model,
                         unsigned want, unsigned need)
{
    const struct voco_pretrain_common *c = config;
    const struct voco_demand demand = { .want = want, .need = need, .partial = c->partial,
                                        .min_percent = c->min_coverage };
    struct voco_model_config theirs;
    struct voco_coverage cover;
    unsigned long long seed;
    int end = 0;
    enum voco_err err;

    if (!c->init)
        return VOCO_OK;
    if (sscanf(c->init, "hash:%llu%n", &seed, &end) == 1 && !c->init[end]) {
        voco_model_fill(model, ctx, VOCO_INIT_HASH, seed);
        return ctx->err;
    }
    if (strncmp(c->init, "hash:", 5) == 0)
        return voco_fail(VOCO_EUSAGE, "--init '%s': expected hash:SEED with a whole number",
                         c->init);
    if ((err = voco_model_recognise_swinunetr(
             c->init, c->merging == VOCO_MERGING_FIXED ? c->merging : -1, &theirs)) != VOCO_OK)
        return err;
    if (theirs.feature != c->feature)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights of feature size %" PRId64 ", this "
                         "run has --feature-size %" PRId64, c->init, theirs.feature,
                         c->feature);
    if (theirs.merging != model->config.merging)
        voco_warn("%s: made with %s patch merging, this run has %s: see --merging", c->init,
                  voco_merging_name(theirs.merging),
                  voco_merging_name(model->config.merging));
    return voco_model_load(c->init, ctx, model, &demand, &cover);
}
