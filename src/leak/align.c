/* Correlation of two thumbnails under a turn and a shift between cells. */
#include "leak/align.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/score.h"
#include "leak/turn.h"

enum {
    BLOCK = 6,                  /* edge of the blocks that agree or not, in cells */
    BLOCK_CELLS = BLOCK * BLOCK * BLOCK / 3,    /* that must lie together in one */
    LEAST_BLOCKS = 6,
    MARGIN = 2,                 /* cells from where a scan ends that do not count */
    GLANCE_CELLS = 1500,        /* that are looked at first */
    CLIMB_CELLS = 5000          /* that the shift is refined with */
};

static const double HOPELESS = 0.3;         /* correlation before the shift is refined */
static const double DOUBTFUL = 0.35;        /* and after it */

/* Share of the blocks that have the score: of copies of which a part was changed (the
 * skull taken off, a couch), a third is as it was; where whole volumes are said to agree,
 * most must, since outlines alone are often alike. */
static const double REACHED_PART = 1.0 / 3, REACHED_WHOLE = 2.0 / 3;

struct sums {
    int64_t n;
    double a, b, aa, bb, ab;
};

static void
add(struct sums *s, double a, double b)
{
    s->n++;
    s->a += a;
    s->b += b;
    s->aa += a * a;
    s->bb += b * b;
    s->ab += a * b;
}

static double
correlation(const struct sums *s)
{
    const double n = (double)s->n, va = s->aa - s->a * s->a / n, vb = s->bb - s->b * s->b / n;

    return s->n > 1 && va > 0 && vb > 0 ? (s->ab - s->a * s->b / n) / sqrt(va * vb) : 0;
}

/* A box of cells in blocks, each with the sums of its own. */
struct blocks {
    int64_t dim[3];
    struct sums *sums;
};

static bool
blocks_init(struct blocks *b, const int64_t cells[3])
{
    for (int a = 0; a < 3; a++)
        b->dim[a] = (cells[a] + BLOCK - 1) / BLOCK;
    b->sums = calloc((size_t)(b->dim[0] * b->dim[1] * b->dim[2]), sizeof *b->sums);
    return b->sums != NULL;
}

static struct sums *
block_at(const struct blocks *b, int64_t x, int64_t y, int64_t z)
{
    return &b->sums[(x / BLOCK * b->dim[1] + y / BLOCK) * b->dim[2] + z / BLOCK];
}

/* The correlation that this share of the blocks have; 0 where they are too few.  Frees. */
static double
blocks_score(struct blocks *b, double reached, int64_t *ret_cells)
{
    const int64_t all = b->dim[0] * b->dim[1] * b->dim[2];
    double *r = malloc((size_t)all * sizeof *r), score = 0;
    int64_t n = 0;

    *ret_cells = 0;
    for (int64_t i = 0; i < all; i++) {
        *ret_cells += b->sums[i].n;
        if (r && b->sums[i].n >= BLOCK_CELLS)
            r[n++] = correlation(&b->sums[i]);
    }
    if (n >= LEAST_BLOCKS)
        score = voco_quantile(r, n, 1 - reached);
    free(r);
    free(b->sums);
    return score;
}

/* Is there contrast at MARGIN cells in every direction, too?  Where a scan ends, skulls and
 * skin are alike in everybody, and brains that were cut out have one outline. */
static bool
is_inner(const int8_t *grid, const int64_t dim[3], const int64_t at[3])
{
    const int64_t step[3] = { dim[1] * dim[2], dim[2], 1 };
    const int64_t i = at[0] * step[0] + at[1] * step[1] + at[2];

    for (int a = 0; a < 3; a++)
        if ((at[a] >= MARGIN && grid[i - MARGIN * step[a]] == VOCO_THUMB_FLAT)
            || (at[a] + MARGIN < dim[a] && grid[i + MARGIN * step[a]] == VOCO_THUMB_FLAT))
            return false;
    return true;
}

static double
cell(const int8_t *grid, int64_t i)
{
    return grid[i] == VOCO_THUMB_FLAT ? 0 : grid[i];
}

/* Where the cells of b along one of its axes lie along an axis of a: steps in a's grid. */
struct place {
    int64_t low, up;            /* the cell before, and from there to the one behind */
    int64_t nearest;
    int64_t cell;               /* the nearest one's number along the axis */
    double w;                   /* of the cell behind */
    bool inside;
};

