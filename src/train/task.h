/*
 * A task: an objective on labelled volumes, and what its predictions are good for.  A row
 * of this struct and a folder under src/task is all that a new one takes of a run.
 */
#ifndef VOCO_TRAIN_TASK_H
#define VOCO_TRAIN_TASK_H

#include "train/best.h"
#include "train/objective.h"

struct voco_task_score {
    double value;               /* NaN: there was nothing to measure */
    int volumes;
    double seconds;
    json_t *more;               /* members of best.json; NULL: none */
};

struct voco_task {
    const char *name;           /* "seg": of voco finetune */
    const struct voco_objective *objective;
    struct voco_score_name score;

    /* Bytes that validation holds besides the network's memory. */
    double (*validate_bytes)(const void *config, void *data,
                             const struct voco_model_config *model);
    /* Measures the model of the run on its validation volumes; adds numbers to record.
     * VOCO_ESTOPPED when a signal came. */
    enum voco_err (*validate)(const struct voco_run *run, struct voco_record *record,
                              struct voco_task_score *ret);
    /* What the files of weights say besides tensors; the run frees it. */
    enum voco_err (*describe)(const void *config, void *data,
                              const struct voco_model_config *model,
                              struct voco_seginfo *ret);
};

#endif
