/*
 * Linear segmentation of voxels from their features: ridge regression of one-hot classes, each
 * voxel with a weight of its class, and Dice of the class with the largest output.
 *
 * All that a fit needs of voxels are sums, which add up: one set of sums for each case serves
 * the fits of all splits of the cases.
 */
#ifndef VOCO_PROBE_VOXEL_H
#define VOCO_PROBE_VOXEL_H

#include <stdint.h>

#include "base/err.h"
#include "probe/linear.h"

struct voco_voxel_sums {
    int width, classes;
    double *of_class;           /* [classes]: sum of weights */
    double *cross;              /* [classes][width]: of weight times feature */
    double *gram;               /* [width][width], lower triangle */
};

/* Zeros. */
void voco_voxel_sums_init(struct voco_voxel_sums *s, int width, int classes);
void voco_voxel_sums_free(struct voco_voxel_sums *s);   /* accepts {0} */
/* Adds n voxels, x[n][width]; weight[classes]. */
void voco_voxel_sums_take(struct voco_voxel_sums *s, const float *x, const uint16_t *label,
                          int n, const double *weight);
/* s += sign * other */
void voco_voxel_sums_add(struct voco_voxel_sums *s, const struct voco_voxel_sums *other,
                         double sign);

/* 1/sqrt(count), scaled so that the weights of all voxels sum to their number; 0 for a class
 * without voxels. */
void voco_voxel_class_weights(const int64_t *count, int classes, double *weight);

/*
 * The map of features to outputs that minimises
 *
 *   sum_i weight_i |onehot(label_i) - W s(x_i) - b|^2 + share * sum_i weight_i * |W|^2
 *
 * where s brings the features to mean 0 and deviation 1 under the weights.  share is above 0.
 * A class without voxels never has the largest output.
 */
enum voco_err voco_voxel_fit(const struct voco_voxel_sums *s, double share,
                             struct voco_linear *ret);

/* Voxels of each class in the truth, in the prediction, and in both. */
struct voco_voxel_tally {
    double *truth, *predicted, *both;   /* [classes] */
};
void voco_voxel_tally_init(struct voco_voxel_tally *t, int classes);
void voco_voxel_tally_free(struct voco_voxel_tally *t);         /* accepts {0} */
void voco_voxel_tally_take(struct voco_voxel_tally *t, const struct voco_linear *m,
                           const float *x, const uint16_t *label, int n);

/* dice[classes] over the voxels of n cases that count so often (NULL: once), NaN for class 0
 * and for classes that the truth does not have; the result is their mean. */
double voco_voxel_dice(const struct voco_voxel_tally *t, const double *weight, int n,
                       int classes, double *dice);

#endif
