/* Crops side by side. */
#include "task/embed/crops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
voco_crops_free(struct voco_crops *c)
{
    free(c->voxel);
    free(c->start);
    *c = (struct voco_crops){ .n = 0 };
}

/* Memory for the crops of a volume of this size, and where they begin. */
static enum voco_err
place(const int64_t dim[3], const char *source, int64_t edge, struct voco_crops *ret)
{
    const int64_t n[3] = { dim[0] / edge, dim[1] / edge, dim[2] / edge };
    const int64_t all = n[0] * n[1] * n[2];

    *ret = (struct voco_crops){ .n = 0 };
    if (all < 1)
        return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 " x %" PRId64 " x %" PRId64
                         " voxels are less than one crop of %" PRId64 "^3", source, dim[0],
                         dim[1], dim[2], edge);
    ret->start = calloc((size_t)all, sizeof *ret->start);
    ret->voxel = malloc((size_t)(all * edge * edge * edge) * sizeof *ret->voxel);
    if (!ret->start || !ret->voxel)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for its crops", source);
    for (; ret->n < all; ret->n++) {
        const int64_t i = ret->n;
        const int64_t at[3] = { i / (n[1] * n[2]), i / n[2] % n[1], i % n[2] };

        for (int a = 0; a < 3; a++)
            ret->start[ret->n][a] = (dim[a] - n[a] * edge) / 2 + at[a] * edge;
    }
    return VOCO_OK;
}

enum voco_err
voco_crops_cut(const struct voco_volume *v, const char *source, int edge,
               struct voco_crops *ret)
{
    const enum voco_err err = place(v->dim, source, edge, ret);
    float *out = ret->voxel;

    for (int i = 0; i < ret->n && err == VOCO_OK; i++) {
        const int64_t *at = ret->start[i];

        for (int64_t x = 0; x < edge; x++)
            for (int64_t y = 0; y < edge; y++, out += edge)
                memcpy(out, v->voxel + ((at[0] + x) * v->dim[1] + at[1] + y) * v->dim[2]
                       + at[2], (size_t)edge * sizeof *out);
    }
    return err;
}

enum voco_err
voco_crops_read(const struct voco_store *s, int i, int edge,
                struct voco_store_scratch *scratch, struct voco_crops *ret)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const int64_t size[3] = { edge, edge, edge }, voxels = size[0] * edge * edge;
    enum voco_err err = place(e->dim, e->source, edge, ret);

    for (int k = 0; k < ret->n && err == VOCO_OK; k++)
        err = voco_store_read(s, i, ret->start[k], size, ret->voxel + k * voxels, scratch);
    return err;
}
