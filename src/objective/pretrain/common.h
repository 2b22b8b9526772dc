/*
 * Settings that all objectives of pre-training share, and the functions that use them.
 *
 * The struct of an objective's settings begins with a struct voco_pretrain_common named
 * common.  Its table of options is made of the rows below and of its own, section by
 * section: DATA, MODEL, STEP, OPTIMIZER, MACHINE, REPLAY.  Functions that take a config
 * accept a pointer to any such struct.
 */
#ifndef VOCO_OBJECTIVE_PRETRAIN_COMMON_H
#define VOCO_OBJECTIVE_PRETRAIN_COMMON_H

#include <math.h>

#include "objective/list.h"
#include "train/objective.h"
#include "train/schedule.h"
#include "train/settings.h"

struct voco_pretrain_common {
    struct voco_run_config run;
    int objective;              /* enum voco_pretraining */
    const char *replay;         /* instead of run.store */
    const char *exclude;        /* report of voco leak; NULL: none */
    const char *init;           /* NULL, "hash:SEED" or a weights file */
    bool partial;               /* of init: take tensors that fit ... */
    double min_coverage;        /* ... and per cent of the backbone that it must have */
    int64_t feature, batch;
    int merging;                /* enum voco_merging */
    struct voco_opt_list repeat;
    double window[2];           /* of an i16 store; NaN: as converted */
    int64_t group;              /* crops in a micro-batch; 0: planned */
};

/* The published schedule and optimizer, and the Base model. */
#define VOCO_PRETRAIN_COMMON(which) {                                                   \
    .run = { .loop = { .steps = 250000, .checkpoint_minutes = 30, .keep_last = 3,       \
                       .skip_limit = 5, .rollback_limit = 3 },                          \
             .warmup = 5000, .schedule = VOCO_WARMUP_COSINE, .lr = 1e-4,                \
             .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,           \
             .sgd_momentum = 0.99, .amsgrad = true,                                     \
             .precision = VOCO_PRECISION_AUTO },                                        \
    .objective = which, .feature = 48, .batch = 4, .merging = VOCO_MERGING_LEGACY,      \
    .window = { NAN, NAN } }

/* ---- rows of options ---- */

#define VOCO_PRETRAIN_AT(member) VOCO_AT(struct voco_pretrain_common, member)

#define VOCO_PRETRAIN_DATA_OPTIONS                                                      \
    { "objective", 0, VOCO_OPT_CHOICE, VOCO_PRETRAIN_AT(objective), "NAME",             \
      "the loss to train with; --objective NAME --help explains one", 0, 0,             \
      voco_pretraining_names, .role = VOCO_IDENTITY },                                  \
    { "store", 's', VOCO_OPT_FOLDER, VOCO_PRETRAIN_AT(run.store), "STORE",              \
      "volumes made by voco convert", .section = "Data" },                              \
    { "out", 'o', VOCO_OPT_FOLDER, VOCO_PRETRAIN_AT(run.loop.out), "RUN",               \
      "folder of this run" },                                                           \
    { "repeat", 0, VOCO_OPT_LIST, VOCO_PRETRAIN_AT(repeat), "DATASET=N",                \
      "count the volumes of a dataset N times in an epoch", .role = VOCO_NUMERIC },     \
    { "exclude", 0, VOCO_OPT_FILE, VOCO_PRETRAIN_AT(exclude), "REPORT",                 \
      "leave out the volumes that a report of voco leak names", .role = VOCO_NUMERIC }, \
    { "window", 0, VOCO_OPT_RANGE, VOCO_PRETRAIN_AT(window), "LOW,HIGH",                \
      "intensities that become 0 and 1, for a store of type i16",                       \
      .role = VOCO_NUMERIC },                                                           \
    { "loader-threads", 0, VOCO_OPT_INT, VOCO_PRETRAIN_AT(run.loader_threads),          \
      "N", "threads that prefetch batches; 0: one", 0, 256 }

#define VOCO_PRETRAIN_MODEL_OPTIONS                                                     \
    { "feature-size", 'f', VOCO_OPT_INT, VOCO_PRETRAIN_AT(feature), "N",                \
      "width of the network: 12, 24, 48 (Base), 96 (Large), 192 (Huge)", 12, 768,       \
      .section = "Model", .role = VOCO_IDENTITY },                                      \
    { "merging", 0, VOCO_OPT_CHOICE, VOCO_PRETRAIN_AT(merging), "ORDER",                \
      "patch merging: legacy as in all published weights, fixed as in MONAI 1.5", 0, 0, \
      voco_merging_names, .role = VOCO_IDENTITY },                                      \
    { "init", 0, VOCO_OPT_FILE, VOCO_PRETRAIN_AT(init), "FILE|hash:SEED",               \
      "start from weights, or from the reference's formula, instead of random ones" },  \
    { "partial", 0, VOCO_OPT_FLAG, VOCO_PRETRAIN_AT(partial), NULL,                     \
      "with --init: load the parameters that fit; others of the backbone start fresh" },\
    { "min-coverage", 0, VOCO_OPT_REAL, VOCO_PRETRAIN_AT(min_coverage), "PERCENT",      \
      "as --partial, but the file must have this share of the backbone", 0, 100 }

