/*
 * Features of voxels: the values of an encoder's maps of all levels, interpolated there.
 *
 * Six maps side by side, 32 f numbers: the five that the decoder's skips and bottom come from
 * (encoder1, 2, 3, 4 and 10), and n(h3), which is a skip as it is.
 */
#ifndef VOCO_TASK_PROBE_MAPS_H
#define VOCO_TASK_PROBE_MAPS_H

#include "data/store/store.h"
#include "model/model.h"

enum { VOCO_PROBE_EDGE = 64 };  /* of a crop */

/* The encoder of a model, with a decoder or without. */
const struct voco_encoder *voco_maps_encoder(const struct voco_model *model);
int voco_maps_width(const struct voco_encoder *e);

struct voco_maps_options {
    int crops, voxels;          /* of a volume; voxels of a crop */
    uint64_t seed;
};

/* The voxels of a labelled volume. */
struct voco_maps {
    int n, width;
    uint16_t *label;            /* [n] */
    float *x;                   /* [n][width] */
};

/*
 * Of volume i of a store: voxels at random in crops at random places, both a function of the
 * seed and of the id of the volume.  The network gets the crops one by one.
 */
enum voco_err voco_maps_read(const struct voco_store *s, int i,
                             const struct voco_maps_options *o, struct voco_ctx *ctx,
                             const struct voco_model *model,
                             struct voco_store_scratch *scratch, struct voco_maps *ret);
void voco_maps_free(struct voco_maps *m);           /* accepts {0} */

/* ret[n][width] of the voxels at[n] of one crop [VOCO_PROBE_EDGE]^3. */
enum voco_err voco_maps_sample(struct voco_ctx *ctx, const struct voco_model *model,
                               const float *crop, const int (*at)[3], int n, float *ret);

#endif
