/* Normalisation of rows of c channels: by column (instance norm), by row (layer norm). */
#ifndef VOCO_SIMD_BODY_NORM_H
#define VOCO_SIMD_BODY_NORM_H

/* Two accumulators, so that two additions are in flight. */
struct two_sums {
    vf even, odd;
};

/*
 * Of up to VW columns: mean, then the sum of squared distances.  The second sweep also
 * sums the distances themselves, which makes up for the rounding of the first mean.
 */
static ALWAYS_INLINE void
column_moments(const float *x, size_t rows, size_t c, size_t lanes, double *mean,
               double *m2)
{
    struct two_sums s = { v_zero(), v_zero() }, d = s, q = s;
    float dist[VW], squares[VW], first[VW];
    vf centre;
    size_t i;

    for (i = 0; i + 1 < rows; i += 2) {
        s.even = v_add(s.even, load_at(x + i * c, 0, lanes));
        s.odd = v_add(s.odd, load_at(x + (i + 1) * c, 0, lanes));
    }
    if (i < rows)
        s.even = v_add(s.even, load_at(x + i * c, 0, lanes));
    centre = v_div(v_add(s.even, s.odd), v_set((float)rows));
    for (i = 0; i + 1 < rows; i += 2) {
        const vf t = v_sub(load_at(x + i * c, 0, lanes), centre);
        const vf u = v_sub(load_at(x + (i + 1) * c, 0, lanes), centre);

        d.even = v_add(d.even, t);
        d.odd = v_add(d.odd, u);
        q.even = v_fma(t, t, q.even);
        q.odd = v_fma(u, u, q.odd);
    }
    if (i < rows) {
        const vf t = v_sub(load_at(x + i * c, 0, lanes), centre);

        d.even = v_add(d.even, t);
        q.even = v_fma(t, t, q.even);
    }
    v_store(first, centre);
    v_store(dist, v_add(d.even, d.odd));
    v_store(squares, v_add(q.even, q.odd));
    for (size_t j = 0; j < lanes; j++) {
        mean[j] = first[j] + (double)dist[j] / (double)rows;
        m2[j] = squares[j] - (double)dist[j] * dist[j] / (double)rows;
    }
}

static void
moments(const float *x, size_t rows, size_t c, double *mean, double *m2)
{
    if (rows == 0)
        for (size_t j = 0; j < c; j++)
            mean[j] = m2[j] = 0;
    else
        for (size_t j = 0; j < c; j += VW) {
            if (c - j >= VW)
                column_moments(x + j, rows, c, VW, mean + j, m2 + j);
            else
                column_moments(x + j, rows, c, c - j, mean + j, m2 + j);
        }
}

static void
norm_rows(const struct voco_norm_rows *args)
{
    const struct voco_norm_rows copy = *args, *a = &copy;
    const vf slope = v_set(a->slope);

    for (size_t i = 0; i < a->rows; i++) {
        const float *x = a->x + i * a->c, *r = a->r ? a->r + i * a->c : NULL;
        float *y = a->y + i * a->c;

        for (size_t j = 0; j < a->c; j += VW) {
            const vf centred = v_sub(load_at(x, j, a->c), load_at(a->mean, j, a->c));
            const vf rest = r ? load_at(r, j, a->c) : v_zero();
            const vf t = v_fma(centred, load_at(a->rstd, j, a->c), rest);

            store_at(y, j, a->c, v_if_positive(t, t, v_mul(t, slope)));
        }
    }
}

/* The vector at element k of row-major arrays: g and xhat rebuilt from y. */
static inline void
rebuild(const struct voco_norm_rows_grad *a, size_t row, size_t j, vf slope, vf inverse,
        vf *g, vf *xhat)
{
    const size_t first = row * a->c;
    const vf y = load_at(a->y + first, j, a->c), dy = load_at(a->dy + first, j, a->c);
    const vf r = a->r ? load_at(a->r + first, j, a->c) : v_zero();

    *g = v_if_positive(y, dy, v_mul(dy, slope));
    *xhat = v_sub(v_if_positive(y, y, v_mul(y, inverse)), r);
}

/* f32 sums over at most so many rows, then double */
enum { SUM_ROWS = 64 };

static void
norm_rows_sums(const struct voco_norm_rows_grad *args)
{
    const struct voco_norm_rows_grad copy = *args, *a = &copy;
    const vf slope = v_set(a->slope), inverse = v_set(1 / a->slope);

    for (size_t from = 0; from < a->rows; from += SUM_ROWS) {
        const size_t to = a->rows - from < SUM_ROWS ? a->rows : from + SUM_ROWS;

        for (size_t j = 0; j < a->c; j += VW) {
            const size_t lanes = a->c - j < VW ? a->c - j : VW;
            vf s = v_zero(), p = v_zero(), g, xhat;
            float part[2][VW];

            for (size_t i = from; i < to; i++) {
                rebuild(a, i, j, slope, inverse, &g, &xhat);
                s = v_add(s, g);
                p = v_fma(g, xhat, p);
            }
            v_store(part[0], s);
            v_store(part[1], p);
            for (size_t k = 0; k < lanes; k++) {
                a->sum_g[j + k] += part[0][k];
                a->sum_gx[j + k] += part[1][k];
            }
        }
    }
}

