/*
 * Swin UNETR's own pre-training (Tang et al., CVPR 2022): two views of every crop, turned and
 * with boxes cut out; rotation, contrast and reconstruction on the deepest map of swinViT.
 * step.h has the losses, view.h the views.
 *
 * The published method trains version 1 of the encoder; for a comparison with VoCo it is
 * version 2 here, unless the settings ask for 1.
 */
#ifndef VOCO_OBJECTIVE_HEADS_HEADS_H
#define VOCO_OBJECTIVE_HEADS_HEADS_H

#include "objective/heads/cutview.h"
#include "objective/pretrain/common.h"

enum { VOCO_ENCODER_V1, VOCO_ENCODER_V2 };

struct voco_heads_config {
    struct voco_pretrain_common common;
    int64_t crops;                  /* of a volume */
    int64_t roi;                    /* edge of a crop */
    int64_t shards;
    int encoder;                    /* VOCO_ENCODER_V1 ... */
    /* prepare sets them */
    int batch_crops, edge;          /* of a step; a replay has sizes of its own */
    const struct voco_cutview *views;  /* of a replay; NULL: they are drawn */
};

extern const struct voco_objective voco_objective_swin_heads;

/* The table of settings of the objective. */
extern const struct voco_opt voco_heads_options[];

/* VOCO_EUSAGE: settings that are missing or contradict each other. */
enum voco_err voco_heads_check(const void *config);

#endif
