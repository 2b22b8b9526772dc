/* voco pretrain: the main job. */
#include <math.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "dev/list.h"
#include "cmd/loop_options.h"
#include "objective/voco/pretrain.h"

static struct voco_pretrain_config c = {
    .feature = 48, .batch = 4, .sw = 2, .precision = VOCO_PRECISION_AUTO, .seed = 0,
    .merging = VOCO_MERGING_LEGACY,
    .loop = { .steps = 250000, .checkpoint_minutes = 30, .keep_last = 3, .skip_limit = 5,
              .rollback_limit = 3, .resume = VOCO_RESUME_AUTO },
    .warmup = 5000, .schedule = VOCO_WARMUP_COSINE, .lr = 1e-4,
    .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .momentum = 0.9,
    .drop = 0.2, .window = { NAN, NAN },
};
static struct voco_opt_list repeat;

static const char *const mergings[] = { "legacy", "fixed", NULL };
static const char *const schedules[] = { "warmup-cosine", "constant", NULL };

static const struct voco_opt options[] = {
    { "store", 's', VOCO_OPT_FOLDER, &c.store, "STORE", "volumes made by voco convert",
      .section = "Data" },
    { "out", 'o', VOCO_OPT_FOLDER, &c.loop.out, "RUN", "folder of this run" },
    { "repeat", 0, VOCO_OPT_LIST, &repeat, "DATASET=N",
      "count the volumes of a dataset N times in an epoch" },
    { "window", 0, VOCO_OPT_RANGE, c.window, "LOW,HIGH",
      "intensities that become 0 and 1, for a store of type i16" },
    { "no-augment", 0, VOCO_OPT_FLAG, &c.no_augment, NULL,
      "neither flips, quarter turns nor intensity shifts" },
    { "loader-threads", 0, VOCO_OPT_INT, &c.loader_threads, "N",
      "threads that prepare batches; 0: one", 0, 256 },

    { "feature-size", 'f', VOCO_OPT_INT, &c.feature, "N",
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768,
      .section = "Model" },
    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "patch merging: legacy as in all published weights, fixed as in MONAI 1.5", 0, 0,
      mergings },
    { "init", 0, VOCO_OPT_FILE, &c.init, "FILE|hash:SEED",
      "start from weights, or from the reference's formula, instead of random ones" },
    { "partial", 0, VOCO_OPT_FLAG, &c.partial, NULL,
      "with --init: take what fits, the rest of the backbone stays fresh" },
    { "min-coverage", 0, VOCO_OPT_REAL, &c.min_coverage, "PERCENT",
      "as --partial, but the file must have this share of the backbone", 0, 100 },

    { "batch", 'b', VOCO_OPT_INT, &c.batch, "N", "volumes in a step", 1, 1024,
      .section = "Step" },
    { "sw", 0, VOCO_OPT_INT, &c.sw, "N", "random crops of a volume, besides 9 base crops",
      1, 64 },
    { "momentum", 0, VOCO_OPT_REAL, &c.momentum, "X", "of the teacher's moving average", 0,
      1 },
    { "drop", 0, VOCO_OPT_REAL, &c.drop, "P",
      "share of embeddings that the student does not see", 0, 0.95 },
    { "precision", 0, VOCO_OPT_CHOICE, &c.precision, "TYPE",
      "in which activations are stored; auto: bf16 where the CPU multiplies it, else f32",
      0, 0, voco_precision_names },
    { "seed", 0, VOCO_OPT_INT, &c.seed, "N", "of everything that is random", 0, 9e15 },

    { "steps", 'n', VOCO_OPT_INT, &c.loop.steps, "N", "length of the run", 1, 1e12,
      .section = "Optimizer" },
    { "lr", 0, VOCO_OPT_REAL, &c.lr, "X", "learning rate", 0, 1e3 },
    { "schedule", 0, VOCO_OPT_CHOICE, &c.schedule, "KIND", "of the learning rate", 0, 0,
      schedules },
    { "warmup", 0, VOCO_OPT_INT, &c.warmup, "N", "steps in which the rate rises from 0", 0,
      1e12 },
    { "weight-decay", 0, VOCO_OPT_REAL, &c.weight_decay, "X", "decoupled, as in AdamW", 0,
      1 },
    { "beta1", 0, VOCO_OPT_REAL, &c.beta1, "X", "decay of the first moment", 0, 1 },
    { "beta2", 0, VOCO_OPT_REAL, &c.beta2, "X", "decay of the second moment", 0, 1 },
    { "eps", 0, VOCO_OPT_REAL, &c.eps, "X", "added to the root of the second moment", 0, 1 },
    { "no-amsgrad", 0, VOCO_OPT_FLAG, &c.no_amsgrad, NULL,
      "plain AdamW, without the maximum of the second moment" },

    { "memory", 'm', VOCO_OPT_SIZE, &c.memory, "SIZE",
      "what the step may use; 0: half of what is available", 0, 1e15,
      .section = "Machine" },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "group", 0, VOCO_OPT_INT, &c.group, "N",
      "crops that go through the network together; 0: up to 4, by memory", 0, 1024 },
    { "device", 0, VOCO_OPT_CHOICE, &c.device, "NAME",
      "oracle is the double-precision reference: right and slow", 0, 0,
      voco_device_names },
    { "trace", 0, VOCO_OPT_FLAG, &c.trace, NULL,
      "at the end, a table of where the time went: primitive, shapes, rate" },

    VOCO_LOOP_OPTIONS(c.loop),
    { "replay", 0, VOCO_OPT_FILE, &c.replay, "FILE|hash:SEED:B:SW",
      "use one given batch in every step, instead of a store",
      .section = "Reproduction" },
    { 0 }
};

static enum voco_err
run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (!c.loop.out)
        return voco_fail(VOCO_EUSAGE, "pretrain: --out RUN is missing: where should the run "
                         "go?");
    if (!c.store == !c.replay)
        return voco_fail(VOCO_EUSAGE, "pretrain: %s", c.store ? "--store and --replay "
                         "exclude each other" : "--store STORE is missing: make one with "
                         "voco convert");
    if (c.beta1 >= 1.0 || c.beta2 >= 1.0)
        return voco_fail(VOCO_EUSAGE, "pretrain: --beta1 %g --beta2 %g: expected numbers "
                         "below 1", c.beta1, c.beta2);
    if (c.schedule == VOCO_WARMUP_COSINE && c.loop.steps <= c.warmup)
        voco_warn("all %lld steps lie inside the warm-up of %lld, the rate never gets to "
                  "%g: see --warmup and --schedule", (long long)c.loop.steps,
                  (long long)c.warmup, c.lr);
    if (!voco_device_by_name(voco_device_names[c.device], (enum voco_precision)c.precision))
        return VOCO_EUSAGE;
    c.n_repeat = repeat.n;
    for (int i = 0; i < repeat.n; i++)
        c.repeat[i] = repeat.item[i];
    return voco_pretrain(&c);
}

const struct voco_verb voco_cmd_pretrain = {
    .name = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo",
    .args = "",
    .details = "The defaults are those of the published Base model.  A run that was stopped,\n"
               "by a signal or --max-hours (exit status 75), goes on when the same command\n"
               "is given again.\n"
               "\n"
               "  voco convert --preset abdomen -o store CT/\n"
               "  voco pretrain --store store --out run\n"
               "  voco plot run",
    .options = options,
    .max_args = 0,
    .run = run,
};
