/* Where blocks, base crops and random crops lie, and the labels that follow from it. */
#include "objective/voco/block.h"

#include "base/rng.h"

void
voco_block_size(int roi, int64_t size[3])
{
    size[0] = size[1] = (int64_t)VOCO_GRID * roi;
    size[2] = roi;
}

void
voco_block_start(uint64_t seed, int64_t step, int sample, const int64_t dim[3], int roi,
                 int64_t start[3])
{
    const struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                                     .sample = (uint32_t)sample,
                                     .purpose = VOCO_RNG_SLAB};
    int64_t size[3];

    voco_block_size(roi, size);
    for (uint32_t a = 0; a < 3; a++)
        start[a] = voco_rng_below(&key, a, (uint32_t)(dim[a] - size[a] + 1));
}

void
voco_crop_center(uint64_t seed, int64_t step, int sample, int crop, int roi,
                 int center[2])
{
    const struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                                     .sample = (uint32_t)sample, .crop = (uint16_t)crop,
                                     .purpose = VOCO_RNG_CENTER};
    const uint32_t starts = (uint32_t)((VOCO_GRID - 1) * roi);

    for (uint32_t a = 0; a < 2; a++)
        center[a] = roi / 2 + (int)voco_rng_below(&key, a, starts);
}

/* Length that [start, start+roi) shares with cell number i of the grid. */
static int
shared(int start, int i, int roi)
{
    const int low = start > i * roi ? start : i * roi;
    const int high = start < i * roi ? start + roi : (i + 1) * roi;

    return high > low ? high - low : 0;
}

void
voco_crop_labels(const int center[2], int roi, float label[VOCO_BASES])
{
    for (int i = 0; i < VOCO_GRID; i++)
        for (int j = 0; j < VOCO_GRID; j++) {
            const int dx = shared(center[0] - roi / 2, i, roi);
            const int dy = shared(center[1] - roi / 2, j, roi);

            label[VOCO_GRID * i + j] = (float)(dx * dy) / (float)(roi * roi);
        }
}
