/*
 * Landmarks of a thumbnail: places that stand out in any window, each with a description
 * of its surroundings that does not depend on the directions of the axes.
 *
 * A landmark is an extremum of a difference of Gaussians.  Around it, cosine waves with
 * up to 5 half periods in all are fitted to 9^3 voxels under a Gaussian weight.  Turning
 * the volume by one of the 48 turns only exchanges these coefficients and their signs, so
 * they are brought to one form: the axis with the most detail first, and the three
 * coefficients of a single half period positive.
 */
#ifndef VOCO_LEAK_FEATURE_H
#define VOCO_LEAK_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    VOCO_LANDMARKS = 64,        /* of a thumbnail that is looked up, at most */
    VOCO_LANDMARKS_MANY = 160,  /* and of one among which it is looked up: it may be the
                                 * whole of which the other is a small part */
    VOCO_FEATURE = 56           /* numbers of one: 55 coefficients and a zero */
};

struct voco_feature {
    float at[3];                /* in voxels of the thumbnail; centres are whole numbers */
    uint8_t landmark, turn;     /* the turn brings its surroundings to the common form */
};

/*
 * Features of a grid of local contrast.  every: for a thumbnail that is looked up; where it
 * is close which form is the common one, all that it may be, so that of two noisy copies
 * one form agrees.  Else more landmarks, each in the likeliest form.  value[i * VOCO_FEATURE] has length 1.  Free *ret and *ret_value.
 */
enum voco_err voco_features(const float *x, const int64_t dim[3], bool every,
                            struct voco_feature **ret, float **ret_value, int *ret_n);

#endif
