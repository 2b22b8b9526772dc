/* Sliding windows; positions and weights follow monai.inferers.sliding_window_inference. */
#include "task/sliding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

const char *const voco_blend_names[] = { "constant", "gaussian", NULL };

static const float least_weight = 1e-3f;

int64_t
voco_sliding_starts(int64_t size, int64_t roi, double overlap, int64_t *start)
{
    const int64_t step = (int64_t)((double)roi * (1.0 - overlap));
    const int64_t interval = size <= roi ? roi : step > 0 ? step : 1;
    int64_t n = 1;

    while ((n - 1) * interval + roi < size)
        n++;
    for (int64_t i = 0; start && i < n; i++) {
        start[i] = i * interval;
        if (start[i] + roi > size)
            start[i] = size > roi ? size - roi : 0;
    }
    return n;
}

void
voco_sliding_weights(const int64_t roi[3], enum voco_blend blend, float *weight)
{
    const int64_t n = roi[0] * roi[1] * roi[2];
    float least;

    for (int64_t i = 0; i < n; i++)
        weight[i] = 1;
    if (blend == VOCO_BLEND_CONSTANT)
        return;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at[3] = { i / (roi[1] * roi[2]), i / roi[2] % roi[1], i % roi[2] };

        for (int a = 0; a < 3; a++) {
            const double sigma = 0.125 * (double)roi[a];
            const float x = (float)at[a] - (float)(roi[a] - 1) / 2;

            weight[i] *= expf(x * x / (float)(-2 * sigma * sigma));
        }
    }
    least = weight[0];                          /* a corner is the farthest */
    if (least < least_weight)
        least = least_weight;
    for (int64_t i = 0; i < n; i++)
        weight[i] = fmaxf(weight[i], least);
}

/* ---- a run ---- */

/* The axis that windows go along, then the others in their order; padding. */
struct layout {
    int axis, other[2];
    int64_t padded[3], before[3];
    int64_t *start[3], n[3];            /* of windows along each axis */
    int64_t window, plane;              /* voxels of a window, of a padded plane */
};

struct slab {
    const struct voco_sliding *s;
    struct layout l;
    float *weight;                      /* of a window */
    float *sum;                         /* [roi along axis][plane][classes] */
    float *total;                       /* of weights, [roi along axis][plane] */
    int64_t first;                      /* the plane that sum begins with */
    float *windows, *flipped, *logits;  /* of a batch */
    int64_t (*at)[3];                   /* where these windows stand */
    int n;                              /* windows in hand */
    int64_t done;
};

static int64_t
largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum voco_err
layout_init(struct layout *l, const struct voco_sliding *s)
{
    *l = (struct layout){ .window = s->roi[0] * s->roi[1] * s->roi[2] };
    for (int a = 0; a < 3; a++) {
        l->padded[a] = largest(s->dim[a], s->roi[a]);
        l->before[a] = (l->padded[a] - s->dim[a]) / 2;
        if (l->padded[a] > l->padded[l->axis])
            l->axis = a;
        l->n[a] = voco_sliding_starts(l->padded[a], s->roi[a], s->overlap, NULL);
        l->start[a] = malloc((size_t)l->n[a] * sizeof *l->start[a]);
        if (!l->start[a])
            return voco_fail(VOCO_EMEMORY, "no memory for the places of windows");
        voco_sliding_starts(l->padded[a], s->roi[a], s->overlap, l->start[a]);
    }
    l->other[0] = l->axis == 0 ? 1 : 0;
    l->other[1] = l->axis == 2 ? 1 : 2;
    l->plane = l->padded[l->other[0]] * l->padded[l->other[1]];
    return VOCO_OK;
}

static void
layout_free(struct layout *l)
{
    for (int a = 0; a < 3; a++)
        free(l->start[a]);
}

int64_t
voco_sliding_count(const struct voco_sliding *s)
{
    int64_t n = 1;

    for (int a = 0; a < 3; a++)
        n *= voco_sliding_starts(largest(s->dim[a], s->roi[a]), s->roi[a], s->overlap, NULL);
    return n;
}

double
voco_sliding_bytes(const struct voco_sliding *s)
{
    const double window = (double)s->roi[0] * (double)s->roi[1] * (double)s->roi[2];
    double plane = 1;
    int axis = 0;

    for (int a = 1; a < 3; a++)
        if (largest(s->dim[a], s->roi[a]) > largest(s->dim[axis], s->roi[axis]))
            axis = a;
    for (int a = 0; a < 3; a++)
        plane *= (double)(a == axis ? s->roi[a] : largest(s->dim[a], s->roi[a]));
    return 4 * (plane * (s->classes + 1)
                + window * (1 + s->batch * (2.0 * s->channels + s->classes)));
}

static void
slab_free(struct slab *b)
{
    layout_free(&b->l);
    free(b->weight);
    free(b->sum);
    free(b->total);
    free(b->windows);
    free(b->flipped);
    free(b->logits);
    free(b->at);
}

