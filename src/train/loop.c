/* Steps, checkpoints, requests to stop, roll-backs. */
#include "train/loop.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stop.h"

/* ---- the beginning ---- */

static enum voco_err
start(struct voco_loop *l)
{
    const struct voco_device *dev = l->ctx->dev;

    dev->fill(l->ctx, &l->model->m, 0.0);
    if (!l->model->config.one_moment) {
        dev->fill(l->ctx, &l->model->v, 0.0);
        dev->fill(l->ctx, &l->model->vmax, 0.0);
    }
    l->state = (struct voco_state){ .lr_scale = 1.0 };
    return l->ctx->err ? l->ctx->err : l->job.start(l->job.run);
}

static enum voco_err
read_checkpoint(struct voco_loop *l, const char *checkpoint)
{
    const enum voco_err err = voco_checkpoint_read(checkpoint, l->ctx, l->model, &l->state);

    free((char *)l->state.options);
    l->state.options = l->options;
    return err;
}

/* From a checkpoint, if its model is the one asked for. */
static enum voco_err
resume(struct voco_loop *l, const char *checkpoint)
{
    struct voco_state then;
    enum voco_err err = voco_checkpoint_state(checkpoint, &then);

    if (err == VOCO_OK)
        err = l->job.fits(l->job.run, checkpoint, then.options);
    free((char *)then.options);
    if (err != VOCO_OK || (err = read_checkpoint(l, checkpoint)) != VOCO_OK)
        return err;
    l->saved_step = l->state.step;
    if (l->state.step < l->c->steps)
        voco_note("%s: going on at step %" PRId64, checkpoint, l->state.step);
    else
        voco_note("%s: all %" PRId64 " steps are done already", checkpoint, l->c->steps);
    return VOCO_OK;
}

enum voco_err
voco_loop_begin(struct voco_loop *l)
{
    char *checkpoint = NULL, *metrics;
    enum voco_err err = voco_folder_lock(l->c->out, &l->folder_fd);

    if (err != VOCO_OK)
        return err;
    l->locked = true;
    voco_checkpoint_tidy(l->c->out);
    err = voco_checkpoint_newest(l->c->out, &checkpoint);
    metrics = voco_format("%s/metrics.jsonl", l->c->out);
    l->started_s = l->saved_s = voco_seconds();
    l->saved_step = -1;
    l->fresh = true;
    if (l->c->resume == VOCO_RESUME_NO
        && (checkpoint || err != VOCO_OK || voco_file_exists(metrics)))
        err = voco_fail(VOCO_EUSAGE, "%s holds a run already: give another --out, or "
                        "--resume auto to go on with it", l->c->out);
    else if (err == VOCO_OK)
        err = checkpoint ? resume(l, checkpoint) : start(l);
    l->state.options = l->options;
    free(checkpoint);
    free(metrics);
    if (err == VOCO_OK)
        err = voco_runlog_open(l->log, l->c->out, l->state.step, l->c->steps);
    return err == VOCO_OK ? l->job.seek(l->job.run, l->state.step) : err;
}

void
voco_loop_end(struct voco_loop *l)
{
    if (l->locked)
        close(l->folder_fd);
    l->locked = false;
}

/* ---- checkpoints ---- */

static enum voco_err
save(struct voco_loop *l)
{
    enum voco_err err;

    if (l->saved_step == l->state.step)
        return VOCO_OK;
    if ((err = voco_runlog_sync(l->log)) != VOCO_OK
        || (err = voco_checkpoint_write(l->c->out, l->ctx, l->model, &l->state,
                                        (int)l->c->keep_last)) != VOCO_OK)
        return err;
    l->saved_step = l->state.step;
    l->saved_s = voco_seconds();
    voco_detail("checkpoint at step %" PRId64, l->state.step);
    return VOCO_OK;
}

static bool
due(const struct voco_loop *l)
{
    if (l->c->checkpoint_steps && l->state.step % l->c->checkpoint_steps == 0)
        return true;
    return l->c->checkpoint_minutes > 0.0
        && voco_seconds() - l->saved_s > 60.0 * l->c->checkpoint_minutes;
}

