/*
 * The settings of training runs: rows that the tables of all objectives share, and the
 * record of a table that config.json and checkpoints keep and that a resume compares.
 */
#ifndef VOCO_TRAIN_SETTINGS_H
#define VOCO_TRAIN_SETTINGS_H

#include <jansson.h>

#include "base/opt.h"
#include "train/objective.h"

extern const char *const voco_resume_names[], *const voco_schedule_names[];
extern const char *const voco_optimizer_names[];

/* Rows for tables of a struct `type` whose member run is a struct voco_run_config. */
#define VOCO_OPTIMIZER_OPTIONS(type)                                                    \
    { "schedule", 0, VOCO_OPT_CHOICE, VOCO_AT(type, run.schedule), "KIND",              \
      "of the learning rate", 0, 0, voco_schedule_names, .role = VOCO_NUMERIC },        \
    { "optimizer", 0, VOCO_OPT_CHOICE, VOCO_AT(type, run.optimizer), "NAME",            \
      "adamw, or sgd with Nesterov's momentum", 0, 0, voco_optimizer_names,             \
      .role = VOCO_IDENTITY },                                                          \
    { "clip", 0, VOCO_OPT_REAL, VOCO_AT(type, run.clip), "NORM",                        \
      "scale gradients with a larger norm down to it; 0: none", 0, 1e18,                \
      .role = VOCO_NUMERIC },                                                           \
    { "sgd-momentum", 0, VOCO_OPT_REAL, VOCO_AT(type, run.sgd_momentum), "X",           \
      "of sgd; 0: none", 0, 1, .role = VOCO_NUMERIC },                                  \
    { "weight-decay", 0, VOCO_OPT_REAL, VOCO_AT(type, run.weight_decay), "X",           \
      "decoupled in adamw, added to the gradient in sgd", 0, 1, .role = VOCO_NUMERIC }, \
    { "beta1", 0, VOCO_OPT_REAL, VOCO_AT(type, run.beta1), "X",                         \
      "decay of the first moment", 0, 1, .role = VOCO_NUMERIC },                        \
    { "beta2", 0, VOCO_OPT_REAL, VOCO_AT(type, run.beta2), "X",                         \
      "decay of the second moment", 0, 1, .role = VOCO_NUMERIC },                       \
    { "eps", 0, VOCO_OPT_REAL, VOCO_AT(type, run.eps), "X",                             \
      "added to the root of the second moment", 0, 1, .role = VOCO_NUMERIC }

#define VOCO_SEED_OPTION(type)                                                          \
    { "seed", 0, VOCO_OPT_INT, VOCO_AT(type, run.seed), "N",                            \
      "seed of all random numbers", 0, 9e15, .role = VOCO_NUMERIC }

#define VOCO_PRECISION_OPTION(type)                                                     \
    { "precision", 0, VOCO_OPT_CHOICE, VOCO_AT(type, run.precision), "TYPE",            \
      "type of stored activations; auto: bf16 where the CPU multiplies it, else f32",   \
      0, 0, voco_precision_names }

#define VOCO_MACHINE_OPTIONS(type, heading)                                             \
    { "memory", 'm', VOCO_OPT_SIZE, VOCO_AT(type, run.memory), "SIZE",                  \
      "limit of memory; 0: half of the available memory", 0, 1e15,                      \
      .section = heading },                                                             \
    { "threads", 't', VOCO_OPT_INT, VOCO_AT(type, run.threads), "N",                    \
      "compute threads; 0: one per core of this process", 0, 4096 },                    \
    { "trace", 0, VOCO_OPT_FLAG, VOCO_AT(type, run.trace), NULL,                        \
      "at the end, a table of where the time went: primitive, shapes, rate" }

#define VOCO_LOOP_OPTIONS(type)                                                         \
    { "resume", 'r', VOCO_OPT_CHOICE, VOCO_AT(type, run.loop.resume), "HOW",            \
      "auto: go on from the newest checkpoint in RUN, if there is one", 0, 0,           \
      voco_resume_names, .section = "Run" },                                            \
    { "stop-after", 0, VOCO_OPT_INT, VOCO_AT(type, run.loop.stop_after), "STEP",        \
      "stop after this step, as a signal would; 0: do not", 0, 1e12 },                  \
    { "max-hours", 0, VOCO_OPT_REAL, VOCO_AT(type, run.loop.max_hours), "H",            \
      "stop after this time, with a checkpoint and exit status 75; 0: do not", 0, 1e6 }, \
    { "checkpoint-minutes", 0, VOCO_OPT_REAL,                                           \
      VOCO_AT(type, run.loop.checkpoint_minutes), "M",                                  \
      "time between checkpoints; 0: not by time", 0, 1e6 },                             \
    { "checkpoint-steps", 0, VOCO_OPT_INT, VOCO_AT(type, run.loop.checkpoint_steps),    \
      "N", "also every N steps; 0: by time alone", 0, 1e12 },                           \
    { "keep-last", 0, VOCO_OPT_INT, VOCO_AT(type, run.loop.keep_last), "N",             \
      "checkpoints that are kept", 1, 1e6 },                                            \
    { "skip-limit", 0, VOCO_OPT_INT, VOCO_AT(type, run.loop.skip_limit), "N",           \
      "steps in a row that may be skipped for NaN before a roll-back", 1, 1e6 },        \
    { "rollback-limit", 0, VOCO_OPT_INT, VOCO_AT(type, run.loop.rollback_limit), "N",   \
      "roll-backs before the run gives up", 0, 1e6 },                                   \
    { "dry-run", 0, VOCO_OPT_FLAG, VOCO_AT(type, run.dry_run), NULL,                    \
      "print the plan, and the memory and operations that it needs, and stop" }

/* The settings in config that decide numbers, under the names of the options; "no-NAME" is
 * recorded as NAME.  Values that are not set (NULL, NaN, -1 of a choice) are null. */
json_t *voco_settings_record(const struct voco_opt *options, const void *config);

/*
 * The record of a checkpoint against that of now, both JSON objects as text: settings and
 * the facts that were added to them.  Another identity is VOCO_ECHECKPOINT; other
 * differences, vanished and new names among them, are warnings with both values.  A setting
 * that the checkpoint does not have, since its version had none, counts as its default.
 */
enum voco_err voco_settings_compare(const struct voco_objective *objective,
                                    const char *checkpoint, const char *then,
                                    const char *now);

#endif
