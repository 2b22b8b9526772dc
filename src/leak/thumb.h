/*
 * Thumbnails of volumes, made to be compared: local contrast in cells, with no trace of
 * brightness, scale, window, spacing or the order of the axes in the file.
 *
 * Each volume has two.  The grid has cells of 4 mm, so that parts of the same scan agree
 * in it whatever was cut off; its landmarks say where to look.  The cube has 32^3 cells
 * of the whole volume, whatever its spacing says.
 */
#ifndef VOCO_LEAK_THUMB_H
#define VOCO_LEAK_THUMB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"
#include "leak/feature.h"

enum {
    VOCO_THUMB_MM = 4,
    VOCO_THUMB_CUBE = 32,
    VOCO_THUMB_COARSE = 8,      /* edge of the cube that whole volumes are looked up by */
    VOCO_THUMB_COARSE_N = 512,
    VOCO_THUMB_FLAT = -128      /* a cell without contrast */
};

struct voco_thumb {
    int64_t dim[3];
    int8_t *grid;               /* [dim0][dim1][dim2]: contrast times 24, or _FLAT; owned */
    int64_t textured;           /* cells with contrast */
    struct voco_feature *feature;
    float *value;               /* [n_features][VOCO_FEATURE] */
    int n_features;
    int8_t *cube;               /* [32^3], as the grid; owned */
    float coarse[VOCO_THUMB_COARSE_N];      /* of the cube, mean 0 and length 1 */
    double size_mm[3];          /* of the volume, along R, A, S */
};

/* The axes of v are turned to R, A, S, and voxels that are not finite become 0.  every: as
 * in feature.h.  VOCO_EFORMAT when v is constant or has another size than a scan; the
 * sentence names no file.  Free with voco_thumb_free, also after a failure. */
enum voco_err voco_thumb_make(struct voco_volume *v, bool every, struct voco_thumb *ret);
void voco_thumb_free(struct voco_thumb *t);     /* accepts {0} */

#endif
