/*
 * Torso-like CT phantoms: a body with lungs, heart, liver, spleen, kidneys, stomach,
 * bowel, vessels, spine, ribs and pelvis on a couch, in HU, with labels.
 *
 * The anatomy is one set of smooth shapes in patient millimetres; each phantom bends,
 * scales and enhances them by its own numbers, all drawn from (seed, index), so that the
 * same pair gives the same voxels on any machine and with any number of threads.
 */
#ifndef VOCO_DATA_PHANTOM_PHANTOM_H
#define VOCO_DATA_PHANTOM_PHANTOM_H

#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

enum voco_phantom_label {
    VOCO_PHANTOM_NONE,
    VOCO_PHANTOM_LUNG_RIGHT,
    VOCO_PHANTOM_LUNG_LEFT,
    VOCO_PHANTOM_HEART,
    VOCO_PHANTOM_LIVER,
    VOCO_PHANTOM_SPLEEN,
    VOCO_PHANTOM_KIDNEY_RIGHT,
    VOCO_PHANTOM_KIDNEY_LEFT,
    VOCO_PHANTOM_STOMACH,
    VOCO_PHANTOM_AORTA,
    VOCO_PHANTOM_SPINE,
    VOCO_PHANTOM_BONES          /* ribs, sternum, pelvis */
};
extern const char *const voco_phantom_label_name[];     /* NULL-terminated */

struct voco_phantom_options {
    uint64_t seed;
    uint32_t index;
    int64_t dim[3];
    double spacing_mm[3];
};

/* Axes run to the left, to the back and up, as scanners write them.  Both volumes are
 * allocated; ret_labels may be NULL. */
enum voco_err voco_phantom_make(const struct voco_phantom_options *o,
                                struct voco_volume *ret_image,
                                struct voco_volume *ret_labels);

#endif
