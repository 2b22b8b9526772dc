/* Validation: the task scores volume by volume, the run keeps the best weights. */
#include "train/validate.h"

#include <inttypes.h>
#include <math.h>

#include "base/log.h"

bool
voco_validation_due(const struct voco_run *r, int64_t step)
{
    const int64_t every = r->config->val_epochs * r->setup.epoch;

    return r->task && r->setup.n_validate > 0
        && (step == r->config->loop.steps || (every && step > 0 && step % every == 0));
}

static enum voco_err
score_volumes(struct voco_run *r, struct voco_task_score *ret)
{
    const double start_s = voco_seconds();
    void *tally = NULL;
    enum voco_err err = r->task->open_tally(r, &tally);

    *ret = (struct voco_task_score){ .value = NAN, .volumes = r->setup.n_validate };
    for (int i = 0; i < ret->volumes && err == VOCO_OK; i++)
        err = r->task->evaluate(tally, i);
    ret->seconds = voco_seconds() - start_s;
    if (err == VOCO_OK)
        r->task->total(tally, &r->record, ret);
    r->task->close_tally(tally);
    return err;
}

enum voco_err
voco_validate(struct voco_run *r, int64_t step)
{
    const char *word = r->task->score.word;
    struct voco_task_score score;
    const enum voco_err err = score_volumes(r, &score);
    bool better;

    if (err != VOCO_OK || isnan(score.value)) {
        json_decref(score.more);
        if (err == VOCO_OK)
            voco_warn("step %" PRId64 ": the validation volumes have nothing to measure %s "
                      "on", step, word);
        return err;
    }
    better = voco_best_beaten(&r->best, score.value);
    voco_note("epoch %" PRId64 ": %s %.4f on %d volume%s%s, in %.0f s",
              step / r->setup.epoch, word, score.value, score.volumes,
              voco_plural(score.volumes), better ? ", the best so far" : "", score.seconds);
    if (better)
        return voco_best_keep(&r->best, r->config->loop.out, score.value, step, &r->ctx,
                              &r->model, &r->info, score.more);
    json_decref(score.more);
    return VOCO_OK;
}
