/* Convolutions by Winograd's method: the plan, packed weights, forward and d-data as the
 * forward of dy, and the implementations; see conv_winograd.h. */
#include <omp.h>

#include "dev/cpu/conv_winograd.h"
#include "simd/kernels.h"

enum {
    FORWARD_VOXELS = 1 << 18,   /* of maps whose forward pass may be coarse in f32 */
    LONG_SUM = 48,              /* channels summed at a time, at least, where no gradient
                                 * follows: by d-data and in inference */
    PAD = 16,                   /* floats between points: spreads them over cache sets */
    STRIP = 64 << 10            /* floats of a strip's planes, which stay in L2 beside V */
};

static const struct voco_winograd *
kernels(const struct voco_ctx *ctx)
{
    return voco_winograd_kernels(voco_cpu_state(ctx)->kernels->isa);
}

/* The planes of all slices of a strip of x. */
static size_t
planes_floats(const struct voco_winograd_plan *p, int64_t tiles)
{
    const struct voco_winograd_source x = voco_winograd_inputs_of(p, NULL, false);
    const int64_t floats = p->edge * p->edge * voco_winograd_strip_line(p, &x, tiles);

    return (size_t)(floats + 15) / 16 * 16;
}

/*
 * Tiles at a time.  V, which M overwrites point by point, should stay in L2 while U
 * streams by; fewer tiles stream U more often.  Where U is too large to be streamed by
 * each thread, all threads take the same tiles, and V and M live in L3.
 */
static void
forward_plan(struct voco_winograd_plan *p, int threads)
{
    const int64_t share = (p->total + threads - 1) / threads;
    const size_t slot = p->c > p->kp ? p->c : p->kp;
    const int64_t fit = (720 << 10) / (int64_t)(p->points * slot * sizeof(float));

    p->together = p->points * p->c * p->kp * sizeof(float) > 16 << 20;
    if (p->together) {
        p->rows = p->total < 32 ? (p->total + 7) / 8 * 8 : 32;
        p->v_stride = (size_t)p->rows * p->c + PAD;
        p->m_stride = (size_t)p->rows * p->kp + PAD;
    } else {
        p->rows = fit < 16 ? 8 : fit > 64 ? 64 : fit / 8 * 8;
        if (p->rows > share)
            p->rows = (share + 7) / 8 * 8;
        p->v_stride = p->m_stride = (size_t)p->rows * slot + PAD;
    }
    p->strip = p->rows < p->tiles[2] ? p->rows : p->tiles[2];
    while (p->strip > 1 && planes_floats(p, p->strip) > STRIP)
        p->strip = (p->strip + 1) / 2;
}

/* Tiles that reach over the border have outputs that do not count. */
static bool
whole(const struct voco_conv_problem *q, int m)
{
    return q->in[0] % m == 0 && q->in[1] % m == 0 && q->in[2] % m == 0;
}

static struct voco_winograd_plan
plan_of(const struct voco_ctx *ctx, const struct voco_conv_problem *q, int m)
{
    const bool swap = q->what == VOCO_WS_CONV_BACKWARD_DATA;
    struct voco_winograd_plan p = {
        .w = kernels(ctx), .out = m, .edge = m + 2, .swap = swap, .total = q->n, .whole = whole(q, m),
        .points = (size_t)((m + 2) * (m + 2) * (m + 2)),
        .c = (size_t)(swap ? q->conv.cout : q->conv.cin),
        .k = (size_t)(swap ? q->conv.cin : q->conv.cout),
    };

    p.t = &p.w->tile[m == 4];
    p.kp = voco_winograd_round(p.w, p.k);
    p.sum = (swap || ctx->inference) && p.t->sum < LONG_SUM ? LONG_SUM : p.t->sum;
    for (int i = 0; i < 3; i++) {
        p.size[i] = q->in[i];
        p.tiles[i] = (q->in[i] + m - 1) / m;
        p.total *= p.tiles[i];
    }
    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        voco_winograd_weights_plan(&p, ctx->threads);
    else
        forward_plan(&p, ctx->threads);
    return p;
}

/* ---- weights ---- */

struct pack_arg {
    const struct voco_winograd_plan *p;
    int threads;
};

