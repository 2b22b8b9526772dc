/*
 * A task: an objective on labelled volumes, and what its networks are good for.  A row of
 * this struct and a folder under src/task is all that a new one takes.
 *
 * The run (train/run.h) validates with it, voco_predict (task/predict.h) predicts: both go
 * through the volumes, and the task takes one at a time.
 */
#ifndef VOCO_TRAIN_TASK_H
#define VOCO_TRAIN_TASK_H

#include "train/best.h"
#include "train/objective.h"

struct voco_input_entry;        /* data/dataset/inputs.h */

struct voco_task_score {
    double value;               /* NaN: there was nothing to measure */
    int volumes;
    double seconds;
    json_t *more;               /* members of best.json; NULL: none */
};

/* Predictions as the settings and the weights have them. */
struct voco_predict_setup {
    struct voco_model_config model;
    const char *ending;         /* ".nii.gz": OUTPUT/ID.nii.gz is the result of a volume */
    const char *result;         /* for people: "label map" */
    const char *beside;         /* behind a number of results: " with probabilities"; "" */
};

/* A network that is ready to predict. */
struct voco_predict_network {
    struct voco_ctx *ctx;
    const struct voco_model *model;
    int batch;                  /* windows at once */
    /* Windows of the volume done so far; not 0: stop with VOCO_ESTOPPED. */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
};

struct voco_predict_need {
    double bytes;               /* that a volume takes beside the network */
    int64_t windows;
};

struct voco_task {
    const char *name;           /* "seg": of voco finetune */
    const struct voco_objective *objective;
    struct voco_score_name score;

    /* What the files of weights say besides tensors; the run frees it. */
    enum voco_err (*describe)(const void *config, void *data,
                              const struct voco_model_config *model,
                              struct voco_seginfo *ret);

    /* ---- validation: config and data are the objective's ---- */

    /* Bytes that validation holds besides the network's memory. */
    double (*validate_bytes)(const void *config, void *data,
                             const struct voco_model_config *model);
    /* A tally of scores for the model as it is now; close_tally accepts NULL. */
    enum voco_err (*open_tally)(const struct voco_run *run, void **tally);
    void (*close_tally)(void *tally);
    /* Predicts validation volume i and adds its scores.  VOCO_ESTOPPED when a signal
     * came. */
    enum voco_err (*evaluate)(void *tally, int i);
    /* The score over all volumes: value and more of ret, and numbers for the record. */
    void (*total)(void *tally, struct voco_record *record, struct voco_task_score *ret);

    /* ---- prediction: config begins with a struct voco_predict_config ---- */

    /* From the settings and the head of the weights, of which it tells.  release accepts
     * NULL. */
    enum voco_err (*prepare)(const void *config, void **work,
                             struct voco_predict_setup *ret);
    void (*release)(void *work);
    /* From the header of a volume.  ret stays 0 where only reading will tell, or tell what
     * is wrong. */
    void (*measure)(void *work, const struct voco_input_entry *in,
                    struct voco_predict_need *ret);
    /* The planner's job; work must outlive it. */
    void (*plan)(void *work, struct voco_plan_job *ret);
    /* Are the results for this id in the output folder? */
    bool (*is_done)(void *work, const char *id);
    /* Reads a volume, predicts, and writes the results.  VOCO_EFORMAT: it cannot be
     * used. */
    enum voco_err (*predict)(void *work, const struct voco_predict_network *net,
                             const struct voco_input_entry *in);
};

#endif
