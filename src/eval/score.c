/* Overlap and surface distances of two label maps. */
#include "eval/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "eval/distance.h"

/* A class: its voxels in both maps, and the box around them. */
struct extent {
    int64_t low[3], high[3];            /* both included; high < low: nowhere */
};

static void
widen(struct extent *e, const int64_t at[3])
{
    for (int a = 0; a < 3; a++) {
        e->low[a] = at[a] < e->low[a] ? at[a] : e->low[a];
        e->high[a] = at[a] > e->high[a] ? at[a] : e->high[a];
    }
}

/* Voxels and extents of all classes in one pass. */
static enum voco_err
count(const struct voco_score_pair *p, int n_classes, struct voco_score *score,
      struct extent *extent)
{
    int64_t i = 0, at[3];

    for (int c = 0; c < n_classes; c++) {
        memset(&score[c], 0, sizeof score[c]);
        for (int a = 0; a < 3; a++) {
            extent[c].low[a] = INT64_MAX;
            extent[c].high[a] = -1;
        }
    }
    for (at[0] = 0; at[0] < p->dim[0]; at[0]++)
        for (at[1] = 0; at[1] < p->dim[1]; at[1]++)
            for (at[2] = 0; at[2] < p->dim[2]; at[2]++, i++) {
                const int t = p->truth[i], q = p->predicted[i];

                if (t >= n_classes || q >= n_classes)
                    return voco_fail(VOCO_EFORMAT, "label %d, expected labels below %d",
                                     t > q ? t : q, n_classes);
                score[t].truth++;
                score[q].predicted++;
                score[t].both += t == q;
                if (t > 0)
                    widen(&extent[t], at);
                if (q > 0 && q != t)
                    widen(&extent[q], at);
            }
    return VOCO_OK;
}

/* ---- surfaces ---- */

/* The box around one class, with the surfaces of both maps in it. */
struct box {
    int64_t start[3], dim[3], n;
    uint8_t *surface[2];                /* predicted, truth */
    int64_t voxels[2];
    double *squared;                    /* distances to one of them */
    double *found;                      /* distances at the voxels of the other */
};

static bool
is_surface(const uint16_t *label, const int64_t dim[3], const int64_t at[3], int64_t i,
           int c)
{
    const int64_t step[3] = { dim[1] * dim[2], dim[2], 1 };

    for (int a = 0; a < 3; a++)
        if (at[a] == 0 || at[a] == dim[a] - 1 || label[i - step[a]] != c
            || label[i + step[a]] != c)
            return true;
    return false;
}

static void
mark_surface(const struct voco_score_pair *p, const uint16_t *label, int c,
             const struct box *b, uint8_t *surface, int64_t *ret_voxels)
{
    int64_t k = 0, at[3];

    *ret_voxels = 0;
    for (int64_t x = 0; x < b->dim[0]; x++)
        for (int64_t y = 0; y < b->dim[1]; y++)
            for (int64_t z = 0; z < b->dim[2]; z++, k++) {
                at[0] = b->start[0] + x;
                at[1] = b->start[1] + y;
                at[2] = b->start[2] + z;
                const int64_t i = (at[0] * p->dim[1] + at[1]) * p->dim[2] + at[2];

                surface[k] = label[i] == c && is_surface(label, p->dim, at, i, c);
                *ret_voxels += surface[k];
            }
}

static enum voco_err
box_init(struct box *b, const struct voco_score_pair *p, const struct extent *e, int c)
{
    const uint16_t *const map[2] = { p->predicted, p->truth };
    int64_t most;

    *b = (struct box){ .n = 1 };
    for (int a = 0; a < 3; a++) {
        b->start[a] = e->low[a];
        b->dim[a] = e->high[a] - e->low[a] + 1;
        b->n *= b->dim[a];
    }
    for (int m = 0; m < 2; m++) {
        b->surface[m] = malloc((size_t)b->n);
        if (b->surface[m])
            mark_surface(p, map[m], c, b, b->surface[m], &b->voxels[m]);
    }
    most = b->voxels[0] > b->voxels[1] ? b->voxels[0] : b->voxels[1];
    b->squared = malloc((size_t)b->n * sizeof *b->squared);
    b->found = malloc((size_t)(most + 1) * sizeof *b->found);
    if (!b->surface[0] || !b->surface[1] || !b->squared || !b->found)
        return voco_fail(VOCO_EMEMORY, "no memory for surface distances among %" PRId64
                         " voxels", b->n);
    return VOCO_OK;
}

