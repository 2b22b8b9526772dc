/* voco plan: operations, memory and time of a pre-training step on this machine. */
#include <stdio.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "dev/list.h"
#include "dev/wrap/trace.h"
#include "objective/voco/voco.h"
#include "train/schedule.h"

static struct voco_pretrain_config c = VOCO_PRETRAIN_DEFAULTS;
static bool no_probe;

static const struct voco_opt options[] = {
    { "feature-size", 'f', VOCO_OPT_INT, &c.common.feature, "N",
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768 },
    { "batch", 'b', VOCO_OPT_INT, &c.common.batch, "N", "volumes in a step", 1, 1024 },
    { "sw", 0, VOCO_OPT_INT, &c.sw, "N", "random crops of a volume, besides the base crops",
      1, 64 },
    { "precision", 0, VOCO_OPT_CHOICE, &c.common.run.precision, "TYPE",
      "type of stored activations; auto: bf16 where the CPU multiplies it, else f32",
      0, 0, voco_precision_names },
    { "memory", 'm', VOCO_OPT_SIZE, &c.common.run.memory, "SIZE",
      "limit of memory; 0: half of the available memory", 0, 1e15 },
    { "threads", 't', VOCO_OPT_INT, &c.common.run.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "group", 0, VOCO_OPT_INT, &c.common.group, "N",
      "crops in a micro-batch; 0: up to 4, by memory", 0, 1024 },
    { "no-probe", 0, VOCO_OPT_FLAG, &no_probe, NULL,
      "do not run a micro-batch to estimate the time" },
    { 0 }
};

static const struct voco_device *
device(void)
{
    return voco_device_by_name("cpu", (enum voco_precision)c.common.run.precision);
}

static void
row(const char *name, double bytes)
{
    char text[16];

    printf("  %-36s %12s\n", name, voco_format_bytes(bytes, text));
}

static void
print_plan(const struct voco_plan *p, uint64_t allowed)
{
    char text[16];

    printf("model          feature size %lld, %.2f M parameters (%.2f M trained)\n",
           (long long)c.common.feature, (double)p->parameters * 1e-6,
           (double)p->trained * 1e-6);
    printf("step           %lld volume%s x (%lld random + %d base crops) = %d crops of %d^3\n",
           (long long)c.common.batch, voco_plural(c.common.batch), (long long)c.sw,
           c.size.bases, p->items, c.size.roi);
    printf("arithmetic     %.3f TFLOP, and %.3f TFLOP of recomputation\n", p->flops * 1e-12,
           p->flops_again * 1e-12);
    printf("micro-batches  %d of %d crop%s: %d stored, %d stored in part, %d recomputed\n",
           p->groups, p->grouping.group, voco_plural(p->grouping.group),
           p->grouping.kept - p->grouping.lean, p->grouping.lean,
           p->groups - p->grouping.kept);
    printf("memory         %s of %s allowed\n", voco_format_bytes((double)p->total, text),
           allowed ? voco_format_bytes((double)allowed, (char[16]){ 0 }) : "any");
    row("parameters, gradients, moments", (double)p->slabs);
    row("stored activations", (double)p->kept);
    row("gradients of activations", (double)p->gradients);
    row("workspace", (double)p->scratch);
    row("prepacked weights", (double)p->packed);
    row("prefetched batches", (double)p->batches);
}

static enum voco_err
print_time(const struct voco_plan *p, const struct voco_model_config *config,
           const struct voco_ctx_options *open)
{
    struct voco_probe probe;
    char step[16], words[160];
    const enum voco_err err = voco_pretrain_probe(device(), p, config, c.size.roi, open,
                                                  &probe);

    if (err == VOCO_OK)
        printf("time           about %s a step (%.2f s a crop forward and backward, "
               "measured);\n               %.0f GFLOP/s, direct operations counted: %.0f %% of "
               "the peak\npeak           %s\n",
               voco_format_seconds(probe.step_s, step), probe.group_s / probe.group,
               p->flops / probe.step_s * 1e-9,
               100.0 * p->flops / probe.step_s / probe.peak.flops,
               voco_peak_words(&probe.peak, probe.threads, words));
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    const uint64_t memory = (uint64_t)c.common.run.memory;
    const uint64_t allowed = memory ? memory : voco_plan_default_memory();
    const int threads = (int)c.common.run.threads;
    const struct voco_model_config model = voco_pretrain_model(&c);
    struct voco_choices choices = voco_choices_read(device(), threads, NULL);
    const struct voco_ctx_options open = { .threads = threads, .choices = &choices };
    struct voco_plan_job job;
    struct voco_plan plan;
    enum voco_err err;

    (void)argc;
    (void)argv;
    c.size.volumes = (int)c.common.batch;
    c.size.sw = (int)c.sw;
    voco_pretrain_plan(&c, &model, &job);
    err = voco_plan_make(device(), &job, &open, allowed, NULL, &plan);
    if (err == VOCO_OK) {
        print_plan(&plan, allowed);
        fflush(stdout);
        if (!no_probe)
            err = print_time(&plan, &model, &open);
    }
    voco_choices_free(&choices);
    return err;
}

const struct voco_verb voco_cmd_plan = {
    .name = "plan",
    .summary = "print the operations, memory and time that a pre-training step needs",
    .args = "",
    .details = "Nothing is trained.  The memory is found by a dry run of the real step, which\n"
               "computes nothing; the time by running one micro-batch of crops.",
    .options = options,
    .max_args = 0,
    .run = run,
};