static void
norm_rows_grad(const struct voco_norm_rows_grad *args)
{
    const struct voco_norm_rows_grad copy = *args, *a = &copy;
    const vf slope = v_set(a->slope), inverse = v_set(1 / a->slope);

    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j += VW) {
            vf g, xhat, t;

            rebuild(a, i, j, slope, inverse, &g, &xhat);
            t = v_fnma(xhat, load_at(a->mean_gx, j, a->c),
                       v_sub(g, load_at(a->mean_g, j, a->c)));
            store_at(a->dx + i * a->c, j, a->c, v_mul(t, load_at(a->rstd, j, a->c)));
            if (a->dr)
                store_at(a->dr + i * a->c, j, a->c, g);
        }
}

/* Of one row: the mean in two parts, which together are more exact than one float, and
 * the variance. */
static inline void
row_moments(const float *x, size_t c, float over, float *centre, float *off, float *var)
{
    vf sum = v_zero(), squares = v_zero(), dist = v_zero();
    size_t j;

    for (j = 0; c - j >= VW; j += VW)
        sum = v_add(sum, v_load(x + j));
    if (j < c)
        sum = v_add(sum, v_load_n(x + j, c - j));
    *centre = v_sum(sum) * over;
    for (j = 0; c - j >= VW; j += VW) {
        const vf t = v_sub(v_load(x + j), v_set(*centre));

        dist = v_add(dist, t);
        squares = v_fma(t, t, squares);
    }
    if (j < c) {                                /* lanes beyond c must not count */
        const vf t = v_first(v_sub(v_load_n(x + j, c - j), v_set(*centre)), c - j);

        dist = v_add(dist, t);
        squares = v_fma(t, t, squares);
    }
    *off = v_sum(dist) * over;
    *var = v_sum(squares) * over - *off * *off;
}

/* VW rows at a time: their sums overlap, and one vector takes all square roots. */
static void
layernorm(const struct voco_layernorm_rows *args)
{
    const struct voco_layernorm_rows copy = *args, *a = &copy;
    const size_t c = a->c;
    const float over = 1 / (float)c;

    for (size_t first = 0; first < a->rows; first += VW) {
        const size_t m = a->rows - first < VW ? a->rows - first : VW;
        float centre[VW], off[VW], rstd[VW] = { 0 };

        for (size_t i = 0; i < m; i++)
            row_moments(a->x + (first + i) * c, c, over, &centre[i], &off[i], &rstd[i]);
        v_store(rstd, v_div(v_set(1), v_sqrt(v_add(v_load(rstd), v_set(a->eps)))));
        for (size_t i = 0; i < m; i++) {
            const float *x = a->x + (first + i) * c;
            float *y = a->y + (first + i) * c;
            const vf mean = v_set(centre[i]), rest = v_set(off[i]), r = v_set(rstd[i]);

            for (size_t j = 0; j < c; j += VW) {
                vf t = v_mul(v_sub(v_sub(load_at(x, j, c), mean), rest), r);

                if (a->w)
                    t = v_fma(t, load_at(a->w, j, c), load_at(a->b, j, c));
                store_at(y, j, c, t);
            }
            a->mean[first + i] = centre[i] + off[i];
            a->rstd[first + i] = rstd[i];
        }
    }
}

/* dx = rstd (p - mean(p) - xhat mean(p xhat)) with p = dy w */
static void
layernorm_grad(const struct voco_layernorm_grad *args)
{
    const struct voco_layernorm_grad copy = *args, *a = &copy;
    const size_t c = a->c;
    const float over = 1 / (float)c;

    for (size_t i = 0; i < a->rows; i++) {
        const float *x = a->x + i * c, *dy = a->dy + i * c;
        const vf mean = v_set(a->mean[i]), rstd = v_set(a->rstd[i]);
        vf sum_p = v_zero(), sum_px = v_zero(), mean_p, mean_px;

        for (size_t j = 0; j < c; j += VW) {
            const vf xhat = v_mul(v_sub(load_at(x, j, c), mean), rstd);
            const vf g = load_at(dy, j, c);
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
            const vf xhat = v_mul(v_sub(load_at(x, j, c), mean), rstd);
            const vf g = load_at(dy, j, c);
            const vf p = a->w ? v_mul(g, load_at(a->w, j, c)) : g;

            store_at(a->dx + i * c, j, c,
                     v_mul(v_fnma(xhat, mean_px, v_sub(p, mean_p)), rstd));
        }
    }
}

#endif
