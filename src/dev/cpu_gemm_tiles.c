/*
 * Linear layers over the kernel `product` of simd/.
 *
 * The many rows of an activation are long and thin: 131072 x 48.  A library that packs
 * both operands spends as long on that as on the product.  Here activations are read
 * where they are, a block of rows at a time that stays in the second cache; only weights,
 * which are small, are packed.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu_gemm.h"
#include "simd/kernels.h"

enum { PANEL_VECTORS = 3 };             /* as wide as the kernel's tile */
enum { ROWS = 96 };                     /* of a block: whole tiles of 8 or 12 */
enum { DEPTH = 128 };                   /* rows that a gradient sums at a time */
enum { MANY_ROWS = 8192 };              /* so many that parts per thread pay */
enum { PACK_MAX = 1 << 20 };            /* floats */

static const struct voco_kernels *
kernels(const struct voco_ctx *ctx)
{
    return voco_cpu_state(ctx)->kernels;
}

bool
voco_gemm_tiles_can(const struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const int64_t lanes = (int64_t)kernels(ctx)->lanes;

    if (lanes == 1 || g->n % lanes || g->m == 0 || g->k == 0)
        return false;
    return g->ta ? g->add && !g->bias : !g->add && g->n * g->k <= PACK_MAX;
}

/* Panel p of op(b), columns [from,to): packed[k][to - from] at from * k */
static void
pack_panel(const struct voco_gemm *g, int64_t from, int64_t to, float *packed)
{
    const int64_t wide = to - from;

    packed += from * g->k;
    if (!g->tb) {
        for (int64_t i = 0; i < g->k; i++)
            memcpy(packed + i * wide, g->b + i * g->ldb + from,
                   (size_t)wide * sizeof *packed);
        return;
    }
    for (int64_t i0 = 0; i0 < g->k; i0 += 16)           /* a cache line of each row of b */
        for (int64_t j = 0; j < wide; j++)
            for (int64_t i = i0; i < g->k && i < i0 + 16; i++)
                packed[i * wide + j] = g->b[(from + j) * g->ldb + i];
}

/* First column of panel p. */
static int64_t
panel_at(const struct voco_gemm *g, int64_t lanes, int64_t p)
{
    const int64_t at = p * PANEL_VECTORS * lanes;

    return at < g->n ? at : g->n;
}

void
voco_gemm_tiles(struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const struct voco_kernels *k = kernels(ctx);
    const int64_t lanes = (int64_t)k->lanes;
    const int64_t panels = (g->n / lanes + PANEL_VECTORS - 1) / PANEL_VECTORS;
    float *packed = voco_cpu_scratch(ctx, (size_t)(g->n * g->k) * sizeof *packed);

    if (!packed)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        #pragma omp for schedule(static)
        for (int64_t p = 0; p < panels; p++)
            pack_panel(g, panel_at(g, lanes, p), panel_at(g, lanes, p + 1), packed);
        #pragma omp for schedule(static)
        for (int64_t i = 0; i < g->m; i += ROWS)
            for (int64_t p = 0; p < panels; p++) {
                const int64_t from = panel_at(g, lanes, p), to = panel_at(g, lanes, p + 1);

                k->product(&(struct voco_product){
                    .a = g->a + i * g->lda, .row = (size_t)g->lda, .step = 1,
                    .b = packed + from * g->k, .ldb = (size_t)(to - from),
                    .bias = g->bias ? g->bias + from : NULL,
                    .c = g->c + i * g->ldc + from, .ldc = (size_t)g->ldc,
                    .m = (size_t)(g->m - i < ROWS ? g->m - i : ROWS),
                    .n = (size_t)(to - from), .depth = (size_t)g->k,
                    .stream = voco_cpu_stream(g->m * g->n) });
            }
    }
}

/* ---- gradient of weights ---- */

struct weights {
    const struct voco_kernels *kernels;
    const float *x, *dy;
    int64_t m, n, k;
};

