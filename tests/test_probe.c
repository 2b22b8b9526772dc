/* The mathematics of probes against numbers of numpy, and where there is no clean answer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dev/list.h"
#include "objective/embed/embed.h"
#include "probe/cox.h"
#include "probe/folds.h"
#include "probe/logistic.h"
#include "probe/matrix.h"
#include "probe/neighbours.h"
#include "probe/retrieval.h"
#include "probe/ridge.h"
#include "probe/score.h"
#include "probe/voxel.h"
#include "task/probe/maps.h"
#include "tests/golden_read.h"
#include "tests/test.h"

#define ok(call) ck_assert_msg((call) == VOCO_OK, "%s: %s", #call, voco_fail_text())

/* Largest difference of the two, which must be at most the tolerance. */
static void
same(const char *what, const double *got, const double *want, int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= tolerance, "%s[%d]: %.17g, want %.17g", what,
                      (int)i, got[i], want[i]);
}

static void
same_attr(const struct golden *g, const char *object, const char *key, double got,
          double tolerance)
{
    double want;

    golden_attr(g, object, key, 1, &want);
    ck_assert_msg(fabs(got - want) <= tolerance, "%s %s: %.17g, want %.17g", object, key, got,
                  want);
}

static int *
integers(const struct golden_array *a)
{
    int *ret = calloc((size_t)a->count + 1, sizeof *ret);

    ck_assert(ret != NULL);
    for (int64_t i = 0; i < a->count; i++)
        ret[i] = (int)a->x[i];
    return ret;
}

/* The embeddings and classes of the file. */
struct table {
    struct golden file;
    struct golden_array train, test, train_class, test_class;
    int *train_label, *test_label;
    int n, m, width, classes;
};

static void
open_table(struct table *t)
{
    double classes;

    t->file = golden_open("probes");
    t->train = golden_read(&t->file, "table/train");
    t->test = golden_read(&t->file, "table/test");
    t->train_class = golden_read(&t->file, "table/train_class");
    t->test_class = golden_read(&t->file, "table/test_class");
    t->train_label = integers(&t->train_class);
    t->test_label = integers(&t->test_class);
    t->n = (int)t->train.dim[0];
    t->m = (int)t->test.dim[0];
    t->width = (int)t->train.dim[1];
    golden_attr(&t->file, "/", "classes", 1, &classes);
    t->classes = (int)classes;
}

static void
close_table(struct table *t)
{
    golden_free(&t->train);
    golden_free(&t->test);
    golden_free(&t->train_class);
    golden_free(&t->test_class);
    free(t->train_label);
    free(t->test_label);
    golden_close(&t->file);
}

/* ---- ridge ---- */

START_TEST(ridge_is_that_of_numpy)
{
    struct table t;

    open_table(&t);
    struct golden_array lambda = golden_read(&t.file, "ridge/lambda");
    struct golden_array w = golden_read(&t.file, "ridge/w"), b = golden_read(&t.file, "ridge/b");
    struct golden_array train = golden_read(&t.file, "ridge/train_target");
    struct golden_array test = golden_read(&t.file, "ridge/test_target");
    struct golden_array predicted = golden_read(&t.file, "ridge/prediction");
    struct golden_array r2 = golden_read(&t.file, "ridge/r2");
    struct golden_array mae = golden_read(&t.file, "ridge/mae");
    struct voco_linear fit[5];
    double *z = voco_doubles(t.m);

    ck_assert_int_eq(lambda.count, 5);
    ok(voco_ridge_fit(t.train.x, train.x, t.n, t.width, 1, lambda.x, 5, fit));
    for (int l = 0; l < 5; l++) {
        same("w", fit[l].w, w.x + l * t.width, t.width, 1e-10);
        same("b", fit[l].b, b.x + l, 1, 1e-10);
        voco_linear_apply(&fit[l], t.test.x, t.m, z);
        same("prediction", z, predicted.x + l * t.m, t.m, 1e-10);
        ck_assert_double_eq_tol(voco_r2(test.x, z, NULL, t.m), r2.x[l], 1e-10);
        ck_assert_double_eq_tol(voco_mae(test.x, z, NULL, t.m), mae.x[l], 1e-10);
        voco_linear_free(&fit[l]);
    }
    free(z);
    golden_free(&lambda);
    golden_free(&w);
    golden_free(&b);
    golden_free(&train);
    golden_free(&test);
    golden_free(&predicted);
    golden_free(&r2);
    golden_free(&mae);
    close_table(&t);
}
END_TEST

