/* Fits of probes of cases: a fold of a target, predicted by the other folds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/cox.h"
#include "probe/folds.h"
#include "probe/logistic.h"
#include "probe/matrix.h"
#include "probe/neighbours.h"
#include "probe/ridge.h"
#include "task/probe/cases.h"

enum { STRENGTHS = 8, MIDDLE = 4, INNER_FOLDS = 5, NEAREST = 5 };

/* Penalties that are tried, for features of deviation 1 and a loss that is a sum over cases;
 * from strong to weak, so that each fit starts at the one before. */
static const double strength[STRENGTHS] = { 1e5, 1e4, 1e3, 1e2, 1e1, 1, 1e-1, 1e-2 };

/* Some cases of a target with features that are ready for fits. */
struct rows {
    int n, width;
    double *x;                  /* [n][width] */
    int *at;                    /* [n]: the case of the target */
    int *label;
    double *value;
    bool *event;
};

struct fold {
    const struct voco_probe *p;
    struct voco_probe_target *t;
    struct rows train, test;    /* scaled */
    struct rows narrow_train, narrow_test;      /* in the span of the training rows */
    int *inner;                 /* [train.n]: inner folds */
    int n_inner;
};

/* ---- rows ---- */

static void
rows_init(struct rows *r, int room, int width)
{
    *r = (struct rows){ .width = width, .x = voco_doubles((int64_t)room * width),
                        .value = voco_doubles(room),
                        .at = calloc((size_t)room + 1, sizeof *r->at),
                        .label = calloc((size_t)room + 1, sizeof *r->label),
                        .event = calloc((size_t)room + 1, sizeof *r->event) };
    VOCO_NEED(r->at && r->label && r->event);
}

static void
rows_free(struct rows *r)
{
    free(r->x);
    free(r->at);
    free(r->label);
    free(r->value);
    free(r->event);
}

static void
rows_add(struct rows *r, const double *x, int at, int label, double value, bool event)
{
    memcpy(r->x + (int64_t)r->n * r->width, x, (size_t)r->width * sizeof *x);
    r->at[r->n] = at;
    r->label[r->n] = label;
    r->value[r->n] = value;
    r->event[r->n++] = event;
}

/* Rows of from whose inner fold is f (own), or is another one. */
static void
rows_pick(const struct fold *d, const struct rows *from, int f, bool own, struct rows *ret)
{
    rows_init(ret, from->n, from->width);
    for (int i = 0; i < from->n; i++)
        if ((d->inner[i] == f) == own)
            rows_add(ret, from->x + (int64_t)i * from->width, from->at[i], from->label[i],
                     from->value[i], from->event[i]);
}

static void
rows_narrow(const struct voco_span *s, const struct rows *from, struct rows *ret)
{
    double *z = voco_doubles((int64_t)from->n * s->rank);

    voco_span_coordinates(s, from->x, from->n, z);
    rows_init(ret, from->n, s->rank);
    for (int i = 0; i < from->n; i++)
        rows_add(ret, z + (int64_t)i * s->rank, from->at[i], from->label[i], from->value[i],
                 from->event[i]);
    free(z);
}

/* ---- the three penalised fits: all strengths on some rows, judged on others ---- */

struct fits {
    /* The fits for strengths[n] on rows, in model[n]. */
    enum voco_err (*fit)(const struct rows *r, const double *strengths, int n, int classes,
                         struct voco_linear *model);
    /* What is minimised over strengths; all: the rows of fit and test together. */
    double (*judge)(const struct rows *fitted, const struct rows *test, const struct rows *all,
                    int classes, const struct voco_linear *m);
};

static enum voco_err
fit_logistic(const struct rows *r, const double *strengths, int n, int classes,
             struct voco_linear *model)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < n; i++) {
        struct voco_linear *m = &model[i];

        voco_linear_init(m, r->width, voco_logistic_outputs(classes));
        if (err)
            continue;
        if (i) {
            memcpy(m->w, m[-1].w, (size_t)m->outputs * (size_t)m->width * sizeof *m->w);
            memcpy(m->b, m[-1].b, (size_t)m->outputs * sizeof *m->b);
        }
        err = voco_logistic_fit(r->x, r->label, r->n, classes, strengths[i], m, NULL);
    }
    return err;
}

