/* The settings of Swin UNETR's pre-training. */
#include <inttypes.h>

#include "objective/heads/heads.h"
#include "objective/heads/step.h"

#define AT(member) VOCO_AT(struct voco_heads_config, member)

static const char *const encoders[] = { "v1", "v2", NULL };

const struct voco_opt voco_heads_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,

    VOCO_PRETRAIN_MODEL_OPTIONS,
    { "encoder", 0, VOCO_OPT_CHOICE, AT(encoder), "v1|v2",
      "version of Swin UNETR: v1 as published, v2 as VoCo's", 0, 0, encoders,
      .role = VOCO_IDENTITY },

    VOCO_PRETRAIN_STEP_OPTIONS,
    { "crops", 0, VOCO_OPT_INT, AT(crops), "N", "random crops of a volume", 1, 64,
      .role = VOCO_NUMERIC },
    { "roi", 0, VOCO_OPT_INT, AT(roi), "N",
      "edge of a crop in voxels, a multiple of 32; published: 96", VOCO_HEADS_ROI_MIN, 512,
      .role = VOCO_NUMERIC },
    { "shards", 0, VOCO_OPT_INT, AT(shards), "N",
      "parts of the batch; contrast and donors of cut-outs stay within one", 1, 1024,
      .role = VOCO_NUMERIC },

    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE|hash:SEED:N:EDGE"),
    { 0 }
};

enum voco_err
voco_heads_check(const void *config)
{
    const struct voco_heads_config *c = config;

    if (c->roi % VOCO_HEADS_MULTIPLE != 0)
        return voco_fail(VOCO_EUSAGE, "--roi %" PRId64 ": expected a multiple of %d, by which "
                         "the network divides a crop", c->roi, VOCO_HEADS_MULTIPLE);
    return voco_pretrain_check(config);
}
