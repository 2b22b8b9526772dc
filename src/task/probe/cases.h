/*
 * Probes of cases: how well labels of cases are told from frozen features, cross-validated,
 * without training a network.
 *
 * Cases are split into folds by patient.  Each fold is predicted by fits on the others: the
 * features are brought to mean 0 and deviation 1 over those, and the strength of a penalty is
 * chosen by a second cross-validation among them.  Scores are over the predictions of all
 * folds; intervals are of patients drawn with replacement.
 */
#ifndef VOCO_TASK_PROBE_CASES_H
#define VOCO_TASK_PROBE_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset/features.h"

enum voco_probe_kind {
    VOCO_PROBE_CLASS, VOCO_PROBE_VALUE, VOCO_PROBE_SURVIVAL,
    VOCO_PROBE_RETRIEVAL,       /* cases of the same class */
    VOCO_PROBE_PATIENTS,        /* other scans of the same patient */
    VOCO_PROBE_KINDS
};

enum { VOCO_PROBE_METRICS = 6, VOCO_PROBE_ROWS = 5 };

struct voco_probe_kind_name {
    const char *key, *title;
    struct {
        const char *key, *title;        /* NULL behind the last one */
        bool less_is_better;
    } metric[VOCO_PROBE_METRICS + 1];
};
extern const struct voco_probe_kind_name voco_probe_kind[VOCO_PROBE_KINDS];

struct voco_probe_config {
    const char *labels, *output;        /* the file; the folder for results, or NULL */
    const char *class_columns, *value_columns;  /* names with commas; NULL: by their names */
    const char *survival;       /* TIME,EVENT; NULL: by their names */
    const char *patient;        /* column; NULL: "patient", if there is one */
    int64_t folds, replicates, seed, threads;   /* threads 0: one for each core */
    double lambda;              /* of all penalties; NaN: chosen */
};
#define VOCO_PROBE_DEFAULTS { .folds = 5, .replicates = 2000, .seed = 1, .lambda = NAN }

/* low, high: 95 %.  difference: minus the same of the first table of features. */
struct voco_probe_metric {
    double value, low, high;
    double difference, difference_low, difference_high;
};

/* A probe of a table of features. */
struct voco_probe_result {
    int table;
    char *probe;                /* "logistic", "knn-5" */
    double lambda;              /* geometric mean over the folds; NaN: it has none */
    struct voco_probe_metric metric[VOCO_PROBE_METRICS];
    int *guess;                 /* [n]: classes */
    double *score;              /* [n][classes]: shares of classes; [n]: numbers, risks;
                                 * [n][VOCO_PROBE_METRICS]: of queries */
    double *draw;               /* [metric][replicates] */
};

/* A label, with the cases that have it. */
struct voco_probe_target {
    enum voco_probe_kind kind;
    char *name;                 /* of the column */
    int n, unlabelled;          /* cases; cases without this label */
    const char **id;            /* [n] */
    const char **patient;       /* [n] */
    int *group, groups;         /* [n]: the number of the patient */
    int *fold;                  /* [n] */
    int *label, classes;        /* [n] */
    char **class_name;
    double *value;              /* [n]: numbers, times */
    bool *event;                /* [n] */
    double **x;                 /* [tables]: features [n][width] */
    struct voco_probe_result *result;
    int n_results;              /* of each table the same probes, in the same order */
};

struct voco_probe {
    const struct voco_probe_config *config;
    struct voco_features *table;
    int tables;
    int n_cases;                /* ids with a row of labels, and with features in each table */
    int unknown;                /* ids of labels that not every table has ... */
    char *first_unknown;
    int unlabelled;             /* ids of features that have no row of labels */
    int bad;                    /* ids left out, because a feature is NaN or infinite */
    bool has_patients;
    struct voco_probe_target *target;
    int n_targets;
};

/* Reads the tables and labels, and fits and scores everything.  Free it after a failure,
 * too. */
enum voco_err voco_probe_cases(const struct voco_probe_config *config, int tables,
                               const char *const *path, struct voco_probe *ret);
void voco_probe_free(struct voco_probe *p);         /* accepts {0} */

/* ---- parts ---- */

/* Reads everything and makes the targets with their cases and folds. */
enum voco_err voco_probe_join(const struct voco_probe_config *config, int tables,
                              const char *const *path, struct voco_probe *ret);
/* Predictions of all results of a table for the cases of a fold. */
enum voco_err voco_probe_fit(const struct voco_probe *p, struct voco_probe_target *t,
                             int table, int fold, double *ret_lambda);
/* Scores of each case as a query among the others. */
void voco_probe_retrieve(const struct voco_probe_target *t, int width, int table,
                         struct voco_probe_result *r);
/* Scores and intervals of a result. */
void voco_probe_score(const struct voco_probe *p, const struct voco_probe_target *t,
                      struct voco_probe_result *r);

#endif
