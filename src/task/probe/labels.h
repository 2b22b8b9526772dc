/*
 * Labels of cases: a CSV with a column of ids, or a list of volumes with classes.
 */
#ifndef VOCO_TASK_PROBE_LABELS_H
#define VOCO_TASK_PROBE_LABELS_H

#include "base/err.h"

struct voco_labels {
    char *path;
    int n, columns;
    char **id;                  /* [n] */
    char **name;                /* [columns] */
    char **cell;                /* [n][columns]; "" where there is nothing */
};

/* A CSV with the column id, or a list that voco convert takes: its ids and its classes.
 * An id that comes twice is an error.  Free it after a failure, too. */
enum voco_err voco_labels_read(const char *path, struct voco_labels *ret);
void voco_labels_free(struct voco_labels *l);       /* accepts {0} */

/* Index of a column by its name, whatever the case; -1: there is none. */
int voco_labels_column(const struct voco_labels *l, const char *name);

#endif
