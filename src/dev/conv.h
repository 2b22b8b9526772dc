/* The shape of a 3-D convolution with symmetric zero padding, axis by axis. */
#ifndef VOCO_DEV_CONV_H
#define VOCO_DEV_CONV_H

#include <stdbool.h>
#include <stdint.h>

struct voco_conv {
    int64_t cin, cout;
    int kernel[3], stride[3], pad[3];
};

/* The same on every axis, as an initialiser. */
#define VOCO_CONV_CUBE(cin, cout, k, s, p)                                               \
    { (cin), (cout), { (k), (k), (k) }, { (s), (s), (s) }, { (p), (p), (p) } }

static inline bool
voco_conv_is_cube(const struct voco_conv *c, int kernel, int stride, int pad)
{
    for (int i = 0; i < 3; i++)
        if (c->kernel[i] != kernel || c->stride[i] != stride || c->pad[i] != pad)
            return false;
    return true;
}

/* Weights of one pair of channels. */
static inline int64_t
voco_kernel_taps(const struct voco_conv *c)
{
    return (int64_t)c->kernel[0] * c->kernel[1] * c->kernel[2];
}

/* Size of the output on an axis. */
static inline int64_t
voco_conv_out(const struct voco_conv *c, int axis, int64_t in)
{
    return (in + 2 * c->pad[axis] - c->kernel[axis]) / c->stride[axis] + 1;
}

#endif
