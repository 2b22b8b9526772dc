/* 3x3x3 convolutions of stride 1 by Winograd F(2,3) on all axes; see simd/winograd.h. */
#include <omp.h>
#include <string.h>

#include "dev/cpu_conv.h"
#include "simd/kernels.h"
#include "simd/winograd.h"

enum {
    POINTS = VOCO_WINOGRAD_POINTS,
    SLICE = VOCO_WINOGRAD_SLICE,
    PAD = 16,                   /* floats between points: spreads them over cache sets */
    REGION = 1024               /* tiles whose voxels stay in L3 for the four slices */
};

/* c channels in, k out, of the product: swapped for d-data. */
struct plan {
    const struct voco_winograd *w;
    size_t c, k, kp;            /* kp: k in whole vectors */
    int64_t size[3], tiles[3], total;
    int64_t rows;               /* tiles at a time */
    size_t v_stride, m_stride;  /* floats between points */
};

static const struct voco_winograd *
kernels(const struct voco_ctx *ctx)
{
    return voco_winograd_kernels(voco_cpu_state(ctx)->kernels->isa);
}

/*
 * Tiles at a time.  Forward: V and M of 64 points should share L2 with what streams by,
 * so about 400 KiB; fewer tiles stream U more often.  d-weights: V and N of 16 points
 * beside the slice's dU.  Measured on Zen 3 (512 KiB L2) for 48 and 96 channels.
 */
static int64_t
rows_at_once(const struct plan *p, const struct voco_conv_problem *q, int threads)
{
    const int64_t share = (p->total + threads - 1) / threads;
    int64_t rows = (400 << 10) / (int64_t)(POINTS * (p->c + p->kp) * sizeof(float));

    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        rows *= 2;
    rows = (rows + 4) / 8 * 8;
    rows = rows < 8 ? 8 : rows > 64 ? 64 : rows;
    return rows < share ? rows : (share + 7) / 8 * 8;
}

static struct plan
plan_of(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const bool swap = q->what == VOCO_WS_CONV_BACKWARD_DATA;
    struct plan p = { .w = kernels(ctx), .total = q->n,
                      .c = (size_t)(swap ? q->conv.cout : q->conv.cin),
                      .k = (size_t)(swap ? q->conv.cin : q->conv.cout) };

    p.kp = voco_winograd_round(p.w, p.k);
    for (int i = 0; i < 3; i++) {
        p.size[i] = q->in[i];
        p.tiles[i] = (q->in[i] + 1) / 2;
        p.total *= p.tiles[i];
    }
    p.rows = rows_at_once(&p, q, ctx->threads);
    p.v_stride = (size_t)p.rows * p.c + PAD;
    p.m_stride = (size_t)p.rows * p.kp + PAD;
    return p;
}

/* ---- weights ---- */

/* u = G g along one axis of n lines; stride between the elements of a line */
static void
g_axis(const float *g, float *u, size_t lines, size_t in_line, size_t in, size_t out_line,
       size_t out)
{
    for (size_t i = 0; i < lines; i++, g += in_line, u += out_line) {
        const float even = 0.5f * (g[0] + g[2 * in]), odd = 0.5f * g[in];

        u[0] = g[0];
        u[out] = even + odd;
        u[2 * out] = even - odd;
        u[3 * out] = g[2 * in];
    }
}

/* u[4][4][4] = G g G' of taps g[3][3][3] */
static void
g_taps(const float g[27], float u[POINTS])
{
    float a[9 * 4], b[3 * 16];

    g_axis(g, a, 9, 3, 1, 4, 1);                    /* a[z][y][4] */
    for (size_t z = 0; z < 3; z++)
        g_axis(a + 12 * z, b + 16 * z, 4, 1, 4, 1, 4);      /* b[z][4][4] */
    g_axis(b, u, 16, 1, 16, 1, 16);
}

struct pack_arg {
    const struct plan *p;
    bool swap;
    int threads;
};

/* U_f [c,k] in panels for each f; lanes beyond k are 0 */
static enum voco_err
make_packed(void *arg, const float *w, float *packed)
{
    const struct pack_arg *a = arg;
    const struct plan *p = a->p;
    const size_t point = p->c * p->kp;

    #pragma omp parallel for num_threads(a->threads) schedule(static)
    for (size_t k = 0; k < p->kp; k++) {
        const size_t at = voco_winograd_at(p->w, p->c, p->k, 0, k);
        const size_t step = voco_winograd_at(p->w, p->c, p->k, 1, k) - at;

        for (size_t c = 0; c < p->c; c++) {
            const float *g = w + 27 * (a->swap ? c * p->k + k : k * p->c + c);
            float taps[27], u[POINTS] = { 0 };

            if (k < p->k) {
                for (size_t i = 0; i < 27; i++)
                    taps[i] = a->swap ? g[26 - i] : g[i];
                g_taps(taps, u);
            }
            for (size_t f = 0; f < POINTS; f++)
                packed[f * point + at + c * step] = u[f];
        }
    }
    return VOCO_OK;
}

