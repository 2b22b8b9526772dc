/* Batches for pre-training: the block of a volume, and the crops in it.  The ring's
 * threads make them (data/batch/ring.h). */
#include "objective/voco/batch.h"

#include <stdlib.h>
#include <string.h>

#include "data/batch/augment.h"
#include "objective/voco/block.h"
#include "data/batch/ring.h"
#include "data/batch/sampler.h"

enum { ROI_MAX = 512, BATCH_MAX = 4096, SW_MAX = 1024 };

struct voco_loader {
    const struct voco_store *store;
    struct voco_loader_options o;
    int64_t block_voxels;
    struct voco_sampler sampler;        /* of the ring's begin */
    struct voco_batch *batch;           /* a slot each */
    int n_slots;
    struct voco_ring *ring;
};

/* What a thread has of its own. */
struct own {
    float *block;
    struct voco_store_scratch scratch;
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

/* ---- for the ring ---- */

static void
begin(void *user, int slot, int64_t step, int sample)
{
    struct voco_loader *l = user;

    l->batch[slot].step = step;
    l->batch[slot].volume[sample] = voco_sampler_at(&l->sampler,
                                                    step * l->o.batch + sample);
}

static enum voco_err
fill(void *user, int slot, int sample, void *own)
{
    const struct voco_loader *l = user;
    struct own *o = own;

    return load(l, &l->batch[slot], sample, o->block, &o->scratch);
}

static void
own_free(void *own)
{
    struct own *o = own;

    free(o->block);
    voco_store_scratch_free(&o->scratch);
    free(o);
}

static void *
own_new(void *user)
{
    const struct voco_loader *l = user;
    struct own *o = calloc(1, sizeof *o);

    if (o && !(o->block = malloc((size_t)l->block_voxels * sizeof *o->block))) {
        own_free(o);
        o = NULL;
    }
    return o;
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
        || (err = check_number("number of loader threads", o->threads, 1,
                               VOCO_RING_THREADS_MAX))
        || (err = check_number("number of batches ahead", o->ahead, 1,
                               VOCO_RING_AHEAD_MAX)))
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
open_loader(struct voco_loader *l, int64_t first_step)
{
    const struct voco_loader_options *o = &l->o;
    const struct voco_ring_work w = {
        .user = l, .units = o->batch, .threads = o->threads, .ahead = o->ahead,
        .begin = begin, .fill = fill, .own_new = own_new, .own_free = own_free
    };
    enum voco_err err = voco_sampler_init(&l->sampler, l->store, o->seed, o->repeat,
                                          o->n_repeat);

    if (err)
        return err;
    l->batch = calloc((size_t)voco_ring_slots(&w), sizeof *l->batch);
    if (!l->batch)
        return voco_fail(VOCO_EMEMORY, "no memory for the loader");
    while (!err && l->n_slots < voco_ring_slots(&w))
        err = voco_batch_alloc(&l->batch[l->n_slots++], o);
    return err ? err : voco_ring_open(&w, first_step, &l->ring);
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
    if (!err && !(l = calloc(1, sizeof *l)))
        err = voco_fail(VOCO_EMEMORY, "no memory for the loader");
    if (err)
        return err;
    l->store = store;
    l->o = *o;
    voco_block_size(o->roi, size);
    l->block_voxels = size[0] * size[1] * size[2];
    if ((err = open_loader(l, first_step))) {
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
    int slot;
    const enum voco_err err = voco_ring_next(l->ring, &slot, ret_waited_s);

    *ret = err ? NULL : &l->batch[slot];
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
    voco_ring_close(l->ring);
    for (int i = 0; i < l->n_slots; i++)
        voco_batch_free(&l->batch[i]);
    free(l->batch);
    voco_sampler_free(&l->sampler);
    free(l);
}
