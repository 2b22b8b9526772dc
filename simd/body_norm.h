/* Normalisation of rows of c channels: by column (instance norm), by row (layer norm). */
#ifndef VOCO_SIMD_BODY_NORM_H
#define VOCO_SIMD_BODY_NORM_H

/*
 * Sweeps over rows take some vectors of columns along, all of them where c is small: then
 * they read memory in its order.
 */
enum { SWEEP = 4 };

#define EACH_VECTOR UNROLL for (size_t v = 0; v < wide; v++)

/*
 * Of `wide` vectors of columns from j on: mean, then the sum of squared distances.  The
 * second sweep also sums the distances themselves, which makes up for the rounding of the
 * first mean.
 */
static ALWAYS_INLINE void
column_moments(const void *x, const bool bf16, size_t rows, size_t c, size_t j,
               const size_t wide, double *mean, double *m2)
{
    vf centre[SWEEP], d[SWEEP], q[SWEEP];

    EACH_VECTOR
        centre[v] = d[v] = q[v] = v_zero();
    for (size_t i = 0; i < rows; i++)
        EACH_VECTOR
            centre[v] = v_add(centre[v], row_load(x, i, j + v * VW, c, bf16));
    EACH_VECTOR
        centre[v] = v_div(centre[v], v_set((float)rows));
    for (size_t i = 0; i < rows; i++)
        EACH_VECTOR {
            const vf t = v_sub(row_load(x, i, j + v * VW, c, bf16), centre[v]);

            d[v] = v_add(d[v], t);
            q[v] = v_fma(t, t, q[v]);
        }
    for (size_t v = 0; v < wide; v++, j += VW) {
        float first[VW], dist[VW], squares[VW];

        v_store(first, centre[v]);
        v_store(dist, d[v]);
        v_store(squares, q[v]);
        for (size_t k = 0; k < VW && j + k < c; k++) {
            mean[j + k] = first[k] + (double)dist[k] / (double)rows;
            m2[j + k] = squares[k] - (double)dist[k] * dist[k] / (double)rows;
        }
    }
}

static ALWAYS_INLINE void
moments_of(const void *x, const bool bf16, size_t rows, size_t c, double *mean, double *m2)
{
    for (size_t j = 0; j < c; j += SWEEP * VW)
        switch ((c - j + VW - 1) / VW) {
        case 1: column_moments(x, bf16, rows, c, j, 1, mean, m2); break;
        case 2: column_moments(x, bf16, rows, c, j, 2, mean, m2); break;
        case 3: column_moments(x, bf16, rows, c, j, 3, mean, m2); break;
        default: column_moments(x, bf16, rows, c, j, SWEEP, mean, m2); break;
        }
}

/*
 * Rows of 12 or 24 numbers leave lanes idle.  Some of them side by side are one row of 48:
 * rows that are `folded` are computed as those, with the numbers of a column repeated, and the
 * few that remain by themselves.
 */
enum { FOLDED = 48 };

static ALWAYS_INLINE size_t
folded(size_t rows, size_t c)
{
    return c % VW != 0 && FOLDED % c == 0 ? rows / (FOLDED / c) : 0;
}

static ALWAYS_INLINE void
repeat(const float *x, size_t c, float y[FOLDED])
{
    for (size_t j = 0; j < FOLDED; j++)
        y[j] = x[j % c];
}

/* The rows behind so many folded ones; NULL stays. */
static ALWAYS_INLINE const void *
behind(const void *x, const bool bf16, size_t rows)
{
    return x ? (const char *)x + rows * FOLDED * (bf16 ? sizeof(uint16_t) : sizeof(float))
             : NULL;
}

/* mean and m2 of n rows and of m more. */
static void
join_moments(size_t n, double *mean, double *m2, size_t m, const double *more,
             const double *more2, size_t c)
{
    const double all = (double)(n + m), share = (double)m / all;

    for (size_t j = 0; j < c; j++) {
        const double d = more[j] - mean[j];

        mean[j] += d * share;
        m2[j] += more2[j] + d * d * share * (double)n;
    }
}

static void
moments(const void *x, bool bf16, size_t rows, size_t c, double *mean, double *m2)
{
    const size_t some = folded(rows, c);

    if (rows == 0 || some)
        for (size_t j = 0; j < c; j++)
            mean[j] = m2[j] = 0;
    if (some) {
        double wide[FOLDED], wide2[FOLDED];
        size_t n = 0;

        moments(x, bf16, some, FOLDED, wide, wide2);
        for (size_t j = 0; j < FOLDED; j += c, n += some)
            join_moments(n, mean, m2, some, wide + j, wide2 + j, c);
        if (n < rows) {
            moments(behind(x, bf16, some), bf16, rows - n, c, wide, wide2);
            join_moments(n, mean, m2, rows - n, wide, wide2, c);
        }
    } else if (rows && bf16)
        moments_of(x, true, rows, c, mean, m2);
    else if (rows)
        moments_of(x, false, rows, c, mean, m2);
}

