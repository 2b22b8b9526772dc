/* The settings of VoCo. */
#include "base/log.h"
#include "objective/voco/voco.h"
#include "train/schedule.h"
#include "train/settings.h"

#define AT(member) VOCO_AT(struct voco_pretrain_config, member)

static const char *const no_yes[] = { "no", "yes", NULL };

const struct voco_opt voco_pretrain_options[] = {
    { "store", 's', VOCO_OPT_FOLDER, AT(run.store), "STORE",
      "volumes made by voco convert", .section = "Data" },
    { "out", 'o', VOCO_OPT_FOLDER, AT(run.loop.out), "RUN", "folder of this run" },
    { "repeat", 0, VOCO_OPT_LIST, AT(repeat), "DATASET=N",
      "count the volumes of a dataset N times in an epoch", .role = VOCO_NUMERIC },
    { "exclude", 0, VOCO_OPT_FILE, AT(exclude), "REPORT",
      "leave out the volumes that a report of voco leak names", .role = VOCO_NUMERIC },
    { "window", 0, VOCO_OPT_RANGE, AT(window), "LOW,HIGH",
      "intensities that become 0 and 1, for a store of type i16", .role = VOCO_NUMERIC },
    { "no-augment", 0, VOCO_OPT_OFF, AT(augment), NULL,
      "neither flips, quarter turns nor intensity shifts", .role = VOCO_NUMERIC },
    { "loader-threads", 0, VOCO_OPT_INT, AT(run.loader_threads), "N",
      "threads that prefetch batches; 0: one", 0, 256 },

    { "feature-size", 'f', VOCO_OPT_INT, AT(feature), "N",
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768,
      .section = "Model", .role = VOCO_IDENTITY },
    { "merging", 0, VOCO_OPT_CHOICE, AT(merging), "ORDER",
      "patch merging: legacy as in all published weights, fixed as in MONAI 1.5", 0, 0,
      voco_merging_names, .role = VOCO_IDENTITY },
    { "init", 0, VOCO_OPT_FILE, AT(init), "FILE|hash:SEED",
      "start from weights, or from the reference's formula, instead of random ones" },
    { "partial", 0, VOCO_OPT_FLAG, AT(partial), NULL,
      "with --init: load the parameters that fit; others of the backbone start fresh" },
    { "min-coverage", 0, VOCO_OPT_REAL, AT(min_coverage), "PERCENT",
      "as --partial, but the file must have this share of the backbone", 0, 100 },

    { "batch", 'b', VOCO_OPT_INT, AT(batch), "N", "volumes in a step", 1, 1024,
      .section = "Step", .role = VOCO_NUMERIC },
    { "sw", 0, VOCO_OPT_INT, AT(sw), "N", "random crops of a volume, besides 9 base crops",
      1, 64, .role = VOCO_NUMERIC },
    { "shards", 0, VOCO_OPT_INT, AT(shards), "N",
      "parts of the batch; statistics of the heads and pairs of volumes stay within one", 1,
      1024, .role = VOCO_NUMERIC },
    { "teacher", 0, VOCO_OPT_CHOICE, AT(teacher), "yes|no",
      "no: the student itself, without gradient, in the teacher's place", 0, 0, no_yes,
      .role = VOCO_IDENTITY },
    { "inter", 0, VOCO_OPT_CHOICE, AT(inter), "yes|no",
      "the term between volumes", 0, 0, no_yes, .role = VOCO_NUMERIC },
    { "reg", 0, VOCO_OPT_CHOICE, AT(reg), "yes|no",
      "the term that drives base crops apart", 0, 0, no_yes, .role = VOCO_NUMERIC },
    { "momentum", 0, VOCO_OPT_REAL, AT(momentum), "X",
      "momentum of the teacher, a moving average of the student", 0, 1, .role = VOCO_NUMERIC },
    { "drop", 0, VOCO_OPT_REAL, AT(drop), "P",
      "share of embeddings that are set to 0 for the student", 0, 0.95, .role = VOCO_NUMERIC },
    { "precision", 0, VOCO_OPT_CHOICE, AT(run.precision), "TYPE",
      "type of stored activations; auto: bf16 where the CPU multiplies it, else f32",
      0, 0, voco_precision_names },
    VOCO_SEED_OPTION(struct voco_pretrain_config),

    { "steps", 'n', VOCO_OPT_INT, AT(run.loop.steps), "N", "length of the run", 1, 1e12,
      .section = "Optimizer", .role = VOCO_NUMERIC },
    { "lr", 0, VOCO_OPT_REAL, AT(run.lr), "X", "learning rate", 0, 1e3,
      .role = VOCO_NUMERIC },
    { "schedule", 0, VOCO_OPT_CHOICE, AT(run.schedule), "KIND",
      "schedule of the learning rate", 0, 0, voco_schedule_names, .role = VOCO_NUMERIC },
    { "warmup", 0, VOCO_OPT_INT, AT(run.warmup), "N",
      "steps in which the rate rises from 0", 0, 1e12, .role = VOCO_NUMERIC },
    VOCO_OPTIMIZER_OPTIONS(struct voco_pretrain_config),
    { "no-amsgrad", 0, VOCO_OPT_OFF, AT(run.amsgrad), NULL,
      "plain AdamW, without the maximum of the second moment", .role = VOCO_NUMERIC },

    VOCO_MACHINE_OPTIONS(struct voco_pretrain_config, "Machine"),
    { "group", 0, VOCO_OPT_INT, AT(group), "N",
      "crops in a micro-batch; 0: up to 4, by memory", 0, 1024 },
    { "device", 0, VOCO_OPT_CHOICE, AT(run.device), "NAME",
      "oracle is the double-precision reference: right and slow", 0, 0, voco_device_names },

    VOCO_LOOP_OPTIONS(struct voco_pretrain_config),
    { "replay", 0, VOCO_OPT_FILE, AT(replay), "FILE|hash:SEED:B:SW",
      "use one given batch in every step, instead of a store",
      .section = "Reproduction", .role = VOCO_NUMERIC },
    { 0 }
};

enum voco_err
voco_pretrain_check(const struct voco_pretrain_config *c)
{
    const struct voco_run_config *r = &c->run;

    if (!r->loop.out)
        return voco_fail(VOCO_EUSAGE, "pretrain: --out RUN is missing: where should the run "
                         "go?");
    if (!r->store == !c->replay)
        return voco_fail(VOCO_EUSAGE, "pretrain: %s", r->store ? "--store and --replay "
                         "exclude each other" : "--store STORE is missing: make one with "
                         "voco convert");
    if (r->beta1 >= 1.0 || r->beta2 >= 1.0)
        return voco_fail(VOCO_EUSAGE, "pretrain: --beta1 %g --beta2 %g: expected numbers "
                         "below 1", r->beta1, r->beta2);
    if (r->schedule == VOCO_WARMUP_COSINE && r->loop.steps <= r->warmup)
        voco_warn("all %lld steps lie inside the warm-up of %lld, the rate never gets to "
                  "%g: see --warmup and --schedule", (long long)r->loop.steps,
                  (long long)r->warmup, r->lr);
    return voco_device_by_name(voco_device_names[r->device],
                               (enum voco_precision)r->precision) ? VOCO_OK : VOCO_EUSAGE;
}
