/* Features and labels of the same cases: the targets of probes. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "probe/folds.h"
#include "task/probe/join.h"

static void
free_target(struct voco_probe_target *t, int tables)
{
    for (int i = 0; i < tables && t->x; i++)
        free(t->x[i]);
    for (int i = 0; i < t->classes && t->class_name; i++)
        free(t->class_name[i]);
    for (int i = 0; i < t->n_results; i++) {
        free(t->result[i].probe);
        free(t->result[i].guess);
        free(t->result[i].score);
        free(t->result[i].draw);
    }
    for (int i = 0; i < t->n; i++) {
        free((char *)t->id[i]);
        free((char *)t->patient[i]);
    }
    free(t->name);
    free(t->id);
    free(t->patient);
    free(t->group);
    free(t->fold);
    free(t->label);
    free(t->class_name);
    free(t->value);
    free(t->event);
    free(t->x);
    free(t->result);
}

void
voco_probe_free(struct voco_probe *p)
{
    for (int i = 0; i < p->n_targets; i++)
        free_target(&p->target[i], p->tables);
    for (int i = 0; i < p->tables; i++)
        voco_features_free(&p->table[i]);
    free(p->target);
    free(p->table);
    free(p->first_unknown);
    *p = (struct voco_probe){ .table = NULL };
}

/* ---- the cases ---- */

static enum voco_err
read_tables(struct voco_probe *p, int tables, const char *const *path)
{
    enum voco_err err = VOCO_OK;

    p->table = calloc((size_t)tables, sizeof *p->table);
    VOCO_NEED(p->table);
    for (int i = 0; i < tables && !err; i++) {
        p->tables = i + 1;
        if ((err = voco_features_read(path[i], &p->table[i])))
            break;
        p->bad += p->table[i].n_bad;
        if (p->table[i].n_bad)
            voco_warn("%s: %d case%s left out, because a feature is NaN or infinite; the first "
                      "is %s", path[i], p->table[i].n_bad, p->table[i].n_bad == 1 ? " is" :
                      "s are", p->table[i].first_bad);
    }
    return err;
}

static void
join_cases(struct voco_probe_join *j)
{
    struct voco_probe *p = j->p;

    j->cases = calloc((size_t)j->labels.n + 1, sizeof *j->cases);
    VOCO_NEED(j->cases);
    for (int i = 0; i < j->labels.n; i++) {
        struct voco_probe_joined *c = &j->cases[p->n_cases];
        bool all = true;

        c->row = i;
        c->at = calloc((size_t)p->tables, sizeof *c->at);
        VOCO_NEED(c->at);
        for (int t = 0; t < p->tables; t++)
            all &= (c->at[t] = voco_features_find(&p->table[t], j->labels.id[i])) >= 0;
        if (all) {
            p->n_cases++;
            continue;
        }
        free(c->at);
        if (p->unknown++ == 0)
            p->first_unknown = voco_format("%s", j->labels.id[i]);
    }
    p->unlabelled = p->table[0].n - p->n_cases;
}

static enum voco_err
check_cases(const struct voco_probe_join *j)
{
    const struct voco_probe *p = j->p;

    if (p->n_cases == 0)
        return voco_fail(VOCO_EFORMAT, "no id of %s is in %s: the first are %s and %s; ids are "
                         "names of files without their endings", j->labels.path,
                         p->table[0].path, j->labels.id[0],
                         p->table[0].n ? p->table[0].id[0] : "none");
    if (p->unknown)
        voco_warn("%s: %d of %d ids have no features and are left out; the first is %s",
                  j->labels.path, p->unknown, j->labels.n, p->first_unknown);
    if (p->unlabelled > 0)
        voco_warn("%s: %d of %d cases have no labels and are left out", p->table[0].path,
                  p->unlabelled, p->table[0].n);
    return VOCO_OK;
}

/* ---- folds ---- */

static int
by_name(const void *a, const void *b)
{
    return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

/* Numbers of patients, in the order of their names. */
static void
number_groups(struct voco_probe_target *t)
{
    const char ***sorted = calloc((size_t)t->n + 1, sizeof *sorted);

    VOCO_NEED(sorted);
    for (int i = 0; i < t->n; i++)
        sorted[i] = &t->patient[i];
    qsort(sorted, (size_t)t->n, sizeof *sorted, by_name);
    for (int i = 0; i < t->n; i++) {
        t->groups += i == 0 || strcmp(*sorted[i], *sorted[i - 1]) != 0;
        t->group[sorted[i] - t->patient] = t->groups - 1;
    }
    free(sorted);
}

static enum voco_err
make_folds(const struct voco_probe *p)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < p->n_targets && !err; i++) {
        struct voco_probe_target *t = &p->target[i];
        const struct voco_folds_options o = { .n = t->n, .group = t->patient,
                                              .stratum = t->label,
                                              .folds = (int)p->config->folds,
                                              .seed = (uint64_t)p->config->seed };

        number_groups(t);
        if (t->kind == VOCO_PROBE_CLASS || t->kind == VOCO_PROBE_VALUE
            || t->kind == VOCO_PROBE_SURVIVAL)
            err = voco_folds_make(&o, t->fold);
        if (err)
            err = voco_fail_in(err, "column %s", t->name);
    }
    return err;
}

enum voco_err
voco_probe_join(const struct voco_probe_config *config, int tables, const char *const *path,
                struct voco_probe *ret)
{
    struct voco_probe_join j = { .p = ret, .patient = -1 };
    enum voco_err err;

    *ret = (struct voco_probe){ .config = config };
    if (!(err = read_tables(ret, tables, path))
        && !(err = voco_labels_read(config->labels, &j.labels))) {
        join_cases(&j);
        err = check_cases(&j);
    }
    if (!err && config->patient)
        err = voco_probe_column(&j, "--patient", config->patient, &j.patient);
    else if (!err)
        j.patient = voco_labels_column(&j.labels, "patient");
    ret->has_patients = j.patient >= 0;
    if (!err)
        err = voco_probe_targets(&j);
    if (!err)
        err = make_folds(ret);
    for (int i = 0; i < ret->n_cases; i++)
        free(j.cases[i].at);
    free(j.cases);
    voco_labels_free(&j.labels);
    return err;
}