static double
judge_logistic(const struct rows *fitted, const struct rows *test, const struct rows *all,
               int classes, const struct voco_linear *m)
{
    double *p = voco_doubles((int64_t)test->n * classes), sum = 0;

    (void)fitted;
    (void)all;
    voco_logistic_probability(m, test->x, test->n, classes, p);
    for (int i = 0; i < test->n; i++)
        sum -= log(fmax(p[(int64_t)i * classes + test->label[i]], 1e-15));
    free(p);
    return sum;
}

static enum voco_err
fit_ridge(const struct rows *r, const double *strengths, int n, int classes,
          struct voco_linear *model)
{
    (void)classes;
    return voco_ridge_fit(r->x, r->value, r->n, r->width, 1, strengths, n, model);
}

static double
judge_ridge(const struct rows *fitted, const struct rows *test, const struct rows *all,
            int classes, const struct voco_linear *m)
{
    double *z = voco_doubles(test->n), sum = 0;

    (void)fitted;
    (void)all;
    (void)classes;
    voco_linear_apply(m, test->x, test->n, z);
    for (int i = 0; i < test->n; i++)
        sum += (z[i] - test->value[i]) * (z[i] - test->value[i]);
    free(z);
    return sum;
}

static struct voco_cox
cox_of(const struct rows *r, double lambda)
{
    return (struct voco_cox){ .n = r->n, .width = r->width, .x = r->x, .time = r->value,
                              .event = r->event, .lambda = lambda };
}

static enum voco_err
fit_cox(const struct rows *r, const double *strengths, int n, int classes,
        struct voco_linear *model)
{
    enum voco_err err = VOCO_OK;

    (void)classes;
    for (int i = 0; i < n; i++) {
        const struct voco_cox c = cox_of(r, strengths[i]);

        voco_linear_init(&model[i], r->width, 1);
        if (i)
            memcpy(model[i].w, model[i - 1].w, (size_t)r->width * sizeof *model->w);
        if (!err)
            err = voco_cox_fit(&c, model[i].w, NULL, NULL);
    }
    return err;
}

/* The cross-validated partial likelihood: a single case has none, so that of all rows less
 * that of the fitted ones. */
static double
judge_cox(const struct rows *fitted, const struct rows *test, const struct rows *all,
          int classes, const struct voco_linear *m)
{
    const struct voco_cox whole = cox_of(all, 0), part = cox_of(fitted, 0);

    (void)test;
    (void)classes;
    return voco_cox_value(&whole, m->w, NULL, NULL) - voco_cox_value(&part, m->w, NULL, NULL);
}

static const struct fits fits_of[] = {
    [VOCO_PROBE_CLASS] = { fit_logistic, judge_logistic },
    [VOCO_PROBE_VALUE] = { fit_ridge, judge_ridge },
    [VOCO_PROBE_SURVIVAL] = { fit_cox, judge_cox }
};

static void
free_models(struct voco_linear *m, int n)
{
    for (int i = 0; i < n; i++)
        voco_linear_free(&m[i]);
}

/* The strength with the least sum over inner folds, the larger one of equals. */
static enum voco_err
choose(const struct fold *d, const struct fits *f, double *ret)
{
    double sum[STRENGTHS] = { 0 };
    enum voco_err err = VOCO_OK;
    int best = 0;

    for (int k = 0; k < d->n_inner && !err; k++) {
        struct voco_linear m[STRENGTHS];
        struct rows fit, test;

        rows_pick(d, &d->narrow_train, k, false, &fit);
        rows_pick(d, &d->narrow_train, k, true, &test);
        err = f->fit(&fit, strength, STRENGTHS, d->t->classes, m);
        for (int i = 0; i < STRENGTHS && !err; i++)
            sum[i] += f->judge(&fit, &test, &d->narrow_train, d->t->classes, &m[i]);
        free_models(m, STRENGTHS);
        rows_free(&fit);
        rows_free(&test);
    }
    for (int i = 1; i < STRENGTHS; i++)
        if (sum[i] < sum[best])
            best = i;
    best = d->n_inner ? best : MIDDLE;
    *ret = strength[best];
    return err;
}

