/*
 * A volume cut into crops: as many of the same size as fit side by side, centred.  Along an
 * axis that is shorter than a crop there is one, with zeros around the volume.
 */
#ifndef VOCO_TASK_CROPS_H
#define VOCO_TASK_CROPS_H

#include "data/store/store.h"
#include "data/volume/volume.h"

struct voco_crops {
    int n;
    float *voxel;               /* [n][edge][edge][edge] */
    int64_t (*start)[3];        /* [n]: where each begins in the volume; below 0 where zeros
                                 * are in front of it */
};
void voco_crops_free(struct voco_crops *c);         /* accepts {0} */

/* Of a volume, or of a volume of a store; source is its name in the warning of zeros. */
enum voco_err voco_crops_cut(const struct voco_volume *v, const char *source, int edge,
                             struct voco_crops *ret);
/* One crop of a volume of a store, [edge]^3, wherever it begins, with zeros outside. */
enum voco_err voco_crop_read(const struct voco_store *s, int i, const int64_t start[3],
                             int edge, struct voco_store_scratch *scratch, float *ret);
enum voco_err voco_crops_read(const struct voco_store *s, int i, int edge,
                              struct voco_store_scratch *scratch, struct voco_crops *ret);

#endif
