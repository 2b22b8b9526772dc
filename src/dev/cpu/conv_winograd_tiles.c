/* Winograd: where the tiles of a volume lie in memory; see conv_winograd.h. */
#include <string.h>

#include "dev/cpu/conv_winograd.h"

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

struct voco_winograd_source
voco_winograd_inputs_of(const struct voco_winograd_plan *p, const void *x, bool bf16)
{
    return (struct voco_winograd_source){ x, bf16, p->c, p->edge, 1 };
}

struct voco_winograd_source
voco_winograd_outputs_of(const struct voco_winograd_plan *p, const void *dy, bool bf16)
{
    return (struct voco_winograd_source){ dy, bf16, p->k, p->out, 0 };
}

int64_t
voco_winograd_strip_line(const struct voco_winograd_plan *p,
                         const struct voco_winograd_source *x, int64_t tiles)
{
    return ((tiles - 1) * p->out + x->edge) * (int64_t)x->channels;
}

/* Where a strip of tiles lies along a line: voxels [from,to) of the volume, between zeros
 * of so many elements on its left and on its right. */
struct span {
    int64_t from, to;
    size_t left, right;
};

static struct span
span_of(const struct voco_winograd_plan *p, const struct voco_winograd_source *x, int64_t at,
        int64_t tiles)
{
    const int64_t first = at - x->before, end = first + (tiles - 1) * p->out + x->edge;
    const int64_t from = first < 0 ? 0 : first, to = end < p->size[2] ? end : p->size[2];

    return (struct span){ from, to, (size_t)(from - first) * x->channels,
                          (size_t)(end - to) * x->channels };
}

/* Line y of the planes from z on, from voxel s->from on; NULL outside the volume. */
static void
lines_of(const struct voco_winograd_plan *p, const struct voco_winograd_source *x, int64_t n,
         int64_t z, int64_t y, const struct span *s, const void **ret)
{
    const int64_t *size = p->size, bytes = x->bf16 ? sizeof(uint16_t) : sizeof(float);
    const bool inside = y >= 0 && y < size[1];

    for (int64_t i = z; i < z + x->edge; i++)
        *ret++ = inside && i >= 0 && i < size[0]
                 ? (const char *)x->data + (((n * size[0] + i) * size[1] + y) * size[2]
                                            + s->from) * (int64_t)x->channels * bytes
                 : NULL;
}

static void
clear_ends(const struct span *s, float *line, int64_t length)
{
    memset(line, 0, s->left * sizeof *line);
    memset(line + length - s->right, 0, s->right * sizeof *line);
}

void
voco_winograd_combine(const struct voco_winograd_plan *p,
                      const struct voco_winograd_source *x,
                      const struct voco_winograd_row *row, int64_t t, int64_t tiles,
                      float *ret)
{
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at), length = voco_winograd_strip_line(p, x, tiles);
    const struct span s = span_of(p, x, at[2], tiles);

    for (int64_t y = 0; y < x->edge; y++, ret += length) {
        const void *line[VOCO_WINOGRAD_MAX_EDGE];

        lines_of(p, x, n, at[0] - x->before, at[1] - x->before + y, &s, line);
        p->w->combine(row, line, x->bf16, (size_t)(s.to - s.from) * x->channels,
                      ret + s.left);
        clear_ends(&s, ret, length);
    }
}

void
voco_winograd_split(const struct voco_winograd_plan *p, const struct voco_winograd_source *x,
                    int64_t t, int64_t tiles, float *ret)
{
    int64_t at[3];
    const int64_t n = tile_corner(p, t, at), length = voco_winograd_strip_line(p, x, tiles);
    const struct span s = span_of(p, x, at[2], tiles);

    for (int64_t y = 0; y < x->edge; y++) {
        const void *from[VOCO_WINOGRAD_MAX_EDGE];
        float *to[VOCO_WINOGRAD_MAX_EDGE];

        lines_of(p, x, n, at[0] - x->before, at[1] - x->before + y, &s, from);
        for (int64_t a = 0; a < x->edge; a++) {
            float *const whole = ret + (a * x->edge + y) * length;

            clear_ends(&s, whole, length);
            to[a] = whole + s.left;
        }
        p->t->split(from, x->bf16, (size_t)(s.to - s.from) * x->channels, to);
    }
}

int64_t
voco_winograd_side_by_side(const struct voco_winograd_plan *p, int64_t t, int64_t most)
{
    const int64_t left = p->tiles[2] - t % p->tiles[2];

    return left < most ? left : most;
}