START_TEST(ridge_of_more_features_than_rows_is_that_of_numpy)
{
    struct golden g = golden_open("probes");
    struct golden_array x = golden_read(&g, "ridge_wide/x"), y = golden_read(&g, "ridge_wide/y");
    struct golden_array w = golden_read(&g, "ridge_wide/w"), b = golden_read(&g, "ridge_wide/b");
    const double lambda = 1;
    const int n = (int)x.dim[0], width = (int)x.dim[1];
    struct voco_linear fit;

    ck_assert_int_gt(width, n);
    ok(voco_ridge_fit(x.x, y.x, n, width, 2, &lambda, 1, &fit));
    for (int j = 0; j < width; j++)
        for (int k = 0; k < 2; k++)
            ck_assert_double_eq_tol(fit.w[k * width + j], w.x[j * 2 + k], 1e-10);
    same("b", fit.b, b.x, 2, 1e-10);
    voco_linear_free(&fit);
    golden_free(&x);
    golden_free(&y);
    golden_free(&w);
    golden_free(&b);
    golden_close(&g);
}
END_TEST

START_TEST(ridge_without_penalty_on_dependent_features_is_an_error)
{
    double x[40], y[10];
    const double lambda[2] = { 0, 1e-3 };
    struct voco_linear fit[2];

    for (int i = 0; i < 10; i++) {
        x[i * 4] = i;
        x[i * 4 + 1] = i * i;
        x[i * 4 + 2] = 2 * x[i * 4] - x[i * 4 + 1];     /* dependent */
        x[i * 4 + 3] = 7;                               /* constant */
        y[i] = 3 * i;
    }
    ck_assert_int_eq(voco_ridge_fit(x, y, 10, 4, 1, lambda, 2, fit), VOCO_ENUMERIC);
    ck_assert(strstr(voco_fail_text(), "linearly dependent") != NULL);
    voco_linear_free(&fit[0]);
    voco_linear_free(&fit[1]);
    ok(voco_ridge_fit(x, y, 10, 4, 1, lambda + 1, 1, fit));
    ck_assert_double_eq_tol(fit->w[3], 0, 1e-12);
    voco_linear_free(fit);
}
END_TEST

/* ---- logistic regression ---- */

static void
logistic_case(const struct table *t, const char *group, int classes, double lambda,
              const struct voco_linear *start)
{
    struct golden_array w = golden_read(&t->file, "%s/lambda_%g/w", group, lambda);
    struct golden_array b = golden_read(&t->file, "%s/lambda_%g/b", group, lambda);
    struct golden_array p = golden_read(&t->file, "%s/lambda_%g/test_probability", group,
                                        lambda);
    int *train = calloc((size_t)t->n, sizeof *train), *test = calloc((size_t)t->m, sizeof *test);
    int *guess = calloc((size_t)t->m, sizeof *guess);
    double *got = voco_doubles((int64_t)t->m * classes), *count = voco_doubles(classes * classes);
    struct voco_linear fit;
    double loss;
    char name[64];

    snprintf(name, sizeof name, "%s/lambda_%g", group, lambda);
    for (int i = 0; i < t->n; i++)
        train[i] = t->train_label[i] % classes;
    for (int i = 0; i < t->m; i++)
        test[i] = t->test_label[i] % classes;
    voco_linear_init(&fit, t->width, voco_logistic_outputs(classes));
    if (start)
        memcpy(fit.w, start->w, (size_t)(fit.width * fit.outputs) * sizeof *fit.w);
    ok(voco_logistic_fit(t->train.x, train, t->n, classes, lambda, &fit, &loss));
    same("w", fit.w, w.x, w.count, 1e-8);
    same("b", fit.b, b.x, b.count, 1e-8);
    same_attr(&t->file, name, "loss", loss, 1e-10);
    voco_logistic_probability(&fit, t->test.x, t->m, classes, got);
    same("probability", got, p.x, p.count, 1e-8);
    for (int i = 0; i < t->m; i++)
        for (int k = 1; k < classes; k++)
            if (got[i * classes + k] > got[i * classes + guess[i]])
                guess[i] = k;
    voco_confusion(test, guess, NULL, t->m, classes, count);
    same_attr(&t->file, name, "test_accuracy", voco_accuracy(count, classes), 1e-12);
    same_attr(&t->file, name, "test_log_loss",
              voco_log_loss(test, got, NULL, t->m, classes), 1e-8);
    voco_linear_free(&fit);
    free(train);
    free(test);
    free(guess);
    free(got);
    free(count);
    golden_free(&w);
    golden_free(&b);
    golden_free(&p);
}

START_TEST(logistic_regression_is_that_of_numpy_from_any_start)
{
    static const double lambda[] = { 0.1, 1, 10 };
    struct voco_linear far;
    struct table t;

    open_table(&t);
    voco_linear_init(&far, t.width, 4);
    for (int i = 0; i < 4 * t.width; i++)
        far.w[i] = 10 * voco_hash_unit(voco_hash_base(1, "far"), (uint64_t)i) - 5;
    for (int i = 0; i < 3; i++) {
        logistic_case(&t, "logistic2", 2, lambda[i], NULL);
        logistic_case(&t, "logistic", 4, lambda[i], NULL);
        logistic_case(&t, "logistic2", 2, lambda[i], &far);
        logistic_case(&t, "logistic", 4, lambda[i], &far);
    }
    voco_linear_free(&far);
    close_table(&t);
}
END_TEST

