/* Probes of cases: all fits, scores and intervals. */
#include "task/probe/cases.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "probe/matrix.h"
#include "probe/score.h"
#include "task/probe/interval.h"

const struct voco_probe_kind_name voco_probe_kind[VOCO_PROBE_KINDS] = {
    [VOCO_PROBE_CLASS] = { "class", "Classification", {
        { "accuracy", "accuracy", false }, { "balanced_accuracy", "balanced accuracy", false },
        { "macro_f1", "macro F1", false }, { "auroc", "AUROC", false },
        { "log_loss", "log loss", true } } },
    [VOCO_PROBE_VALUE] = { "value", "Regression", {
        { "r2", "R²", false }, { "mae", "mean absolute error", true } } },
    [VOCO_PROBE_SURVIVAL] = { "survival", "Survival", {
        { "c_index", "C-index", false } } },
    [VOCO_PROBE_RETRIEVAL] = { "retrieval", "Retrieval of cases of the same class", {
        { "map", "mAP", false }, { "map@10", "mAP@10", false }, { "hit@1", "hit@1", false },
        { "hit@5", "hit@5", false }, { "hit@10", "hit@10", false },
        { "recall@10", "recall@10", false } } },
    [VOCO_PROBE_PATIENTS] = { "patients", "Retrieval of scans of the same patient", {
        { "recall@1", "recall@1", false }, { "recall@5", "recall@5", false },
        { "recall@10", "recall@10", false }, { "mrr", "mean reciprocal rank", false } } }
};

static int
metrics_of(enum voco_probe_kind kind)
{
    int n = 0;

    while (voco_probe_kind[kind].metric[n].key)
        n++;
    return n;
}

/* ---- scores ---- */

static void
score_classes(const struct voco_probe_target *t, const struct voco_probe_result *r,
              const double *weight, double *ret)
{
    double *count = voco_doubles((int64_t)t->classes * t->classes);

    voco_confusion(t->label, r->guess, weight, t->n, t->classes, count);
    ret[0] = voco_accuracy(count, t->classes);
    ret[1] = voco_balanced_accuracy(count, t->classes);
    ret[2] = voco_macro_f1(count, t->classes);
    ret[3] = voco_macro_auroc(t->label, r->score, weight, t->n, t->classes);
    ret[4] = voco_log_loss(t->label, r->score, weight, t->n, t->classes);
    free(count);
}

static void
score_queries(const struct voco_probe_target *t, const struct voco_probe_result *r,
              const double *weight, double *ret)
{
    double *one = voco_doubles(t->n);

    for (int k = 0; k < metrics_of(t->kind); k++) {
        for (int i = 0; i < t->n; i++)
            one[i] = r->score[(int64_t)i * VOCO_PROBE_METRICS + k];
        ret[k] = voco_weighted_mean(one, weight, t->n);
    }
    free(one);
}

/* All metrics of a result for cases that count so often; weight NULL: once. */
static void
score_all(const struct voco_probe_target *t, const struct voco_probe_result *r,
          const double *weight, double *ret)
{
    switch (t->kind) {
    case VOCO_PROBE_CLASS:
        score_classes(t, r, weight, ret);
        break;
    case VOCO_PROBE_VALUE:
        ret[0] = voco_r2(t->value, r->score, weight, t->n);
        ret[1] = voco_mae(t->value, r->score, weight, t->n);
        break;
    case VOCO_PROBE_SURVIVAL:
        ret[0] = voco_c_index(t->value, t->event, r->score, t->fold, weight, t->n);
        break;
    default:
        score_queries(t, r, weight, ret);
    }
}

void
voco_probe_score(const struct voco_probe *p, const struct voco_probe_target *t,
                 struct voco_probe_result *r)
{
    const int replicates = (int)p->config->replicates, metrics = metrics_of(t->kind);
    double *weight = voco_doubles(t->n), all[VOCO_PROBE_METRICS];

    r->draw = voco_doubles((int64_t)replicates * metrics);
    score_all(t, r, NULL, all);
    for (int k = 0; k < metrics; k++)
        r->metric[k].value = all[k];
    for (int i = 0; i < replicates; i++) {
        voco_probe_draw((uint64_t)p->config->seed, i, t->group, t->n, t->groups, weight);
        score_all(t, r, weight, all);
        for (int k = 0; k < metrics; k++)
            r->draw[(int64_t)k * replicates + i] = all[k];
    }
    for (int k = 0; k < metrics; k++)
        voco_probe_interval(r->draw + (int64_t)k * replicates, NULL, replicates,
                            &r->metric[k].low, &r->metric[k].high);
    free(weight);
}

/* Against the first table, of which the replicates drew the same cases. */
static void
compare(const struct voco_probe *p, struct voco_probe_target *t)
{
    const int each = t->n_results / p->tables, replicates = (int)p->config->replicates;

    for (int i = 0; i < t->n_results; i++)
        for (int k = 0; k < metrics_of(t->kind); k++) {
            const struct voco_probe_result *first = &t->result[i % each];
            struct voco_probe_metric *m = &t->result[i].metric[k];

            m->difference = m->value - first->metric[k].value;
            voco_probe_interval(t->result[i].draw + (int64_t)k * replicates,
                                first->draw + (int64_t)k * replicates, replicates,
                                &m->difference_low, &m->difference_high);
        }
}

