/* Batches of plain crops from the volumes of a store. */
#include "objective/pretrain/patches.h"

#include <stdlib.h>

#include "base/rng.h"
#include "data/batch/sampler.h"
#include "objective/pretrain/augment.h"

enum { ROI_MAX = 512, BATCH_MAX = 4096, CROPS_MAX = 1024 };

struct voco_patch_source {
    const struct voco_store *store;
    struct voco_patches_options o;
    struct voco_sampler sampler;        /* of the kind's begin */
};

/* Memory of a thread. */
struct own {
    float *box;                         /* a crop as it is read */
    void *made;                         /* for the option make */
    struct voco_store_scratch scratch;
};

static int64_t
voxels(const struct voco_patches_options *o)
{
    return (int64_t)o->roi * o->roi * o->roi;
}

/* ---- one crop ---- */

void
voco_patch_start(const struct voco_patch_key *k, const int64_t dim[3], int roi,
                 int64_t start[3])
{
    const struct voco_rng_key key = { .seed = k->seed, .step = (uint64_t)k->step,
                                      .sample = (uint32_t)k->sample,
                                      .crop = (uint16_t)k->crop,
                                      .purpose = VOCO_RNG_SLAB };

    for (uint32_t a = 0; a < 3; a++)
        start[a] = voco_rng_below(&key, a, (uint32_t)(dim[a] - roi + 1));
}

static enum voco_err
load(const struct voco_patch_source *s, struct voco_patches *b, const struct voco_patch_key *k,
     struct own *own)
{
    const struct voco_patches_options *o = &s->o;
    const int volume = b->head.volume[k->sample];
    const int64_t n = (int64_t)k->sample * o->crops + k->crop, zero[3] = { 0, 0, 0 };
    const int64_t size[3] = { o->roi, o->roi, o->roi };
    float *const crop = b->crop + n * voxels(o);
    struct voco_augment a = { .scale = 1 };
    float *made[VOCO_PATCH_MAKES] = { NULL };
    enum voco_err err;

    voco_patch_start(k, voco_store_entry(s->store, volume)->dim, o->roi, b->start + 3 * n);
    err = voco_store_read(s->store, volume, b->start + 3 * n, size, own->box, &own->scratch);
    if (err != VOCO_OK)
        return err;
    if (o->augment)
        a = voco_crop_augment(o->seed, k->step, k->sample, k->crop);
    voco_crop_copy(&a, own->box, size, zero, o->roi, crop);
    for (int i = 0; i < o->n_made; i++)
        made[i] = b->made[i] + n * voxels(o);
    return o->make ? o->make(o->user, k, crop, made, own->made) : VOCO_OK;
}

/* ---- the kind ---- */

static void
begin(void *source, void *batch, int sample)
{
    struct voco_patch_source *s = source;
    struct voco_patches *b = batch;

    b->head.volume[sample] = voco_sampler_at(&s->sampler,
                                             b->head.step * s->o.batch + sample);
}

static enum voco_err
fill(const void *source, void *batch, int sample, void *own)
{
    const struct voco_patch_source *s = source;
    const struct voco_patches *b = batch;
    enum voco_err err = VOCO_OK;

    for (int crop = 0; crop < s->o.crops && err == VOCO_OK; crop++) {
        const struct voco_patch_key key = { s->o.seed, b->head.step, sample, crop };

        err = load(s, batch, &key, own);
    }
    return err;
}

static void
own_free(void *own)
{
    struct own *o = own;

    free(o->box);
    free(o->made);
    voco_store_scratch_free(&o->scratch);
    free(o);
}

static void *
own_new(const void *source)
{
    const struct voco_patches_options *opt = &((const struct voco_patch_source *)source)->o;
    struct own *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->box = malloc((size_t)voxels(opt) * sizeof *o->box);
    o->made = malloc(opt->scratch_bytes + 1);
    if (o->box && o->made)
        return o;
    own_free(o);
    return NULL;
}

