/* Batches for VoCo: the block of a volume, and the crops in it. */
#include "objective/voco/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/batch/sampler.h"
#include "objective/pretrain/augment.h"
#include "objective/voco/block.h"

enum { ROI_MAX = 512, BATCH_MAX = 4096, SW_MAX = 1024 };

struct voco_loader {
    const struct voco_store *store;
    struct voco_loader_options o;
    int64_t block_voxels;
    struct voco_sampler sampler;        /* of the kind's begin */
};

/* Memory of a thread. */
struct own {
    float *block;
    struct voco_store_scratch scratch;
};

/* ---- one volume of a batch ---- */

/* Row of the embeddings that a crop becomes: random crops of all volumes come first. */
static int
row_of(const struct voco_loader_options *o, int sample, int crop)
{
    return crop < VOCO_BASES ? o->batch * o->sw + sample * VOCO_BASES + crop
                             : sample * o->sw + crop - VOCO_BASES;
}

static bool
keeps(const struct voco_loader_options *o, int64_t step, int row)
{
    const struct voco_rng_key key = { .seed = o->seed, .step = (uint64_t)step,
                                      .sample = (uint32_t)row,
                                      .purpose = VOCO_RNG_ROWDROP };

    return voco_rng_unit(&key, 0) >= (float)o->drop;
}

static enum voco_err
load(const struct voco_loader *l, struct voco_batch *b, int sample, float *block,
     struct voco_store_scratch *scratch)
{
    const struct voco_loader_options *o = &l->o;
    const int volume = b->head.volume[sample];
    const struct voco_store_entry *e = voco_store_entry(l->store, volume);
    const int64_t crop_voxels = (int64_t)o->roi * o->roi * o->roi;
    int64_t size[3], *start = b->block + 3 * sample;

    voco_block_size(o->roi, size);
    voco_block_start(o->seed, b->head.step, sample, e->dim, o->roi, start);
    const enum voco_err err = voco_store_read(l->store, volume, start, size, block,
                                              scratch);
    if (err)
        return err;
    for (int crop = 0; crop < VOCO_BASES + o->sw; crop++) {
        const int random = crop - VOCO_BASES;       /* number of a random crop if >= 0 */
        int64_t at[3] = {0, 0, 0};
        struct voco_augment a = {.scale = 1};
        float *out;

        if (random < 0) {
            at[0] = crop / VOCO_GRID * o->roi;
            at[1] = crop % VOCO_GRID * o->roi;
            out = b->crops + (sample * VOCO_BASES + crop) * crop_voxels;
        } else {
            const int64_t k = (int64_t)sample * o->sw + random;
            int *center = b->center + 2 * k;

            voco_crop_center(o->seed, b->head.step, sample, crop, o->roi, center);
            voco_crop_labels(center, o->roi, b->labels + VOCO_BASES * k);
            at[0] = center[0] - o->roi / 2;
            at[1] = center[1] - o->roi / 2;
            out = b->img + k * crop_voxels;
        }
        if (o->augment)
            a = voco_crop_augment(o->seed, b->head.step, sample, crop);
        voco_crop_copy(&a, block, size, at, o->roi, out);
        b->keep[row_of(o, sample, crop)] = keeps(o, b->head.step, row_of(o, sample, crop));
    }
    return VOCO_OK;
}

/* ---- the kind ---- */

static void
begin(void *source, void *batch, int sample)
{
    struct voco_loader *l = source;
    struct voco_batch *b = batch;

    b->head.volume[sample] = voco_sampler_at(&l->sampler,
                                             b->head.step * l->o.batch + sample);
}

static enum voco_err
fill(const void *source, void *batch, int sample, void *own)
{
    struct own *o = own;

    return load(source, batch, sample, o->block, &o->scratch);
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
own_new(const void *source)
{
    const struct voco_loader *l = source;
    struct own *o = calloc(1, sizeof *o);

    if (o && !(o->block = malloc((size_t)l->block_voxels * sizeof *o->block))) {
        own_free(o);
        o = NULL;
    }
    return o;
}

enum voco_err
voco_batch_alloc(struct voco_batch *b, const struct voco_loader_options *o)
{
    const int64_t voxels = (int64_t)o->roi * o->roi * o->roi;
    const int64_t n = o->batch, random = n * o->sw;

    *b = (struct voco_batch){.head.n_volumes = o->batch, .sw = o->sw, .roi = o->roi};
    b->img = voco_batch_array(random * voxels, sizeof *b->img);
    b->crops = voco_batch_array(n * VOCO_BASES * voxels, sizeof *b->crops);
    b->labels = voco_batch_array(random * VOCO_BASES, sizeof *b->labels);
    b->head.volume = voco_batch_array(n, sizeof *b->head.volume);
    b->keep = voco_batch_array(n * (o->sw + VOCO_BASES), sizeof *b->keep);
    b->center = voco_batch_array(random * 2, sizeof *b->center);
    b->block = voco_batch_array(n * 3, sizeof *b->block);
    if (b->img && b->crops && b->labels && b->keep && b->head.volume && b->center
        && b->block)
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
    free(b->keep);
    free(b->head.volume);
    free(b->center);
    free(b->block);
    memset(b, 0, sizeof *b);
}

static enum voco_err
kind_alloc(const void *source, void *batch)
{
    const struct voco_loader *l = source;
    struct voco_batch *b = batch;
    const enum voco_err err = voco_batch_alloc(b, &l->o);

    b->head.store = l->store;
    return err;
}

static void
kind_free(void *batch)
{
    voco_batch_free(batch);
}

const struct voco_batch_kind voco_crops_kind = {
    .name = "blocks and their crops", .bytes = sizeof(struct voco_batch),
    .alloc = kind_alloc, .free = kind_free, .begin = begin, .fill = fill,
    .own_new = own_new, .own_free = own_free,
};

/* ---- the source ---- */

static enum voco_err
check_options(const struct voco_loader_options *o)
{
    enum voco_err err;

    if ((err = voco_batch_number("batch", o->batch, 1, BATCH_MAX))
        || (err = voco_batch_number("number of random crops", o->sw, 1, SW_MAX))
        || (err = voco_batch_number("crop edge", o->roi, 2, ROI_MAX)))
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

enum voco_err
voco_loader_open(const struct voco_store *store, const struct voco_loader_options *o,
                 struct voco_loader **ret)
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
    err = voco_sampler_init(&l->sampler, store, o->seed, o->repeat, o->n_repeat,
                            o->exclude);
    if (err)
        voco_loader_close(l);
    else
        *ret = l;
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
    voco_sampler_free(&l->sampler);
    free(l);
}
