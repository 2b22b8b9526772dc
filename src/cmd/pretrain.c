/* voco pretrain: the main job. */
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "objective/pretrain/common.h"
#include "objective/voco/voco.h"
#include "task/probe/watch.h"
#include "train/run.h"

static const struct voco_verb *chosen, *form(int i);

static enum voco_err
run(int argc, char **argv)
{
    struct voco_pretrain_common *config = chosen->config;
    const struct voco_objective *objective = voco_pretraining[config->objective];
    enum voco_err err;

    (void)argc;
    (void)argv;
    if (chosen != form(config->objective))
        return voco_fail(VOCO_EUSAGE, "pretrain: write --objective in full");
    config->run.watch = &voco_probe_watch;
    err = objective->check(config);
    return err == VOCO_OK ? voco_run(objective, NULL, config) : err;
}

static const struct voco_verb *
form(int i)
{
    static struct voco_verb forms[VOCO_PRETRAININGS];

    if (i >= VOCO_PRETRAININGS)
        return NULL;
    if (!forms[i].name) {
        const struct voco_objective *o = voco_pretraining[i];
        void *settings = malloc(o->config_bytes);

        VOCO_NEED(settings);
        memcpy(settings, o->defaults, o->config_bytes);
        forms[i] = voco_cmd_pretrain;
        forms[i].summary = o->summary;
        forms[i].options = o->options;
        forms[i].config = settings;
        if (o->details)
            forms[i].details = o->details;
    }
    return &forms[i];
}

const struct voco_verb voco_cmd_pretrain = {
    .name = "pretrain",
    .summary = "pre-train a Swin UNETR encoder with VoCo or another objective",
    .args = "",
    .details = "The defaults are those of the published Base model.  A run that was stopped,\n"
               "by a signal or --max-hours (exit status 75), goes on when the same command\n"
               "is given again.\n"
               "\n"
               "  voco convert --preset abdomen -o store CT/\n"
               "  voco pretrain --store store --out run\n"
               "  voco plot run",
    .options = voco_pretrain_options,
    .max_args = 0,
    .run = run,
    .choose = "objective",
    .form = form,
    .chosen = &chosen,
};