/* Of 20 cases on a line, the classes meet in the middle; one feature is constant. */
START_TEST(logistic_regression_of_separable_classes_and_a_constant_feature_converges)
{
    double x[40], loss, p[40];
    int y[20];
    struct voco_linear fit;

    for (int i = 0; i < 20; i++) {
        x[2 * i] = i - 9.5;
        x[2 * i + 1] = 3;
        y[i] = i >= 10;
    }
    voco_linear_init(&fit, 2, 1);
    ok(voco_logistic_fit(x, y, 20, 2, 1e-6, &fit, &loss));
    ck_assert_double_gt(fit.w[0], 5);
    ck_assert_double_lt(loss, 1e-3);
    ck_assert_double_eq_tol(fit.w[1], 0, 1e-8);         /* the free intercept takes it */
    voco_logistic_probability(&fit, x, 20, 2, p);
    for (int i = 0; i < 20; i++)
        ck_assert((p[2 * i + 1] > 0.5) == (y[i] == 1));
    voco_linear_free(&fit);

    for (int i = 0; i < 20; i++)                        /* one class only */
        y[i] = 0;
    voco_linear_init(&fit, 2, 1);
    ok(voco_logistic_fit(x, y, 20, 2, 1, &fit, &loss));
    ck_assert_double_lt(loss, 1e-6);
    ck_assert_double_eq_tol(fit.w[0], 0, 1e-6);
    voco_linear_free(&fit);
}
END_TEST

/* The penalised fit in the span of the rows, widened, has no gradient in all features. */
START_TEST(a_fit_in_the_span_of_rows_is_that_of_all_features)
{
    enum { N = 12, WIDTH = 40, CLASSES = 3 };
    struct voco_linear narrow, wide, direct;
    struct voco_span span;
    double x[N * WIDTH], z[N * N], a, b;
    int y[N];

    for (int i = 0; i < N * WIDTH; i++)
        x[i] = voco_hash_unit(voco_hash_base(3, "span"), (uint64_t)i) - 0.5;
    memcpy(x + 5 * WIDTH, x + 2 * WIDTH, WIDTH * sizeof *x);    /* a row twice */
    for (int i = 0; i < N; i++)
        y[i] = i % CLASSES;
    voco_span_make(x, N, WIDTH, &span);
    ck_assert_int_eq(span.rank, N - 1);
    voco_span_coordinates(&span, x, N, z);
    voco_linear_init(&narrow, span.rank, CLASSES);
    voco_linear_init(&direct, WIDTH, CLASSES);
    ok(voco_logistic_fit(z, y, N, CLASSES, 0.1, &narrow, &a));
    ok(voco_logistic_fit(x, y, N, CLASSES, 0.1, &direct, &b));
    voco_span_widen(&span, &narrow, &wide);
    ck_assert_double_eq_tol(a, b, 1e-10);
    same("w", wide.w, direct.w, WIDTH * CLASSES, 1e-8);
    voco_linear_free(&narrow);
    voco_linear_free(&wide);
    voco_linear_free(&direct);
    voco_span_free(&span);
}
END_TEST

/* ---- neighbours and retrieval ---- */

START_TEST(neighbours_are_those_of_numpy)
{
    static const int k[] = { 1, 5, 20 };
    struct table t;

    open_table(&t);
    struct golden_array order = golden_read(&t.file, "knn/order");
    struct golden_array similarity = golden_read(&t.file, "knn/similarity");
    double *sim = voco_doubles((int64_t)t.m * t.n), *vote = voco_doubles(t.classes);
    int *rank = calloc((size_t)t.n, sizeof *rank);

    voco_cosine(t.test.x, t.m, t.train.x, t.n, t.width, sim);
    for (int i = 0; i < t.m; i++) {
        voco_order_by_similarity(sim + i * t.n, t.n, rank);
        for (int j = 0; j < 20; j++) {
            ck_assert_int_eq(rank[j], (int)order.x[i * 20 + j]);
            ck_assert_double_eq_tol(sim[i * t.n + rank[j]], similarity.x[i * 20 + j], 1e-12);
        }
    }
    for (int kk = 0; kk < 3; kk++)
        for (int soft = 0; soft < 2; soft++) {
            struct golden_array want = golden_read(&t.file, "knn/predict_k%d%s", k[kk],
                                                   soft ? "_soft" : "");

            for (int i = 0; i < t.m; i++) {
                voco_order_by_similarity(sim + i * t.n, t.n, rank);
                ck_assert_int_eq(voco_neighbours_vote(sim + i * t.n, rank, t.train_label,
                                                      k[kk], t.classes, soft ? 0.07 : 0, vote),
                                 (int)want.x[i]);
            }
            golden_free(&want);
        }
    free(sim);
    free(vote);
    free(rank);
    golden_free(&order);
    golden_free(&similarity);
    close_table(&t);
}
END_TEST

