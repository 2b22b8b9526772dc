/*
 * Attention of narrow heads, of 4 or 8 numbers.  Vectors run along keys, so that no lane is
 * idle, and the sums over keys of some queries stay in registers, all lanes apart, as many as
 * a vector has lanes.  A score takes few multiply-adds; what counts are its exponential and
 * how often it is moved.
 */
#ifndef VOCO_SIMD_BODY_ATTN_NARROW_H
#define VOCO_SIMD_BODY_ATTN_NARROW_H

enum { NARROW_QUERIES = VW / 4, NARROW_SUMS = VW };     /* in flight, at most */

#define LOG2_E 1.44269504f

/*
 * 2^x for x <= 127; 0 below -125.5.  Adding 1.5 * 2^23 rounds x to n in the low bits of the
 * sum; 2^(x - n) is a polynomial, minimax for |x - n| <= 1/2 in relative error, 9e-8, which
 * f32 arithmetic makes 1.7e-7.
 */
static ALWAYS_INLINE void
exp2_each(vf *x, const int n)
{
    const vf magic = v_set(12582912.0f);
    vf t[NARROW_QUERIES], r[NARROW_QUERIES], p[NARROW_QUERIES];

    UNROLL
    for (int i = 0; i < n; i++)
        t[i] = v_add(x[i], magic);
    UNROLL
    for (int i = 0; i < n; i++)
        r[i] = v_sub(x[i], v_sub(t[i], magic));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(v_set(1.32647273e-3f), r[i], v_set(9.67151299e-3f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(5.55073358e-2f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(0.240222424f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(0.693147004f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(1.0f));
    UNROLL
    for (int i = 0; i < n; i++)
        x[i] = v_zero_below(x[i], -125.5f, v_scale_2(p[i], t[i]));
}

/* n columns from i on of panel, and at most VW rows from d on, from rows of x. */
static ALWAYS_INLINE void
gather_block(const struct voco_rows *a, const void *x, size_t i, size_t n, size_t d,
             float *panel, size_t cols, const bool bf16)
{
    const size_t width = a->head_dim - d < VW ? a->head_dim - d : VW;
    const vf scaled = v_set(a->scale);
    vf r[VW];

    UNROLL
    for (size_t j = 0; j < VW; j++) {
        const size_t at = j < n ? (size_t)a->row[i + j] * a->stride + d : 0;

        if (j >= n) {
            r[j] = v_zero();
            continue;
        }
        r[j] = bf16 ? v_load_bf16_n((const uint16_t *)x + at, width)
                    : v_load_n((const float *)x + at, width);
    }
    v_transpose(r);
    UNROLL
    for (size_t k = 0; k < VW; k++)
        if (k < width)
            store_at(panel + (d + k) * cols, i, i + n, v_mul(r[k], scaled));
}

static void
gather_columns(const struct voco_rows *args, const void *x, float *panel, size_t cols)
{
    const struct voco_rows copy = *args, *a = &copy;

    for (size_t i = 0; i < a->rows; i += VW) {
        const size_t n = a->rows - i < VW ? a->rows - i : VW;

        for (size_t j = i; j < i + n; j++)
            prefetch_row(a, j, x, a->bf16 ? sizeof(uint16_t) : sizeof(float));
        for (size_t d = 0; d < a->head_dim; d += VW)
            if (a->bf16)
                gather_block(a, x, i, n, d, panel, cols, true);
            else
                gather_block(a, x, i, n, d, panel, cols, false);
    }
}

static ALWAYS_INLINE void
scatter_block(const struct voco_rows *a, const float *panel, size_t cols, size_t i, size_t n,
              size_t d, void *x, const bool bf16)
{
    const size_t width = a->head_dim - d < VW ? a->head_dim - d : VW;
    const vf scaled = v_set(a->scale);
    vf r[VW];

    UNROLL
    for (size_t k = 0; k < VW; k++)
        r[k] = k < width ? v_mul(load_at(panel + (d + k) * cols, i, i + n), scaled)
                         : v_zero();
    v_transpose(r);
    UNROLL
    for (size_t j = 0; j < VW; j++) {
        const size_t at = j < n ? (size_t)a->row[i + j] * a->stride + d : 0;

        if (j >= n)
            continue;
        if (bf16)
            v_store_bf16_n((uint16_t *)x + at, r[j], width);
        else
            v_store_n((float *)x + at, r[j], width);
    }
}

static void
scatter_columns(const struct voco_rows *args, const float *panel, size_t cols, void *x)
{
    const struct voco_rows copy = *args, *a = &copy;

    for (size_t i = 0; i < a->rows; i += VW) {
        const size_t n = a->rows - i < VW ? a->rows - i : VW;

        for (size_t j = i; j < i + n; j++)
            prefetch_row(a, j, x, a->bf16 ? sizeof(uint16_t) : sizeof(float));
        for (size_t d = 0; d < a->head_dim; d += VW)
            if (a->bf16)
                scatter_block(a, panel, cols, i, n, d, x, true);
            else
                scatter_block(a, panel, cols, i, n, d, x, false);
    }
}

/* sum[i] = sum of the lanes of acc[i] */
static ALWAYS_INLINE void
sum_lanes(const vf acc[NARROW_SUMS], float *sum)
{
    vf x[NARROW_SUMS];

    UNROLL
    for (int i = 0; i < NARROW_SUMS; i++)
        x[i] = acc[i];
    v_transpose(x);
    UNROLL
    for (int n = NARROW_SUMS / 2; n > 0; n /= 2)
        UNROLL
        for (int i = 0; i < n; i++)
            x[i] = v_add(x[i], x[i + n]);
    v_store(sum, x[0]);
}

/* s [rows,cols] = log2(e) (q k' + bias) of rows [i, i + rows), top the largest of each */
static ALWAYS_INLINE void
narrow_scores(const struct voco_attn_tile *a, size_t i, float *s, float *top, const int rows,
              const int dims)
{
    const size_t cols = a->cols;
    const float *bias = a->bias + i * cols;
    float q[NARROW_SUMS];
    vf most[NARROW_QUERIES];

    for (int x = 0; x < rows; x++)
        for (int d = 0; d < dims; d++)
            q[x * dims + d] = LOG2_E * a->q[(i + (size_t)x) * a->head_row + (size_t)d];
    UNROLL
    for (int x = 0; x < rows; x++)
        most[x] = v_set(VOCO_ATTN_NONE);
    for (size_t c = 0; c < cols; c += VW) {
        vf t[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++)
            t[x] = v_mul(v_load(bias + (size_t)x * cols + c), v_set(LOG2_E));
        UNROLL
        for (int d = 0; d < dims; d++) {
            const vf key = v_load(a->kt + (size_t)d * cols + c);

            UNROLL
            for (int x = 0; x < rows; x++)
                t[x] = v_fma(v_set(q[x * dims + d]), key, t[x]);
        }
        UNROLL
        for (int x = 0; x < rows; x++) {
            most[x] = v_max(most[x], t[x]);
            v_store(s + (size_t)x * cols + c, t[x]);
        }
    }
    for (int x = 0; x < rows; x++)
        top[x] = v_top(most[x]);
}

/* In place: s = 2^(s - top), and the sum of each row.  A sweep of its own: in one with the
 * sums over keys, the chain of an exponential is longer than a core looks ahead. */
static ALWAYS_INLINE void
narrow_exp(float *s, size_t cols, const float *top, float *ret_sum, const int rows)
{
    vf sum[NARROW_QUERIES];

    UNROLL
    for (int x = 0; x < rows; x++)
        sum[x] = v_zero();
    for (size_t c = 0; c < cols; c += VW) {
        vf e[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++)
            e[x] = v_sub(v_load(s + (size_t)x * cols + c), v_set(top[x]));
        exp2_each(e, rows);
        UNROLL
        for (int x = 0; x < rows; x++) {
            sum[x] = v_add(sum[x], e[x]);
            v_store(s + (size_t)x * cols + c, e[x]);
        }
    }
    for (int x = 0; x < rows; x++)
        ret_sum[x] = v_sum(sum[x]);
}

static ALWAYS_INLINE void
narrow_rows(const struct voco_attn_tile *a, size_t i, const int rows, const int dims)
{
    const size_t cols = a->cols;
    float *s = a->work, top[NARROW_QUERIES], sum[NARROW_QUERIES], y[NARROW_SUMS];
    vf acc[NARROW_SUMS];

    narrow_scores(a, i, s, top, rows, dims);
    narrow_exp(s, cols, top, sum, rows);
    UNROLL
    for (int x = 0; x < NARROW_SUMS; x++)
        acc[x] = v_zero();
    for (size_t c = 0; c < cols; c += VW) {
        vf e[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++)
            e[x] = v_load(s + (size_t)x * cols + c);
        UNROLL
        for (int d = 0; d < dims; d++) {
            const vf value = v_load(a->v + (size_t)d * cols + c);

            UNROLL
            for (int x = 0; x < rows; x++)
                acc[x * dims + d] = v_fma(e[x], value, acc[x * dims + d]);
        }
    }
    sum_lanes(acc, y);
    for (int x = 0; x < rows; x++) {
        float *to = a->y + (i + (size_t)x) * a->head_row;

        for (int d = 0; d < dims; d++)
            to[d] = y[x * dims + d] / sum[x];
        a->lse[i + (size_t)x] = top[x] / LOG2_E + logf(sum[x]);
    }
}

static ALWAYS_INLINE void
attn_narrow_of(const struct voco_attn_tile *a, const int dims)
{
    size_t i = 0;

    for (; i + NARROW_SUMS / (size_t)dims <= a->rows; i += NARROW_SUMS / (size_t)dims)
        narrow_rows(a, i, NARROW_SUMS / dims, dims);
    for (; i < a->rows; i++)
        narrow_rows(a, i, 1, dims);
}

static void
attn_narrow(const struct voco_attn_tile *args)
{
    const struct voco_attn_tile copy = *args;

    if (copy.head_dim == 4)
        attn_narrow_of(&copy, 4);
    else
        attn_narrow_of(&copy, 8);
}

/* ---- backward ---- */

/*
 * Some queries and a chunk of the keys, in three sweeps whose turns do not depend on each
 * other: scores, exponentials, sums.  In one sweep the chain from a score to the sums is
 * longer than a core looks ahead.  A chunk is so short that what is swept stays in the first
 * cache.
 */
enum { NARROW_CHUNK = 12 };     /* vectors of keys */

/* What a few queries bring along. */
struct narrow_queries {
    float q2[4 * NARROW_SUMS], dy[4 * NARROW_SUMS];     /* [rows,dims]; q2 = log2(e) q */
    float lse2[NARROW_SUMS], delta[NARROW_SUMS];        /* -log2(e) lse, -dy y */
};

static ALWAYS_INLINE void
narrow_load(const struct voco_attn_grad *a, size_t i, struct narrow_queries *w,
            const int rows, const int dims)
{
    for (int x = 0; x < rows; x++) {
        const size_t at = (i + (size_t)x) * a->head_row;
        float sum = 0;

        for (int d = 0; d < dims; d++) {
            w->q2[x * dims + d] = LOG2_E * a->q[at + (size_t)d];
            w->dy[x * dims + d] = a->dy[at + (size_t)d];
            sum += a->dy[at + (size_t)d] * a->y[at + (size_t)d];
        }
        w->delta[x] = -sum;
        w->lse2[x] = -LOG2_E * a->lse[i + (size_t)x];
    }
}

/*
 * Keys, values and their gradients are brought into the order in which they are swept: of
 * each vector of keys dims vectors of k, v, dk and dv.  One pointer then leads to all of
 * them; rows that are cols apart would each need their own, more than there are.
 */
enum { TILE_K, TILE_V, TILE_DK, TILE_DV, TILE_PARTS };

/* Vector d of a part of tile v. */
static ALWAYS_INLINE float *
tile_part(const float *tile, const int v, const int part, const int d, const int dims)
{
    return (float *)tile + ((v * TILE_PARTS + part) * dims + d) * VW;
}

/* For one vector of keys, or for two of them, which share what is broadcast. */
enum { NARROW_PAIR = 2 };

/* p = log2(e) (q k' + bias - lse), ds = dy v' - delta: `wide` vectors of each row, which are
 * n apart */
static ALWAYS_INLINE void
narrow_grad_scores(const struct narrow_queries *w, const float *tile, const float *bias,
                   size_t cols, size_t n, float *p, float *ds, const int wide,
                   const int rows, const int dims)
{
    vf s[NARROW_QUERIES][NARROW_PAIR], t[NARROW_QUERIES][NARROW_PAIR];

    UNROLL
    for (int x = 0; x < rows; x++)
        UNROLL
        for (int v = 0; v < wide; v++) {
            s[x][v] = v_fma(v_load(bias + (size_t)x * cols + v * VW), v_set(LOG2_E),
                            v_set(w->lse2[x]));
            t[x][v] = v_set(w->delta[x]);
        }
    UNROLL
    for (int d = 0; d < dims; d++) {
        vf key[NARROW_PAIR], value[NARROW_PAIR];

        UNROLL
        for (int v = 0; v < wide; v++) {
            key[v] = v_load(tile_part(tile, v, TILE_K, d, dims));
            value[v] = v_load(tile_part(tile, v, TILE_V, d, dims));
        }
        UNROLL
        for (int x = 0; x < rows; x++) {
            const vf q = v_set(w->q2[x * dims + d]), dy = v_set(w->dy[x * dims + d]);

            UNROLL
            for (int v = 0; v < wide; v++) {
                s[x][v] = v_fma(q, key[v], s[x][v]);
                t[x][v] = v_fma(dy, value[v], t[x][v]);
            }
        }
    }
    UNROLL
    for (int x = 0; x < rows; x++)
        UNROLL
        for (int v = 0; v < wide; v++) {
            v_store(p + (size_t)x * n + v * VW, s[x][v]);
            v_store(ds + (size_t)x * n + v * VW, t[x][v]);
        }
}

/* In place: p = 2^p, ds = p ds; dbias += ds */
static ALWAYS_INLINE void
narrow_grad_exp(float *p, float *ds, float *dbias, size_t cols, size_t n, const int rows)
{
    for (size_t j = 0; j < n; j += VW) {
        vf e[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++)
            e[x] = v_load(p + (size_t)x * n + j);
        exp2_each(e, rows);
        UNROLL
        for (int x = 0; x < rows; x++) {
            float *const to = dbias + (size_t)x * cols + j;
            const vf t = v_mul(e[x], v_load(ds + (size_t)x * n + j));

            v_store(p + (size_t)x * n + j, e[x]);
            v_store(ds + (size_t)x * n + j, t);
            v_store(to, v_add(v_load(to), t));
        }
    }
}

/* to += x' p of some queries */
static ALWAYS_INLINE void
narrow_add(float *tile, const int part, const int d, const float *x,
           vf p[NARROW_QUERIES][NARROW_PAIR], const int wide, const int rows, const int dims)
{
    vf to[NARROW_PAIR];

    UNROLL
    for (int v = 0; v < wide; v++)
        to[v] = v_load(tile_part(tile, v, part, d, dims));
    UNROLL
    for (int r = 0; r < rows; r++) {
        const vf factor = v_set(x[r * dims + d]);

        UNROLL
        for (int v = 0; v < wide; v++)
            to[v] = v_fma(factor, p[r][v], to[v]);
    }
    UNROLL
    for (int v = 0; v < wide; v++)
        v_store(tile_part(tile, v, part, d, dims), to[v]);
}

/* dk += q' ds, dv += dy' p; acc += ds k, all lanes apart */
static ALWAYS_INLINE void
narrow_grad_sums(const float *q2, const float *dy, float *tile, size_t n, const float *p,
                 const float *ds, vf acc[NARROW_SUMS], const int wide, const int rows,
                 const int dims)
{
    vf e[NARROW_QUERIES][NARROW_PAIR], t[NARROW_QUERIES][NARROW_PAIR];

    UNROLL
    for (int x = 0; x < rows; x++)
        UNROLL
        for (int v = 0; v < wide; v++) {
            e[x][v] = v_load(p + (size_t)x * n + v * VW);
            t[x][v] = v_load(ds + (size_t)x * n + v * VW);
        }
    UNROLL
    for (int d = 0; d < dims; d++) {
        narrow_add(tile, TILE_DK, d, q2, t, wide, rows, dims);
        narrow_add(tile, TILE_DV, d, dy, e, wide, rows, dims);
        UNROLL
        for (int v = 0; v < wide; v++) {
            const vf key = v_load(tile_part(tile, v, TILE_K, d, dims));

            UNROLL
            for (int x = 0; x < rows; x++)
                acc[x * dims + d] = v_fma(t[x][v], key, acc[x * dims + d]);
        }
    }
}

/* dk and dv of a chunk of n keys; dq, added to what chunks before have left. */
static ALWAYS_INLINE void
narrow_grad_chunk(struct narrow_queries *queries, const int first, float *tile,
                  size_t n, const float *p, const float *ds, float *dq, size_t head_row,
                  bool add, const int rows, const int dims)
{
    const size_t step = TILE_PARTS * (size_t)dims;
    size_t j = 0;
    float sum[NARROW_SUMS];
    vf acc[NARROW_SUMS];

    UNROLL
    for (int x = 0; x < NARROW_SUMS; x++)
        acc[x] = v_zero();
    for (; j + NARROW_PAIR * VW <= n; j += NARROW_PAIR * VW) {
        const struct narrow_queries *w = hidden(queries);

        narrow_grad_sums(w->q2 + first * dims, w->dy + first * dims, tile + j * step, n,
                         p + j, ds + j, acc, NARROW_PAIR, rows, dims);
    }
    if (j < n)
        narrow_grad_sums(queries->q2 + first * dims, queries->dy + first * dims,
                         tile + j * step, n, p + j, ds + j, acc, 1, rows, dims);
    sum_lanes(acc, sum);
    for (int x = 0; x < rows; x++, dq += head_row)
        for (int d = 0; d < dims; d++)
            dq[d] = add ? dq[d] + sum[x * dims + d] : sum[x * dims + d];
}

/* Queries from i on, keys of a chunk that begins with column c. */
static ALWAYS_INLINE void
narrow_grad_rows(const struct voco_attn_grad *a, size_t i, size_t c, size_t n, float *tile,
                 const int rows, const int dims)
{
    const int some = rows * dims <= NARROW_SUMS ? rows : NARROW_SUMS / dims;
    const size_t cols = a->cols, step = TILE_PARTS * (size_t)dims;
    const float *bias = a->bias + i * cols + c;
    float *p = a->work + step * cols, *ds = p + (size_t)rows * n;
    struct narrow_queries queries;
    size_t j = 0;

    narrow_load(a, i, &queries, rows, dims);
    for (; j + NARROW_PAIR * VW <= n; j += NARROW_PAIR * VW)
        /* hidden: else all of them are broadcast before the loop and kept as vectors */
        narrow_grad_scores(hidden(&queries), tile + j * step, bias + j, cols, n, p + j,
                           ds + j, NARROW_PAIR, rows, dims);
    if (j < n)
        narrow_grad_scores(&queries, tile + j * step, bias + j, cols, n, p + j, ds + j, 1,
                           rows, dims);
    narrow_grad_exp(p, ds, a->dbias + i * cols + c, cols, n, rows);
    for (int x = 0; x < rows; x += some)
        narrow_grad_chunk(&queries, x, tile, n, p + (size_t)x * n, ds + (size_t)x * n,
                          a->dq + (i + (size_t)x) * a->head_row, a->head_row, c > 0, some,
                          dims);
}

static ALWAYS_INLINE void
attn_narrow_grad_of(const struct voco_attn_grad *a, const int dims)
{
    const size_t cols = a->cols;
    float *tile = a->work;

    for (size_t c = 0; c < cols; c += VW, tile += TILE_PARTS * dims * VW)
        for (int d = 0; d < dims; d++) {
            v_store(tile_part(tile, 0, TILE_K, d, dims), v_load(a->kt + (size_t)d * cols + c));
            v_store(tile_part(tile, 0, TILE_V, d, dims), v_load(a->vt + (size_t)d * cols + c));
            v_store(tile_part(tile, 0, TILE_DK, d, dims), v_zero());
            v_store(tile_part(tile, 0, TILE_DV, d, dims), v_zero());
        }
    for (size_t c = 0; c < cols; c += NARROW_CHUNK * VW) {
        const size_t n = cols - c < NARROW_CHUNK * VW ? cols - c : NARROW_CHUNK * VW;
        size_t i = 0;

        tile = a->work + TILE_PARTS * (size_t)dims * c;
        for (; i + NARROW_QUERIES <= a->rows; i += NARROW_QUERIES)
            narrow_grad_rows(a, i, c, n, tile, NARROW_QUERIES, dims);
        for (; i < a->rows; i++)
            narrow_grad_rows(a, i, c, n, tile, 1, dims);
    }
    tile = a->work;
    for (size_t c = 0; c < cols; c += VW, tile += TILE_PARTS * dims * VW)
        for (int d = 0; d < dims; d++) {
            v_store(a->dkt + (size_t)d * cols + c,
                    v_mul(v_load(tile_part(tile, 0, TILE_DK, d, dims)), v_set(1 / LOG2_E)));
            v_store(a->dvt + (size_t)d * cols + c,
                    v_load(tile_part(tile, 0, TILE_DV, d, dims)));
        }
}

static void
attn_narrow_grad(const struct voco_attn_grad *args)
{
    const struct voco_attn_grad copy = *args;

    if (copy.head_dim == 4)
        attn_narrow_grad_of(&copy, 4);
    else
        attn_narrow_grad_of(&copy, 8);
}

#undef LOG2_E

#endif
