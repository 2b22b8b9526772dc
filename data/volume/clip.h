/*
 * Comparing and clipping floats through the integers of their bits, which have the order of
 * the values once the sign is handled.  gcc vectorises these; it does not vectorise
 * comparisons of floats, which might trap.
 */
#ifndef VOCO_DATA_VOLUME_CLIP_H
#define VOCO_DATA_VOLUME_CLIP_H

#include <stdint.h>
#include <string.h>

static inline int32_t
voco_bits_of(float x)
{
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float
voco_float_of(int32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* An integer in the order of x among floats that are not NaN, -0 below 0. */
static inline int32_t
voco_order_bits(int32_t bits)
{
    return bits ^ ((bits >> 31) & INT32_MAX);           /* and its own inverse */
}

static inline int32_t
voco_order_of(float x)
{
    return voco_order_bits(voco_bits_of(x));
}

/* -1 above 1 (and for NaN), else 0; of bits without a sign. */
static inline int32_t
voco_bits_above_one(int32_t bits)
{
    return (0x3f800000 - bits) >> 31;
}

/* The bits of x clipped to [0,1] from those of x; of NaN 0. */
static inline int32_t
voco_bits_clip(int32_t bits)
{
    const int32_t positive = bits & ~(bits >> 31), above = voco_bits_above_one(positive);
    const int32_t nan = (0x7f800000 - positive) >> 31;

    return ((positive & ~above) | (0x3f800000 & above)) & ~nan;
}

#endif
