/* Targets of probes: the columns of labels that are to be predicted, with their cases. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "task/probe/join.h"

static const char *
cell(const struct voco_probe_join *j, int case_, int column)
{
    return j->labels.cell[(size_t)j->cases[case_].row * (size_t)j->labels.columns
                          + (size_t)column];
}

static struct voco_probe_target *
add_target(struct voco_probe_join *j, enum voco_probe_kind kind, const char *name)
{
    struct voco_probe *p = j->p;
    struct voco_probe_target *t;
    const size_t n = (size_t)p->n_cases + 1;

    p->target = realloc(p->target, ((size_t)p->n_targets + 1) * sizeof *p->target);
    VOCO_NEED(p->target);
    t = &p->target[p->n_targets++];
    *t = (struct voco_probe_target){
        .kind = kind, .name = voco_format("%s", name), .id = calloc(n, sizeof *t->id),
        .patient = calloc(n, sizeof *t->patient), .group = calloc(n, sizeof *t->group),
        .fold = calloc(n, sizeof *t->fold), .label = calloc(n, sizeof *t->label),
        .value = calloc(n, sizeof *t->value), .event = calloc(n, sizeof *t->event),
        .x = calloc((size_t)p->tables, sizeof *t->x)
    };
    VOCO_NEED(t->id && t->patient && t->group && t->fold && t->label && t->value && t->event
              && t->x);
    for (int i = 0; i < p->tables; i++) {
        t->x[i] = calloc(n * (size_t)p->table[i].width, sizeof **t->x);
        VOCO_NEED(t->x[i]);
    }
    return t;
}

/* Case number case_ of the join becomes the last one of the target. */
static int
add_case(struct voco_probe_join *j, struct voco_probe_target *t, int case_)
{
    const char *id = j->labels.id[j->cases[case_].row];
    const char *patient = j->patient >= 0 ? cell(j, case_, j->patient) : "";
    const int n = t->n++;

    t->id[n] = voco_format("%s", id);
    t->patient[n] = voco_format("%s", *patient ? patient : id);
    for (int i = 0; i < j->p->tables; i++) {
        const struct voco_features *f = &j->p->table[i];

        memcpy(t->x[i] + (size_t)n * (size_t)f->width,
               f->x + (size_t)j->cases[case_].at[i] * (size_t)f->width,
               (size_t)f->width * sizeof *f->x);
    }
    return n;
}

enum voco_err
voco_probe_column(const struct voco_probe_join *j, const char *option, const char *name,
                  int *ret)
{
    *ret = voco_labels_column(&j->labels, name);
    return *ret >= 0 ? VOCO_OK
        : voco_fail(VOCO_EUSAGE, "%s: no column \"%s\" in %s", option, name, j->labels.path);
}

/* The number of a class by its name, a new one if need be. */
static int
class_of(struct voco_probe_target *t, const char *name)
{
    for (int i = 0; i < t->classes; i++)
        if (strcmp(t->class_name[i], name) == 0)
            return i;
    t->class_name = realloc(t->class_name, ((size_t)t->classes + 1) * sizeof *t->class_name);
    VOCO_NEED(t->class_name);
    t->class_name[t->classes] = voco_format("%s", name);
    return t->classes++;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Classes in the order of their names, not of the cases. */
static void
sort_classes(struct voco_probe_target *t)
{
    char **sorted = calloc((size_t)t->classes + 1, sizeof *sorted);

    VOCO_NEED(sorted);
    memcpy(sorted, t->class_name, (size_t)t->classes * sizeof *sorted);
    qsort(sorted, (size_t)t->classes, sizeof *sorted, by_text);
    for (int i = 0; i < t->n; i++) {
        const char *name = t->class_name[t->label[i]];
        int k = 0;

        while (sorted[k] != name)
            k++;
        t->label[i] = k;
    }
    free(t->class_name);
    t->class_name = sorted;
}

static enum voco_err
check_classes(const struct voco_probe_target *t, const char *labels, int folds)
{
    if (t->classes < 2)
        return voco_fail(VOCO_EFORMAT, "%s: all %d cases with a label in column %s are of the "
                         "class %s; expected two or more classes", labels, t->n, t->name,
                         t->classes ? t->class_name[0] : "none");
    if (t->classes > t->n / 2)
        return voco_fail(VOCO_EFORMAT, "%s: column %s has %d classes for %d cases; expected two "
                         "or more cases of a class (--value for a column of numbers)", labels,
                         t->name, t->classes, t->n);
    for (int k = 0; k < t->classes; k++) {
        int members = 0;

        for (int i = 0; i < t->n; i++)
            members += t->label[i] == k;
        if (members < folds)
            voco_warn("%s: column %s has %d case%s of the class %s, fewer than the %d folds",
                      labels, t->name, members, voco_plural(members), t->class_name[k], folds);
    }
    return VOCO_OK;
}

static enum voco_err
add_classes(struct voco_probe_join *j, const char *name, enum voco_probe_kind kind)
{
    struct voco_probe_target *t;
    enum voco_err err;
    int at;

    if ((err = voco_probe_column(j, "--class", name, &at)))
        return err;
    t = add_target(j, kind, name);
    for (int i = 0; i < j->p->n_cases; i++) {
        const char *text = cell(j, i, at);

        if (*text) {
            const int k = add_case(j, t, i);

            t->label[k] = class_of(t, text);
        } else
            t->unlabelled++;
    }
    sort_classes(t);
    if (kind == VOCO_PROBE_RETRIEVAL)           /* checked with the classes */
        return VOCO_OK;
    err = check_classes(t, j->labels.path, (int)j->p->config->folds);
    return err ? err : add_classes(j, name, VOCO_PROBE_RETRIEVAL);
}

static enum voco_err
number(const struct voco_probe_join *j, int case_, int at, double *ret)
{
    const char *text = cell(j, case_, at);
    char *end;

    *ret = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret) ? VOCO_OK
        : voco_fail(VOCO_EFORMAT, "%s: column %s of %s is '%s', expected a number",
                    j->labels.path, j->labels.name[at], j->labels.id[j->cases[case_].row],
                    text);
}

