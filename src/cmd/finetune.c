/* voco finetune seg: the whole network on labelled volumes. */
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/loop_options.h"
#include "task/segment/finetune.h"

static double roi[3] = { 96, 96, 96 };

static struct voco_finetune_config c = {
    .loop = { .checkpoint_minutes = 30, .keep_last = 2, .skip_limit = 5, .rollback_limit = 3,
              .resume = VOCO_RESUME_AUTO },
    .net = -1, .merging = -1, .adapter = VOCO_ADAPT_MEAN, .batch = 1, .samples = 4,
    .fraction = 1, .folds = 5, .epochs = 500, .warmup_epochs = 5, .lr = 3e-4,
    .weight_decay = 1e-5, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .layer_decay = 1,
    .val_epochs = 10, .val_overlap = 0.5, .positive = 0.5,
};
static const char *task;
static double flip = 0.2, turn = 0.2, scale = 0, shift = 0.1;

static const char *const mergings[] = { "legacy", "fixed", NULL };
static const char *const nets[] = { "swinunetr", "plainconv", NULL };
static const char *const adapters[] = { "refuse", "drop", "repeat", "mean", NULL };

static const struct voco_opt options[] = {
    { "store", 's', VOCO_OPT_FOLDER, &c.store, "STORE",
      "labelled volumes made by voco convert", .section = "Data" },
    { "task", 0, VOCO_OPT_TEXT, &task, "NAME",
      "defaults of a recipe; voco tasks lists them" },
    { "out", 'o', VOCO_OPT_FOLDER, &c.loop.out, "RUN", "folder of this run" },
    { "folds", 0, VOCO_OPT_INT, &c.folds, "N",
      "parts of the volumes, one of which validates; 1: none does", 1, 1e6 },
    { "fold", 0, VOCO_OPT_INT, &c.fold, "K", "the part that validates, from 0", 0, 1e6 },
    { "fraction", 0, VOCO_OPT_REAL, &c.fraction, "SHARE",
      "of the training volumes that is used", 0, 1 },
    { "split-seed", 0, VOCO_OPT_INT, &c.split_seed, "N", "of folds and fraction", 0, 9e15 },
    { "loader-threads", 0, VOCO_OPT_INT, &c.loader_threads, "N",
      "threads that prepare crops; 0: one", 0, 256 },

    { "weights", 'w', VOCO_OPT_FILE, &c.weights, "FILE",
      "start from these; without, from random numbers", .section = "Model" },
    { "partial", 0, VOCO_OPT_FLAG, &c.partial, NULL,
      "take what fits of weights that do not cover the encoder" },
    { "min-coverage", 0, VOCO_OPT_REAL, &c.min_coverage, "PERCENT",
      "as --partial, but this share of the encoder must be there", 0, 100 },
    { "adapter", 0, VOCO_OPT_CHOICE, &c.adapter, "HOW",
      "weights of one channel where images have several", .choices = adapters },
    { "net", 0, VOCO_OPT_CHOICE, &c.net, "NAME",
      "network: Swin UNETR, or nnU-Net's (default: of the weights, or swinunetr)",
      .choices = nets },
    { "feature-size", 'f', VOCO_OPT_INT, &c.feature, "N",
      "width of the network; 0: of the weights, or 48", 0, 768 },
    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "patch merging: legacy or fixed (default: of the weights, or legacy)",
      .choices = mergings },
    { "plain", 0, VOCO_OPT_FLAG, &c.plain, NULL,
      "version 1 of Swin UNETR, as other published weights have it" },
    { "classes", 'c', VOCO_OPT_INT, &c.classes, "N",
      "with background; 0: as many as the label maps have", 0, 256 },
    { "freeze-encoder", 0, VOCO_OPT_FLAG, &c.freeze_encoder, NULL,
      "train decoder and output layer alone" },

    { "roi", 0, VOCO_OPT_REAL3, roi, "N",
      "edges of a crop in voxels, one number or three, as the network divides them", 1, 1024,
      .section = "Step" },
    { "batch", 'b', VOCO_OPT_INT, &c.batch, "N", "volumes in a step", 1, 256 },
    { "samples", 0, VOCO_OPT_INT, &c.samples, "N", "crops of a volume", 1, 256 },
    { "positive", 0, VOCO_OPT_REAL, &c.positive, "SHARE",
      "of the crops whose middle is a labelled voxel: 0.5 is pos:neg 1:1, 0.9 is 9:1", 0,
      1 },
    { "flip", 0, VOCO_OPT_REAL, &flip, "P", "probability of a flip of each axis", 0, 1 },
    { "turn", 0, VOCO_OPT_REAL, &turn, "P",
      "of a quarter turn, where the crop is square", 0, 1 },
    { "scale", 0, VOCO_OPT_REAL, &scale, "P",
      "of intensities times 0.9 to 1.1", 0, 1 },
    { "shift", 0, VOCO_OPT_REAL, &shift, "P",
      "of intensities plus -0.1 to 0.1", 0, 1 },
    { "seed", 0, VOCO_OPT_INT, &c.seed, "N", "of everything that is random", 0, 9e15 },

    { "epochs", 'n', VOCO_OPT_INT, &c.epochs, "N", "passes over the training volumes", 1,
      1e9, .section = "Optimizer" },
    { "warmup-epochs", 0, VOCO_OPT_INT, &c.warmup_epochs, "N",
      "epochs in which the rate rises from 0; then it falls as a cosine", 0, 1e9 },
    { "lr", 0, VOCO_OPT_REAL, &c.lr, "X", "learning rate", 0, 1e3 },
    { "layer-decay", 0, VOCO_OPT_REAL, &c.layer_decay, "X",
      "the rate of each level of the encoder is this share of the next one's", 0, 1 },
    { "weight-decay", 0, VOCO_OPT_REAL, &c.weight_decay, "X", "decoupled, as in AdamW", 0,
      1 },
    { "beta1", 0, VOCO_OPT_REAL, &c.beta1, "X", "decay of the first moment", 0, 1 },
    { "beta2", 0, VOCO_OPT_REAL, &c.beta2, "X", "decay of the second moment", 0, 1 },
    { "eps", 0, VOCO_OPT_REAL, &c.eps, "X", "added to the root of the second moment", 0, 1 },
    { "amsgrad", 0, VOCO_OPT_FLAG, &c.amsgrad, NULL,
      "with the maximum of the second moment" },
    { "squared-dice", 0, VOCO_OPT_FLAG, &c.squared_dice, NULL,
      "Dice loss with squares, and background as a class" },

    { "val-epochs", 0, VOCO_OPT_INT, &c.val_epochs, "N",
      "epochs between validations; 0: only at the end", 0, 1e9, .section = "Validation" },
    { "val-overlap", 0, VOCO_OPT_REAL, &c.val_overlap, "SHARE",
      "of neighbouring windows; the published recipes have 0.75", 0, 0.95 },

    { "memory", 'm', VOCO_OPT_SIZE, &c.memory, "SIZE",
      "what the run may use; 0: half of what is available", 0, 1e15,
      .section = "Machine" },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "trace", 0, VOCO_OPT_FLAG, &c.trace, NULL,
      "at the end, a table of where the time went: primitive, shapes, rate" },
    VOCO_LOOP_OPTIONS(c.loop),
    { "dry-run", 0, VOCO_OPT_FLAG, &c.dry_run, NULL,
      "say what would be done and what it takes, and stop" },
    { 0 }
};

