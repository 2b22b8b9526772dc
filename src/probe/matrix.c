/* Dense matrices of doubles: products with the transpose, Cholesky. */
#include "probe/matrix.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"

double *
voco_doubles(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);

    VOCO_NEED(x);
    return x;
}

double
voco_dot(const double *a, const double *b, int n)
{
    double sum[4] = { 0 };
    int i = 0;

    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void
voco_axpy(double scale, const double *restrict x, int n, double *restrict y)
{
    for (int i = 0; i < n; i++)
        y[i] += scale * x[i];
}

/* Four rows at a time, so that an element of g is loaded and stored once for all of them. */
static void
add_four(const double *restrict x, const double *w, int cols, double *restrict g)
{
    const double *a = x, *b = x + cols, *c = b + cols, *d = c + cols;

    for (int i = 0; i < cols; i++) {
        const double p = w[0] * a[i], q = w[1] * b[i], r = w[2] * c[i], s = w[3] * d[i];
        double *restrict row = g + (int64_t)i * cols;

        for (int j = 0; j <= i; j++)
            row[j] += (p * a[j] + q * b[j]) + (r * c[j] + s * d[j]);
    }
}

void
voco_gram(const double *x, const double *weight, int64_t rows, int cols, double *g)
{
    static const double ones[4] = { 1, 1, 1, 1 };
    int64_t k = 0;

    for (; k + 4 <= rows; k += 4)
        add_four(x + k * cols, weight ? weight + k : ones, cols, g);
    for (; k < rows; k++)
        for (int i = 0; i < cols; i++)
            voco_axpy((weight ? weight[k] : 1) * x[k * cols + i], x + k * cols, i + 1,
                      g + (int64_t)i * cols);
}

bool
voco_cholesky(double *a, int n)
{
    for (int j = 0; j < n; j++) {
        double *row = a + (int64_t)j * n;
        const double before = row[j], left = before - voco_dot(row, row, j);

        /* What rounding leaves of a diagonal that should be 0 is about n eps of it. */
        if (!(left > 1e-15 * n * fabs(before)))
            return false;
        row[j] = sqrt(left);
        for (int i = j + 1; i < n; i++) {
            double *below = a + (int64_t)i * n;

            below[j] = (below[j] - voco_dot(below, row, j)) / row[j];
        }
    }
    return true;
}

void
voco_cholesky_solve(const double *l, int n, double *b)
{
    for (int i = 0; i < n; i++)
        b[i] = (b[i] - voco_dot(l + (int64_t)i * n, b, i)) / l[(int64_t)i * n + i];
    for (int i = n - 1; i >= 0; i--) {
        b[i] /= l[(int64_t)i * n + i];
        voco_axpy(-b[i], l + (int64_t)i * n, i, b);
    }
}

void
voco_cholesky_inverse_diagonal(const double *l, int n, double *ret)
{
    double *unit = voco_doubles(n);

    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n; i++)
            unit[i] = i == k;
        voco_cholesky_solve(l, n, unit);
        ret[k] = unit[k];
    }
    free(unit);
}
