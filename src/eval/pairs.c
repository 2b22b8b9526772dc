/* Pairs of predictions and truths: folders and lists by id, two files, a list of pairs. */
#include "eval/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/pairing.h"

enum { SHOWN = 3 };

/* The label map of an item: its label where the list names one, else its image. */
static const char *
map_of(const struct voco_item *item)
{
    return item->label ? item->label : item->image[0];
}

static int
by_id(const void *a, const void *b)
{
    const struct voco_item *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

static const struct voco_item **
sorted(const struct voco_datalist *list)
{
    const struct voco_item **item = calloc((size_t)list->n + 1, sizeof *item);

    for (int i = 0; item && i < list->n; i++)
        item[i] = &list->item[i];
    if (item && list->n)
        qsort(item, (size_t)list->n, sizeof *item, by_id);
    return item;
}

static void
push(struct voco_eval *e, const char *id, const char *predicted, const char *truth)
{
    e->item[e->n++] = (struct voco_eval_case){ .id = voco_format("%s", id),
                                               .predicted = voco_format("%s", predicted),
                                               .truth = voco_format("%s", truth) };
}

static const char **
ids_of(const struct voco_item **item, int n)
{
    const char **id = calloc((size_t)n + 1, sizeof *id);

    for (int i = 0; id && i < n; i++)
        id[i] = item[i]->id;
    return id;
}

/* prediction[j] of each truth, or -1: of several that mean it, an equal name or the first. */
static void
invert(const int *of, const struct voco_item **p, int n, const struct voco_item **t, int m,
       int *prediction)
{
    for (int j = 0; j < m; j++)
        prediction[j] = -1;
    for (int i = 0; i < n; i++)
        if (of[i] >= 0 && (prediction[of[i]] < 0 || strcmp(p[i]->id, t[of[i]]->id) == 0))
            prediction[of[i]] = i;
}

/* Two lists in the order of their ids. */
static enum voco_err
match(const struct voco_item **p, int n, const struct voco_item **t, int m,
      struct voco_eval *e)
{
    const char **a = ids_of(p, n), **b = ids_of(t, m);
    int *of = calloc((size_t)n + 1, sizeof *of);
    int *prediction = calloc((size_t)m + 1, sizeof *prediction);
    enum voco_err err = VOCO_OK;

    if (!a || !b || !of || !prediction)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d pairs", m);
    else if (n == 1 && m == 1)          /* two files: whatever they are called */
        push(e, t[0]->id, p[0]->image[0], map_of(t[0]));
    else if (!(err = voco_pair_names(a, n, b, m, of))) {
        invert(of, p, n, t, m, prediction);
        for (int j = 0; j < m; j++)
            if (prediction[j] >= 0)
                push(e, t[j]->id, p[prediction[j]]->image[0], map_of(t[j]));
            else
                e->missing[e->n_missing++] = voco_format("%s", t[j]->id);
        e->n_extra = n - e->n;
    }
    free(a);
    free(b);
    free(of);
    free(prediction);
    return err;
}

/* "a, b, c, ..." of the ids; free it. */
static char *
some_ids(const struct voco_item **item, int n)
{
    char *text = voco_format("%s", "");

    for (int i = 0; i < n && i <= SHOWN; i++) {
        char *more = voco_format("%s%s%s", text, i ? ", " : "",
                                 i < SHOWN ? item[i]->id : "...");

        free(text);
        text = more;
    }
    return text;
}

/* The names that were given, else those of the list that name all classes. */
static enum voco_err
take_names(const struct voco_eval_options *o, const struct voco_classes *c,
           struct voco_eval *e)
{
    int n = o->n_names;

    while (o->n_names == 0 && n < c->n && c->class_[n].value == n)
        n++;
    if (n == 0 || (o->n_names == 0 && n < c->n))        /* values with gaps have none */
        return VOCO_OK;
    e->class_name = calloc((size_t)n, sizeof *e->class_name);
    if (!e->class_name)
        return voco_fail(VOCO_EMEMORY, "no memory for the names of %d classes", n);
    for (e->n_names = 0; e->n_names < n; e->n_names++)
        e->class_name[e->n_names] = voco_format("%s", o->n_names > 0
                                                ? o->class_name[e->n_names]
                                                : c->class_[e->n_names].name);
    return VOCO_OK;
}

static enum voco_err
pair_lists(const struct voco_eval_options *o, const struct voco_datalist *predicted,
           const struct voco_datalist *truth, struct voco_eval *e)
{
    const struct voco_item **p = sorted(predicted), **t = sorted(truth);
    enum voco_err err = VOCO_OK;

    e->item = calloc((size_t)truth->n + 1, sizeof *e->item);
    e->missing = calloc((size_t)truth->n + 1, sizeof *e->missing);
    if (!p || !t || !e->item || !e->missing)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d pairs", truth->n);
    else
        err = match(p, predicted->n, t, truth->n, e);
    if (!err && e->n == 0) {
        char *a = some_ids(p, predicted->n), *b = some_ids(t, truth->n);

        err = voco_fail(VOCO_EFORMAT, "%s and %s have no case in common: their names are "
                        "%s and %s", o->predicted, o->truth, a, b);
        free(a);
        free(b);
    }
    free(p);
    free(t);
    return err;
}

static enum voco_err
take_pairs(const struct voco_eval_options *o, const struct voco_datalist *list,
           struct voco_eval *e)
{
    const struct voco_item **item = sorted(list);

    e->item = calloc((size_t)list->n + 1, sizeof *e->item);
    if (!item || !e->item) {
        free(item);
        return voco_fail(VOCO_EMEMORY, "no memory for %d pairs", list->n);
    }
    for (int i = 0; i < list->n; i++) {
        if (!item[i]->label) {
            free(item);
            return voco_fail(VOCO_EUSAGE, "%s: names no truth for %s: give PRED and "
                             "TRUTH, or one list of pairs, a CSV with the columns image "
                             "(the prediction) and label (the truth)", o->predicted,
                             list->item[i].id);
        }
        push(e, item[i]->id, item[i]->image[0], item[i]->label);
    }
    free(item);
    return VOCO_OK;
}

enum voco_err
voco_eval_pair(const struct voco_eval_options *o, struct voco_eval *e)
{
    const struct voco_datalist_options plain = { .root = NULL };
    struct voco_datalist predicted = { .n = 0 }, truth = { .n = 0 };
    enum voco_err err = voco_datalist_read(&predicted, 1, &o->predicted, &plain);

    if (!err && o->truth)
        err = voco_datalist_read(&truth, 1, &o->truth, &plain);
    if (!err)
        err = o->truth ? pair_lists(o, &predicted, &truth, e)
                       : take_pairs(o, &predicted, e);
    if (!err)
        err = take_names(o, o->truth ? &truth.classes : &predicted.classes, e);
    voco_datalist_free(&predicted);
    voco_datalist_free(&truth);
    return err;
}
