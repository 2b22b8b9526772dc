/*
 * Prediction with a trained network, for any task: from the inputs of a command line to a
 * folder of results, one or more files for each volume.
 */
#ifndef VOCO_TASK_PREDICT_H
#define VOCO_TASK_PREDICT_H

#include "train/task.h"

/* Settings of every task; the struct of a task's own begins with it. */
struct voco_predict_config {
    const char *weights, *output;       /* output: a folder */
    int precision;                      /* enum voco_precision of activations */
    int64_t threads;                    /* 0: one per core of this process */
    int64_t memory;                     /* bytes; 0: half of the available memory */
    bool skip_existing;                 /* leave volumes alone whose results are there */
    bool dry_run;                       /* print the plan of each volume, and stop */
    bool trace;
};

/* Predicts all volumes of the inputs.  VOCO_EREJECTED: some could not be used, each with a
 * warning; VOCO_EFORMAT: none could.  VOCO_ESTOPPED: a signal came. */
enum voco_err voco_predict(const struct voco_task *task, const void *config, int n,
                           const char *const *input);

#endif