static enum voco_err
slab_init(struct slab *b, const struct voco_sliding *s)
{
    const enum voco_err err = layout_init(&b->l, s);
    const size_t rows = (size_t)(s->roi[b->l.axis] * b->l.plane);
    const size_t window = (size_t)b->l.window * (size_t)s->batch;

    if (err != VOCO_OK)
        return err;
    b->s = s;
    b->weight = malloc((size_t)b->l.window * sizeof *b->weight);
    b->sum = voco_pages_alloc(rows * (size_t)s->classes * sizeof *b->sum);
    b->total = voco_pages_alloc(rows * sizeof *b->total);
    b->windows = voco_pages_alloc(window * (size_t)s->channels * sizeof *b->windows);
    b->flipped = voco_pages_alloc(window * (size_t)s->channels * sizeof *b->flipped);
    b->logits = voco_pages_alloc(window * (size_t)s->classes * sizeof *b->logits);
    b->at = malloc((size_t)s->batch * sizeof *b->at);
    if (!b->weight || !b->sum || !b->total || !b->windows || !b->flipped || !b->logits
        || !b->at)
        return voco_fail(VOCO_EMEMORY, "no memory for the sums of windows (%.0f MiB)",
                         voco_sliding_bytes(s) / 1048576);
    memset(b->sum, 0, rows * (size_t)s->classes * sizeof *b->sum);
    memset(b->total, 0, rows * sizeof *b->total);
    voco_sliding_weights(s->roi, s->blend, b->weight);
    return VOCO_OK;
}

/* Copies the window at, padding included, to out; returns whether its voxels differ. */
static bool
gather(const struct slab *b, const int64_t at[3], float *out)
{
    const struct voco_sliding *s = b->s;
    bool differs = false;

    #pragma omp parallel for schedule(static) reduction(|| : differs)
    for (int64_t i = 0; i < s->roi[0] * s->roi[1]; i++) {
        const int64_t x = at[0] - b->l.before[0] + i / s->roi[1];
        const int64_t y = at[1] - b->l.before[1] + i % s->roi[1];
        float *to = out + i * s->roi[2] * s->channels;

        for (int64_t k = 0; k < s->roi[2]; k++) {
            const int64_t z = at[2] - b->l.before[2] + k;
            const bool inside = x >= 0 && x < s->dim[0] && y >= 0 && y < s->dim[1] && z >= 0
                                && z < s->dim[2];

            for (int c = 0; c < s->channels; c++) {
                to[k * s->channels + c] = inside
                    ? s->channel[c][(x * s->dim[1] + y) * s->dim[2] + z] : 0;
                differs = differs || to[k * s->channels + c] != to[c];
            }
        }
    }
    for (int64_t i = 1; i < s->roi[0] * s->roi[1] && !differs; i++)
        differs = memcmp(out, out + i * s->roi[2] * s->channels,
                         (size_t)s->channels * sizeof *out) != 0;
    return differs;
}

/* Voxel i of a window, seen with the axes of mirror reversed. */
static int64_t
reflect(const int64_t roi[3], unsigned mirror, int64_t i)
{
    int64_t at[3] = { i / (roi[1] * roi[2]), i / roi[2] % roi[1], i % roi[2] };

    for (int a = 0; a < 3; a++)
        if (mirror >> a & 1)
            at[a] = roi[a] - 1 - at[a];
    return (at[0] * roi[1] + at[1]) * roi[2] + at[2];
}

static void
flip_windows(const struct slab *b, unsigned mirror)
{
    const int channels = b->s->channels;

    #pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < b->n * b->l.window; v++) {
        const int64_t i = v / b->l.window * b->l.window
                          + reflect(b->s->roi, mirror, v % b->l.window);

        memcpy(b->flipped + v * channels, b->windows + i * channels,
               (size_t)channels * sizeof(float));
    }
}

/* Place of window voxel (i, j, k) in the slab. */
static int64_t
place(const struct slab *b, const int64_t at[3], int64_t i, int64_t j, int64_t k)
{
    const struct layout *l = &b->l;
    const int64_t p[3] = { at[0] + i, at[1] + j, at[2] + k };

    return (p[l->axis] - b->first) * l->plane + p[l->other[0]] * l->padded[l->other[1]]
           + p[l->other[1]];
}

/* Adds the logits of a window, made with axes reversed; count: its weights, too. */
static void
scatter(struct slab *b, const int64_t at[3], const float *logits, unsigned mirror,
        float share, bool count)
{
    const struct voco_sliding *s = b->s;

    #pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < s->roi[0] * s->roi[1]; row++)
        for (int64_t k = 0; k < s->roi[2]; k++) {
            const int64_t v = row * s->roi[2] + k;
            const int64_t to = place(b, at, row / s->roi[1], row % s->roi[1], k);
            const float *from = logits + reflect(s->roi, mirror, v) * s->classes;
            const float w = b->weight[v] * share;

            for (int c = 0; c < s->classes; c++)
                b->sum[to * s->classes + c] += w * from[c];
            if (count)
                b->total[to] += b->weight[v];
        }
}

