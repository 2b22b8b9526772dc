/*
 * Segmentation as a task: Dice on the validation volumes, label maps of others.
 */
#ifndef VOCO_TASK_SEGMENT_SEGMENT_H
#define VOCO_TASK_SEGMENT_SEGMENT_H

#include "train/task.h"

extern const struct voco_task voco_task_segment;

#endif