static ALWAYS_INLINE void
norm_all_rows(const struct voco_norm_rows *a, const bool x_bf16, const bool bf16,
              const bool stream)
{
    const vf slope = v_set(a->slope);
    const size_t c = a->c;

    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < c; j += VW) {
            const vf centred = v_sub(row_load(a->x, i, j, c, x_bf16),
                                     load_at(a->mean, j, c));
            const vf rest = a->r ? row_load(a->r, i, j, c, bf16) : v_zero();
            const vf t = v_fma(centred, load_at(a->rstd, j, c), rest);

            row_store(a->y, i, j, c, v_if_positive(t, t, v_mul(t, slope)), bf16, stream);
        }
}

static ALWAYS_INLINE void
norm_rows_of(const struct voco_norm_rows *a, const bool x_bf16, const bool bf16)
{
    if (a->stream && can_stream(a->y, bf16) && a->c % VW == 0) {
        norm_all_rows(a, x_bf16, bf16, true);
        v_stream_end();
    } else
        norm_all_rows(a, x_bf16, bf16, false);
}

static void
norm_rows(const struct voco_norm_rows *args)
{
    struct voco_norm_rows copy = *args;
    const struct voco_norm_rows *const a = &copy;
    const size_t some = folded(a->rows, a->c);

    if (some) {
        float mean[FOLDED], rstd[FOLDED];
        struct voco_norm_rows wide = copy;

        repeat(a->mean, a->c, mean);
        repeat(a->rstd, a->c, rstd);
        wide.rows = some;
        wide.c = FOLDED;
        wide.mean = mean;
        wide.rstd = rstd;
        norm_rows(&wide);
        copy.rows -= some * (FOLDED / a->c);
        copy.x = behind(a->x, a->x_bf16, some);
        copy.r = behind(a->r, a->bf16, some);
        copy.y = (void *)behind(a->y, a->bf16, some);
    }
    if (!a->bf16)
        norm_rows_of(a, false, false);
    else if (a->x_bf16)
        norm_rows_of(a, true, true);
    else
        norm_rows_of(a, false, true);
}

/* The vector at column j of a row: g and xhat rebuilt from y. */
static ALWAYS_INLINE void
rebuild(const struct voco_norm_rows_grad *a, const bool bf16, const bool dy_bf16,
        size_t row, size_t j, vf slope, vf inverse, vf *g, vf *xhat)
{
    const vf y = row_load(a->y, row, j, a->c, bf16);
    const vf dy = row_load(a->dy, row, j, a->c, dy_bf16);
    const vf r = a->r ? row_load(a->r, row, j, a->c, bf16) : v_zero();

    *g = v_if_positive(y, dy, v_mul(dy, slope));
    *xhat = v_sub(v_if_positive(y, y, v_mul(y, inverse)), r);
}

/* f32 sums over at most so many rows, then double */
enum { SUM_ROWS = 64 };

/* Of rows [from,to) and `wide` vectors of columns from j on. */
static ALWAYS_INLINE void
column_sums(const struct voco_norm_rows_grad *a, const bool bf16, const bool dy_bf16,
            size_t from, size_t to, size_t j, const size_t wide)
{
    const vf slope = v_set(a->slope), inverse = v_set(1 / a->slope);
    vf s[SWEEP], p[SWEEP];

    EACH_VECTOR
        s[v] = p[v] = v_zero();
    for (size_t i = from; i < to; i++)
        EACH_VECTOR {
            vf g, xhat;

            rebuild(a, bf16, dy_bf16, i, j + v * VW, slope, inverse, &g, &xhat);
            s[v] = v_add(s[v], g);
            p[v] = v_fma(g, xhat, p[v]);
        }
    for (size_t v = 0; v < wide; v++, j += VW) {
        float sum_g[VW], sum_gx[VW];

        v_store(sum_g, s[v]);
        v_store(sum_gx, p[v]);
        for (size_t k = 0; k < VW && j + k < a->c; k++) {
            a->sum_g[j + k] += sum_g[k];
            a->sum_gx[j + k] += sum_gx[k];
        }
    }
}

static ALWAYS_INLINE void
sums_of_rows(const struct voco_norm_rows_grad *a, const bool bf16, const bool dy_bf16)
{
    for (size_t from = 0; from < a->rows; from += SUM_ROWS) {
        const size_t to = a->rows - from < SUM_ROWS ? a->rows : from + SUM_ROWS;

        for (size_t j = 0; j < a->c; j += SWEEP * VW)
            switch ((a->c - j + VW - 1) / VW) {
            case 1: column_sums(a, bf16, dy_bf16, from, to, j, 1); break;
            case 2: column_sums(a, bf16, dy_bf16, from, to, j, 2); break;
            case 3: column_sums(a, bf16, dy_bf16, from, to, j, 3); break;
            default: column_sums(a, bf16, dy_bf16, from, to, j, SWEEP); break;
            }
    }
}

