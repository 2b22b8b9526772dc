/*
 * Attention of one head in one window: small dense products over panels that stay in
 * cache, VOCO_ATTN_ROWS queries at a time.
 */
#ifndef VOCO_SIMD_BODY_ATTN_H
#define VOCO_SIMD_BODY_ATTN_H

/* c [m,n] = a b, or += a b: element (i,k) of a is at i * row + k * step, so a may be
 * a transposed matrix; rows of b and c hold n floats, n a multiple of VW. */
struct product {
    const float *a;
    size_t row, step;
    const float *b;
    float *c;
    size_t m, n, depth;
    size_t ldb, ldc;
    bool add;
};

/* A tile of rows x wide vectors, both compile-time constants. */
static ALWAYS_INLINE void
tile(const struct product *p, size_t i, size_t j, const int rows, const int wide)
{
    const float *a = p->a + i * p->row, *b = p->b + j;
    float *c = p->c + i * p->ldc + j;
    vf acc[TILE_ROWS][2];

    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int v = 0; v < wide; v++)
            acc[r][v] = p->add ? v_load(c + (size_t)r * p->ldc + v * VW) : v_zero();
    for (size_t k = 0; k < p->depth; k++, a += p->step, b += p->ldb) {
        vf bk[2];

        UNROLL
        for (int v = 0; v < wide; v++)
            bk[v] = v_load(b + v * VW);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf x = v_set(a[(size_t)r * p->row]);

            UNROLL
            for (int v = 0; v < wide; v++)
                acc[r][v] = v_fma(x, bk[v], acc[r][v]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int v = 0; v < wide; v++)
            v_store(c + (size_t)r * p->ldc + v * VW, acc[r][v]);
}

static ALWAYS_INLINE void
columns(const struct product *p, size_t j, const int wide)
{
    size_t i = 0;

    for (; i + TILE_ROWS <= p->m; i += TILE_ROWS)
        tile(p, i, j, TILE_ROWS, wide);
    for (; i + TILE_ROWS / 3 <= p->m; i += TILE_ROWS / 3)
        tile(p, i, j, TILE_ROWS / 3, wide);
    for (; i < p->m; i++)
        tile(p, i, j, 1, wide);
}

static void
multiply(const struct product *p)
{
    size_t j = 0;

    for (; j + 2 * VW <= p->n; j += 2 * VW)
        columns(p, j, 2);
    if (j < p->n)
        columns(p, j, 1);
}

/* Rows of a window are far apart in memory, which no hardware foresees. */
enum { PREFETCH_ROWS = 16 };

static ALWAYS_INLINE void
prefetch_row(const struct voco_rows *a, size_t i, const float *x)
{
    if (i + PREFETCH_ROWS < a->rows)
        for (size_t d = 0; d < a->head_dim; d += 16)    /* a cache line */
            __builtin_prefetch(x + (size_t)a->row[i + PREFETCH_ROWS] * a->stride + d);
}

static void
gather(const struct voco_rows *args, const float *x, float *panel)
{
    const struct voco_rows copy = *args, *a = &copy;
    const vf scaled = v_set(a->scale);

    for (size_t i = 0; i < a->rows; i++, panel += a->head_row) {
        const float *in = x + (size_t)a->row[i] * a->stride;

        prefetch_row(a, i, x);
        for (size_t d = 0; d < a->head_row; d += VW)
            v_store(panel + d, v_mul(load_at(in, d, a->head_dim), scaled));
    }
}

static void
scatter(const struct voco_rows *args, const float *panel, float *x)
{
    const struct voco_rows copy = *args, *a = &copy;
    const vf scaled = v_set(a->scale);

    for (size_t i = 0; i < a->rows; i++, panel += a->head_row) {
        float *out = x + (size_t)a->row[i] * a->stride;

        prefetch_row(a, i, x);
        for (size_t d = 0; d < a->head_dim; d += VW)
            store_at(out, d, a->head_dim, v_mul(v_load(panel + d), scaled));
    }
}

/*
 * In place: s = exp(s + bias - top) where top is the largest s + bias.  Returns the sum.
 * The bias is read here, along rows: to start the products from it would read it in
 * narrow columns, which no prefetcher follows and which took a third more time in all.
 */
