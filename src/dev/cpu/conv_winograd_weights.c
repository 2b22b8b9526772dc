/* d-weights by Winograd's method; see conv_winograd.h. */
#include <omp.h>
#include <string.h>

#include "dev/cpu/conv_winograd.h"

enum {
    PAD = 16,                   /* floats between points: spreads them over cache sets */
    REGION = 8192,              /* voxels that stay in L3 for the slices */
    DEEP_DU = 4 << 20,          /* floats of dU, from which on it is never whole */
    DEEP_V = 16 << 20,          /* floats of V and N, which then are, at most */
    BLOCK = 168 << 10,          /* floats of a block of dU: most of L2 */
    FOLD = 4                    /* input channels that are folded together */
};

static size_t
slice_points(const struct voco_winograd_plan *p)
{
    return p->points / (size_t)p->edge;
}

/* Blocks of dU, some columns of all points, that stay in L2. */
static void
deep_plan(struct voco_winograd_plan *p)
{
    p->block_k = p->w->panel * p->w->lanes;
    p->block_c = BLOCK / (p->points * p->block_k) / 8 * 8;
    p->block_c = p->block_c < 8 ? 8 : p->block_c < p->c ? p->block_c : p->c;
    p->block = p->block_c * p->block_k + PAD;
    p->deep = p->points * p->c * p->kp > DEEP_DU
              && p->points * (size_t)p->total * (p->c + p->kp) <= DEEP_V;
}

/*
 * V and N of a slice beside the slice's dU, of which few tiles at a time would make a
 * stream.  On deep maps, of few tiles and many weights, dU would be written to memory and
 * read back, which takes longer than the products: there V and N of all tiles are made,
 * and then dU block by block, each summed over all tiles and folded.
 */
void
voco_winograd_weights_plan(struct voco_winograd_plan *p, int threads)
{
    const int64_t share = (p->total + threads - 1) / threads;
    const size_t row = slice_points(p) * (p->c + p->kp) * sizeof(float);
    const int64_t fit = ((int64_t)(672 << 10) / (int64_t)row + 4) / 8 * 8;

    deep_plan(p);
    p->rows = p->deep ? p->total : fit < 32 ? 32 : fit > 64 ? 64 : fit;
    if (p->rows > share && !p->deep)
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

/* V and N of a slice, of one thread; of all, together, on deep maps */
static size_t
tiles_floats(const struct voco_winograd_plan *p)
{
    return (p->deep ? p->points : slice_points(p)) * (p->v_stride + p->m_stride);
}

/* Of a thread, beside dU or V and N of deep maps. */
static size_t
thread_floats(const struct voco_winograd_plan *p)
{
    return x_floats(p) + dy_floats(p) + (p->deep ? p->points * p->block : tiles_floats(p));
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
    const size_t shared = p->deep ? tiles_floats(p) : (size_t)parts * du_floats(p);

    return ((size_t)threads * thread_floats(p) + shared) * sizeof(float);
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
            p->w->product_add(v + i * p->v_stride, p->c, n + i * p->m_stride, p->kp,
                              du + ((size_t)a * points + i) * p->c * p->kp, p->kp,
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

/* Part of dU, or all of it: floats between its points and between its rows. */
struct du {
    const float *at;
    size_t point, row;
};

/* dw[k][c][27] += G' dU G for k in [k,end) and FOLD input channels, at most `left`, from c
 * on; du is of (c, k). */
static void
fold(const struct voco_winograd_plan *p, const struct du *du, float *dw, size_t c,
     size_t left, size_t k, size_t end)
{
    const size_t block = left < FOLD ? left : FOLD, lanes = p->w->lanes;
    const float *at = du->at;
    float g[FOLD][27 * VOCO_WINOGRAD_MAX_LANES];

    for (; k < end; k += lanes, at += lanes) {
        for (size_t j = 0; j < block; j++) {
            const float *u = at + j * du->row;

            for (size_t f = 0; f < p->points; f++)      /* too many streams for hardware */
                __builtin_prefetch(u + f * du->point + du->row);
            p->t->fold(u, du->point, g[j]);
        }
        for (size_t j = 0; j < block; j++)
            p->w->from_lanes(g[j], lanes, dw + 27 * (k * p->c + c + j), 27 * p->c,
                             p->k - k);
    }
}

static void
run_slices(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
           const struct operands *o, float *dw, float *scratch)
{
    const int shared = threads_per_part(p, ctx->threads), parts = ctx->threads / shared;
    const int slices = (int)p->edge / shared;
    const size_t each = thread_floats(p), count = du_floats(p);
    float *const du = scratch + (size_t)ctx->threads * each;

    /* shares are those of ctx->threads, even if OpenMP has fewer */
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t from, to;

        #pragma omp for schedule(static)
        for (int t = 0; t < ctx->threads; t++) {
            voco_cpu_share(p->total, p->rows, t / shared, parts, &from, &to);
            part(p, o, from, to, t % shared * slices, slices,
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
            fold(p, &(struct du){ du + c * p->kp, p->c * p->kp, p->kp }, dw, c, p->c - c, 0,
                 p->k);
    }
}

/* ---- deep maps ---- */

/* dU of channels from c on and columns from k on, over all tiles, and into dw. */
static void
deep_block(const struct voco_winograd_plan *p, const float *v, const float *n, size_t c,
           size_t k, float *block, float *dw)
{
    const size_t rows = p->c - c < p->block_c ? p->c - c : p->block_c;
    const size_t wide = p->kp - k < p->block_k ? p->kp - k : p->block_k;

    memset(block, 0, p->points * p->block * sizeof *block);
    for (size_t f = 0; f < p->points; f++)
        p->w->product_add(v + f * p->v_stride + c, p->c, n + f * p->m_stride + k, p->kp,
                          block + f * p->block, wide, (size_t)p->total, rows, wide);
    for (size_t i = 0; i < rows; i += FOLD)
        fold(p, &(struct du){ block + i * wide, p->block, wide }, dw, c + i, rows - i, k,
             k + wide);
}

static void
run_deep(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
         const struct operands *o, float *dw, float *scratch)
{
    const size_t each = thread_floats(p), points = slice_points(p);
    float *const v = scratch + (size_t)ctx->threads * each;
    float *const n = v + p->points * p->v_stride;

    #pragma omp parallel num_threads(ctx->threads)
    {
        float *const own = scratch + (size_t)omp_get_thread_num() * each;

        #pragma omp for schedule(static) collapse(2)
        for (int64_t t = 0; t < p->total; t += p->tiles[2])
            for (int64_t a = 0; a < p->edge; a++)
                strip(p, o, (int)a, t, p->tiles[2], own,
                      v + (size_t)a * points * p->v_stride + (size_t)t * p->c,
                      n + (size_t)a * points * p->m_stride + (size_t)t * p->kp);
        #pragma omp for schedule(dynamic) collapse(2)
        for (size_t k = 0; k < p->kp; k += p->block_k)
            for (size_t c = 0; c < p->c; c += p->block_c)
                deep_block(p, v, n, c, k, own, dw);
    }
}

void
voco_winograd_weights_run(struct voco_ctx *ctx, const struct voco_winograd_plan *p,
                          const struct voco_conv_io *io, float *scratch)
{
    const struct operands o = { voco_winograd_inputs_of(p, io->x, io->x_bf16),
                                voco_winograd_outputs_of(p, io->y, io->y_bf16) };

    if (p->deep)
        run_deep(ctx, p, &o, io->w, scratch);
    else
        run_slices(ctx, p, &o, io->w, scratch);
}