START_TEST(a_row_of_zeros_is_similar_to_nothing)
{
    const double a[4] = { 0, 0, 3, 4 }, b[4] = { 0, 0, 6, 8 };
    double sim[4];

    voco_cosine(a, 2, b, 2, 2, sim);
    same("similarity", sim, (double[]){ 0, 0, 0, 1 }, 4, 1e-15);
}
END_TEST

START_TEST(retrieval_is_that_of_numpy)
{
    static const int k[] = { 1, 5, 10 };
    struct table t;

    open_table(&t);
    struct golden_array precision = golden_read(&t.file, "retrieval/average_precision");
    double *sim = voco_doubles((int64_t)t.m * t.n), hit[3] = { 0 }, recall[3] = { 0 };
    double map = 0, map10 = 0;
    int *rank = calloc((size_t)t.n, sizeof *rank);
    bool *relevant = calloc((size_t)t.n, sizeof *relevant);

    voco_cosine(t.test.x, t.m, t.train.x, t.n, t.width, sim);
    for (int i = 0; i < t.m; i++) {
        voco_order_by_similarity(sim + i * t.n, t.n, rank);
        for (int j = 0; j < t.n; j++)
            relevant[j] = t.train_label[rank[j]] == t.test_label[i];
        ck_assert_double_eq_tol(voco_average_precision(relevant, t.n), precision.x[i], 1e-10);
        map += voco_average_precision(relevant, t.n) / t.m;
        map10 += voco_average_precision_at(relevant, t.n, 10) / t.m;
        for (int l = 0; l < 3; l++) {
            hit[l] += voco_hit_at(relevant, t.n, k[l]) / t.m;
            recall[l] += voco_recall_at(relevant, t.n, k[l]) / t.m;
        }
    }
    same_attr(&t.file, "retrieval", "map", map, 1e-10);
    same_attr(&t.file, "retrieval", "map@10", map10, 1e-10);
    for (int l = 0; l < 3; l++) {
        char key[24];

        snprintf(key, sizeof key, "hit_rate@%d", k[l]);
        same_attr(&t.file, "retrieval", key, hit[l], 1e-10);
        snprintf(key, sizeof key, "recall@%d", k[l]);
        same_attr(&t.file, "retrieval", key, recall[l], 1e-10);
    }
    memset(relevant, 0, (size_t)t.n);
    ck_assert(isnan(voco_average_precision(relevant, t.n)));
    free(sim);
    free(rank);
    free(relevant);
    golden_free(&precision);
    close_table(&t);
}
END_TEST

START_TEST(ranks_of_pairs_are_those_of_numpy)
{
    struct table t;

    open_table(&t);
    struct golden_array gallery = golden_read(&t.file, "pairs/gallery");
    struct golden_array rank = golden_read(&t.file, "pairs/rank");
    double *sim = voco_doubles((int64_t)t.m * t.m);

    voco_cosine(t.test.x, t.m, gallery.x, t.m, t.width, sim);
    for (int i = 0; i < t.m; i++)
        ck_assert_int_eq(voco_pair_rank(sim + i * t.m, t.m, i), (int)rank.x[i]);
    free(sim);
    golden_free(&gallery);
    golden_free(&rank);
    close_table(&t);
}
END_TEST

/* ---- Cox ---- */

struct survival {
    struct golden g;
    struct golden_array x, time, event, at;
    bool *dead;
    struct voco_cox cox;
};

static void
open_survival(struct survival *s)
{
    s->g = golden_open("probes");
    s->x = golden_read(&s->g, "cox/x");
    s->time = golden_read(&s->g, "cox/time");
    s->event = golden_read(&s->g, "cox/event");
    s->at = golden_read(&s->g, "cox/at");
    s->dead = calloc((size_t)s->event.count, sizeof *s->dead);
    ck_assert(s->dead != NULL);
    for (int64_t i = 0; i < s->event.count; i++)
        s->dead[i] = s->event.x[i] > 0;
    s->cox = (struct voco_cox){ .n = (int)s->x.dim[0], .width = (int)s->x.dim[1],
                                .x = s->x.x, .time = s->time.x, .event = s->dead };
}

static void
close_survival(struct survival *s)
{
    golden_free(&s->x);
    golden_free(&s->time);
    golden_free(&s->event);
    golden_free(&s->at);
    free(s->dead);
    golden_close(&s->g);
}

