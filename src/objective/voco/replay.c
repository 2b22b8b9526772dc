/* Replayed batches: from an HDF5 file, or by the hash formula of the reference numbers. */
#include "objective/voco/replay.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"

static const struct voco_tiling hash_grid = { .n = { 3, 3, 1 }, .edge = 64 };

static enum voco_err
allocate(struct voco_replay *r)
{
    const size_t voxels = (size_t)r->roi * (size_t)r->roi * (size_t)r->roi;
    const size_t random = (size_t)r->volumes * (size_t)r->sw;
    const size_t base = (size_t)r->volumes * (size_t)r->bases;

    r->img = malloc(random * voxels * sizeof *r->img);
    r->crops = malloc(base * voxels * sizeof *r->crops);
    r->labels = malloc(random * (size_t)r->bases * sizeof *r->labels);
    if (!r->img || !r->crops || !r->labels)
        return voco_fail(VOCO_EMEMORY, "no memory for a batch of %zu crops", random + base);
    return VOCO_OK;
}

/* ---- by formula ---- */

static enum voco_err
from_hash(const char *spec, int64_t steps, struct voco_replay *r)
{
    const int64_t voxels = (int64_t)hash_grid.edge * hash_grid.edge * hash_grid.edge;
    const int bases = voco_tiling_bases(&hash_grid);
    unsigned long long seed;
    uint64_t centers, keep;
    int end = 0;
    int64_t rows;
    enum voco_err err;

    if (sscanf(spec, "hash:%llu:%d:%d%n", &seed, &r->volumes, &r->sw, &end) != 3
        || spec[end] != '\0' || r->volumes < 1 || r->volumes > 1024 || r->sw < 1
        || r->sw > 1024)
        return voco_fail(VOCO_EUSAGE, "replay '%s': expected hash:SEED:BATCH:SW, for "
                         "example hash:1:2:2", spec);
    r->bases = bases;
    r->roi = hash_grid.edge;
    if ((err = allocate(r)) != VOCO_OK)
        return err;
    voco_hash_uniform(seed, "img", r->volumes * r->sw * voxels, 0.0, 1.0, r->img);
    voco_hash_uniform(seed, "crops", (int64_t)r->volumes * bases * voxels, 0.0, 1.0, r->crops);
    centers = voco_hash_base(seed, "centers");
    for (int n = 0; n < r->volumes * r->sw; n++) {
        int start[3] = { 0 };

        for (int a = 0; a < 2; a++)
            start[a] = (int)floor(128.0 * voco_hash_unit(centers, (uint64_t)(2 * n + a)));
        voco_crop_labels(&hash_grid, start, r->labels + n * bases);
    }
    keep = voco_hash_base(seed, "keep");
    rows = (int64_t)r->volumes * (r->sw + bases);
    r->keep = malloc((size_t)(rows * (steps > 0 ? steps : 1)));
    if (!r->keep)
        return voco_fail(VOCO_EMEMORY, "no memory for %lld steps of a row mask",
                         (long long)steps);
    for (int64_t i = 0; i < rows * steps; i++)
        r->keep[i] = voco_hash_unit(keep, (uint64_t)i) >= 0.2;
    r->steps = steps;
    return VOCO_OK;
}

/* ---- from a file ---- */

struct shape {
    int rank;                   /* 0: there is no such dataset */
    int64_t dim[VOCO_H5_RANK_MAX];
};

static enum voco_err
find(struct voco_h5 *h, const char *name, struct shape *ret)
{
    bool there;
    enum voco_err err = voco_h5_has(h, name, &there);

    *ret = (struct shape){ 0 };
    return err || !there ? err : voco_h5_shape(h, name, &ret->rank, ret->dim);
}

static enum voco_err
read_crops(struct voco_h5 *h, const char *path, const char *name, int *n, int *roi,
           float **ret)
{
    struct voco_cropset set;
    bool there;
    enum voco_err err = voco_h5_has(h, name, &there);

    if (err)
        return err;
    if (!there)
        return voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a replayed batch has img, crops "
                         "and labels", path, name);
    err = voco_cropset_read(h, path, name, &set);
    *n = set.n;
    *roi = set.roi;
    *ret = set.crops;
    set.crops = NULL;
    voco_cropset_free(&set);
    return err;
}

