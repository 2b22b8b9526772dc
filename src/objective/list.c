/* The objectives of pre-training, by number. */
#include "objective/list.h"

#include "objective/dense/dense.h"
#include "objective/heads/heads.h"
#include "objective/omni/omni.h"
#include "objective/views/views.h"
#include "objective/voco/voco.h"

const char *const voco_pretraining_names[] = {
    [VOCO_PRETRAIN_VOCO] = "voco",
    [VOCO_PRETRAIN_VOCO_CVPR] = "voco-cvpr",
    [VOCO_PRETRAIN_VOCO_NNSSL] = "voco-nnssl",
    [VOCO_PRETRAIN_CONTRAST] = "contrast",
    [VOCO_PRETRAIN_SIMCLR] = "simclr",
    [VOCO_PRETRAIN_SWIN_HEADS] = "swin-heads",
    [VOCO_PRETRAIN_FUSION] = "fusion",
    [VOCO_PRETRAIN_MAE] = "mae",
    [VOCO_PRETRAIN_GENESIS] = "genesis",
    [VOCO_PRETRAIN_OMNI] = "omni",
    [VOCO_PRETRAININGS] = NULL
};

const struct voco_objective *const voco_pretraining[VOCO_PRETRAININGS] = {
    [VOCO_PRETRAIN_VOCO] = &voco_objective_voco,
    [VOCO_PRETRAIN_VOCO_CVPR] = &voco_objective_voco_cvpr,
    [VOCO_PRETRAIN_VOCO_NNSSL] = &voco_objective_voco_nnssl,
    [VOCO_PRETRAIN_CONTRAST] = &voco_objective_contrast,
    [VOCO_PRETRAIN_SIMCLR] = &voco_objective_simclr,
    [VOCO_PRETRAIN_SWIN_HEADS] = &voco_objective_swin_heads,
    [VOCO_PRETRAIN_FUSION] = &voco_objective_fusion,
    [VOCO_PRETRAIN_MAE] = &voco_objective_mae,
    [VOCO_PRETRAIN_GENESIS] = &voco_objective_genesis,
    [VOCO_PRETRAIN_OMNI] = &voco_objective_omni,
};