/* w[3] = G' u along one axis, for lanes of consecutive numbers */
static void
g_axis_back(const float *u, float *w, size_t in, size_t out, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        const float u1 = u[in + i], u2 = u[2 * in + i];

        w[i] = u[i] + 0.5f * (u1 + u2);
        w[out + i] = 0.5f * (u1 - u2);
        w[2 * out + i] = 0.5f * (u1 + u2) + u[3 * in + i];
    }
}

enum { LANES = 16, FOLD = 4 };      /* channels out and in that are folded together */

/* g[27][LANES] = G' u G */
static void
fold_points(const float *u, float *g)
{
    float a[48 * LANES], b[36 * LANES];

    g_axis_back(u, a, 16 * LANES, 16 * LANES, 16 * LANES);      /* a[3][4][4] */
    for (size_t z = 0; z < 3; z++)                              /* b[3][3][4] */
        g_axis_back(a + z * 16 * LANES, b + z * 12 * LANES, 4 * LANES, 4 * LANES,
                    4 * LANES);
    for (size_t i = 0; i < 9; i++)
        g_axis_back(b + i * 4 * LANES, g + i * 3 * LANES, LANES, LANES, LANES);
}

/* dw[k][c][27] += G' dU G for all k and FOLD input channels from c on */
static void
fold(const struct plan *p, const float *du, float *dw, size_t c)
{
    const size_t block = p->c - c < FOLD ? p->c - c : FOLD;
    float u[POINTS * LANES] = { 0 }, g[FOLD][27 * LANES];

    for (size_t k = 0; k < p->k; k += LANES) {
        const size_t lanes = p->k - k < LANES ? p->k - k : LANES;

        for (size_t j = 0; j < block; j++) {
            for (size_t f = 0; f < POINTS; f++) {
                const float *line = du + (f * p->c + c + j) * p->kp + k;

                if (lanes == LANES)
                    memcpy(u + f * LANES, line, LANES * sizeof *u);
                else
                    memcpy(u + f * LANES, line, lanes * sizeof *u);
                __builtin_prefetch(line + p->kp);   /* too many streams for hardware */
            }
            fold_points(u, g[j]);
        }
        for (size_t i = 0; i < lanes; i++)
            for (size_t j = 0; j < block; j++)
                for (size_t t = 0; t < 27; t++)
                    dw[((k + i) * p->c + c + j) * 27 + t] += g[j][t * LANES + i];
    }
}

/* ---- tiles ---- */

/* Corner of tile t (its first output), and its item. */
static int64_t
tile_corner(const struct plan *p, int64_t t, int64_t at[3])
{
    at[2] = 2 * (t % p->tiles[2]);
    t /= p->tiles[2];
    at[1] = 2 * (t % p->tiles[1]);
    t /= p->tiles[1];
    at[0] = 2 * (t % p->tiles[0]);
    return t / p->tiles[0];
}

/* Pointers to edge^3 voxels from (at - before) on; outside the volume: other. */
static void
tile_voxels(const struct plan *p, float *x, size_t channels, int64_t t, int64_t edge,
            int64_t before, float *other, float **ret)
{
    const int64_t *s = p->size;
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at);

    for (int64_t z = at[0] - before; z < at[0] - before + edge; z++)
        for (int64_t y = at[1] - before; y < at[1] - before + edge; y++) {
            const bool inside = z >= 0 && z < s[0] && y >= 0 && y < s[1];
            float *line = x + ((n * s[0] + z) * s[1] + y) * s[2] * (int64_t)channels;

            for (int64_t i = at[2] - before; i < at[2] - before + edge; i++)
                *ret++ = inside && i >= 0 && i < s[2] ? line + i * (int64_t)channels : other;
        }
}

/* Ask for the rows of plane z of tile t that the tile before it has not read; edge^3
 * voxels from 2 * tile - before on. */