static enum voco_err
add_values(struct voco_probe_join *j, const char *name)
{
    struct voco_probe_target *t;
    bool varies = false;
    enum voco_err err;
    int at;

    if ((err = voco_probe_column(j, "--value", name, &at)))
        return err;
    t = add_target(j, VOCO_PROBE_VALUE, name);
    for (int i = 0; i < j->p->n_cases && !err; i++) {
        double v;

        if (*cell(j, i, at) == '\0')
            t->unlabelled++;
        else if (!(err = number(j, i, at, &v))) {
            const int k = add_case(j, t, i);

            t->value[k] = v;
            varies |= v != t->value[0];
        }
    }
    if (!err && !varies)
        err = voco_fail(VOCO_EFORMAT, "%s: column %s is the same number in all %d cases that "
                        "have one", j->labels.path, name, t->n);
    return err;
}

/* "1", "true", "yes", "dead" and the like are not guessed: 0 and 1 only. */
static enum voco_err
add_survival(struct voco_probe_join *j, const char *time_name, const char *event_name)
{
    struct voco_probe_target *t;
    int at, event_at, events = 0;
    enum voco_err err;

    if ((err = voco_probe_column(j, "--survival", time_name, &at))
        || (err = voco_probe_column(j, "--survival", event_name, &event_at)))
        return err;
    t = add_target(j, VOCO_PROBE_SURVIVAL, time_name);
    for (int i = 0; i < j->p->n_cases && !err; i++) {
        double time, event;

        if (*cell(j, i, at) == '\0' || *cell(j, i, event_at) == '\0')
            t->unlabelled++;
        else if (!(err = number(j, i, at, &time)) && !(err = number(j, i, event_at, &event))) {
            const int k = add_case(j, t, i);

            t->value[k] = time;
            t->event[k] = event == 1;
            t->label[k] = t->event[k];          /* folds get events evenly */
            events += t->event[k];
            if ((event != 0 && event != 1) || time < 0)
                err = voco_fail(VOCO_EFORMAT, "%s: %s has the time %g and the event %g, expected "
                                "a time of 0 or more, and 1 for an event or 0 for none yet",
                                j->labels.path, t->id[k], time, event);
        }
    }
    if (!err && events == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: none of %d cases has an event in column %s; without "
                        "events there is nothing to fit", j->labels.path, t->n, event_name);
    return err;
}

static void
add_patients(struct voco_probe_join *j)
{
    struct voco_probe_target *t = add_target(j, VOCO_PROBE_PATIENTS,
                                             j->labels.name[j->patient]);

    for (int i = 0; i < j->p->n_cases; i++)
        if (*cell(j, i, j->patient))
            add_case(j, t, i);
        else
            t->unlabelled++;
}

/* ---- which of them ---- */

/* The names in a list with commas, one after the other; *text moves on. */
static char *
next_name(const char **text)
{
    const size_t n = strcspn(*text, ",");
    char *name = voco_format("%.*s", (int)n, *text);

    *text += n + ((*text)[n] == ',');
    return name;
}

static enum voco_err
add_listed(struct voco_probe_join *j, const char *names,
           enum voco_err (*add)(struct voco_probe_join *j, const char *name))
{
    enum voco_err err = VOCO_OK;

    while (*names && !err) {
        char *name = next_name(&names);

        err = add(j, name);
        free(name);
    }
    return err;
}

static enum voco_err
add_class_column(struct voco_probe_join *j, const char *name)
{
    return add_classes(j, name, VOCO_PROBE_CLASS);
}

static enum voco_err
add_survival_pair(struct voco_probe_join *j, const char *pair)
{
    const char *rest = pair;
    char *time = next_name(&rest), *event = next_name(&rest);
    enum voco_err err = *time && *event && !*rest ? add_survival(j, time, event)
        : voco_fail(VOCO_EUSAGE, "--survival is '%s', expected the columns TIME,EVENT", pair);

    free(time);
    free(event);
    return err;
}

static enum voco_err
add_named(struct voco_probe_join *j)
{
    static const char *const classes[] = { "class", "label" };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < 2 && !err; i++)
        if (voco_labels_column(&j->labels, classes[i]) >= 0)
            err = add_classes(j, classes[i], VOCO_PROBE_CLASS);
    if (!err && voco_labels_column(&j->labels, "value") >= 0)
        err = add_values(j, "value");
    if (!err && voco_labels_column(&j->labels, "time") >= 0
        && voco_labels_column(&j->labels, "event") >= 0)
        err = add_survival(j, "time", "event");
    return err;
}

enum voco_err
voco_probe_targets(struct voco_probe_join *j)
{
    const struct voco_probe_config *c = j->p->config;
    enum voco_err err = VOCO_OK;

    if (!c->class_columns && !c->value_columns && !c->survival)
        err = add_named(j);
    if (!err && c->class_columns)
        err = add_listed(j, c->class_columns, add_class_column);
    if (!err && c->value_columns)
        err = add_listed(j, c->value_columns, add_values);
    if (!err && c->survival)
        err = add_survival_pair(j, c->survival);
    if (!err && j->p->n_targets == 0)
        err = voco_fail(VOCO_EUSAGE, "%s has none of the columns class, label, value, time and "
                        "event; name those to predict: --class, --value, --survival",
                        j->labels.path);
    if (!err && j->patient >= 0)
        add_patients(j);
    return err;
}
