/* Distance transform by lower envelopes of parabolas, one axis after the other
 * (Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, 2012). */
#include "eval/distance.h"

#include <math.h>
#include <stdlib.h>

#include "base/parallel.h"

enum { SIDE = 8 };      /* lines at a time: doubles beside each other fill a cache line */

/* One axis of the transform. */
struct axis {
    double *x;
    int64_t n, stride;          /* voxels of a line, and how far apart */
    int64_t lines;
    double mm2;                 /* squared distance of neighbours */
};

/* The memory of a thread for SIDE lines of n. */
struct room {
    double *line;               /* [SIDE][n] */
    int64_t *site;              /* where the parabolas of the envelope have their tips ... */
    double *tip;                /* ... and how high these are */
    double *border;             /* where a parabola takes over from the one before */
};

/* f[q] <- min over p of mm2 (q - p)^2 + f[p], for one line. */
static void
transform_line(double *f, int64_t n, double mm2, const struct room *room)
{
    int64_t k = -1;

    for (int64_t q = 0; q < n; q++) {
        double at = -INFINITY;

        if (isinf(f[q]))
            continue;
        while (k >= 0) {
            const int64_t p = room->site[k];

            at = (f[q] - f[p] + mm2 * (double)(q * q - p * p)) / (2 * mm2 * (double)(q - p));
            if (at > room->border[k])
                break;
            k--;
        }
        k++;
        room->site[k] = q;
        room->border[k] = k ? at : -INFINITY;
    }
    if (k < 0)
        return;                 /* no tip: the line stays infinite */
    for (int64_t i = 0; i <= k; i++)
        room->tip[i] = f[room->site[i]];
    for (int64_t q = 0, i = 0; q < n; q++) {
        while (i < k && room->border[i + 1] < (double)q)
            i++;
        const double d = (double)(q - room->site[i]);
        f[q] = mm2 * d * d + room->tip[i];
    }
}

/* Lines number first to last-1; stride of them begin beside each other. */
static void
transform_lines(const struct axis *a, int64_t first, int64_t last,
                const struct room *room)
{
    while (first < last) {
        const int64_t begin = first % a->stride;
        double *x = a->x + (first - begin) * a->n + begin;
        int64_t m = a->stride - begin < SIDE ? a->stride - begin : SIDE;

        m = m < last - first ? m : last - first;
        for (int64_t i = 0; i < a->n; i++)
            for (int64_t s = 0; s < m; s++)
                room->line[s * a->n + i] = x[i * a->stride + s];
        for (int64_t s = 0; s < m; s++)
            transform_line(room->line + s * a->n, a->n, a->mm2, room);
        for (int64_t i = 0; i < a->n; i++)
            for (int64_t s = 0; s < m; s++)
                x[i * a->stride + s] = room->line[s * a->n + i];
        first += m;
    }
}

enum { PIECE = 512 };   /* lines that a thread takes at once */

static enum voco_err
work(int64_t piece, void *user)
{
    const struct axis *a = user;
    const int64_t first = piece * PIECE;
    const int64_t last = first + PIECE < a->lines ? first + PIECE : a->lines;
    const size_t n = (size_t)a->n;
    const struct room room = {.line = malloc(SIDE * n * sizeof *room.line),
                              .site = malloc(n * sizeof *room.site),
                              .tip = malloc(n * sizeof *room.tip),
                              .border = malloc(n * sizeof *room.border)};
    enum voco_err err = VOCO_OK;

    if (room.line && room.border && room.site && room.tip)
        transform_lines(a, first, last, &room);
    else
        err = voco_fail(VOCO_EMEMORY, "no memory for lines of %lld voxels",
                        (long long)a->n);
    free(room.line);
    free(room.border);
    free(room.site);
    free(room.tip);
    return err;
}

enum voco_err
voco_distance_squared(const uint8_t *mask, const int64_t dim[3], const double mm[3],
                      int threads, double *out)
{
    const int64_t n = dim[0] * dim[1] * dim[2];
    enum voco_err err = VOCO_OK;

    for (int64_t i = 0; i < n; i++)
        out[i] = mask[i] ? 0 : INFINITY;
    for (int k = 2; k >= 0 && !err; k--) {
        const int64_t stride = k == 2 ? 1 : k == 1 ? dim[2] : dim[1] * dim[2];
        struct axis a = {.x = out, .n = dim[k], .stride = stride, .lines = n / dim[k],
                         .mm2 = mm[k] * mm[k]};

        err = voco_parallel_for(threads, (a.lines + PIECE - 1) / PIECE, work, &a);
    }
    return err;
}
