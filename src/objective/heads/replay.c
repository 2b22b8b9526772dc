/* Replayed batches: from an HDF5 file, or by the hash formula of the reference numbers. */
#include "objective/heads/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"
#include "objective/heads/step.h"

enum { HASH_ROI = 64, CROPS_MAX = 1024, ROI_MAX = 512 };

static enum voco_err
allocate_views(struct voco_heads_replay *r)
{
    r->views = calloc((size_t)(VOCO_CUTVIEWS * r->crops), sizeof *r->views);
    return r->views ? VOCO_OK
                    : voco_fail(VOCO_EMEMORY, "no memory for the views of %d crops", r->crops);
}

/* View i with one box, which gets noise: room for its values. */
static enum voco_err
add_box(struct voco_heads_replay *r, int i, const int64_t start[3], const int64_t extent[3])
{
    struct voco_cutview *v = &r->views[i];

    voco_cutview_add(v, start, extent);
    v->n_noise = v->n;
    v->noise_room = extent[0] * extent[1] * extent[2];
    v->noise = malloc((size_t)v->noise_room * sizeof *v->noise);
    return v->noise ? VOCO_OK
                    : voco_fail(VOCO_EMEMORY, "no memory for a box of %" PRId64 " voxels",
                                v->noise_room);
}

/* ---- by formula ---- */

/* Crops with structure: the mean of a number of each voxel and one of each 8^3 voxels. */
static enum voco_err
hash_crops(uint64_t seed, struct voco_heads_replay *r)
{
    enum { BLOCK = 8 };
    const int64_t roi = r->roi, grid = roi / BLOCK;
    const uint64_t voxel = voco_hash_base(seed, "heads/x");
    const uint64_t block = voco_hash_base(seed, "heads/x#block");

    r->x = malloc((size_t)(r->crops * roi * roi * roi) * sizeof *r->x);
    if (!r->x)
        return voco_fail(VOCO_EMEMORY, "no memory for %d crops of %d^3", r->crops, r->roi);
    for (int64_t i = 0; i < r->crops * roi * roi * roi; i++) {
        const int64_t n = i / (roi * roi * roi), x = i / (roi * roi) % roi;
        const int64_t y = i / roi % roi, z = i % roi;
        const int64_t b = ((n * grid + x / BLOCK) * grid + y / BLOCK) * grid + z / BLOCK;

        r->x[i] = (float)((voco_hash_unit(voxel, (uint64_t)i)
                           + voco_hash_unit(block, (uint64_t)b)) / 2.0);
    }
    return VOCO_OK;
}

static int64_t
hash_below(uint64_t base, int i, int n)
{
    return (int64_t)(voco_hash_unit(base, (uint64_t)i) * n);
}

static enum voco_err
hash_views(uint64_t seed, struct voco_heads_replay *r)
{
    enum { STARTS = 40, EXTENT_MIN = 3, EXTENTS = 13 };
    const uint64_t turns = voco_hash_base(seed, "heads/rotation");
    const uint64_t starts = voco_hash_base(seed, "heads/cut");
    const uint64_t extents = voco_hash_base(seed, "heads/cut_extent");
    enum voco_err err = allocate_views(r);

    for (int i = 0; i < VOCO_CUTVIEWS * r->crops && err == VOCO_OK; i++) {
        struct voco_cutview *v = &r->views[i];
        int64_t start[3], extent[3];
        char name[32];

        v->turns = (int)hash_below(turns, i, VOCO_TURNS);
        for (int a = 0; a < 3; a++) {
            start[a] = hash_below(starts, 3 * i + a, STARTS);
            extent[a] = EXTENT_MIN + hash_below(extents, 3 * i + a, EXTENTS);
        }
        if ((err = add_box(r, i, start, extent)) != VOCO_OK)
            break;
        snprintf(name, sizeof name, "heads/fill%d", i);
        voco_hash_uniform(seed, name, v->noise_room, 0.0, 1.0, v->noise);
    }
    return err;
}

static enum voco_err
from_hash(const char *spec, struct voco_heads_replay *r)
{
    unsigned long long seed;
    int end = 0;
    enum voco_err err;

    r->roi = HASH_ROI;
    if (((sscanf(spec, "hash:%llu:%d%n", &seed, &r->crops, &end) != 2 || spec[end])
         && (sscanf(spec, "hash:%llu:%d:%d%n", &seed, &r->crops, &r->roi, &end) != 3
             || spec[end]))
        || r->crops < 1 || r->crops > CROPS_MAX || r->roi < VOCO_HEADS_ROI_MIN
        || r->roi > ROI_MAX || r->roi % VOCO_HEADS_MULTIPLE != 0)
        return voco_fail(VOCO_EUSAGE, "replay '%s': expected hash:SEED:CROPS or "
                         "hash:SEED:CROPS:EDGE with an edge of 64, 96, ... %d, for example "
                         "hash:1:2", spec, ROI_MAX);
    err = hash_crops(seed, r);
    return err == VOCO_OK ? hash_views(seed, r) : err;
}

/* ---- from a file ---- */

/* Rank and sizes of a dataset that must be there. */
static enum voco_err
find(struct voco_h5 *h, const char *path, const char *name, int *ret_rank,
     int64_t dim[VOCO_H5_RANK_MAX])
{
    bool there;
    enum voco_err err = voco_h5_has(h, name, &there);

    if (err == VOCO_OK && !there)
        err = voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a replayed batch has x, "
                        "rotation_labels, cut and fill0, fill1, ...", path, name);
    return err == VOCO_OK ? voco_h5_shape(h, name, ret_rank, dim) : err;
}

