/*
 * config.json of a run, and the part of it that its bits depend on.
 */
#ifndef VOCO_TRAIN_RUNCONFIG_H
#define VOCO_TRAIN_RUNCONFIG_H

#include "data/store.h"
#include "train/plan.h"
#include "train/run.h"

/* JSON text of the options, libraries, threads and data that the numbers depend on, for
 * the checkpoints. Free it. store may be NULL. */
char *voco_runconfig_options(const struct voco_run_config *c, const struct voco_store *store,
                             const struct voco_plan *plan, const struct voco_ctx *ctx);

/* Writes RUN/config.json around such options. */
enum voco_err voco_runconfig_write(const struct voco_run_config *c,
                                   const struct voco_plan *plan, const char *options);

/* Crops per group of the run that is in this folder already, 0 where there is none: the
 * order of summation, and so the bits, depend on it. */
int64_t voco_runconfig_group(const char *run);

/* A checkpoint's options against those of now: another model is VOCO_ECHECKPOINT, other
 * differences are warnings with both values. */
enum voco_err voco_runconfig_compare(const char *checkpoint, const char *then,
                                     const char *now);

#endif
