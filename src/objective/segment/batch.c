/* Random crops of labelled volumes (MONAI: RandCropByPosNegLabel, RandFlip, RandRotate90,
 * RandScaleIntensity, RandShiftIntensity, in this order), and whole volumes. */
#include "objective/segment/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/batch/ring.h"

enum { ROI_MAX = 1024, BATCH_MAX = 4096, SAMPLES_MAX = 1024, CLASSES_MAX = 256 };

struct voco_seg_loader {
    const struct voco_store *store;
    struct voco_seg_options o;
    int *volume;                /* copy of o.volume */
    int channels;
    uint32_t *order;            /* of the volumes in this epoch */
    int64_t epoch;
    struct voco_seg_batch *batch;       /* a slot each */
    int n_slots;
    struct voco_ring *ring;
};

/* What a thread has of its own: a crop before it is turned. */
struct own {
    float *image;               /* [channels][x][y][z] */
    uint16_t *label;
    struct voco_store_scratch scratch;
};

/* ---- one crop ---- */

/* How a crop is changed while it is copied. */
struct change {
    bool flip[3];
    int turns;
    float scale, shift;
};

static struct change
draw_change(const struct voco_seg_augment *a, struct voco_rng_key key)
{
    struct change c = {.scale = 1};

    key.purpose = VOCO_RNG_FLIP;
    for (uint32_t i = 0; i < 3; i++)
        c.flip[i] = voco_rng_unit(&key, i) < a->flip;
    key.purpose = VOCO_RNG_ROT90;
    if (voco_rng_unit(&key, 0) < a->turn)
        c.turns = 1 + (int)voco_rng_below(&key, 1, 3);
    key.purpose = VOCO_RNG_SCALE;
    if (voco_rng_unit(&key, 0) < a->scale)
        c.scale = 1 + a->scale_by * (2 * voco_rng_unit(&key, 1) - 1);
    key.purpose = VOCO_RNG_SHIFT;
    if (voco_rng_unit(&key, 0) < a->shift)
        c.shift = a->shift_by * (2 * voco_rng_unit(&key, 1) - 1);
    return c;
}

void
voco_seg_start(const int64_t at[3], const int64_t dim[3], const int64_t roi[3],
               int64_t start[3])
{
    for (int a = 0; a < 3; a++) {
        const int64_t last = dim[a] - roi[a];

        if (last < 0)
            start[a] = -((roi[a] - dim[a]) / 2);        /* the odd voxel at the end */
        else {
            const int64_t wanted = at[a] - roi[a] / 2;

            start[a] = wanted < 0 ? 0 : wanted > last ? last : wanted;
        }
    }
}

/* Where this crop lies in its volume. */
static enum voco_err
choose_start(const struct voco_seg_loader *l, int volume, struct voco_rng_key key,
             struct voco_store_scratch *scratch, int64_t start[3])
{
    int64_t n[2], at[3];
    enum voco_voxel_kind kind;
    enum voco_err err;

    for (int k = 0; k < 2; k++)
        n[k] = voco_store_voxels(l->store, volume, (enum voco_voxel_kind)k);
    key.purpose = VOCO_RNG_LABELLED;
    kind = voco_rng_unit(&key, 0) < l->o.positive ? VOCO_VOXEL_LABELLED
                                                  : VOCO_VOXEL_BACKGROUND;
    if (n[kind] == 0)
        kind = (enum voco_voxel_kind)(1 - kind);
    err = voco_store_find(l->store, volume, kind,
                          voco_rng_below(&key, 1, (uint32_t)n[kind]), at, scratch);
    if (!err)
        voco_seg_start(at, voco_store_entry(l->store, volume)->dim, l->o.roi, start);
    return err;
}

/* The part of a crop that lies in the volume, and where it begins in the crop. */
struct part {
    int64_t start[3], size[3];  /* in the volume */
    int64_t front[3];           /* padding before it */
};

static struct part
part_of(const int64_t start[3], const int64_t roi[3], const int64_t dim[3])
{
    struct part p;

    for (int a = 0; a < 3; a++) {
        const int64_t end = start[a] + roi[a] < dim[a] ? start[a] + roi[a] : dim[a];

        p.start[a] = start[a] > 0 ? start[a] : 0;
        p.size[a] = end - p.start[a];
        p.front[a] = p.start[a] - start[a];
    }
    return p;
}

/* Row (x,y) of the result comes from row (*sx,*sy): undo the turns, then the flips, as in
 * augment.c.  One turn: out[x][y] = in[y][n-1-x]. */
