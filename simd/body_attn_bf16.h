/*
 * Attention of one head in one window with products of bfloat16: pairs of neighbours along
 * what is summed over are multiplied at once and added up in f32.
 *
 * A left operand is broadcast, a pair at a time, from rows as they are; a right one has the
 * pairs of a column beside those of the next.  So k and v are laid out twice in backward:
 * with pairs along head_dim, [head_row/2,cols], for S = q k' and dP = dy v'; and along
 * keys, [cols/2,head_row], for y = P v and dq = dS k.  q and dy get pairs along queries.
 */
#ifndef VOCO_SIMD_BODY_ATTN_BF16_H
#define VOCO_SIMD_BODY_ATTN_BF16_H

static void
gather_bf16(const struct voco_rows *args, const uint16_t *x, uint16_t *panel)
{
    const struct voco_rows copy = *args, *a = &copy;

    for (size_t i = 0; i < a->rows; i++, panel += a->head_row) {
        const uint16_t *row = x + (size_t)a->row[i] * a->stride;

        prefetch_row(a, i, x, sizeof *x);
        for (size_t d = 0; d < a->head_row; d += VW) {
            if (d + VW <= a->head_dim) {
                memcpy(panel + d, row + d, VW * sizeof *x);
            } else {
                memset(panel + d, 0, VW * sizeof *x);
                if (d < a->head_dim)
                    memcpy(panel + d, row + d, (a->head_dim - d) * sizeof *x);
            }
        }
    }
}

/* out[d,n], d < pairs: the pairs of each row of x [n,head_row], transposed; n in vectors. */
static void
transpose_pairs(const uint16_t *x, size_t n, size_t head_row, size_t pairs, float *out)
{
    for (size_t i = 0; i < n; i += VW, x += VW * head_row)
        for (size_t d = 0; d < pairs; d++)
            for (size_t j = 0; j < VW; j++)
                memcpy(out + d * n + i + j, x + j * head_row + 2 * d, sizeof *out);
}

/*
 * s = exp(scale s + bias - top) where top is the largest scale s + bias, in bfloat16 at the
 * beginning of the row.  Returns the sum before it is rounded.
 */
static float
softmax_row_bf16(float *s, const float *bias, float scale, size_t cols, float *ret_top)
{
    uint16_t *p = (uint16_t *)(void *)s;
    const vf scaled = v_set(scale);
    vf top = v_set(VOCO_ATTN_NONE), sum = v_zero(), more = v_zero();
    size_t j = 0;

    for (; j < cols; j += VW) {
        const vf t = v_fma(v_load(s + j), scaled, v_load(bias + j));

        v_store(s + j, t);
        top = v_max(top, t);
    }
    *ret_top = v_top(top);
    top = v_set(*ret_top);
    for (j = 0; j + 2 * VW <= cols; j += 2 * VW) {
        const vf e = v_exp(v_sub(v_load(s + j), top));
        const vf f = v_exp(v_sub(v_load(s + j + VW), top));

        v_store_2_bf16(p + j, e, f);
        sum = v_add(sum, e);
        more = v_add(more, f);
    }
    if (j < cols) {
        const vf e = v_exp(v_sub(v_load(s + j), top));

        v_store_bf16(p + j, e);
        sum = v_add(sum, e);
    }
    return v_sum(v_add(sum, more));
}

