/*
 * Scores of predictions for cases that count so often: weight[n] are the numbers of times that
 * a bootstrap drew them, or NULL for once each.  NaN where a score is not defined.
 */
#ifndef VOCO_PROBE_SCORE_H
#define VOCO_PROBE_SCORE_H

#include <stdbool.h>

/* count[truth * classes + predicted] */
void voco_confusion(const int *truth, const int *predicted, const double *weight, int n,
                    int classes, double *count);
double voco_accuracy(const double *confusion, int classes);
/* Means of recall, and of F1, over the classes that the truth has; an F1 of nothing is 0. */
double voco_balanced_accuracy(const double *confusion, int classes);
double voco_macro_f1(const double *confusion, int classes);

/* Area under the ROC curve of score for positive[n]; ties count half. */
double voco_auroc(const bool *positive, const double *score, const double *weight, int n);
/* Two classes: of the score of class 1.  More: the mean over the classes that the truth has,
 * each against the rest.  score[n][classes]. */
double voco_macro_auroc(const int *truth, const double *score, const double *weight, int n,
                        int classes);
/* Mean of -log p[truth]. */
double voco_log_loss(const int *truth, const double *p, const double *weight, int n,
                     int classes);

/* 1 - squared error / squares about the mean; NaN where the truth does not vary. */
double voco_r2(const double *truth, const double *predicted, const double *weight, int n);
double voco_mae(const double *truth, const double *predicted, const double *weight, int n);

/* Harrell: the pairs that can be told apart have the earlier time an event (of equal times
 * exactly one an event, taken as the earlier); equal risks count half.  fold[n]: only pairs
 * of one fold count, whose risks come from one fit; NULL: all pairs. */
double voco_c_index(const double *time, const bool *event, const double *risk,
                    const int *fold, const double *weight, int n);

/* Mean of value[n], without those that are NaN. */
double voco_weighted_mean(const double *value, const double *weight, int n);

#endif