/* a of the rows behind so many folded ones */
static struct voco_norm_rows_grad
grad_behind(struct voco_norm_rows_grad a, size_t some)
{
    a.rows -= some * (FOLDED / a.c);
    a.y = behind(a.y, a.bf16, some);
    a.r = behind(a.r, a.bf16, some);
    a.dy = behind(a.dy, a.dy_bf16, some);
    a.dx = (void *)behind(a.dx, a.dx_bf16, some);
    a.dr = (void *)behind(a.dr, a.bf16, some);
    return a;
}

static void
norm_rows_sums(const struct voco_norm_rows_grad *args)
{
    struct voco_norm_rows_grad copy = *args;
    const struct voco_norm_rows_grad *const a = &copy;
    const size_t some = folded(a->rows, a->c);

    if (some) {
        double sum_g[FOLDED] = { 0 }, sum_gx[FOLDED] = { 0 };
        struct voco_norm_rows_grad wide = copy;

        wide.rows = some;
        wide.c = FOLDED;
        wide.sum_g = sum_g;
        wide.sum_gx = sum_gx;
        norm_rows_sums(&wide);
        for (size_t j = 0; j < FOLDED; j++) {
            a->sum_g[j % a->c] += sum_g[j];
            a->sum_gx[j % a->c] += sum_gx[j];
        }
        copy = grad_behind(copy, some);
    }
    if (!a->bf16)
        sums_of_rows(a, false, false);
    else if (a->dy_bf16)
        sums_of_rows(a, true, true);
    else
        sums_of_rows(a, true, false);
}

static ALWAYS_INLINE void
grad_of_all_rows(const struct voco_norm_rows_grad *a, const bool bf16, const bool dy_bf16,
                 const bool dx_bf16, const bool stream)
{
    const vf slope = v_set(a->slope), inverse = v_set(1 / a->slope);

    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j += VW) {
            vf g, xhat, t;

            rebuild(a, bf16, dy_bf16, i, j, slope, inverse, &g, &xhat);
            t = v_fnma(xhat, load_at(a->mean_gx, j, a->c),
                       v_sub(g, load_at(a->mean_g, j, a->c)));
            row_store(a->dx, i, j, a->c, v_mul(t, load_at(a->rstd, j, a->c)), dx_bf16,
                      stream);
            if (a->dr)
                row_store(a->dr, i, j, a->c, g, bf16, stream && a->dr != a->dy);
        }
}

static ALWAYS_INLINE void
grad_of_rows(const struct voco_norm_rows_grad *a, const bool bf16, const bool dy_bf16,
             const bool dx_bf16)
{
    if (a->stream && can_stream(a->dx, dx_bf16) && (!a->dr || can_stream(a->dr, bf16))
        && a->c % VW == 0) {
        grad_of_all_rows(a, bf16, dy_bf16, dx_bf16, true);
        v_stream_end();
    } else
        grad_of_all_rows(a, bf16, dy_bf16, dx_bf16, false);
}

static void
norm_rows_grad(const struct voco_norm_rows_grad *args)
{
    struct voco_norm_rows_grad copy = *args;
    const struct voco_norm_rows_grad *const a = &copy;
    const size_t some = folded(a->rows, a->c);

    if (some) {
        float rstd[FOLDED], mean_g[FOLDED], mean_gx[FOLDED];
        struct voco_norm_rows_grad wide = copy;

        repeat(a->rstd, a->c, rstd);
        repeat(a->mean_g, a->c, mean_g);
        repeat(a->mean_gx, a->c, mean_gx);
        wide.rows = some;
        wide.c = FOLDED;
        wide.rstd = rstd;
        wide.mean_g = mean_g;
        wide.mean_gx = mean_gx;
        norm_rows_grad(&wide);
        copy = grad_behind(copy, some);
    }
    if (!a->bf16)
        grad_of_rows(a, false, false, false);
    else if (!a->dy_bf16)
        grad_of_rows(a, true, false, false);
    else if (!a->dx_bf16)
        grad_of_rows(a, true, true, false);
    else
        grad_of_rows(a, true, true, true);
}

/* Of row i: the mean in two parts, which together are more exact than one float, and
 * the variance. */
