/* Candidates by products of features, votes for one place, then the correlation there. */
#include "leak/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leak/turn.h"

enum {
    ROWS = 8192,                /* features of a product */
    VOTES = 3                   /* landmarks that must agree on a place */
};

static const double ALIKE = 0.75;       /* product of two features */
static const double COARSE = 0.6;       /* of two coarse cubes */
static const double PLACE = 1.5;        /* cells between votes for the same place */

enum voco_err
voco_gallery_make(const struct voco_thumb *const *thumb, int n, struct voco_gallery *ret)
{
    int64_t rows = 0;

    for (int i = 0; i < n; i++)
        rows += thumb[i]->n_features;
    *ret = (struct voco_gallery){ .thumb = thumb, .n = n };
    ret->coarse = malloc(((size_t)n * VOCO_THUMB_COARSE_N + 1) * sizeof *ret->coarse);
    ret->value = malloc(((size_t)rows * VOCO_FEATURE + 1) * sizeof *ret->value);
    ret->first = calloc((size_t)n + 1, sizeof *ret->first);
    if (!ret->coarse || !ret->value || !ret->first) {
        voco_gallery_free(ret);
        return voco_fail(VOCO_EMEMORY, "no memory for the features of %d volumes", n);
    }
    for (int i = 0; i < n; i++) {
        memcpy(ret->coarse + (size_t)i * VOCO_THUMB_COARSE_N, thumb[i]->coarse,
               sizeof thumb[i]->coarse);
        memcpy(ret->value + (size_t)ret->first[i] * VOCO_FEATURE, thumb[i]->value,
               (size_t)thumb[i]->n_features * VOCO_FEATURE * sizeof *ret->value);
        ret->first[i + 1] = ret->first[i] + thumb[i]->n_features;
    }
    return VOCO_OK;
}

void
voco_gallery_free(struct voco_gallery *g)
{
    free(g->coarse);
    free(g->value);
    free(g->first);
    *g = (struct voco_gallery){ .thumb = NULL };
}

/* y[m][n] = x[m][k] w[n][k]'; w is not the one of the call before. */
static enum voco_err
product(struct voco_ctx *ctx, const float *x, int64_t m, const float *w, int64_t n, int64_t k,
        float *y)
{
    const struct voco_tensor tx = voco_view((void *)(uintptr_t)x, VOCO_F32, 2, m, k);
    const struct voco_tensor tw = voco_view((void *)(uintptr_t)w, VOCO_F32, 2, n, k);
    const struct voco_tensor ty = voco_view(y, VOCO_F32, 2, m, n);

    ctx->dev->linear_forward(ctx, &tx, &tw, NULL, &ty);
    return ctx->err;
}

/* The best match of every thumbnail so far: index -1 where there is none. */
struct found {
    const struct voco_gallery *g;
    const struct voco_thumb *b;
    struct voco_match *match;
    double least;
};

static void
keep_better(struct found *f, int i, bool whole, const struct voco_alignment *a)
{
    struct voco_match *m = &f->match[i];

    if (a->score >= f->least && (m->index < 0 || a->score > m->alignment.score))
        *m = (struct voco_match){ i, whole, *a };
}

/* ---- whole volumes ---- */

/* The coarse cube of b under every turn. */
static void
turned_cubes(const float *coarse, float *out)
{
    enum { M = VOCO_THUMB_COARSE };

    for (int turn = 0; turn < VOCO_TURNS; turn++) {
        const struct voco_turn t = voco_turn_at(turn);

        for (int i = 0; i < VOCO_THUMB_COARSE_N; i++) {
            const int from[3] = { i / (M * M), i / M % M, i % M };
            int to = 0;

            for (int a = 0; a < 3; a++)
                to = to * M + (t.sign[a] < 0 ? M - 1 - from[t.from[a]] : from[t.from[a]]);
            out[turn * VOCO_THUMB_COARSE_N + to] = coarse[i];
        }
    }
}

static int
best_turn(const float y[VOCO_TURNS])
{
    int best = 0;

    for (int turn = 1; turn < VOCO_TURNS; turn++)
        if (y[turn] > y[best])
            best = turn;
    return best;
}

static enum voco_err
search_whole(struct voco_ctx *ctx, struct found *f)
{
    const int n = f->g->n;
    float *w = malloc(VOCO_TURNS * VOCO_THUMB_COARSE_N * sizeof *w);
    float *y = malloc((size_t)n * VOCO_TURNS * sizeof *y);
    enum voco_err err = w && y ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory to compare");

    if (!err) {
        turned_cubes(f->b->coarse, w);
        err = product(ctx, f->g->coarse, n, w, VOCO_TURNS, VOCO_THUMB_COARSE_N, y);
    }
#pragma omp parallel for schedule(dynamic, 16) num_threads(ctx->threads) if(!err)
    for (int i = 0; i < (err ? 0 : n); i++) {
        struct voco_alignment a = { .turn = best_turn(y + (int64_t)i * VOCO_TURNS) };

        if ((double)y[(int64_t)i * VOCO_TURNS + a.turn] >= COARSE) {
            voco_align_cubes(f->g->thumb[i], f->b, &a);
            keep_better(f, i, true, &a);
        }
    }
    free(w);
    free(y);
    return err;
}

/* ---- parts ---- */

struct vote {
    int turn, landmark;
    double shift[3];
};