static void
source_row(const struct change *c, const int64_t roi[3], int64_t x, int64_t y,
           int64_t *sx, int64_t *sy)
{
    const int64_t n = roi[0];

    switch (c->turns) {
    case 0: *sx = x;         *sy = y;         break;
    case 1: *sx = y;         *sy = n - 1 - x; break;
    case 2: *sx = n - 1 - x; *sy = roi[1] - 1 - y; break;
    default: *sx = n - 1 - y; *sy = x;        break;
    }
    if (c->flip[0])
        *sx = roi[0] - 1 - *sx;
    if (c->flip[1])
        *sy = roi[1] - 1 - *sy;
}

/* The part of a volume, in own, becomes a crop, interleaved; padding is 0 before and
 * after the change of intensities, since it comes first. */
static void
place_crop(const struct change *c, const struct part *p, const int64_t roi[3],
           int channels, const struct own *own, float *image, uint8_t *label)
{
    const int64_t voxels = p->size[0] * p->size[1] * p->size[2];

    for (int64_t x = 0; x < roi[0]; x++)
        for (int64_t y = 0; y < roi[1]; y++) {
            int64_t sx, sy;

            source_row(c, roi, x, y, &sx, &sy);
            sx -= p->front[0];
            sy -= p->front[1];
            const bool outside = sx < 0 || sx >= p->size[0] || sy < 0 || sy >= p->size[1];
            const int64_t row = (sx * p->size[1] + sy) * p->size[2];
            for (int64_t z = 0; z < roi[2]; z++, label++) {
                const int64_t sz = (c->flip[2] ? roi[2] - 1 - z : z) - p->front[2];
                const bool empty = outside || sz < 0 || sz >= p->size[2];

                for (int k = 0; k < channels; k++) {
                    const float v = empty ? 0 : own->image[k * voxels + row + sz];

                    *image++ = v * c->scale + c->shift;
                }
                *label = empty ? 0 : (uint8_t)own->label[row + sz];
            }
        }
}

static enum voco_err
load_crop(const struct voco_seg_loader *l, struct voco_seg_batch *b, int crop,
          struct voco_rng_key key, struct own *own)
{
    const int64_t *roi = l->o.roi, voxels = roi[0] * roi[1] * roi[2];
    const int volume = b->volume[crop];
    int64_t *start = b->start + 3 * crop;
    enum voco_err err = choose_start(l, volume, key, &own->scratch, start);

    if (err)
        return err;
    const struct part p = part_of(start, roi, voco_store_entry(l->store, volume)->dim);
    const int64_t n = p.size[0] * p.size[1] * p.size[2];

    for (int c = 0; !err && c < l->channels; c++)
        err = voco_store_read_channel(l->store, volume, c, p.start, p.size,
                                      own->image + c * n, &own->scratch);
    if (!err)
        err = voco_store_read_label(l->store, volume, p.start, p.size, own->label,
                                    &own->scratch);
    if (!err) {
        const struct change c = draw_change(&l->o.augment, key);

        place_crop(&c, &p, roi, l->channels, own,
                   b->image + crop * voxels * l->channels, b->label + crop * voxels);
    }
    return err;
}

/* ---- for the ring ---- */

/* Epochs are permutations of the volumes, one behind the other. */
static void
begin(void *user, int slot, int64_t step, int unit)
{
    struct voco_seg_loader *l = user;
    struct voco_seg_batch *b = &l->batch[slot];
    const int64_t position = step * l->o.batch + unit;
    const int64_t epoch = position / l->o.n_volumes;

    if (epoch != l->epoch) {
        const struct voco_rng_key key = {.seed = l->o.seed, .step = (uint64_t)epoch,
                                         .purpose = VOCO_RNG_ORDER};

        voco_rng_permute(&key, (uint32_t)l->o.n_volumes, l->order);
        l->epoch = epoch;
    }
    b->step = step;
    for (int i = 0; i < l->o.samples; i++)
        b->volume[unit * l->o.samples + i] =
            l->volume[l->order[position % l->o.n_volumes]];
}

static enum voco_err
fill(void *user, int slot, int unit, void *own)
{
    struct voco_seg_loader *l = user;
    struct voco_seg_batch *b = &l->batch[slot];
    enum voco_err err = VOCO_OK;

    for (int i = 0; !err && i < l->o.samples; i++) {
        const struct voco_rng_key key = {.seed = l->o.seed, .step = (uint64_t)b->step,
                                         .sample = (uint32_t)unit, .crop = (uint16_t)i};

        err = load_crop(l, b, unit * l->o.samples + i, key, own);
    }
    return err;
}

static void
own_free(void *own)
{
    struct own *o = own;

    free(o->image);
    free(o->label);
    voco_store_scratch_free(&o->scratch);
    free(o);
}