static enum voco_err
penalised(const struct fold *d, double *ret_lambda, struct voco_linear *ret)
{
    const struct fits *f = &fits_of[d->t->kind];
    enum voco_err err = VOCO_OK;

    *ret_lambda = d->p->config->lambda;
    if (isnan(*ret_lambda))
        err = choose(d, f, ret_lambda);
    *ret = (struct voco_linear){ .w = NULL };
    return err ? err : f->fit(&d->narrow_train, ret_lambda, 1, d->t->classes, ret);
}

/* ---- predictions of the kinds ---- */

static int
largest(const double *p, int n)
{
    int best = 0;

    for (int k = 1; k < n; k++)
        if (p[k] > p[best])
            best = k;
    return best;
}

static void
predict_majority(const struct fold *d, struct voco_probe_result *r)
{
    const int classes = d->t->classes;
    double *share = voco_doubles(classes);

    for (int i = 0; i < d->train.n; i++)
        share[d->train.label[i]] += 1.0 / d->train.n;
    for (int i = 0; i < d->test.n; i++) {
        memcpy(r->score + (int64_t)d->test.at[i] * classes, share,
               (size_t)classes * sizeof *share);
        r->guess[d->test.at[i]] = largest(share, classes);
    }
    free(share);
}

/* Shares of votes as scores; a share of 0 would make the log loss infinite, so each class gets
 * one vote of `classes` more. */
static void
predict_neighbours(const struct fold *d, int k, const double *sim, struct voco_probe_result *r)
{
    const int classes = d->t->classes, n = d->train.n;
    int *order = calloc((size_t)n + 1, sizeof *order);
    double *vote = voco_doubles(classes);

    VOCO_NEED(order);
    k = k < n ? k : n;
    for (int i = 0; i < d->test.n; i++) {
        double *to = r->score + (int64_t)d->test.at[i] * classes;

        voco_order_by_similarity(sim + (int64_t)i * n, n, order);
        r->guess[d->test.at[i]] = voco_neighbours_vote(sim + (int64_t)i * n, order,
                                                       d->train.label, k, classes, 0, vote);
        for (int c = 0; c < classes; c++)
            to[c] = (vote[c] + 1.0 / classes) / (k + 1);
    }
    free(order);
    free(vote);
}

static enum voco_err
predict_classes(const struct fold *d, struct voco_probe_result *r, double *ret_lambda)
{
    static const int k[] = { 1, 5, 20 };
    const int classes = d->t->classes;
    double *p = voco_doubles((int64_t)d->test.n * classes);
    double *sim = voco_doubles((int64_t)d->test.n * d->train.n);
    struct voco_linear m;
    const enum voco_err err = penalised(d, ret_lambda, &m);

    predict_majority(d, &r[0]);
    if (!err) {
        voco_logistic_probability(&m, d->narrow_test.x, d->test.n, classes, p);
        for (int i = 0; i < d->test.n; i++) {
            memcpy(r[1].score + (int64_t)d->test.at[i] * classes, p + (int64_t)i * classes,
                   (size_t)classes * sizeof *p);
            r[1].guess[d->test.at[i]] = largest(p + (int64_t)i * classes, classes);
        }
    }
    voco_cosine(d->test.x, d->test.n, d->train.x, d->train.n, d->train.width, sim);
    for (int i = 0; i < 3; i++)
        predict_neighbours(d, k[i], sim, &r[2 + i]);
    voco_linear_free(&m);
    free(sim);
    free(p);
    return err;
}

static enum voco_err
predict_values(const struct fold *d, struct voco_probe_result *r, double *ret_lambda)
{
    const int n = d->train.n, k = NEAREST < n ? NEAREST : n;
    double *z = voco_doubles(d->test.n), *sim = voco_doubles((int64_t)d->test.n * n), mean = 0;
    int *order = calloc((size_t)n + 1, sizeof *order);
    struct voco_linear m;
    const enum voco_err err = penalised(d, ret_lambda, &m);

    VOCO_NEED(order);
    if (!err)
        voco_linear_apply(&m, d->narrow_test.x, d->test.n, z);
    for (int i = 0; i < n; i++)
        mean += d->train.value[i] / n;
    voco_cosine(d->test.x, d->test.n, d->train.x, n, d->train.width, sim);
    for (int i = 0; i < d->test.n; i++) {
        const int at = d->test.at[i];

        r[0].score[at] = mean;
        r[1].score[at] = z[i];
        voco_order_by_similarity(sim + (int64_t)i * n, n, order);
        for (int j = 0; j < k; j++)
            r[2].score[at] += d->train.value[order[j]] / k;
    }
    voco_linear_free(&m);
    free(order);
    free(sim);
    free(z);
    return err;
}

