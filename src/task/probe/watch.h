/* A small voxel probe of the network that a run trains. */
#ifndef VOCO_TASK_PROBE_WATCH_H
#define VOCO_TASK_PROBE_WATCH_H

#include "train/watch.h"

/* Of at most 8 labelled volumes of config->probe; probe_dice in the record. */
extern const struct voco_watch voco_probe_watch;

#endif
