/* Batches of views of the volumes of a store. */
#include "objective/views/batch.h"

#include <stdlib.h>

#include "data/batch/sampler.h"
#include "objective/pretrain/patches.h"

enum { BATCH_MAX = 4096, CROPS_MAX = 1024 };

struct voco_views_source {
    const struct voco_store *store;
    struct voco_views_options o;
    struct voco_sampler sampler;        /* of the kind's begin */
};

/* Memory of a thread. */
struct own {
    struct voco_view_memory *view;
    struct voco_store_scratch scratch;
};

static int64_t
voxels(const struct voco_views_options *o)
{
    return (int64_t)o->roi * o->roi * o->roi;
}

/* ---- the kind ---- */

static void
begin(void *source, void *batch, int sample)
{
    struct voco_views_source *s = source;
    struct voco_views *b = batch;

    b->head.volume[sample] = voco_sampler_at(&s->sampler,
                                             b->head.step * s->o.batch + sample);
}

static enum voco_err
load(const struct voco_views_source *s, struct voco_views *b,
     const struct voco_view_key *key, struct own *own)
{
    const struct voco_views_options *o = &s->o;
    const int volume = b->head.volume[key->crop.sample];
    const int64_t n = (int64_t)key->crop.sample * o->crops + key->crop.crop;
    struct voco_view v;
    enum voco_err err;

    voco_view_draw(o->recipe, o->strength, o->augment, key,
                   voco_store_entry(s->store, volume)->dim, o->roi, &v);
    err = voco_store_read(s->store, volume, v.start, (int64_t[]){ v.edge, v.edge, v.edge },
                          own->view->box[0], &own->scratch);
    if (err == VOCO_OK)
        voco_view_make(&v, o->roi, own->view, b->view[key->view] + n * voxels(o));
    return err;
}

static enum voco_err
fill(const void *source, void *batch, int sample, void *own)
{
    const struct voco_views_source *s = source;
    struct voco_views *b = batch;
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < 2 * s->o.crops && err == VOCO_OK; i++) {
        const struct voco_view_key key = { { s->o.seed, b->head.step, sample, i / 2 }, i % 2 };

        err = load(s, b, &key, own);
    }
    return err;
}

static void
own_free(void *own)
{
    struct own *o = own;

    voco_view_memory_free(o->view);
    voco_store_scratch_free(&o->scratch);
    free(o);
}

static void *
own_new(const void *source)
{
    struct own *o = calloc(1, sizeof *o);

    if (o && !(o->view = voco_view_memory_new(((const struct voco_views_source *)source)
                                              ->o.roi))) {
        own_free(o);
        o = NULL;
    }
    return o;
}

static void
batch_free(void *batch)
{
    struct voco_views *b = batch;

    free(b->view[0]);
    free(b->view[1]);
    free(b->head.volume);
    *b = (struct voco_views){ .crops = 0 };
}

static enum voco_err
batch_alloc(const void *source, void *batch)
{
    const struct voco_views_source *s = source;
    const struct voco_views_options *o = &s->o;
    const int64_t n = (int64_t)o->batch * o->crops;
    struct voco_views *b = batch;

    *b = (struct voco_views){ .head = { .store = s->store, .n_volumes = o->batch },
                              .crops = o->crops, .roi = o->roi };
    for (int v = 0; v < 2; v++)
        b->view[v] = voco_batch_array(n * voxels(o), sizeof *b->view[v]);
    b->head.volume = voco_batch_array(o->batch, sizeof *b->head.volume);
    if (b->view[0] && b->view[1] && b->head.volume)
        return VOCO_OK;
    return voco_fail(VOCO_EMEMORY, "no memory for two views of %lld crops of %d^3",
                     (long long)n, o->roi);
}

const struct voco_batch_kind voco_views_kind = {
    .name = "views of crops", .bytes = sizeof(struct voco_views), .alloc = batch_alloc,
    .free = batch_free, .begin = begin, .fill = fill, .own_new = own_new,
    .own_free = own_free,
};

/* ---- the source ---- */

static enum voco_err
check(const struct voco_store *store, const struct voco_views_options *o)
{
    enum voco_err err;

    if ((err = voco_batch_number("batch", o->batch, 1, BATCH_MAX))
        || (err = voco_batch_number("number of crops of a volume", o->crops, 1, CROPS_MAX))
        || (err = voco_batch_number("crop edge", o->roi, 2, VOCO_TAPS_LINE)))
        return err;
    return voco_patches_fit(store, o->exclude, o->roi);
}

enum voco_err
voco_views_open(const struct voco_store *store, const struct voco_views_options *o,
                struct voco_views_source **ret)
{
    struct voco_views_source *s;
    enum voco_err err = check(store, o);

    *ret = NULL;
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
        voco_views_close(s);
    return err;
}

void
voco_views_close(struct voco_views_source *s)
{
    if (!s)
        return;
    voco_sampler_free(&s->sampler);
    free(s);
}
