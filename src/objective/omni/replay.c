/* Replayed crops with labels, from HDF5. */
#include "objective/omni/replay.h"

#include <stdlib.h>
#include <string.h>

#include "data/store/cropfile.h"
#include "data/store/hdf5.h"
#include "dev/device.h"
#include "objective/pretrain/fixed.h"
#include "objective/segment/batch.h"

static enum voco_err
read_set(struct voco_h5 *h, const char *path, const char *name, struct voco_cropset *ret)
{
    bool there;
    const enum voco_err err = voco_h5_has(h, name, &there);

    if (err != VOCO_OK)
        return err;
    if (!there)
        return voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a replayed step has img, crops, "
                         "labels, labelled and label", path, name);
    return voco_cropset_read(h, path, name, ret);
}

static enum voco_err
take_labels(const char *path, const struct voco_cropset *set, struct voco_omni_replay *r)
{
    const int64_t count = (int64_t)set->n * set->roi * set->roi * set->roi;

    if (set->n != r->n || set->roi != r->roi)
        return voco_fail(VOCO_EFORMAT, "%s: labelled has %d crops of %d^3 and label %d of %d^3",
                         path, r->n, r->roi, set->n, set->roi);
    r->label = malloc((size_t)count);
    if (!r->label)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d label maps", path, r->n);
    for (int64_t i = 0; i < count; i++) {
        const float x = set->crops[i];

        if (!(x >= 0.0f && x < VOCO_CLASSES_MAX) || x != (float)(int)x)
            return voco_fail(VOCO_EFORMAT, "%s: label: element %lld is %g, expected a whole "
                             "number of 0 to %d", path, (long long)i, (double)x,
                             VOCO_CLASSES_MAX - 1);
        r->label[i] = (uint8_t)x;
        if (r->label[i] >= r->classes)
            r->classes = r->label[i] + 1;
    }
    return VOCO_OK;
}

enum voco_err
voco_omni_replay_open(const char *path, struct voco_omni_replay *ret)
{
    struct voco_cropset image = { .n = 0 }, label = { .n = 0 };
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    *ret = (struct voco_omni_replay){ .n = 0 };
    if (err != VOCO_OK)
        return err;
    if ((err = read_set(h, path, "labelled", &image)) == VOCO_OK) {
        ret->n = image.n;
        ret->roi = image.roi;
        ret->image = image.crops;
        image.crops = NULL;
        err = read_set(h, path, "label", &label);
    }
    if (err == VOCO_OK)
        err = take_labels(path, &label, ret);
    voco_cropset_free(&image);
    voco_cropset_free(&label);
    voco_h5_close(h);
    return err;
}

void
voco_omni_replay_free(struct voco_omni_replay *r)
{
    free(r->image);
    free(r->label);
    *r = (struct voco_omni_replay){ .n = 0 };
}

/* ---- the kind ---- */

static enum voco_err
batch_alloc(const void *source, void *batch)
{
    const struct voco_omni_replay *r = source;

    *(struct voco_seg_batch *)batch = (struct voco_seg_batch){
        .n = r->n, .channels = 1, .roi = { r->roi, r->roi, r->roi }, .image = r->image,
        .label = r->label };
    return VOCO_OK;
}

const struct voco_batch_kind voco_omni_replay_kind = {
    .name = "replayed crops with labels", .bytes = sizeof(struct voco_seg_batch),
    .alloc = batch_alloc, .begin = voco_fixed_begin, VOCO_FIXED_REST
};
