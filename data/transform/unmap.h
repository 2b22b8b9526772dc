/*
 * The inverse of the transforms: maps predictions from the transformed grid to the grid of
 * the original volume.
 *
 * The record of the transforms (struct voco_transform_report, or a store's manifest)
 * holds every step.  All of them map indices by an affine: orientation and spacing
 * together, then crop, padding and resizing along the axes.
 */
#ifndef VOCO_DATA_TRANSFORM_UNMAP_H
#define VOCO_DATA_TRANSFORM_UNMAP_H

#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

struct voco_unmap {
    int64_t source_dim[3];
    double source_affine[4][4];
    struct voco_place source_place;     /* the record does not hold it: unknown */
    double to_full[4][4];       /* index of the source -> index after orient and spacing */
    int64_t full_dim[3];        /* beyond these the border is continued */
    double scale[3], shift[3];  /* that index -> index of the final grid */
    int64_t dim[3];             /* beyond these there are no predictions: cropped away */
};

/* VOCO_EFORMAT when the record is not one that transforms write. */
enum voco_err voco_unmap_parse(const char *json, struct voco_unmap *ret);

/* out[source_dim] = the nearest voxel of label[dim], 0 where there is none.  Half-way
 * between two, the even index is the nearest, as in torch. */
void voco_unmap_labels(const struct voco_unmap *m, const uint8_t *label, uint8_t *out);

/* out[source_dim] = trilinear in x[dim], which is outside where there is none. */
void voco_unmap_linear(const struct voco_unmap *m, const float *x, float outside,
                       float *out);

#endif