static enum voco_err
read_labels(struct voco_h5 *h, const char *path, const struct voco_tiling *grid, int n_img,
            int n_crops, struct voco_replay *r)
{
    const int bases = voco_tiling_bases(grid);
    struct shape s;
    enum voco_err err = find(h, "labels", &s);

    if (err != VOCO_OK)
        return err;
    if (s.rank != 3)
        return voco_fail(VOCO_EFORMAT, "%s: labels has rank %d: expected [volumes,sw,%d]",
                         path, s.rank, bases);
    if (s.dim[2] != bases)
        return voco_fail(VOCO_EFORMAT, "%s: labels are for %" PRId64 " base crops, expected the "
                         "%d of a grid of %dx%dx%d", path, s.dim[2], bases, grid->n[0],
                         grid->n[1], grid->n[2]);
    if (s.dim[0] < 1 || s.dim[0] > n_crops || s.dim[1] < 1 || s.dim[1] > n_img
        || s.dim[0] * s.dim[1] != n_img || s.dim[0] * bases != n_crops)
        return voco_fail(VOCO_EFORMAT, "%s: labels of %" PRId64 " volumes x %" PRId64
                         " crops do not go with %d img and %d crops", path, s.dim[0],
                         s.dim[1], n_img, n_crops);
    r->volumes = (int)s.dim[0];
    r->sw = (int)s.dim[1];
    r->bases = bases;
    r->labels = malloc((size_t)n_img * (size_t)bases * sizeof *r->labels);
    if (!r->labels)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for labels", path);
    return voco_h5_read_f32(h, "labels", (int64_t)n_img * bases, r->labels);
}

static enum voco_err
read_keep(struct voco_h5 *h, const char *path, int64_t steps, struct voco_replay *r)
{
    const int64_t rows = (int64_t)r->volumes * (r->sw + r->bases);
    struct shape keep;
    enum voco_err err = find(h, "keep", &keep);

    if (err != VOCO_OK || keep.rank == 0)
        return err;
    if (keep.rank != 2 || keep.dim[1] != rows || keep.dim[0] < steps
        || keep.dim[0] > INT64_C(1) << 32)
        return voco_fail(VOCO_EFORMAT, "%s: keep has sizes %" PRId64 ",%" PRId64
                         ": expected at least %" PRId64 " rows, one a step, of %" PRId64,
                         path, keep.dim[0], keep.dim[1], steps, rows);
    r->keep = malloc((size_t)(keep.dim[0] * rows));
    if (!r->keep)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for keep", path);
    r->steps = keep.dim[0];
    return voco_h5_read_u8(h, "keep", keep.dim[0] * rows, r->keep);
}

static enum voco_err
check_labels(const char *path, const struct voco_replay *r)
{
    for (int64_t i = 0; i < (int64_t)r->volumes * r->sw * r->bases; i++)
        if (!(r->labels[i] >= 0.0f && r->labels[i] <= 1.0f))
            return voco_fail(VOCO_EFORMAT, "%s: labels: element %" PRId64 " is %g, expected "
                             "a share of 0 to 1", path, i, (double)r->labels[i]);
    return VOCO_OK;
}

static enum voco_err
from_file(const char *path, const struct voco_tiling *grid, int64_t steps,
          struct voco_replay *r)
{
    int n_img, n_crops, roi;
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    if (err != VOCO_OK)
        return err;
    if ((err = read_crops(h, path, "img", &n_img, &roi, &r->img)) == VOCO_OK
        && (err = read_crops(h, path, "crops", &n_crops, &r->roi, &r->crops)) == VOCO_OK) {
        if (roi != r->roi)
            err = voco_fail(VOCO_EFORMAT, "%s: img has edges of %d and crops of %d", path,
                            roi, r->roi);
        else if ((err = read_labels(h, path, grid, n_img, n_crops, r)) == VOCO_OK
                 && (err = check_labels(path, r)) == VOCO_OK)
            err = read_keep(h, path, steps, r);
    }
    voco_h5_close(h);
    if (err == VOCO_OK && r->roi <= 32)
        voco_warn("%s: crops of %d^3 leave one voxel in the deepest map, which instance "
                  "norm turns into zero; the method takes 64^3", path, r->roi);
    return err;
}

enum voco_err
voco_replay_open(const char *spec, const int n[3], int64_t steps, struct voco_replay *ret)
{
    const struct voco_tiling grid = { .n = { n[0], n[1], n[2] }, .edge = 1 };
    enum voco_err err;

    *ret = (struct voco_replay){ 0 };
    if (strncmp(spec, "hash:", 5) != 0)
        err = from_file(spec, &grid, steps, ret);
    else if (memcmp(grid.n, hash_grid.n, sizeof grid.n) == 0)
        err = from_hash(spec, steps, ret);
    else
        err = voco_fail(VOCO_EUSAGE, "replay '%s': batches by formula have a grid of 3x3x1, "
                        "expected a file with one of %dx%dx%d", spec, n[0], n[1], n[2]);
    if (err != VOCO_OK)
        voco_replay_free(ret);
    return err;
}

void
voco_replay_free(struct voco_replay *r)
{
    free(r->img);
    free(r->crops);
    free(r->labels);
    free(r->keep);
    *r = (struct voco_replay){ 0 };
}
