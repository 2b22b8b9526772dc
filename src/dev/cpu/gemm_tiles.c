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

#include "dev/cpu/block.h"
#include "dev/cpu/gemm.h"
#include "simd/kernels.h"

#define X const struct voco_tensor *

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

/* The same of pairs of rows of op(b), rounded to bfloat16; line has 2 rows of either. */
static void
pack_pairs(const struct voco_kernels *k, const struct voco_gemm *g, int64_t from,
           int64_t to, float *packed, uint16_t *line)
{
    const int64_t wide = to - from;

    packed += from * g->k / 2;
    for (int64_t i = 0; !g->tb && i < g->k; i += 2) {
        k->narrow(g->b + i * g->ldb + from, line, (size_t)wide);
        k->narrow(g->b + (i + 1) * g->ldb + from, line + wide, (size_t)wide);
        k->pair_rows(line, (size_t)wide, 2, (size_t)wide, packed + i / 2 * wide);
    }
    for (int64_t j = 0; g->tb && j < wide; j++) {
        k->narrow(g->b + (from + j) * g->ldb, line, (size_t)g->k);
        for (int64_t i = 0; i < g->k / 2; i++)
            memcpy(packed + i * wide + j, line + 2 * i, sizeof *packed);
    }
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
    const int64_t depth = g->a_bf16 ? g->k / 2 : g->k;
    const int64_t line = g->a_bf16 ? 2 * PANEL_VECTORS * lanes + g->k : 0;
    float *packed = voco_cpu_scratch(ctx, (size_t)(g->n * g->k) * sizeof *packed
                                          + (size_t)(ctx->threads * line)
                                            * sizeof(uint16_t));
    uint16_t *lines = (uint16_t *)(packed ? packed + g->n * g->k : NULL);

    if (!packed)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        #pragma omp for schedule(static)
        for (int64_t p = 0; p < panels; p++) {
            const int64_t from = panel_at(g, lanes, p), to = panel_at(g, lanes, p + 1);

            if (g->a_bf16)
                pack_pairs(k, g, from, to, packed, lines + omp_get_thread_num() * line);
            else
                pack_panel(g, from, to, packed);
        }
        #pragma omp for schedule(static)
        for (int64_t i = 0; i < g->m; i += ROWS)
            for (int64_t p = 0; p < panels; p++) {
                const int64_t from = panel_at(g, lanes, p), to = panel_at(g, lanes, p + 1);
                struct voco_product q = {
                    .step = 1, .b = packed + from * depth, .ldb = (size_t)(to - from),
                    .bias = g->bias ? g->bias + from : NULL, .ldc = (size_t)g->ldc,
                    .m = (size_t)(g->m - i < ROWS ? g->m - i : ROWS),
                    .n = (size_t)(to - from), .depth = (size_t)depth,
                    .stream = voco_cpu_stream(g->m * g->n) };

                if (g->a_bf16) {
                    q.a = (const float *)(const void *)(g->a_bf16 + i * g->lda);
                    q.row = (size_t)g->lda / 2;
                    q.c_bf16 = g->c_bf16 + i * g->ldc + from;
                    k->product_pairs(&q);
                } else {
                    q.a = g->a + i * g->lda;
                    q.row = (size_t)g->lda;
                    q.c = g->c + i * g->ldc + from;
                    k->product(&q);
                }
            }
    }
}

/* ---- gradient of weights ---- */

struct weights {
    const struct voco_kernels *kernels;
    const struct voco_tensor *x, *dy;   /* float, or both bfloat16 */
    int64_t m, n, k;
};

/* Columns of dy in a block of pairs. */
static int64_t
wide_n(const struct weights *w)
{
    const int64_t lanes = (int64_t)w->kernels->lanes;

    return voco_is_bf16(w->x) ? (w->n + lanes - 1) / lanes * lanes : w->n;
}

/* Floats of a block in pairs: x, then dy. */
static int64_t
room_floats(const struct weights *w)
{
    return voco_is_bf16(w->x) ? (w->k + wide_n(w)) * DEPTH / 2 : 0;
}

/* Some rows of x and dy as the kernels take them. */
struct block {
    const float *x, *dy;
    size_t depth, step;                 /* from one row, or pair, of dy to the next */
    int64_t next;                       /* row that follows */
};

/* Rows [i0,i1); in bfloat16 their pairs, which are brought into room. */
static struct block
block_of(const struct weights *w, int64_t i0, int64_t i1, float *room)
{
    const void *x = voco_element(w->x, i0 * w->k), *dy = voco_element(w->dy, i0 * w->n);
    const size_t rows = (size_t)(i1 - i0), k = (size_t)w->k, n = (size_t)w->n;

    if (!voco_is_bf16(w->x))
        return (struct block){ x, dy, rows, n, i1 };
    w->kernels->pair_rows(x, k, rows, k, room);
    w->kernels->pair_rows(dy, n, rows, n, room + DEPTH / 2 * k);
    return (struct block){ room, room + DEPTH / 2 * k, (rows + 1) / 2, (size_t)wide_n(w),
                           i1 };
}

