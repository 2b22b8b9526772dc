/* Replayed batches of dense pretexts. */
#include "objective/dense/replay.h"

#include <inttypes.h>
#include <stdlib.h>

#include "data/store/hdf5.h"
#include "net/unetr.h"
#include "objective/pretrain/fixed.h"

static const int64_t crops_max = 4096, edge_max = 1024;

static enum voco_err
find_crops(struct voco_h5 *h, const char *path, const char *name,
           const struct voco_pretext *p, int64_t ret[VOCO_H5_RANK_MAX])
{
    bool there;
    int rank;
    enum voco_err err = voco_h5_has(h, name, &there);

    if (err != VOCO_OK)
        return err;
    if (!there)
        return voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a batch of --objective %s has %s%s%s",
                         path, name, p->name, p->x, p->y ? " and " : "", p->y ? p->y : "");
    if ((err = voco_h5_shape(h, name, &rank, ret)) != VOCO_OK)
        return err;
    if (rank != 5)
        return voco_fail(VOCO_EFORMAT, "%s: %s has rank %d: expected [crops,1,d,h,w]", path,
                         name, rank);
    for (int a = 2; a < 5; a++)
        if (ret[a] < VOCO_UNETR_MULTIPLE || ret[a] > edge_max
            || ret[a] % VOCO_UNETR_MULTIPLE != 0)
            return voco_fail(VOCO_EFORMAT, "%s: %s has crops with an edge of %" PRId64
                             ": expected multiples of %d up to %" PRId64, path, name, ret[a],
                             VOCO_UNETR_MULTIPLE, edge_max);
    if (ret[0] < 1 || ret[0] > crops_max || ret[1] != 1)
        return voco_fail(VOCO_EFORMAT, "%s: %s has %" PRId64 " crops of %" PRId64 " channels: "
                         "expected 1 to %" PRId64 " of one", path, name, ret[0], ret[1],
                         crops_max);
    return VOCO_OK;
}

static enum voco_err
read_crops(struct voco_h5 *h, const char *path, const char *name, const int64_t dim[5],
           float **ret)
{
    const int64_t count = dim[0] * dim[2] * dim[3] * dim[4];

    *ret = malloc((size_t)count * sizeof **ret);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %s", path, name);
    return voco_h5_read_f32(h, name, count, *ret);
}

static enum voco_err
read_batch(struct voco_h5 *h, const char *path, const struct voco_pretext *p,
           const void *config, struct voco_dense_batch *b)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 }, other[VOCO_H5_RANK_MAX] = { 0 };
    enum voco_err err = find_crops(h, path, p->x, p, dim);

    if (err == VOCO_OK && p->y && (err = find_crops(h, path, p->y, p, other)) == VOCO_OK)
        for (int a = 0; a < 5; a++)
            if (dim[a] != other[a])
                return voco_fail(VOCO_EFORMAT, "%s: %s has %" PRId64 " x %" PRId64 ",%" PRId64
                                 ",%" PRId64 " voxels and %s %" PRId64 " x %" PRId64
                                 ",%" PRId64 ",%" PRId64 ": expected the same", path, p->x,
                                 dim[0], dim[2], dim[3], dim[4], p->y, other[0], other[2],
                                 other[3], other[4]);
    if (err != VOCO_OK)
        return err;
    b->n = (int)dim[0];
    for (int a = 0; a < 3; a++)
        b->size[a] = dim[2 + a];
    b->n_box = calloc((size_t)b->n, sizeof *b->n_box);
    if (!b->n_box)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d crops", path, b->n);
    if ((err = read_crops(h, path, p->x, dim, &b->x)) == VOCO_OK && p->y)
        err = read_crops(h, path, p->y, dim, &b->y);
    return err == VOCO_OK && p->read_boxes ? p->read_boxes(config, h, path, b) : err;
}

enum voco_err
voco_dense_replay_open(const char *path, const struct voco_pretext *pretext,
                       const void *config, struct voco_dense_batch *ret)
{
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    *ret = (struct voco_dense_batch){ 0 };
    if (err != VOCO_OK)
        return err;
    err = read_batch(h, path, pretext, config, ret);
    voco_h5_close(h);
    return err;
}

void
voco_dense_replay_free(struct voco_dense_batch *b)
{
    free(b->x);
    free(b->y);
    free(b->box);
    free(b->n_box);
    *b = (struct voco_dense_batch){ 0 };
}

/* ---- the kind ---- */

static enum voco_err
kind_alloc(const void *source, void *batch)
{
    *(struct voco_dense_batch *)batch = *(const struct voco_dense_batch *)source;
    return VOCO_OK;
}

const struct voco_batch_kind voco_dense_replay_kind = {
    .name = "a replayed batch", .bytes = sizeof(struct voco_dense_batch),
    .alloc = kind_alloc, .begin = voco_fixed_begin, VOCO_FIXED_REST
};
