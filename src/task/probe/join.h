/*
 * The rows of labels and of features of the same cases, while targets are made of them.
 */
#ifndef VOCO_TASK_PROBE_JOIN_H
#define VOCO_TASK_PROBE_JOIN_H

#include "task/probe/cases.h"
#include "task/probe/labels.h"

/* A row of labels with its row in each table. */
struct voco_probe_joined {
    int row;
    int *at;                    /* [tables] */
};

struct voco_probe_join {
    struct voco_probe *p;
    struct voco_labels labels;
    struct voco_probe_joined *cases;
    int patient;                /* column; -1: none */
};

/* A column by its name; VOCO_EUSAGE names the option that asked for it. */
enum voco_err voco_probe_column(const struct voco_probe_join *j, const char *option,
                                const char *name, int *ret);

/* The targets that the settings name, or that columns are named after, with their cases. */
enum voco_err voco_probe_targets(struct voco_probe_join *j);

#endif