static float
softmax_row(float *s, const float *bias, size_t cols, float *ret_top)
{
    vf top = v_set(VOCO_ATTN_NONE), sum = v_zero();

    for (size_t j = 0; j < cols; j += VW) {
        const vf t = v_add(v_load(s + j), v_load(bias + j));

        v_store(s + j, t);
        top = v_max(top, t);
    }
    *ret_top = v_top(top);
    top = v_set(*ret_top);
    for (size_t j = 0; j < cols; j += VW) {
        const vf e = v_exp(v_sub(v_load(s + j), top));

        v_store(s + j, e);
        sum = v_add(sum, e);
    }
    return v_sum(sum);
}

static void
attn(const struct voco_attn_tile *a)
{
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_ROWS ? a->rows - i : VOCO_ATTN_ROWS;
        float *y = a->y + i * a->head_row, over[VOCO_ATTN_ROWS];

        multiply(&(struct product){ .a = a->q + i * a->head_row, .row = a->head_row,
                                    .step = 1, .b = a->kt, .ldb = a->cols, .c = a->work,
                                    .ldc = a->cols, .m = m, .n = a->cols,
                                    .depth = a->head_dim });
        for (size_t r = 0; r < m; r++) {
            float top;
            const float sum = softmax_row(a->work + r * a->cols,
                                          a->bias + (i + r) * a->cols, a->cols, &top);

            over[r] = 1 / sum;
            a->lse[i + r] = top + logf(sum);
        }
        multiply(&(struct product){ .a = a->work, .row = a->cols, .step = 1, .b = a->v,
                                    .ldb = a->head_row, .c = y, .ldc = a->head_row,
                                    .m = m, .n = a->head_row, .depth = a->cols });
        for (size_t r = 0; r < m; r++)
            for (size_t d = 0; d < a->head_row; d += VW)
                v_store(y + r * a->head_row + d,
                        v_mul(v_load(y + r * a->head_row + d), v_set(over[r])));
    }
}

/* In place: s = P = exp(s + bias - lse), ds = P (ds - delta), dbias += ds. */
static void
softmax_grad_row(float *s, float *ds, const float *bias, float *dbias, float lse,
                 float delta, size_t cols)
{
    const vf l = v_set(lse), d = v_set(delta);

    for (size_t j = 0; j < cols; j += VW) {
        const vf p = v_exp(v_sub(v_add(v_load(s + j), v_load(bias + j)), l));
        const vf g = v_mul(p, v_sub(v_load(ds + j), d));

        v_store(s + j, p);
        v_store(ds + j, g);
        v_store(dbias + j, v_add(v_load(dbias + j), g));
    }
}

static void
attn_grad(const struct voco_attn_grad *a)
{
    const size_t cols = a->cols, hr = a->head_row;
    float *p = a->work, *ds = a->work + VOCO_ATTN_ROWS * cols;

    if (a->rows == 0)
        for (size_t j = 0; j < cols * hr; j++)
            a->dk[j] = a->dv[j] = 0;
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_ROWS ? a->rows - i : VOCO_ATTN_ROWS;
        const float *q = a->q + i * hr, *dy = a->dy + i * hr, *y = a->y + i * hr;
        struct product scores = { .a = q, .row = hr, .step = 1, .b = a->kt, .ldb = cols,
                                  .c = p, .ldc = cols, .m = m, .n = cols,
                                  .depth = a->head_dim };
        struct product back = { .row = 1, .step = cols, .ldb = hr, .ldc = hr, .m = cols,
                                .n = hr, .depth = m, .add = i > 0 };

        multiply(&scores);                          /* S = q k' */
        scores.a = dy, scores.b = a->vt, scores.c = ds;
        multiply(&scores);                          /* dP = dy v' */
        for (size_t r = 0; r < m; r++) {
            vf delta = v_zero();

            for (size_t d = 0; d < hr; d += VW)
                delta = v_fma(v_load(dy + r * hr + d), v_load(y + r * hr + d), delta);
            softmax_grad_row(p + r * cols, ds + r * cols, a->bias + (i + r) * cols,
                             a->dbias + (i + r) * cols, a->lse[i + r], v_sum(delta),
                             cols);
        }
        multiply(&(struct product){ .a = ds, .row = cols, .step = 1, .b = a->k, .ldb = hr,
                                    .c = a->dq + i * hr, .ldc = hr, .m = m, .n = hr,
                                    .depth = cols });
        back.a = ds, back.b = q, back.c = a->dk;
        multiply(&back);                            /* dk += dS' q */
        back.a = p, back.b = dy, back.c = a->dv;
        multiply(&back);                            /* dv += P' dy */
    }
}

#endif
