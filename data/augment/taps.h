/*
 * Resizing and smoothing of crops, axis by axis: every element of the result is a weighted
 * sum of a few elements of the line that it lies on.
 */
#ifndef VOCO_DATA_AUGMENT_TAPS_H
#define VOCO_DATA_AUGMENT_TAPS_H

#include <stdint.h>

enum { VOCO_TAPS_LINE = 512, VOCO_TAPS_MAX = 17 };

/* y[i] = sum over k < taps of weight[i][k] * x[index[i][k]],  0 <= i < to */
struct voco_taps {
    int from, to, taps;         /* elements of a line before and after, at most LINE */
    int index[VOCO_TAPS_LINE][VOCO_TAPS_MAX];
    float weight[VOCO_TAPS_LINE][VOCO_TAPS_MAX];
};

/* Resizing of a line, corners not aligned, its ends repeated: as PyTorch's interpolate in
 * modes linear, nearest-exact, and bicubic (cubic convolution, a = -0.75). */
void voco_taps_linear(struct voco_taps *t, int from, int to);
void voco_taps_nearest(struct voco_taps *t, int from, int to);
void voco_taps_cubic(struct voco_taps *t, int from, int to);

/* A Gaussian, cut off at four standard deviations, 0 < sigma <= 2; the line is mirrored at
 * its ends (d c b a | a b c d): as scipy's gaussian_filter. */
void voco_taps_gauss(struct voco_taps *t, int n, double sigma);

/* x [size] along one axis, whose size is t->from, to y, whose size there is t->to. */
void voco_taps_apply(const struct voco_taps *t, const float *x, const int64_t size[3],
                     int axis, float *y);

#endif
