/* Axes to R, A, S.  The choice of axes follows nibabel.orientations.io_orientation. */
#include "data/transform/geometry.h"

#include <math.h>
#include <string.h>

#include "data/volume/affine.h"

/* The rotation (or reflection) nearest to the columns of a scaled to length 1: Newton's
 * iteration for the polar decomposition, R <- (R + R^-T) / 2. */
static void
polar_rotation(const double a[4][4], double r[4][4])
{
    double mm[3], inverse[4][4];

    voco_affine_spacing(a, mm);
    voco_affine_identity(r);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            r[i][j] = a[i][j] / (mm[j] > 0 ? mm[j] : 1);
    for (int round = 0; round < 60; round++) {
        double change = 0;

        if (!voco_affine_invert(r, inverse))
            return;                     /* singular: the columns themselves decide */
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                const double next = 0.5 * (r[i][j] + inverse[j][i]);

                change = fmax(change, fabs(next - r[i][j]));
                inverse[j][i] = next;
            }
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                r[i][j] = inverse[j][i];
        if (change < 1e-15)
            return;
    }
}

/* The strongest axes choose first; an axis of space is given away once. */
void
voco_orient_plan(const double affine[4][4], struct voco_orientation *ret)
{
    double r[4][4], strength[3];
    bool row_taken[3] = { false }, column_done[3] = { false };

    polar_rotation(affine, r);
    for (int j = 0; j < 3; j++)
        strength[j] = fmax(fabs(r[0][j]), fmax(fabs(r[1][j]), fabs(r[2][j])));
    for (int turn = 0; turn < 3; turn++) {
        int column = -1, row = -1;

        for (int j = 0; j < 3; j++)
            if (!column_done[j] && (column < 0 || strength[j] > strength[column]))
                column = j;
        for (int i = 0; i < 3; i++)
            if (!row_taken[i]
                && (row < 0 || fabs(r[i][column]) > fabs(r[row][column])))
                row = i;
        column_done[column] = row_taken[row] = true;
        ret->from[row] = column;
        ret->flip[row] = r[row][column] < 0;
    }
}

void
voco_orient_name(const double affine[4][4], char name[4])
{
    struct voco_orientation o;

    voco_orient_plan(affine, &o);
    for (int i = 0; i < 3; i++)
        name[o.from[i]] = (o.flip[i] ? "LPI" : "RAS")[i];
    name[3] = '\0';
}

void
voco_orient_header(struct voco_volume *v, const struct voco_orientation *o)
{
    double a[4][4];
    int64_t dim[3];

    memcpy(a, v->affine, sizeof a);
    memcpy(dim, v->dim, sizeof dim);
    for (int j = 0; j < 3; j++) {
        const int p = o->from[j];

        v->dim[j] = dim[p];
        for (int i = 0; i < 3; i++) {
            v->affine[i][j] = o->flip[j] ? 0 - a[i][p] : a[i][p];   /* no -0 */
            if (o->flip[j])
                v->affine[i][3] += a[i][p] * (double)(dim[p] - 1);
        }
    }
}

static void
swap_rows(float *restrict a, float *restrict b, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float held = a[i];

        a[i] = b[i];
        b[i] = held;
    }
}

static void
reverse_row(float *a, int64_t n)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--) {
        const float held = a[i];

        a[i] = a[j];
        a[j] = held;
    }
}

/* Rows change places in pairs. */
static void
flip_in_place(struct voco_volume *v, const bool flip[3])
{
    const int64_t nx = v->dim[0], ny = v->dim[1], nz = v->dim[2];

    for (int64_t x = 0; x < nx; x++)
        for (int64_t y = 0; y < ny; y++) {
            float *row = v->voxel + (x * ny + y) * nz;
            float *other = v->voxel + ((flip[0] ? nx - 1 - x : x) * ny
                                       + (flip[1] ? ny - 1 - y : y)) * nz;

            if (row < other)
                swap_rows(row, other, nz);
            if (flip[2])
                reverse_row(row, nz);
        }
}

static int64_t
min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* dst, row-major with size dim, from a source that is reached by strides.  In tiles, so
 * that neither side strides through memory for long. */
static void
permute(float *dst, const int64_t dim[3], const float *src, const int64_t stride[3])
{
    enum { TILE = 32 };

    for (int64_t x0 = 0; x0 < dim[0]; x0 += TILE)
    for (int64_t y0 = 0; y0 < dim[1]; y0 += TILE)
    for (int64_t z0 = 0; z0 < dim[2]; z0 += TILE) {
        const int64_t x1 = min64(x0 + TILE, dim[0]);
        const int64_t y1 = min64(y0 + TILE, dim[1]);
        const int64_t z1 = min64(z0 + TILE, dim[2]);

        for (int64_t x = x0; x < x1; x++)
            for (int64_t y = y0; y < y1; y++) {
                const float *from = src + x * stride[0] + y * stride[1];
                float *to = dst + (x * dim[1] + y) * dim[2];

                for (int64_t z = z0; z < z1; z++)
                    to[z] = from[z * stride[2]];
            }
    }
}

enum voco_err
voco_orient(struct voco_volume *v, const struct voco_orientation *o)
{
    const int64_t old[3] = { v->dim[1] * v->dim[2], v->dim[2], 1 };
    struct voco_volume out = { .voxel = NULL };
    const float *origin = v->voxel;
    int64_t stride[3], dim[3];
    enum voco_err err;

    if (o->from[0] == 0 && o->from[1] == 1) {
        flip_in_place(v, o->flip);
        voco_orient_header(v, o);
        return VOCO_OK;
    }
    for (int i = 0; i < 3; i++) {
        const int p = o->from[i];

        dim[i] = v->dim[p];
        stride[i] = o->flip[i] ? -old[p] : old[p];
        origin += o->flip[i] ? (v->dim[p] - 1) * old[p] : 0;
    }
    err = voco_volume_alloc(&out, dim);
    if (err)
        return err;
    permute(out.voxel, dim, origin, stride);
    memcpy(out.affine, v->affine, sizeof out.affine);
    memcpy(out.dim, v->dim, sizeof out.dim);
    voco_orient_header(&out, o);
    voco_volume_free(v);
    *v = out;
    return VOCO_OK;
}
