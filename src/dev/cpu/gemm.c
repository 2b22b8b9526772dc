/* Linear layers: own kernels, OpenBLAS with one thread per OpenMP thread, or oneDNN's
 * matmul. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/block.h"
#include "dev/cpu/gemm.h"
#include "dev/cpu/dnnl_shim.h"
#include "simd/kernels.h"

/* Rows of c whose block stays in L2 between its filling and its product. */
static int64_t
block_rows(int64_t n)
{
    const int64_t rows = (256 << 10) / (int64_t)sizeof(float) / n / 16 * 16;

    return rows < 64 ? 64 : rows;
}

/* The part of c that one thread makes: OpenBLAS always adds to c, after scaling it, so
 * that filling it with the bias costs no more than clearing it. */
static void
gemm_part(const struct voco_gemm *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1)
{
    const int64_t step = block_rows(j1 - j0);
    const float *b = g->b + (g->tb ? j0 * g->ldb : j0);

    for (int64_t i = i0; i < i1; i += step) {
        const int64_t rows = i1 - i < step ? i1 - i : step;
        float *c = g->c + i * g->ldc + j0;

        if (g->bias)
            for (int64_t r = 0; r < rows; r++)
                memcpy(c + r * g->ldc, g->bias + j0, (size_t)(j1 - j0) * sizeof(float));
        voco_cpu_sgemm(g->ta, g->tb, rows, j1 - j0, g->k, g->a + (g->ta ? i : i * g->lda),
                       g->lda, b, g->ldb, g->add || g->bias, c, g->ldc);
    }
}

static void
gemm_blas(const struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const int threads = ctx->threads;
    const bool by_rows = g->m >= g->n || g->m >= 64 * threads;

    #pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        int64_t i0 = 0, i1 = g->m, j0 = 0, j1 = g->n;

        if (by_rows)
            voco_cpu_share(g->m, 16, t, nt, &i0, &i1);
        else
            voco_cpu_share(g->n, 16, t, nt, &j0, &j1);
        if (i0 < i1 && j0 < j1)
            gemm_part(g, i0, i1, j0, j1);
    }
}

static void
gemm_dnnl(struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const struct voco_dnnl_matmul mm = { .m = g->m, .n = g->n, .k = g->k,
        .a_transposed = g->ta, .b_transposed = g->tb, .bias = g->bias != NULL,
        .add = g->add };
    struct voco_dnnl *dnnl = voco_cpu_state(ctx)->dnnl;
    const struct voco_dnnl_op *op = voco_dnnl_matmul(dnnl, &mm);
    struct voco_dnnl_io io = { .src = g->a, .weights = g->b, .bias = g->bias, .dst = g->c };
    enum voco_err err;

    if (!op) {
        voco_ctx_fail(ctx, VOCO_EINTERNAL);
        return;
    }
    io.scratch = voco_cpu_scratch(ctx, voco_dnnl_scratch_bytes(op));
    if (io.scratch && (err = voco_dnnl_run(dnnl, op, &io)) != VOCO_OK)
        voco_ctx_fail(ctx, err);
}

enum impl { TILES, BLAS, DNNL, N_IMPL };

static const char *const impl_names[N_IMPL] = { "tiles", "blas", "dnnl" };

/* Rows of the activation. */
static int64_t
rows_of(const struct voco_gemm *g)
{
    return g->ta ? g->k : g->m;
}

static bool
can(const struct voco_ctx *ctx, const struct voco_gemm *g, enum impl impl)
{
    return impl != TILES || voco_gemm_tiles_can(ctx, g);
}

/* The first of a list of names that can; N_IMPL: none. */
static enum impl
named(const struct voco_ctx *ctx, const struct voco_gemm *g, const char *names)
{
    enum impl impl = TILES;

    while (impl < N_IMPL && !(voco_cpu_listed(names, impl_names[impl]) && can(ctx, g, impl)))
        impl++;
    return impl;
}

/*
 * Measured on two Zen 4 cores (OpenBLAS 0.3.21 and oneDNN 2.6.3, AVX-512): over many short
 * rows tiles take a fifth to a half less time than either, with 2048 rows all are alike.
 * On two Zen 3 cores (AVX2) with few rows OpenBLAS is ahead by up to two, oneDNN is behind;
 * on Zen 4 oneDNN is ahead forward and towards the data where weights are many: 44 rows by
 * 1024 x 1024 in 0.54 ms instead of 0.88, 256 by 1536 x 384 in 1.39 instead of 1.64.
 */
