/* Labels of cases, from a CSV or a list of volumes. */
#include "task/probe/labels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "data/dataset/datalist.h"

void
voco_labels_free(struct voco_labels *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->id[i]);
    for (int i = 0; i < l->columns; i++)
        free(l->name[i]);
    for (int i = 0; i < l->n * l->columns; i++)
        free(l->cell[i]);
    free(l->id);
    free(l->name);
    free(l->cell);
    free(l->path);
    *l = (struct voco_labels){ .id = NULL };
}

int
voco_labels_column(const struct voco_labels *l, const char *name)
{
    for (int i = 0; i < l->columns; i++)
        if (strcasecmp(l->name[i], name) == 0)
            return i;
    return -1;
}

static char *
copy(const char *text)
{
    return voco_format("%s", text);
}

/* A new row with cells that are NULL. */
static char **
add_row(struct voco_labels *l, const char *id)
{
    const size_t n = (size_t)l->n + 1, columns = (size_t)l->columns;

    l->id = realloc(l->id, n * sizeof *l->id);
    VOCO_NEED(l->id);
    l->cell = realloc(l->cell, (n * columns + 1) * sizeof *l->cell);
    VOCO_NEED(l->cell);
    l->id[l->n] = copy(id);
    return l->cell + (size_t)l->n++ * columns;
}

static enum voco_err
take_rows(struct voco_labels *l, struct voco_csv *c, int id)
{
    bool more = true;
    enum voco_err err;

    while ((err = voco_csv_next(c, &more)) == VOCO_OK && more) {
        char **cell;

        if (c->cell[id][0] == '\0')
            return voco_fail(VOCO_EFORMAT, "%s:%d: no id", c->path, c->line);
        cell = add_row(l, c->cell[id]);
        for (int k = 0; k < l->columns; k++)
            cell[k] = copy(c->cell[k]);
    }
    return err;
}

static enum voco_err
read_list(struct voco_labels *l, const char *path)
{
    const struct voco_datalist_options o = { .test_split = true };
    struct voco_datalist list = { .n = 0 };
    const enum voco_err err = voco_datalist_read(&list, 1, &path, &o);

    l->columns = 1;
    l->name = calloc(1, sizeof *l->name);
    VOCO_NEED(l->name);
    l->name[0] = copy("class");
    for (int i = 0; i < list.n && !err; i++)
        *add_row(l, list.item[i].id) = copy(list.item[i].class_name
                                            ? list.item[i].class_name : "");
    voco_datalist_free(&list);
    return err;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum voco_err
check_unique(const struct voco_labels *l)
{
    const char **sorted = calloc((size_t)l->n + 1, sizeof *sorted);
    enum voco_err err = VOCO_OK;

    VOCO_NEED(sorted);
    for (int i = 0; i < l->n; i++)
        sorted[i] = l->id[i];
    qsort(sorted, (size_t)l->n, sizeof *sorted, by_text);
    for (int i = 1; i < l->n && !err; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            err = voco_fail(VOCO_EFORMAT, "%s: the id %s comes twice; expected a row for each "
                            "case", l->path, sorted[i]);
    free(sorted);
    return err;
}

/* Is it a table with ids?  Everything else is a list. */
static bool
has_ids(const char *path)
{
    const size_t n = strlen(path);
    struct voco_csv c = { .text = NULL };
    bool found;

    if (n < 5 || (strcasecmp(path + n - 4, ".csv") != 0 && strcasecmp(path + n - 4, ".tsv")))
        return false;
    found = voco_csv_open(&c, path) == VOCO_OK
        && (voco_csv_column(&c, "id") >= 0 || voco_csv_column(&c, "image") < 0);
    voco_csv_close(&c);
    return found || !voco_file_exists(path);
}

enum voco_err
voco_labels_read(const char *path, struct voco_labels *ret)
{
    struct voco_csv c = { .text = NULL };
    enum voco_err err;
    int id;

    *ret = (struct voco_labels){ .path = copy(path) };
    if (!has_ids(path)) {
        err = read_list(ret, path);
        return err ? err : check_unique(ret);
    }
    err = voco_csv_open(&c, path);
    id = voco_csv_column(&c, "id");
    if (!err && id < 0)
        err = voco_fail(VOCO_EFORMAT, "%s:1: no column \"id\"; expected a table with the ids of "
                        "cases and their labels, or a list of volumes", path);
    if (!err) {
        ret->name = calloc((size_t)c.columns + 1, sizeof *ret->name);
        VOCO_NEED(ret->name);
        for (; ret->columns < c.columns; ret->columns++)
            ret->name[ret->columns] = copy(c.name[ret->columns]);
        err = take_rows(ret, &c, id);
    }
    if (!err && ret->n == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: the table has no rows", path);
    voco_csv_close(&c);
    return err ? err : check_unique(ret);
}
