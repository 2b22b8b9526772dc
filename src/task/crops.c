/* Crops side by side. */
#include "task/crops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void
voco_crops_free(struct voco_crops *c)
{
    free(c->voxel);
    free(c->start);
    *c = (struct voco_crops){ .n = 0 };
}

/* Memory for the crops of a volume of this size, all 0, and where they begin: in front of
 * the volume along an axis that is shorter than a crop. */
static enum voco_err
place(const int64_t dim[3], const char *source, int64_t edge, struct voco_crops *ret)
{
    int64_t n[3], all = 1;

    *ret = (struct voco_crops){ .n = 0 };
    for (int a = 0; a < 3; a++) {
        n[a] = dim[a] < edge ? 1 : dim[a] / edge;
        all *= n[a];
    }
    if (dim[0] < edge || dim[1] < edge || dim[2] < edge)
        voco_warn("%s: %" PRId64 " x %" PRId64 " x %" PRId64 " voxels are less than one crop of "
                  "%" PRId64 "^3 and get zeros around them; the presets but none pad volumes, "
                  "and --pad of voco convert those of a store", source, dim[0], dim[1],
                  dim[2], edge);
    ret->start = calloc((size_t)all, sizeof *ret->start);
    ret->voxel = calloc((size_t)(all * edge * edge * edge), sizeof *ret->voxel);
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

/* The part of a crop that lies in the volume: where it begins in the volume, and its size. */
struct part {
    int64_t at[3], size[3];
};

static struct part
part_of(const int64_t dim[3], const int64_t start[3], int64_t edge)
{
    struct part p;

    for (int a = 0; a < 3; a++) {
        const int64_t end = start[a] + edge < dim[a] ? start[a] + edge : dim[a];

        p.at[a] = start[a] > 0 ? start[a] : 0;
        p.size[a] = end - p.at[a];
    }
    return p;
}

/* Copies a part into its crop.  voxel: the part's first voxel; row and plane: distances of
 * its lines and planes. */
static void
put(const struct part *p, const int64_t start[3], int64_t edge, const float *voxel,
    int64_t row, int64_t plane, float *crop)
{
    for (int64_t x = 0; x < p->size[0]; x++)
        for (int64_t y = 0; y < p->size[1]; y++) {
            const int64_t line = (p->at[0] - start[0] + x) * edge + p->at[1] - start[1] + y;

            memcpy(crop + line * edge + p->at[2] - start[2], voxel + x * plane + y * row,
                   (size_t)p->size[2] * sizeof *crop);
        }
}

enum voco_err
voco_crops_cut(const struct voco_volume *v, const char *source, int edge,
               struct voco_crops *ret)
{
    const int64_t row = v->dim[2], plane = v->dim[1] * row;
    const int64_t voxels = (int64_t)edge * edge * edge;
    const enum voco_err err = place(v->dim, source, edge, ret);

    for (int i = 0; i < ret->n && err == VOCO_OK; i++) {
        const struct part p = part_of(v->dim, ret->start[i], edge);

        put(&p, ret->start[i], edge, v->voxel + p.at[0] * plane + p.at[1] * row + p.at[2],
            row, plane, ret->voxel + i * voxels);
    }
    return err;
}

enum voco_err
voco_crop_read(const struct voco_store *s, int i, const int64_t start[3], int edge,
               struct voco_store_scratch *scratch, float *ret)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const size_t voxels = (size_t)edge * (size_t)edge * (size_t)edge;
    const struct part p = part_of(e->dim, start, edge);
    float *box = malloc(voxels * sizeof *box);
    enum voco_err err;

    if (!box)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for a crop", e->source);
    memset(ret, 0, voxels * sizeof *ret);
    if ((err = voco_store_read(s, i, p.at, p.size, box, scratch)) == VOCO_OK)
        put(&p, start, edge, box, p.size[2], p.size[1] * p.size[2], ret);
    free(box);
    return err;
}

enum voco_err
voco_crops_read(const struct voco_store *s, int i, int edge,
                struct voco_store_scratch *scratch, struct voco_crops *ret)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const int64_t voxels = (int64_t)edge * edge * edge;
    enum voco_err err = place(e->dim, e->source, edge, ret);

    for (int k = 0; k < ret->n && err == VOCO_OK; k++)
        err = voco_crop_read(s, i, ret->start[k], edge, scratch, ret->voxel + k * voxels);
    return err;
}