/* c[j1 - j0,k] += dy[.., j0..j1)' x of a block */
static void
add_block(const struct weights *w, const struct block *b, int64_t j0, int64_t j1, float *c)
{
    const int64_t rows = w->m - b->next < DEPTH ? w->m - b->next : DEPTH;

    (voco_is_bf16(w->x) ? w->kernels->product_pairs : w->kernels->product)(
        &(struct voco_product){
            .a = b->dy + j0, .row = 1, .step = b->step, .b = b->x, .ldb = (size_t)w->k,
            .c = c, .ldc = (size_t)w->k, .m = (size_t)(j1 - j0), .n = (size_t)w->k,
            .depth = b->depth, .add = true,
            .next = { voco_element(w->x, b->next * w->k),
                      voco_element(w->dy, b->next * w->n) },
            .next_floats = { (size_t)(rows * w->k) / 2, (size_t)(rows * w->n) / 2 } });
}

/* The sums of a thread: dw, and columns with a line to sum them in; a block of pairs. */
struct part {
    double *sum;
    float *dw, *line, *room;
};

static size_t
part_bytes(const struct weights *w)
{
    return voco_aligned((size_t)wide_n(w) * (sizeof(double) + sizeof(float))
                        + (size_t)(w->n * w->k + room_floats(w)) * sizeof(float));
}

static struct part
part_at(const struct weights *w, char *scratch, int thread)
{
    struct part p = { .sum = (double *)(void *)(scratch + (size_t)thread * part_bytes(w)) };

    p.dw = (float *)(p.sum + wide_n(w));
    p.line = p.dw + w->n * w->k;
    p.room = p.line + wide_n(w);
    return p;
}

/* sum[n] += column sums of dy in a block of rows [i0,i1); 64 rows at a time in f32 */
static void
add_columns(const struct weights *w, const struct block *b, int64_t i0, int64_t i1,
            float *line, double *sum)
{
    const uint16_t ones[2] = { 0x3f80, 0x3f80 };
    const size_t n = b->step;
    float one;

    if (!voco_is_bf16(w->dy)) {
        voco_gemm_add_columns(w->kernels, w->dy->data, i0, i1, w->n, line, sum);
        return;
    }
    memcpy(&one, ones, sizeof one);
    for (size_t i = 0; i < b->depth; i += 32) {
        w->kernels->product_pairs(&(struct voco_product){
            .a = &one, .b = b->dy + i * n, .ldb = n, .c = line, .ldc = n, .m = 1, .n = n,
            .depth = b->depth - i < 32 ? b->depth - i : 32 });
        for (size_t j = 0; j < n; j++)
            sum[j] += (double)line[j];
    }
}

static void
sum_part(const struct weights *w, int64_t i0, int64_t i1, const struct part *own, bool db)
{
    memset(own->dw, 0, (size_t)(w->n * w->k) * sizeof *own->dw);
    memset(own->sum, 0, (size_t)wide_n(w) * sizeof *own->sum);
    for (int64_t i = i0; i < i1; i += DEPTH) {
        const int64_t end = i1 - i < DEPTH ? i1 : i + DEPTH;
        const struct block b = block_of(w, i, end, own->room);

        add_block(w, &b, 0, w->n, own->dw);
        if (db)
            add_columns(w, &b, i, end, own->line, own->sum);
    }
}

static void
by_rows(struct voco_ctx *ctx, const struct weights *w, float *dw, float *db)
{
    const int threads = ctx->threads;
    char *scratch = voco_cpu_scratch(ctx, (size_t)threads * part_bytes(w));

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

bool
voco_gemm_pairs_can(const struct voco_ctx *ctx, X a, X b)
{
    return voco_is_bf16(a) && voco_is_bf16(b) && kernels(ctx)->product_pairs
           && voco_rows(a) >= MANY_ROWS && voco_cols(a) % 2 == 0
           && (uintptr_t)a->data % sizeof(float) == 0;
}

void
voco_gemm_tiles_weights(struct voco_ctx *ctx, X x, X dy, float *dw, float *db)
{
    const struct weights w = { kernels(ctx), x, dy, voco_rows(x), voco_cols(dy),
                               voco_cols(x) };

    if (w.m >= MANY_ROWS) {
        by_rows(ctx, &w, dw, db);
        return;
    }
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t j0, j1;

        voco_cpu_share(w.n, 8, omp_get_thread_num(), omp_get_num_threads(), &j0, &j1);
        for (int64_t i = 0; j0 < j1 && i < w.m; i += DEPTH) {
            const struct block b = block_of(&w, i, w.m - i < DEPTH ? w.m : i + DEPTH, NULL);

            add_block(&w, &b, j0, j1, dw + j0 * w.k);
        }
    }
    if (db)
        voco_cpu_columns_add(ctx, dy, db);
}
