/*
 * Folds of cases for cross-validation: a pure function of ids, groups, strata and a seed.
 *
 * Cases of one group (scans of a patient) are in one fold.  Groups are dealt out one after the
 * other, stratum by stratum (by class), in an order that the seed shuffles; the next stratum
 * begins where the one before ended.
 */
#ifndef VOCO_PROBE_FOLDS_H
#define VOCO_PROBE_FOLDS_H

#include <stdint.h>

#include "base/err.h"

struct voco_folds_options {
    int n;                      /* cases */
    const char *const *group;   /* [n]: name of the group of each case */
    const int *stratum;         /* [n]; NULL: one.  Of a group, that of its first case. */
    int folds;                  /* at least 2 */
    uint64_t seed;
};

/* fold[n] in 0..folds-1.  VOCO_EUSAGE: more folds than groups. */
enum voco_err voco_folds_make(const struct voco_folds_options *o, int *fold);

#endif