static enum impl
rule(const struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const bool many_weights = !g->ta && g->n * g->k >= 100000;

    if (rows_of(g) >= 1024 && can(ctx, g, TILES))
        return TILES;
    if (many_weights && voco_dnnl_has_avx512())
        return DNNL;
    return rows_of(g) >= 32768 || voco_cpu_blas_is_narrow() ? DNNL : BLAS;
}

static struct voco_shape
shape_of(const struct voco_gemm *g)
{
    if (g->ta)
        return voco_shape_linear(VOCO_SHAPE_LINEAR_WEIGHTS, g->k, g->n, g->m);
    if (g->tb)
        return voco_shape_linear(VOCO_SHAPE_LINEAR, g->m, g->k, g->n);
    return voco_shape_linear(VOCO_SHAPE_LINEAR_DATA, g->m, g->n, g->k);
}

static enum impl
choose(const struct voco_ctx *ctx, const struct voco_gemm *g)
{
    const struct voco_cpu *cpu = voco_cpu_state(ctx);
    const struct voco_shape shape = shape_of(g);
    enum impl impl = named(ctx, g, cpu->forced);

    if (impl == N_IMPL)
        impl = named(ctx, g, voco_choices_find(cpu->choices, &shape));
    return impl == N_IMPL ? rule(ctx, g) : impl;
}

/* A product of this shape, without operands. */
static struct voco_gemm
product_of(const struct voco_shape *s)
{
    const int64_t rows = s->size[0], in = s->size[1], out = s->size[2];

    if (s->op == VOCO_SHAPE_LINEAR_WEIGHTS)
        return (struct voco_gemm){ .ta = true, .add = true, .m = out, .n = in, .k = rows };
    if (s->op == VOCO_SHAPE_LINEAR)
        return (struct voco_gemm){ .tb = true, .m = rows, .n = out, .k = in };
    return (struct voco_gemm){ .m = rows, .n = in, .k = out };
}

int
voco_cpu_gemm_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                    const char *ret[VOCO_IMPLS_MAX])
{
    const struct voco_gemm g = product_of(s);
    const enum impl first = rule(ctx, &g);
    int n = 0;

    ret[n++] = impl_names[first];
    for (enum impl i = TILES; i < N_IMPL; i++)
        if (i != first && can(ctx, &g, i))
            ret[n++] = impl_names[i];
    return n;
}

const char *
voco_cpu_gemm_chosen(const struct voco_ctx *ctx, const struct voco_shape *s)
{
    const struct voco_gemm g = product_of(s);

    return impl_names[choose(ctx, &g)];
}

bool
voco_cpu_gemm_knows(const char *impl)
{
    for (enum impl i = TILES; i < N_IMPL; i++)
        if (strcmp(impl_names[i], impl) == 0)
            return true;
    return false;
}

static void
gemm(struct voco_ctx *ctx, const struct voco_gemm *g)
{
    if (g->m == 0 || g->n == 0)
        return;
    switch (choose(ctx, g)) {
    case TILES: voco_gemm_tiles(ctx, g); break;
    case BLAS: gemm_blas(ctx, g); break;
    default: gemm_dnnl(ctx, g); break;
    }
}

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

void
voco_gemm_add_columns(const struct voco_kernels *k, const float *x, int64_t i0, int64_t i1,
                      int64_t n, float *part, double *sum)
{
    const int64_t whole = n / (int64_t)k->lanes * (int64_t)k->lanes;
    const float one = 1;

    for (int64_t i = i0; i < i1; i += 64) {
        const int64_t end = i + 64 < i1 ? i + 64 : i1;

        k->product(&(struct voco_product){
            .a = &one, .b = x + i * n, .ldb = (size_t)n, .c = part, .ldc = (size_t)n,
            .m = 1, .n = (size_t)whole, .depth = (size_t)(end - i) });
        for (int64_t j = whole; j < n; j++) {
            part[j] = 0;
            for (int64_t r = i; r < end; r++)
                part[j] += x[r * n + j];
        }
        for (int64_t j = 0; j < n; j++)
            sum[j] += (double)part[j];
    }
}

