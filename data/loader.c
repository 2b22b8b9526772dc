/* Batches ahead of the step: a ring of batches, filled by threads one volume at a time.
 * What is in a batch depends on (store, options, step) alone; threads only fetch it. */
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/augment.h"
#include "data/block.h"
#include "data/sampler.h"

enum {
    ROI_MAX = 512,
    BATCH_MAX = 4096,
    SW_MAX = 1024,
    THREADS_MAX = 1024,
    AHEAD_MAX = 64
};

#define STEP_MAX ((int64_t)1 << 48)     /* step * batch must not overflow */

struct slot {
    struct voco_batch batch;
    int missing;                /* volumes not there yet */
    enum voco_err err;          /* of the first volume that failed ... */
    int err_sample;             /* ... in the order of the batch, not of time */
    char *why;
};

struct voco_loader {
    const struct voco_store *store;
    struct voco_loader_options o;
    int64_t block_voxels;

    pthread_mutex_t mutex;      /* everything below */
    pthread_cond_t work, ready;
    struct voco_sampler sampler;
    struct slot *slot;          /* step s is in slot s % n_slots */
    int n_slots;
    int64_t unit;               /* the next volume to load: step * batch + sample */
    int64_t first;              /* the oldest step whose slot is in use */
    int64_t next;               /* the step that voco_loader_next gives out */
    bool stop;

    pthread_t *thread;
    int n_threads;
};

/* ---- one volume of a batch ---- */

static enum voco_err
load(const struct voco_loader *l, struct voco_batch *b, int sample, float *block,
     struct voco_store_scratch *scratch)
{
    const struct voco_loader_options *o = &l->o;
    const int volume = b->volume[sample];
    const struct voco_store_entry *e = voco_store_entry(l->store, volume);
    const int64_t crop_voxels = (int64_t)o->roi * o->roi * o->roi;
    int64_t size[3], *start = b->block + 3 * sample;

    voco_block_size(o->roi, size);
    voco_block_start(o->seed, b->step, sample, e->dim, o->roi, start);
    const enum voco_err err = voco_store_read(l->store, volume, start, size, block,
                                              scratch);
    if (err)
        return err;
    for (int crop = 0; crop < VOCO_BASES + o->sw; crop++) {
        const int random = crop - VOCO_BASES;       /* number of a random crop if >= 0 */
        int64_t at[3] = {0, 0, 0};
        struct voco_augment a = {.turns = 0};
        float *out;

        if (random < 0) {
            at[0] = crop / VOCO_GRID * o->roi;
            at[1] = crop % VOCO_GRID * o->roi;
            out = b->crops + (sample * VOCO_BASES + crop) * crop_voxels;
        } else {
            const int64_t k = (int64_t)sample * o->sw + random;
            int *center = b->center + 2 * k;

            voco_crop_center(o->seed, b->step, sample, crop, o->roi, center);
            voco_crop_labels(center, o->roi, b->labels + VOCO_BASES * k);
            at[0] = center[0] - o->roi / 2;
            at[1] = center[1] - o->roi / 2;
            out = b->img + k * crop_voxels;
        }
        if (o->augment)
            a = voco_augment_draw(o->seed, b->step, sample, crop);
        voco_augment_crop(&a, block, size, at, o->roi, out);
    }
    return VOCO_OK;
}

/* ---- threads ---- */

/* Keeps the sentence of the failure that comes first in the batch. */
static void
note_failure(struct slot *slot, enum voco_err err, int sample)
{
    if (slot->err && slot->err_sample < sample)
        return;
    free(slot->why);
    slot->err = err;
    slot->err_sample = sample;
    slot->why = voco_format("step %lld: %s", (long long)slot->batch.step,
                            voco_fail_text());
}

/* The next volume's slot, when there is room for it; NULL to stop.  Mutex held. */
static struct slot *
take_unit(struct voco_loader *l, int *ret_sample)
{
    while (!l->stop && l->unit / l->o.batch >= l->first + l->n_slots)
        pthread_cond_wait(&l->work, &l->mutex);
    if (l->stop)
        return NULL;
    const int64_t step = l->unit / l->o.batch;
    const int sample = (int)(l->unit % l->o.batch);
    struct slot *slot = &l->slot[step % l->n_slots];

    if (sample == 0) {
        slot->missing = l->o.batch;
        slot->batch.step = step;
    }
    slot->batch.volume[sample] = voco_sampler_at(&l->sampler, l->unit);
    l->unit++;
    *ret_sample = sample;
    return slot;
}

