/*
 * Intensities: finding the window, mapping it to [0,1], and replacing invalid voxels.
 */
#ifndef VOCO_DATA_TRANSFORM_WINDOW_H
#define VOCO_DATA_TRANSFORM_WINDOW_H

#include <stdint.h>

#include "data/volume/volume.h"

/* NaN and infinite voxels become value. */
void voco_window_replace_nonfinite(struct voco_volume *v, float value);

void voco_window_extrema(const struct voco_volume *v, float *ret_low, float *ret_high);

/* Mean and standard deviation (over n) of the nonzero voxels; returns n. */
int64_t voco_window_moments(const struct voco_volume *v, double *ret_mean, double *ret_sd);

/* The same over n voxels, of which v holds a box; all voxels outside of it are 0. */
void voco_window_box_moments(const struct voco_volume *v, int64_t n, double *ret_mean,
                             double *ret_sd);

/* Two percentiles of the nonzero voxels, linear between order statistics as
 * numpy.percentile.  0 when every voxel is zero.  Exact, no copy of the volume; 1.3 MiB of
 * histograms. */
enum voco_err voco_window_percentiles(const struct voco_volume *v, const double percent[2],
                                      double ret[2]);

/* x <- (x - mean) / (high - mean) for x != 0; high is one standard deviation above. */
void voco_window_normalize(struct voco_volume *v, double mean, double high);

/* x <- scale x + shift */
void voco_window_map(struct voco_volume *v, double scale, double shift);

/* x <- clip((x - low) / (high - low), 0, 1), low < high.  Counts clipped voxels. */
void voco_window_apply(struct voco_volume *v, double low, double high,
                       int64_t *ret_below, int64_t *ret_above);

#endif