/* The same for a tensor; spare [64,n] for widened rows. */
static void
add_columns(const struct voco_kernels *k, X x, int64_t i0, int64_t i1, float *part,
            double *sum, float *spare)
{
    const int64_t n = voco_cols(x);

    if (!voco_is_bf16(x)) {
        voco_gemm_add_columns(k, x->data, i0, i1, n, part, sum);
        return;
    }
    for (int64_t i = i0; i < i1; i += 64) {
        const int64_t rows = i1 - i < 64 ? i1 - i : 64;

        voco_gemm_add_columns(k, voco_block_read(k, x, i * n, rows * n, spare), 0, rows, n,
                              part, sum);
    }
}

void
voco_cpu_columns_add(struct voco_ctx *ctx, X x, float *y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t m = voco_rows(x), n = voco_cols(x);
    const int64_t floats = n + (voco_is_bf16(x) ? 64 * n : 0);
    const int threads = ctx->threads;
    const size_t each = (size_t)n * sizeof(double) + (size_t)floats * sizeof(float);
    double *sums = voco_cpu_scratch(ctx, (size_t)threads * each);
    float *parts;

    if (!sums)
        return;
    parts = (float *)(sums + (int64_t)threads * n);
    memset(sums, 0, (size_t)threads * (size_t)n * sizeof *sums);
    #pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num();
        float *own = parts + t * floats;
        int64_t i0, i1;

        voco_cpu_share(m, 1, t, omp_get_num_threads(), &i0, &i1);
        add_columns(k, x, i0, i1, own, sums + t * n, own + n);
    }
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;

        for (int t = 0; t < threads; t++)
            sum += sums[t * n + j];
        y[j] += (float)sum;
    }
}

/* dw[n,k] += dy' x, rows of dy and x split among threads, parts added in their order. */
static void
weights_by_rows(struct voco_ctx *ctx, const float *x, const float *dy, int64_t m, int64_t n,
                int64_t k, float *dw)
{
    const int threads = ctx->threads;
    float *parts = voco_cpu_scratch(ctx, (size_t)threads * (size_t)(n * k) * sizeof *parts);

    if (!parts)
        return;
    #pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        int64_t i0, i1;

        voco_cpu_share(m, 16, t, nt, &i0, &i1);
        voco_cpu_sgemm(true, false, n, k, i1 - i0, dy + i0 * n, n, x + i0 * k, k, false,
                       parts + t * n * k, k);
        #pragma omp barrier
        voco_cpu_share(n * k, 16, t, nt, &i0, &i1);
        for (int64_t i = i0; i < i1; i++) {
            float sum = parts[i];

            for (int p = 1; p < nt; p++)
                sum += parts[p * n * k + i];
            dw[i] += sum;
        }
    }
}

/* ---- bfloat16 where the CPU multiplies it: oneDNN ---- */

/* Both operands of a product are bfloat16, or become it. */
static bool
multiplies_bf16(const struct voco_ctx *ctx, X x)
{
    return voco_is_bf16(x) && voco_dnnl_has_bf16() && voco_rows(x) > 0
           && !voco_cpu_listed(voco_cpu_state(ctx)->forced, "blas");
}

/* a is bfloat16; b [k,n] or [n,k] too, or f32 weights, which are rounded here. */
static void
gemm_bf16(struct voco_ctx *ctx, const struct voco_dnnl_matmul *mm, X a, X b, X bias, Y y)
{
    const struct voco_cpu *cpu = voco_cpu_state(ctx);
    const struct voco_dnnl_op *op = voco_dnnl_matmul(cpu->dnnl, mm);
    const size_t rounded = voco_is_bf16(b) ? 0 : (size_t)(mm->k * mm->n) * sizeof(uint16_t);
    struct voco_dnnl_io io = { .src = a->data, .weights = b->data,
                               .bias = bias ? bias->data : NULL, .dst = y->data };
    size_t own;
    enum voco_err err;

    if (!op) {
        voco_ctx_fail(ctx, VOCO_EINTERNAL);
        return;
    }
    own = voco_aligned(voco_dnnl_scratch_bytes(op));
    if (!(io.scratch = voco_cpu_scratch(ctx, own + rounded)))
        return;
    if (rounded) {
        uint16_t *to = (uint16_t *)((char *)io.scratch + own);
        const int64_t n = mm->k * mm->n;

        #pragma omp parallel for num_threads(ctx->threads) schedule(static)
        for (int64_t i = 0; i < n; i += VOCO_BLOCK)
            cpu->kernels->narrow((const float *)b->data + i, to + i,
                                 (size_t)voco_block_size(n, i));
        io.weights = to;
    }
    if ((err = voco_dnnl_run(cpu->dnnl, op, &io)) != VOCO_OK)
        voco_ctx_fail(ctx, err);
}