static void
attn_bf16(const struct voco_attn_bf16 *a)
{
    const size_t cols = a->cols, hr = a->head_row, pairs = (a->head_dim + 1) / 2;
    float *kt = a->work, *v = kt + cols * hr / 2, *s = v + cols * hr / 2;

    transpose_pairs(a->k, cols, hr, pairs, kt);
    pair_rows(a->v, hr, cols, hr, v);
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_ROWS ? a->rows - i : VOCO_ATTN_ROWS;
        float *y = a->y + i * hr, over[VOCO_ATTN_ROWS];

        product_pairs(&(struct voco_product){
            .a = (const float *)(const void *)(a->q + i * hr), .row = hr / 2, .step = 1,
            .b = kt, .ldb = cols, .c = s, .ldc = cols, .m = m, .n = cols, .depth = pairs });
        for (size_t r = 0; r < m; r++) {
            float top;
            const float sum = softmax_row_bf16(s + r * cols, a->bias + (i + r) * cols,
                                               a->scale, cols, &top);

            over[r] = 1 / sum;
            a->lse[i + r] = top + logf(sum);
        }
        product_pairs(&(struct voco_product){
            .a = s, .row = cols, .step = 1, .b = v, .ldb = hr, .c = y, .ldc = hr, .m = m,
            .n = hr, .depth = cols / 2 });
        for (size_t r = 0; r < m; r++)
            for (size_t d = 0; d < hr; d += VW)
                v_store(y + r * hr + d, v_mul(v_load(y + r * hr + d), v_set(over[r])));
    }
}

/* ---- backward ---- */

/* Where things are in the work of attn_bf16_grad; a block is m queries by n keys. */
struct grad_bf16 {
    float *kt, *vt;             /* [head_row/2,cols] pairs along head_dim */
    float *k;                   /* [cols/2,head_row] pairs along keys */
    float *q, *dy;              /* [rows/2,head_row] pairs along queries */
    float *p, *ds;              /* [m,n] S and dP; then, in rows 0, 2, .., P and dS in pairs
                                 * along queries */
    uint16_t *ds_keys;          /* [m,n] dS in pairs along keys */
    float delta[VOCO_ATTN_GRAD_ROWS];
};

/* A row of a block: where its vectors begin, and its numbers in all lanes. */
struct row_bf16 {
    const float *bias;
    float *dbias;
    vf lse, delta;
};

static ALWAYS_INLINE struct row_bf16
row_at(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w, size_t i, size_t r,
       size_t j)
{
    const size_t at = (i + r) * a->cols + j;

    return (struct row_bf16){ a->bias + at, a->dbias + at, v_set(a->lse[i + r]),
                              v_set(w->delta[r]) };
}

/* P = exp(scale s + bias - lse) and dS = P (dp - delta) of a vector of keys. */
static ALWAYS_INLINE vf
softmax_grad(const struct row_bf16 *row, size_t c, vf scale, vf s, vf dp, vf *ret_ds)
{
    const vf t = v_fma(s, scale, v_load(row->bias + c));
    const vf p = v_exp(v_sub(t, row->lse));

    *ret_ds = v_mul(p, v_sub(dp, row->delta));
    v_store(row->dbias + c, v_add(v_load(row->dbias + c), *ret_ds));
    return p;
}

/* Rows r and r + 1 of a block at (i,j) with n keys, or row r alone and zeros. */
static ALWAYS_INLINE void
softmax_grad_rows(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w, size_t i,
                  size_t r, size_t j, size_t n, const bool alone)
{
    const struct row_bf16 first = row_at(a, w, i, r, j);
    const struct row_bf16 second = row_at(a, w, i, alone ? r : r + 1, j);
    const vf scale = v_set(a->scale);
    float *p = w->p + r * n, *ds = w->ds + r * n;
    uint16_t *keys = w->ds_keys + r * n;

    for (size_t c = 0; c < n; c += VW) {
        vf p1 = v_zero(), d0, d1 = v_zero();
        const vf p0 = softmax_grad(&first, c, scale, v_load(p + c), v_load(ds + c), &d0);

        if (!alone)
            p1 = softmax_grad(&second, c, scale, v_load(p + n + c), v_load(ds + n + c), &d1);
        v_store(p + c, v_round_pair(p0, p1));
        v_store(ds + c, v_round_pair(d0, d1));
        v_store_bf16(keys + c, d0);
        if (!alone)
            v_store_bf16(keys + n + c, d1);
    }
}

