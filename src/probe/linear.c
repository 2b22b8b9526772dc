/* Linear maps of features, scaling, and coordinates in the span of rows. */
#include "probe/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/matrix.h"

void
voco_linear_init(struct voco_linear *m, int width, int outputs)
{
    m->width = width;
    m->outputs = outputs;
    m->w = voco_doubles((int64_t)outputs * width);
    m->b = voco_doubles(outputs);
}

void
voco_linear_free(struct voco_linear *m)
{
    free(m->w);
    free(m->b);
    *m = (struct voco_linear){ .w = NULL };
}

void
voco_linear_apply(const struct voco_linear *m, const double *x, int n, double *z)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m->outputs; k++)
            z[(int64_t)i * m->outputs + k] = m->b[k]
                + voco_dot(m->w + (int64_t)k * m->width, x + (int64_t)i * m->width,
                           m->width);
}

void
voco_scaler_make(const double *x, int n, int width, struct voco_scaler *ret)
{
    *ret = (struct voco_scaler){ .width = width, .mean = voco_doubles(width),
                                 .scale = voco_doubles(width) };
    for (int i = 0; i < n; i++)
        voco_axpy(1.0 / n, x + (int64_t)i * width, width, ret->mean);
    for (int j = 0; j < width; j++) {
        double square = 0, sd;

        for (int i = 0; i < n; i++) {
            const double d = x[(int64_t)i * width + j] - ret->mean[j];

            square += d * d;
        }
        sd = sqrt(square / n);
        if (sd > 1e-9 * fabs(ret->mean[j]) && sd > 0)
            ret->scale[j] = 1 / sd;
        else
            ret->constant++;
    }
}

void
voco_scaler_apply(const struct voco_scaler *s, double *x, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < s->width; j++) {
            double *v = &x[(int64_t)i * s->width + j];

            *v = (*v - s->mean[j]) * s->scale[j];
        }
}

void
voco_scaler_free(struct voco_scaler *s)
{
    free(s->mean);
    free(s->scale);
    *s = (struct voco_scaler){ .mean = NULL };
}

/* Gram-Schmidt, twice for each row: once leaves an error of eps times the condition. */
void
voco_span_make(const double *x, int n, int width, struct voco_span *ret)
{
    double *row = voco_doubles(width);

    *ret = (struct voco_span){ .width = width, .basis = voco_doubles((int64_t)n * width) };
    for (int i = 0; i < n; i++) {
        double before, norm;

        memcpy(row, x + (int64_t)i * width, (size_t)width * sizeof *row);
        before = sqrt(voco_dot(row, row, width));
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < ret->rank; k++) {
                const double *b = ret->basis + (int64_t)k * width;

                voco_axpy(-voco_dot(b, row, width), b, width, row);
            }
        norm = sqrt(voco_dot(row, row, width));
        if (norm > 1e-12 * before)
            voco_axpy(1 / norm, row, width, ret->basis + (int64_t)ret->rank++ * width);
    }
    free(row);
}

void
voco_span_coordinates(const struct voco_span *s, const double *x, int n, double *ret)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < s->rank; k++)
            ret[(int64_t)i * s->rank + k] = voco_dot(s->basis + (int64_t)k * s->width,
                                                     x + (int64_t)i * s->width, s->width);
}

void
voco_span_widen(const struct voco_span *s, const struct voco_linear *in,
                struct voco_linear *ret)
{
    voco_linear_init(ret, s->width, in->outputs);
    memcpy(ret->b, in->b, (size_t)in->outputs * sizeof *ret->b);
    for (int k = 0; k < in->outputs; k++)
        for (int j = 0; j < s->rank; j++)
            voco_axpy(in->w[(int64_t)k * s->rank + j], s->basis + (int64_t)j * s->width,
                      s->width, ret->w + (int64_t)k * s->width);
}

void
voco_span_free(struct voco_span *s)
{
    free(s->basis);
    *s = (struct voco_span){ .basis = NULL };
}
