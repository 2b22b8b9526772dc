/*
 * Attention of one head in one window with products of bfloat16: pairs of neighbours along
 * the axis of a sum are multiplied at once and added up in f32.
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

/* out[d,to], d < pairs: the pairs of each row of x [n,head_row], transposed, and zeros. */
static void
transpose_pairs(const uint16_t *x, size_t n, size_t head_row, size_t pairs, size_t to,
                float *out)
{
    uint16_t rest[VW * VW] = { 0 };

    for (size_t i = 0; i < to; i += VW, x += VW * head_row)
        for (size_t d = 0; d < pairs; d += VW / 2) {
            const bool whole = i + VW <= n;
            vf y[VW / 2];

            for (size_t j = i; j < n && !whole; j++)
                memcpy(rest + (j - i) * VW, x + (j - i) * head_row + 2 * d,
                       VW * sizeof *rest);
            v_transpose_pairs(whole ? x + 2 * d : rest, whole ? head_row : VW, y);
            for (size_t j = 0; j < VW / 2 && d + j < pairs; j++)
                v_store(out + (d + j) * to + i, y[j]);
        }
}

/* Rows of S in registers: of a vector of keys in backward, which makes dP as well, of two in
 * forward. */
enum { SCORE_ROWS = 8 };

/*
 * s [rows,cols] = scale q k' + bias of rows [i, i + rows) and `wide` vectors of keys at c;
 * qt [pairs,ldq], kt [pairs,cols].  top[x] is the largest of row x so far, lane by lane.
 */
static ALWAYS_INLINE void
score_tile(const struct voco_attn_bf16 *a, const float *qt, size_t ldq, const float *kt,
           size_t i, size_t c, float *s, vf *top, const int rows, const int wide)
{
    const float *q = qt + i, *k = kt + c, *bias = a->bias + i * a->cols + c;
    const size_t pairs = (a->head_dim + 1) / 2;
    vf sum[SCORE_ROWS][2];

    UNROLL
    for (int x = 0; x < rows; x++)
        sum[x][0] = sum[x][1] = v_zero();
    for (size_t d = 0; d < pairs; d++, q += ldq, k += a->cols) {
        vf key[2];

        UNROLL
        for (int v = 0; v < wide; v++)
            key[v] = v_load(k + v * VW);
        UNROLL
        for (int x = 0; x < rows; x++)
            UNROLL
            for (int v = 0; v < wide; v++)
                sum[x][v] = v_fma_pairs_at(q + x, key[v], sum[x][v]);
    }
    s += c;
    UNROLL
    for (int x = 0; x < rows; x++, s += a->cols, bias += a->cols)
        UNROLL
        for (int v = 0; v < wide; v++) {
            const vf t = v_fma(sum[x][v], v_set(a->scale), v_load(bias + v * VW));

            v_store(s + v * VW, t);
            top[x] = v_max(top[x], t);
        }
}

static ALWAYS_INLINE void
score_rows(const struct voco_attn_bf16 *a, const float *qt, size_t ldq, const float *kt,
           size_t i, float *s, float *ret_top, const int rows)
{
    vf top[SCORE_ROWS];
    size_t c = 0;

    UNROLL
    for (int x = 0; x < rows; x++)
        top[x] = v_set(VOCO_ATTN_NONE);
    for (; c + 2 * VW <= a->cols; c += 2 * VW)
        score_tile(a, qt, ldq, kt, i, c, s, top, rows, 2);
    if (c < a->cols)
        score_tile(a, qt, ldq, kt, i, c, s, top, rows, 1);
    for (int x = 0; x < rows; x++)
        ret_top[x] = v_top(top[x]);
}

/* exp(s - top), in bfloat16 at the beginning of the row.  Returns the sum before
 * rounding. */
static float
exp_row_bf16(float *s, float top, size_t cols)
{
    uint16_t *p = (uint16_t *)(void *)s;
    const vf most = v_set(top);
    vf sum = v_zero(), more = v_zero();
    size_t j = 0;

    for (; j + 4 * VW <= cols; j += 4 * VW) {
        vf e[4];

        UNROLL
        for (int x = 0; x < 4; x++)
            e[x] = v_sub(v_load(s + j + x * VW), most);
        exp_each(e, 4);
        v_store_2_bf16(p + j, e[0], e[1]);
        v_store_2_bf16(p + j + 2 * VW, e[2], e[3]);
        sum = v_add(sum, v_add(e[0], e[1]));
        more = v_add(more, v_add(e[2], e[3]));
    }
    for (; j + 2 * VW <= cols; j += 2 * VW) {
        vf e[2] = { v_sub(v_load(s + j), most), v_sub(v_load(s + j + VW), most) };

        exp_each(e, 2);
        v_store_2_bf16(p + j, e[0], e[1]);
        sum = v_add(sum, e[0]);
        more = v_add(more, e[1]);
    }
    if (j < cols) {
        const vf e = v_exp(v_sub(v_load(s + j), most));

        v_store_bf16(p + j, e);
        sum = v_add(sum, e);
    }
    return v_sum(v_add(sum, more));
}

