/* voco plan: what a pre-training step will need here, before anything is started. */
#include <stdio.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "dev/list.h"
#include "objective/voco/plan.h"

static struct {
    int64_t feature, batch, sw, memory, threads, group;
    int precision;
    bool no_probe;
} c = { .feature = 48, .batch = 4, .sw = 2, .precision = VOCO_PRECISION_AUTO };

static const struct voco_opt options[] = {
    { "feature-size", 'f', VOCO_OPT_INT, &c.feature, "N",
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768 },
    { "batch", 'b', VOCO_OPT_INT, &c.batch, "N", "volumes in a step", 1, 1024 },
    { "sw", 0, VOCO_OPT_INT, &c.sw, "N", "random crops of a volume, besides 9 base crops",
      1, 64 },
    { "precision", 0, VOCO_OPT_CHOICE, &c.precision, "TYPE",
      "in which activations are stored; auto: bf16 where the CPU multiplies it, else f32",
      0, 0, voco_precision_names },
    { "memory", 'm', VOCO_OPT_SIZE, &c.memory, "SIZE",
      "what the step may use; 0: half of what is available", 0, 1e15 },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "group", 0, VOCO_OPT_INT, &c.group, "N",
      "crops that go through the network together; 0: up to 4, by memory", 0, 1024 },
    { "no-probe", 0, VOCO_OPT_FLAG, &c.no_probe, NULL,
      "do not run a group of crops to estimate the time" },
    { 0 }
};

static const struct voco_device *
device(void)
{
    return voco_device_by_name("cpu", (enum voco_precision)c.precision);
}

static void
row(const char *what, double bytes)
{
    char text[16];

    printf("  %-34s %12s\n", what, voco_format_bytes(bytes, text));
}

static void
print_plan(const struct voco_plan *p, uint64_t allowed)
{
    char text[16];

    printf("model       feature size %lld, %.2f M parameters (%.2f M trained)\n",
           (long long)c.feature, (double)p->parameters * 1e-6, (double)p->trained * 1e-6);
    printf("step        %lld volume%s x (%lld random + 9 base crops) = %d crops of 64^3\n",
           (long long)c.batch, voco_plural(c.batch), (long long)c.sw, p->crops);
    printf("arithmetic  %.3f TFLOP, and %.3f TFLOP of recomputation\n", p->flops * 1e-12,
           p->flops_again * 1e-12);
    printf("groups      %d of %d crops; activations of %d kept, of %d in part, "
           "%d computed twice\n", p->groups, p->grouping.group,
           p->grouping.kept - p->grouping.lean, p->grouping.lean,
           p->groups - p->grouping.kept);
    printf("memory      %s of %s allowed\n", voco_format_bytes((double)p->total, text),
           allowed ? voco_format_bytes((double)allowed, (char[16]){ 0 }) : "any");
    row("weights, gradients, moments", (double)p->slabs);
    row("activations", (double)p->kept);
    row("gradients on their way", (double)p->gradients);
    row("scratch", (double)p->scratch);
    row("weights in the order of kernels", (double)p->packed);
    row("batches made ahead", (double)p->batches);
}

static enum voco_err
print_time(const struct voco_plan *p, const struct voco_plan_request *r)
{
    const struct voco_ctx_options open = { .threads = r->threads, .choices = r->choices };
    struct voco_probe probe;
    char step[16];
    const enum voco_err err = voco_plan_probe(device(), p, &r->model, &open, &probe);

    if (err == VOCO_OK)
        printf("time        about %s a step (%.2f s a crop forward and backward, measured); "
               "%.0f GFLOP/s,\n            %.0f %% of the %.0f that %d threads reach on "
               "registers (direct operations counted)\n",
               voco_format_seconds(probe.step_s, step), probe.group_s / probe.group,
               p->flops / probe.step_s * 1e-9, 100.0 * p->flops / probe.step_s / probe.peak,
               probe.peak * 1e-9, probe.threads);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    struct voco_choices choices = voco_choices_read(device(), (int)c.threads, NULL);
    const struct voco_plan_request request = {
        .model = { .feature = c.feature, .in_channels = 1, .hidden = 1024, .out = 1024,
                   .merging = VOCO_MERGING_LEGACY },
        .volumes = (int)c.batch, .sw = (int)c.sw, .roi = 64, .threads = (int)c.threads,
        .group = (int)c.group, .ahead = 2,
        .memory = c.memory ? (uint64_t)c.memory : voco_plan_default_memory(),
        .choices = &choices,
    };
    struct voco_plan plan;
    enum voco_err err;

    (void)argc;
    (void)argv;
    if ((err = voco_plan_step(device(), &request, &plan)) == VOCO_OK) {
        print_plan(&plan, request.memory);
        fflush(stdout);
        if (!c.no_probe)
            err = print_time(&plan, &request);
    }
    voco_choices_free(&choices);
    return err;
}

const struct voco_verb voco_cmd_plan = {
    .name = "plan",
    .summary = "tell what a pre-training step needs: operations, memory, time",
    .args = "",
    .details = "Nothing is trained.  The memory figures are found by running the real step\n"
               "over memory that nobody may touch; the time by running one group of crops.",
    .options = options,
    .max_args = 0,
    .run = run,
};
