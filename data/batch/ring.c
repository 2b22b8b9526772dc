/* A ring of batches, filled by threads one unit at a time. */
#include "data/batch/ring.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define STEP_MAX ((int64_t)1 << 48)     /* step * units must not overflow */

struct slot {
    int64_t step;
    int missing;                /* units not there yet */
    enum voco_err err;          /* of the first unit that failed ... */
    int err_unit;               /* ... in the order of the step, not of time */
    char *why;
};

struct voco_ring {
    struct voco_ring_work w;
    pthread_mutex_t mutex;      /* everything below */
    pthread_cond_t work, ready;
    struct slot *slot;          /* step s is in slot s % n_slots */
    int n_slots;
    int64_t unit;               /* the next one to fill: step * units + number */
    int64_t first;              /* the oldest step whose slot is in use */
    int64_t next;               /* the step that voco_ring_next gives out */
    bool stop;

    pthread_t *thread;
    int n_threads;
};

/* ---- threads ---- */

/* Keeps the sentence of the failure that comes first in the step. */
static void
note_failure(struct slot *slot, enum voco_err err, int unit)
{
    if (slot->err && slot->err_unit < unit)
        return;
    free(slot->why);
    slot->err = err;
    slot->err_unit = unit;
    slot->why = voco_format("step %lld: %s", (long long)slot->step, voco_fail_text());
}

/* The slot of the next unit, when there is room for it; -1 to stop.  Mutex held. */
static int
take_unit(struct voco_ring *r, int *ret_unit)
{
    while (!r->stop && r->unit / r->w.units >= r->first + r->n_slots)
        pthread_cond_wait(&r->work, &r->mutex);
    if (r->stop)
        return -1;
    const int64_t step = r->unit / r->w.units;
    const int unit = (int)(r->unit % r->w.units), slot = (int)(step % r->n_slots);

    if (unit == 0) {
        r->slot[slot].missing = r->w.units;
        r->slot[slot].step = step;
    }
    r->w.begin(r->w.user, slot, step, unit);
    r->unit++;
    *ret_unit = unit;
    return slot;
}

static void *
work(void *user)
{
    struct voco_ring *r = user;
    void *own = r->w.own_new(r->w.user);
    int slot, unit;

    pthread_mutex_lock(&r->mutex);
    while ((slot = take_unit(r, &unit)) >= 0) {
        pthread_mutex_unlock(&r->mutex);
        const enum voco_err err =
            own ? r->w.fill(r->w.user, slot, unit, own)
                : voco_fail(VOCO_EMEMORY, "no memory for a loader thread");
        pthread_mutex_lock(&r->mutex);
        if (err)
            note_failure(&r->slot[slot], err, unit);
        if (--r->slot[slot].missing == 0)
            pthread_cond_broadcast(&r->ready);
    }
    pthread_mutex_unlock(&r->mutex);
    if (own)
        r->w.own_free(own);
    return NULL;
}

/* Signals are for the thread that runs the steps. */
static enum voco_err
start_threads(struct voco_ring *r)
{
    sigset_t all, before;
    int failed = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!failed && r->n_threads < r->w.threads) {
        failed = pthread_create(&r->thread[r->n_threads], NULL, work, r);
        if (!failed)
            r->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return voco_fail(VOCO_EMEMORY, "cannot start loader thread %d of %d: %s",
                         r->n_threads + 1, r->w.threads, strerror(failed));
    return VOCO_OK;
}

/* ---- the contract ---- */

int
voco_ring_slots(const struct voco_ring_work *w)
{
    return w->ahead + 1;
}

enum voco_err
voco_ring_check(const struct voco_ring_work *w)
{
    if (w->threads < 1 || w->threads > VOCO_RING_THREADS_MAX)
        return voco_fail(VOCO_EUSAGE, "number of loader threads is %d, expected 1 to %d",
                         w->threads, VOCO_RING_THREADS_MAX);
    if (w->ahead < 1 || w->ahead > VOCO_RING_AHEAD_MAX)
        return voco_fail(VOCO_EUSAGE, "number of batches ahead is %d, expected 1 to %d",
                         w->ahead, VOCO_RING_AHEAD_MAX);
    return VOCO_OK;
}

enum voco_err
voco_ring_open(const struct voco_ring_work *w, int64_t first_step, struct voco_ring **ret)
{
    struct voco_ring *r;
    enum voco_err err;

    *ret = NULL;
    VOCO_ASSERT(w->units >= 1);
    if ((err = voco_ring_check(w)))
        return err;
    if (first_step < 0 || first_step > STEP_MAX)
        return voco_fail(VOCO_EUSAGE, "first step is %lld, expected 0 to %lld",
                         (long long)first_step, (long long)STEP_MAX);
    r = calloc(1, sizeof *r);
    if (!r)
        return voco_fail(VOCO_EMEMORY, "no memory for the loader");
    r->w = *w;
    r->first = r->next = first_step;
    r->unit = first_step * w->units;
    r->n_slots = voco_ring_slots(w);
    r->slot = calloc((size_t)r->n_slots, sizeof *r->slot);
    r->thread = calloc((size_t)w->threads, sizeof *r->thread);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->ready, NULL);
    err = r->slot && r->thread ? start_threads(r)
                               : voco_fail(VOCO_EMEMORY, "no memory for the loader");
    if (err) {
        voco_ring_close(r);
        return err;
    }
    *ret = r;
    return VOCO_OK;
}

enum voco_err
voco_ring_next(struct voco_ring *r, int *ret_slot, double *ret_waited_s)
{
    const double start = voco_seconds();
    enum voco_err err = VOCO_OK;

    pthread_mutex_lock(&r->mutex);
    *ret_slot = (int)(r->next % r->n_slots);
    struct slot *slot = &r->slot[*ret_slot];
    if (r->first < r->next) {           /* the batch given out last is free now */
        r->first = r->next;
        pthread_cond_broadcast(&r->work);
    }
    while (slot->step != r->next || r->unit < (r->next + 1) * r->w.units
           || slot->missing > 0)
        pthread_cond_wait(&r->ready, &r->mutex);
    if (slot->err)                      /* stays: the next call says the same */
        err = voco_fail(slot->err, "%s", slot->why);
    else
        r->next++;
    pthread_mutex_unlock(&r->mutex);
    if (ret_waited_s)
        *ret_waited_s = voco_seconds() - start;
    return err;
}

void
voco_ring_close(struct voco_ring *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mutex);
    r->stop = true;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->mutex);
    for (int i = 0; i < r->n_threads; i++)
        pthread_join(r->thread[i], NULL);
    for (int i = 0; r->slot && i < r->n_slots; i++)
        free(r->slot[i].why);
    free(r->slot);
    free(r->thread);
    pthread_cond_destroy(&r->ready);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}