/* U_f [c,k] in panels for each f; lanes beyond k are 0 */
static enum voco_err
make_packed(void *arg, const float *w, float *packed)
{
    const struct pack_arg *a = arg;
    const struct voco_winograd_plan *p = a->p;
    const size_t lanes = p->w->lanes, vectors = p->kp / lanes;

    #pragma omp parallel for num_threads(a->threads) schedule(static)
    for (size_t i = 0; i < vectors * p->c; i++) {
        const size_t k = i / p->c * lanes, c = i % p->c;
        const size_t n = p->k - k < lanes ? p->k - k : lanes;
        float taps[27 * VOCO_WINOGRAD_MAX_LANES];

        p->w->to_lanes(w + 27 * (p->swap ? c * p->k + k : k * p->c + c),
                       27 * (p->swap ? 1 : p->c), n, p->swap, taps, lanes);
        p->t->taps(taps, packed + voco_winograd_at(p->w, p->c, p->k, c, k), p->c * p->kp);
    }
    return VOCO_OK;
}

static size_t
packed_bytes(const struct voco_winograd_plan *p)
{
    return p->points * p->c * p->kp * sizeof(float);
}

static const float *
packed_weights(struct voco_ctx *ctx, const struct voco_winograd_plan *p, const float *w)
{
    static const int layout[2][2] = {
        { VOCO_LAYOUT_WINOGRAD2, VOCO_LAYOUT_WINOGRAD2_DATA },
        { VOCO_LAYOUT_WINOGRAD4, VOCO_LAYOUT_WINOGRAD4_DATA },
    };
    struct pack_arg arg = { p, ctx->threads };

    return voco_packed(ctx, w, (int64_t)(27 * p->c * p->k), layout[p->out == 4][p->swap],
                       packed_bytes(p), make_packed, &arg);
}

/* ---- forward ---- */

/* The buffers of a thread.  M_f takes the place of V_{f-1}, or has its own. */
struct work {
    const struct voco_winograd_plan *p;
    struct voco_winograd_source x;
    float *y;
    const float *u;
    float *v, *m;               /* of all points */
    float *planes;              /* of a strip of x */
    float *bin;                 /* for outputs outside the volume */
    bool stream;                /* y around the caches */
    float *parts;               /* [total,2,kp]: moments of the tiles of y, or NULL */
};

static size_t
tiles_floats(const struct voco_winograd_plan *p)        /* V and M */
{
    return p->together ? p->points * (p->v_stride + p->m_stride)
                       : (p->points + 1) * p->v_stride;
}

static size_t
own_floats(const struct voco_winograd_plan *p)          /* planes and bin of one thread */
{
    return planes_floats(p, p->strip) + (p->kp + 15) / 16 * 16;
}

static size_t
parts_floats(const struct voco_winograd_plan *p)        /* moments of the tiles */
{
    return p->whole && !p->swap ? (size_t)p->total * 2 * p->kp : 0;
}

static size_t
forward_scratch(const struct voco_winograd_plan *p, int threads)
{
    return ((size_t)(p->together ? 1 : threads) * tiles_floats(p)
            + (size_t)threads * own_floats(p) + parts_floats(p)) * sizeof(float);
}

/* Thread t of so many: parts, planes and bin of each, then V and M of each or of all. */
static struct work
work_of(const struct voco_winograd_plan *p, const struct voco_conv_io *io, const float *u,
        float *scratch, int threads, int t)
{
    float *const y = p->swap ? io->x : io->y, *const own = scratch + parts_floats(p);
    float *const planes = own + (size_t)t * own_floats(p);
    float *const tiles = own + (size_t)threads * own_floats(p)
                         + (p->together ? 0 : (size_t)t * tiles_floats(p));

    return (struct work){
        .p = p, .y = y, .u = u,
        .x = p->swap ? voco_winograd_inputs_of(p, io->y, io->y_bf16)
                     : voco_winograd_inputs_of(p, io->x, io->x_bf16),
        .stream = p->k == p->kp && (uintptr_t)y % VOCO_ALIGN == 0
                  && voco_cpu_stream(p->total * p->out * p->out * p->out * (int64_t)p->k),
        .m = tiles, .v = tiles + (p->together ? p->points * p->m_stride : p->v_stride),
        .planes = planes, .bin = planes + planes_floats(p, p->strip), .parts = io->moments ? scratch : NULL,
    };
}