static void *
work(void *user)
{
    struct voco_loader *l = user;
    struct voco_store_scratch scratch = {0};
    float *block = malloc((size_t)l->block_voxels * sizeof *block);
    struct slot *slot;
    int sample;

    pthread_mutex_lock(&l->mutex);
    while ((slot = take_unit(l, &sample))) {
        pthread_mutex_unlock(&l->mutex);
        const enum voco_err err =
            block ? load(l, &slot->batch, sample, block, &scratch)
                  : voco_fail(VOCO_EMEMORY, "no memory for a loader thread");
        pthread_mutex_lock(&l->mutex);
        if (err)
            note_failure(slot, err, sample);
        if (--slot->missing == 0)
            pthread_cond_broadcast(&l->ready);
    }
    pthread_mutex_unlock(&l->mutex);
    free(block);
    voco_store_scratch_free(&scratch);
    return NULL;
}

/* Signals are for the thread that runs the steps. */
static enum voco_err
start_threads(struct voco_loader *l)
{
    sigset_t all, before;
    int failed = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!failed && l->n_threads < l->o.threads) {
        failed = pthread_create(&l->thread[l->n_threads], NULL, work, l);
        if (!failed)
            l->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return voco_fail(VOCO_EMEMORY, "cannot start loader thread %d of %d: %s",
                         l->n_threads + 1, l->o.threads, strerror(failed));
    return VOCO_OK;
}

/* ---- the contract ---- */

static void *
aligned(int64_t n, size_t size)
{
    const size_t bytes = ((size_t)n * size + 63) / 64 * 64;

    return aligned_alloc(64, bytes ? bytes : 64);
}

enum voco_err
voco_batch_alloc(struct voco_batch *b, const struct voco_loader_options *o)
{
    const int64_t voxels = (int64_t)o->roi * o->roi * o->roi;
    const int64_t n = o->batch, random = n * o->sw;

    *b = (struct voco_batch){.n_volumes = o->batch, .sw = o->sw, .roi = o->roi};
    b->img = aligned(random * voxels, sizeof *b->img);
    b->crops = aligned(n * VOCO_BASES * voxels, sizeof *b->crops);
    b->labels = aligned(random * VOCO_BASES, sizeof *b->labels);
    b->volume = aligned(n, sizeof *b->volume);
    b->center = aligned(random * 2, sizeof *b->center);
    b->block = aligned(n * 3, sizeof *b->block);
    if (b->img && b->crops && b->labels && b->volume && b->center && b->block)
        return VOCO_OK;
    voco_batch_free(b);
    return voco_fail(VOCO_EMEMORY, "no memory for a batch of %d volumes with crops of "
                     "%d^3", o->batch, o->roi);
}

void
voco_batch_free(struct voco_batch *b)
{
    free(b->img);
    free(b->crops);
    free(b->labels);
    free(b->volume);
    free(b->center);
    free(b->block);
    memset(b, 0, sizeof *b);
}

static enum voco_err
check_number(const char *what, int value, int low, int high)
{
    if (value >= low && value <= high)
        return VOCO_OK;
    return voco_fail(VOCO_EUSAGE, "%s is %d, expected %d to %d", what, value, low, high);
}

static enum voco_err
check_options(const struct voco_loader_options *o)
{
    enum voco_err err;

    if ((err = check_number("batch", o->batch, 1, BATCH_MAX))
        || (err = check_number("number of random crops", o->sw, 1, SW_MAX))
        || (err = check_number("crop edge", o->roi, 2, ROI_MAX))
        || (err = check_number("number of loader threads", o->threads, 1, THREADS_MAX))
        || (err = check_number("number of batches ahead", o->ahead, 1, AHEAD_MAX)))
        return err;
    if (o->roi % 2)
        return voco_fail(VOCO_EUSAGE, "crop edge is %d, expected an even number", o->roi);
    return VOCO_OK;
}

