/* voco finetune: tasks on labelled volumes. */
#include "cmd/cmd.h"
#include "objective/segment/finetune.h"
#include "task/segment/segment.h"
#include "train/schedule.h"

static struct voco_finetune_config c = VOCO_FINETUNE_DEFAULTS;

static enum voco_err
run(int argc, char **argv)
{
    const enum voco_err err = voco_finetune_check(&c);

    (void)argc;
    (void)argv;
    return err != VOCO_OK ? err
        : voco_run(c.unlabelled ? &voco_objective_semi : &voco_objective_segment,
                   &voco_task_segment, &c);
}

static const struct voco_verb voco_cmd_finetune_seg = {
    .name = "finetune seg",
    .summary = "train a whole network to segment labelled volumes",
    .args = "",
    .details = "Trains from pre-trained weights, or from scratch.  A run that was stopped,\n"
               "by a signal or --max-hours (exit status 75), goes on when the same command\n"
               "is given again.\n"
               "\n"
               "  voco convert --preset abdomen -o store dataset.json\n"
               "  voco finetune seg --store store --weights run/model.safetensors --out tuned\n"
               "  voco predict --weights tuned/best.safetensors -o labels scans/",
    .options = voco_finetune_options,
    .config = &c,
    .task = &c.recipe,
    .max_args = 0,
    .run = run,
};

static const struct voco_verb *const subs[] = { &voco_cmd_finetune_seg, NULL };

const struct voco_verb voco_cmd_finetune = {
    .name = "finetune",
    .summary = "train a network on labelled volumes, from pre-trained weights",
    .args = "",
    .details = "'voco finetune seg --help' explains its options.",
    .subs = subs,
};