/* Of cells 0..n-1 at sign * cell + shift. */
static void
find_places(const struct voco_thumb *a, int axis, int sign, double shift, int64_t n,
            struct place *ret)
{
    const int64_t step = axis == 0 ? a->dim[1] * a->dim[2] : axis == 1 ? a->dim[2] : 1;
    const double last = (double)a->dim[axis] - 1;

    for (int64_t i = 0; i < n; i++) {
        const double p = sign * (double)i + shift;
        const double at = p < 0 ? 0 : p > last ? last : p;
        const int64_t low = (int64_t)at, cell = llround(at);
        const double w = at - (double)low;

        ret[i] = (struct place){ .low = low * step, .up = w > 0 ? step : 0,
                                 .nearest = (low + (w > 0.5)) * step, .cell = cell, .w = w,
                                 .inside = p >= -0.5 && p <= last + 0.5 };
    }
}

/* The grid between its cells; false outside, and where the nearest cell is flat.  Flat
 * neighbours count as 0. */
static bool
sample(const int8_t *g, const struct place *const p[3], double *ret)
{
    const int64_t i = p[0]->low + p[1]->low + p[2]->low, k = i + p[0]->up;
    const int64_t up1 = p[1]->up, up2 = p[2]->up;
    const double w1 = p[1]->w, w2 = p[2]->w;

    if (!p[0]->inside || !p[1]->inside || !p[2]->inside
        || g[p[0]->nearest + p[1]->nearest + p[2]->nearest] == VOCO_THUMB_FLAT)
        return false;
    const double front = (1 - w1) * ((1 - w2) * cell(g, i) + w2 * cell(g, i + up2))
        + w1 * ((1 - w2) * cell(g, i + up1) + w2 * cell(g, i + up1 + up2));
    const double back = (1 - w1) * ((1 - w2) * cell(g, k) + w2 * cell(g, k + up2))
        + w1 * ((1 - w2) * cell(g, k + up1) + w2 * cell(g, k + up1 + up2));
    *ret = (1 - p[0]->w) * front + p[0]->w * back;
    return true;
}

/* Are both inner at this cell of b, which is at p in a? */
static bool
both_inner(const struct voco_thumb *a, const struct place *const p[3],
           const struct voco_thumb *b, const int64_t at[3])
{
    const int64_t nearest[3] = { p[0]->cell, p[1]->cell, p[2]->cell };

    return is_inner(b->grid, b->dim, at) && is_inner(a->grid, a->dim, nearest);
}

/* Sums over every stride-th cell of b along each axis; with blocks, of inner cells into
 * these. */
static void
compare(const struct voco_thumb *a, const struct voco_thumb *b, int turn,
        const double shift[3], int stride, const struct blocks *blocks, struct sums *ret)
{
    const struct voco_turn t = voco_turn_at(turn);
    struct place *all = malloc((size_t)(b->dim[0] + b->dim[1] + b->dim[2]) * sizeof *all);
    struct place *along[3];             /* of b's axes */

    VOCO_NEED(all);
    along[0] = all;
    along[1] = along[0] + b->dim[0];
    along[2] = along[1] + b->dim[1];
    for (int k = 0; k < 3; k++)
        find_places(a, k, t.sign[k], shift[k], b->dim[t.from[k]], along[t.from[k]]);
    for (int64_t x = stride / 2; x < b->dim[0]; x += stride)
        for (int64_t y = stride / 2; y < b->dim[1]; y += stride)
            for (int64_t z = stride / 2; z < b->dim[2]; z += stride) {
                const int8_t mine = b->grid[(x * b->dim[1] + y) * b->dim[2] + z];
                const int64_t at[3] = { x, y, z };
                const struct place *const p[3] = { &along[t.from[0]][at[t.from[0]]],
                                                   &along[t.from[1]][at[t.from[1]]],
                                                   &along[t.from[2]][at[t.from[2]]] };
                double other;

                if (mine != VOCO_THUMB_FLAT && sample(a->grid, p, &other)
                    && (!blocks || both_inner(a, p, b, at)))
                    add(blocks ? block_at(blocks, x, y, z) : ret, other, mine);
            }
    free(all);
}