/* ---- the work ---- */

struct job {
    const struct voco_probe *p;
    struct {
        struct voco_probe_target *t;
        int table, fold;
        double lambda;
    } *fit;
    struct {
        struct voco_probe_target *t;
        struct voco_probe_result *r;
    } *score;
    int n_fits, n_scores;
};

static void
add_results(const struct voco_probe *p, struct voco_probe_target *t)
{
    static const char *const names[VOCO_PROBE_KINDS][VOCO_PROBE_ROWS + 1] = {
        [VOCO_PROBE_CLASS] = { "majority", "logistic", "knn-1", "knn-5", "knn-20" },
        [VOCO_PROBE_VALUE] = { "mean", "ridge", "knn-5" },
        [VOCO_PROBE_SURVIVAL] = { "cox" },
        [VOCO_PROBE_RETRIEVAL] = { "cosine" },
        [VOCO_PROBE_PATIENTS] = { "cosine" }
    };
    const char *const *name = names[t->kind];
    const int64_t per_case = t->kind == VOCO_PROBE_CLASS ? t->classes
        : t->kind == VOCO_PROBE_VALUE || t->kind == VOCO_PROBE_SURVIVAL ? 1
        : VOCO_PROBE_METRICS;
    int each = 0;

    while (name[each])
        each++;
    t->result = calloc((size_t)(each * p->tables), sizeof *t->result);
    VOCO_NEED(t->result);
    for (; t->n_results < each * p->tables; t->n_results++) {
        struct voco_probe_result *r = &t->result[t->n_results];

        *r = (struct voco_probe_result){ .table = t->n_results / each, .lambda = NAN,
                                         .probe = voco_format("%s", name[t->n_results % each]),
                                         .guess = calloc((size_t)t->n + 1, sizeof(int)),
                                         .score = voco_doubles(t->n * per_case) };
        VOCO_NEED(r->guess);
    }
}

static enum voco_err
fit_one(int64_t i, void *user)
{
    struct job *j = user;

    return voco_probe_fit(j->p, j->fit[i].t, j->fit[i].table, j->fit[i].fold,
                          &j->fit[i].lambda);
}

static enum voco_err
score_one(int64_t i, void *user)
{
    struct job *j = user;

    voco_probe_score(j->p, j->score[i].t, j->score[i].r);
    return VOCO_OK;
}

static bool
in_folds(const struct voco_probe_target *t)
{
    return t->kind != VOCO_PROBE_RETRIEVAL && t->kind != VOCO_PROBE_PATIENTS;
}

static void
list_jobs(struct voco_probe *p, struct job *j)
{
    const size_t room = (size_t)p->n_targets * (size_t)p->tables;

    j->fit = calloc(room * (size_t)p->config->folds + 1, sizeof *j->fit);
    j->score = calloc(room * VOCO_PROBE_ROWS + 1, sizeof *j->score);
    VOCO_NEED(j->fit && j->score);
    for (int i = 0; i < p->n_targets; i++) {
        struct voco_probe_target *t = &p->target[i];

        add_results(p, t);
        for (int k = 0; k < p->tables; k++)
            for (int f = 0; f < (in_folds(t) ? (int)p->config->folds : 1); f++) {
                j->fit[j->n_fits].t = t;
                j->fit[j->n_fits].table = k;
                j->fit[j->n_fits++].fold = f;
            }
        for (int k = 0; k < t->n_results; k++) {
            j->score[j->n_scores].t = t;
            j->score[j->n_scores++].r = &t->result[k];
        }
    }
}

/* Of the one probe of a table that has a penalty: the second, of survival the first. */
static void
keep_strengths(const struct voco_probe *p, const struct job *j)
{
    for (int i = 0; i < j->n_fits; i++) {
        struct voco_probe_target *t = j->fit[i].t;
        const int each = t->n_results / p->tables;
        struct voco_probe_result *r = &t->result[j->fit[i].table * each
                                                 + (t->kind != VOCO_PROBE_SURVIVAL)];

        if (!in_folds(t))
            continue;
        r->lambda = (isnan(r->lambda) ? 0 : r->lambda)
            + log(j->fit[i].lambda) / (double)p->config->folds;
        if (j->fit[i].fold == p->config->folds - 1)
            r->lambda = exp(r->lambda);
    }
}

enum voco_err
voco_probe_cases(const struct voco_probe_config *config, int tables, const char *const *path,
                 struct voco_probe *ret)
{
    const int threads = config->threads > 0 ? (int)config->threads : voco_default_threads();
    struct job j = { .p = ret };
    enum voco_err err = voco_probe_join(config, tables, path, ret);

    if (err)
        return err;
    list_jobs(ret, &j);
    err = voco_parallel_for(threads, j.n_fits, fit_one, &j);
    if (!err) {
        keep_strengths(ret, &j);
        err = voco_parallel_for(threads, j.n_scores, score_one, &j);
    }
    for (int i = 0; i < ret->n_targets && !err; i++)
        compare(ret, &ret->target[i]);
    free(j.fit);
    free(j.score);
    return err;
}
