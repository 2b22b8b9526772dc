/* Thumbnails: cells of a volume, their local contrast, landmarks. */
#include "leak/thumb.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/transform/geometry.h"
#include "leak/contrast.h"
#include "leak/smooth.h"

enum { SCALE = 24, GRID_MAX = 1 << 24 };

static const double SIGMA = 2;          /* cells around one that its contrast is held against */
static const double COARSE_SIGMA = 8;

static int8_t *
quantised(const float *x, const uint8_t *flat, int64_t n)
{
    int8_t *q = malloc((size_t)n);

    for (int64_t i = 0; q && i < n; i++)
        q[i] = flat[i] ? VOCO_THUMB_FLAT
            : (int8_t)lrint(fmin(fmax(SCALE * (double)x[i], -127), 127));
    return q;
}

/* Cells of 4 mm with their landmarks. */
static enum voco_err
make_grid(const struct voco_volume *v, bool every, struct voco_thumb *t)
{
    const double mm[3] = { VOCO_THUMB_MM, VOCO_THUMB_MM, VOCO_THUMB_MM };
    uint8_t *flat = NULL;
    float *x = NULL;
    int64_t n = 1;
    enum voco_err err;

    for (int a = 0; a < 3; a++) {
        const double cells = round(t->size_mm[a] / VOCO_THUMB_MM);

        if (!(cells < GRID_MAX))
            return voco_fail(VOCO_EFORMAT, "%g mm long: not the size of a scan",
                             t->size_mm[a]);
        t->dim[a] = cells < 1 ? 1 : (int64_t)cells;
        n *= t->dim[a];
        if (n > GRID_MAX)
            return voco_fail(VOCO_EFORMAT, "%g x %g x %g mm: not the size of a scan",
                             t->size_mm[0], t->size_mm[1], t->size_mm[2]);
    }
    err = voco_cells(v, mm, t->dim, &x);
    flat = malloc((size_t)n);
    if (!err && !flat)
        err = voco_fail(VOCO_EMEMORY, "no memory for a thumbnail");
    if (!err)
        err = voco_local_contrast(x, t->dim, SIGMA, flat);
    if (!err && !(t->grid = quantised(x, flat, n)))
        err = voco_fail(VOCO_EMEMORY, "no memory for a thumbnail");
    for (int64_t i = 0; i < n && !err; i++)
        t->textured += !flat[i];
    if (!err)
        err = voco_features(x, t->dim, every, &t->feature, &t->value, &t->n_features);
    free(flat);
    free(x);
    return err;
}

/* Averages of 4^3 cells, mean 0, length 1. */
static void
make_coarse(const float *cube, float out[VOCO_THUMB_COARSE_N])
{
    enum { N = VOCO_THUMB_CUBE, M = VOCO_THUMB_COARSE, BLOCK = N / M };
    double mean = 0, length = 0, sum[VOCO_THUMB_COARSE_N] = { 0 };

    for (int x = 0; x < N; x++)
        for (int y = 0; y < N; y++)
            for (int z = 0; z < N; z++)
                sum[(x / BLOCK * M + y / BLOCK) * M + z / BLOCK] +=
                    (double)cube[(x * N + y) * N + z];
    for (int i = 0; i < VOCO_THUMB_COARSE_N; i++)
        mean += sum[i] / VOCO_THUMB_COARSE_N;
    for (int i = 0; i < VOCO_THUMB_COARSE_N; i++)
        length += (sum[i] - mean) * (sum[i] - mean);
    for (int i = 0; i < VOCO_THUMB_COARSE_N; i++)
        out[i] = length > 0 ? (float)((sum[i] - mean) / sqrt(length)) : 0;
}

/* The whole volume, stretched to a cube. */
static enum voco_err
make_cube(const struct voco_volume *v, struct voco_thumb *t)
{
    enum { N = VOCO_THUMB_CUBE, CELLS = N * N * N };
    const int64_t dim[3] = { N, N, N };
    double cell_mm[3];
    float *x = NULL, *rough = malloc(CELLS * sizeof *rough);
    uint8_t *flat = malloc(CELLS);
    enum voco_err err = rough && flat ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for a thumbnail");

    for (int a = 0; a < 3; a++)
        cell_mm[a] = t->size_mm[a] / N;
    if (!err)
        err = voco_cells(v, cell_mm, dim, &x);
    if (!err) {
        memcpy(rough, x, CELLS * sizeof *rough);
        err = voco_local_contrast(rough, dim, COARSE_SIGMA, flat);
    }
    if (!err) {
        make_coarse(rough, t->coarse);
        err = voco_local_contrast(x, dim, SIGMA, flat);
    }
    if (!err && !(t->cube = quantised(x, flat, CELLS)))
        err = voco_fail(VOCO_EMEMORY, "no memory for a thumbnail");
    free(x);
    free(rough);
    free(flat);
    return err;
}

enum voco_err
voco_thumb_make(struct voco_volume *v, bool every, struct voco_thumb *ret)
{
    struct voco_orientation turn;
    double mm[3];
    enum voco_err err;

    *ret = (struct voco_thumb){ .grid = NULL };
    for (int64_t i = 0; i < v->dim[0] * v->dim[1] * v->dim[2]; i++)
        if (!isfinite(v->voxel[i]))
            v->voxel[i] = 0;
    voco_orient_plan((const double (*)[4])v->affine, &turn);
    err = voco_orient(v, &turn);
    voco_volume_spacing(v, mm);
    for (int a = 0; a < 3; a++)
        ret->size_mm[a] = (double)v->dim[a] * mm[a];
    if (!err)
        err = make_cube(v, ret);
    if (!err)
        err = make_grid(v, every, ret);
    return err;
}

void
voco_thumb_free(struct voco_thumb *t)
{
    free(t->grid);
    free(t->feature);
    free(t->value);
    free(t->cube);
    *t = (struct voco_thumb){ .grid = NULL };
}
