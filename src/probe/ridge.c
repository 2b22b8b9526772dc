/* Ridge regression by Cholesky's method. */
#include "probe/ridge.h"

#include <stdlib.h>
#include <string.h>

#include "probe/matrix.h"

enum voco_err
voco_ridge_solve(const double *gram, const double *cross, int width, int targets,
                 double lambda, double *w)
{
    const int64_t n = (int64_t)width * width;
    double *l = malloc((size_t)(n + 1) * sizeof *l);
    bool solvable;

    VOCO_NEED(l);
    memcpy(l, gram, (size_t)n * sizeof *l);
    for (int i = 0; i < width; i++)
        l[(int64_t)i * width + i] += lambda;
    solvable = voco_cholesky(l, width);
    memcpy(w, cross, (size_t)targets * (size_t)width * sizeof *w);
    for (int k = 0; k < targets && solvable; k++)
        voco_cholesky_solve(l, width, w + (int64_t)k * width);
    free(l);
    return solvable ? VOCO_OK
        : voco_fail(VOCO_ENUMERIC, "the %d features are linearly dependent, and a penalty of %g "
                    "leaves the fit open; use a larger one", width, lambda);
}

/* Means of the columns of x[n][width]; x becomes x - mean. */
static double *
centre(double *x, int n, int width)
{
    double *mean = voco_doubles(width);

    for (int i = 0; i < n; i++)
        voco_axpy(1.0 / n, x + (int64_t)i * width, width, mean);
    for (int i = 0; i < n; i++)
        voco_axpy(-1, mean, width, x + (int64_t)i * width);
    return mean;
}

static double *
copy(const double *x, int64_t n)
{
    double *to = voco_doubles(n);

    memcpy(to, x, (size_t)n * sizeof *x);
    return to;
}

/* Of centred x and y, with at most as many features as rows. */
static enum voco_err
fit_centred(const double *x, const double *y, int n, int width, int targets,
            const double *lambda, int n_lambda, struct voco_linear *ret)
{
    double *gram = voco_doubles((int64_t)width * width);
    double *cross = voco_doubles((int64_t)targets * width);
    enum voco_err err = VOCO_OK;

    voco_gram(x, NULL, n, width, gram);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < targets; k++)
            voco_axpy(y[(int64_t)i * targets + k], x + (int64_t)i * width, width,
                      cross + (int64_t)k * width);
    for (int l = 0; l < n_lambda; l++) {
        voco_linear_init(&ret[l], width, targets);
        if (!err)
            err = voco_ridge_solve(gram, cross, width, targets, lambda[l], ret[l].w);
    }
    free(gram);
    free(cross);
    return err;
}

enum voco_err
voco_ridge_fit(const double *x, const double *y, int n, int width, int targets,
               const double *lambda, int n_lambda, struct voco_linear *ret)
{
    double *xc = copy(x, (int64_t)n * width), *yc = copy(y, (int64_t)n * targets);
    double *mean_x = centre(xc, n, width), *mean_y = centre(yc, n, targets);
    enum voco_err err;

    if (width <= n)
        err = fit_centred(xc, yc, n, width, targets, lambda, n_lambda, ret);
    else {
        struct voco_span span;
        double *z;

        voco_span_make(xc, n, width, &span);
        z = voco_doubles((int64_t)n * span.rank);
        voco_span_coordinates(&span, xc, n, z);
        err = fit_centred(z, yc, n, span.rank, targets, lambda, n_lambda, ret);
        for (int l = 0; l < n_lambda; l++) {
            struct voco_linear narrow = ret[l];

            voco_span_widen(&span, &narrow, &ret[l]);
            voco_linear_free(&narrow);
        }
        voco_span_free(&span);
        free(z);
    }
    for (int l = 0; l < n_lambda; l++)
        for (int k = 0; k < targets; k++)
            ret[l].b[k] = mean_y[k] - voco_dot(mean_x, ret[l].w + (int64_t)k * width, width);
    free(xc);
    free(yc);
    free(mean_x);
    free(mean_y);
    return err;
}
