/* Resampling to a spacing.  Grid and voxels follow MONAI's Spacing: zoom_affine,
 * compute_shape_offset, grid_sample with border padding, all in double. */
#include "data/transform/geometry.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/volume/affine.h"
#include "data/transform/lerp.h"

static const double SAME_GRID = 1e-3;   /* affines this close are not worth resampling */
static const int64_t DIM_MAX = 1 << 20;

/* The columns of a, made orthogonal in order (Gram-Schmidt), with lengths mm. */
static bool
unshear(const double a[4][4], const double mm[3], double out[4][4])
{
    voco_affine_identity(out);
    for (int j = 0; j < 3; j++) {
        double q[3] = { a[0][j], a[1][j], a[2][j] }, length;

        for (int again = 0; again < 2; again++)     /* twice is enough in doubles */
            for (int k = 0; k < j; k++) {
                double dot = 0;

                for (int i = 0; i < 3; i++)
                    dot += out[i][k] * q[i];
                for (int i = 0; i < 3; i++)
                    q[i] -= dot * out[i][k];
            }
        length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        if (!(length > 0))
            return false;
        for (int i = 0; i < 3; i++)
            out[i][j] = q[i] / length;
    }
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++)
            out[i][j] = out[i][j] * mm[j] + 0.0;        /* no -0 */
    return true;
}

/* Corner c of the source: bit 2 is x, bit 1 y, bit 0 z. */
static void
corner_index(const int64_t dim[3], int c, double at[3])
{
    for (int i = 0; i < 3; i++)
        at[i] = c >> (2 - i) & 1 ? (double)(dim[i] - 1) : 0;
}

static void
map_point(const double a[4][4], const double p[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = a[i][0] * p[0] + a[i][1] * p[1] + a[i][2] * p[2] + a[i][3];
}

/* Sizes by the extent of the source's corners on the new axes; the origin is that corner
 * which is smallest on all of them, and where shear leaves none, the centres meet. */
static enum voco_err
place_grid(const int64_t dim[3], const double source[4][4], struct voco_regrid *g)
{
    double inverse[4][4], to_new[4][4], at[8][3], here[3];
    double low[3], high[3], offset[3];
    int first = -1;

    if (!voco_affine_invert(g->affine, inverse))
        return voco_fail(VOCO_EFORMAT, "the affine is singular");
    voco_affine_mul(inverse, source, to_new);
    for (int c = 0; c < 8; c++) {
        corner_index(dim, c, here);
        map_point(to_new, here, at[c]);
        for (int i = 0; i < 3; i++) {
            low[i] = c ? fmin(low[i], at[c][i]) : at[c][i];
            high[i] = c ? fmax(high[i], at[c][i]) : at[c][i];
        }
    }
    for (int i = 0; i < 3; i++) {
        const double n = nearbyint(high[i] - low[i] + 1);

        if (!(n >= 1 && n <= (double)DIM_MAX))
            return voco_fail(VOCO_EFORMAT, "resampling would make %g voxels along axis "
                             "%d, at most %" PRId64 " are possible", n, i, DIM_MAX);
        g->dim[i] = (int64_t)n;
    }
    for (int c = 0; c < 8 && first < 0; c++)
        if (at[c][0] - low[0] <= 1e-8 && at[c][1] - low[1] <= 1e-8
            && at[c][2] - low[2] <= 1e-8)
            first = c;
    if (first >= 0) {
        corner_index(dim, first, here);
        map_point(source, here, offset);
    } else {
        const double mid[3] = { dim[0] / 2.0, dim[1] / 2.0, dim[2] / 2.0 };
        const double new_mid[3] = { g->dim[0] / 2.0, g->dim[1] / 2.0, g->dim[2] / 2.0 };

        map_point(source, mid, offset);
        map_point(g->affine, new_mid, here);
        for (int i = 0; i < 3; i++)
            offset[i] -= here[i];
    }
    for (int i = 0; i < 3; i++)
        g->affine[i][3] = offset[i];
    return VOCO_OK;
}

static bool
affine_close(const double a[4][4], const double b[4][4])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (!(fabs(a[i][j] - b[i][j]) <= SAME_GRID + 1e-5 * fabs(b[i][j])))
                return false;
    return true;
}

enum voco_err
voco_spacing_plan(const int64_t dim[3], const double affine[4][4], const double mm[3],
                  struct voco_regrid *ret)
{
    double old_mm[3], new_mm[3], inverse[4][4], identity[4][4];
    enum voco_err err;