static void
attn_bf16(const struct voco_attn_bf16 *args)
{
    const struct voco_attn_bf16 copy = *args, *a = &copy;
    const size_t cols = a->cols, hr = a->head_row, pairs = (a->head_dim + 1) / 2;
    const size_t ldq = (a->rows + VW - 1) / VW * VW;
    float *kt = a->work, *v = kt + cols * hr / 2, *s = v + cols * hr / 2;
    float *qt = s + VOCO_ATTN_ROWS * cols;

    transpose_pairs(a->q, a->rows, hr, pairs, ldq, qt);
    transpose_pairs(a->k, cols, hr, pairs, cols, kt);
    pair_rows(a->v, hr, cols, hr, v);
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_ROWS ? a->rows - i : VOCO_ATTN_ROWS;
        float *y = a->y + i * hr, top[VOCO_ATTN_ROWS], sum[VOCO_ATTN_ROWS];
        size_t r = 0;

        for (; r + SCORE_ROWS <= m; r += SCORE_ROWS)
            score_rows(a, qt, ldq, kt, i + r, s + r * cols, top + r, SCORE_ROWS);
        for (; r + 2 <= m; r += 2)
            score_rows(a, qt, ldq, kt, i + r, s + r * cols, top + r, 2);
        if (r < m)
            score_rows(a, qt, ldq, kt, i + r, s + r * cols, top + r, 1);
        for (r = 0; r < m; r++)
            sum[r] = exp_row_bf16(s + r * cols, top[r], cols);
        product_pairs(&(struct voco_product){
            .a = s, .row = cols, .step = 1, .b = v, .ldb = hr, .c = y, .ldc = hr, .m = m,
            .n = hr, .depth = cols / 2 });
        for (r = 0; r < m; r++) {
            const vf over = v_set(1 / sum[r]);

            a->lse[i + r] = top[r] + logf(sum[r]);
            for (size_t d = 0; d < hr; d += VW)
                v_store(y + r * hr + d, v_mul(v_load(y + r * hr + d), over));
        }
    }
}

/* ---- backward ---- */

enum { GRAD_EACH = 4 };         /* rows whose exponential functions go side by side */

/* Where things are in the work of attn_bf16_grad; a block is m queries by n keys. */
struct grad_bf16 {
    size_t rows;                /* in whole vectors */
    float *kt, *vt;             /* [head_row/2,cols] pairs along head_dim */
    float *qt, *dyt;            /* [head_row/2,rows] the same */
    float *k;                   /* [cols/2,head_row] pairs along keys */
    float *q, *dy;              /* [rows/2,head_row] pairs along queries */
    float *p, *ds;              /* [m/2,n] P and dS in pairs along queries */
    uint16_t *ds_keys;          /* [m,n] dS in pairs along keys */
    float delta[VOCO_ATTN_BF16_ROWS];
};

/* P = exp(scale s + bias - lse) and dS = P (dp - delta) of rows [r, r + rows) of a block and
 * a vector of keys at j, which is at c of the n of the block. */
static ALWAYS_INLINE void
softmax_grad(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w, size_t i,
             size_t r, size_t j, size_t c, size_t n, vf *s, vf *dp, const int rows)
{
    const float *bias = a->bias + (i + r) * a->cols + j;
    float *dbias = a->dbias + (i + r) * a->cols + j;

    UNROLL
    for (int x = 0; x < rows; x++)
        s[x] = v_sub(v_fma(s[x], v_set(a->scale), v_load(bias + (size_t)x * a->cols)),
                     v_set(a->lse[i + r + (size_t)x]));
    exp_each(s, rows);
    UNROLL
    for (int x = 0; x < rows; x++)
        dp[x] = v_mul(s[x], v_sub(dp[x], v_set(w->delta[r + (size_t)x])));
    UNROLL
    for (int x = 0; x < rows; x++, dbias += a->cols)
        v_store(dbias, v_add(v_load(dbias), dp[x]));
    UNROLL
    for (int x = 0; x < rows; x += 2) {
        const bool alone = x + 1 == rows;
        const size_t pair = (r + (size_t)x) / 2 * n + c;

        v_store(w->p + pair, v_round_pair(s[x], alone ? v_zero() : s[x + 1]));
        v_store(w->ds + pair, v_round_pair(dp[x], alone ? v_zero() : dp[x + 1]));
    }
    UNROLL
    for (int x = 0; x < rows; x++)
        v_store_bf16(w->ds_keys + (r + (size_t)x) * n + c, dp[x]);
}

/*
 * P and dS of rows [r, r + rows) and a vector of keys at c of the block at (i,j) with n
 * keys.  S = q k' and dP = dy v' stay in registers, and the products of a tile run beside
 * the exponential functions of the one before.
 */
