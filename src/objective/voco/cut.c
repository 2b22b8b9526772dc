/* Blocks out of a store: read, brought to their voxels, cut into crops. */
#include "objective/voco/cut.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/transform/geometry.h"
#include "data/transform/lerp.h"
#include "objective/pretrain/augment.h"

/* The block's extent in voxels of a volume. */
static void
extent(const struct voco_cut *s, int i, double ret[3])
{
    const struct voco_store_entry *e = voco_store_entry(s->store, i);

    for (int a = 0; a < 3; a++)
        ret[a] = s->crop_mm > 0 ? s->tiling.n[a] * s->crop_mm / e->spacing_mm[a]
                                : (double)s->tiling.n[a] * s->tiling.edge;
}

void
voco_cut_size(const struct voco_cut *s, int i, int64_t size[3])
{
    double voxels[3];

    extent(s, i, voxels);
    for (int a = 0; a < 3; a++) {
        const double up = ceil(voxels[a] - 1e-6);

        size[a] = up < 1 ? 1 : up < 1e9 ? (int64_t)up : (int64_t)1e9;
    }
}

enum voco_err
voco_cut_check(const struct voco_cut *s)
{
    char crops[64] = "";

    if (s->crop_mm > 0)
        snprintf(crops, sizeof crops, " (%dx%dx%d crops of %g mm)", s->tiling.n[0],
                 s->tiling.n[1], s->tiling.n[2], s->crop_mm);
    for (int i = 0; i < voco_store_count(s->store); i++) {
        const struct voco_store_entry *e = voco_store_entry(s->store, i);
        int64_t size[3];

        voco_cut_size(s, i, size);
        if (e->dim[0] < size[0] || e->dim[1] < size[1] || e->dim[2] < size[2])
            return voco_fail(VOCO_EFORMAT, "volume %s has %lld x %lld x %lld voxels, a "
                             "block takes %lld x %lld x %lld%s: convert it again, padded "
                             "to this size, or use smaller crops", e->id,
                             (long long)e->dim[0], (long long)e->dim[1],
                             (long long)e->dim[2], (long long)size[0], (long long)size[1],
                             (long long)size[2], crops);
    }
    return VOCO_OK;
}

/* v has these sizes, and its voxels may be overwritten. */
static enum voco_err
reserve(struct voco_volume *v, const int64_t size[3])
{
    if (v->voxel && memcmp(v->dim, size, sizeof v->dim) == 0)
        return VOCO_OK;
    voco_volume_free(v);
    *v = (struct voco_volume){ .voxel = NULL };
    return voco_volume_alloc(v, size);
}

/* n voxels over `voxels` of an axis that has size of them. */
static void
place_axis(struct voco_lerp_axis *axis, double voxels, int64_t size)
{
    for (int64_t i = 0; i < axis->n; i++) {
        const double at = ((double)i + 0.5) * voxels / (double)axis->n - 0.5;
        const double inside = fmin(fmax(at, 0), (double)(size - 1));

        axis->lo[i] = (int64_t)inside;
        axis->hi[i] = axis->lo[i] + 1 < size ? axis->lo[i] + 1 : axis->lo[i];
        axis->w[i] = inside - (double)axis->lo[i];
    }
}

static enum voco_err
resample(const struct voco_cut *s, int i, struct voco_volume *v)
{
    struct voco_lerp_axis axis[3] = { { 0 } };
    enum voco_err err = VOCO_OK;
    double voxels[3];
    int64_t size[3];

    extent(s, i, voxels);
    voco_block_size(&s->tiling, size);
    for (int a = 0; a < 3 && err == VOCO_OK; a++)
        if ((err = voco_lerp_axis_init(&axis[a], size[a])) == VOCO_OK)
            place_axis(&axis[a], voxels[a], v->dim[a]);
    if (err == VOCO_OK)
        err = voco_lerp(v, axis);
    for (int a = 0; a < 3; a++)
        voco_lerp_axis_free(&axis[a]);
    return err;
}

enum voco_err
voco_cut_read(const struct voco_cut *s, int i, const int64_t start[3],
                 struct voco_cut_own *own)
{
    enum voco_err err;
    int64_t size[3];

    voco_cut_size(s, i, size);
    if ((err = reserve(&own->block, size)) == VOCO_OK
        && (err = voco_store_read(s->store, i, start, size, own->block.voxel,
                                  &own->scratch)) == VOCO_OK
        && s->crop_mm > 0)
        err = resample(s, i, &own->block);
    return err;
}

enum voco_err
voco_cut_crop(const struct voco_cut *s, const int start[3],
                 const struct voco_augment *augment, struct voco_cut_own *own, float *out)
{
    static const struct voco_augment plain = { .scale = 1 };
    static const int64_t corner[3] = { 0, 0, 0 };
    const int64_t at[3] = { start[0], start[1], start[2] };
    const int64_t edge[3] = { s->tiling.edge, s->tiling.edge, s->tiling.edge };
    const int64_t roi[3] = { s->roi, s->roi, s->roi };
    enum voco_err err;

    if (s->tiling.edge == s->roi) {
        voco_crop_copy(augment, own->block.voxel, own->block.dim, at, s->roi, out);
        return VOCO_OK;
    }
    if ((err = reserve(&own->crop, edge)) != VOCO_OK)
        return err;
    voco_crop_copy(&plain, own->block.voxel, own->block.dim, at, s->tiling.edge,
                   own->crop.voxel);
    if ((err = voco_resize(&own->crop, roi)) == VOCO_OK)
        voco_crop_copy(augment, own->crop.voxel, roi, corner, s->roi, out);
    return err;
}

void
voco_cut_own_free(struct voco_cut_own *own)
{
    voco_volume_free(&own->block);
    voco_volume_free(&own->crop);
    voco_store_scratch_free(&own->scratch);
    *own = (struct voco_cut_own){ .block = { .voxel = NULL } };
}
