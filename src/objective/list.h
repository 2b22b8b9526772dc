/*
 * The objectives of pre-training.  A new one is a line here, a row of voco_pretraining, and
 * a folder beside this file.
 */
#ifndef VOCO_OBJECTIVE_LIST_H
#define VOCO_OBJECTIVE_LIST_H

#include "train/objective.h"

enum voco_pretraining {
    VOCO_PRETRAIN_VOCO,
    VOCO_PRETRAIN_VOCO_CVPR,
    VOCO_PRETRAIN_VOCO_NNSSL,
    VOCO_PRETRAIN_CONTRAST,
    VOCO_PRETRAIN_SIMCLR,
    VOCO_PRETRAIN_SWIN_HEADS,
    VOCO_PRETRAIN_FUSION,
    VOCO_PRETRAIN_MAE,
    VOCO_PRETRAIN_GENESIS,
    VOCO_PRETRAIN_OMNI,
    VOCO_PRETRAININGS
};

/* For --objective; NULL at the end. */
extern const char *const voco_pretraining_names[];

extern const struct voco_objective *const voco_pretraining[VOCO_PRETRAININGS];

#endif
