/*
 * The position of the voxels of a NIfTI file, as its header gives it.
 *
 * A reader takes one of the two transforms, and readers differ in which.  A label map in
 * the space of a volume therefore repeats both, their codes and the unit, so that every
 * reader finds it where it finds the volume.
 */
#ifndef VOCO_DATA_VOLUME_PLACE_H
#define VOCO_DATA_VOLUME_PLACE_H

#include <stdbool.h>

struct voco_place {
    bool known;             /* false: of another format, or not kept */
    int units;              /* 0 not said, 1 metres, 2 millimetres, 3 micrometres */
    int qform_code, sform_code;
    double pixdim[4];       /* qfac, spacing */
    double quatern[3], qoffset[3];
    double srow[3][4];
};

#endif
