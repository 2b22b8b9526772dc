/*
 * Voxel probe: linear segmentation from the frozen maps of an encoder, cross-validated over
 * labelled volumes.
 *
 * Each fold of the volumes is predicted by a ridge regression (probe/voxel.h) on the others,
 * whose penalty is the best of a few by a second cross-validation among those.  Dice is of all
 * sampled voxels of all volumes together; intervals are of patients drawn with replacement.
 * Everything is a function of the weights, the store and the settings.
 */
#ifndef VOCO_TASK_PROBE_VOXELS_H
#define VOCO_TASK_PROBE_VOXELS_H

#include <math.h>

#include "probe/voxel.h"
#include "task/probe/maps.h"

/* Volumes with labels, and how they are split. */
struct voco_voxel_cases {
    const struct voco_store *store;
    int n, unlabelled;          /* volumes; those of the store without a label map */
    int *volume;                /* [n]: index in the store */
    int *fold, folds;           /* [n] */
    int *group, groups;         /* [n]: patients */
    int classes;
    const char *const *class_name;      /* [n_names], of the store */
    int n_names;
};

/* The labelled volumes of a store, at most so many of them (0: all), those that come first in
 * an order that the seed shuffles.  patients: a table with the columns id and patient, or
 * NULL.  VOCO_EFORMAT: fewer than two have labels. */
enum voco_err voco_voxel_cases_open(const struct voco_store *s, const char *patients, int most,
                                    int folds, uint64_t seed, struct voco_voxel_cases *ret);
void voco_voxel_cases_free(struct voco_voxel_cases *c);         /* accepts {0} */

/* "liver", or "class 4" in buf. */
const char *voco_voxel_class(const struct voco_voxel_cases *c, int class_id, char buf[24]);

struct voco_voxel_scores {
    double mean, low, high;             /* Dice over classes, and its 95 % interval */
    double *dice, *dice_low, *dice_high;        /* [classes]; NaN for 0 and absent ones */
    double share;               /* of the penalty, geometric mean over the folds */
    struct voco_voxel_tally *tally;     /* [n] */
    int n;
    double *draw;               /* [1 + classes][replicates]: the mean, then classes */
};
void voco_voxel_scores_free(struct voco_voxel_scores *s);       /* accepts {0} */

struct voco_voxel_options {
    int labelled;               /* training volumes of a fold; 0: all */
    int replicates;             /* of the bootstrap; 0: no intervals */
    int threads;
    uint64_t seed;
};

/* Fits and scores; maps[n] belong to the cases. */
enum voco_err voco_voxel_score(const struct voco_voxel_cases *c, const struct voco_maps *maps,
                               const struct voco_voxel_options *o,
                               struct voco_voxel_scores *ret);

#endif