/* A dataset of exactly these sizes, as whole numbers of low..high. */
static enum voco_err
read_integers(struct voco_h5 *h, const char *path, const char *name, int64_t rows,
              int64_t cols, int low, int high, float *out)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 };
    int rank = 0;
    enum voco_err err = find(h, path, name, &rank, dim);

    if (err != VOCO_OK)
        return err;
    if (rank != 2 || dim[0] != rows || dim[1] != cols)
        return voco_fail(VOCO_EFORMAT, "%s: %s has rank %d and sizes %" PRId64 ",%" PRId64
                         ": expected [%" PRId64 ",%" PRId64 "]", path, name, rank, dim[0],
                         dim[1], rows, cols);
    if ((err = voco_h5_read_f32(h, name, rows * cols, out)) != VOCO_OK)
        return err;
    for (int64_t i = 0; i < rows * cols; i++)
        if (!(out[i] >= (float)low && out[i] <= (float)high)
            || out[i] != (float)(int)out[i])
            return voco_fail(VOCO_EFORMAT, "%s: %s: element %" PRId64 " is %g, expected a "
                             "whole number of %d to %d", path, name, i, (double)out[i], low,
                             high);
    return VOCO_OK;
}

static enum voco_err
read_fill(struct voco_h5 *h, const char *path, int i, const int64_t extent[3], float *out)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 };
    char name[32];
    int rank = 0;
    enum voco_err err;

    snprintf(name, sizeof name, "fill%d", i);
    if ((err = find(h, path, name, &rank, dim)) != VOCO_OK)
        return err;
    if (rank != 3 || dim[0] != extent[0] || dim[1] != extent[1] || dim[2] != extent[2])
        return voco_fail(VOCO_EFORMAT, "%s: %s has rank %d and sizes %" PRId64 ",%" PRId64
                         ",%" PRId64 ": expected %" PRId64 ",%" PRId64 ",%" PRId64 ", as cut "
                         "has it", path, name, rank, dim[0], dim[1], dim[2], extent[0],
                         extent[1], extent[2]);
    return voco_h5_read_f32(h, name, extent[0] * extent[1] * extent[2], out);
}

/* Box i: six numbers of cut, and its values. */
static enum voco_err
read_box(struct voco_h5 *h, const char *path, int i, const float *cut,
         struct voco_heads_replay *r)
{
    int64_t start[3], extent[3];
    enum voco_err err;

    for (int a = 0; a < 3; a++) {
        start[a] = (int64_t)cut[a];
        extent[a] = (int64_t)cut[3 + a];
        if (extent[a] < 1 || start[a] + extent[a] > r->roi)
            return voco_fail(VOCO_EFORMAT, "%s: box %d of cut begins at %" PRId64 " and has %"
                             PRId64 " voxels on axis %d: expected one inside the crop of %d",
                             path, i, start[a], extent[a], a, r->roi);
    }
    if ((err = add_box(r, i, start, extent)) != VOCO_OK)
        return err;
    return read_fill(h, path, i, extent, r->views[i].noise);
}

static enum voco_err
read_views(struct voco_h5 *h, const char *path, struct voco_heads_replay *r)
{
    const int n = VOCO_CUTVIEWS * r->crops;
    float *turns = malloc((size_t)n * sizeof *turns);
    float *cut = malloc((size_t)n * 6 * sizeof *cut);
    enum voco_err err = allocate_views(r);

    VOCO_NEED(turns && cut);
    if (err == VOCO_OK)
        err = read_integers(h, path, "rotation_labels", VOCO_CUTVIEWS, r->crops, 0,
                            VOCO_TURNS - 1, turns);
    if (err == VOCO_OK)
        err = read_integers(h, path, "cut", n, 6, 0, r->roi, cut);
    for (int i = 0; i < n && err == VOCO_OK; i++) {
        r->views[i].turns = (int)turns[i];
        err = read_box(h, path, i, cut + (size_t)i * 6, r);
    }
    free(turns);
    free(cut);
    return err;
}

static enum voco_err
read_crops(struct voco_h5 *h, const char *path, struct voco_heads_replay *r)
{
    int64_t dim[VOCO_H5_RANK_MAX];
    struct voco_cropset set = { 0 };
    int rank;
    enum voco_err err = find(h, path, "x", &rank, dim);

    if (err == VOCO_OK)
        err = voco_cropset_read(h, path, "x", &set);
    if (err == VOCO_OK && (set.roi < VOCO_HEADS_ROI_MIN
                           || set.roi % VOCO_HEADS_MULTIPLE != 0 || set.n > CROPS_MAX))
        err = voco_fail(VOCO_EFORMAT, "%s: x has %d crops of %d^3: expected at most %d, with "
                        "an edge of 64, 96, ... voxels, a multiple of %d", path, set.n,
                        set.roi, CROPS_MAX, VOCO_HEADS_MULTIPLE);
    r->crops = set.n;
    r->roi = set.roi;
    r->x = set.crops;
    set.crops = NULL;
    voco_cropset_free(&set);
    return err;
}

static enum voco_err
from_file(const char *path, struct voco_heads_replay *r)
{
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    if (err != VOCO_OK)
        return err;
    if ((err = read_crops(h, path, r)) == VOCO_OK)
        err = read_views(h, path, r);
    voco_h5_close(h);
    return err;
}

enum voco_err
voco_heads_replay_open(const char *spec, struct voco_heads_replay *ret)
{
    *ret = (struct voco_heads_replay){ 0 };
    return strncmp(spec, "hash:", 5) == 0 ? from_hash(spec, ret) : from_file(spec, ret);
}

void
voco_heads_replay_free(struct voco_heads_replay *r)
{
    for (int i = 0; r->views && i < VOCO_CUTVIEWS * r->crops; i++)
        voco_cutview_free(&r->views[i]);
    free(r->views);
    free(r->x);
    *r = (struct voco_heads_replay){ 0 };
}
