/*
 * Dense products by tiles of registers: linear layers, and those inside attention.
 *
 * A tile is TILE_ROWS rows by 3 vectors where the columns allow it: three loads of b and
 * one broadcast a row feed three multiply-adds each.  Two vectors take TILE_TALL rows; one
 * takes 8, as many as the latency of a multiply-add needs independent ones.
 */
#ifndef VOCO_SIMD_BODY_GEMM_H
#define VOCO_SIMD_BODY_GEMM_H

enum { TILE_MOST = 12, TILE_WIDE = 3, TILE_NARROW = 8 };

/* The bytes that are fetched into the second cache meanwhile, from ahead.at on, a line at
 * each step of the sum: the next rows of a where these are whole; where a is transposed,
 * rows are summed over, and the tiles of a panel together fetch its rows of b behind
 * these. */
struct ahead {
    const float *at;
    size_t step;
};

static ALWAYS_INLINE struct ahead
ahead_of(const struct voco_product *p, size_t i, size_t j, const int rows, const int wide,
         const bool pairs)
{
    if (pairs && p->row == 1) {
        const size_t line = 16, place = (i + j / ((size_t)wide * VW) * p->m) / (size_t)rows
                                        * p->depth * line;
        const size_t first = p->next_floats[0], both = first + p->next_floats[1];

        return place < first ? (struct ahead){ p->next[0] + place, line }
               : place < both ? (struct ahead){ p->next[1] + (place - first), line }
               : (struct ahead){ p->b, 0 };
    }
    if (p->row == 1 && p->step > 1)
        return (struct ahead){ p->b + p->depth * p->ldb + j + i * (size_t)wide * VW / p->m,
                               p->ldb };
    return (struct ahead){ p->a + (i + (size_t)rows) * p->row,
                           p->step == 1 && p->row == p->depth ? (size_t)rows : 0 };
}

/* sum[v] += x b[v]; pairs: of pairs of bfloat16 in x and in the lanes of b. */
static ALWAYS_INLINE void
multiply_add(const float *x, const vf *b, vf *sum, const int wide, const bool pairs)
{
    const vf all = v_set(*x);

    UNROLL
    for (int v = 0; v < wide; v++)
#ifdef VEC_BF16
        if (pairs)
            sum[v] = wide == 1 ? v_fma_pairs_at(x, b[v], sum[v])
                               : v_fma_pairs(all, b[v], sum[v]);
        else
#endif
            sum[v] = v_fma(all, b[v], sum[v]);
    (void)pairs;
}

/* p, of which the compiler knows nothing.  It would else keep a pointer to each vector of c
 * in memory and move all of them from tile to tile: a fifth of the time of short sums. */
