/*
 * The options of every training run, for the tables of their verbs.
 */
#ifndef VOCO_CMD_LOOP_OPTIONS_H
#define VOCO_CMD_LOOP_OPTIONS_H

#include "base/opt.h"
#include "train/loop.h"

extern const char *const voco_resume_names[];

/* l: the struct voco_loop_config of the verb. */
#define VOCO_LOOP_OPTIONS(l)                                                            \
    { "resume", 'r', VOCO_OPT_CHOICE, &(l).resume, "HOW",                               \
      "auto: go on from the newest checkpoint in RUN, if there is one", 0, 0,           \
      voco_resume_names, .section = "Run" },                                            \
    { "stop-after", 0, VOCO_OPT_INT, &(l).stop_after, "STEP",                           \
      "stop when so many steps are done, as a signal would; 0: no", 0, 1e12 },          \
    { "max-hours", 0, VOCO_OPT_REAL, &(l).max_hours, "H",                               \
      "stop after this time, with a checkpoint and exit status 75; 0: no", 0, 1e6 },    \
    { "checkpoint-minutes", 0, VOCO_OPT_REAL, &(l).checkpoint_minutes, "M",             \
      "time between checkpoints; 0: not by time", 0, 1e6 },                             \
    { "checkpoint-steps", 0, VOCO_OPT_INT, &(l).checkpoint_steps, "N",                  \
      "also every N steps; 0: by time alone", 0, 1e12 },                                \
    { "keep-last", 0, VOCO_OPT_INT, &(l).keep_last, "N", "checkpoints that are kept",   \
      1, 1e6 },                                                                         \
    { "skip-limit", 0, VOCO_OPT_INT, &(l).skip_limit, "N",                              \
      "steps in a row that may be skipped for NaN before a roll-back", 1, 1e6 },        \
    { "rollback-limit", 0, VOCO_OPT_INT, &(l).rollback_limit, "N",                      \
      "roll-backs before the run gives up", 0, 1e6 }

#endif