static ALWAYS_INLINE void
grad_tile(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w, size_t i,
          size_t r, size_t j, size_t c, size_t n, const int rows)
{
    const float *q = w->qt + i + r, *dy = w->dyt + i + r;
    const float *k = w->kt + j + c, *v = w->vt + j + c;
    const size_t pairs = (a->head_dim + 1) / 2;
    vf s[SCORE_ROWS], dp[SCORE_ROWS];

    UNROLL
    for (int x = 0; x < rows; x++)
        s[x] = dp[x] = v_zero();
    for (size_t d = 0; d < pairs; d++, q += w->rows, dy += w->rows, k += a->cols,
                                  v += a->cols) {
        const vf key = v_load(k), value = v_load(v);

        UNROLL
        for (int x = 0; x < rows; x++) {
            s[x] = v_fma_pairs_at(q + x, key, s[x]);
            dp[x] = v_fma_pairs_at(dy + x, value, dp[x]);
        }
    }
    UNROLL
    for (int x = 0; x < rows; x += GRAD_EACH)
        softmax_grad(a, w, i, r + (size_t)x, j + c, c, n, s + x, dp + x,
                     rows < GRAD_EACH ? rows : GRAD_EACH);
}

static ALWAYS_INLINE void
grad_rows(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w, size_t i, size_t r,
          size_t j, size_t n, const int rows)
{
    for (size_t c = 0; c < n; c += VW)
        grad_tile(a, w, i, r, j, c, n, rows);
}

/* Queries [i, i + m) and keys [j, j + n), as attn_grad_block. */
static void
attn_bf16_grad_block(const struct voco_attn_bf16_grad *a, const struct grad_bf16 *w,
                     size_t i, size_t m, size_t j, size_t n)
{
    const size_t cols = a->cols, hr = a->head_row;
    struct voco_product back = { .row = 1, .step = hr, .ldb = n, .ldc = cols,
                                 .m = a->head_dim, .n = n, .depth = (m + 1) / 2,
                                 .add = i > 0 };
    size_t r = 0;

    for (; r + SCORE_ROWS <= m; r += SCORE_ROWS)
        grad_rows(a, w, i, r, j, n, SCORE_ROWS);
    for (; r + 2 <= m; r += 2)
        grad_rows(a, w, i, r, j, n, 2);
    if (r < m)
        grad_rows(a, w, i, r, j, n, 1);
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
    const size_t even = a->rows + a->rows % 2, block = VOCO_ATTN_BF16_ROWS
                                                       * (size_t)VOCO_ATTN_BF16_COLS;
    struct grad_bf16 w = { .rows = (a->rows + VW - 1) / VW * VW };

    w.kt = a->work;
    w.vt = w.kt + cols * hr / 2;
    w.qt = w.vt + cols * hr / 2;
    w.dyt = w.qt + w.rows * hr / 2;
    w.k = w.dyt + w.rows * hr / 2;
    w.q = w.k + cols * hr / 2;
    w.dy = w.q + even * hr / 2;
    w.p = w.dy + even * hr / 2;
    w.ds = w.p + block / 2;
    w.ds_keys = (uint16_t *)(void *)(w.ds + block / 2);
    transpose_pairs(a->k, cols, hr, pairs, cols, w.kt);
    transpose_pairs(a->v, cols, hr, pairs, cols, w.vt);
    transpose_pairs(a->q, a->rows, hr, pairs, w.rows, w.qt);
    transpose_pairs(a->dy, a->rows, hr, pairs, w.rows, w.dyt);
    pair_rows(a->k, hr, cols, hr, w.k);
    pair_rows(a->q, hr, a->rows, hr, w.q);
    pair_rows(a->dy, hr, a->rows, hr, w.dy);
    if (a->rows == 0)
        for (size_t j = 0; j < a->head_dim * cols; j++)
            a->dkt[j] = a->dvt[j] = 0;
    for (size_t i = 0; i < a->rows; i += VOCO_ATTN_BF16_ROWS) {
        const size_t m = a->rows - i < VOCO_ATTN_BF16_ROWS ? a->rows - i
                                                           : VOCO_ATTN_BF16_ROWS;

        for (size_t r = 0; r < m; r++) {
            const uint16_t *y = a->y + (i + r) * hr, *dy = a->dy + (i + r) * hr;
            vf sum = v_zero();

            for (size_t d = 0; d < hr; d += VW)
                sum = v_fma(v_load_bf16(dy + d), v_load_bf16(y + d), sum);
            w.delta[r] = v_sum(sum);
        }
        for (size_t j = 0; j < cols; j += VOCO_ATTN_BF16_COLS)
            attn_bf16_grad_block(a, &w, i, m, j, cols - j < VOCO_ATTN_BF16_COLS
                                                 ? cols - j : VOCO_ATTN_BF16_COLS);
    }
    scale(a->dkt, a->scale, a->dkt, a->head_dim * cols);
}

#endif
