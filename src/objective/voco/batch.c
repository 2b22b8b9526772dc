/* Batches for VoCo: the block of a volume, and the crops in it. */
#include "objective/voco/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/batch/sampler.h"
#include "objective/pretrain/augment.h"
#include "objective/voco/cut.h"

enum { ROI_MAX = 512, EDGE_MAX = 4096, BATCH_MAX = 4096, SW_MAX = 1024 };

struct voco_loader {
    struct voco_cut cut;
    struct voco_loader_options o;
    int bases;
    struct voco_sampler sampler;        /* of the kind's begin */
};

/* ---- one volume of a batch ---- */

/* Row of the embeddings that a crop becomes: random crops of all volumes come first. */
static int
row_of(const struct voco_loader *l, int sample, int crop)
{
    return crop < l->bases ? l->o.batch * l->o.sw + sample * l->bases + crop
                           : sample * l->o.sw + crop - l->bases;
}

static bool
keeps(const struct voco_loader_options *o, int64_t step, int row)
{
    const struct voco_rng_key key = { .seed = o->seed, .step = (uint64_t)step,
                                      .sample = (uint32_t)row,
                                      .purpose = VOCO_RNG_ROWDROP };

    return voco_rng_unit(&key, 0) >= (float)o->drop;
}

/* Base crops first.  Places and labels do not depend on the augmentation. */
static enum voco_err
load_crop(const struct voco_loader *l, struct voco_batch *b, int sample, int crop,
          struct voco_cut_own *own)
{
    const struct voco_loader_options *o = &l->o;
    const int64_t voxels = (int64_t)o->roi * o->roi * o->roi;
    const int64_t k = (int64_t)sample * o->sw + crop - l->bases;    /* of a random crop */
    const bool random = crop >= l->bases;
    struct voco_augment augment = { .scale = 1 };
    int base[3], *start = random ? b->start + 3 * k : base;

    if (random) {
        voco_crop_start(&o->grid, o->seed, b->head.step, sample, crop, start);
        voco_crop_labels(&o->grid, start, b->labels + l->bases * k);
    } else {
        voco_base_start(&o->grid, crop, start);
    }
    if (o->augment)
        augment = voco_crop_augment_by(o->seed, b->head.step, sample, crop, o->shift);
    b->keep[row_of(l, sample, crop)] = keeps(o, b->head.step, row_of(l, sample, crop));
    return voco_cut_crop(&l->cut, start, &augment, own,
                         random ? b->img + k * voxels
                                : b->crops + ((int64_t)sample * l->bases + crop) * voxels);
}

static enum voco_err
load(const struct voco_loader *l, struct voco_batch *b, int sample, struct voco_cut_own *own)
{
    const int volume = b->head.volume[sample];
    int64_t size[3], *start = b->block + 3 * sample;
    enum voco_err err;

    voco_cut_size(&l->cut, volume, size);
    voco_block_start(l->o.seed, b->head.step, sample,
                     voco_store_entry(l->cut.store, volume)->dim, size, start);
    err = voco_cut_read(&l->cut, volume, start, own);
    for (int crop = 0; crop < l->bases + l->o.sw && err == VOCO_OK; crop++)
        err = load_crop(l, b, sample, crop, own);
    return err;
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
    return load(source, batch, sample, own);
}

static void
own_free(void *own)
{
    voco_cut_own_free(own);
    free(own);
}

static void *
own_new(const void *source)
{
    (void)source;               /* volumes differ: memory comes with the first block */
    return calloc(1, sizeof(struct voco_cut_own));
}

enum voco_err
voco_batch_alloc(struct voco_batch *b, const struct voco_loader_options *o)
{
    const int64_t voxels = (int64_t)o->roi * o->roi * o->roi;
    const int bases = voco_tiling_bases(&o->grid);
    const int64_t n = o->batch, random = n * o->sw;

    *b = (struct voco_batch){.head.n_volumes = o->batch, .sw = o->sw, .roi = o->roi,
                             .bases = bases};
    b->img = voco_batch_array(random * voxels, sizeof *b->img);
    b->crops = voco_batch_array(n * bases * voxels, sizeof *b->crops);
    b->labels = voco_batch_array(random * bases, sizeof *b->labels);
    b->head.volume = voco_batch_array(n, sizeof *b->head.volume);
    b->keep = voco_batch_array(n * (o->sw + bases), sizeof *b->keep);
    b->start = voco_batch_array(random * 3, sizeof *b->start);
    b->block = voco_batch_array(n * 3, sizeof *b->block);
    if (b->img && b->crops && b->labels && b->keep && b->head.volume && b->start
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
    free(b->start);
    free(b->block);
    memset(b, 0, sizeof *b);
}

static enum voco_err
kind_alloc(const void *source, void *batch)
{
    const struct voco_loader *l = source;
    struct voco_batch *b = batch;
    const enum voco_err err = voco_batch_alloc(b, &l->o);

    b->head.store = l->cut.store;
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
        || (err = voco_batch_number("crop edge", o->roi, 2, ROI_MAX))
        || (err = voco_batch_number("crop edge in the block", o->grid.edge, 2, EDGE_MAX))
        || (err = voco_batch_number("number of base crops", voco_tiling_bases(&o->grid), 1,
                                    VOCO_BASES_MAX)))
        return err;
    VOCO_ASSERT(!(o->crop_mm > 0) || o->grid.edge == o->roi);
    return VOCO_OK;
}

enum voco_err
voco_loader_open(const struct voco_store *store, const struct voco_loader_options *o,
                 struct voco_loader **ret)
{
    const struct voco_cut cut = { store, o->grid, o->roi, o->crop_mm };
    struct voco_loader *l = NULL;
    enum voco_err err = check_options(o);

    *ret = NULL;
    if (!err)
        err = voco_cut_check(&cut);
    if (!err && !(l = calloc(1, sizeof *l)))
        err = voco_fail(VOCO_EMEMORY, "no memory for the loader");
    if (err)
        return err;
    l->cut = cut;
    l->o = *o;
    l->bases = voco_tiling_bases(&o->grid);
    err = voco_sampler_init(&l->sampler, store, o->seed, o->repeat.item, o->repeat.n,
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