static ALWAYS_INLINE void *
hidden(void *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* The initial accumulators of the tile at (i,j): c, the bias, or zeros. */
static ALWAYS_INLINE void
start(const struct voco_product *p, size_t i, size_t j, vf acc[TILE_MOST][TILE_WIDE],
      const int rows, const int wide)
{
    float *c;

    if (!p->add) {
        UNROLL
        for (int r = 0; r < rows; r++)
            UNROLL
            for (int v = 0; v < wide; v++)
                acc[r][v] = p->bias ? v_load(p->bias + j + (size_t)v * VW) : v_zero();
        return;
    }
    c = p->c + i * p->ldc + j;
    UNROLL
    for (int r = 0; r < rows; r++, c = hidden(c + p->ldc))
        UNROLL
        for (int v = 0; v < wide; v++)
            acc[r][v] = v_load(c + v * VW);
}

/* Stores the tile at (i,j). */
static ALWAYS_INLINE void
finish(const struct voco_product *p, size_t i, size_t j, vf acc[TILE_MOST][TILE_WIDE],
       const int rows, const int wide)
{
    float *c = p->c + i * p->ldc + j;

    if (p->stream) {
        UNROLL
        for (int r = 0; r < rows; r++, c = hidden(c + p->ldc))
            UNROLL
            for (int v = 0; v < wide; v++)
                v_stream(c + v * VW, acc[r][v]);
        return;
    }
    UNROLL
    for (int r = 0; r < rows; r++, c = hidden(c + p->ldc))
        UNROLL
        for (int v = 0; v < wide; v++)
            v_store(c + v * VW, acc[r][v]);
}

static ALWAYS_INLINE void
finish_bf16(const struct voco_product *p, size_t i, size_t j,
            vf acc[TILE_MOST][TILE_WIDE], const int rows, const int wide)
{
    uint16_t *c = p->c_bf16 + i * p->ldc + j;

    if (p->stream) {
        UNROLL
        for (int r = 0; r < rows; r++, c = hidden(c + p->ldc))
            UNROLL
            for (int v = 0; v < wide; v++)
                v_stream_bf16(c + v * VW, acc[r][v]);
        return;
    }
    UNROLL
    for (int r = 0; r < rows; r++, c = hidden(c + p->ldc))
        UNROLL
        for (int v = 0; v < wide; v++)
            v_store_bf16(c + v * VW, acc[r][v]);
}

/* A tile of rows x wide vectors, both compile-time constants. */
static ALWAYS_INLINE void
tile(const struct voco_product *p, size_t i, size_t j, const int rows, const int wide,
     const bool pairs)
{
    const float *a = p->a + i * p->row, *b = p->b + j;
    const size_t row = p->row, step = p->step, ldb = p->ldb;
    const struct ahead ahead = ahead_of(p, i, j, rows, wide, pairs);
    vf acc[TILE_MOST][TILE_WIDE];

    start(p, i, j, acc, rows, wide);
    UNROLL_4
    for (size_t k = 0; k < p->depth; k++, a += step, b += ldb) {
        vf bk[TILE_WIDE];

        UNROLL
        for (int v = 0; v < wide; v++)
            bk[v] = v_load(b + v * VW);
        if (wide == TILE_WIDE)
            __builtin_prefetch(ahead.at + k * ahead.step, 0, 2);
        UNROLL
        for (int r = 0; r < rows; r++)
            multiply_add(a + (size_t)r * row, bk, acc[r], wide, pairs);
    }
    if (pairs && p->c_bf16)
        finish_bf16(p, i, j, acc, rows, wide);
    else
        finish(p, i, j, acc, rows, wide);
}

static ALWAYS_INLINE void
columns(const struct voco_product *p, size_t j, const int rows, const int wide,
        const bool pairs)
{
    size_t i = 0;

    for (; i + (size_t)rows <= p->m; i += (size_t)rows)
        tile(p, i, j, rows, wide, pairs);
    for (; i + 4 <= p->m; i += 4)
        tile(p, i, j, 4, wide, pairs);
    for (; i < p->m; i++)
        tile(p, i, j, 1, wide, pairs);
}

static ALWAYS_INLINE void
product_of(const struct voco_product *args, const bool pairs)
{
    struct voco_product copy = *args;
    const struct voco_product *p = &copy;
    size_t left = p->n / VW, j = 0;

    copy.stream = copy.stream && copy.ldc % VW == 0
                  && (copy.c_bf16 ? can_stream(copy.c_bf16, true)
                                  : can_stream(copy.c, false));

    for (; left >= 3 && left != 4; left -= 3, j += 3 * VW)
        columns(p, j, TILE_ROWS, 3, pairs);
    for (; left >= 2; left -= 2, j += 2 * VW)
        columns(p, j, TILE_TALL, 2, pairs);
    if (left)
        columns(p, j, TILE_NARROW, 1, pairs);
    if (p->stream)
        v_stream_end();
}

static void
product(const struct voco_product *p)
{
    product_of(p, false);
}

#ifdef VEC_BF16
static void
pair_rows(const uint16_t *x, size_t ldx, size_t rows, size_t n, float *y)
{
    for (size_t i = 0; i < rows; i += 2, x += 2 * ldx)
        for (size_t j = 0; j < n; j += VW, y += VW)
            v_store(y, v_load_pairs(x + j, i + 1 < rows ? x + ldx + j : NULL, n - j));
}

static void
product_pairs(const struct voco_product *p)
{
    product_of(p, true);
}
#endif

#endif
