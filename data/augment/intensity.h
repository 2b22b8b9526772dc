/*
 * Changes of the intensities of a crop, in place; x has n voxels, at least one.
 */
#ifndef VOCO_DATA_AUGMENT_INTENSITY_H
#define VOCO_DATA_AUGMENT_INTENSITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

/* Times factor. */
void voco_intensity_scale(float *x, int64_t n, double factor);

/* Differences from the mean times factor, clipped to the range that x has. */
void voco_intensity_contrast(float *x, int64_t n, double factor);

/* ((x - min) / (max - min))^gamma between min and max, then scaled to the mean and the
 * standard deviation that x has; inverted: the same of -x.  A constant crop stays. */
void voco_intensity_gamma(float *x, int64_t n, double gamma, bool inverted);

/* The shift of a histogram: point[k], ascending from 0 to 1, is where intensity
 * k / (points - 1) goes; linear between, all relative to the range that x has.  points >= 2.
 * A constant crop stays. */
void voco_intensity_histogram(float *x, int64_t n, const double *point, int points);

/* Plus sd times a standard normal number for each voxel, those of the key. */
void voco_intensity_noise(float *x, int64_t n, double sd, const struct voco_rng_key *key);

#endif