/* Where the feature of b would have to lie in a for both to be the same. */
static struct vote
vote_of(const struct voco_feature *a, const struct voco_feature *b)
{
    struct vote v = { .turn = voco_turn_then(b->turn, voco_turn_inverse(a->turn)),
                      .landmark = b->landmark };
    const double from[3] = { (double)b->at[0], (double)b->at[1], (double)b->at[2] };
    double to[3];

    voco_turn_apply(v.turn, from, to);
    for (int k = 0; k < 3; k++)
        v.shift[k] = (double)a->at[k] - to[k];
    return v;
}

static bool
same_place(const struct vote *a, const struct vote *b)
{
    return a->turn == b->turn && fabs(a->shift[0] - b->shift[0]) <= PLACE
        && fabs(a->shift[1] - b->shift[1]) <= PLACE
        && fabs(a->shift[2] - b->shift[2]) <= PLACE;
}

/* The place that most landmarks of b vote for; their number.  io->shift: their mean. */
static int
count_votes(const struct vote *vote, int n, struct voco_alignment *io)
{
    int most = 0;

    for (int i = 0; i < n; i++) {
        uint64_t seen = 0;
        double sum[3] = { 0, 0, 0 };
        int count = 0, all = 0;

        for (int k = 0; k < n; k++) {
            if (!same_place(&vote[i], &vote[k]))
                continue;
            count += !(seen >> vote[k].landmark & 1);
            seen |= (uint64_t)1 << vote[k].landmark;
            all++;
            for (int a = 0; a < 3; a++)
                sum[a] += vote[k].shift[a];
        }
        if (count <= most)
            continue;
        most = count;
        io->turn = vote[i].turn;
        for (int a = 0; a < 3; a++)
            io->shift[a] = sum[a] / all;
    }
    return most;
}

/* The largest of n numbers, or 0: eight maxima side by side, which compilers make vectors
 * of without leave to reorder floats. */
static float
largest(const float *y, int n)
{
    float part[8] = { 0 }, best = 0;
    int k = 0;

    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++)
            part[j] = y[k + j] > part[j] ? y[k + j] : part[j];
    for (; k < n; k++)
        best = y[k] > best ? y[k] : best;
    for (int j = 0; j < 8; j++)
        best = part[j] > best ? part[j] : best;
    return best;
}

/* y: products of the features of thumbnail i with all of b. */
static void
search_one(struct found *f, int i, const float *y)
{
    const struct voco_thumb *a = f->g->thumb[i], *b = f->b;
    struct vote vote[VOCO_LANDMARKS_MANY];
    struct voco_alignment place = { .score = 0 };
    int n = 0;

    for (int r = 0; r < a->n_features; r++, y += b->n_features) {
        const float best = largest(y, b->n_features);
        int at = 0;

        if ((double)best < ALIKE)
            continue;
        while (y[at] < best)
            at++;
        vote[n++] = vote_of(&a->feature[r], &b->feature[at]);
    }
    if (n < VOTES || count_votes(vote, n, &place) < VOTES)
        return;
    voco_align_grids(a, b, &place);
    keep_better(f, i, false, &place);
}

static enum voco_err
search_parts(struct voco_ctx *ctx, struct found *f)
{
    const struct voco_gallery *g = f->g;
    const int64_t columns = f->b->n_features;
    float *y = columns ? malloc((size_t)(ROWS * columns) * sizeof *y) : NULL;
    enum voco_err err = y || !columns ? VOCO_OK
                                      : voco_fail(VOCO_EMEMORY, "no memory to compare");

    for (int i = 0, end; i < g->n && columns && !err; i = end) {
        for (end = i; end < g->n && g->first[end + 1] - g->first[i] <= ROWS; )
            end++;
        if (g->first[end] > g->first[i])
            err = product(ctx, g->value + g->first[i] * VOCO_FEATURE,
                          g->first[end] - g->first[i], f->b->value, columns, VOCO_FEATURE, y);
#pragma omp parallel for schedule(dynamic, 4) num_threads(ctx->threads) if(!err)
        for (int k = i; k < (err ? i : end); k++)
            search_one(f, k, y + (g->first[k] - g->first[i]) * columns);
    }
    free(y);
    return err;
}

static int
by_score(const void *a, const void *b)
{
    const struct voco_match *x = a, *y = b;

    if (x->alignment.score != y->alignment.score)
        return x->alignment.score < y->alignment.score ? 1 : -1;
    return x->index - y->index;
}

enum voco_err
voco_gallery_search(struct voco_ctx *ctx, const struct voco_gallery *g,
                    const struct voco_thumb *b, double least, struct voco_match **ret,
                    int *ret_n)
{
    struct found f = { .g = g, .b = b, .least = least,
                       .match = malloc(((size_t)g->n + 1) * sizeof *f.match) };
    int n = 0;
    enum voco_err err;

    if (!f.match)
        return voco_fail(VOCO_EMEMORY, "no memory to compare");
    for (int i = 0; i < g->n; i++)
        f.match[i].index = -1;
    ctx->weights_version++;     /* other features than those of the search before */
    err = search_whole(ctx, &f);
    if (!err)
        err = search_parts(ctx, &f);
    if (err) {
        free(f.match);
        return err;
    }
    for (int i = 0; i < g->n; i++)
        if (f.match[i].index >= 0)
            f.match[n++] = f.match[i];
    if (n)
        qsort(f.match, (size_t)n, sizeof *f.match, by_score);
    *ret = f.match;
    *ret_n = n;
    return VOCO_OK;
}
