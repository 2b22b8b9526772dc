/* Cox regression: sums over risk sets from the latest time to the earliest, Newton's method. */
#include "probe/cox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/matrix.h"

enum { STEPS_MAX = 100 };

/* Sums of e, e x and e x x' over a set of cases, e = exp(x beta - most). */
struct sums {
    double e, *x, *xx;
};

struct work {
    const struct voco_cox *c;
    int *order;                 /* of cases, by falling time */
    double *eta, most;          /* x beta */
    struct sums risk, dead;
    double *mean;               /* [width] */
};

struct timed {
    double time;
    int index;
};

static int
later_first(const void *a, const void *b)
{
    const struct timed *p = a, *q = b;

    if (p->time != q->time)
        return p->time < q->time ? 1 : -1;
    return p->index - q->index;
}

static void
open_work(struct work *w, const struct voco_cox *c, bool hessian)
{
    const int64_t square = hessian ? (int64_t)c->width * c->width : 0;
    struct timed *t = calloc((size_t)c->n + 1, sizeof *t);

    *w = (struct work){ .c = c, .order = calloc((size_t)c->n + 1, sizeof *w->order),
                        .eta = voco_doubles(c->n), .mean = voco_doubles(c->width) };
    VOCO_NEED(t);
    VOCO_NEED(w->order);
    w->risk = (struct sums){ 0, voco_doubles(c->width), voco_doubles(square) };
    w->dead = (struct sums){ 0, voco_doubles(c->width), voco_doubles(square) };
    for (int i = 0; i < c->n; i++)
        t[i] = (struct timed){ c->time[i], i };
    qsort(t, (size_t)c->n, sizeof *t, later_first);
    for (int i = 0; i < c->n; i++)
        w->order[i] = t[i].index;
    free(t);
}

static void
close_work(struct work *w)
{
    free(w->order);
    free(w->eta);
    free(w->mean);
    free(w->risk.x);
    free(w->risk.xx);
    free(w->dead.x);
    free(w->dead.xx);
}

static void
add_case(const struct work *w, int i, struct sums *to, bool hessian)
{
    const int width = w->c->width;
    const double *x = w->c->x + (int64_t)i * width, e = exp(w->eta[i] - w->most);

    to->e += e;
    voco_axpy(e, x, width, to->x);
    if (hessian)
        voco_gram(x, &e, 1, width, to->xx);
}

/* The m events of one time. */
static double
add_events(const struct work *w, int m, double *gradient, double *hessian)
{
    const int width = w->c->width;
    double value = 0, whole = 0, part = 0;

    for (int l = 0; l < m; l++) {
        const double f = w->c->ties == VOCO_TIES_EFRON ? (double)l / m : 0;
        const double a = w->risk.e - f * w->dead.e;

        value += log(a) + w->most;
        whole += 1 / a;
        part += f / a;
        if (!gradient)
            continue;
        for (int j = 0; j < width; j++)
            w->mean[j] = (w->risk.x[j] - f * w->dead.x[j]) / a;
        voco_axpy(1, w->mean, width, gradient);
        for (int j = 0; j < width && hessian; j++)
            voco_axpy(-w->mean[j], w->mean, j + 1, hessian + (int64_t)j * width);
    }
    for (int j = 0; j < width && hessian; j++) {
        voco_axpy(whole, w->risk.xx + (int64_t)j * width, j + 1, hessian + (int64_t)j * width);
        voco_axpy(-part, w->dead.xx + (int64_t)j * width, j + 1, hessian + (int64_t)j * width);
    }
    return value;
}

static void
clear(struct sums *s, int width, bool hessian)
{
    s->e = 0;
    memset(s->x, 0, (size_t)width * sizeof *s->x);
    if (hessian)
        memset(s->xx, 0, (size_t)width * (size_t)width * sizeof *s->xx);
}

