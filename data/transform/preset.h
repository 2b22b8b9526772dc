/*
 * Presets of the transform chain by body region, as the method was published.
 */
#ifndef VOCO_DATA_TRANSFORM_PRESET_H
#define VOCO_DATA_TRANSFORM_PRESET_H

#include "data/transform/transform.h"

struct voco_preset {
    const char *name;
    const char *summary;        /* one line for --help */
    struct voco_transform transform;
};

extern const struct voco_preset voco_presets[];     /* the last name is NULL */
extern const char *const voco_preset_names[];       /* NULL-terminated, same order */

#endif