#define VOCO_PRETRAIN_STEP_OPTIONS                                                      \
    { "batch", 'b', VOCO_OPT_INT, VOCO_PRETRAIN_AT(batch), "N",                         \
      "volumes in a step", 1, 1024, .section = "Step", .role = VOCO_NUMERIC },          \
    VOCO_PRECISION_OPTION(struct voco_pretrain_common),                                 \
    VOCO_SEED_OPTION(struct voco_pretrain_common)

#define VOCO_PRETRAIN_OPTIMIZER_OPTIONS                                                 \
    { "steps", 'n', VOCO_OPT_INT, VOCO_PRETRAIN_AT(run.loop.steps), "N",                \
      "length of the run", 1, 1e12, .section = "Optimizer", .role = VOCO_NUMERIC },     \
    { "lr", 0, VOCO_OPT_REAL, VOCO_PRETRAIN_AT(run.lr), "X", "learning rate",           \
      0, 1e3, .role = VOCO_NUMERIC },                                                   \
    { "warmup", 0, VOCO_OPT_INT, VOCO_PRETRAIN_AT(run.warmup), "N",                     \
      "steps in which the rate rises from 0", 0, 1e12, .role = VOCO_NUMERIC },          \
    VOCO_OPTIMIZER_OPTIONS(struct voco_pretrain_common),                                \
    { "no-amsgrad", 0, VOCO_OPT_OFF, VOCO_PRETRAIN_AT(run.amsgrad), NULL,               \
      "plain AdamW, without the maximum of the second moment", .role = VOCO_NUMERIC }

#define VOCO_PRETRAIN_MACHINE_OPTIONS                                                   \
    VOCO_MACHINE_OPTIONS(struct voco_pretrain_common, "Machine"),                       \
    { "group", 0, VOCO_OPT_INT, VOCO_PRETRAIN_AT(group), "N",                           \
      "crops in a micro-batch; 0: up to 4, by memory", 0, 1024 },                       \
    { "device", 0, VOCO_OPT_CHOICE, VOCO_PRETRAIN_AT(run.device), "NAME",               \
      "oracle is the double-precision reference: right and slow", 0, 0,                 \
      voco_device_names },                                                              \
    VOCO_LOOP_OPTIONS(struct voco_pretrain_common),                                     \
    { "probe", 0, VOCO_OPT_FOLDER, VOCO_PRETRAIN_AT(run.probe), "STORE",                \
      "labelled volumes for a small voxel probe of the encoder while it trains",        \
      .section = "Probe" },                                                             \
    { "probe-steps", 0, VOCO_OPT_INT, VOCO_PRETRAIN_AT(run.probe_steps), "K",           \
      "probe every K steps; 0: only at the beginning and at the end", 0, 1e12 }

/* form: of the value, "FILE". */
#define VOCO_PRETRAIN_REPLAY_OPTIONS(form)                                              \
    { "replay", 0, VOCO_OPT_FILE, VOCO_PRETRAIN_AT(replay), form,                       \
      "use one given batch in every step, instead of a store",                          \
      .section = "Reproduction", .role = VOCO_NUMERIC }

/* ---- what objectives do alike ---- */

/* VOCO_EUSAGE: settings that are missing or contradict each other. */
enum voco_err voco_pretrain_check(const void *config);

/* Opens the store and says what is in it.  (*exclude)[volumes]: those that are left out, or
 * NULL; the caller frees it.  Warns of a store with fewer volumes than a step takes. */
enum voco_err voco_pretrain_open_store(const void *config, int volumes,
                                       struct voco_store **store, bool **exclude);

/* Crops in a micro-batch: as asked, or as in the part of the run that is done, since the
 * order of summation depends on it; 0: free. */
int64_t voco_pretrain_group(const void *config);

/* The ladders of a plan: micro-batches of at most 4 crops, all kept; then some of them lean;
 * then some of them recomputed.  Sets choices and choice; job->user is a config. */
void voco_pretrain_ladders(struct voco_plan_job *job);
/* The same without lean ones, for networks in which they save nothing. */
void voco_pretrain_whole_ladders(struct voco_plan_job *job);

/* A line about micro-batches and memory. */
void voco_pretrain_announce_plan(const struct voco_device *dev, const struct voco_plan *plan);

/* Parameters from --init, for a model that is filled with random ones already.  want: parts
 * that are taken where the file has them; need: those that it must have (VOCO_PARTS_...). */
enum voco_err voco_pretrain_initialise(const void *config, struct voco_ctx *ctx,
                                       struct voco_model *model, unsigned want,
                                       unsigned need);

/* The store and the weights, for config.json.  store: NULL for a replay. */
void voco_pretrain_facts(const void *config, const struct voco_store *store, json_t *options,
                         json_t *more);

#endif