static enum voco_err
predict_survival(const struct fold *d, struct voco_probe_result *r, double *ret_lambda)
{
    double *z = voco_doubles(d->test.n);
    struct voco_linear m;
    const enum voco_err err = penalised(d, ret_lambda, &m);

    if (!err)
        voco_linear_apply(&m, d->narrow_test.x, d->test.n, z);
    for (int i = 0; i < d->test.n; i++)
        r[0].score[d->test.at[i]] = z[i];
    voco_linear_free(&m);
    free(z);
    return err;
}

/* ---- a fold ---- */

static void
open_fold(const struct voco_probe *p, struct voco_probe_target *t, int table, int fold,
          struct fold *d)
{
    const int width = p->table[table].width;
    const char **patient = calloc((size_t)t->n + 1, sizeof *patient);
    struct voco_folds_options inner = { .group = patient, .folds = INNER_FOLDS,
                                        .seed = (uint64_t)p->config->seed };
    struct voco_scaler scaler;
    struct voco_span span = { .basis = NULL };
    enum voco_err err = VOCO_OK;

    VOCO_NEED(patient);
    *d = (struct fold){ .p = p, .t = t };
    rows_init(&d->train, t->n, width);
    rows_init(&d->test, t->n, width);
    for (int i = 0; i < t->n; i++) {
        struct rows *r = t->fold[i] == fold ? &d->test : &d->train;

        if (r == &d->train)
            patient[r->n] = t->patient[i];
        rows_add(r, t->x[table] + (int64_t)i * width, i, t->label[i], t->value[i], t->event[i]);
    }
    voco_scaler_make(d->train.x, d->train.n, width, &scaler);
    voco_scaler_apply(&scaler, d->train.x, d->train.n);
    voco_scaler_apply(&scaler, d->test.x, d->test.n);
    voco_scaler_free(&scaler);
    if (width > d->train.n)
        voco_span_make(d->train.x, d->train.n, width, &span);
    else {                      /* the features themselves */
        span = (struct voco_span){ .width = width, .rank = width,
                                   .basis = voco_doubles((int64_t)width * width) };
        for (int i = 0; i < width; i++)
            span.basis[(int64_t)i * width + i] = 1;
    }
    rows_narrow(&span, &d->train, &d->narrow_train);
    rows_narrow(&span, &d->test, &d->narrow_test);
    voco_span_free(&span);

    inner.n = d->train.n;
    inner.stratum = d->train.label;
    d->inner = calloc((size_t)d->train.n + 1, sizeof *d->inner);
    VOCO_NEED(d->inner);
    while (inner.folds > 1 && (err = voco_folds_make(&inner, d->inner)))
        inner.folds--;
    d->n_inner = err ? 0 : inner.folds;         /* one patient leaves no choice */
    free(patient);
}

static void
close_fold(struct fold *d)
{
    rows_free(&d->train);
    rows_free(&d->test);
    rows_free(&d->narrow_train);
    rows_free(&d->narrow_test);
    free(d->inner);
}

enum voco_err
voco_probe_fit(const struct voco_probe *p, struct voco_probe_target *t, int table, int fold,
               double *ret_lambda)
{
    struct voco_probe_result *r = &t->result[table * (t->n_results / p->tables)];
    struct fold d;
    enum voco_err err;

    *ret_lambda = NAN;
    if (t->kind == VOCO_PROBE_RETRIEVAL || t->kind == VOCO_PROBE_PATIENTS) {
        voco_probe_retrieve(t, p->table[table].width, table, r);
        return VOCO_OK;
    }
    open_fold(p, t, table, fold, &d);
    err = t->kind == VOCO_PROBE_CLASS ? predict_classes(&d, r, ret_lambda)
        : t->kind == VOCO_PROBE_VALUE ? predict_values(&d, r, ret_lambda)
        : predict_survival(&d, r, ret_lambda);
    close_fold(&d);
    return err ? voco_fail_in(err, "%s, column %s", p->table[table].path, t->name) : VOCO_OK;
}
