/*
 * The loop that every training run goes through: resume or start, steps, checkpoints,
 * requests to stop, rolling back after NaN or infinite losses.
 *
 * The run (train/run.h) provides the step, its data and its log in a struct voco_loop_job.
 */
#ifndef VOCO_TRAIN_LOOP_H
#define VOCO_TRAIN_LOOP_H

#include "train/checkpoint.h"
#include "train/runlog.h"

enum voco_resume { VOCO_RESUME_AUTO, VOCO_RESUME_NO };

struct voco_loop_config {
    const char *out;                /* the run's folder */
    int64_t steps;
    int resume;                     /* enum voco_resume */
    int64_t stop_after;             /* steps done; 0: no */
    double max_hours;               /* 0: no limit */
    double checkpoint_minutes;      /* 0: not by time */
    int64_t checkpoint_steps;       /* 0: by time alone */
    int64_t keep_last;
    int64_t skip_limit, rollback_limit;
};

struct voco_loop_job {
    void *run;
    /* Does a checkpoint with these options, JSON text, fit this run?  VOCO_ECHECKPOINT. */
    enum voco_err (*fits)(void *run, const char *checkpoint, const char *options);
    /* Parameters as a run begins; moments are zero already. */
    enum voco_err (*start)(void *run);
    /* Data from this step on; the log is opened, or rewound, by the loop. */
    enum voco_err (*seek)(void *run, int64_t step);
    /* One step, logged, and the update if *ret_finite; VOCO_ESTOPPED: a signal came in
     * between and nothing was changed. */
    enum voco_err (*step)(void *run, const struct voco_state *state, bool *ret_finite);
};

struct voco_loop {
    const struct voco_loop_config *c;
    struct voco_loop_job job;
    struct voco_ctx *ctx;
    struct voco_model *model;           /* allocated for training */
    struct voco_runlog *log;
    const char *options;                /* JSON of all that decides bits */
    struct voco_state state;
    double started_s, saved_s;
    int64_t saved_step;                 /* of the last checkpoint; -1: none */
    bool fresh;                         /* no step was run by this process yet */
    bool locked;
    int folder_fd;                      /* of the run's folder, while locked */
};

/* From the newest checkpoint that fits, or job.start.  The caller has set the members
 * before state.  The folder is locked until voco_loop_end. */
enum voco_err voco_loop_begin(struct voco_loop *loop);
void voco_loop_end(struct voco_loop *loop);         /* accepts a loop that did not begin */

/* Steps until all are done: VOCO_OK, with a checkpoint of the end.  VOCO_ESTOPPED: stopped
 * on request, with a durable checkpoint. */
enum voco_err voco_loop_run(struct voco_loop *loop);

/* Keep the work so far before the run ends with err; returns err and keeps its text. */
enum voco_err voco_loop_give_up(struct voco_loop *loop, enum voco_err err);

#endif
