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

/* Columns [i, i + VW) of panel, of which n are there, from rows of x. */
static ALWAYS_INLINE void
gather_block(const struct voco_rows *a, const void *x, size_t i, size_t n, float *panel,
             size_t cols, const bool bf16)
{
    const vf scaled = v_set(a->scale);
    vf r[VW];

    UNROLL
    for (size_t j = 0; j < VW; j++) {
        const size_t at = j < n ? (size_t)a->row[i + j] * a->stride : 0;

        if (j >= n) {
            r[j] = v_zero();
            continue;
        }
        prefetch_row(a, i + j, x, bf16 ? sizeof(uint16_t) : sizeof(float));
        r[j] = bf16 ? v_load_bf16_n((const uint16_t *)x + at, a->head_dim)
                    : v_load_n((const float *)x + at, a->head_dim);
    }
    v_transpose(r);
    UNROLL
    for (size_t d = 0; d < 8; d++)
        if (d < a->head_dim)
            store_at(panel + d * cols, i, i + n, v_mul(r[d], scaled));
}

static void
gather_columns(const struct voco_rows *args, const void *x, float *panel, size_t cols)
{
    const struct voco_rows copy = *args, *a = &copy;

    for (size_t i = 0; i < a->rows; i += VW) {
        const size_t n = a->rows - i < VW ? a->rows - i : VW;

        if (a->bf16)
            gather_block(a, x, i, n, panel, cols, true);
        else
            gather_block(a, x, i, n, panel, cols, false);
    }
}