static void
box_free(struct box *b)
{
    free(b->surface[0]);
    free(b->surface[1]);
    free(b->squared);
    free(b->found);
}

/* found[] = distances of surface from to the other one. */
static enum voco_err
distances(struct box *b, const double mm[3], int from, int threads)
{
    enum voco_err err = voco_distance_squared(b->surface[1 - from], b->dim, mm, threads,
                                              b->squared);

    for (int64_t i = 0, k = 0; !err && i < b->n; i++)
        if (b->surface[from][i])
            b->found[k++] = (float)sqrt(b->squared[i]);     /* as MONAI rounds them */
    return err;
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
voco_quantile(double *x, int64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const int64_t below = (int64_t)at;

    qsort(x, (size_t)n, sizeof *x, by_value);
    return below + 1 < n ? x[below] + (x[below + 1] - x[below]) * (at - (double)below)
                         : x[n - 1];
}

static enum voco_err
score_surfaces(const struct voco_score_pair *p, const struct extent *e, int c,
               double tolerance_mm, int threads, struct voco_score *score)
{
    struct box b;
    int64_t near = 0;
    enum voco_err err = box_init(&b, p, e, c);

    score->hd95_mm = 0;
    for (int from = 0; from < 2 && !err; from++) {
        err = distances(&b, p->mm, from, threads);
        for (int64_t i = 0; i < b.voxels[from] && !err; i++)
            near += b.found[i] <= (float)tolerance_mm;
        if (!err)
            score->hd95_mm = fmax(score->hd95_mm,
                                  voco_quantile(b.found, b.voxels[from], 0.95));
    }
    score->surface_dice = (double)near / (double)(b.voxels[0] + b.voxels[1]);
    box_free(&b);
    return err;
}

/* ---- scores ---- */

double
voco_dice(int64_t truth, int64_t predicted, int64_t both)
{
    return truth ? 2 * (double)both / (double)(truth + predicted) : NAN;
}

static enum voco_err
score_class(const struct voco_score_pair *p, const struct extent *e, int c,
            double tolerance_mm, int threads, struct voco_score *s)
{
    const double voxel_ml = p->mm[0] * p->mm[1] * p->mm[2] / 1000;
    const double sum = (double)(s->truth + s->predicted);

    s->truth_ml = (double)s->truth * voxel_ml;
    s->predicted_ml = (double)s->predicted * voxel_ml;
    s->dice = voco_dice(s->truth, s->predicted, s->both);
    s->volume_error = s->truth ? (double)(s->predicted - s->truth) / (double)s->truth
                               : NAN;
    if (s->truth && s->predicted)
        return score_surfaces(p, e, c, tolerance_mm, threads, s);
    s->hd95_mm = NAN;
    s->surface_dice = sum > 0 ? 0 : NAN;
    return VOCO_OK;
}

enum voco_err
voco_score(const struct voco_score_pair *p, int n_classes, double tolerance_mm,
           int threads, struct voco_score *ret)
{
    struct extent *extent = malloc((size_t)n_classes * sizeof *extent);
    enum voco_err err = extent ? count(p, n_classes, ret, extent)
                               : voco_fail(VOCO_EMEMORY, "no memory for %d classes",
                                           n_classes);

    for (int c = 1; c < n_classes && !err; c++)
        err = score_class(p, &extent[c], c, tolerance_mm, threads, &ret[c]);
    free(extent);
    return err;
}
