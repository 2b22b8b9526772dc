/*
 * config.json of a run, and the part of it that its bits depend on.
 */
#ifndef VOCO_TRAIN_RUNCONFIG_H
#define VOCO_TRAIN_RUNCONFIG_H

#include <jansson.h>

#include "dev/shape.h"

/* Adds device, precision, threads, kernels, libraries and version to options. */
void voco_runconfig_machine(json_t *options, const struct voco_ctx *ctx);

/* Adds a hash of the implementations that the device takes for the shapes of a step, if
 * there is a choice. */
void voco_runconfig_choices(json_t *options, const struct voco_ctx *ctx,
                            const struct voco_uses *uses);

/* The text of options as checkpoints keep it; options are released. Free the result. */
char *voco_runconfig_text(json_t *options);

/* Writes RUN/config.json: when and where, these options, and more keys of its own, which
 * are released. */
enum voco_err voco_runconfig_write(const char *run, const char *options, json_t *more);

/* A whole number among the options of the run that is in this folder already, such as the
 * size of a group, on which the order of summation and so the bits depend; 0 where there
 * is none. */
int64_t voco_runconfig_integer(const char *run, const char *key);

/* Whether an option of that run is this word. */
bool voco_runconfig_is(const char *run, const char *key, const char *word);

#endif
