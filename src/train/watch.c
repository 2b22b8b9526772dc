/* When a run measures its network, and the news of it. */
#include "train/watch.h"

#include <inttypes.h>

#include "base/log.h"
#include "train/run.h"

enum voco_err
voco_watch_open(struct voco_run *r)
{
    const struct voco_run_config *c = r->config;

    return c->watch && c->probe ? c->watch->open(c, &r->watching) : VOCO_OK;
}

void
voco_watch_close(struct voco_run *r)
{
    if (r->config->watch)
        r->config->watch->close(r->watching);
    r->watching = NULL;
}

bool
voco_watch_due(const struct voco_run *r, int64_t step)
{
    const int64_t every = r->config->probe_steps;

    return r->watching && (step == 0 || step == r->config->loop.steps
                           || (every && step % every == 0));
}

enum voco_err
voco_watch_measure(struct voco_run *r, int64_t step)
{
    const double start_s = voco_seconds();
    const enum voco_err err = r->config->watch->measure(r->watching, &r->ctx, &r->model,
                                                        &r->record);

    if (err != VOCO_OK)
        return err;
    voco_note("step %" PRId64 ": %s, in %.0f s", step, r->record.words,
              voco_seconds() - start_s);
    return VOCO_OK;
}