/* Every volume must hold a block. */
static enum voco_err
check_volumes(const struct voco_store *store, int roi)
{
    int64_t size[3];

    voco_block_size(roi, size);
    for (int i = 0; i < voco_store_count(store); i++) {
        const struct voco_store_entry *e = voco_store_entry(store, i);

        if (e->dim[0] < size[0] || e->dim[1] < size[1] || e->dim[2] < size[2])
            return voco_fail(VOCO_EFORMAT, "volume %s has %lld x %lld x %lld voxels, a "
                             "block takes %lld x %lld x %lld: convert it again, padded "
                             "to this size, or use smaller crops", e->id,
                             (long long)e->dim[0], (long long)e->dim[1],
                             (long long)e->dim[2], (long long)size[0], (long long)size[1],
                             (long long)size[2]);
    }
    return VOCO_OK;
}

static enum voco_err
open_loader(struct voco_loader *l)
{
    const struct voco_loader_options *o = &l->o;
    enum voco_err err = voco_sampler_init(&l->sampler, l->store, o->seed, o->repeat,
                                          o->n_repeat);

    l->n_slots = o->ahead + 1;          /* one is in the caller's hand */
    l->slot = calloc((size_t)l->n_slots, sizeof *l->slot);
    l->thread = calloc((size_t)o->threads, sizeof *l->thread);
    if (!err && (!l->slot || !l->thread))
        err = voco_fail(VOCO_EMEMORY, "no memory for the loader");
    for (int i = 0; !err && i < l->n_slots; i++)
        err = voco_batch_alloc(&l->slot[i].batch, o);
    return err ? err : start_threads(l);
}

enum voco_err
voco_loader_open(const struct voco_store *store, const struct voco_loader_options *o,
                 int64_t first_step, struct voco_loader **ret)
{
    struct voco_loader *l = NULL;
    enum voco_err err = check_options(o);
    int64_t size[3];

    *ret = NULL;
    if (!err)
        err = check_volumes(store, o->roi);
    if (!err && (first_step < 0 || first_step > STEP_MAX))
        err = voco_fail(VOCO_EUSAGE, "first step is %lld, expected 0 to %lld",
                        (long long)first_step, (long long)STEP_MAX);
    if (!err && !(l = calloc(1, sizeof *l)))
        err = voco_fail(VOCO_EMEMORY, "no memory for the loader");
    if (err)
        return err;
    l->store = store;
    l->o = *o;
    voco_block_size(o->roi, size);
    l->block_voxels = size[0] * size[1] * size[2];
    l->first = l->next = first_step;
    l->unit = first_step * o->batch;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    if ((err = open_loader(l))) {
        voco_loader_close(l);
        return err;
    }
    *ret = l;
    return VOCO_OK;
}

enum voco_err
voco_loader_next(struct voco_loader *l, const struct voco_batch **ret,
                 double *ret_waited_s)
{
    const double start = voco_seconds();
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    pthread_mutex_lock(&l->mutex);
    struct slot *slot = &l->slot[l->next % l->n_slots];
    if (l->first < l->next) {           /* the batch given out last is free now */
        l->first = l->next;
        pthread_cond_broadcast(&l->work);
    }
    while (slot->batch.step != l->next || l->unit < (l->next + 1) * l->o.batch
           || slot->missing > 0)
        pthread_cond_wait(&l->ready, &l->mutex);
    if (slot->err) {                    /* stays: the next call says the same */
        err = voco_fail(slot->err, "%s", slot->why);
    } else {
        *ret = &slot->batch;
        l->next++;
    }
    pthread_mutex_unlock(&l->mutex);
    if (ret_waited_s)
        *ret_waited_s = voco_seconds() - start;
    return err;
}

int64_t
voco_loader_epoch(const struct voco_loader *l)
{
    return l->sampler.length;
}

void
voco_loader_close(struct voco_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->n_threads; i++)
        pthread_join(l->thread[i], NULL);
    for (int i = 0; l->slot && i < l->n_slots; i++) {
        voco_batch_free(&l->slot[i].batch);
        free(l->slot[i].why);
    }
    free(l->slot);
    free(l->thread);
    voco_sampler_free(&l->sampler);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}
