/*
 * Pre-training by contrast between views: an encoder and a projector bring two views of a
 * crop together and keep those of other crops apart.
 *
 *   contrast   other crops of the same volume, views of CT-FM; anchors are those of view 0
 *   simclr     crops of all volumes of a shard, views of nnssl's SimCLR
 */
#ifndef VOCO_OBJECTIVE_VIEWS_VIEWS_H
#define VOCO_OBJECTIVE_VIEWS_VIEWS_H

#include "objective/pretrain/common.h"
#include "objective/views/step.h"
#include "objective/views/view.h"

/* What tells one objective of this folder from another. */
struct voco_views_kind_of {
    const struct voco_view_recipe *recipe;
    enum voco_head_norm norm;           /* of the projector */
    bool both;                          /* rows of both views are anchors */
    bool across;                        /* pairs of different volumes, within a shard */
};

struct voco_views_config {
    struct voco_pretrain_common common;
    const struct voco_views_kind_of *kind;
    int64_t crops, roi, shards;
    double strength;
    bool augment;
    double temperature;
    int64_t hidden, projection;         /* widths of the projector */
    struct voco_views_size size;        /* prepare sets it */
};

extern const struct voco_objective voco_objective_contrast, voco_objective_simclr;

/* Tables of settings and the defaults. */
extern const struct voco_opt voco_contrast_options[], voco_simclr_options[];
extern const struct voco_views_config voco_contrast_defaults, voco_simclr_defaults;

#endif