static void
cox_case(struct survival *s, enum voco_ties ties, double lambda)
{
    const char *word = ties == VOCO_TIES_EFRON ? "efron" : "breslow";
    const int n = s->cox.n, width = s->cox.width;
    double beta[4] = { 0 }, error[4], value, gradient[4], hessian[16];
    double *risk = voco_doubles(n);
    char name[64];

    snprintf(name, sizeof name, "cox/%s_lambda_%g", word, lambda);
    struct golden_array want_beta = golden_read(&s->g, "%s/beta", name);
    struct golden_array want_error = golden_read(&s->g, "%s/standard_error", name);
    struct golden_array want_gradient = golden_read(&s->g, "%s/gradient_at", name);
    struct golden_array want_hessian = golden_read(&s->g, "%s/hessian_at", name);
    s->cox.ties = ties;
    s->cox.lambda = lambda;
    same_attr(&s->g, name, "loss_at_zero", voco_cox_value(&s->cox, beta, NULL, NULL), 1e-10);
    same_attr(&s->g, name, "loss_at", voco_cox_value(&s->cox, s->at.x, gradient, hessian),
              1e-10);
    same("gradient", gradient, want_gradient.x, width, 1e-10);
    same("Hessian", hessian, want_hessian.x, (int64_t)width * width, 1e-10);
    ok(voco_cox_fit(&s->cox, beta, error, &value));
    same("beta", beta, want_beta.x, width, 1e-8);
    same("standard error", error, want_error.x, width, 1e-8);
    same_attr(&s->g, name, "loss", value, 1e-10);
    for (int i = 0; i < n; i++)
        risk[i] = voco_dot(s->x.x + i * width, beta, width);
    same_attr(&s->g, name, "c_index", voco_c_index(s->time.x, s->dead, risk, NULL, NULL, n), 1e-12);
    free(risk);
    golden_free(&want_beta);
    golden_free(&want_error);
    golden_free(&want_gradient);
    golden_free(&want_hessian);
}

START_TEST(cox_regression_is_that_of_numpy)
{
    struct survival s;

    open_survival(&s);
    for (int ties = VOCO_TIES_EFRON; ties <= VOCO_TIES_BRESLOW; ties++) {
        cox_case(&s, (enum voco_ties)ties, 0);
        cox_case(&s, (enum voco_ties)ties, 1);
    }
    struct golden_array tied = golden_read(&s.g, "cox/tied_risk");
    same_attr(&s.g, "cox", "c_index_tied_risk",
              voco_c_index(s.time.x, s.dead, tied.x, NULL, NULL, s.cox.n), 1e-12);
    golden_free(&tied);
    close_survival(&s);
}
END_TEST

START_TEST(cox_regression_that_has_no_fit_says_so)
{
    enum { N = 8 };
    double x[2 * N], time[N], beta[2] = { 0 };
    bool event[N];
    struct voco_cox c = { .n = N, .width = 1, .x = x, .time = time, .event = event };

    for (int i = 0; i < N; i++) {
        x[i] = -i;                      /* puts the events in order */
        time[i] = i + 1;
        event[i] = true;
    }
    ck_assert_int_eq(voco_cox_fit(&c, beta, NULL, NULL), VOCO_ENUMERIC);
    c.lambda = 0.1;
    beta[0] = 0;
    ok(voco_cox_fit(&c, beta, NULL, NULL));
    ck_assert_double_gt(beta[0], 0.1);

    memset(event, 0, sizeof event);     /* all censored: only the penalty is left */
    ok(voco_cox_fit(&c, beta, NULL, NULL));
    ck_assert_double_eq_tol(beta[0], 0, 1e-12);
    ck_assert(isnan(voco_c_index(time, event, x, NULL, NULL, N)));
    c.lambda = 0;
    ck_assert_int_eq(voco_cox_fit(&c, beta, NULL, NULL), VOCO_ENUMERIC);

    for (int i = 0; i < N; i++) {       /* a feature twice */
        x[2 * i] = x[2 * i + 1] = i % 3;
        event[i] = i % 2;
    }
    c.width = 2;
    ck_assert_int_eq(voco_cox_fit(&c, beta, NULL, NULL), VOCO_ENUMERIC);
}
END_TEST

/* ---- scores ---- */

START_TEST(scores_of_classes_are_those_of_numpy)
{
    struct golden g = golden_open("scores_small");
    struct golden_array score = golden_read(&g, "multi/score");
    struct golden_array label = golden_read(&g, "multi/label");
    struct golden_array want = golden_read(&g, "multi/confusion");
    const int n = (int)score.dim[0], classes = (int)score.dim[1];
    int *truth = integers(&label), *guess = calloc((size_t)n, sizeof *guess);
    double *count = voco_doubles(classes * classes);

    for (int i = 0; i < n; i++)
        for (int k = 1; k < classes; k++)
            if (score.x[i * classes + k] > score.x[i * classes + guess[i]])
                guess[i] = k;
    voco_confusion(truth, guess, NULL, n, classes, count);
    same("confusion", count, want.x, want.count, 0);
    same_attr(&g, "multi", "accuracy", voco_accuracy(count, classes), 1e-12);
    same_attr(&g, "multi", "balanced_accuracy", voco_balanced_accuracy(count, classes), 1e-12);
    same_attr(&g, "multi", "macro_f1", voco_macro_f1(count, classes), 1e-12);
    same_attr(&g, "multi", "macro_auroc",
              voco_macro_auroc(truth, score.x, NULL, n, classes), 1e-12);
    free(truth);
    free(guess);
    free(count);
    golden_free(&score);
    golden_free(&label);
    golden_free(&want);
    golden_close(&g);
}
END_TEST

