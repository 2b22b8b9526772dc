/*
 * The devices by name.  Whatever is not of one device finds it here; dry and trace wrap
 * one of these.
 */
#ifndef VOCO_DEV_LIST_H
#define VOCO_DEV_LIST_H

#include "dev/device.h"

/* How activations are stored.  auto: in bf16 where the device multiplies it, else f32. */
enum voco_precision { VOCO_PRECISION_AUTO, VOCO_PRECISION_F32, VOCO_PRECISION_BF16 };

/* For the options --device and --precision; NULL at the end. */
extern const char *const voco_device_names[];
extern const char *const voco_precision_names[];

/* The device of --device name that stores activations so.  NULL, with the sentence in
 * voco_fail_text(), where there is none; "cpu" has all precisions. */
const struct voco_device *voco_device_by_name(const char *name,
                                              enum voco_precision precision);

/* For commands that let neither be chosen: cpu in f32. */
const struct voco_device *voco_device_default(void);

#endif