/* ---- the entries ---- */

/* Rows of k and n numbers that are widened at a time: voco_small_scratch allows 4 MiB. */
static int64_t
rows_at_once(X x, X y)
{
    const int64_t rows = ((4 << 20) - 8192) / 4 / (voco_cols(x) + voco_cols(y));

    return voco_is_bf16(x) || voco_is_bf16(y) ? (rows < 1 ? 1 : rows) : voco_rows(x);
}

/* Rows [from, from + n) of a matrix of tokens. */
static struct voco_tensor
some_rows(X x, int64_t from, int64_t n)
{
    const struct voco_tensor tokens = voco_as_tokens(x);

    return voco_slice(&tokens, from, n);
}

/*
 * A product of bfloat16 if tiles can, and are the choice.  Of 131072 rows on two Zen 4 cores
 * tiles take 0.7 of oneDNN's time where 192 or 144 numbers are summed up for one of 48, as
 * long with 48 and 48, and 1.15 where few are summed up for a long row.
 */
static bool
gemm_pairs(struct voco_ctx *ctx, struct voco_gemm g, X a, Y c)
{
    if (g.k < g.n || !voco_gemm_pairs_can(ctx, a, c) || choose(ctx, &g) != TILES)
        return false;
    g.a_bf16 = a->data;
    g.c_bf16 = c->data;
    voco_gemm_tiles(ctx, &g);
    return true;
}

/* A product of f32. */
static void
gemm_f32(struct voco_ctx *ctx, struct voco_gemm g, X a, Y c)
{
    g.a = voco_f32(a);
    g.c = voco_f32(c);
    gemm(ctx, &g);
}

/* y = x w' + b */
static struct voco_gemm
forward(X x, X w, X b)
{
    const int64_t k = voco_cols(x), n = w->dim[0];

    return (struct voco_gemm){ .tb = true, .m = voco_rows(x), .n = n, .k = k, .lda = k,
                               .b = voco_f32(w), .ldb = k, .bias = voco_f32(b), .ldc = n };
}

/* dx = dy w */
static struct voco_gemm
backward_data(X dy, X w)
{
    const int64_t n = voco_cols(dy), k = voco_cols(w);

    return (struct voco_gemm){ .m = voco_rows(dy), .n = k, .k = n, .lda = n,
                               .b = voco_f32(w), .ldb = k, .ldc = k };
}

void
voco_cpu_linear_forward(struct voco_ctx *ctx, X x, X w, X b, Y y)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t m = voco_rows(x), step = rows_at_once(x, y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_cols(w) == voco_cols(x) && voco_rows(y) == m
                && voco_cols(y) == w->dim[0]);
    if (gemm_pairs(ctx, forward(x, w, b), x, y))
        return;
    if (multiplies_bf16(ctx, x)) {
        gemm_bf16(ctx, &(struct voco_dnnl_matmul){
            .m = m, .n = w->dim[0], .k = voco_cols(x), .b_transposed = true,
            .bias = b != NULL, .bf16 = true, .bf16_y = voco_is_bf16(y) }, x, w, b, y);
        return;
    }
    for (int64_t i = 0; i < m && !ctx->err; i += step) {
        const int64_t rows = m - i < step ? m - i : step;
        const struct voco_tensor some_x = some_rows(x, i, rows);
        const struct voco_tensor some_y = some_rows(y, i, rows);
        const struct voco_tensor wide_x = voco_cpu_widened(ctx, &some_x);
        const struct voco_tensor wide_y = voco_cpu_room(ctx, &some_y);

        if (!ctx->err)
            gemm_f32(ctx, forward(&wide_x, w, b), &wide_x, &wide_y);
        voco_cpu_narrow(ctx, &wide_y, &some_y);
        voco_arena_release(&ctx->temp, mark);
    }
}

