/*
 * An objective: a training loss with its data and settings.  A new one needs a row of
 * this struct and a folder under src/objective.
 *
 * The run (train/run.h) owns the order of a step: next batches, zero gradients, the
 * objective adds its gradient, sum over ranks, norm, update, record, validation,
 * checkpoint.  The objective owns its settings, its data, its losses and the metrics
 * beside them.  Pointers named config are to the objective's own struct, which begins
 * with a struct voco_run_config.
 */
#ifndef VOCO_TRAIN_OBJECTIVE_H
#define VOCO_TRAIN_OBJECTIVE_H

#include <jansson.h>
#include <signal.h>

#include "base/opt.h"
#include "data/batch/batches.h"
#include "dev/list.h"
#include "train/loop.h"
#include "train/plan.h"
#include "train/record.h"
#include "train/watch.h"

enum voco_optimizer { VOCO_ADAMW, VOCO_SGD };

/* Settings of every run.  Tables of options describe them with VOCO_RUN_OPTIONS and the
 * like (train/settings.h). */
struct voco_run_config {
    struct voco_loop_config loop;
    const char *store;          /* NULL: the objective has other data */
    int64_t seed;
    int optimizer;              /* enum voco_optimizer */
    double lr, weight_decay, beta1, beta2, eps;
    bool amsgrad;
    double sgd_momentum;        /* Nesterov's; 0: none */
    double clip;                /* norm of the gradient at most; 0: any */
    int schedule;               /* enum voco_schedule */
    int64_t warmup;             /* steps */
    int64_t val_epochs;         /* epochs between validations; 0: only at the end */
    int64_t memory;             /* bytes; 0: half of the available */
    int64_t threads, loader_threads;    /* 0: those of the machine; 0: one */
    int device;                 /* index of voco_device_names */
    int precision;              /* enum voco_precision */
    bool trace, dry_run;
    const struct voco_watch *watch;     /* NULL: nobody measures the network meanwhile */
    const char *probe;          /* its data; NULL: it does not */
    int64_t probe_steps;        /* steps between; 0: only at the beginning and at the end */
};

/* A stream of batches: one of a pre-training objective, two of a sum of objectives. */
struct voco_input {
    const struct voco_batch_kind *kind;
    void *source;               /* of the kind; the objective's */
    int units;                  /* of a batch */
};

enum { VOCO_INPUTS_MAX = 4, VOCO_TERMS_MAX = 8, VOCO_BATCHES_AHEAD = 2 };

/* A part of the loss.  The loss is the sum of all terms. */
struct voco_term {
    const char *name;           /* in metrics.jsonl */
    const char *word;           /* in the progress line */
};

/* The results of preparing data and settings. */
struct voco_setup {
    struct voco_model_config model;
    enum voco_init init;        /* of fresh parameters */
    int64_t epoch;              /* steps of an epoch; 0: the run is not counted in epochs */
    int n_validate;             /* volumes to validate on */
    double layer_decay;         /* of the rate, per level from the output; 1: none */
    bool freeze_encoder;
    const char *also;           /* path of a second store; NULL: none ... */
    const char *also_name;      /* ... and its name in the provenance of weights */
    int64_t early;              /* steps with less work than the others (voco_plan_job) */
};

struct voco_run;

struct voco_objective {
    const char *name;           /* "voco": in config.json and files of weights */
    const char *title;          /* "pretrain": of the progress line */
    const char *summary;        /* one line for --help; NULL: the verb has its own */
    const char *details;        /* paragraphs behind the options in --help; may be NULL */

    /* Settings: the table that makes the parser, --help, config.json and the comparison on
     * resume; values are VOCO_AT(config).  recorded_once: names that earlier versions
     * recorded and this one does not, NULL-terminated; NULL: none. */
    const struct voco_opt *options;
    const void *defaults;       /* a config */
    size_t config_bytes;        /* of a config */
    const char *const *recorded_once;
    /* VOCO_EUSAGE: settings that are missing or contradict each other, before any data is
     * opened. */
    enum voco_err (*check)(const void *config);

    const struct voco_term *term;
    int n_terms;

    /* Opens the data, describes them, and completes config: steps, sizes that were left
     * to the data or to the weights.  release accepts NULL. */
    enum voco_err (*prepare)(void *config, void **data, struct voco_setup *ret);
    void (*release)(void *data);

    /* The planner's job for this config; user is config. */
    void (*plan)(const void *config, const struct voco_model_config *model,
                 struct voco_plan_job *ret);
    /* Lines about the model and the step, once they are planned. */
    void (*announce)(const void *config, void *data, const struct voco_setup *setup,
                     const struct voco_device *dev, const struct voco_plan *plan);

    /* The streams of batches, and how many. */
    enum voco_err (*inputs)(const void *config, void *data,
                            struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n);

    /* Facts beside the settings: that decide numbers into options, others into more. */
    void (*facts)(const void *config, void *data, const struct voco_setup *setup,
                  json_t *options, json_t *more);

    /* Parameters of a run that begins; they are filled by setup->init already. */
    enum voco_err (*initialise)(const void *config, struct voco_ctx *ctx,
                                struct voco_model *model);

    /* The computation: memory for it on this device.  close accepts NULL. */
    enum voco_err (*open)(const void *config, struct voco_ctx *ctx,
                          struct voco_model *model, const struct voco_grouping *grouping,
                          void **work);
    void (*close)(void *work);
    /* Adds the gradient of the batches to model->grad; ret_term[n_terms] gets the terms.
     * When *stop is set it may return VOCO_ESTOPPED between micro-batches. */
    enum voco_err (*gradient)(void *work, const struct voco_batch_head *const batch[],
                              const volatile sig_atomic_t *stop, double *ret_term);
    /* Numbers and words about the step that was just computed, before the update; may be
     * NULL. */
    void (*observe)(void *work, const struct voco_batch_head *const batch[],
                    struct voco_record *record);

    /* Pictures and the like at the end, when the weights are written; may be NULL.  A
     * failure is only warned of. */
    enum voco_err (*finish)(struct voco_run *run);
};

#endif
