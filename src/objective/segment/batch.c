/* Random crops of labelled volumes (MONAI: RandCropByPosNegLabel, RandFlip, RandRotate90,
 * RandScaleIntensity, RandShiftIntensity, in this order), and whole volumes. */
#include "objective/segment/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/batch/augment.h"
#include "data/batch/sampler.h"

enum { ROI_MAX = 1024, BATCH_MAX = 4096, SAMPLES_MAX = 1024, CLASSES_MAX = 256 };

struct voco_seg_loader {
    const struct voco_store *store;
    struct voco_seg_options o;
    int channels;
    struct voco_sampler sampler;        /* of the kind's begin */
};

/* Memory of a thread: a crop before it is changed. */
struct own {
    float *image;               /* [channels][x][y][z] */
    uint16_t *label;
    struct voco_store_scratch scratch;
};

/* ---- one crop ---- */

static struct voco_augment
draw_change(const struct voco_seg_augment *a, struct voco_rng_key key)
{
    struct voco_augment c = {.scale = 1};

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

/* A crop anywhere in its volume. */
static void
draw_start(struct voco_rng_key key, const int64_t dim[3], const int64_t roi[3],
           int64_t start[3])
{
    int64_t at[3];

    key.purpose = VOCO_RNG_CENTER;
    for (uint32_t a = 0; a < 3; a++) {
        const int64_t places = dim[a] - roi[a] + 1;

        at[a] = roi[a] / 2;
        if (places > 1)
            at[a] += voco_rng_below(&key, a, (uint32_t)places);
    }
    voco_seg_start(at, dim, roi, start);
}

/* Where this crop lies in its volume. */
static enum voco_err
choose_start(const struct voco_seg_loader *l, int volume, struct voco_rng_key key,
             struct voco_store_scratch *scratch, int64_t start[3])
{
    const int64_t *dim = voco_store_entry(l->store, volume)->dim;
    int64_t n[2], at[3];
    enum voco_voxel_kind kind;
    enum voco_err err;

    if (l->o.unlabelled) {
        draw_start(key, dim, l->o.roi, start);
        return VOCO_OK;
    }
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
        voco_seg_start(at, dim, l->o.roi, start);
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

/* The part of a volume, in own, becomes a crop, interleaved; padding is 0 before and
 * after the change of intensities, since it comes first.  label may be NULL. */
static void
place_crop(const struct voco_augment *c, const struct part *p, const int64_t roi[3],
           int channels, const struct own *own, float *image, uint8_t *label)
{
    const int64_t voxels = p->size[0] * p->size[1] * p->size[2];

    for (int64_t x = 0; x < roi[0]; x++)
        for (int64_t y = 0; y < roi[1]; y++) {
            int64_t sx, sy;

            voco_augment_source(c, roi, x, y, &sx, &sy);
            sx -= p->front[0];
            sy -= p->front[1];
            const bool outside = sx < 0 || sx >= p->size[0] || sy < 0 || sy >= p->size[1];
            const int64_t row = (sx * p->size[1] + sy) * p->size[2];
            for (int64_t z = 0; z < roi[2]; z++) {
                const int64_t sz = (c->flip[2] ? roi[2] - 1 - z : z) - p->front[2];
                const bool empty = outside || sz < 0 || sz >= p->size[2];

                for (int k = 0; k < channels; k++) {
                    const float v = empty ? 0 : own->image[k * voxels + row + sz];

                    *image++ = v * c->scale + c->shift;
                }
                if (label)
                    *label++ = empty ? 0 : (uint8_t)own->label[row + sz];
            }
        }
}

static enum voco_err
load_crop(const struct voco_seg_loader *l, struct voco_seg_batch *b, int crop,
          struct voco_rng_key key, struct own *own)
{
    const int64_t *roi = l->o.roi, voxels = roi[0] * roi[1] * roi[2];
    const int volume = b->head.volume[crop];
    int64_t *start = b->start + 3 * crop;
    enum voco_err err = choose_start(l, volume, key, &own->scratch, start);

    if (err)
        return err;
    const struct part p = part_of(start, roi, voco_store_entry(l->store, volume)->dim);
    const int64_t n = p.size[0] * p.size[1] * p.size[2];

    for (int c = 0; !err && c < l->channels; c++)
        err = voco_store_read_channel(l->store, volume, c, p.start, p.size,
                                      own->image + c * n, &own->scratch);
    if (!err && b->label)
        err = voco_store_read_label(l->store, volume, p.start, p.size, own->label,
                                    &own->scratch);
    if (!err) {
        const struct voco_augment c = draw_change(&l->o.augment, key);

        place_crop(&c, &p, roi, l->channels, own,
                   b->image + crop * voxels * l->channels,
                   b->label ? b->label + crop * voxels : NULL);
    }
    return err;
}

/* ---- the kind ---- */

/* Epochs are permutations of the volumes, one behind the other. */
static void
begin(void *source, void *batch, int unit)
{
    struct voco_seg_loader *l = source;
    struct voco_seg_batch *b = batch;
    const int volume = voco_sampler_at(&l->sampler, b->head.step * l->o.batch + unit);

    for (int i = 0; i < l->o.samples; i++)
        b->head.volume[unit * l->o.samples + i] = volume;
}

static enum voco_err
fill(const void *source, void *batch, int unit, void *own)
{
    const struct voco_seg_loader *l = source;
    struct voco_seg_batch *b = batch;
    enum voco_err err = VOCO_OK;

    for (int i = 0; !err && i < l->o.samples; i++) {
        const struct voco_rng_key key = {.seed = l->o.seed, .step = (uint64_t)b->head.step,
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
own_new(const void *source)
{
    const struct voco_seg_loader *l = source;
    const size_t voxels = (size_t)(l->o.roi[0] * l->o.roi[1] * l->o.roi[2]);
    struct own *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->image = malloc(voxels * (size_t)l->channels * sizeof *o->image);
    o->label = l->o.unlabelled ? NULL : malloc(voxels * sizeof *o->label);
    if (!o->image || !(o->label || l->o.unlabelled)) {
        own_free(o);
        return NULL;
    }
    return o;
}

static enum voco_err
batch_alloc(const void *source, void *batch)
{
    const struct voco_seg_loader *l = source;
    struct voco_seg_batch *b = batch;
    const int64_t *roi = l->o.roi, voxels = roi[0] * roi[1] * roi[2];
    const int n = l->o.batch * l->o.samples;

    *b = (struct voco_seg_batch){.head = {.store = l->store, .n_volumes = n}, .n = n,
                                 .channels = l->channels};
    memcpy(b->roi, roi, sizeof b->roi);
    b->image = voco_batch_array(n * voxels * l->channels, sizeof *b->image);
    b->label = l->o.unlabelled ? NULL : voco_batch_array(n * voxels, sizeof *b->label);
    b->head.volume = voco_batch_array(n, sizeof *b->head.volume);
    b->start = voco_batch_array(3 * (int64_t)n, sizeof *b->start);
    if (b->image && (b->label || l->o.unlabelled) && b->head.volume && b->start)
        return VOCO_OK;
    return voco_fail(VOCO_EMEMORY, "no memory for a batch of %d crops of %lld x %lld x "
                     "%lld", n, (long long)roi[0], (long long)roi[1], (long long)roi[2]);
}

static void
batch_free(void *batch)
{
    struct voco_seg_batch *b = batch;

    free(b->image);
    free(b->label);
    free(b->head.volume);
    free(b->start);
}

const struct voco_batch_kind voco_labelled_kind = {
    .name = "crops with labels", .bytes = sizeof(struct voco_seg_batch),
    .alloc = batch_alloc, .free = batch_free, .begin = begin, .fill = fill,
    .own_new = own_new, .own_free = own_free,
};

const struct voco_batch_kind voco_unlabelled_kind = {
    .name = "crops without labels", .bytes = sizeof(struct voco_seg_batch),
    .alloc = batch_alloc, .free = batch_free, .begin = begin, .fill = fill,
    .own_new = own_new, .own_free = own_free,
};

/* ---- the source ---- */

enum voco_err
voco_seg_labelled(const struct voco_store *store, const char *path, int **ret, int *ret_n)
{
    const int count = voco_store_count(store);

    *ret = calloc((size_t)count + 1, sizeof **ret);
    VOCO_NEED(*ret);
    *ret_n = 0;
    for (int i = 0; i < count; i++)
        if (voco_store_entry(store, i)->label.source)
            (*ret)[(*ret_n)++] = i;
    if (*ret_n == 0)
        return voco_fail(VOCO_EFORMAT, "%s: none of %d volumes has a label map: convert a list "
                         "with labels (voco convert --help)", path, count);
    if (*ret_n < count)
        voco_note("%s: %d of %d volumes have no label map and are not used", path,
                  count - *ret_n, count);
    return VOCO_OK;
}

enum voco_err
voco_seg_classes(const struct voco_store *store, const char *path, int64_t asked,
                 int64_t *ret)
{
    const int in_store = voco_store_n_classes(store);

    *ret = asked ? asked : in_store;
    if (*ret < 2)
        return voco_fail(VOCO_EFORMAT, "%s: its label maps hold nothing but background", path);
    if (*ret < in_store)
        return voco_fail(VOCO_EUSAGE, "--classes %lld, but the label maps of %s go up to class "
                         "%d", (long long)*ret, path, in_store - 1);
    return VOCO_OK;
}

static enum voco_err
check_options(const struct voco_seg_options *o)
{
    enum voco_err err = VOCO_OK;

    if (o->n_volumes < 1)
        return voco_fail(VOCO_EUSAGE, "no volume to train on");
    if ((err = voco_batch_number("batch", o->batch, 1, BATCH_MAX))
        || (err = voco_batch_number("number of crops of a volume", o->samples, 1, SAMPLES_MAX))
        || (err = voco_batch_number("number of classes", o->classes, 2, CLASSES_MAX)))
        return err;
    for (int a = 0; a < 3 && !err; a++)
        err = voco_batch_number("crop edge", o->roi[a], 1, ROI_MAX);
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

    if (e->channels != l->channels)
        return voco_fail(VOCO_EFORMAT, "volume %s has %d channels, the others have %d",
                         e->id, e->channels, l->channels);
    if (l->o.unlabelled)
        return VOCO_OK;
    if (!e->label.source)
        return voco_fail(VOCO_EFORMAT, "volume %s has no label map: convert it with "
                         "--labels", e->id);
    if (voco_store_voxels(l->store, i, VOCO_VOXEL_LABELLED) == 0
        && voco_store_voxels(l->store, i, VOCO_VOXEL_BACKGROUND) == 0)
        return voco_fail(VOCO_EFORMAT, "volume %s is empty: no voxel has a label or an "
                         "image above 0", e->id);
    if (e->dim[0] * e->dim[1] > UINT32_MAX / e->dim[2])
        return voco_fail(VOCO_EFORMAT, "volume %s has 2^32 voxels or more", e->id);
    return check_classes(e, l->o.classes);
}

enum voco_err
voco_seg_open(const struct voco_store *store, const struct voco_seg_options *o,
              struct voco_seg_loader **ret)
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
    l->channels = voco_store_entry(store, o->volume[0])->channels;
    err = voco_sampler_list(&l->sampler, o->volume, o->n_volumes, o->seed);
    for (int i = 0; !err && i < o->n_volumes; i++)
        err = check_volume(l, o->volume[i]);
    if (err)
        voco_seg_close(l);
    else
        *ret = l;
    return err;
}

void
voco_seg_close(struct voco_seg_loader *l)
{
    if (!l)
        return;
    voco_sampler_free(&l->sampler);
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
    enum voco_err err = voco_batch_number("number of classes", classes, 1, CLASSES_MAX);

    *ret = (struct voco_seg_volume){.channels = e->channels};
    memcpy(ret->dim, e->dim, sizeof ret->dim);
    if (!err && labelled)
        err = check_classes(e, classes);
    if (err)
        return err;
    float *channel = malloc(n * sizeof *channel);
    uint16_t *label = labelled ? malloc(n * sizeof *label) : NULL;
    ret->image = voco_batch_array((int64_t)n * e->channels, sizeof *ret->image);
    ret->label = labelled ? voco_batch_array((int64_t)n, sizeof *ret->label) : NULL;
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
