/* The augmentation of crops, while they are copied out of their block. */
#include "objective/pretrain/augment.h"

#include "base/rng.h"

struct voco_augment
voco_crop_augment(uint64_t seed, int64_t step, int sample, int crop)
{
    return voco_crop_augment_by(seed, step, sample, crop, 0.5);
}

struct voco_augment
voco_crop_augment_by(uint64_t seed, int64_t step, int sample, int crop, double shift)
{
    struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                               .sample = (uint32_t)sample, .crop = (uint16_t)crop};
    struct voco_augment a = {.scale = 1};

    key.purpose = VOCO_RNG_FLIP;
    for (uint32_t i = 0; i < 3; i++)
        a.flip[i] = voco_rng_unit(&key, i) < 0.2f;
    key.purpose = VOCO_RNG_ROT90;
    if (voco_rng_unit(&key, 0) < 0.2f)
        a.turns = 1 + (int)voco_rng_below(&key, 1, 3);
    key.purpose = VOCO_RNG_SHIFT;
    if (voco_rng_unit(&key, 0) < (float)shift)
        a.shift = -0.1f + 0.2f * voco_rng_unit(&key, 1);
    return a;
}

static void
copy_row(const float *restrict in, int n, float shift, float *restrict out)
{
#pragma omp simd
    for (int z = 0; z < n; z++)
        out[z] = in[z] + shift;
}

static void
copy_row_reversed(const float *restrict in, int n, float shift, float *restrict out)
{
#pragma omp simd
    for (int z = 0; z < n; z++)
        out[z] = in[n - 1 - z] + shift;
}

void
voco_crop_copy(const struct voco_augment *a, const float *block,
                  const int64_t block_dim[3], const int64_t start[3], int roi, float *out)
{
    const int64_t n[2] = {roi, roi};

    for (int x = 0; x < roi; x++)
        for (int y = 0; y < roi; y++, out += roi) {
            int64_t sx, sy;

            voco_augment_source(a, n, x, y, &sx, &sy);
            const float *in = block
                + ((start[0] + sx) * block_dim[1] + start[1] + sy) * block_dim[2]
                + start[2];
            if (a->flip[2])
                copy_row_reversed(in, roi, a->shift, out);
            else
                copy_row(in, roi, a->shift, out);
        }
}