/* So that about this many cells are looked at. */
static int
stride_for(const struct voco_thumb *b, int cells)
{
    return (int)ceil(cbrt((double)(b->dim[0] * b->dim[1] * b->dim[2]) / cells));
}

/* Is the begin so far from agreeing that no step of less than a cell will help? */
static bool
is_hopeless(const struct voco_thumb *a, const struct voco_thumb *b,
            const struct voco_alignment *at)
{
    struct sums s = { 0 };

    compare(a, b, at->turn, at->shift, stride_for(b, GLANCE_CELLS), NULL, &s);
    return correlation(&s) < HOPELESS;
}

/* Move along each axis while that helps, with smaller and smaller steps; the correlation
 * that this comes to. */
static double
climb(const struct voco_thumb *a, const struct voco_thumb *b, int stride,
      struct voco_alignment *io)
{
    struct sums s = { 0 };
    double best;

    compare(a, b, io->turn, io->shift, stride, NULL, &s);
    best = correlation(&s);
    for (double step = 0.5; step > 0.1; step /= 2)
        for (int round = step < 0.5; round < 2; round++)
            for (int axis = 0; axis < 3; axis++)
                for (int sign = -1; sign <= 1; sign += 2) {
                    const double before = io->shift[axis];

                    io->shift[axis] += sign * step;
                    s = (struct sums){ 0 };
                    compare(a, b, io->turn, io->shift, stride, NULL, &s);
                    if (correlation(&s) > best)
                        best = correlation(&s);
                    else
                        io->shift[axis] = before;
                }
    return best;
}

static double
shared(int64_t n, int64_t a, int64_t b)
{
    return fmin((double)n / fmax((double)(a < b ? a : b), 1), 1);
}

void
voco_align_grids(const struct voco_thumb *a, const struct voco_thumb *b,
                 struct voco_alignment *io)
{
    struct blocks blocks;
    int64_t n = 0;

    io->score = io->shared = 0;
    if (is_hopeless(a, b, io) || climb(a, b, stride_for(b, CLIMB_CELLS), io) < DOUBTFUL)
        return;
    if (blocks_init(&blocks, b->dim)) {
        compare(a, b, io->turn, io->shift, 1, &blocks, NULL);
        io->score = blocks_score(&blocks, REACHED_PART, &n);
    }
    io->shared = shared(n, a->textured, b->textured);
}

void
voco_align_cubes(const struct voco_thumb *a, const struct voco_thumb *b,
                 struct voco_alignment *io)
{
    enum { N = VOCO_THUMB_CUBE };
    const struct voco_turn t = voco_turn_at(io->turn);
    const int stride[3] = { N * N, N, 1 };
    const int64_t dim[3] = { N, N, N };
    int64_t textured_a = 0, textured_b = 0, n = 0;
    struct blocks blocks;
    int step[3] = { 0 }, first = 0;     /* in a, for a step along an axis of b */

    io->score = io->shared = 0;
    if (!blocks_init(&blocks, dim))
        return;
    for (int k = 0; k < 3; k++) {
        step[t.from[k]] = t.sign[k] * stride[k];
        first += t.sign[k] < 0 ? (N - 1) * stride[k] : 0;
    }
    for (int x = 0; x < N; x++)
        for (int y = 0; y < N; y++)
            for (int z = 0; z < N; z++) {
                const int i = first + x * step[0] + y * step[1] + z * step[2];
                const int8_t va = a->cube[i], vb = b->cube[(x * N + y) * N + z];
                const int64_t at_a[3] = { i / (N * N), i / N % N, i % N }, at_b[3] = { x, y, z };

                textured_a += va != VOCO_THUMB_FLAT;
                textured_b += vb != VOCO_THUMB_FLAT;
                if (va != VOCO_THUMB_FLAT && vb != VOCO_THUMB_FLAT
                    && is_inner(a->cube, dim, at_a) && is_inner(b->cube, dim, at_b))
                    add(block_at(&blocks, x, y, z), va, vb);
            }
    memset(io->shift, 0, sizeof io->shift);
    io->score = blocks_score(&blocks, REACHED_WHOLE, &n);
    io->shared = shared(n, textured_a, textured_b);
}