/* The reference takes the rows that were drawn; here a row counts as often as it was. */
START_TEST(scores_of_resampled_cases_are_those_of_numpy)
{
    struct golden g = golden_open("scores_small");
    struct golden_array score = golden_read(&g, "binary/score");
    struct golden_array label = golden_read(&g, "binary/label");
    struct golden_array drawn = golden_read(&g, "binary/resample");
    struct golden_array want = golden_read(&g, "binary/bootstrap_auroc_ap");
    const int n = (int)score.count;
    bool *positive = calloc((size_t)n, sizeof *positive);
    double *weight = voco_doubles(n);

    for (int i = 0; i < n; i++)
        positive[i] = label.x[i] > 0;
    same_attr(&g, "binary", "auroc", voco_auroc(positive, score.x, NULL, n), 1e-12);
    for (int r = 0; r < (int)drawn.dim[0]; r++) {
        memset(weight, 0, (size_t)n * sizeof *weight);
        for (int i = 0; i < n; i++)
            weight[(int)drawn.x[r * n + i]]++;
        ck_assert_double_eq_tol(voco_auroc(positive, score.x, weight, n), want.x[2 * r], 1e-12);
    }
    memset(positive, 0, (size_t)n * sizeof *positive);
    ck_assert(isnan(voco_auroc(positive, score.x, NULL, n)));
    free(positive);
    free(weight);
    golden_free(&score);
    golden_free(&label);
    golden_free(&drawn);
    golden_free(&want);
    golden_close(&g);
}
END_TEST

START_TEST(weights_are_repetitions)
{
    static const double truth[] = { 1, 2, 4, 8, 8, 3 }, guess[] = { 1, 3, 3, 9, 9, 2 };
    static const double weight[] = { 1, 0, 3, 2, 0, 1 };
    static const bool event[] = { 1, 1, 0, 1, 1, 1 };
    double t[7], p[7];
    bool e[7];
    int n = 0;

    for (int i = 0; i < 6; i++)
        for (int k = 0; k < (int)weight[i]; k++) {
            t[n] = truth[i];
            p[n] = guess[i];
            e[n++] = event[i];
        }
    ck_assert_double_eq_tol(voco_r2(truth, guess, weight, 6), voco_r2(t, p, NULL, n), 1e-14);
    ck_assert_double_eq_tol(voco_mae(truth, guess, weight, 6), voco_mae(t, p, NULL, n), 1e-14);
    ck_assert_double_eq_tol(voco_c_index(truth, event, guess, NULL, weight, 6),
                            voco_c_index(t, e, p, NULL, NULL, n), 1e-14);
    for (int i = 0; i < n; i++)
        t[i] = 5;
    ck_assert(isnan(voco_r2(t, p, NULL, n)));
}
END_TEST

/* ---- voxels ---- */

enum { VOXELS = 200, CHANNELS = 9, CLASSES = 4 };

/* Voxels whose class (3 of 4 occur) moves the features; feature 8 is constant. */
static void
make_voxels(float *x, uint16_t *label)
{
    const uint64_t base = voco_hash_base(9, "voxels");

    for (int i = 0; i < VOXELS; i++) {
        const double u = voco_hash_unit(base, (uint64_t)i);

        label[i] = (uint16_t)(u < 0.7 ? 0 : u < 0.9 ? 1 : 3);
        for (int j = 0; j < CHANNELS; j++)
            x[i * CHANNELS + j] = (float)(j == 8 ? 5 : 100 + 0.7 * (label[i] == j)
                + voco_hash_unit(base, (uint64_t)(VOXELS + i * CHANNELS + j)));
    }
}

/* The weighted fit from sums is that of rows: a row times the root of its weight, with the
 * weighted mean taken out, has the sums of a ridge regression without intercept. */