static void
prefetch_plane(const struct plan *p, const float *x, size_t channels, int64_t t,
               int64_t edge, int64_t before, int64_t z)
{
    const int64_t *s = p->size;
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at), i = at[2] - before + edge - 2;

    z += at[0] - before;
    if (z < 0 || z >= s[0] || i >= s[2])
        return;
    for (int64_t y = at[1] - before; y < at[1] - before + edge; y++) {
        const float *line = x + (((n * s[0] + z) * s[1] + y) * s[2] + i)
                                * (int64_t)channels;

        if (y >= 0 && y < s[1])
            for (size_t c = 0; c < 2 * channels; c += 16)
                __builtin_prefetch(line + c);
    }
}

/* While product number f of points runs, fetch its share of the next block of tiles. */
static void
prefetch_share(const struct plan *p, const float *x, size_t channels, int64_t from,
               int64_t end, int64_t edge, int64_t before, int64_t f, int64_t points)
{
    const int64_t units = ((end - from < p->rows ? end - from : p->rows)) * edge;

    for (int64_t i = f * units / points; i < (f + 1) * units / points; i++)
        prefetch_plane(p, x, channels, from + i / edge, edge, before, i % edge);
}

/* ---- forward, and d-data as the forward of dy ---- */

static size_t
forward_floats(const struct plan *p)
{
    return POINTS * (p->v_stride + p->m_stride) + (p->c + p->kp + 15) / 16 * 16;
}

/* One thread's tiles. */
static void
forward_part(const struct plan *p, float *x, const float *u, float *y, int64_t from,
             int64_t to, float *scratch)
{
    float *const v = scratch, *const m = v + POINTS * p->v_stride;
    float *const zeros = m + POINTS * p->m_stride, *const bin = zeros + p->c;
    float *voxel[64];

    memset(zeros, 0, p->c * sizeof *zeros);
    for (int64_t t = from; t < to; t += p->rows) {
        const int64_t rows = to - t < p->rows ? to - t : p->rows;

        for (int64_t r = 0; r < rows; r++) {
            tile_voxels(p, x, p->c, t + r, 4, 1, zeros, voxel);
            p->w->input((const float *const *)voxel, p->c, v + (size_t)r * p->c,
                        p->v_stride);
        }
        for (size_t f = 0; f < POINTS; f++) {
            prefetch_share(p, x, p->c, t + rows, to, 4, 1, (int64_t)f, POINTS);
            p->w->product(v + f * p->v_stride, u + f * p->c * p->kp, m + f * p->m_stride,
                          (size_t)rows, p->c, p->k);
        }
        for (int64_t r = 0; r < rows; r++) {
            tile_voxels(p, y, p->k, t + r, 2, 0, bin, voxel);
            p->w->output(m + (size_t)r * p->kp, p->m_stride, p->k, voxel);
        }
    }
}

static void
run_forward(struct voco_ctx *ctx, const struct plan *p, const struct voco_conv_problem *q,
            const struct voco_conv_io *io, float *scratch)
{
    const bool swap = q->what == VOCO_WS_CONV_BACKWARD_DATA;
    struct pack_arg arg = { p, swap, ctx->threads };
    const size_t each = forward_floats(p);
    const float *u = voco_packed(ctx, io->w, (int64_t)(27 * p->c * p->k),
                                 swap ? VOCO_LAYOUT_WINOGRAD_DATA : VOCO_LAYOUT_WINOGRAD,
                                 POINTS * p->c * p->kp * sizeof *u, make_packed, &arg);

    if (!u)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num();
        int64_t from, to;

        voco_cpu_share(p->total, p->rows, t, omp_get_num_threads(), &from, &to);
        forward_part(p, swap ? io->y : io->x, u, swap ? io->x : io->y, from, to,
                     scratch + (size_t)t * each);
    }
    if (io->bias)
        voco_conv_add_bias(ctx, io->bias, io->y, q->n * q->out[0] * q->out[1] * q->out[2],
                           q->conv.cout);
}

/* ---- d-weights ---- */

/*
 * The four slices of the transformed domain are independent, so threads share them as far
 * as they divide evenly: with s = gcd(4, threads) threads to a part of the tiles, each
 * makes 4/s slices of that part's dU.  Two and four threads need one dU and no sum.
 */
static int
threads_per_part(int threads)
{
    return threads % 4 == 0 ? 4 : threads % 2 == 0 ? 2 : 1;
}

static size_t
weights_floats(const struct plan *p)        /* of one thread, beside dU */
{
    return SLICE * (p->v_stride + p->m_stride) + (p->c + p->k + 15) / 16 * 16;
}

static size_t
du_floats(const struct plan *p)
{
    return POINTS * p->c * p->kp;
}