/* V of tiles [from,to), to rows from `row` on. */
static void
input_rows(const struct work *a, int64_t from, int64_t to, int64_t row)
{
    const struct voco_winograd_plan *p = a->p;
    const size_t slice = (size_t)(p->edge * p->edge), step = (size_t)p->out * p->c;
    int64_t tiles;

    for (int64_t t = from; t < to; t += tiles, row += tiles) {
        size_t line;

        tiles = voco_winograd_side_by_side(p, t, to - t < p->strip ? to - t : p->strip);
        line = (size_t)voco_winograd_strip_line(p, &a->x, tiles);
        voco_winograd_split(p, &a->x, t, tiles, a->planes);
        for (size_t i = 0; i < (size_t)p->edge; i++)
            for (size_t j = 0; j < (size_t)tiles; j++)
                p->t->input_slice(a->planes + i * (size_t)p->edge * line + j * step, line,
                                  p->c, a->v + i * slice * p->v_stride
                                            + ((size_t)row + j) * p->c, p->v_stride);
    }
}

static void
product_point(const struct work *a, int64_t rows, size_t f)
{
    const struct voco_winograd_plan *p = a->p;

    p->w->product(a->v + f * p->v_stride, p->c, a->u + f * p->c * p->kp,
                  a->m + f * p->m_stride, p->kp, (size_t)rows, p->c, p->k, p->sum, false);
}

static void
output_row(const struct work *a, int64_t t, int64_t row)
{
    const struct voco_winograd_plan *p = a->p;
    float *const part = a->parts ? a->parts + (size_t)t * 2 * p->kp : NULL;
    float *voxel[VOCO_WINOGRAD_MAX_POINTS];

    voco_winograd_outputs(p, a->y, t, a->bin, voxel);
    p->t->output(a->m + (size_t)row * p->kp, p->m_stride, p->k, voxel, a->stream, part);
}

/* Tiles [from,to) by one thread. */
static void
forward_alone(const struct work *a, int64_t from, int64_t to)
{
    const struct voco_winograd_plan *p = a->p;

    for (int64_t t = from; t < to; t += p->rows) {
        const int64_t rows = to - t < p->rows ? to - t : p->rows;

        input_rows(a, t, t + rows, 0);
        for (size_t f = 0; f < p->points; f++)
            product_point(a, rows, f);
        for (int64_t r = 0; r < rows; r++)
            output_row(a, t + r, r);
    }
}

/* All tiles by all threads of a parallel region. */
static void
forward_together(const struct work *a)
{
    const struct voco_winograd_plan *p = a->p;

    for (int64_t t = 0; t < p->total; t += p->rows) {
        const int64_t rows = p->total - t < p->rows ? p->total - t : p->rows;

        #pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++)
            input_rows(a, t + r, t + r + 1, r);
        #pragma omp for schedule(static)
        for (size_t f = 0; f < p->points; f++)
            product_point(a, rows, f);
        #pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++)
            output_row(a, t + r, r);
    }
}

static void
forward_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
            const struct voco_conv_problem *q, const struct voco_conv_io *io,
            float *scratch)
{
    const float *const u = packed_weights(ctx, p, io->w);

    if (!u)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num(), threads = omp_get_num_threads();
        const struct work a = work_of(p, io, u, scratch, threads, t);
        int64_t from, to;

        if (p->together)
            forward_together(&a);
        else {
            voco_cpu_share(p->total, p->rows, t, threads, &from, &to);
            forward_alone(&a, from, to);
        }
    }
    if (io->bias)
        voco_conv_add_bias(ctx, io->bias, io->y, q->n * q->out[0] * q->out[1] * q->out[2],
                           q->conv.cout);
    if (io->moments)
        voco_cpu_join_tiles(ctx, scratch, p->total / q->n, (int64_t)p->kp,
                            p->out * p->out * p->out, io->bias, io->moments);
}

/* ---- the implementations ---- */

static bool
can(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return voco_conv_is_cube(&q->conv, 3, 1, 1) && kernels(ctx) != NULL;
}