static void
scatter_columns(const struct voco_rows *args, const float *panel, size_t cols, void *x)
{
    const struct voco_rows copy = *args, *a = &copy;
    const vf scaled = v_set(a->scale);

    for (size_t i = 0; i < a->rows; i += VW) {
        const size_t n = a->rows - i < VW ? a->rows - i : VW;
        vf r[VW];

        UNROLL
        for (size_t d = 0; d < VW; d++)
            r[d] = d < 8 && d < a->head_dim
                   ? v_mul(load_at(panel + d * cols, i, i + n), scaled) : v_zero();
        v_transpose(r);
        UNROLL
        for (size_t j = 0; j < VW; j++) {
            const size_t at = j < n ? (size_t)a->row[i + j] * a->stride : 0;

            if (j >= n)
                break;
            if (a->bf16) {
                prefetch_row(a, i + j, x, sizeof(uint16_t));
                v_store_bf16_n((uint16_t *)x + at, r[j], a->head_dim);
            } else {
                prefetch_row(a, i + j, x, sizeof(float));
                v_store_n((float *)x + at, r[j], a->head_dim);
            }
        }
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

static ALWAYS_INLINE void
narrow_rows(const struct voco_attn_tile *a, size_t i, const int rows, const int dims)
{
    const size_t cols = a->cols;
    float *s = a->work, top[NARROW_QUERIES], y[NARROW_SUMS];
    vf sum[NARROW_QUERIES], acc[NARROW_SUMS];

    narrow_scores(a, i, s, top, rows, dims);
    UNROLL
    for (int x = 0; x < rows; x++)
        sum[x] = v_zero();
    UNROLL
    for (int x = 0; x < NARROW_SUMS; x++)
        acc[x] = v_zero();
    for (size_t c = 0; c < cols; c += VW) {
        vf e[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++)
            e[x] = v_sub(v_load(s + (size_t)x * cols + c), v_set(top[x]));
        exp2_each(e, rows);
        UNROLL
        for (int x = 0; x < rows; x++)
            sum[x] = v_add(sum[x], e[x]);
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
        const float all = v_sum(sum[x]), over = 1 / all;
        float *to = a->y + (i + (size_t)x) * a->head_row;

        for (size_t d = 0; d < a->head_row; d += VW)
            v_store(to + d, v_zero());
        for (int d = 0; d < dims; d++)
            to[d] = over * y[x * dims + d];
        a->lse[i + (size_t)x] = top[x] / LOG2_E + logf(all);
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

/* What a few queries bring along. */
struct narrow_queries {
    float q[NARROW_SUMS], dy[NARROW_SUMS];      /* [rows,dims] */
    float q2[NARROW_SUMS];                      /* log2(e) q */
    float lse2[NARROW_QUERIES], delta[NARROW_QUERIES];  /* -log2(e) lse, -dy y */
};

static ALWAYS_INLINE void
narrow_load(const struct voco_attn_grad *a, size_t i, struct narrow_queries *w,
            const int rows, const int dims)
{
    for (int x = 0; x < rows; x++) {
        const size_t at = (i + (size_t)x) * a->head_row;
        float sum = 0;

        for (int d = 0; d < dims; d++) {
            w->q[x * dims + d] = a->q[at + (size_t)d];
            w->q2[x * dims + d] = LOG2_E * a->q[at + (size_t)d];
            w->dy[x * dims + d] = a->dy[at + (size_t)d];
            sum += a->dy[at + (size_t)d] * a->y[at + (size_t)d];
        }
        w->delta[x] = -sum;
        w->lse2[x] = -LOG2_E * a->lse[i + (size_t)x];
    }
}

/* to [dims,cols] += x' p of some queries, at column c */
static ALWAYS_INLINE void
narrow_add(float *to, size_t cols, size_t c, const float *x, const vf *p, const int rows,
           const int dims)
{
    UNROLL
    for (int d = 0; d < dims; d++) {
        vf t = v_load(to + (size_t)d * cols + c);

        UNROLL
        for (int r = 0; r < rows; r++)
            t = v_fma(v_set(x[r * dims + d]), p[r], t);
        v_store(to + (size_t)d * cols + c, t);
    }
}

static ALWAYS_INLINE void
narrow_grad_rows(const struct voco_attn_grad *a, size_t i, const int rows, const int dims)
{
    const size_t cols = a->cols;
    const float *bias = a->bias + i * cols;
    float *dbias = a->dbias + i * cols, dq[NARROW_SUMS];
    struct narrow_queries queries;
    vf acc[NARROW_SUMS];

    narrow_load(a, i, &queries, rows, dims);
    UNROLL
    for (int x = 0; x < NARROW_SUMS; x++)
        acc[x] = v_zero();
    for (size_t c = 0; c < cols; c += VW) {
        /* else all of them are broadcast before the loop and kept as vectors in memory */
        const struct narrow_queries *w = hidden(&queries);
        vf p[NARROW_QUERIES], ds[NARROW_QUERIES];

        UNROLL
        for (int x = 0; x < rows; x++) {
            p[x] = v_fma(v_load(bias + (size_t)x * cols + c), v_set(LOG2_E),
                         v_set(w->lse2[x]));
            ds[x] = v_set(w->delta[x]);
        }
        UNROLL
        for (int d = 0; d < dims; d++) {
            const vf key = v_load(a->kt + (size_t)d * cols + c);
            const vf value = v_load(a->vt + (size_t)d * cols + c);

            UNROLL
            for (int x = 0; x < rows; x++) {
                p[x] = v_fma(v_set(w->q2[x * dims + d]), key, p[x]);
                ds[x] = v_fma(v_set(w->dy[x * dims + d]), value, ds[x]);
            }
        }
        exp2_each(p, rows);
        UNROLL
        for (int x = 0; x < rows; x++) {
            float *const to = dbias + (size_t)x * cols + c;

            ds[x] = v_mul(p[x], ds[x]);
            v_store(to, v_add(v_load(to), ds[x]));
        }
        narrow_add(a->dkt, cols, c, w->q, ds, rows, dims);
        narrow_add(a->dvt, cols, c, w->dy, p, rows, dims);
        UNROLL
        for (int d = 0; d < dims; d++) {
            const vf key = v_load(a->kt + (size_t)d * cols + c);

            UNROLL
            for (int x = 0; x < rows; x++)
                acc[x * dims + d] = v_fma(ds[x], key, acc[x * dims + d]);
        }
    }
    sum_lanes(acc, dq);
    for (int x = 0; x < rows; x++) {
        float *to = a->dq + (i + (size_t)x) * a->head_row;

        for (size_t d = 0; d < a->head_row; d += VW)
            v_store(to + d, v_zero());
        for (int d = 0; d < dims; d++)
            to[d] = dq[x * dims + d];
    }
}

static ALWAYS_INLINE void
attn_narrow_grad_of(const struct voco_attn_grad *a, const int dims)
{
    size_t i = 0;

    memset(a->dkt, 0, (size_t)dims * a->cols * sizeof *a->dkt);
    memset(a->dvt, 0, (size_t)dims * a->cols * sizeof *a->dvt);
    for (; i + NARROW_SUMS / (size_t)dims <= a->rows; i += NARROW_SUMS / (size_t)dims)
        narrow_grad_rows(a, i, NARROW_SUMS / dims, dims);
    for (; i < a->rows; i++)
        narrow_grad_rows(a, i, 1, dims);
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