/* c[j1 - j0,k] += dy[i0..i1, j0..j1)' x[i0..i1) */
static void
add_block(const struct weights *w, int64_t i0, int64_t i1, int64_t j0, int64_t j1, float *c)
{
    w->kernels->product(&(struct voco_product){
        .a = w->dy + i0 * w->n + j0, .row = 1, .step = (size_t)w->n,
        .b = w->x + i0 * w->k, .ldb = (size_t)w->k, .c = c, .ldc = (size_t)w->k,
        .m = (size_t)(j1 - j0), .n = (size_t)w->k, .depth = (size_t)(i1 - i0),
        .add = true });
}

/* What a thread sums up: dw, and columns with a line to sum them in. */
struct part {
    double *sum;
    float *dw, *line;
};

static struct part
part_at(const struct weights *w, char *scratch, int thread)
{
    const size_t n = (size_t)w->n, size = n * sizeof(double)
                                         + (n * (size_t)w->k + n) * sizeof(float);
    char *base = scratch + (size_t)thread * voco_aligned(size);

    return (struct part){ .sum = (double *)(void *)base,
                          .dw = (float *)(void *)(base + n * sizeof(double)),
                          .line = (float *)(void *)(base + n * sizeof(double)) + n
                                  * (size_t)w->k };
}

static void
sum_part(const struct weights *w, int64_t i0, int64_t i1, const struct part *own, bool db)
{
    memset(own->dw, 0, (size_t)(w->n * w->k) * sizeof *own->dw);
    memset(own->sum, 0, (size_t)w->n * sizeof *own->sum);
    for (int64_t i = i0; i < i1; i += DEPTH) {
        const int64_t end = i1 - i < DEPTH ? i1 : i + DEPTH;

        add_block(w, i, end, 0, w->n, own->dw);
        if (db)
            voco_gemm_add_columns(w->kernels, w->dy, i, end, w->n, own->line, own->sum);
    }
}

static void
by_rows(struct voco_ctx *ctx, const struct weights *w, float *dw, float *db)
{
    const int threads = ctx->threads;
    const size_t each = (size_t)w->n * (sizeof(double) + sizeof(float))
                        + (size_t)(w->n * w->k) * sizeof(float) + VOCO_ALIGN;
    char *scratch = voco_cpu_scratch(ctx, (size_t)threads * each);

    if (!scratch)
        return;
    #pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        const struct part own = part_at(w, scratch, t);
        int64_t i0, i1;

        voco_cpu_share(w->m, 16, t, nt, &i0, &i1);
        sum_part(w, i0, i1, &own, db != NULL);
        #pragma omp barrier
        voco_cpu_share(w->n * w->k, 16, t, nt, &i0, &i1);
        for (int p = 0; p < nt; p++)
            w->kernels->add(part_at(w, scratch, p).dw + i0, dw + i0, (size_t)(i1 - i0));
        #pragma omp single
        for (int64_t j = 0; db && j < w->n; j++) {
            double sum = 0;

            for (int p = 0; p < nt; p++)
                sum += part_at(w, scratch, p).sum[j];
            db[j] += (float)sum;
        }
    }
}

void
voco_gemm_tiles_weights(struct voco_ctx *ctx, const float *x, const float *dy, int64_t m,
                        int64_t n, int64_t k, float *dw, float *db)
{
    const struct weights w = { kernels(ctx), x, dy, m, n, k };

    if (m >= MANY_ROWS) {
        by_rows(ctx, &w, dw, db);
        return;
    }
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t j0, j1;

        voco_cpu_share(n, 8, omp_get_thread_num(), omp_get_num_threads(), &j0, &j1);
        for (int64_t i = 0; j0 < j1 && i < m; i += DEPTH)
            add_block(&w, i, m - i < DEPTH ? m : i + DEPTH, j0, j1, dw + j0 * k);
    }
    if (db) {
        const struct voco_tensor rows = voco_view((void *)dy, VOCO_F32, 2, m, n);

        voco_cpu_columns_add(ctx, &rows, db);
    }
}
