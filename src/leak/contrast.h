/*
 * Local contrast: an image without its brightness, scale and window.
 */
#ifndef VOCO_LEAK_CONTRAST_H
#define VOCO_LEAK_CONTRAST_H

#include <stdint.h>

#include "base/err.h"

/*
 * x becomes (x - mean) / (sd + 0.02 spread), mean and sd under a Gaussian of this many
 * voxels; 0, and flat[i] = 1, where the sd is below 0.01 of the spread, which goes from
 * percentile 1 to 99 of all.  Values beyond that by more than half of it are clipped
 * before.  VOCO_EFORMAT when x is constant; the sentence names no file.
 */
enum voco_err voco_local_contrast(float *x, const int64_t dim[3], double sigma,
                                  uint8_t *flat);

#endif
