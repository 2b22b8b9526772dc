/* Replayed batches: from an HDF5 file, or by the hash formula of the reference numbers. */
#include "data/replay.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { BASES = 9, HASH_ROI = 64 };

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

/* Share of base crop k's square that the square around center covers, times 4096. */
static int
overlap(const int center[2], int k)
{
    const int edge[2] = { k / 3, k % 3 };
    int area = 1;

    for (int a = 0; a < 2; a++) {
        const int low = center[a] - 32 > edge[a] * 64 ? center[a] - 32 : edge[a] * 64;
        const int high = center[a] + 32 < edge[a] * 64 + 64 ? center[a] + 32
                                                            : edge[a] * 64 + 64;

        area *= high > low ? high - low : 0;
    }
    return area;
}

static enum voco_err
from_hash(const char *spec, int64_t steps, struct voco_replay *r)
{
    const int64_t voxels = HASH_ROI * HASH_ROI * HASH_ROI;
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
    r->bases = BASES;
    r->roi = HASH_ROI;
    if ((err = allocate(r)) != VOCO_OK)
        return err;
    voco_hash_uniform(seed, "img", r->volumes * r->sw * voxels, 0.0, 1.0, r->img);
    voco_hash_uniform(seed, "crops", r->volumes * BASES * voxels, 0.0, 1.0, r->crops);
    centers = voco_hash_base(seed, "centers");
    for (int n = 0; n < r->volumes * r->sw; n++) {
        int center[2];

        for (int a = 0; a < 2; a++)
            center[a] = (int)floor(32.0 + 128.0 * voco_hash_unit(centers,
                                                                 (uint64_t)(2 * n + a)));
        for (int k = 0; k < BASES; k++)
            r->labels[n * BASES + k] = (float)overlap(center, k) / 4096.0f;
    }
    keep = voco_hash_base(seed, "keep");
    rows = (int64_t)r->volumes * (r->sw + BASES);
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
    int rank;
    hsize_t dim[8];
};

/* Shape of a dataset; rank 0 where there is none of that name. */
static enum voco_err
dataset_shape(hid_t file, const char *path, const char *name, struct shape *ret)
{
    hid_t set, space;

    *ret = (struct shape){ 0 };
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0)
        return VOCO_OK;
    set = H5Dopen2(file, name, H5P_DEFAULT);
    space = set < 0 ? -1 : H5Dget_space(set);
    ret->rank = space < 0 ? 0 : H5Sget_simple_extent_ndims(space);
    if (ret->rank > 0 && ret->rank <= 8)
        H5Sget_simple_extent_dims(space, ret->dim, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    if (ret->rank < 1 || ret->rank > 8)
        return voco_fail(VOCO_EFORMAT, "%s: %s is not an array", path, name);
    return VOCO_OK;
}

static enum voco_err
dataset_read(hid_t file, const char *path, const char *name, hid_t type, void *out)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    const herr_t status = set < 0 ? -1
        : H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);

    if (set >= 0)
        H5Dclose(set);
    if (status < 0)
        return voco_fail(VOCO_EFORMAT, "%s: %s cannot be read as numbers (damaged file?)",
                         path, name);
    return VOCO_OK;
}

static enum voco_err
check_crops(const char *path, const char *name, const struct shape *s)
{
    if (s->rank == 0)
        return voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a replayed batch has img, crops "
                         "and labels", path, name);
    if (s->rank != 5 || s->dim[1] != 1 || s->dim[2] != s->dim[3] || s->dim[3] != s->dim[4]
        || s->dim[0] < 1 || s->dim[0] > 65536 || s->dim[2] < 32 || s->dim[2] > 512
        || s->dim[2] % 2 != 0)
        return voco_fail(VOCO_EFORMAT, "%s: %s has rank %d and sizes %llu,%llu,%llu,...: "
                         "expected [crops,1,r,r,r] with an even r of 32 to 512", path, name,
                         s->rank, (unsigned long long)s->dim[0],
                         (unsigned long long)s->dim[1], (unsigned long long)s->dim[2]);
    return VOCO_OK;
}