START_TEST(a_fit_of_voxels_from_sums_is_that_of_their_rows)
{
    float x[VOXELS * CHANNELS];
    uint16_t label[VOXELS];
    int64_t count[CLASSES] = { 0 };
    double weight[CLASSES], mean[CHANNELS] = { 0 }, sd[CHANNELS] = { 0 }, all = 0;
    double gram[CHANNELS * CHANNELS] = { 0 }, cross[CLASSES * CHANNELS] = { 0 };
    double share[CLASSES] = { 0 }, w[CLASSES * CHANNELS];
    struct voco_voxel_sums sums, half;
    struct voco_linear fit;

    make_voxels(x, label);
    for (int i = 0; i < VOXELS; i++)
        count[label[i]]++;
    voco_voxel_class_weights(count, CLASSES, weight);
    ck_assert_double_eq_tol(weight[0] / weight[1], sqrt((double)count[1] / (double)count[0]),
                            1e-12);
    ck_assert_double_eq(weight[2], 0);
    for (int i = 0; i < VOXELS; i++) {
        all += weight[label[i]];
        share[label[i]] += weight[label[i]];
        for (int j = 0; j < CHANNELS; j++)
            mean[j] += weight[label[i]] * x[i * CHANNELS + j];
    }
    ck_assert_double_eq_tol(all, VOXELS, 1e-9);
    for (int j = 0; j < CHANNELS; j++)
        mean[j] /= all;
    for (int i = 0; i < VOXELS; i++)
        for (int j = 0; j < CHANNELS; j++)
            sd[j] += weight[label[i]] * pow(x[i * CHANNELS + j] - mean[j], 2) / all;
    for (int i = 0; i < VOXELS; i++) {
        double row[CHANNELS];

        for (int j = 0; j < CHANNELS; j++)
            row[j] = sd[j] > 1e-9 ? (x[i * CHANNELS + j] - mean[j]) / sqrt(sd[j]) : 0;
        for (int a = 0; a < CHANNELS; a++)
            for (int b = 0; b < CHANNELS; b++)
                gram[a * CHANNELS + b] += weight[label[i]] * row[a] * row[b];
        for (int k = 0; k < CLASSES; k++)
            for (int j = 0; j < CHANNELS; j++)
                cross[k * CHANNELS + j] += weight[label[i]] * row[j]
                    * ((label[i] == k) - share[k] / all);
    }
    ok(voco_ridge_solve(gram, cross, CHANNELS, CLASSES, 0.01 * all, w));

    voco_voxel_sums_init(&sums, CHANNELS, CLASSES);     /* in two parts, the second one twice */
    voco_voxel_sums_init(&half, CHANNELS, CLASSES);
    voco_voxel_sums_take(&sums, x, label, VOXELS, weight);
    voco_voxel_sums_take(&half, x + 150 * CHANNELS, label + 150, 50, weight);
    voco_voxel_sums_add(&sums, &half, 1);
    voco_voxel_sums_add(&sums, &half, -1);
    ok(voco_voxel_fit(&sums, 0.01, &fit));
    for (int k = 0; k < CLASSES; k++)
        for (int j = 0; j < CHANNELS; j++)
            ck_assert_double_eq_tol(fit.w[k * CHANNELS + j],
                                    sd[j] > 1e-9 ? w[k * CHANNELS + j] / sqrt(sd[j]) : 0, 1e-8);
    ck_assert(isinf(fit.b[2]) && fit.b[2] < 0);
    ck_assert_double_eq_tol(fit.b[1] + voco_dot(fit.w + CHANNELS, mean, CHANNELS),
                            share[1] / all, 1e-8);
    voco_linear_free(&fit);
    voco_voxel_sums_free(&sums);
    voco_voxel_sums_free(&half);
}
END_TEST

START_TEST(dice_of_voxels_counts_cases_as_often_as_they_were_drawn)
{
    double truth[2][3] = { { 4, 2, 0 }, { 5, 1, 0 } }, predicted[2][3] = { { 3, 3, 0 }, { 6, 0, 0 } };
    double both[2][3] = { { 3, 2, 0 }, { 5, 0, 0 } }, dice[3];
    const struct voco_voxel_tally t[2] = { { truth[0], predicted[0], both[0] },
                                           { truth[1], predicted[1], both[1] } };

    ck_assert_double_eq_tol(voco_voxel_dice(t, NULL, 2, 3, dice), 2 * 2.0 / (3 + 3), 1e-15);
    ck_assert(isnan(dice[0]) && isnan(dice[2]));
    ck_assert_double_eq_tol(voco_voxel_dice(t, (double[]){ 2, 0 }, 2, 3, dice), 8.0 / 10, 1e-15);
    ck_assert_double_eq_tol(voco_voxel_dice(t, (double[]){ 0, 1 }, 2, 3, dice), 0, 1e-15);
    ck_assert(isnan(voco_voxel_dice(t, (double[]){ 0, 0 }, 2, 3, dice)));
}
END_TEST

/* The mean over all voxels of a map that is interpolated, with its border continued, is the mean
 * of the map: an embedding. */
