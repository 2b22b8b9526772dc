/* The memory planner: dry runs of a step. */
#include "train/plan.h"

#include "base/machine.h"
#include "dev/wrap/dry.h"

static const size_t address_space = (size_t)1 << 42;    /* per arena; never touched */

uint64_t
voco_plan_default_memory(void)
{
    struct voco_machine machine;

    voco_machine_read("", &machine);
    /* under ulimit -v each arena has a quarter of the addresses (src/dev/ctx.c) */
    if (machine.address_limit && machine.address_limit / 4 < machine.memory / 2)
        return machine.address_limit / 4;
    return machine.memory / 2;
}

int
voco_plan_halvings(int most)
{
    int n = 0;

    for (; most >= 1; most /= 2)
        n++;
    return n;
}

int
voco_plan_halved(int most, int i)
{
    return most >> i;
}

/* The memory and operations of a dry step with this grouping. */
static enum voco_err
measure(const struct voco_device *dev, const struct voco_plan_job *job,
        const struct voco_ctx_options *open, struct voco_grouping grouping,
        struct voco_uses *uses, struct voco_plan *p)
{
    const struct voco_ctx_options dry_open = { .limit = address_space,
                                               .threads = open->threads,
                                               .choices = open->choices };
    struct voco_dry dry = { 0 };
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    uint64_t own = 0;
    enum voco_err err;

    voco_dry_init(&dry, dev);
    dry.uses = uses;
    if (uses)
        uses->n = 0;                    /* those of the last grouping count */
    if ((err = voco_ctx_open(&ctx, &dry.device, &dry_open)) == VOCO_OK
        && (err = voco_model_describe(&model, &job->model)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, job->training)) == VOCO_OK
        && (err = job->rehearse(job, &ctx, &model, &grouping, &own)) == VOCO_OK) {
        *p = (struct voco_plan){
            .items = job->items, .grouping = grouping,
            .groups = (job->items + grouping.group - 1) / grouping.group,
            .parameters = voco_params_total(&model.params, ""),
            .trained = voco_params_before(&model.params, model.trained),
            .slabs = model.memory.peak + own, .kept = ctx.keep.peak,
            .gradients = ctx.grad.peak, .scratch = ctx.temp.peak,
            .packed = dry.packed_bytes, .batches = job->batches, .flops = dry.flops,
        };
        p->total = p->slabs + p->kept + p->gradients + p->scratch + p->packed + p->batches
            + job->program;
    }
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    voco_dry_free(&dry);
    return err;
}

/* The fastest choice of ladder k that fits, else the one that takes least. */
static enum voco_err
climb(const struct voco_device *dev, const struct voco_plan_job *job, int k,
      const struct voco_ctx_options *open, uint64_t memory, struct voco_uses *uses,
      struct voco_plan *p)
{
    const int n = job->choices(job, k);
    int first = 0, last = memory ? n - 1 : 0;
    enum voco_err err = measure(dev, job, open, job->choice(job, k, n - 1), uses, p);

    if (err != VOCO_OK || (memory && p->total > memory))
        return err;
    while (first < last && err == VOCO_OK) {
        const int middle = (first + last) / 2;

        err = measure(dev, job, open, job->choice(job, k, middle), uses, p);
        if (p->total > memory)
            first = middle + 1;
        else
            last = middle;
    }
    return err == VOCO_OK ? measure(dev, job, open, job->choice(job, k, first), uses, p)
                          : err;
}

/* The operations of the steps with less work. */
static enum voco_err
measure_early(const struct voco_device *dev, const struct voco_plan_job *job,
              const struct voco_ctx_options *open, struct voco_plan *ret)
{
    struct voco_plan_job early = *job;
    struct voco_plan plan;
    enum voco_err err;

    early.early = true;
    err = measure(dev, &early, open, job->choice(job, 0, 0), NULL, &plan);
    ret->early_items = job->early_items;
    ret->early_flops = plan.flops;
    return err;
}

enum voco_err
voco_plan_make(const struct voco_device *dev, const struct voco_plan_job *job,
               const struct voco_ctx_options *open, uint64_t memory, struct voco_uses *uses,
               struct voco_plan *ret)
{
    struct voco_plan whole;
    enum voco_err err;

    for (int k = 0; job->choices(job, k) > 0; k++) {
        if ((err = climb(dev, job, k, open, memory, uses, ret)) != VOCO_OK)
            return err;
        if (memory && ret->total > memory)
            continue;
        err = measure(dev, job, open, job->choice(job, 0, 0), NULL, &whole);
        ret->flops_again = ret->flops - whole.flops;
        ret->flops = whole.flops;
        return err == VOCO_OK && job->early_items
            ? measure_early(dev, job, open, ret) : err;
    }
    return voco_fail(VOCO_EMEMORY, "%s needs at least %llu MiB, and %llu MiB are allowed: "
                     "raise %s, or lower %s", job->name,
                     (unsigned long long)((ret->total >> 20) + 1),
                     (unsigned long long)(memory >> 20),
                     voco_addresses_left() / 4 < ret->total
                         ? "the limit of the address space (ulimit -v)" : "--memory",
                     job->advice);
}
