/*
 * A set of predictions against the truth: pairs by id, a score per class and case, and
 * statistics over cases.
 */
#ifndef VOCO_EVAL_EVALUATE_H
#define VOCO_EVAL_EVALUATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset/datalist.h"
#include "data/volume/labels.h"
#include "eval/score.h"
#include "eval/stats.h"

enum voco_metric {
    VOCO_METRIC_DICE, VOCO_METRIC_HD95, VOCO_METRIC_SURFACE, VOCO_METRIC_VOLUME,
    VOCO_METRICS
};
struct voco_metric_name {
    const char *key;            /* "hd95_mm" */
    const char *title;          /* "HD95, mm" */
    bool less_is_better;
};
extern const struct voco_metric_name voco_metric_name[VOCO_METRICS];

struct voco_eval_options {
    const char *predicted;      /* folder, list or file; with truth NULL: a list of pairs */
    const char *truth;
    const struct voco_label_map *labels;    /* values of predictions become classes */
    const struct voco_label_map *truth_labels;      /* those of the truth */
    const char *const *class_name;  /* of classes 0, 1, ...; NULL: those of a list */
    int n_names;
    double spacing_mm[3];       /* all 0: the native grid */
    double tolerance_mm;        /* of the surface Dice */
    uint64_t seed;
    int replicates;             /* of the bootstrap */
    int threads;
};

struct voco_eval_case {
    char *id, *predicted, *truth;
    char *problem;              /* NULL, or why it has no scores */
    int64_t dim[3];             /* where it was scored */
    double mm[3];
    struct voco_score *score;   /* [n_classes]; 0 is not used */
    int n_classes;              /* of this case: one more than its largest class */
    double mean[VOCO_METRICS];  /* over the classes that have a number */
};

struct voco_eval {
    struct voco_eval_case *item;        /* by id */
    int n, n_scored;
    char **missing;             /* ids of truths without a prediction */
    int n_missing;
    int n_extra;                /* predictions without a truth, left out */
    char **class_name;          /* [n_names], of classes 0, 1, ...; may be NULL */
    int n_names;
    int n_classes;              /* one more than the largest class anywhere */
    struct voco_stats *stats;   /* [n_classes * VOCO_METRICS]; class 0: means of cases */
};

/* Cases that cannot be scored have a problem and do not stop the others; truth without
 * prediction is missing.  VOCO_EFORMAT when nothing at all can be paired.  Free with
 * voco_eval_free, also after a failure. */
enum voco_err voco_eval_run(const struct voco_eval_options *o, struct voco_eval *ret);
void voco_eval_free(struct voco_eval *e);       /* accepts {0} */

/* A metric of a case; class 0: the mean of its classes.  NaN: not defined. */
double voco_eval_value(const struct voco_eval_case *c, int class_id, enum voco_metric m);

/* "liver", or "class 4" in buf. */
const char *voco_eval_class(const struct voco_eval *e, int class_id, char buf[24]);

/* Is there such a class in any truth or prediction? */
bool voco_eval_has(const struct voco_eval *e, int class_id);

/* Both label maps of a case as they are scored: axes towards R, A and S, resampled if asked. */
struct voco_eval_maps {
    int64_t dim[3];
    double mm[3], affine[4][4];
    uint16_t *predicted, *truth;
};
enum voco_err voco_eval_read(const struct voco_eval_case *c,
                             const struct voco_eval_options *o,
                             struct voco_eval_maps *ret);
void voco_eval_maps_free(struct voco_eval_maps *m);     /* accepts {0} */

/* Two predictions of the same truth: first minus second, case by case. */
struct voco_eval_paired {
    int n;                      /* cases that both have */
    int n_classes;
    struct voco_stats *stats;   /* [n_classes * VOCO_METRICS] of the differences */
    double *p;                  /* the same order: two-sided, by random signs */
};
enum voco_err voco_eval_compare(const struct voco_eval *first,
                                const struct voco_eval *second,
                                const struct voco_eval_options *o,
                                struct voco_eval_paired *ret);
void voco_eval_paired_free(struct voco_eval_paired *p);     /* accepts {0} */

#endif
