/* The memory planner: dry runs of the step. */
#include "objective/voco/plan.h"

#include <stdlib.h>

#include "base/machine.h"
#include "base/rng.h"
#include "dev/wrap/dry.h"

static const size_t address_space = (size_t)1 << 42;    /* per arena; never touched */
static const uint64_t program_bytes = (uint64_t)96 << 20;   /* code, libraries, threads */

uint64_t
voco_plan_default_memory(void)
{
    struct voco_machine machine;

    voco_machine_read("", &machine);
    return machine.memory / 2;
}

/* One dry step with this grouping; fills the memory fields of *p. */
static enum voco_err
measure(const struct voco_device *dev, const struct voco_plan_request *r,
        struct voco_grouping grouping, struct voco_plan *p)
{
    struct voco_dry dry = { 0 };
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    struct voco_step step = { 0 };
    struct voco_step_result result;
    struct voco_step_input nothing = { 0 };
    enum voco_err err;

    voco_dry_init(&dry, dev);
    dry.uses = r->uses;
    if (r->uses)
        r->uses->n = 0;                 /* those of the last grouping count */
    if ((err = voco_ctx_open(&ctx, &dry.device,
                             &(struct voco_ctx_options){ .limit = address_space,
                                                         .threads = r->threads,
                                                         .choices = r->choices })) == VOCO_OK
        && (err = voco_model_describe(&model, &r->model)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, true)) == VOCO_OK
        && (err = voco_step_init(&step, &ctx, &model, r->volumes, r->sw, r->roi, grouping))
           == VOCO_OK
        && (nothing.img = nothing.crops = nothing.labels = model.weight.data,
            err = voco_step_gradient(&step, &nothing, &result)) == VOCO_OK) {
        const uint64_t voxels = (uint64_t)r->roi * (uint64_t)r->roi * (uint64_t)r->roi;

        p->crops = voco_step_crops(&step);
        p->grouping = step.grouping;
        p->groups = (p->crops + grouping.group - 1) / grouping.group;
        p->parameters = voco_params_total(&model.params, "");
        p->trained = p->parameters - voco_params_total(&model.params, "teacher.");
        p->slabs = model.memory.peak + step.memory.peak;
        p->kept = ctx.keep.peak;
        p->gradients = ctx.grad.peak;
        p->scratch = ctx.temp.peak;
        p->packed = dry.packed_bytes;
        p->batches = (uint64_t)(r->ahead + 1) * (uint64_t)p->crops * voxels * 4;
        p->total = p->slabs + p->kept + p->gradients + p->scratch + p->packed + p->batches
            + program_bytes;
        p->flops = dry.flops;
    }
    voco_step_free(&step);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    voco_dry_free(&dry);
    return err;
}

/* Choices of n groups by what they take, the fastest first: all kept whole; 1, 2, .. n of
 * them lean; all that are kept lean, n - 1, .. 1 of them. */
static struct voco_grouping
choice(int group, int n, int i)
{
    const int kept = i <= n ? n : 2 * n - i;

    return (struct voco_grouping){ group, kept, i <= n ? i : kept };
}

/* The fastest choice that fits, else the one that takes least. */
static enum voco_err
fill_memory(const struct voco_device *dev, const struct voco_plan_request *r, int group,
            struct voco_plan *p)
{
    enum voco_err err = measure(dev, r, (struct voco_grouping){ group, 1, 1 }, p);
    const int n = p->groups;
    int first = 0, last = r->memory ? 2 * n - 1 : 0;

    if (err != VOCO_OK || (r->memory && p->total > r->memory))
        return err;
    while (first < last && err == VOCO_OK) {
        const int middle = (first + last) / 2;

        err = measure(dev, r, choice(group, n, middle), p);
        if (p->total > r->memory)
            first = middle + 1;
        else
            last = middle;
    }
    return err == VOCO_OK ? measure(dev, r, choice(group, n, first), p) : err;
}

enum voco_err
voco_plan_step(const struct voco_device *dev, const struct voco_plan_request *r,
               struct voco_plan *ret)
{
    struct voco_plan_request whole = *r;
    struct voco_plan all;
    enum voco_err err;

    whole.uses = NULL;
    for (int group = r->group ? r->group : 4; group >= 1; group /= 2) {
        err = fill_memory(dev, r, group, ret);
        if (err != VOCO_OK)
            return err;
        if (!r->memory || ret->total <= r->memory) {
            err = measure(dev, &whole, choice(group, ret->groups, 0), &all);
            ret->flops_again = ret->flops - all.flops;
            ret->flops = all.flops;
            return err;
        }
        if (r->group)
            break;
    }
    return voco_fail(VOCO_EMEMORY, "a step with feature size %lld needs at least %llu MiB, and "
                     "%llu MiB are allowed: raise --memory, or lower --feature-size or "
                     "--batch", (long long)r->model.feature,
                     (unsigned long long)((ret->total >> 20) + 1),
                     (unsigned long long)(r->memory >> 20));
}

enum voco_err
voco_plan_probe(const struct voco_device *dev, const struct voco_plan *p,
                const struct voco_model_config *config,
                const struct voco_ctx_options *options, struct voco_probe *ret)
{
    const int group = p->grouping.group < p->crops ? p->grouping.group : p->crops;
    const int64_t voxels = 64 * 64 * 64;
    float *x = malloc((size_t)(group * voxels) * sizeof *x);
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    double forward_s = 0.0;
    enum voco_err err;

    *ret = (struct voco_probe){ .group = group };
    if (!x)
        return voco_fail(VOCO_EMEMORY, "no memory for a probe of %d crops", group);
    voco_hash_uniform(1, "probe", group * voxels, 0.0, 1.0, x);
    if ((err = voco_ctx_open(&ctx, dev, options)) == VOCO_OK
        && (err = voco_model_describe(&model, config)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, true)) == VOCO_OK) {
        ret->threads = ctx.threads;
        voco_model_fill(&model, &ctx, VOCO_INIT_TORCH, 0);
        ret->peak = dev->peak(&ctx);
        for (int i = 0; i < 2 && err == VOCO_OK; i++)
            err = voco_step_probe(&ctx, &model, x, group, 64, &forward_s, &ret->group_s);
    }
    ret->step_s = (1.0 + p->flops_again / p->flops) * p->crops / group * ret->group_s;
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    free(x);
    return err;
}