    voco_affine_spacing(affine, old_mm);
    for (int i = 0; i < 3; i++)
        new_mm[i] = mm[i] > 0 && fabs(mm[i] - old_mm[i]) > SAME_GRID ? mm[i] : old_mm[i];
    if (!voco_affine_invert(affine, inverse) || !unshear(affine, new_mm, ret->affine))
        return voco_fail(VOCO_EFORMAT, "the affine is singular");
    err = place_grid(dim, affine, ret);
    if (err)
        return err;
    voco_affine_mul(inverse, ret->affine, ret->to_source);
    voco_affine_identity(identity);
    ret->unchanged = memcmp(dim, ret->dim, sizeof ret->dim) == 0
        && (affine_close(affine, ret->affine) || affine_close(ret->to_source, identity));
    if (ret->unchanged) {
        memcpy(ret->affine, affine, sizeof ret->affine);
        memcpy(ret->to_source, identity, sizeof identity);
    }
    return VOCO_OK;
}

/* Where along an axis of n samples to read for coordinate c: border padding. */
static void
locate(double c, int64_t n, int64_t *lo, int64_t *hi, double *w)
{
    const double inside = fmin(fmax(c, 0), (double)(n - 1));

    *lo = (int64_t)inside;
    *hi = *lo + 1 < n ? *lo + 1 : *lo;
    *w = inside - (double)*lo;
}

/* True when leaving out the off-diagonal terms moves no sample by 1e-6 voxels. */
static bool
is_parallel(const struct voco_regrid *g)
{
    for (int i = 0; i < 3; i++) {
        double stray = 0;

        for (int j = 0; j < 3; j++)
            if (j != i)
                stray += fabs(g->to_source[i][j]) * (double)(g->dim[j] - 1);
        if (!(stray < 1e-6))
            return false;
    }
    return true;
}

static enum voco_err
regrid_parallel(struct voco_volume *v, const struct voco_regrid *g,
                enum voco_interpolation how)
{
    struct voco_lerp_axis axis[3] = { { 0 } };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < 3 && !err; i++) {
        err = voco_lerp_axis_init(&axis[i], g->dim[i]);
        for (int64_t k = 0; !err && k < g->dim[i]; k++) {
            double c = g->to_source[i][i] * (double)k + g->to_source[i][3];

            if (how == VOCO_NEAREST)
                c = nearbyint(c);
            locate(c, v->dim[i], &axis[i].lo[k], &axis[i].hi[k], &axis[i].w[k]);
        }
    }
    if (!err)
        err = voco_lerp(v, axis);
    for (int i = 0; i < 3; i++)
        voco_lerp_axis_free(&axis[i]);
    return err;
}

static double
sample_linear(const struct voco_volume *v, const double c[3])
{
    int64_t lo[3], hi[3];
    double w[3], sum = 0;

    for (int i = 0; i < 3; i++)
        locate(c[i], v->dim[i], &lo[i], &hi[i], &w[i]);
    for (int corner = 0; corner < 8; corner++) {
        const int64_t x = corner & 4 ? hi[0] : lo[0];
        const int64_t y = corner & 2 ? hi[1] : lo[1];
        const int64_t z = corner & 1 ? hi[2] : lo[2];

        sum += (corner & 4 ? w[0] : 1 - w[0]) * (corner & 2 ? w[1] : 1 - w[1])
             * (corner & 1 ? w[2] : 1 - w[2])
             * v->voxel[(x * v->dim[1] + y) * v->dim[2] + z];
    }
    return sum;
}

static double
sample_nearest(const struct voco_volume *v, const double c[3])
{
    int64_t at[3];

    for (int i = 0; i < 3; i++)
        at[i] = (int64_t)nearbyint(fmin(fmax(c[i], 0), (double)(v->dim[i] - 1)));
    return v->voxel[(at[0] * v->dim[1] + at[1]) * v->dim[2] + at[2]];
}

static enum voco_err
regrid_general(struct voco_volume *v, const struct voco_regrid *g,
               enum voco_interpolation how)
{
    struct voco_volume out = { .voxel = NULL };
    enum voco_err err = voco_volume_alloc(&out, g->dim);
    float *to = out.voxel;

    if (err)
        return err;
    for (int64_t x = 0; x < g->dim[0]; x++)
        for (int64_t y = 0; y < g->dim[1]; y++)
            for (int64_t z = 0; z < g->dim[2]; z++) {
                const double p[3] = { (double)x, (double)y, (double)z };
                double c[3];

                map_point(g->to_source, p, c);
                *to++ = (float)(how == VOCO_NEAREST ? sample_nearest(v, c)
                                                    : sample_linear(v, c));
            }
    free(v->voxel);
    v->voxel = out.voxel;
    memcpy(v->dim, g->dim, sizeof v->dim);
    return VOCO_OK;
}

enum voco_err
voco_regrid(struct voco_volume *v, const struct voco_regrid *g,
            enum voco_interpolation how)
{
    enum voco_err err = VOCO_OK;

    if (!g->unchanged)
        err = is_parallel(g) ? regrid_parallel(v, g, how) : regrid_general(v, g, how);
    if (!err)
        memcpy(v->affine, g->affine, sizeof v->affine);
    return err;
}
