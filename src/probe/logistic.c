/* Logistic regression: Newton's method, its steps by conjugate gradients, so that the Hessian
 * is never formed: it has (classes x features)^2 elements. */
#include "probe/logistic.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/matrix.h"

enum { STEPS_MAX = 200, INNER_MAX = 2000 };

/* A point is all outputs, each width weights and the intercept. */
struct problem {
    const double *x;
    const int *y;
    int n, width, classes, outputs, size;
    double lambda;
    double *q;                  /* [n][outputs]: probabilities at the last point */
    double *z;                  /* [outputs]: of a row */
};

int
voco_logistic_outputs(int classes)
{
    return classes > 2 ? classes : 1;
}

/* z becomes probabilities; the result is -log of that of class y. */
static double
softmax_loss(double *z, int outputs, int y)
{
    double most = z[0], sum = 0, loss;

    if (outputs == 1) {
        const double s = y ? z[0] : -z[0];      /* log(1 + e^-s) without overflow */

        loss = s > 0 ? log1p(exp(-s)) : log1p(exp(s)) - s;
        z[0] = 1 / (1 + exp(-z[0]));
        return loss;
    }
    for (int k = 1; k < outputs; k++)
        most = fmax(most, z[k]);
    loss = most - z[y];
    for (int k = 0; k < outputs; k++)
        sum += z[k] = exp(z[k] - most);
    for (int k = 0; k < outputs; k++)
        z[k] /= sum;
    return loss + log(sum);
}

static double
penalty(const struct problem *p, const double *at)
{
    double sum = 0;

    for (int k = 0; k < p->outputs; k++) {
        const double *w = at + (int64_t)k * (p->width + 1);

        sum += voco_dot(w, w, p->width);
    }
    return 0.5 * p->lambda * sum;
}

/* The value at a point, and the probabilities there. */
static double
value_at(const struct problem *p, const double *at)
{
    double sum = penalty(p, at);

    for (int i = 0; i < p->n; i++) {
        double *z = p->q + (int64_t)i * p->outputs;

        for (int k = 0; k < p->outputs; k++) {
            const double *w = at + (int64_t)k * (p->width + 1);

            z[k] = w[p->width] + voco_dot(w, p->x + (int64_t)i * p->width, p->width);
        }
        sum += softmax_loss(z, p->outputs, p->y[i]);
    }
    return sum;
}

static void
add_row(const struct problem *p, int i, int output, double scale, double *to)
{
    double *row = to + (int64_t)output * (p->width + 1);

    voco_axpy(scale, p->x + (int64_t)i * p->width, p->width, row);
    row[p->width] += scale;
}

/* lambda times the weights, without the intercepts. */
static void
start_from_penalty(const struct problem *p, const double *at, double *to)
{
    for (int k = 0; k < p->outputs; k++) {
        const int64_t row = (int64_t)k * (p->width + 1);

        for (int j = 0; j < p->width; j++)
            to[row + j] = p->lambda * at[row + j];
        to[row + p->width] = 0;
    }
}

/* At the point of the last value. */
static void
gradient_at(const struct problem *p, const double *at, double *g)
{
    start_from_penalty(p, at, g);
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < p->outputs; k++) {
            const int hit = p->outputs == 1 ? p->y[i] == 1 : p->y[i] == k;

            add_row(p, i, k, p->q[(int64_t)i * p->outputs + k] - hit, g);
        }
}

/* ret = Hessian v.  A row's share: (diag(q) - q q') z with z = v x; of a sigmoid q (1 - q) z. */
static void
hessian_times(const struct problem *p, const double *v, double *ret)
{
    start_from_penalty(p, v, ret);
    for (int i = 0; i < p->n; i++) {
        const double *q = p->q + (int64_t)i * p->outputs;
        double mean = 0;

        for (int k = 0; k < p->outputs; k++) {
            const double *w = v + (int64_t)k * (p->width + 1);

            p->z[k] = w[p->width] + voco_dot(w, p->x + (int64_t)i * p->width, p->width);
            mean += q[k] * p->z[k];
        }
        for (int k = 0; k < p->outputs; k++)
            add_row(p, i, k, q[k] * (p->z[k] - mean), ret);
    }
}

/* step = about H^-1 g: conjugate gradients until the residual is below the share of |g|. */
static void
newton_step(const struct problem *p, const double *g, double share, double *step,
            double *scratch)
{
    double *r = scratch, *d = r + p->size, *h = d + p->size;
    double rr = voco_dot(g, g, p->size);
    const double enough = share * share * rr;

    memset(step, 0, (size_t)p->size * sizeof *step);
    memcpy(r, g, (size_t)p->size * sizeof *r);
    memcpy(d, g, (size_t)p->size * sizeof *d);
    for (int i = 0; i < INNER_MAX && rr > enough && rr > 0; i++) {
        double curvature, length, before = rr;

        hessian_times(p, d, h);
        curvature = voco_dot(d, h, p->size);
        if (!(curvature > 0))
            break;
        length = rr / curvature;
        voco_axpy(length, d, p->size, step);
        voco_axpy(-length, h, p->size, r);
        rr = voco_dot(r, r, p->size);
        for (int j = 0; j < p->size; j++)
            d[j] = r[j] + rr / before * d[j];
    }
}

