/* Winograd: where the tiles of a volume lie in memory; see cpu_conv_winograd.h. */
#include <string.h>

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
voco_winograd_outputs(const struct voco_winograd_plan *p, float *y, int64_t t, float *other,
                      float **ret)
{
    const int64_t *s = p->size, out = p->out;
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at);

    for (int64_t i = at[0]; i < at[0] + out; i++)
        for (int64_t j = at[1]; j < at[1] + out; j++) {
            float *line = y + ((n * s[0] + i) * s[1] + j) * s[2] * (int64_t)p->k;

            for (int64_t k = at[2]; k < at[2] + out; k++)
                *ret++ = i < s[0] && j < s[1] && k < s[2] ? line + k * (int64_t)p->k
                         : other;
        }
}

int64_t
voco_winograd_strip_line(const struct voco_winograd_plan *p, int64_t tiles, int64_t edge)
{
    return (tiles - 1) * p->out + edge;
}

/* Where a strip of tiles lies along a line: voxels [from,to) of the volume are its voxels
 * from `left` on, of `width` in all. */
struct span {
    int64_t from, to, left, width;
};

static struct span
span_of(const struct voco_winograd_plan *p, int64_t at, int64_t tiles, int64_t edge,
        int64_t before)
{
    const int64_t width = voco_winograd_strip_line(p, tiles, edge), first = at - before;
    const int64_t from = first < 0 ? 0 : first, end = first + width;

    return (struct span){ from, end < p->size[2] ? end : p->size[2], from - first, width };
}

/* Line y of the planes from z on, from voxel s->from on; NULL outside the volume. */
static void
lines_of(const struct voco_winograd_plan *p, const float *x, size_t channels, int64_t n,
         int64_t z, int64_t y, int64_t edge, const struct span *s, const float **ret)
{
    const int64_t *size = p->size;
    const bool inside = y >= 0 && y < size[1];

    for (int64_t i = z; i < z + edge; i++)
        *ret++ = inside && i >= 0 && i < size[0]
                 ? x + (((n * size[0] + i) * size[1] + y) * size[2] + s->from)
                       * (int64_t)channels
                 : NULL;
}

/* Zeros at both ends of a line. */
static void
clear_ends(const struct span *s, size_t channels, float *line)
{
    const size_t used = (size_t)(s->left + s->to - s->from) * channels;

    memset(line, 0, (size_t)s->left * channels * sizeof *line);
    memset(line + used, 0, ((size_t)s->width * channels - used) * sizeof *line);
}

void
voco_winograd_combine(const struct voco_winograd_plan *p, const float *x, size_t channels,
                      const struct voco_winograd_row *row, int64_t t, int64_t tiles,
                      int64_t edge, int64_t before, float *ret)
{
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at);
    const struct span s = span_of(p, at[2], tiles, edge, before);

    for (int64_t y = 0; y < edge; y++, ret += s.width * (int64_t)channels) {
        const float *line[VOCO_WINOGRAD_MAX_EDGE];

        lines_of(p, x, channels, n, at[0] - before, at[1] - before + y, edge, &s, line);
        p->w->combine(row, line, (size_t)(s.to - s.from) * channels,
                      ret + s.left * (int64_t)channels);
        clear_ends(&s, channels, ret);
    }
}

void
voco_winograd_split(const struct voco_winograd_plan *p, const float *x, int64_t t,
                    int64_t tiles, float *ret)
{
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at), edge = p->edge;
    const struct span s = span_of(p, at[2], tiles, edge, 1);
    const int64_t line = s.width * (int64_t)p->c;

    for (int64_t y = 0; y < edge; y++) {
        const float *from[VOCO_WINOGRAD_MAX_EDGE];
        float *to[VOCO_WINOGRAD_MAX_EDGE];

        lines_of(p, x, p->c, n, at[0] - 1, at[1] - 1 + y, edge, &s, from);
        for (int64_t a = 0; a < edge; a++) {
            float *const whole = ret + (a * edge + y) * line;

            clear_ends(&s, p->c, whole);
            to[a] = whole + s.left * (int64_t)p->c;
        }
        p->t->split(from, (size_t)(s.to - s.from) * p->c, to);
    }
}

int64_t
voco_winograd_side_by_side(const struct voco_winograd_plan *p, int64_t t, int64_t most)
{
    const int64_t left = p->tiles[2] - t % p->tiles[2];

    return left < most ? left : most;
}
