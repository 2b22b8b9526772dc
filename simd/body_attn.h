/*
 * Attention of one head in one window: small dense products over panels that stay in
 * cache, VOCO_ATTN_ROWS queries at a time.
 */
#ifndef VOCO_SIMD_BODY_ATTN_H
#define VOCO_SIMD_BODY_ATTN_H

/* Rows of a window are far apart in memory, which no hardware foresees. */
enum { PREFETCH_ROWS = 16 };

static ALWAYS_INLINE void
prefetch_row(const struct voco_rows *a, size_t i, const void *x, const size_t size)
{
    if (i + PREFETCH_ROWS < a->rows) {
        const size_t at = (size_t)a->row[i + PREFETCH_ROWS] * a->stride;

        for (size_t d = 0; d < a->head_dim; d += 64 / size)     /* a cache line */
            __builtin_prefetch((const char *)x + (at + d) * size);
    }
}

static void
gather(const struct voco_rows *args, const void *x, float *panel)
{
    const struct voco_rows copy = *args, *a = &copy;
    const vf scaled = v_set(a->scale);

    for (size_t i = 0; i < a->rows; i++, panel += a->head_row) {
        const size_t at = (size_t)a->row[i] * a->stride;

        if (a->bf16) {
            prefetch_row(a, i, x, sizeof(uint16_t));
            for (size_t d = 0; d < a->head_row; d += VW)
                v_store(panel + d, v_mul(load_bf16_at((const uint16_t *)x + at, d,
                                                      a->head_dim), scaled));
        } else {
            prefetch_row(a, i, x, sizeof(float));
            for (size_t d = 0; d < a->head_row; d += VW)
                v_store(panel + d, v_mul(load_at((const float *)x + at, d, a->head_dim),
                                         scaled));
        }
    }
}

static void
scatter(const struct voco_rows *args, const float *panel, void *x)
{
    const struct voco_rows copy = *args, *a = &copy;
    const vf scaled = v_set(a->scale);

    for (size_t i = 0; i < a->rows; i++, panel += a->head_row) {
        const size_t at = (size_t)a->row[i] * a->stride;

        if (a->bf16) {
            prefetch_row(a, i, x, sizeof(uint16_t));
            for (size_t d = 0; d < a->head_dim; d += VW)
                store_bf16_at((uint16_t *)x + at, d, a->head_dim,
                              v_mul(v_load(panel + d), scaled));
        } else {
            prefetch_row(a, i, x, sizeof(float));
            for (size_t d = 0; d < a->head_dim; d += VW)
                store_at((float *)x + at, d, a->head_dim, v_mul(v_load(panel + d), scaled));
        }
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

        product(&(struct voco_product){ .a = a->q + i * a->head_row, .row = a->head_row,
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
        product(&(struct voco_product){ .a = a->work, .row = a->cols, .step = 1, .b = a->v,
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

static float
row_dot(const float *x, const float *y, size_t n)
{
    vf sum = v_zero();

    for (size_t d = 0; d < n; d += VW)
        sum = v_fma(v_load(x + d), v_load(y + d), sum);
    return v_sum(sum);
}

/* Queries [i, i + m) and keys [j, j + n): P and dS of the block stay in the first cache.
 * The gradients of keys and values are made transposed, so that vectors run along keys:
 * a tile of one vector, head_dim, would need a broadcast for each multiply-add. */
static void
attn_grad_block(const struct voco_attn_grad *a, size_t i, size_t m, size_t j, size_t n,
                const float *delta)
{
    const size_t cols = a->cols, hr = a->head_row;
    const float *q = a->q + i * hr, *dy = a->dy + i * hr;
    float *p = a->work, *ds = p + m * n;
    struct voco_product scores = { .a = q, .row = hr, .step = 1, .b = a->kt + j,
                                   .ldb = cols, .c = p, .ldc = n, .m = m, .n = n,
                                   .depth = a->head_dim };
    struct voco_product back = { .row = 1, .step = hr, .ldb = n, .ldc = cols,
                                 .m = a->head_dim, .n = n, .depth = m, .add = i > 0 };

    product(&scores);                               /* S = q k' */
    scores.a = dy, scores.b = a->vt + j, scores.c = ds;
    product(&scores);                               /* dP = dy v' */
    for (size_t r = 0; r < m; r++)
        softmax_grad_row(p + r * n, ds + r * n, a->bias + (i + r) * cols + j,
                         a->dbias + (i + r) * cols + j, a->lse[i + r], delta[r], n);
    product(&(struct voco_product){ .a = ds, .row = n, .step = 1, .b = a->k + j * hr,
                                    .ldb = hr, .c = a->dq + i * hr, .ldc = hr, .m = m,
                                    .n = hr, .depth = n, .add = j > 0 });
    back.a = q, back.b = ds, back.c = a->dkt + j;
    product(&back);                                 /* dk' += q' dS */
    back.a = dy, back.b = p, back.c = a->dvt + j;
    product(&back);                                 /* dv' += dy' P */
}

static void
attn_grad(const struct voco_attn_grad *args)
{
    const struct voco_attn_grad copy = *args, *a = &copy;
    const size_t cols = a->cols, hr = a->head_row;
    float delta[VOCO_ATTN_GRAD_ROWS];

    if (a->rows == 0)
        for (size_t j = 0; j < a->head_dim * cols; j++)
            a->dkt[j] = a->dvt[j] = 0;
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_GRAD_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_GRAD_ROWS ? a->rows - i
                                                           : VOCO_ATTN_GRAD_ROWS;

        for (size_t r = 0; r < m; r++)
            delta[r] = row_dot(a->dy + (i + r) * hr, a->y + (i + r) * hr, hr);
        for (size_t j = 0; j < cols; j += VOCO_ATTN_GRAD_COLS)
            attn_grad_block(a, i, m, j, cols - j < VOCO_ATTN_GRAD_COLS
                                        ? cols - j : VOCO_ATTN_GRAD_COLS, delta);
    }
}

#endif
