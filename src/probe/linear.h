/*
 * Linear maps of features, z = W x + b, and what all fits of them share: features brought to
 * one scale, and the span of few rows of many features.
 *
 * A fit whose penalty is a multiple of |W|^2 depends on the rows only through their inner
 * products.  W therefore lies in the span of the training rows, and the fit of a table that is
 * wider than long is exactly that of its coordinates in an orthonormal basis of the span.
 */
#ifndef VOCO_PROBE_LINEAR_H
#define VOCO_PROBE_LINEAR_H

struct voco_linear {
    int width, outputs;
    double *w;                  /* [outputs][width] */
    double *b;                  /* [outputs] */
};

/* Zeros. */
void voco_linear_init(struct voco_linear *m, int width, int outputs);
void voco_linear_free(struct voco_linear *m);           /* accepts {0} */

/* z[n][outputs] of x[n][width] */
void voco_linear_apply(const struct voco_linear *m, const double *x, int n, double *z);

/* ---- one scale for all features ---- */

struct voco_scaler {
    int width;
    int constant;               /* features without variation, which become 0 */
    double *mean, *scale;       /* scale: 1 / standard deviation, or 0 */
};

/* Of x[n][width].  A feature is constant when its deviation is below 1e-9 of its size. */
void voco_scaler_make(const double *x, int n, int width, struct voco_scaler *ret);
void voco_scaler_apply(const struct voco_scaler *s, double *x, int n);
void voco_scaler_free(struct voco_scaler *s);           /* accepts {0} */

/* ---- the span of rows ---- */

struct voco_span {
    int width, rank;            /* rank <= the number of rows */
    double *basis;              /* [rank][width], orthonormal */
};

void voco_span_make(const double *x, int n, int width, struct voco_span *ret);
/* ret[n][rank] of x[n][width] */
void voco_span_coordinates(const struct voco_span *s, const double *x, int n, double *ret);
/* The same map of features: in has outputs x rank weights, ret outputs x width. */
void voco_span_widen(const struct voco_span *s, const struct voco_linear *in,
                     struct voco_linear *ret);
void voco_span_free(struct voco_span *s);               /* accepts {0} */

#endif