/* Moves at by the step, halved while the value grows beyond rounding; false: it is at the
 * least value that doubles can tell. */
static bool
descend(const struct problem *p, double *at, const double *step, double *value, double *tried)
{
    for (double t = 1; t > 1e-10; t /= 2) {
        double v;

        memcpy(tried, at, (size_t)p->size * sizeof *at);
        voco_axpy(-t, step, p->size, tried);
        v = value_at(p, tried);
        if (v <= *value + 1e-14 * fabs(*value)) {
            memcpy(at, tried, (size_t)p->size * sizeof *at);
            *value = v;
            return true;
        }
    }
    *value = value_at(p, at);
    return false;
}

/* Below this the gradient is rounding: each of its elements is a sum of n terms. */
static double
rounding(const struct problem *p, double scale)
{
    return 8 * DBL_EPSILON * sqrt((double)p->n) * scale;
}

static enum voco_err
minimise(const struct problem *p, double *at, double *ret_value)
{
    double *g = voco_doubles(p->size), *step = voco_doubles(p->size);
    double *scratch = voco_doubles(3 * (int64_t)p->size);
    double value = value_at(p, at), first = 0, norm = 0, scale = 0;
    bool done = false;

    for (int i = 0; i < p->n; i++)
        scale += voco_dot(p->x + (int64_t)i * p->width, p->x + (int64_t)i * p->width,
                          p->width) + 1;
    scale = sqrt(scale);
    for (int i = 0; i < STEPS_MAX && !done; i++) {
        gradient_at(p, at, g);
        norm = sqrt(voco_dot(g, g, p->size));
        first = i == 0 ? norm : first;
        done = norm <= 1e-13 * first || norm <= rounding(p, scale);
        if (!done) {
            newton_step(p, g, fmin(0.1, sqrt(norm / scale)), step, scratch);
            done = !descend(p, at, step, &value, scratch);
        }
    }
    free(g);
    free(step);
    free(scratch);
    *ret_value = value;
    return done ? VOCO_OK
        : voco_fail(VOCO_ENUMERIC, "a logistic regression with penalty %g did not converge in %d "
                    "steps (gradient %.3g); use a larger penalty", p->lambda, STEPS_MAX, norm);
}

enum voco_err
voco_logistic_fit(const double *x, const int *y, int n, int classes, double lambda,
                  struct voco_linear *m, double *ret_loss)
{
    struct problem p = { .x = x, .y = y, .n = n, .width = m->width, .classes = classes,
                         .outputs = m->outputs, .size = m->outputs * (m->width + 1),
                         .lambda = lambda };
    double *at, value, mean = 0;
    enum voco_err err;

    VOCO_ASSERT(lambda > 0 && m->outputs == voco_logistic_outputs(classes));
    p.q = voco_doubles((int64_t)n * p.outputs);
    p.z = voco_doubles(p.outputs);
    at = voco_doubles(p.size);
    for (int k = 0; k < p.outputs; k++) {
        memcpy(at + (int64_t)k * (p.width + 1), m->w + (int64_t)k * p.width,
               (size_t)p.width * sizeof *at);
        at[(int64_t)k * (p.width + 1) + p.width] = m->b[k];
    }
    err = minimise(&p, at, &value);
    for (int k = 0; k < p.outputs; k++) {
        memcpy(m->w + (int64_t)k * p.width, at + (int64_t)k * (p.width + 1),
               (size_t)p.width * sizeof *at);
        m->b[k] = at[(int64_t)k * (p.width + 1) + p.width];
        mean += m->b[k] / p.outputs;
    }
    for (int k = 0; k < p.outputs && p.outputs > 1; k++)
        m->b[k] -= mean;
    if (ret_loss)
        *ret_loss = value;
    free(p.q);
    free(p.z);
    free(at);
    return err;
}

void
voco_logistic_probability(const struct voco_linear *m, const double *x, int n, int classes,
                          double *p)
{
    double *z = voco_doubles(m->outputs);

    for (int i = 0; i < n; i++) {
        double *to = p + (int64_t)i * classes;

        voco_linear_apply(m, x + (int64_t)i * m->width, 1, z);
        softmax_loss(z, m->outputs, 0);
        if (m->outputs == 1) {
            to[1] = z[0];
            to[0] = 1 - z[0];
        } else
            memcpy(to, z, (size_t)classes * sizeof *to);
    }
    free(z);
}