static void
batch_free(void *batch)
{
    struct voco_patches *b = batch;

    free(b->crop);
    for (int i = 0; i < VOCO_PATCH_MAKES; i++)
        free(b->made[i]);
    free(b->start);
    free(b->head.volume);
    *b = (struct voco_patches){ .crop = NULL };
}

static enum voco_err
batch_alloc(const void *source, void *batch)
{
    const struct voco_patch_source *s = source;
    const struct voco_patches_options *o = &s->o;
    const int64_t n = (int64_t)o->batch * o->crops;
    struct voco_patches *b = batch;
    bool all = true;

    *b = (struct voco_patches){ .head = { .store = s->store, .n_volumes = o->batch },
                                .crops = o->crops, .roi = o->roi };
    b->crop = voco_batch_array(n * voxels(o), sizeof *b->crop);
    for (int i = 0; i < o->n_made; i++)
        all = (b->made[i] = voco_batch_array(n * voxels(o), sizeof *b->made[i])) && all;
    b->start = voco_batch_array(3 * n, sizeof *b->start);
    b->head.volume = voco_batch_array(o->batch, sizeof *b->head.volume);
    if (all && b->crop && b->start && b->head.volume)
        return VOCO_OK;
    return voco_fail(VOCO_EMEMORY, "no memory for a batch of %lld crops of %d^3",
                     (long long)n, o->roi);
}

const struct voco_batch_kind voco_patches_kind = {
    .name = "crops", .bytes = sizeof(struct voco_patches), .alloc = batch_alloc,
    .free = batch_free, .begin = begin, .fill = fill, .own_new = own_new,
    .own_free = own_free,
};

/* ---- the source ---- */

enum voco_err
voco_patches_fit(const struct voco_store *store, const bool *exclude, int roi)
{
    for (int i = 0; i < voco_store_count(store); i++) {
        const struct voco_store_entry *e = voco_store_entry(store, i);

        if (exclude && exclude[i])
            continue;
        if (e->dim[0] < roi || e->dim[1] < roi || e->dim[2] < roi)
            return voco_fail(VOCO_EFORMAT, "volume %s has %lld x %lld x %lld voxels, expected "
                             "at least %d^3 of a crop: convert with a preset that pads to "
                             "this size, or use smaller crops", e->id, (long long)e->dim[0],
                             (long long)e->dim[1], (long long)e->dim[2], roi);
    }
    return VOCO_OK;
}

static enum voco_err
check(const struct voco_store *store, const struct voco_patches_options *o)
{
    enum voco_err err;

    if ((err = voco_batch_number("batch", o->batch, 1, BATCH_MAX))
        || (err = voco_batch_number("number of crops of a volume", o->crops, 1, CROPS_MAX))
        || (err = voco_batch_number("crop edge", o->roi, 2, ROI_MAX)))
        return err;
    return voco_patches_fit(store, o->exclude, o->roi);
}

enum voco_err
voco_patches_open(const struct voco_store *store, const struct voco_patches_options *o,
                  struct voco_patch_source **ret)
{
    struct voco_patch_source *s;
    enum voco_err err = check(store, o);

    *ret = NULL;
    VOCO_ASSERT(o->n_made <= VOCO_PATCH_MAKES);
    if (err != VOCO_OK)
        return err;
    if (!(s = calloc(1, sizeof *s)))
        return voco_fail(VOCO_EMEMORY, "no memory for the loader");
    s->store = store;
    s->o = *o;
    err = voco_sampler_init(&s->sampler, store, o->seed, o->repeat.item, o->repeat.n,
                            o->exclude);
    if (err == VOCO_OK)
        *ret = s;
    else
        voco_patches_close(s);
    return err;
}

void
voco_patches_close(struct voco_patch_source *s)
{
    if (!s)
        return;
    voco_sampler_free(&s->sampler);
    free(s);
}
