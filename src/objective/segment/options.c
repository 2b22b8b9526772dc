/* The settings of segmentation. */
#include "base/log.h"
#include "objective/segment/finetune.h"
#include "train/settings.h"

#define AT(member) VOCO_AT(struct voco_finetune_config, member)

static const char *const nets[] = { "swinunetr", "plainconv", NULL };
static const char *const adapters[] = { "refuse", "drop", "repeat", "mean", NULL };

const struct voco_opt voco_finetune_options[] = {
    { "store", 's', VOCO_OPT_FOLDER, AT(run.store), "STORE",
      "labelled volumes made by voco convert", .section = "Data" },
    { "task", 0, VOCO_OPT_TEXT, AT(recipe), "NAME",
      "defaults of a recipe; voco tasks lists them" },
    { "out", 'o', VOCO_OPT_FOLDER, AT(run.loop.out), "RUN", "folder of this run" },
    { "folds", 0, VOCO_OPT_INT, AT(folds), "N",
      "parts of the volumes, one of which validates; 1: none does", 1, 1e6,
      .role = VOCO_NUMERIC },
    { "fold", 0, VOCO_OPT_INT, AT(fold), "K", "the part that validates, from 0", 0, 1e6,
      .role = VOCO_NUMERIC },
    { "fraction", 0, VOCO_OPT_REAL, AT(fraction), "SHARE",
      "share of the training volumes that is used", 0, 1, .role = VOCO_NUMERIC },
    { "split-seed", 0, VOCO_OPT_INT, AT(split_seed), "N",
      "seed of folds and fraction", 0, 9e15, .role = VOCO_NUMERIC },
    { "loader-threads", 0, VOCO_OPT_INT, AT(run.loader_threads), "N",
      "threads that prefetch crops; 0: one", 0, 256 },

    { "weights", 'w', VOCO_OPT_FILE, AT(weights), "FILE",
      "start from these weights (default: from random ones)", .section = "Model" },
    { "partial", 0, VOCO_OPT_FLAG, AT(partial), NULL,
      "accept weights that do not cover the encoder; load the parameters that fit" },
    { "min-coverage", 0, VOCO_OPT_REAL, AT(min_coverage), "PERCENT",
      "as --partial, but the file must have this share of the encoder", 0, 100 },
    { "adapter", 0, VOCO_OPT_CHOICE, AT(adapter), "HOW",
      "how to use weights of one channel when images have several", .choices = adapters },
    { "net", 0, VOCO_OPT_CHOICE, AT(net), "NAME",
      "network: Swin UNETR, or nnU-Net's (default: of the weights, or swinunetr)",
      .choices = nets, .role = VOCO_IDENTITY },
    { "feature-size", 'f', VOCO_OPT_INT, AT(feature), "N",
      "width of the network; 0: of the weights, or 48", 0, 768, .role = VOCO_IDENTITY },
    { "merging", 0, VOCO_OPT_CHOICE, AT(merging), "ORDER",
      "patch merging: legacy or fixed (default: of the weights, or legacy)",
      .choices = voco_merging_names, .role = VOCO_IDENTITY },
    { "plain", 0, VOCO_OPT_FLAG, AT(plain), NULL,
      "version 1 of Swin UNETR, as other published weights have it",
      .role = VOCO_IDENTITY },
    { "classes", 'c', VOCO_OPT_INT, AT(classes), "N",
      "classes, background included; 0: as many as the label maps have", 0, 256,
      .role = VOCO_IDENTITY },
    { "freeze-encoder", 0, VOCO_OPT_FLAG, AT(freeze_encoder), NULL,
      "train only the decoder and the output layer", .role = VOCO_NUMERIC },

    { "roi", 0, VOCO_OPT_REAL3, AT(roi), "N",
      "edges of a crop, one number or three, multiples of 32 for Swin UNETR", 1, 1024,
      .section = "Step", .role = VOCO_NUMERIC },
    { "batch", 'b', VOCO_OPT_INT, AT(batch), "N", "volumes in a step", 1, 256,
      .role = VOCO_NUMERIC },
    { "samples", 0, VOCO_OPT_INT, AT(samples), "N", "crops of a volume", 1, 256,
      .role = VOCO_NUMERIC },
    { "positive", 0, VOCO_OPT_REAL, AT(positive), "SHARE",
      "share of crops around a labelled voxel: 0.5 is pos:neg 1:1, 0.9 is 9:1", 0, 1,
      .role = VOCO_NUMERIC },
    { "flip", 0, VOCO_OPT_REAL, AT(flip), "P", "probability of a flip of each axis", 0, 1,
      .role = VOCO_NUMERIC },
    { "turn", 0, VOCO_OPT_REAL, AT(turn), "P",
      "probability of quarter turns, where the crop is square", 0, 1, .role = VOCO_NUMERIC },
    { "scale", 0, VOCO_OPT_REAL, AT(scale), "P",
      "probability that intensities are multiplied by 0.9 to 1.1", 0, 1, .role = VOCO_NUMERIC },
    { "shift", 0, VOCO_OPT_REAL, AT(shift), "P",
      "probability that -0.1 to 0.1 is added to intensities", 0, 1, .role = VOCO_NUMERIC },
    VOCO_PRECISION_OPTION(struct voco_finetune_config),
    VOCO_SEED_OPTION(struct voco_finetune_config),

    { "epochs", 'n', VOCO_OPT_INT, AT(epochs), "N", "passes over the training volumes", 1,
      1e9, .section = "Optimizer", .role = VOCO_NUMERIC },
    { "warmup-epochs", 0, VOCO_OPT_INT, AT(warmup_epochs), "N",
      "epochs in which the rate rises from 0", 0, 1e9,
      .role = VOCO_NUMERIC },
    { "lr", 0, VOCO_OPT_REAL, AT(run.lr), "X", "learning rate", 0, 1e3,
      .role = VOCO_NUMERIC },
    { "layer-decay", 0, VOCO_OPT_REAL, AT(layer_decay), "X",
      "the rate of each level of the encoder is this share of the next one's", 0, 1,
      .role = VOCO_NUMERIC },
    VOCO_OPTIMIZER_OPTIONS(struct voco_finetune_config),
    { "amsgrad", 0, VOCO_OPT_FLAG, AT(run.amsgrad), NULL,
      "AdamW with the maximum of the second moment", .role = VOCO_NUMERIC },
    { "squared-dice", 0, VOCO_OPT_FLAG, AT(squared_dice), NULL,
      "Dice loss with squares, and background as a class", .role = VOCO_NUMERIC },

    { "semi", 0, VOCO_OPT_FOLDER, AT(unlabelled), "STORE",
      "volumes that a teacher labels: a copy of the network, made during the run",
      .section = "Semi-supervised" },
    VOCO_SEMI_OPTIONS(struct voco_finetune_config, semi),

    { "val-epochs", 0, VOCO_OPT_INT, AT(run.val_epochs), "N",
      "epochs between validations; 0: only at the end", 0, 1e9, .section = "Validation",
      .role = VOCO_NUMERIC },
    { "val-overlap", 0, VOCO_OPT_REAL, AT(val_overlap), "SHARE",
      "overlap of neighbouring windows; 0.75 in the published recipes", 0, 0.95,
      .role = VOCO_NUMERIC },

    VOCO_MACHINE_OPTIONS(struct voco_finetune_config, "Machine"),
    VOCO_LOOP_OPTIONS(struct voco_finetune_config),
    { 0 }
};

