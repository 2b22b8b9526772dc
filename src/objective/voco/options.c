/* The settings of VoCo. */
#include "objective/voco/voco.h"

#define AT(member) VOCO_AT(struct voco_pretrain_config, member)

static const char *const no_yes[] = { "no", "yes", NULL };

const struct voco_opt voco_pretrain_options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    { "no-augment", 0, VOCO_OPT_OFF, AT(augment), NULL,
      "neither flips, quarter turns nor intensity shifts", .role = VOCO_NUMERIC },

    VOCO_PRETRAIN_MODEL_OPTIONS,

    VOCO_PRETRAIN_STEP_OPTIONS,
    { "sw", 0, VOCO_OPT_INT, AT(sw), "N", "random crops of a volume, besides 9 base crops",
      1, 64, .role = VOCO_NUMERIC },
    { "shards", 0, VOCO_OPT_INT, AT(shards), "N",
      "parts of the batch; statistics of the heads and pairs of volumes stay within one", 1,
      1024, .role = VOCO_NUMERIC },
    { "teacher", 0, VOCO_OPT_CHOICE, AT(teacher), "yes|no",
      "no: the student itself, without gradient, in the teacher's place", 0, 0, no_yes,
      .role = VOCO_IDENTITY },
    { "inter", 0, VOCO_OPT_CHOICE, AT(inter), "yes|no",
      "the term between volumes", 0, 0, no_yes, .role = VOCO_NUMERIC },
    { "reg", 0, VOCO_OPT_CHOICE, AT(reg), "yes|no",
      "the term that drives base crops apart", 0, 0, no_yes, .role = VOCO_NUMERIC },
    { "momentum", 0, VOCO_OPT_REAL, AT(momentum), "X",
      "momentum of the teacher, a moving average of the student", 0, 1, .role = VOCO_NUMERIC },
    { "drop", 0, VOCO_OPT_REAL, AT(drop), "P",
      "share of embeddings that are set to 0 for the student", 0, 0.95, .role = VOCO_NUMERIC },

    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE|hash:SEED:B:SW"),
    { 0 }
};
