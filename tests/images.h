/* Images of the reference numbers, computed by their formula. */
#ifndef VOCO_TESTS_IMAGES_H
#define VOCO_TESTS_IMAGES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"

/*
 * [n][size], edges multiples of 8: half a number of NAME for each voxel, half one of
 * NAME#block for each block of 8^3, summed in double and rounded once.
 */
static inline float *
test_image(uint64_t seed, const char *name, int n, const int64_t size[3])
{
    const int64_t voxels = size[0] * size[1] * size[2];
    const int64_t grid[3] = { size[0] / 8, size[1] / 8, size[2] / 8 };
    const uint64_t noise = voco_hash_base(seed, name);
    float *x = malloc((size_t)(n * voxels) * sizeof *x);
    char blocks[256];
    uint64_t level;

    VOCO_ASSERT(x);         /* not Check's: a program makes files of them, too */
    snprintf(blocks, sizeof blocks, "%s#block", name);
    level = voco_hash_base(seed, blocks);
    for (int64_t i = 0; i < n * voxels; i++) {
        const int64_t at[3] = { i % voxels / (size[1] * size[2]), i / size[2] % size[1],
                                i % size[2] };
        const int64_t block = ((i / voxels * grid[0] + at[0] / 8) * grid[1] + at[1] / 8)
                              * grid[2] + at[2] / 8;

        x[i] = (float)((voco_hash_unit(noise, (uint64_t)i)
                        + voco_hash_unit(level, (uint64_t)block)) / 2);
    }
    return x;
}

#endif