static void *
own_new(void *user)
{
    const struct voco_seg_loader *l = user;
    const size_t voxels = (size_t)(l->o.roi[0] * l->o.roi[1] * l->o.roi[2]);
    struct own *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->image = malloc(voxels * (size_t)l->channels * sizeof *o->image);
    o->label = malloc(voxels * sizeof *o->label);
    if (!o->image || !o->label) {
        own_free(o);
        return NULL;
    }
    return o;
}

/* ---- opening ---- */

static enum voco_err
check_number(const char *what, int64_t value, int low, int high)
{
    if (value >= low && value <= high)
        return VOCO_OK;
    return voco_fail(VOCO_EUSAGE, "%s is %lld, expected %d to %d", what, (long long)value,
                     low, high);
}

static enum voco_err
check_options(const struct voco_seg_options *o)
{
    enum voco_err err = VOCO_OK;

    if (o->n_volumes < 1)
        return voco_fail(VOCO_EUSAGE, "no volume to train on");
    if ((err = check_number("batch", o->batch, 1, BATCH_MAX))
        || (err = check_number("number of crops of a volume", o->samples, 1, SAMPLES_MAX))
        || (err = check_number("number of classes", o->classes, 2, CLASSES_MAX)))
        return err;
    for (int a = 0; a < 3 && !err; a++)
        err = check_number("crop edge", o->roi[a], 1, ROI_MAX);
    if (!err && o->augment.turn > 0 && o->roi[0] != o->roi[1])
        err = voco_fail(VOCO_EUSAGE, "crops of %lld x %lld x %lld cannot be turned: x and "
                        "y must be alike", (long long)o->roi[0], (long long)o->roi[1],
                        (long long)o->roi[2]);
    return err;
}

static enum voco_err
check_classes(const struct voco_store_entry *e, int classes)
{
    const struct voco_store_label *l = &e->label;
    const int largest = l->n_counts ? l->count[l->n_counts - 1].class_id : 0;

    if (largest < classes)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "volume %s: its label map has class %d, expected classes "
                     "below %d", e->id, largest, classes);
}

static enum voco_err
check_volume(const struct voco_seg_loader *l, int i)
{
    const struct voco_store_entry *e = voco_store_entry(l->store, i);

    if (!e->label.source)
        return voco_fail(VOCO_EFORMAT, "volume %s has no label map: convert it with "
                         "--labels", e->id);
    if (e->channels != l->channels)
        return voco_fail(VOCO_EFORMAT, "volume %s has %d channels, the others have %d",
                         e->id, e->channels, l->channels);
    if (voco_store_voxels(l->store, i, VOCO_VOXEL_LABELLED) == 0
        && voco_store_voxels(l->store, i, VOCO_VOXEL_BACKGROUND) == 0)
        return voco_fail(VOCO_EFORMAT, "volume %s is empty: no voxel has a label or an "
                         "image above 0", e->id);
    if (e->dim[0] * e->dim[1] > UINT32_MAX / e->dim[2])
        return voco_fail(VOCO_EFORMAT, "volume %s has 2^32 voxels or more", e->id);
    return check_classes(e, l->o.classes);
}

static void *
aligned(int64_t n, size_t size)
{
    return aligned_alloc(64, ((size_t)n * size + 63) / 64 * 64);
}

static void
batch_free(struct voco_seg_batch *b)
{
    free(b->image);
    free(b->label);
    free(b->volume);
    free(b->start);
}

static enum voco_err
batch_alloc(const struct voco_seg_loader *l, struct voco_seg_batch *b)
{
    const int64_t *roi = l->o.roi, voxels = roi[0] * roi[1] * roi[2];

    *b = (struct voco_seg_batch){.n = l->o.batch * l->o.samples, .channels = l->channels};
    memcpy(b->roi, roi, sizeof b->roi);
    b->image = aligned(b->n * voxels * l->channels, sizeof *b->image);
    b->label = aligned(b->n * voxels, sizeof *b->label);
    b->volume = aligned(b->n, sizeof *b->volume);
    b->start = aligned(3 * (int64_t)b->n, sizeof *b->start);
    if (b->image && b->label && b->volume && b->start)
        return VOCO_OK;
    return voco_fail(VOCO_EMEMORY, "no memory for a batch of %d crops of %lld x %lld x "
                     "%lld", b->n, (long long)roi[0], (long long)roi[1],
                     (long long)roi[2]);
}