/* Queries [i, i + m) and keys [j, j + n), as attn_grad_block. */
static void
attn_bf16_grad_block(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w,
                     size_t i, size_t m, size_t j, size_t n)
{
    const size_t cols = a->cols, hr = a->head_row;
    struct voco_product scores = { .a = (const float *)(const void *)(a->q + i * hr),
                                   .row = hr / 2, .step = 1, .b = w->kt + j, .ldb = cols,
                                   .c = w->p, .ldc = n, .m = m, .n = n,
                                   .depth = (a->head_dim + 1) / 2 };
    struct voco_product back = { .row = 1, .step = hr, .ldb = 2 * n, .ldc = cols,
                                 .m = a->head_dim, .n = n, .depth = (m + 1) / 2,
                                 .add = i > 0 };
    size_t r = 0;

    product_pairs(&scores);                         /* S = q k' */
    scores.a = (const float *)(const void *)(a->dy + i * hr);
    scores.b = w->vt + j, scores.c = w->ds;
    product_pairs(&scores);                         /* dP = dy v' */
    for (; r + 2 <= m; r += 2)
        softmax_grad_rows(a, w, i, r, j, n, false);
    if (r < m)
        softmax_grad_rows(a, w, i, r, j, n, true);
    product_pairs(&(struct voco_product){
        .a = (const float *)(const void *)w->ds_keys, .row = n / 2, .step = 1,
        .b = w->k + j / 2 * hr, .ldb = hr, .c = a->dq + i * hr, .ldc = hr, .m = m, .n = hr,
        .depth = n / 2, .add = j > 0 });            /* dq += dS k */
    back.a = w->q + i / 2 * hr, back.b = w->ds, back.c = a->dkt + j;
    product_pairs(&back);                           /* dk' += q' dS */
    back.a = w->dy + i / 2 * hr, back.b = w->p, back.c = a->dvt + j;
    product_pairs(&back);                           /* dv' += dy' P */
}

static void
attn_bf16_grad(const struct voco_attn_bf16_grad *args)
{
    const struct voco_attn_bf16_grad copy = *args, *a = &copy;
    const size_t cols = a->cols, hr = a->head_row, pairs = (a->head_dim + 1) / 2;
    const size_t even = a->rows + a->rows % 2, block = VOCO_ATTN_GRAD_ROWS
                                                       * (size_t)VOCO_ATTN_GRAD_COLS;
    struct grad_bf16 w;

    w.kt = a->work;
    w.vt = w.kt + cols * hr / 2;
    w.k = w.vt + cols * hr / 2;
    w.q = w.k + cols * hr / 2;
    w.dy = w.q + even * hr / 2;
    w.p = w.dy + even * hr / 2;
    w.ds = w.p + block;
    w.ds_keys = (uint16_t *)(void *)(w.ds + block);
    transpose_pairs(a->k, cols, hr, pairs, w.kt);
    transpose_pairs(a->v, cols, hr, pairs, w.vt);
    pair_rows(a->k, hr, cols, hr, w.k);
    pair_rows(a->q, hr, a->rows, hr, w.q);
    pair_rows(a->dy, hr, a->rows, hr, w.dy);
    if (a->rows == 0)
        for (size_t j = 0; j < a->head_dim * cols; j++)
            a->dkt[j] = a->dvt[j] = 0;
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_GRAD_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_GRAD_ROWS ? a->rows - i
                                                           : VOCO_ATTN_GRAD_ROWS;

        for (size_t r = 0; r < m; r++) {
            const uint16_t *y = a->y + (i + r) * hr, *dy = a->dy + (i + r) * hr;
            vf sum = v_zero();

            for (size_t d = 0; d < hr; d += VW)
                sum = v_fma(v_load_bf16(dy + d), v_load_bf16(y + d), sum);
            w.delta[r] = v_sum(sum);
        }
        for (size_t j = 0; j < cols; j += VOCO_ATTN_GRAD_COLS)
            attn_bf16_grad_block(a, &w, i, m, j, cols - j < VOCO_ATTN_GRAD_COLS
                                                 ? cols - j : VOCO_ATTN_GRAD_COLS);
    }
    scale(a->dkt, a->scale, a->dkt, a->head_dim * cols);
}

#endif
