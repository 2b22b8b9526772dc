/*
 * Operations of a primitive, as the direct method counts them: 2 for a multiply-add,
 * padding taps and padding tokens included.  A cleverer method (Winograd) may thus show a
 * rate above the machine's peak.  Pointwise counts are nominal; they matter little.
 */
#ifndef VOCO_DEV_FLOPS_H
#define VOCO_DEV_FLOPS_H

#include "dev/device.h"

/* Forward, data gradient and weight gradient alike; y [.., cout] is the output. */
double voco_flops_conv(const struct voco_conv *conv, const struct voco_tensor *y);

/* x [.., cin], w [cin,cout,2,2,2] */
double voco_flops_deconv(const struct voco_tensor *x, const struct voco_tensor *w);

/* x [m,k], w [n,k]: any of the three products. */
double voco_flops_linear(const struct voco_tensor *x, const struct voco_tensor *w);

/* Products of tokens x tokens x head_dim per window and head: 2 forward, 5 backward
 * (the scores once more, and four gradients). */
double voco_flops_attn(const struct voco_windows *win, const struct voco_tensor *y,
                       int products);

/* n operations for every element. */
double voco_flops_each(const struct voco_tensor *x, int n);

#endif