void
voco_cpu_linear_backward_data(struct voco_ctx *ctx, X dy, X w, Y dx)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t m = voco_rows(dy), step = rows_at_once(dy, dx);

    if (ctx->err)
        return;
    VOCO_ASSERT(w->dim[0] == voco_cols(dy) && voco_rows(dx) == m
                && voco_cols(dx) == voco_cols(w));
    if (gemm_pairs(ctx, backward_data(dy, w), dy, dx))
        return;
    if (multiplies_bf16(ctx, dy)) {
        gemm_bf16(ctx, &(struct voco_dnnl_matmul){
            .m = m, .n = voco_cols(w), .k = voco_cols(dy), .bf16 = true,
            .bf16_y = voco_is_bf16(dx) }, dy, w, NULL, dx);
        return;
    }
    for (int64_t i = 0; i < m && !ctx->err; i += step) {
        const int64_t rows = m - i < step ? m - i : step;
        const struct voco_tensor some_dy = some_rows(dy, i, rows);
        const struct voco_tensor some_dx = some_rows(dx, i, rows);
        const struct voco_tensor wide_dy = voco_cpu_widened(ctx, &some_dy);
        const struct voco_tensor wide_dx = voco_cpu_room(ctx, &some_dx);

        if (!ctx->err)
            gemm_f32(ctx, backward_data(&wide_dy, w), &wide_dy, &wide_dx);
        voco_cpu_narrow(ctx, &wide_dx, &some_dx);
        voco_arena_release(&ctx->temp, mark);
    }
}

/* Whether dy' x is for tiles. */
static bool
tiles_of_weights(const struct voco_ctx *ctx, X x, X dy)
{
    const struct voco_gemm g = { .ta = true, .add = true, .m = voco_cols(dy),
                                 .n = voco_cols(x), .k = voco_rows(x) };

    return g.m > 0 && g.n > 0 && choose(ctx, &g) == TILES;
}

/* dw += dy' x, and db += column sums of dy unless NULL */
static void
backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw, Y db)
{
    const int64_t m = voco_rows(x), k = voco_cols(x), n = voco_cols(dy);
    const struct voco_gemm g = { .ta = true, .add = true, .m = n, .n = k, .k = m,
                                 .a = voco_f32(dy), .lda = n, .b = voco_f32(x), .ldb = k,
                                 .c = voco_f32(dw), .ldc = k };

    if (tiles_of_weights(ctx, x, dy)) {
        voco_gemm_tiles_weights(ctx, x, dy, voco_f32(dw), voco_f32(db));
        return;
    }
    if (choose(ctx, &g) == BLAS && m >= 1024 * ctx->threads && n * k <= 256 << 10)
        weights_by_rows(ctx, voco_f32(x), voco_f32(dy), m, n, k, voco_f32(dw));
    else
        gemm(ctx, &g);
    if (db && !ctx->err)
        voco_cpu_columns_add(ctx, dy, voco_f32(db));
}

void
voco_cpu_linear_backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw, Y db)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t m = voco_rows(x), step = rows_at_once(x, dy);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(dy) == m && dw->dim[0] == voco_cols(dy)
                && voco_cols(dw) == voco_cols(x));
    if (voco_gemm_pairs_can(ctx, x, dy) && tiles_of_weights(ctx, x, dy)) {
        voco_gemm_tiles_weights(ctx, x, dy, voco_f32(dw), voco_f32(db));
        return;
    }
    if (voco_is_bf16(x) && multiplies_bf16(ctx, dy)) {
        gemm_bf16(ctx, &(struct voco_dnnl_matmul){
            .m = voco_cols(dy), .n = voco_cols(x), .k = m, .a_transposed = true,
            .add = true, .bf16 = true }, dy, x, NULL, dw);
        if (db && !ctx->err)
            voco_cpu_columns_add(ctx, dy, voco_f32(db));
        return;
    }
    for (int64_t i = 0; i < m && !ctx->err; i += step) {
        const int64_t rows = m - i < step ? m - i : step;
        const struct voco_tensor some_x = some_rows(x, i, rows);
        const struct voco_tensor some_dy = some_rows(dy, i, rows);
        const struct voco_tensor wide_x = voco_cpu_widened(ctx, &some_x);
        const struct voco_tensor wide_dy = voco_cpu_widened(ctx, &some_dy);

        if (!ctx->err)
            backward_weights(ctx, &wide_x, &wide_dy, dw, db);
        voco_arena_release(&ctx->temp, mark);
    }
}