/* Runs the windows in hand, once for each way to reverse axes. */
static enum voco_err
flush(struct slab *b)
{
    const struct voco_sliding *s = b->s;
    const float share = 1.0f / (float)(1 << ((s->mirror & 1) + (s->mirror >> 1 & 1)
                                             + (s->mirror >> 2 & 1)));
    enum voco_err err = VOCO_OK;

    for (unsigned m = 0; m < 8 && b->n && err == VOCO_OK; m++) {
        if (m & ~s->mirror)
            continue;
        if (m)
            flip_windows(b, m);
        err = s->infer(s->user, m ? b->flipped : b->windows, b->n, b->logits);
        for (int i = 0; i < b->n && err == VOCO_OK; i++)
            scatter(b, b->at[i], b->logits + i * b->l.window * s->classes, m, share, m == 0);
    }
    b->n = 0;
    return err;
}

/* Hands out the planes in front of next and moves the rest to the front. */
static enum voco_err
emit(struct slab *b, int64_t next)
{
    const struct voco_sliding *s = b->s;
    const struct layout *l = &b->l;
    const int64_t n = next - b->first, rest = s->roi[l->axis] - n, classes = s->classes;
    const int a0 = l->other[0], a1 = l->other[1];
    enum voco_err err = VOCO_OK;

    #pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n * l->plane; v++)
        for (int64_t c = 0; c < classes; c++)
            if (b->total[v] > 0)
                b->sum[v * classes + c] /= b->total[v];
            else
                b->sum[v * classes + c] = c ? VOCO_LOGIT_NONE : 0;
    for (int64_t i = 0; i < n && err == VOCO_OK; i++) {
        const int64_t corner = i * l->plane + l->before[a0] * l->padded[a1] + l->before[a1];
        const struct voco_plane plane = {
            .axis = l->axis, .index = b->first + i - l->before[l->axis],
            .n = { s->dim[a0], s->dim[a1] }, .stride = l->padded[a1],
            .logits = b->sum + corner * classes,
        };

        if (plane.index >= 0 && plane.index < s->dim[l->axis])
            err = s->plane(s->user, &plane);
    }
    memmove(b->sum, b->sum + n * l->plane * classes,
            (size_t)(rest * l->plane * classes) * sizeof *b->sum);
    memmove(b->total, b->total + n * l->plane, (size_t)(rest * l->plane) * sizeof *b->total);
    memset(b->sum + rest * l->plane * classes, 0,
           (size_t)(n * l->plane * classes) * sizeof *b->sum);
    memset(b->total + rest * l->plane, 0, (size_t)(n * l->plane) * sizeof *b->total);
    b->first = next;
    return err;
}

/* All windows with this place on the axis. */
static enum voco_err
run_row(struct slab *b, int64_t row, int64_t total)
{
    const struct voco_sliding *s = b->s;
    const struct layout *l = &b->l;
    const int a0 = l->other[0], a1 = l->other[1];
    enum voco_err err = VOCO_OK;

    for (int64_t i = 0; i < l->n[a0] * l->n[a1] && err == VOCO_OK; i++) {
        int64_t *at = b->at[b->n];

        at[l->axis] = l->start[l->axis][row];
        at[a0] = l->start[a0][i / l->n[a1]];
        at[a1] = l->start[a1][i % l->n[a1]];
        if (gather(b, at, b->windows + b->n * l->window * s->channels) || !s->skip_flat)
            b->n++;
        b->done++;
        if (b->n < s->batch && i + 1 < l->n[a0] * l->n[a1])
            continue;
        err = flush(b);
        if (err == VOCO_OK && s->progress && s->progress(s->user, b->done, total))
            err = voco_fail(VOCO_ESTOPPED, "stopped after %lld of %lld windows",
                            (long long)b->done, (long long)total);
    }
    return err;
}

enum voco_err
voco_sliding_run(const struct voco_sliding *s)
{
    const int64_t total = voco_sliding_count(s);
    struct slab b = { 0 };
    enum voco_err err = slab_init(&b, s);

    for (int64_t row = 0; err == VOCO_OK && row < b.l.n[b.l.axis]; row++) {
        const int64_t *start = b.l.start[b.l.axis];
        const bool last = row + 1 == b.l.n[b.l.axis];

        err = run_row(&b, row, total);
        if (err == VOCO_OK)
            err = emit(&b, last ? b.l.padded[b.l.axis] : start[row + 1]);
    }
    slab_free(&b);
    return err;
}

int64_t
voco_plane_voxel(int axis, int64_t index, int64_t i, int64_t j, const int64_t dim[3])
{
    int64_t at[3];
    int other = 0;

    for (int a = 0; a < 3; a++)
        at[a] = a == axis ? index : other++ ? j : i;
    return (at[0] * dim[1] + at[1]) * dim[2] + at[2];
}

int
voco_largest_logit(const float *logits, int classes)
{
    int best = 0;

    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}
