/* The settings of omni-supervised pre-training. */
#include "base/log.h"
#include "objective/omni/omni.h"
#include "objective/voco/rows.h"

#define AT(member) VOCO_AT(struct voco_omni_config, member)

const struct voco_opt voco_omni_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    { "labelled", 0, VOCO_OPT_FOLDER, AT(labelled), "STORE",
      "volumes with label maps, made by voco convert" },
    VOCO_AUGMENT_OPTION,

    VOCO_PRETRAIN_MODEL_OPTIONS,
    { "classes", 0, VOCO_OPT_INT, AT(classes), "N",
      "classes, background included; 0: as many as the label maps have", 0, 256,
      .role = VOCO_IDENTITY },

    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_CROP_OPTIONS,
    VOCO_POSITIONS_OPTION,
    VOCO_SHARDS_OPTION,
    VOCO_MOMENTUM_OPTION,
    VOCO_DROP_OPTION,
    { "labelled-batch", 0, VOCO_OPT_INT, AT(batch), "N", "labelled volumes in a step", 1, 256,
      .role = VOCO_NUMERIC },
    { "labelled-samples", 0, VOCO_OPT_INT, AT(samples), "N", "crops of a labelled volume", 1,
      256, .role = VOCO_NUMERIC },
    { "labelled-roi", 0, VOCO_OPT_INT, AT(roi), "N",
      "edge of a labelled crop, a multiple of 32", 32, 1024, .role = VOCO_NUMERIC },
    { "positive", 0, VOCO_OPT_REAL, AT(positive), "SHARE",
      "share of labelled crops around a labelled voxel: 0.9 is pos:neg 9:1", 0, 1,
      .role = VOCO_NUMERIC },
    VOCO_SEMI_OPTIONS(struct voco_omni_config, semi),

    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

enum voco_err
voco_omni_check(const void *config)
{
    const struct voco_omni_config *c = config;
    const enum voco_err err = voco_objective_voco.check(config);

    if (err != VOCO_OK)
        return err;
    if (!c->labelled == !c->voco.common.replay)
        return voco_fail(VOCO_EUSAGE, "pretrain: %s", c->labelled ? "--labelled and --replay "
                         "exclude each other" : "--labelled STORE is missing: --objective "
                         "omni learns from label maps, too");
    if (c->roi % VOCO_UNETR_MULTIPLE != 0)
        return voco_fail(VOCO_EUSAGE, "pretrain: --labelled-roi %lld: expected a multiple of "
                         "%d", (long long)c->roi, VOCO_UNETR_MULTIPLE);
    return voco_semi_check(&c->semi, "pretrain");
}
