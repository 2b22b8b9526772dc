/*
 * Scores of ranked lists, one query at a time.
 */
#ifndef VOCO_PROBE_RETRIEVAL_H
#define VOCO_PROBE_RETRIEVAL_H

#include <stdbool.h>

/* relevant[n]: by rank.  NaN where nothing is relevant. */
double voco_average_precision(const bool *relevant, int n);
/* Only the first k count, divided by the smaller of k and the number of relevant ones. */
double voco_average_precision_at(const bool *relevant, int n, int k);
/* 1 if a relevant one is among the first k, else 0. */
double voco_hit_at(const bool *relevant, int n, int k);
/* The share of the relevant ones that is among the first k. */
double voco_recall_at(const bool *relevant, int n, int k);

/* Entries of sim[n] that are more similar than entry `own`: 0 is the best rank. */
int voco_pair_rank(const double *sim, int n, int own);

#endif
