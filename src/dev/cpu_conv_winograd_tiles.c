/* Winograd: where the tiles of a volume lie in memory; see cpu_conv_winograd.h. */
#include "dev/cpu_conv_winograd.h"

/* Corner of tile t (its first output), and its item. */
static int64_t
tile_corner(const struct voco_winograd_plan *p, int64_t t, int64_t at[3])
{
    for (int i = 2; i >= 0; i--) {
        at[i] = p->out * (t % p->tiles[i]);
        t /= p->tiles[i];
    }
    return t;
}

void
voco_winograd_voxels(const struct voco_winograd_plan *p, float *x, size_t channels,
                     int64_t t, int64_t edge, int64_t before, float *other, float **ret)
{
    const int64_t *s = p->size;
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at);

    for (int64_t z = at[0] - before; z < at[0] - before + edge; z++)
        for (int64_t y = at[1] - before; y < at[1] - before + edge; y++) {
            const bool inside = z >= 0 && z < s[0] && y >= 0 && y < s[1];
            float *line = x + ((n * s[0] + z) * s[1] + y) * s[2] * (int64_t)channels;

            for (int64_t i = at[2] - before; i < at[2] - before + edge; i++)
                *ret++ = inside && i >= 0 && i < s[2] ? line + i * (int64_t)channels : other;
        }
}

/* Ask for the rows of plane z of tile t that the tile before it has not read. */
static void
prefetch_plane(const struct voco_winograd_plan *p, const float *x, size_t channels,
               int64_t t, int64_t edge, int64_t before, int64_t z)
{
    const int64_t *s = p->size;
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at), i = at[2] - before + edge - p->out;
    const int64_t count = s[2] - i < p->out ? s[2] - i : p->out;

    z += at[0] - before;
    if (z < 0 || z >= s[0] || count <= 0)
        return;
    for (int64_t y = at[1] - before; y < at[1] - before + edge; y++) {
        const float *line = x + (((n * s[0] + z) * s[1] + y) * s[2] + i)
                                * (int64_t)channels;

        if (y >= 0 && y < s[1])
            for (size_t c = 0; c < (size_t)count * channels; c += 16)
                __builtin_prefetch(line + c);
    }
}

void
voco_winograd_prefetch(const struct voco_winograd_plan *p, const float *x,
                       size_t channels, int64_t from, int64_t end, int64_t edge,
                       int64_t before, size_t i, size_t n)
{
    const size_t units = (size_t)((end - from < p->rows ? end - from : p->rows) * edge);

    for (size_t j = i * units / n; j < (i + 1) * units / n; j++)
        prefetch_plane(p, x, channels, from + (int64_t)j / edge, edge, before,
                       (int64_t)j % edge);
}
