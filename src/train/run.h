/*
 * A training run, of any objective: from data to a folder with everything that happened.
 *
 *   RUN/config.json         settings, versions, machine, data
 *   RUN/metrics.jsonl       one object a step
 *   RUN/events.out.*        the same for TensorBoard
 *   RUN/ckpt-<step>/        where the run can go on
 *   RUN/best.safetensors best.json      of the best validation, and its score (tasks)
 *   RUN/model.safetensors   the last weights
 *   RUN/loss.png            and pictures of the objective
 *
 * A task validates before the first step of an epoch, and at the end.  A watch (train/watch.h)
 * measures every so many steps.
 */
#ifndef VOCO_TRAIN_RUN_H
#define VOCO_TRAIN_RUN_H

#include "dev/wrap/trace.h"
#include "model/provenance.h"
#include "train/gradient.h"
#include "train/rates.h"
#include "train/task.h"

struct voco_run {
    const struct voco_objective *objective;
    const struct voco_task *task;       /* NULL: nothing is validated */
    struct voco_run_config *config;     /* the objective's own struct begins with it */
    const struct voco_comm *comm;
    void *data, *work;                  /* the objective's */
    void *watching;                     /* the watch's; NULL: there is none */
    struct voco_setup setup;
    struct voco_plan plan;
    struct voco_uses uses;              /* shapes that a step calls */
    struct voco_choices choices;        /* implementations of them, measured */
    struct voco_trace trace;
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_rates rates;
    struct voco_seginfo info;           /* of the files of weights, for a task */
    struct voco_provenance provenance;  /* the same, of every run */
    struct voco_input input[VOCO_INPUTS_MAX];
    struct voco_batches *batches[VOCO_INPUTS_MAX];
    int n_inputs;
    struct voco_runlog log;
    struct voco_loop loop;
    struct voco_best best;
    struct voco_record record, seen;    /* of the step; seen: by the objective */
    char *options;                      /* JSON of what the bits depend on */
    json_t *more;                       /* further members of config.json */
    struct voco_peak peak;              /* of the machine, measured */
};

/* Runs or resumes.  config is the objective's struct; its open values are filled in.  With
 * config->dry_run it only says what would be done.  VOCO_ESTOPPED: stopped on request with
 * a durable checkpoint. */
enum voco_err voco_run(const struct voco_objective *objective, const struct voco_task *task,
                       void *config);

#endif
