/* d-weights by Winograd's method; see cpu_conv_winograd.h. */
#include <string.h>

#include "dev/cpu_conv_winograd.h"

enum {
    PAD = 16,                   /* floats between points: spreads them over cache sets */
    REGION = 8192,              /* voxels that stay in L3 for the slices */
    FOLD = 4                    /* input channels that are folded together */
};

static size_t
slice_points(const struct voco_winograd_plan *p)
{
    return p->points / (size_t)p->edge;
}

/* V and N of a slice beside the slice's dU, of which few tiles at a time would make a
 * stream. */
void
voco_winograd_weights_plan(struct voco_winograd_plan *p, int threads)
{
    const int64_t share = (p->total + threads - 1) / threads;
    const size_t row = slice_points(p) * (p->c + p->kp) * sizeof(float);
    const int64_t fit = ((int64_t)(672 << 10) / (int64_t)row + 4) / 8 * 8;

    p->rows = fit < 32 ? 32 : fit > 64 ? 64 : fit;
    if (p->rows > share)
        p->rows = (share + 7) / 8 * 8;
    p->v_stride = (size_t)p->rows * p->c + PAD;
    p->m_stride = (size_t)p->rows * p->kp + PAD;
}

/*
 * The slices of the transformed domain are independent, so threads share them as far as
 * they divide evenly: s threads to a part of the tiles, each making edge/s slices of that
 * part's dU.  Two threads need one dU and no sum.
 */
static int
threads_per_part(const struct voco_winograd_plan *p, int threads)
{
    int s = (int)p->edge;

    while (threads % s != 0 || p->edge % s != 0)
        s--;
    return s;
}

/* Tiles of a strip, at most. */
static int64_t
strip_tiles(const struct voco_winograd_plan *p)
{
    return p->rows < p->tiles[2] ? p->rows : p->tiles[2];
}

/* The planes of a strip of x, and of one of dy. */
static size_t
x_floats(const struct voco_winograd_plan *p)
{
    const struct voco_winograd_source x = voco_winograd_inputs_of(p, NULL, false);

    return ((size_t)(x.edge * voco_winograd_strip_line(p, &x, strip_tiles(p))) + 15) / 16
           * 16;
}

static size_t
dy_floats(const struct voco_winograd_plan *p)
{
    const struct voco_winograd_source dy = voco_winograd_outputs_of(p, NULL, false);

    return ((size_t)(dy.edge * voco_winograd_strip_line(p, &dy, strip_tiles(p))) + 15) / 16
           * 16;
}

static size_t
thread_floats(const struct voco_winograd_plan *p)       /* beside dU */
{
    return slice_points(p) * (p->v_stride + p->m_stride) + x_floats(p) + dy_floats(p);
}

static size_t
du_floats(const struct voco_winograd_plan *p)
{
    return p->points * p->c * p->kp;
}

size_t
voco_winograd_weights_scratch(const struct voco_winograd_plan *p, int threads)
{
    const int parts = threads / threads_per_part(p, threads);

    return ((size_t)threads * thread_floats(p) + (size_t)parts * du_floats(p))
           * sizeof(float);
}

struct operands {
    struct voco_winograd_source x, dy;
};

/* Rows of V and N: slice a of tiles [t, t + tiles), side by side. */
static void
strip(const struct voco_winograd_plan *p, const struct operands *o, int a, int64_t t,
      int64_t tiles, float *planes, float *v, float *n)
{
    const size_t x_step = (size_t)p->out * p->c, dy_step = (size_t)p->out * p->k;
    const size_t x_line = (size_t)voco_winograd_strip_line(p, &o->x, tiles);
    const size_t dy_line = (size_t)voco_winograd_strip_line(p, &o->dy, tiles);
    float *const x_plane = planes, *const dy_plane = planes + x_floats(p);

    voco_winograd_combine(p, &o->x, &p->t->b[a], t, tiles, x_plane);
    for (size_t i = 0; i < (size_t)tiles; i++)
        p->t->input_slice(x_plane + i * x_step, x_line, p->c, v + i * p->c, p->v_stride);
    voco_winograd_combine(p, &o->dy, &p->t->a[a], t, tiles, dy_plane);
    for (size_t i = 0; i < (size_t)tiles; i++)
        p->t->grad_slice(dy_plane + i * dy_step, dy_line, p->k, n + i * p->kp, p->m_stride);
}

