/* Separable Gaussians, axis by axis: on a grid, and from the voxels of a volume to cells. */
#include "leak/smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An axis of a grid: [before][n][after]. */
struct axis {
    int64_t before, n, after;
};

static struct axis
axis_of(const int64_t dim[3], int a)
{
    struct axis x = { 1, dim[a], 1 };

    for (int k = 0; k < a; k++)
        x.before *= dim[k];
    for (int k = a + 1; k < 3; k++)
        x.after *= dim[k];
    return x;
}

/* Weights of the samples first .. first+n-1 that make an output. */
struct taps {
    int64_t first, n;
    const float *weight;
};

/* out[before][m][after] = sums of x[before][n][after] by the taps of the m outputs. */
static void
sum_axis(const float *x, const struct axis *a, const struct taps *taps, int64_t m, float *out)
{
    for (int64_t b = 0; b < a->before; b++)
        for (int64_t i = 0; i < m; i++) {
            const float *in = x + (b * a->n + taps[i].first) * a->after;
            float *y = out + (b * m + i) * a->after;

            if (a->after == 1) {
                float sum = 0;

                for (int64_t k = 0; k < taps[i].n; k++)
                    sum += taps[i].weight[k] * in[k];
                *y = sum;
                continue;
            }
            memset(y, 0, (size_t)a->after * sizeof *y);
            for (int64_t k = 0; k < taps[i].n; k++, in += a->after)
                for (int64_t j = 0; j < a->after; j++)
                    y[j] += taps[i].weight[k] * in[j];
        }
}

/* Taps of m outputs whose centres are at (i + 0.5) step in samples of the n inputs.  Free
 * *ret, whose weights lie in the same block. */
static enum voco_err
make_taps(int64_t n, int64_t m, double step, double sigma, struct taps **ret)
{
    const int64_t most = 2 * (int64_t)ceil(2.5 * sigma) + 3;
    struct taps *taps = malloc((size_t)m * (sizeof *taps + (size_t)most * sizeof(float)));
    float *weight = taps ? (float *)(taps + m) : NULL;

    if (!taps)
        return voco_fail(VOCO_EMEMORY, "no memory for a filter");
    for (int64_t i = 0; i < m; i++, weight += most) {
        const double centre = ((double)i + 0.5) * step - 0.5;
        int64_t lo = (int64_t)ceil(centre - 2.5 * sigma);
        int64_t hi = (int64_t)floor(centre + 2.5 * sigma);
        double sum = 0;

        lo = lo < 0 ? 0 : lo > n - 1 ? n - 1 : lo;
        hi = hi < lo ? lo : hi > n - 1 ? n - 1 : hi;
        for (int64_t k = lo; k <= hi; k++)
            sum += exp(-0.5 * pow(((double)k - centre) / sigma, 2));
        for (int64_t k = lo; k <= hi; k++)
            weight[k - lo] = sum > 0
                ? (float)(exp(-0.5 * pow(((double)k - centre) / sigma, 2)) / sum) : 1;
        taps[i] = (struct taps){ lo, hi - lo + 1, weight };
    }
    *ret = taps;
    return VOCO_OK;
}

enum voco_err
voco_smooth(const float *x, const int64_t dim[3], double sigma, float *out)
{
    const int64_t n = dim[0] * dim[1] * dim[2];
    float *other = malloc((size_t)n * sizeof *other);
    enum voco_err err = other ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory to smooth");

    if (!err && out != x)
        memcpy(out, x, (size_t)n * sizeof *out);
    for (int a = 0; a < 3 && !err; a++) {
        const struct axis axis = axis_of(dim, a);
        struct taps *taps;

        err = make_taps(dim[a], dim[a], 1, sigma, &taps);
        if (!err) {
            sum_axis(out, &axis, taps, dim[a], other);
            memcpy(out, other, (size_t)n * sizeof *out);
            free(taps);
        }
    }
    free(other);
    return err;
}

enum voco_err
voco_cells(const struct voco_volume *v, const double cell_mm[3], const int64_t dim[3],
           float **ret)
{
    int64_t now[3] = { v->dim[0], v->dim[1], v->dim[2] };
    const float *in = v->voxel;
    float *out = NULL;
    double mm[3];
    enum voco_err err = VOCO_OK;

    voco_volume_spacing(v, mm);
    for (int a = 2; a >= 0 && !err; a--) {
        const struct axis axis = axis_of(now, a);
        const double want = 0.75 * cell_mm[a];
        const double sigma = sqrt(fmax(want * want - mm[a] * mm[a] / 12, 0));
        struct taps *taps;

        err = make_taps(now[a], dim[a], cell_mm[a] / mm[a],
                        fmax(sigma / mm[a], 0.5), &taps);
        if (err)
            break;
        out = malloc((size_t)(axis.before * dim[a] * axis.after) * sizeof *out);
        if (out)
            sum_axis(in, &axis, taps, dim[a], out);
        else
            err = voco_fail(VOCO_EMEMORY, "no memory for a thumbnail");
        free(taps);
        if (in != v->voxel)
            free((void *)(uintptr_t)in);
        in = out;
        now[a] = dim[a];
    }
    if (err && in != v->voxel && in != out)
        free((void *)(uintptr_t)in);
    *ret = err ? NULL : out;
    return err;
}
