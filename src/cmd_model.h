/* The verbs below voco model. */
#ifndef VOCO_CMD_MODEL_H
#define VOCO_CMD_MODEL_H

#include "base/opt.h"

extern const struct voco_verb voco_cmd_model_export;
extern const struct voco_verb voco_cmd_model_import;

/* What --merging takes. */
extern const char *const voco_merging_names[];

#endif
