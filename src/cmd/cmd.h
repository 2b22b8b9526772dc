/* The verbs of the program: one file cmd_<verb>.c each, listed in cmd/cmd.c. */
#ifndef VOCO_CMD_CMD_H
#define VOCO_CMD_CMD_H

#include "base/opt.h"

extern const struct voco_verb *const voco_verbs[];      /* NULL-terminated */

extern const struct voco_verb voco_cmd_completion;
extern const struct voco_verb voco_cmd_convert;
extern const struct voco_verb voco_cmd_doctor;
extern const struct voco_verb voco_cmd_embed;
extern const struct voco_verb voco_cmd_eval;
extern const struct voco_verb voco_cmd_info;
extern const struct voco_verb voco_cmd_finetune;
extern const struct voco_verb voco_cmd_leak;
extern const struct voco_verb voco_cmd_model;
extern const struct voco_verb voco_cmd_phantom;
extern const struct voco_verb voco_cmd_plot;
extern const struct voco_verb voco_cmd_plan;
extern const struct voco_verb voco_cmd_predict;
extern const struct voco_verb voco_cmd_pretrain;
extern const struct voco_verb voco_cmd_probe;
extern const struct voco_verb voco_cmd_tasks;
extern const struct voco_verb voco_cmd_tune;
extern const struct voco_verb voco_cmd_verify;

/* The options of the recipe that a verb's --task names, before those of the command line. */
enum voco_err voco_cmd_take_recipe(const struct voco_verb *verb);

#endif