static ALWAYS_INLINE void
row_moments(const void *x, const bool bf16, size_t i, size_t c, float over, float *centre,
            float *off, float *var)
{
    vf sum = v_zero(), squares = v_zero(), dist = v_zero();
    size_t j;

    for (j = 0; j < c; j += VW)
        sum = v_add(sum, row_load(x, i, j, c, bf16));
    *centre = v_sum(sum) * over;
    for (j = 0; c - j >= VW; j += VW) {
        const vf t = v_sub(row_load(x, i, j, c, bf16), v_set(*centre));

        dist = v_add(dist, t);
        squares = v_fma(t, t, squares);
    }
    if (j < c) {                                /* lanes beyond c must not count */
        const vf t = v_first(v_sub(row_load(x, i, j, c, bf16), v_set(*centre)), c - j);

        dist = v_add(dist, t);
        squares = v_fma(t, t, squares);
    }
    *off = v_sum(dist) * over;
    *var = v_sum(squares) * over - *off * *off;
}

/* VW rows at a time: their sums overlap, and one vector takes all square roots. */
static ALWAYS_INLINE void
layernorm_of(const struct voco_layernorm_rows *a, const bool bf16)
{
    const size_t c = a->c;
    const float over = 1 / (float)c;

    for (size_t first = 0; first < a->rows; first += VW) {
        const size_t m = a->rows - first < VW ? a->rows - first : VW;
        float centre[VW], off[VW], rstd[VW] = { 0 };

        for (size_t i = 0; i < m; i++)
            row_moments(a->x, bf16, first + i, c, over, &centre[i], &off[i], &rstd[i]);
        v_store(rstd, v_div(v_set(1), v_sqrt(v_add(v_load(rstd), v_set(a->eps)))));
        for (size_t i = 0; i < m; i++) {
            const vf mean = v_set(centre[i]), rest = v_set(off[i]), r = v_set(rstd[i]);

            for (size_t j = 0; j < c; j += VW) {
                const vf x = row_load(a->x, first + i, j, c, bf16);
                vf t = v_mul(v_sub(v_sub(x, mean), rest), r);

                if (a->w)
                    t = v_fma(t, load_at(a->w, j, c), load_at(a->b, j, c));
                row_store(a->y, first + i, j, c, t, bf16, false);
            }
            a->mean[first + i] = centre[i] + off[i];
            a->rstd[first + i] = rstd[i];
        }
    }
}

static void
layernorm(const struct voco_layernorm_rows *args)
{
    const struct voco_layernorm_rows copy = *args;

    if (copy.bf16)
        layernorm_of(&copy, true);
    else
        layernorm_of(&copy, false);
}

/* dx = rstd (p - mean(p) - xhat mean(p xhat)) + r with p = dy w; y = w xhat + b */
static ALWAYS_INLINE void
layernorm_grad_of(const struct voco_layernorm_grad *a, const bool bf16)
{
    const size_t c = a->c;
    const float over = 1 / (float)c;

    for (size_t i = 0; i < a->rows; i++) {
        const vf mean = v_set(a->mean[i]), rstd = v_set(a->rstd[i]);
        vf sum_p = v_zero(), sum_px = v_zero(), mean_p, mean_px;

        for (size_t j = 0; j < c; j += VW) {
            const vf xhat = v_mul(v_sub(row_load(a->x, i, j, c, bf16), mean), rstd);
            const vf g = row_load(a->dy, i, j, c, bf16);
            const vf p = a->w ? v_mul(g, load_at(a->w, j, c)) : g;

            sum_p = v_add(sum_p, p);
            sum_px = v_fma(p, xhat, sum_px);    /* beyond c: p is 0 */
            if (a->w) {
                store_at(a->dw, j, c, v_fma(g, xhat, load_at(a->dw, j, c)));
                store_at(a->db, j, c, v_add(g, load_at(a->db, j, c)));
            }
        }
        mean_p = v_set(v_sum(sum_p) * over);
        mean_px = v_set(v_sum(sum_px) * over);
        for (size_t j = 0; j < c; j += VW) {
            const vf xhat = v_mul(v_sub(row_load(a->x, i, j, c, bf16), mean), rstd);
            const vf g = row_load(a->dy, i, j, c, bf16);
            const vf p = a->w ? v_mul(g, load_at(a->w, j, c)) : g;

            const vf t = v_mul(v_fnma(xhat, mean_px, v_sub(p, mean_p)), rstd);

            row_store(a->dx, i, j, c, a->r ? v_add(t, row_load(a->r, i, j, c, bf16)) : t,
                      bf16, false);
            if (a->y)
                row_store(a->y, i, j, c, a->w ? v_fma(xhat, load_at(a->w, j, c),
                                                      load_at(a->b, j, c)) : xhat,
                          bf16, false);
        }
    }
}

static void
layernorm_grad(const struct voco_layernorm_grad *args)
{
    const struct voco_layernorm_grad copy = *args;

    if (copy.bf16)
        layernorm_grad_of(&copy, true);
    else
        layernorm_grad_of(&copy, false);
}

#endif
