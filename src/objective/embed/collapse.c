/* Collapse signals of a step.  Sources: Roy and Vetterli, EUSIPCO 2007
 * (effective rank); Golub and Van Loan, Matrix Computations, 8.5 (cyclic Jacobi). */
#include "objective/embed/collapse.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"

/* a = J' a J with the rotation that clears a[p][q]; only the upper triangle is kept. */
static void
rotate(double *a, int n, int p, int q)
{
    const double apq = a[p * n + q];
    const double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), s = t * c;

    a[p * n + p] -= t * apq;
    a[q * n + q] += t * apq;
    a[p * n + q] = 0;
    for (int k = 0; k < n; k++) {
        if (k == p || k == q)
            continue;
        double *kp = k < p ? &a[k * n + p] : &a[p * n + k];
        double *kq = k < q ? &a[k * n + q] : &a[q * n + k];
        const double x = *kp, y = *kq;

        *kp = c * x - s * y;
        *kq = s * x + c * y;
    }
}

static int
descending(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;

    return (a < b) - (a > b);
}

void
voco_eigenvalues(double *a, int n, double *value)
{
    double size = 0;

    for (int i = 0; i < n * n; i++)
        size += a[i] * a[i];
    /* Convergence is quadratic: 6 to 10 sweeps at these sizes; 60 is never reached. */
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0;

        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                off += a[p * n + q] * a[p * n + q];
        if (off <= 1e-30 * size)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                if (a[p * n + q] != 0)
                    rotate(a, n, p, q);
    }
    for (int i = 0; i < n; i++)
        value[i] = a[i * n + i];
    qsort(value, (size_t)n, sizeof *value, descending);
}

/* g[i][j] = x_i . x_j, upper triangle mirrored. */
static void
gram(const float *x, int n, int c, double *g)
{
    for (int i = 0; i < n; i++) {
        for (int j = i; j < n; j++) {
            const float *xi = x + (size_t)i * (size_t)c, *xj = x + (size_t)j * (size_t)c;
            double sum = 0;

            for (int k = 0; k < c; k++)
                sum += (double)xi[k] * xj[k];
            g[i * n + j] = g[j * n + i] = sum;
        }
    }
}

static double
mean_cosine(const double *g, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            const double norms = sqrt(g[i * n + i]) * sqrt(g[j * n + j]);

            if (norms > 0)
                sum += g[i * n + j] / norms;
        }
    }
    return n < 2 ? (double)NAN : sum / (0.5 * n * (n - 1));
}

/* The singular values are the roots of the Gram matrix's eigenvalues: below 1e-8 of the
 * largest they are rounding, which moves the entropy by less than 1e-5 a value. */
static double
effective_rank(const double *eigenvalue, int n)
{
    double sum = 0, entropy = 0;

    for (int i = 0; i < n; i++)
        sum += eigenvalue[i] > 0 ? sqrt(eigenvalue[i]) : 0;
    if (sum == 0)
        return 0;
    for (int i = 0; i < n; i++) {
        const double p = eigenvalue[i] > 0 ? sqrt(eigenvalue[i]) / sum : 0;

        if (p > 0)
            entropy -= p * log(p);
    }
    return exp(entropy);
}

enum voco_err
voco_collapse_signals(const float *x, int n, int c, struct voco_collapse *ret)
{
    double trace = 0;

    VOCO_ASSERT(n >= 0 && n <= VOCO_SIGNALS_ROWS && c >= 0);
    *ret = (struct voco_collapse){ NAN, NAN };
    if (n == 0)
        return VOCO_OK;

    double *g = malloc((size_t)n * (size_t)(n + 1) * sizeof *g);
    if (!g)
        return voco_fail(VOCO_EMEMORY, "collapse signals: no memory for %d rows", n);
    gram(x, n, c, g);
    for (int i = 0; i < n; i++)
        trace += g[i * n + i];
    if (isfinite(trace)) {
        ret->cosine = mean_cosine(g, n);
        voco_eigenvalues(g, n, g + n * n);
        ret->effective_rank = effective_rank(g + n * n, n);
    }
    free(g);
    return VOCO_OK;
}

void
voco_collapse_record(const float *x, int n, int c, struct voco_record *record)
{
    struct voco_collapse collapse = { NAN, NAN };

    if (voco_collapse_signals(x, n < VOCO_SIGNALS_ROWS ? n : VOCO_SIGNALS_ROWS, c, &collapse)
        != VOCO_OK)
        voco_detail("collapse signals: %s", voco_fail_text());
    voco_record_add(record, collapse.cosine, "embedding_cosine");
    voco_record_add(record, collapse.effective_rank, "effective_rank");
}
