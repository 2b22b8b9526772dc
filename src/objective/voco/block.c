/* Where blocks, base crops and random crops lie, and the labels that follow from it. */
#include "objective/voco/block.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

enum voco_err
voco_tiling_parse(const char *text, int n[3])
{
    char again[48];
    int64_t bases = 1;
    bool right = sscanf(text, "%5dx%5dx%5d", &n[0], &n[1], &n[2]) == 3;

    for (int a = 0; right && a < 3; a++) {
        right = n[a] >= 1;
        bases *= n[a];
    }
    if (right) {
        snprintf(again, sizeof again, "%dx%dx%d", n[0], n[1], n[2]);
        right = strcmp(again, text) == 0;
    }
    if (!right)
        return voco_fail(VOCO_EUSAGE, "--grid '%s': expected base crops along x, y and z, such "
                         "as 3x3x1", text);
    if (bases < 2 || bases > VOCO_BASES_MAX)
        return voco_fail(VOCO_EUSAGE, "--grid %s has %lld base crop%s: expected 2 to %d", text,
                         (long long)bases, bases == 1 ? "" : "s", VOCO_BASES_MAX);
    return VOCO_OK;
}

int
voco_tiling_bases(const struct voco_tiling *g)
{
    return g->n[0] * g->n[1] * g->n[2];
}

void
voco_block_size(const struct voco_tiling *g, int64_t size[3])
{
    for (int a = 0; a < 3; a++)
        size[a] = (int64_t)g->n[a] * g->edge;
}

void
voco_block_start(uint64_t seed, int64_t step, int sample, const int64_t dim[3],
                 const int64_t size[3], int64_t start[3])
{
    const struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                                     .sample = (uint32_t)sample,
                                     .purpose = VOCO_RNG_SLAB};

    for (uint32_t a = 0; a < 3; a++)
        start[a] = voco_rng_below(&key, a, (uint32_t)(dim[a] - size[a] + 1));
}

void
voco_base_start(const struct voco_tiling *g, int k, int start[3])
{
    start[0] = k / g->n[2] / g->n[1] * g->edge;
    start[1] = k / g->n[2] % g->n[1] * g->edge;
    start[2] = k % g->n[2] * g->edge;
}

void
voco_crop_start(const struct voco_tiling *g, uint64_t seed, int64_t step, int sample, int crop,
                int start[3])
{
    const struct voco_rng_key key = {.seed = seed, .step = (uint64_t)step,
                                     .sample = (uint32_t)sample, .crop = (uint16_t)crop,
                                     .purpose = VOCO_RNG_CENTER};

    for (uint32_t a = 0; a < 3; a++) {
        const uint32_t room = (uint32_t)((g->n[a] - 1) * g->edge);

        start[a] = room ? (int)voco_rng_below(&key, a, room + g->last) : 0;
    }
}

/* Length that [start, start+edge) shares with cell number i of the grid. */
static int
shared(int start, int i, int edge)
{
    const int low = start > i * edge ? start : i * edge;
    const int high = start < i * edge ? start + edge : (i + 1) * edge;

    return high > low ? high - low : 0;
}

void
voco_crop_labels(const struct voco_tiling *g, const int start[3], float *label)
{
    const double whole = (double)g->edge * g->edge * g->edge;

    for (int k = 0; k < voco_tiling_bases(g); k++) {
        double part = 1;
        int base[3];

        voco_base_start(g, k, base);
        for (int a = 0; a < 3; a++)
            part *= shared(start[a], base[a] / g->edge, g->edge);
        label[k] = (float)(part / whole);
    }
}
