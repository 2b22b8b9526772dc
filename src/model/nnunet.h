/*
 * nnU-Net's plans for volumes: spacing, intensities, windows, classes, and the order of
 * axes.  They are in its checkpoints, under init_args, and in plans.json files.
 *
 * nnU-Net takes volumes as they lie in the file, axes z, y, x, in the order of the plans'
 * transpose_forward.  The options made here do the same: volumes are not reoriented, and
 * the network's axes are named.  Two things differ: volumes are resampled linearly, where
 * nnU-Net uses cubic splines, and before intensities are changed.
 */
#ifndef VOCO_MODEL_NNUNET_H
#define VOCO_MODEL_NNUNET_H

#include "model/seginfo.h"

struct voco_nnunet_source {
    const char *plans;          /* file; NULL: of the checkpoint */
    const char *configuration;  /* "3d_fullres", ...; NULL: of the checkpoint, or this */
};

/* Whether f, or source, has plans; then *ret and *ret_axes (an index of voco_axes_name).
 * VOCO_EFORMAT naming the key where they cannot be understood, VOCO_EUSAGE where they ask
 * for a step that voco lacks.  Statistics that cannot be true are warned of.  Free *ret
 * with voco_seginfo_free, after a failure too. */
enum voco_err voco_nnunet_read(const struct voco_tensorfile *f, const char *path,
                               const struct voco_nnunet_source *source, bool *ret_found,
                               struct voco_seginfo *ret, int *ret_axes);

/* Whether the file's own plans say how axes lie, and how: an index of voco_axes_name. */
bool voco_nnunet_axes(const struct voco_tensorfile *f, int *ret_axes);

#endif