START_TEST(features_of_voxels_have_the_embedding_as_mean)
{
    enum { EDGE = VOCO_PROBE_EDGE, SLAB = 8, AT_ONCE = SLAB * EDGE * EDGE };
    const struct voco_model_config config = { .net = VOCO_NET_SWINUNETR, .in_channels = 1,
                                              .feature = 12,
                                              .merging = VOCO_MERGING_FIXED };
    struct voco_ctx ctx;
    struct voco_model model;
    float *crop = calloc((size_t)EDGE * EDGE * EDGE, sizeof *crop), embedding[288], *x;
    int (*at)[3] = calloc(AT_ONCE, sizeof *at), width;
    double *mean;

    ok(voco_ctx_open(&ctx, voco_device_default(), NULL));
    ok(voco_model_describe(&model, &config));
    ok(voco_model_allocate(&model, &ctx, false));
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 3);
    width = voco_maps_width(voco_maps_encoder(&model));
    ck_assert_int_eq(width, 32 * 12);
    x = calloc((size_t)AT_ONCE * (size_t)width, sizeof *x);
    mean = voco_doubles(width);
    ck_assert(crop && at && x);
    voco_hash_uniform(4, "crop", (int64_t)EDGE * EDGE * EDGE, 0, 1, crop);
    for (int slab = 0; slab < EDGE; slab += SLAB) {
        for (int i = 0; i < AT_ONCE; i++) {
            at[i][0] = slab + i / EDGE / EDGE;
            at[i][1] = i / EDGE % EDGE;
            at[i][2] = i % EDGE;
        }
        ok(voco_maps_sample(&ctx, &model, crop, (const int (*)[3])at, AT_ONCE, x));
        for (int i = 0; i < AT_ONCE; i++)
            for (int j = 0; j < width; j++)
                mean[j] += x[(int64_t)i * width + j] / (double)(EDGE * EDGE * EDGE);
    }
    ok(voco_embed(&ctx, &model, crop, 1, EDGE, 1, embedding));
    for (int j = 0; j < 288; j++)
        ck_assert_double_eq_tol(mean[j], embedding[j], 1e-5);
    free(crop);
    free(at);
    free(x);
    free(mean);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}
END_TEST

/* ---- folds ---- */

START_TEST(folds_keep_groups_together_and_strata_even)
{
    enum { N = 60, FOLDS = 5 };
    char name[N][8];
    const char *group[N];
    int stratum[N], fold[N], again[N], count[FOLDS][2] = { { 0 } };
    struct voco_folds_options o = { .n = N, .group = group, .stratum = stratum,
                                    .folds = FOLDS, .seed = 3 };

    for (int i = 0; i < N; i++) {       /* 30 patients of 2 scans, a third in stratum 1 */
        snprintf(name[i], sizeof name[i], "p%d", i % 30);
        group[i] = name[i];
        stratum[i] = i % 3 == 0;
    }
    ok(voco_folds_make(&o, fold));
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(fold[i], fold[(i + 30) % N]);
        count[fold[i]][stratum[i]]++;
    }
    for (int f = 0; f < FOLDS; f++) {
        ck_assert_int_eq(count[f][0], 8);
        ck_assert_int_eq(count[f][1], 4);
    }
    for (int i = 0; i < N; i++)         /* the order of the cases does not matter */
        group[i] = name[N - 1 - i];
    for (int i = 0; i < N; i++)
        stratum[i] = (N - 1 - i) % 3 == 0;
    ok(voco_folds_make(&o, again));
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(again[i], fold[N - 1 - i]);
    o.folds = 31;
    ck_assert_int_eq(voco_folds_make(&o, fold), VOCO_EUSAGE);
    ck_assert(strstr(voco_fail_text(), "31 folds") != NULL);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("probe");
    TCase *t = tcase_create("mathematics");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, ridge_is_that_of_numpy);
    tcase_add_test(t, ridge_of_more_features_than_rows_is_that_of_numpy);
    tcase_add_test(t, ridge_without_penalty_on_dependent_features_is_an_error);
    tcase_add_test(t, logistic_regression_is_that_of_numpy_from_any_start);
    tcase_add_test(t, logistic_regression_of_separable_classes_and_a_constant_feature_converges);
    tcase_add_test(t, a_fit_in_the_span_of_rows_is_that_of_all_features);
    tcase_add_test(t, neighbours_are_those_of_numpy);
    tcase_add_test(t, a_row_of_zeros_is_similar_to_nothing);
    tcase_add_test(t, retrieval_is_that_of_numpy);
    tcase_add_test(t, ranks_of_pairs_are_those_of_numpy);
    tcase_add_test(t, cox_regression_is_that_of_numpy);
    tcase_add_test(t, cox_regression_that_has_no_fit_says_so);
    tcase_add_test(t, scores_of_classes_are_those_of_numpy);
    tcase_add_test(t, scores_of_resampled_cases_are_those_of_numpy);
    tcase_add_test(t, weights_are_repetitions);
    tcase_add_test(t, a_fit_of_voxels_from_sums_is_that_of_their_rows);
    tcase_add_test(t, dice_of_voxels_counts_cases_as_often_as_they_were_drawn);
    tcase_add_test(t, features_of_voxels_have_the_embedding_as_mean);
    tcase_add_test(t, folds_keep_groups_together_and_strata_even);
    suite_add_tcase(s, t);
    return s;
}
