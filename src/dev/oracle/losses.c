/* The oracle's losses of rows.  Sources of the formulas: torch.nn.functional.cross_entropy,
 * l1_loss and mse_loss. */
#include <math.h>

#include "dev/oracle/oracle.h"

double
voco_oracle_softmax(int64_t c, double scale, int64_t without, const double *x, double *p)
{
    double top = -INFINITY, sum = 0;

    for (int64_t k = 0; k < c; k++)
        if (k != without)
            top = fmax(top, scale * x[k]);
    for (int64_t k = 0; k < c; k++)
        sum += p[k] = k == without ? 0 : exp(scale * x[k] - top);
    for (int64_t k = 0; k < c; k++)
        p[k] /= sum;
    return top + log(sum);
}

/* ---- softmax cross-entropy ---- */

/* Row r of item i. */
struct row {
    const double *x;
    const double *share;        /* [c] of the classes, or NULL */
    int64_t class;              /* where share is NULL; below 0: does not count */
    int64_t without;            /* the column left out, or -1 */
};

static struct row
row_of(const struct voco_softmax_ce *o, X x, X target, int64_t i, int64_t r)
{
    const int64_t c = x->dim[2], at = i * x->dim[1] + r;
    struct row row = { .x = f64(x) + at * c, .without = o->skip_self ? r : -1 };

    if (target->rank == 3)
        row.share = f64(target) + at * c;
    else
        row.class = (int64_t)floor(f64(target)[at]);
    VOCO_ASSERT(row.share || (row.class < c && (row.class < 0 || row.class != row.without)));
    return row;
}

static bool
counts(const struct row *row)
{
    return row->share || row->class >= 0;
}

/* The target of class k. */
static double
share_of(const struct row *row, int64_t k)
{
    if (k == row->without)
        return 0;
    return row->share ? row->share[k] : k == row->class;
}

static void
check_softmax_ce(const struct voco_softmax_ce *o, X x, X target, X count)
{
    VOCO_ASSERT(o->scale > 0 && x->rank == 3 && voco_count(count) == x->dim[0]
                && (!o->skip_self || (x->dim[1] <= x->dim[2] && x->dim[2] > 1))
                && voco_count(target)
                   == x->dim[0] * x->dim[1] * (target->rank == 3 ? x->dim[2] : 1));
}

void
voco_oracle_softmax_ce_forward(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                               X target, double weight, Y count, Y loss)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];
    const struct voco_tensor p = voco_push(ctx, &ctx->temp, 1, c);

    if (ctx->err)
        return;
    check_softmax_ce(o, x, target, count);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, counted = 0;

        for (int64_t r = 0; r < rows; r++) {
            const struct row row = row_of(o, x, target, i, r);
            const double lse = voco_oracle_softmax(c, o->scale, row.without, row.x, f64(&p));

            if (!counts(&row))
                continue;
            counted++;
            for (int64_t k = 0; k < c; k++)
                sum += share_of(&row, k) * (lse - o->scale * row.x[k]);
        }
        f64(count)[i] = counted;
        if (counted > 0)
            f64(loss)[0] += weight * sum / counted / (double)n;
    }
    voco_arena_release(&ctx->temp, mark);
}

/* dx = scale (p sum(target) - target), over n times the rows that count */
void
voco_oracle_softmax_ce_backward(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                                X target, X count, double weight, Y dx)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];
    const struct voco_tensor p = voco_push(ctx, &ctx->temp, 1, c);

    if (ctx->err)
        return;
    check_softmax_ce(o, x, target, count);
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < rows; r++) {
            const struct row row = row_of(o, x, target, i, r);
            const double f = counts(&row)
                             ? weight * o->scale / f64(count)[i] / (double)n : 0;
            double all = 0;

            voco_oracle_softmax(c, o->scale, row.without, row.x, f64(&p));
            for (int64_t k = 0; k < c; k++)
                all += share_of(&row, k);
            for (int64_t k = 0; k < c; k++)
                f64(dx)[(i * rows + r) * c + k] = f * (f64(&p)[k] * all - share_of(&row, k));
        }
    voco_arena_release(&ctx->temp, mark);
}

/* ---- masked error ---- */

static void
check_masked_error(int power, X x, X target, X mask, X sums)
{
    VOCO_ASSERT((power == 1 || power == 2) && x->rank == 3
                && voco_count(target) == voco_count(x) && voco_count(sums) == x->dim[0]
                && (!mask || voco_count(mask) == x->dim[0] * x->dim[1]));
}

void
voco_oracle_masked_error_forward(struct voco_ctx *ctx, int power, X x, X target, X mask,
                                 double weight, Y sums, Y loss)
{
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];

    if (ctx->err)
        return;
    check_masked_error(power, x, target, mask, sums);
    for (int64_t i = 0; i < n; i++) {
        double error = 0, sum = 0;

        for (int64_t r = i * rows; r < (i + 1) * rows; r++) {
            const double m = mask ? f64(mask)[r] : 1;

            sum += m;
            for (int64_t k = r * c; k < (r + 1) * c; k++) {
                const double off = fabs(f64(x)[k] - f64(target)[k]);

                error += m * (power == 2 ? off * off : off);
            }
        }
        f64(sums)[i] = sum;
        if (sum > 0)
            f64(loss)[0] += weight * error / ((double)c * sum) / (double)n;
    }
}

void
voco_oracle_masked_error_backward(struct voco_ctx *ctx, int power, X x, X target, X mask, X sums,
                                  double weight, Y dx)
{
    const int64_t n = x->dim[0], rows = x->dim[1], c = x->dim[2];

    if (ctx->err)
        return;
    check_masked_error(power, x, target, mask, sums);
    for (int64_t r = 0; r < n * rows; r++) {
        const double m = mask ? f64(mask)[r] : 1, sum = f64(sums)[r / rows];
        const double f = sum > 0 ? weight * m / ((double)c * sum) / (double)n : 0;

        for (int64_t k = r * c; k < (r + 1) * c; k++) {
            const double off = f64(x)[k] - f64(target)[k];

            f64(dx)[k] = f * (power == 2 ? 2 * off : off > 0 ? 1 : off < 0 ? -1 : 0);
        }
    }
}

/* ---- labels ---- */

void
voco_oracle_argmax_rows(struct voco_ctx *ctx, X x, double threshold, Y y)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t c = voco_cols(x);
    const struct voco_tensor p = voco_push(ctx, &ctx->temp, 1, c);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == voco_rows(x));
    for (int64_t r = 0; r < voco_rows(x); r++) {
        const double *row = f64(x) + r * c;
        int64_t best = 0;

        for (int64_t k = 1; k < c; k++)
            if (row[k] > row[best])
                best = k;
        voco_oracle_softmax(c, 1, -1, row, f64(&p));
        f64(y)[r] = f64(&p)[best] < threshold ? -1 : (double)best;
    }
    voco_arena_release(&ctx->temp, mark);
}