enum voco_err
voco_loop_give_up(struct voco_loop *l, enum voco_err err)
{
    char *why = voco_format("%s", voco_fail_text());

    if (save(l) != VOCO_OK)
        voco_warn("no checkpoint of step %" PRId64 ": %s", l->state.step, voco_fail_text());
    voco_fail(err, "step %" PRId64 ": %s", l->state.step, why);
    free(why);
    return err;
}

/* After too many bad steps in a row: the last checkpoint, or the start, with half the
 * learning rate. */
static enum voco_err
roll_back(struct voco_loop *l)
{
    const int64_t rollbacks = l->state.rollbacks + 1, at = l->state.step;
    const double lr_scale = l->state.lr_scale * 0.5;
    char *checkpoint = NULL;
    enum voco_err err;

    if (rollbacks > l->c->rollback_limit)
        return voco_fail(VOCO_ENUMERIC, "step %" PRId64 ": NaN or infinity again after %" PRId64
                         " roll-backs; checkpoints in %s, if any, are from before", at,
                         rollbacks - 1, l->c->out);
    if ((err = voco_checkpoint_newest(l->c->out, &checkpoint)) != VOCO_OK)
        return err;
    err = checkpoint ? read_checkpoint(l, checkpoint) : start(l);
    free(checkpoint);
    if (err != VOCO_OK)
        return err;
    l->state.options = l->options;
    l->state.rollbacks = rollbacks;
    l->state.lr_scale = lr_scale;
    l->state.skipped_in_row = 0;
    l->saved_step = -1;
    voco_warn("step %" PRId64 ": %" PRId64 " steps in a row gave NaN or infinity: back to step "
              "%" PRId64 " with %g of the learning rate", at, l->c->skip_limit,
              l->state.step, lr_scale);
    if ((err = voco_runlog_rewind(l->log, l->c->out, l->state.step)) != VOCO_OK)
        return err;
    return l->job.seek(l->job.run, l->state.step);
}

/* ---- steps ---- */

static enum voco_err
one_step(struct voco_loop *l)
{
    bool finite = false;
    enum voco_err err = l->job.step(l->job.run, &l->state, &finite);

    if (err != VOCO_OK)
        return err;
    if (finite) {
        l->state.skipped_in_row = 0;
        l->state.updates++;
    } else {
        l->state.skipped_in_row++;
    }
    l->state.step++;
    return l->state.skipped_in_row >= l->c->skip_limit ? roll_back(l) : VOCO_OK;
}

/* Why to stop before the next step, NULL to go on. */
static const char *
stop_reason(const struct voco_loop *l)
{
    if (voco_stop_signal)
        return strsignal((int)voco_stop_signal);
    if (l->c->stop_after && l->state.step >= l->c->stop_after)
        return "--stop-after";
    if (l->c->max_hours > 0.0
        && voco_seconds() - l->started_s > 3600.0 * l->c->max_hours)
        return "--max-hours";
    return NULL;
}

static enum voco_err
stop(struct voco_loop *l, const char *reason)
{
    const enum voco_err err = save(l);

    if (err != VOCO_OK)
        return err;
    voco_progress_end(&l->log->progress, "stopped (%s) at step %" PRId64 "; the same command "
                      "goes on from %s/ckpt-%" PRId64, reason, l->state.step, l->c->out,
                      l->state.step);
    return voco_fail(VOCO_ESTOPPED, "stopped at step %" PRId64 " of %" PRId64
                     " with a durable checkpoint", l->state.step, l->c->steps);
}

enum voco_err
voco_loop_run(struct voco_loop *l)
{
    enum voco_err err;

    while (l->state.step < l->c->steps) {
        const char *reason = stop_reason(l);

        if (reason)
            return stop(l, reason);
        err = one_step(l);
        if (err == VOCO_ESTOPPED)
            return stop(l, strsignal((int)voco_stop_signal));
        if (err != VOCO_OK)
            return err;
        l->fresh = false;
        if (due(l) && (err = save(l)) != VOCO_OK)
            return err;
    }
    return save(l);
}
