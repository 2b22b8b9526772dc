/* The verbs below voco probe. */
#ifndef VOCO_CMD_PROBE_H
#define VOCO_CMD_PROBE_H

#include "base/opt.h"

extern const struct voco_verb voco_cmd_probe_voxels;

#endif