static enum voco_err
open_loader(struct voco_seg_loader *l, int64_t first_step)
{
    const struct voco_seg_options *o = &l->o;
    const struct voco_ring_work w = {
        .user = l, .units = o->batch, .threads = o->threads, .ahead = o->ahead,
        .begin = begin, .fill = fill, .own_new = own_new, .own_free = own_free
    };
    const size_t n = (size_t)o->n_volumes;
    enum voco_err err = VOCO_OK;

    l->volume = malloc(n * sizeof *l->volume);
    l->order = malloc(n * sizeof *l->order);
    if (o->ahead >= 1 && o->ahead <= VOCO_RING_AHEAD_MAX)
        l->batch = calloc((size_t)voco_ring_slots(&w), sizeof *l->batch);
    if (!l->volume || !l->order)
        return voco_fail(VOCO_EMEMORY, "no memory for the loader");
    memcpy(l->volume, o->volume, n * sizeof *l->volume);
    l->channels = voco_store_entry(l->store, l->volume[0])->channels;
    for (int i = 0; !err && i < o->n_volumes; i++)
        err = check_volume(l, l->volume[i]);
    while (!err && l->batch && l->n_slots < voco_ring_slots(&w))
        err = batch_alloc(l, &l->batch[l->n_slots++]);
    return err ? err : voco_ring_open(&w, first_step, &l->ring);
}

enum voco_err
voco_seg_open(const struct voco_store *store, const struct voco_seg_options *o,
              int64_t first_step, struct voco_seg_loader **ret)
{
    struct voco_seg_loader *l = NULL;
    enum voco_err err = check_options(o);

    *ret = NULL;
    if (!err && !(l = calloc(1, sizeof *l)))
        err = voco_fail(VOCO_EMEMORY, "no memory for the loader");
    if (err)
        return err;
    l->store = store;
    l->o = *o;
    l->epoch = -1;
    if ((err = open_loader(l, first_step))) {
        voco_seg_close(l);
        return err;
    }
    *ret = l;
    return VOCO_OK;
}

enum voco_err
voco_seg_next(struct voco_seg_loader *l, const struct voco_seg_batch **ret,
              double *ret_waited_s)
{
    int slot;
    const enum voco_err err = voco_ring_next(l->ring, &slot, ret_waited_s);

    *ret = err ? NULL : &l->batch[slot];
    return err;
}

void
voco_seg_close(struct voco_seg_loader *l)
{
    if (!l)
        return;
    voco_ring_close(l->ring);
    for (int i = 0; i < l->n_slots; i++)
        batch_free(&l->batch[i]);
    free(l->batch);
    free(l->volume);
    free(l->order);
    free(l);
}

/* ---- whole volumes ---- */

void
voco_seg_volume_free(struct voco_seg_volume *v)
{
    free(v->image);
    free(v->label);
    *v = (struct voco_seg_volume){.image = NULL};
}

/* Room for one channel and a label map as the store gives them. */
static enum voco_err
read_whole(const struct voco_store *store, int i, struct voco_store_scratch *scratch,
           float *channel, uint16_t *label, struct voco_seg_volume *v)
{
    static const int64_t zero[3];
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    enum voco_err err = VOCO_OK;

    for (int c = 0; !err && c < v->channels; c++) {
        err = voco_store_read_channel(store, i, c, zero, v->dim, channel, scratch);
        for (int64_t k = 0; !err && k < n; k++)
            v->image[k * v->channels + c] = channel[k];
    }
    if (!err && v->label)
        err = voco_store_read_label(store, i, zero, v->dim, label, scratch);
    for (int64_t k = 0; !err && v->label && k < n; k++)
        v->label[k] = (uint8_t)label[k];
    return err;
}

enum voco_err
voco_seg_volume_read(const struct voco_store *store, int i, int classes,
                     struct voco_store_scratch *scratch, struct voco_seg_volume *ret)
{
    const struct voco_store_entry *e = voco_store_entry(store, i);
    const size_t n = (size_t)(e->dim[0] * e->dim[1] * e->dim[2]);
    const bool labelled = e->label.source != NULL;
    enum voco_err err = check_number("number of classes", classes, 1, CLASSES_MAX);

    *ret = (struct voco_seg_volume){.channels = e->channels};
    memcpy(ret->dim, e->dim, sizeof ret->dim);
    if (!err && labelled)
        err = check_classes(e, classes);
    if (err)
        return err;
    float *channel = malloc(n * sizeof *channel);
    uint16_t *label = labelled ? malloc(n * sizeof *label) : NULL;
    ret->image = aligned((int64_t)n * e->channels, sizeof *ret->image);
    ret->label = labelled ? aligned((int64_t)n, sizeof *ret->label) : NULL;
    if (!channel || !ret->image || (labelled && (!label || !ret->label)))
        err = voco_fail(VOCO_EMEMORY, "volume %s: no memory for its %zu voxels", e->id, n);
    else
        err = read_whole(store, i, scratch, channel, label, ret);
    free(channel);
    free(label);
    if (err)
        voco_seg_volume_free(ret);
    return err;
}