/* The penalty, and the upper triangle of the Hessian. */
static double
add_penalty(const struct voco_cox *c, const double *beta, double *gradient, double *hessian)
{
    if (gradient)
        voco_axpy(c->lambda, beta, c->width, gradient);
    for (int j = 0; j < c->width && hessian; j++) {
        hessian[(int64_t)j * c->width + j] += c->lambda;
        for (int k = 0; k < j; k++)
            hessian[(int64_t)k * c->width + j] = hessian[(int64_t)j * c->width + k];
    }
    return 0.5 * c->lambda * voco_dot(beta, beta, c->width);
}

double
voco_cox_value(const struct voco_cox *c, const double *beta, double *gradient,
               double *hessian)
{
    double value = 0;
    struct work w;

    open_work(&w, c, hessian != NULL);
    if (gradient)
        memset(gradient, 0, (size_t)c->width * sizeof *gradient);
    if (hessian)
        memset(hessian, 0, (size_t)c->width * (size_t)c->width * sizeof *hessian);
    w.most = -INFINITY;
    for (int i = 0; i < c->n; i++) {
        w.eta[i] = voco_dot(c->x + (int64_t)i * c->width, beta, c->width);
        w.most = fmax(w.most, w.eta[i]);
    }
    for (int k = 0; k < c->n; ) {
        const double time = c->time[w.order[k]];
        int m = 0;

        clear(&w.dead, c->width, hessian != NULL);
        for (; k < c->n && c->time[w.order[k]] == time; k++) {
            const int i = w.order[k];

            add_case(&w, i, &w.risk, hessian != NULL);
            if (!c->event[i])
                continue;
            m++;
            value -= w.eta[i];
            if (gradient)
                voco_axpy(-1, c->x + (int64_t)i * c->width, c->width, gradient);
            add_case(&w, i, &w.dead, hessian != NULL);
        }
        value += add_events(&w, m, gradient, hessian);
    }
    close_work(&w);
    return value + add_penalty(c, beta, gradient, hessian);
}

static enum voco_err
no_fit(const struct voco_cox *c)
{
    return voco_fail(VOCO_ENUMERIC, "Cox regression with %d features and penalty %g has no fit: "
                     "the features depend on each other, or put the events in order; use a "
                     "larger penalty", c->width, c->lambda);
}

enum voco_err
voco_cox_fit(const struct voco_cox *c, double *beta, double *ret_error, double *ret_value)
{
    double *g = voco_doubles(c->width), *tried = voco_doubles(c->width);
    double *h = voco_doubles((int64_t)c->width * c->width), value, largest = INFINITY;
    bool solvable = true, moved = true;

    value = voco_cox_value(c, beta, g, h);
    for (int step = 0; step < STEPS_MAX && moved && largest > 1e-13; step++) {
        double t = 1, v = INFINITY, size = 1;

        if (!(solvable = voco_cholesky(h, c->width)))
            break;
        voco_cholesky_solve(h, c->width, g);
        for (moved = false; t > 1e-10 && !moved; t /= moved ? 1 : 2) {
            memcpy(tried, beta, (size_t)c->width * sizeof *tried);
            voco_axpy(-t, g, c->width, tried);
            v = voco_cox_value(c, tried, NULL, NULL);
            moved = v <= value + 1e-14 * fabs(value);
        }
        largest = 0;
        for (int j = 0; j < c->width && moved; j++) {
            largest = fmax(largest, fabs(t * g[j]));
            size = fmax(size, fabs(tried[j]));
        }
        largest /= size;
        if (moved)
            memcpy(beta, tried, (size_t)c->width * sizeof *beta);
        value = voco_cox_value(c, beta, g, h);
    }
    if (solvable && ret_error && (solvable = voco_cholesky(h, c->width))) {
        voco_cholesky_inverse_diagonal(h, c->width, ret_error);
        for (int j = 0; j < c->width; j++)
            ret_error[j] = sqrt(ret_error[j]);
    }
    if (ret_value)
        *ret_value = value;
    free(g);
    free(h);
    free(tried);
    return solvable && (!moved || largest <= 1e-13) ? VOCO_OK : no_fit(c);
}