static enum voco_err
check_roi(void)
{
    for (int i = 0; i < 3; i++) {
        c.roi[i] = (int64_t)roi[i];
        if (roi[i] != (double)c.roi[i])
            return voco_fail(VOCO_EUSAGE, "finetune seg: --roi: %g is not a whole number",
                             roi[i]);
    }
    if (c.roi[0] != c.roi[1] && turn > 0.0) {
        voco_note("crops are not square: no quarter turns");
        turn = 0.0;
    }
    return VOCO_OK;
}

static enum voco_err
run(int argc, char **argv)
{
    enum voco_err err;

    (void)argc;
    (void)argv;
    if (!c.store || (!c.loop.out && !c.dry_run))
        return voco_fail(VOCO_EUSAGE, "finetune seg: %s", c.store ? "--out RUN is missing: "
                         "where should the run go?" : "--store STORE is missing: make one of "
                         "labelled volumes with voco convert");
    if (c.fold >= c.folds)
        return voco_fail(VOCO_EUSAGE, "finetune seg: --fold %lld: there are folds 0 to %lld",
                         (long long)c.fold, (long long)c.folds - 1);
    if (c.beta1 >= 1.0 || c.beta2 >= 1.0 || c.fraction <= 0.0 || c.layer_decay <= 0.0)
        return voco_fail(VOCO_EUSAGE, "finetune seg: --beta1 and --beta2 must be below 1, "
                         "--fraction and --layer-decay above 0");
    if ((err = check_roi()) != VOCO_OK)
        return err;
    c.augment = (struct voco_seg_augment){
        .flip = (float)flip, .turn = (float)turn, .scale = (float)scale, .scale_by = 0.1f,
        .shift = (float)shift, .shift_by = 0.1f,
    };
    return voco_finetune(&c);
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
    .options = options,
    .task = &task,
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