enum voco_err
voco_finetune_check(const struct voco_finetune_config *c)
{
    const struct voco_run_config *r = &c->run;

    if (!r->store || (!r->loop.out && !r->dry_run))
        return voco_fail(VOCO_EUSAGE, "finetune seg: %s", r->store ? "--out RUN is missing: "
                         "where should the run go?" : "--store STORE is missing: make one of "
                         "labelled volumes with voco convert");
    if (c->fold >= c->folds)
        return voco_fail(VOCO_EUSAGE, "finetune seg: --fold %lld: there are folds 0 to %lld",
                         (long long)c->fold, (long long)c->folds - 1);
    if (r->beta1 >= 1.0 || r->beta2 >= 1.0 || r->sgd_momentum >= 1.0 || c->fraction <= 0.0
        || c->layer_decay <= 0.0)
        return voco_fail(VOCO_EUSAGE, "finetune seg: --beta1, --beta2 and --sgd-momentum "
                         "must be below 1, --fraction and --layer-decay above 0");
    if (!c->unlabelled && !voco_semi_is_default(&c->semi))
        return voco_fail(VOCO_EUSAGE, "finetune seg: --semi-teacher, --semi-momentum, "
                         "--semi-threshold and --semi-start are of --semi STORE, which is "
                         "missing");
    for (int i = 0; i < 3; i++)
        if (c->roi[i] != (double)(int64_t)c->roi[i])
            return voco_fail(VOCO_EUSAGE, "finetune seg: --roi: %g is not a whole number",
                             c->roi[i]);
    return voco_semi_check(&c->semi, "finetune seg");
}
