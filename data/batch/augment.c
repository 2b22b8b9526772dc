/* Augmentation while a crop is copied out of its block; directions as numpy's flip and
 * rot90(k, axes=(0, 1)). */
#include "data/batch/augment.h"

#include "base/rng.h"

struct voco_augment
voco_augment_draw(uint64_t seed, int64_t step, int sample, int crop)
{
    struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                               .sample = (uint32_t)sample, .crop = (uint16_t)crop};
    struct voco_augment a = {.turns = 0};

    key.purpose = VOCO_RNG_FLIP;
    for (uint32_t i = 0; i < 3; i++)
        a.flip[i] = voco_rng_unit(&key, i) < 0.2f;
    key.purpose = VOCO_RNG_ROT90;
    if (voco_rng_unit(&key, 0) < 0.2f)
        a.turns = 1 + (int)voco_rng_below(&key, 1, 3);
    key.purpose = VOCO_RNG_SHIFT;
    if (voco_rng_unit(&key, 0) < 0.5f)
        a.shift = -0.1f + 0.2f * voco_rng_unit(&key, 1);
    return a;
}

/* Row (x,y) of the result comes from row (*sx,*sy) of the crop: undo the turn, then the
 * flips.  One turn: out[x][y] = in[y][n-1-x]. */
static void
source_row(const struct voco_augment *a, int n, int x, int y, int *sx, int *sy)
{
    switch (a->turns) {
    case 0: *sx = x;         *sy = y;         break;
    case 1: *sx = y;         *sy = n - 1 - x; break;
    case 2: *sx = n - 1 - x; *sy = n - 1 - y; break;
    default: *sx = n - 1 - y; *sy = x;        break;
    }
    if (a->flip[0])
        *sx = n - 1 - *sx;
    if (a->flip[1])
        *sy = n - 1 - *sy;
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
voco_augment_crop(const struct voco_augment *a, const float *block,
                  const int64_t block_dim[3], const int64_t start[3], int roi, float *out)
{
    for (int x = 0; x < roi; x++)
        for (int y = 0; y < roi; y++, out += roi) {
            int sx, sy;

            source_row(a, roi, x, y, &sx, &sy);
            const float *in = block
                + ((start[0] + sx) * block_dim[1] + start[1] + sy) * block_dim[2]
                + start[2];
            if (a->flip[2])
                copy_row_reversed(in, roi, a->shift, out);
            else
                copy_row(in, roi, a->shift, out);
        }
}