static size_t
scratch(const struct voco_ctx *ctx, const struct voco_conv_problem *q, int m)
{
    const struct voco_winograd_plan p = plan_of(ctx, q, m);

    return q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS
           ? voco_winograd_weights_scratch(&p, ctx->threads)
           : forward_scratch(&p, ctx->threads);
}

static size_t
packed(const struct voco_ctx *ctx, const struct voco_conv_problem *q, int m)
{
    const struct voco_winograd_plan p = plan_of(ctx, q, m);

    return packed_bytes(&p);
}

static void
run(struct voco_ctx *ctx, const struct voco_conv_problem *q,
    const struct voco_conv_io *io, float *space, int m)
{
    const struct voco_winograd_plan p = plan_of(ctx, q, m);

    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        voco_winograd_weights_run(ctx, &p, io, space);
    else
        forward_run(ctx, &p, q, io, space);
}

/* ---- tiles of 2^3 outputs ---- */

/* No gradient follows that shows small errors, or bfloat16 has errors a thousand times
 * larger. */
static bool
coarse(const struct voco_ctx *ctx)
{
    return ctx->inference || ctx->dev->act == VOCO_BF16;
}

static int64_t
least_channels(const struct voco_conv_problem *q)
{
    return q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS ? 8 : 12;
}

/* Measured on Zen 3: 2 to 5 times faster than oneDNN 2.6.3 for all maps that are not
 * tiny (conv_taps.c) and 24 to 384 channels; on Zen 5 1.3 to 1.4 times for 12. */
static bool
best2(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const int64_t least = least_channels(q);

    (void)ctx;
    return q->conv.cin >= least && q->conv.cout >= least;
}

static size_t
scratch2(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return scratch(ctx, q, 2);
}

static size_t
packed2(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return packed(ctx, q, 2);
}

static void
run2(struct voco_ctx *ctx, const struct voco_conv_problem *q,
     const struct voco_conv_io *io, void *space)
{
    run(ctx, q, io, space, 2);
}

static bool
moments2(const struct voco_conv_problem *q)
{
    return whole(q, 2);
}

const struct voco_conv_impl voco_conv_winograd = {
    "winograd", can, best2, scratch2, packed2, run2, .bf16 = true,
    .moments = moments2
};

/* ---- tiles of 4^3 outputs ---- */

/*
 * Measured on Zen 4, 2 cores, 4 items, 16 to 192 channels, and with 12 on Zen 5, where it
 * takes less than half of oneDNN's time on 64^3: faster from 8^3 on, while tiles
 * that reach over the border do not spoil it; d-weights, which has 3.4 times the dU to
 * fold, from 64 tiles on.  Forward only on large maps: the five times larger errors would
 * show in norms of gradients where maps of few voxels follow (doc/numerics.md), unless
 * there are no gradients or bfloat16 has errors a thousand times larger.
 */
static bool
best4(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const int64_t least = least_channels(q);
    const int64_t least_tiles = q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS ? 64 : 8;
    const bool forward = q->what == VOCO_WS_CONV_FORWARD;
    const bool thin = q->conv.cin < 16 || q->conv.cout < 16;    /* test_unetr's errors */
    const int64_t voxels = q->in[0] * q->in[1] * q->in[2];
    int64_t tiles2 = q->n, tiles4 = q->n;

    for (int i = 0; i < 3; i++) {
        tiles2 *= (q->in[i] + 1) / 2;
        tiles4 *= (q->in[i] + 3) / 4;
    }
    return q->conv.cin >= least && q->conv.cout >= least && voxels >= 5 * 5 * 5
           && (!forward || (voxels >= FORWARD_VOXELS && !thin) || coarse(ctx))
           && tiles4 >= least_tiles && 5 * 216 * tiles4 < 4 * 64 * tiles2;
}

static size_t
scratch4(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return scratch(ctx, q, 4);
}

static size_t
packed4(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return packed(ctx, q, 4);
}

static void
run4(struct voco_ctx *ctx, const struct voco_conv_problem *q,
     const struct voco_conv_io *io, void *space)
{
    run(ctx, q, io, space, 4);
}

static bool
moments4(const struct voco_conv_problem *q)
{
    return whole(q, 4);
}

const struct voco_conv_impl voco_conv_winograd4 = {
    "winograd4", can, best4, scratch4, packed4, run4, .coarse = true, .bf16 = true,
    .moments = moments4
};
