/* voco pretrain: the main job. */
#include "cmd/cmd.h"
#include "objective/voco/voco.h"
#include "train/schedule.h"

static struct voco_pretrain_config c = VOCO_PRETRAIN_DEFAULTS;

static enum voco_err
run(int argc, char **argv)
{
    const enum voco_err err = voco_pretrain_check(&c);

    (void)argc;
    (void)argv;
    return err == VOCO_OK ? voco_run(&voco_objective_voco, NULL, &c) : err;
}

const struct voco_verb voco_cmd_pretrain = {
    .name = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo",
    .args = "",
    .details = "The defaults are those of the published Base model.  A run that was stopped,\n"
               "by a signal or --max-hours (exit status 75), goes on when the same command\n"
               "is given again.\n"
               "\n"
               "  voco convert --preset abdomen -o store CT/\n"
               "  voco pretrain --store store --out run\n"
               "  voco plot run",
    .options = voco_pretrain_options,
    .config = &c,
    .max_args = 0,
    .run = run,
};
