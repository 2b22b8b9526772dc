/*
 * The fields of an NRRD header by name, before they mean anything.
 */
#ifndef VOCO_DATA_VOLUME_NRRD_HEAD_H
#define VOCO_DATA_VOLUME_NRRD_HEAD_H

#include "base/err.h"
#include "data/volume/headtext.h"

/* Those that decide the type and the place of voxels. */
enum voco_nrrd_field {
    VOCO_NRRD_TYPE, VOCO_NRRD_ENCODING, VOCO_NRRD_ENDIAN, VOCO_NRRD_DIMENSION,
    VOCO_NRRD_SIZES, VOCO_NRRD_SPACINGS, VOCO_NRRD_UNITS, VOCO_NRRD_KINDS,
    VOCO_NRRD_SPACE, VOCO_NRRD_SPACE_DIMENSION, VOCO_NRRD_SPACE_DIRECTIONS,
    VOCO_NRRD_SPACE_ORIGIN, VOCO_NRRD_SPACE_UNITS, VOCO_NRRD_AXIS_MINS,
    VOCO_NRRD_AXIS_MAXS, VOCO_NRRD_CENTERS, VOCO_NRRD_OLD_MIN, VOCO_NRRD_OLD_MAX,
    VOCO_NRRD_LINE_SKIP, VOCO_NRRD_BYTE_SKIP, VOCO_NRRD_DATA_FILE,
    VOCO_NRRD_USED              /* how many there are */
};

struct voco_nrrd_head {
    const char *value[VOCO_NRRD_USED];      /* NULL: not in the header */
};

/* The name that a sentence calls a field by: "space origin". */
const char *voco_nrrd_name(enum voco_nrrd_field field);

/* Reads from the magic to the empty line, or to the list of data files behind
 * "data file: LIST"; values lie in the text of t.  VOCO_EFORMAT for a line that is no
 * field, and for a field that comes twice with different values. */
enum voco_err voco_nrrd_head_read(struct voco_headtext *t, struct voco_nrrd_head *ret);

#endif