/* Slice a of dU += tiles [from,to). */
static void
weights_slice(const struct plan *p, float *x, float *dy, int a, int64_t from, int64_t to,
              float *du, float *scratch)
{
    float *const v = scratch, *const n = v + SLICE * p->v_stride;
    float *const zeros = n + SLICE * p->m_stride;
    float *voxel[64];

    for (int64_t t = from; t < to; t += p->rows) {
        const int64_t rows = to - t < p->rows ? to - t : p->rows;

        for (int64_t r = 0; r < rows; r++) {
            tile_voxels(p, x, p->c, t + r, 4, 1, zeros, voxel);
            p->w->input_slice((const float *const *)voxel, a, p->c,
                              v + (size_t)r * p->c, p->v_stride);
            tile_voxels(p, dy, p->k, t + r, 2, 0, zeros, voxel);
            p->w->grad_slice((const float *const *)voxel, a, p->k,
                             n + (size_t)r * p->kp, p->m_stride);
        }
        for (size_t i = 0; i < SLICE; i++) {
            prefetch_share(p, x, p->c, t + rows, to, 4, 1, (int64_t)i, SLICE);
            prefetch_share(p, dy, p->k, t + rows, to, 2, 0, (int64_t)i, SLICE);
            p->w->product_add(v + i * p->v_stride, p->c, n + i * p->m_stride,
                              du + ((size_t)a * SLICE + i) * p->c * p->kp,
                              (size_t)rows, p->c, p->k);
        }
    }
}

/* One thread's slices of one part: region by region, in it slice by slice, so that the
 * slice's dU stays in L2 and the region's voxels in L3. */
static void
weights_part(const struct plan *p, float *x, float *dy, int64_t from, int64_t to,
             int first, int slices, float *du, float *scratch)
{
    float *const zeros = scratch + SLICE * (p->v_stride + p->m_stride);
    const size_t slice = SLICE * p->c * p->kp;

    memset(du + (size_t)first * slice, 0, (size_t)slices * slice * sizeof *du);
    memset(zeros, 0, (p->c + p->k) * sizeof *zeros);
    for (int64_t region = from; region < to; region += REGION)
        for (int a = first; a < first + slices; a++)
            weights_slice(p, x, dy, a, region, to - region < REGION ? to : region + REGION,
                          du, scratch);
}

static void
run_weights(struct voco_ctx *ctx, const struct plan *p, const struct voco_conv_io *io,
            float *scratch)
{
    const int shared = threads_per_part(ctx->threads), parts = ctx->threads / shared;
    const size_t each = weights_floats(p), count = du_floats(p);
    float *const du = scratch + (size_t)ctx->threads * each;

    /* shares are those of ctx->threads, even if OpenMP has fewer */
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t from, to;

        #pragma omp for schedule(static)
        for (int t = 0; t < ctx->threads; t++) {
            voco_cpu_share(p->total, p->rows, t / shared, parts, &from, &to);
            weights_part(p, io->x, io->y, from, to, t % shared * (4 / shared), 4 / shared,
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

/* ---- the implementation ---- */

static size_t
scratch_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const struct plan p = plan_of(ctx, q);
    const size_t threads = (size_t)ctx->threads;

    if (q->what != VOCO_WS_CONV_BACKWARD_WEIGHTS)
        return threads * forward_floats(&p) * sizeof(float);
    return (threads * weights_floats(&p)
            + threads / (size_t)threads_per_part(ctx->threads) * du_floats(&p))
           * sizeof(float);
}

static bool
can(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return voco_conv_is_cube(&q->conv, 3, 1, 1)
           && kernels(ctx) != NULL;
}

/* Measured on Zen 3: 2 to 5 times faster than oneDNN 2.6.3 for all maps that are not
 * tiny (cpu_conv_taps.c) and 24 to 384 channels; with 12 only d-weights is faster. */
static bool
best(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const int64_t least = q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS ? 8 : 16;

    (void)ctx;
    return q->conv.cin >= least && q->conv.cout >= least;
}

static size_t
packed_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const struct plan p = plan_of(ctx, q);

    return POINTS * p.c * p.kp * sizeof(float);
}

static void
run(struct voco_ctx *ctx, const struct voco_conv_problem *q, const struct voco_conv_io *io,
    void *scratch)
{
    const struct plan p = plan_of(ctx, q);

    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        run_weights(ctx, &p, io, scratch);
    else
        run_forward(ctx, &p, q, io, scratch);
}

const struct voco_conv_impl voco_conv_winograd = {
    "winograd", can, best, scratch_bytes, packed_bytes, run
};
