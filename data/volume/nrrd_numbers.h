/*
 * The fields of an NRRD header as numbers.
 */
#ifndef VOCO_DATA_VOLUME_NRRD_NUMBERS_H
#define VOCO_DATA_VOLUME_NRRD_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "data/volume/nrrd_head.h"

enum { VOCO_NRRD_DIMS = 16 };

struct voco_nrrd {
    const struct voco_nrrd_head *head;
    int64_t dimension, size[VOCO_NRRD_DIMS], line_skip, byte_skip;
    int n_size, n_spacing, n_axis, n_min, n_max;
    double spacing[VOCO_NRRD_DIMS], min[VOCO_NRRD_DIMS], max[VOCO_NRRD_DIMS];
    double axis[VOCO_NRRD_DIMS][3];           /* space directions */
    bool spatial[VOCO_NRRD_DIMS];             /* has a direction; false: "none" */
    double origin[3];
    bool has_origin;
    double axis_mm[VOCO_NRRD_DIMS], space_mm[3];      /* millimetres in the units */
};

/* From n->head, which is set; everything else of n is 0. */
enum voco_err voco_nrrd_numbers(const char *path, struct voco_nrrd *n);

/* "mm" "um" "" to millimetres each; a unit that is "", none or ??? is not known, and 1.  key is
 * for sentences. */
enum voco_err voco_nrrd_units(const char *path, const char *key, const char *value, int max,
                              double *out);

#endif
