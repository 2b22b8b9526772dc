/*
 * A volume cut into crops: as many of the same size as fit side by side, centred.
 */
#ifndef VOCO_TASK_EMBED_CROPS_H
#define VOCO_TASK_EMBED_CROPS_H

#include "data/store/store.h"
#include "data/volume/volume.h"

struct voco_crops {
    int n;
    float *voxel;               /* [n][edge][edge][edge] */
    int64_t (*start)[3];        /* [n]: the first voxel of each in the volume */
};
void voco_crops_free(struct voco_crops *c);         /* accepts {0} */

/* Of a volume, or of a volume of a store; source is its name in messages.  VOCO_EFORMAT
 * where not even one crop fits. */
enum voco_err voco_crops_cut(const struct voco_volume *v, const char *source, int edge,
                             struct voco_crops *ret);
enum voco_err voco_crops_read(const struct voco_store *s, int i, int edge,
                              struct voco_store_scratch *scratch, struct voco_crops *ret);

#endif
