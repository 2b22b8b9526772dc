/* Reading metrics.jsonl, line by line, whatever wrote it: any JSON objects with a step. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/open.h"
#include "report/metrics.h"

enum { SERIES_LIMIT = 256 };

/* While reading, rows of a growing table in file order. */
struct table {
    struct voco_history *h;
    int64_t room;
};

static void *
grown(void *old, int64_t n, size_t size)
{
    return realloc(old, (size_t)n * size);
}

static bool
grow(struct table *t)
{
    struct voco_history *h = t->h;
    const int64_t room = t->room ? 2 * t->room : 256;
    int64_t *step = grown(h->step, room, sizeof *step);

    if (!step)
        return false;
    h->step = step;
    for (int s = 0; s < h->n_series; s++) {
        double *value = grown(h->value[s], room, sizeof *value);

        if (!value)
            return false;
        h->value[s] = value;
    }
    t->room = room;
    return true;
}

/* The number of the series, a new one if need be; -1: no memory or too many. */
static int
series(struct table *t, const char *name)
{
    struct voco_history *h = t->h;

    for (int s = 0; s < h->n_series; s++)
        if (strcmp(h->name[s], name) == 0)
            return s;
    if (h->n_series == SERIES_LIMIT)
        return -1;

    char **names = grown(h->name, h->n_series + 1, sizeof *names);
    if (names)
        h->name = names;
    double **values = grown(h->value, h->n_series + 1, sizeof *values);
    if (values)
        h->value = values;
    char *copy = strdup(name);
    double *value = malloc((size_t)t->room * sizeof *value);
    if (!names || !values || !copy || !value) {
        free(copy);
        free(value);
        return -1;
    }
    for (int64_t i = 0; i < h->n; i++)
        value[i] = NAN;
    h->name[h->n_series] = copy;
    h->value[h->n_series] = value;
    return h->n_series++;
}

/* False when memory is gone. */
static bool
add_line(struct table *t, const char *line, size_t n)
{
    struct voco_history *h = t->h;
    json_t *row = json_loadb(line, n, 0, NULL);
    json_t *step = json_object_get(row, "step");
    const char *name;
    json_t *value;

    if (!json_is_integer(step)) {
        h->bad_lines++;
        json_decref(row);
        return true;
    }
    if (h->n == t->room && !grow(t)) {
        json_decref(row);
        return false;
    }
    h->step[h->n++] = json_integer_value(step);
    for (int s = 0; s < h->n_series; s++)
        h->value[s][h->n - 1] = NAN;
    json_object_foreach(row, name, value) {
        const bool is_null = json_is_null(value);

        if ((!json_is_number(value) && !is_null) || value == step)
            continue;
        const int s = series(t, name);
        if (s >= 0)
            h->value[s][h->n - 1] = is_null ? INFINITY : json_number_value(value);
    }
    json_decref(row);
    return true;
}

/* A step and where its line was. */
struct place {
    int64_t step, line;
};

static int
by_step_then_line(const void *x, const void *y)
{
    const struct place *a = x, *b = y;

    if (a->step != b->step)
        return a->step < b->step ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

/* Rows in the order of their steps, of equal steps only the last line. */
static bool
sort_rows(struct voco_history *h)
{
    struct place *place = malloc((size_t)(h->n + 1) * sizeof *place);
    double *old = malloc((size_t)(h->n + 1) * sizeof *old);
    int64_t n = 0;

    if (!place || !old) {
        free(place);
        free(old);
        return false;
    }
    for (int64_t i = 0; i < h->n; i++)
        place[i] = (struct place){ h->step[i], i };
    qsort(place, (size_t)h->n, sizeof *place, by_step_then_line);
    for (int64_t i = 0; i < h->n; i++)
        if (i + 1 == h->n || place[i].step != place[i + 1].step)
            place[n++] = place[i];
    for (int s = 0; s < h->n_series; s++) {
        memcpy(old, h->value[s], (size_t)h->n * sizeof *old);
        for (int64_t i = 0; i < n; i++)
            h->value[s][i] = old[place[i].line];
    }
    for (int64_t i = 0; i < n; i++)
        h->step[i] = place[i].step;
    h->n = n;
    free(place);
    free(old);
    return true;
}

enum voco_err
voco_history_read(const char *path, struct voco_history *ret)
{
    struct voco_history h = { 0 };
    struct table t = { &h, 0 };
    enum voco_err err = VOCO_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    FILE *in = voco_open_stream(path, "rb");

    if (!in)
        return voco_fail_errno(errno == ENOENT ? VOCO_EFORMAT : VOCO_EIO, "%s", path);
    while (!err && (n = getline(&line, &room, in)) > 0)
        if (!add_line(&t, line, (size_t)n))
            err = voco_fail(VOCO_EMEMORY, "%s: no memory for its %lld lines", path,
                            (long long)h.n);
    if (!err && ferror(in))
        err = voco_fail_errno(VOCO_EIO, "%s: cannot read", path);
    if (!err && h.n > 0 && !sort_rows(&h))
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for its %lld lines", path,
                        (long long)h.n);
    free(line);
    fclose(in);
    if (err)
        voco_history_free(&h);
    *ret = h;
    return err;
}

void
voco_history_free(struct voco_history *h)
{
    for (int s = 0; s < h->n_series; s++) {
        free(h->name[s]);
        free(h->value[s]);
    }
    free(h->name);
    free(h->value);
    free(h->step);
    *h = (struct voco_history){ 0 };
}

const double *
voco_history_series(const struct voco_history *h, const char *name)
{
    for (int s = 0; s < h->n_series; s++)
        if (strcmp(h->name[s], name) == 0)
            return h->value[s];
    return NULL;
}