/* Slice a of dU += tiles [from,to). */
static void
slice(const struct voco_winograd_plan *p, const struct operands *o, int a, int64_t from,
      int64_t to, float *du, float *scratch)
{
    const size_t points = slice_points(p);
    float *const v = scratch, *const n = v + points * p->v_stride;
    float *const planes = n + points * p->m_stride;

    for (int64_t t = from; t < to; t += p->rows) {
        const int64_t rows = to - t < p->rows ? to - t : p->rows;
        int64_t tiles;

        for (int64_t r = 0; r < rows; r += tiles) {
            tiles = voco_winograd_side_by_side(p, t + r, rows - r);
            strip(p, o, a, t + r, tiles, planes, v + (size_t)r * p->c,
                  n + (size_t)r * p->kp);
        }
        for (size_t i = 0; i < points; i++)
            p->w->product_add(v + i * p->v_stride, p->c, n + i * p->m_stride,
                              du + ((size_t)a * points + i) * p->c * p->kp,
                              (size_t)rows, p->c, p->k);
    }
}

/* One thread's slices of one part: region by region, in it slice by slice, so that the
 * slice's dU stays in L2 and the region's voxels in L3. */
static void
part(const struct voco_winograd_plan *p, const struct operands *o, int64_t from, int64_t to,
     int first, int slices, float *du, float *scratch)
{
    const int64_t region = REGION / (p->out * p->out * p->out);
    const size_t count = slice_points(p) * p->c * p->kp;

    memset(du + (size_t)first * count, 0, (size_t)slices * count * sizeof *du);
    for (int64_t t = from; t < to; t += region)
        for (int a = first; a < first + slices; a++)
            slice(p, o, a, t, to - t < region ? to : t + region, du, scratch);
}

/* dw[k][c][27] += G' dU G for all k and FOLD input channels from c on */
static void
fold(const struct voco_winograd_plan *p, const float *du, float *dw, size_t c)
{
    const size_t block = p->c - c < FOLD ? p->c - c : FOLD, lanes = p->w->lanes;
    const size_t point = p->c * p->kp;
    float g[FOLD][27 * VOCO_WINOGRAD_MAX_LANES];

    for (size_t k = 0; k < p->k; k += lanes) {
        for (size_t j = 0; j < block; j++) {
            const float *u = du + (c + j) * p->kp + k;

            for (size_t f = 0; f < p->points; f++)      /* too many streams for hardware */
                __builtin_prefetch(u + f * point + p->kp);
            p->t->fold(u, point, g[j]);
        }
        for (size_t i = 0; i < lanes && k + i < p->k; i++)
            for (size_t j = 0; j < block; j++)
                for (size_t t = 0; t < 27; t++)
                    dw[((k + i) * p->c + c + j) * 27 + t] += g[j][t * lanes + i];
    }
}

void
voco_winograd_weights_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
                          const struct voco_conv_io *io, float *scratch)
{
    const int shared = threads_per_part(p, ctx->threads), parts = ctx->threads / shared;
    const int slices = (int)p->edge / shared;
    const size_t each = thread_floats(p), count = du_floats(p);
    const struct operands o = { voco_winograd_inputs_of(p, io->x, io->x_bf16),
                                voco_winograd_outputs_of(p, io->y, io->y_bf16) };
    float *const du = scratch + (size_t)ctx->threads * each;

    /* shares are those of ctx->threads, even if OpenMP has fewer */
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t from, to;

        #pragma omp for schedule(static)
        for (int t = 0; t < ctx->threads; t++) {
            voco_cpu_share(p->total, p->rows, t / shared, parts, &from, &to);
            part(p, &o, from, to, t % shared * slices, slices,
                 du + (size_t)(t / shared) * count, scratch + (size_t)t * each);
        }
        #pragma omp for schedule(static)
        for (int t = 0; t < ctx->threads; t++) {
            voco_cpu_share((int64_t)count, 16, t, ctx->threads, &from, &to);
            for (int i = 1; i < parts; i++)
                #pragma omp simd
                for (int64_t j = from; j < to; j++)
                    du[j] += du[(size_t)i * count + (size_t)j];
        }
        #pragma omp for schedule(static)
        for (size_t c = 0; c < p->c; c += FOLD)
            fold(p, du, io->w, c);
    }
}