static enum voco_err
check_shapes(const char *path, const struct shape *img, const struct shape *crops,
             const struct shape *labels, struct voco_replay *r)
{
    enum voco_err err;

    if ((err = check_crops(path, "img", img)) != VOCO_OK
        || (err = check_crops(path, "crops", crops)) != VOCO_OK)
        return err;
    if (labels->rank != 3 || labels->dim[2] != BASES)
        return voco_fail(VOCO_EFORMAT, "%s: labels has rank %d: expected [volumes,sw,%d]",
                         path, labels->rank, BASES);
    if (labels->dim[0] * labels->dim[1] != img->dim[0]
        || labels->dim[0] * BASES != crops->dim[0] || img->dim[2] != crops->dim[2])
        return voco_fail(VOCO_EFORMAT, "%s: labels of %llu volumes x %llu crops do not go "
                         "with %llu img and %llu crops (edges %llu and %llu)", path,
                         (unsigned long long)labels->dim[0],
                         (unsigned long long)labels->dim[1],
                         (unsigned long long)img->dim[0], (unsigned long long)crops->dim[0],
                         (unsigned long long)img->dim[2],
                         (unsigned long long)crops->dim[2]);
    r->volumes = (int)labels->dim[0];
    r->sw = (int)labels->dim[1];
    r->bases = BASES;
    r->roi = (int)img->dim[2];
    return VOCO_OK;
}

static enum voco_err
read_keep(hid_t file, const char *path, int64_t steps, struct voco_replay *r)
{
    const hsize_t rows = (hsize_t)(r->volumes * (r->sw + r->bases));
    struct shape keep;
    enum voco_err err = dataset_shape(file, path, "keep", &keep);

    if (err != VOCO_OK || keep.rank == 0)
        return err;
    if (keep.rank != 2 || keep.dim[1] != rows || keep.dim[0] < (hsize_t)steps
        || keep.dim[0] > (hsize_t)1 << 32)
        return voco_fail(VOCO_EFORMAT, "%s: keep has sizes %llu,%llu: expected at least "
                         "%lld rows, one a step, of %llu", path,
                         (unsigned long long)keep.dim[0], (unsigned long long)keep.dim[1],
                         (long long)steps, (unsigned long long)rows);
    r->keep = malloc((size_t)keep.dim[0] * (size_t)rows);
    if (!r->keep)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for keep", path);
    r->steps = (int64_t)keep.dim[0];
    return dataset_read(file, path, "keep", H5T_NATIVE_UCHAR, r->keep);
}

static enum voco_err
check_values(const char *path, const char *name, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return voco_fail(VOCO_EFORMAT, "%s: %s has a value that is not finite at "
                             "element %zu", path, name, i);
    return VOCO_OK;
}

static enum voco_err
from_file(const char *path, int64_t steps, struct voco_replay *r)
{
    struct shape img, crops, labels;
    enum voco_err err;
    hid_t file;

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (H5Fis_hdf5(path) <= 0)
        return voco_fail(VOCO_EFORMAT, "%s: not an HDF5 file (or hash:SEED:BATCH:SW)", path);
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return voco_fail(VOCO_EFORMAT, "%s: HDF5 cannot open it (damaged?)", path);
    if ((err = dataset_shape(file, path, "img", &img)) == VOCO_OK
        && (err = dataset_shape(file, path, "crops", &crops)) == VOCO_OK
        && (err = dataset_shape(file, path, "labels", &labels)) == VOCO_OK
        && (err = check_shapes(path, &img, &crops, &labels, r)) == VOCO_OK
        && (err = allocate(r)) == VOCO_OK
        && (err = dataset_read(file, path, "img", H5T_NATIVE_FLOAT, r->img)) == VOCO_OK
        && (err = dataset_read(file, path, "crops", H5T_NATIVE_FLOAT, r->crops)) == VOCO_OK
        && (err = dataset_read(file, path, "labels", H5T_NATIVE_FLOAT, r->labels))
           == VOCO_OK
        && (err = read_keep(file, path, steps, r)) == VOCO_OK)
        err = check_values(path, "labels", r->labels,
                           (size_t)r->volumes * (size_t)r->sw * BASES);
    H5Fclose(file);
    return err;
}

enum voco_err
voco_replay_open(const char *spec, int64_t steps, struct voco_replay *ret)
{
    enum voco_err err;

    *ret = (struct voco_replay){ 0 };
    err = strncmp(spec, "hash:", 5) == 0 ? from_hash(spec, steps, ret)
                                         : from_file(spec, steps, ret);
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
