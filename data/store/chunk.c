/* Chunks: element types, boxes, and byte planes (the shuffle filter). */
#include "data/store/chunk.h"

#include <math.h>
#include <string.h>

#include "data/volume/clip.h"

struct voco_chunk_grid
voco_chunk_grid(const int64_t dim[3], int chunk)
{
    struct voco_chunk_grid g;

    for (int a = 0; a < 3; a++) {
        g.dim[a] = dim[a];
        g.edge[a] = dim[a] < chunk ? dim[a] : chunk;
        g.n[a] = (dim[a] + g.edge[a] - 1) / g.edge[a];
    }
    return g;
}

int64_t
voco_chunk_count(const struct voco_chunk_grid *g)
{
    return g->n[0] * g->n[1] * g->n[2];
}

int64_t
voco_chunk_voxels(const struct voco_chunk_grid *g)
{
    return g->edge[0] * g->edge[1] * g->edge[2];
}

void
voco_chunk_at(const struct voco_chunk_grid *g, int64_t i, int64_t at[3])
{
    at[2] = i % g->n[2];
    at[1] = i / g->n[2] % g->n[1];
    at[0] = i / g->n[2] / g->n[1];
}

size_t
voco_store_element_bytes(enum voco_store_type type)
{
    return type == VOCO_STORE_F32 ? 4 : type == VOCO_STORE_LABEL8 ? 1 : 2;
}

const char *
voco_store_type_name(enum voco_store_type type)
{
    static const char *const NAME[] = {
        [VOCO_STORE_U16] = "u16", [VOCO_STORE_F32] = "f32", [VOCO_STORE_I16] = "i16",
        [VOCO_STORE_LABEL8] = "label8", [VOCO_STORE_LABEL16] = "label16"
    };

    return NAME[type];
}

/* ---- voxels to elements ---- */

static void
put16(uint8_t *out, uint16_t e)
{
    out[0] = (uint8_t)e;
    out[1] = (uint8_t)(e >> 8);
}

static int
encode_u16(const float *restrict voxel, int n, uint8_t *restrict out)
{
    int clipped = 0;

#pragma omp simd reduction(+:clipped)
    for (int i = 0; i < n; i++) {
        const int32_t bits = voco_bits_of(voxel[i]), inside = voco_bits_clip(bits);
        const int e = (int)(voco_float_of(inside) * 65535.0f + 0.5f);

        clipped += ((bits ^ inside) & INT32_MAX) != 0;      /* -0 is 0 */
        out[2 * i] = (uint8_t)e;
        out[2 * i + 1] = (uint8_t)(e >> 8);
    }
    return clipped;
}

static int
encode_i16(const float *voxel, int n, uint8_t *out)
{
    int clipped = 0;

    for (int i = 0; i < n; i++) {
        const float r = rintf(voxel[i]);
        const float v = r >= -32768 ? r <= 32767 ? r : 32767 : -32768;

        clipped += !(r >= -32768 && r <= 32767);
        put16(out + 2 * i, (uint16_t)(int16_t)v);
    }
    return clipped;
}

static int
encode_f32(const float *voxel, int n, uint8_t *out)
{
    for (int i = 0; i < n; i++) {
        uint32_t e;

        memcpy(&e, voxel + i, sizeof e);
        put16(out + 4 * i, (uint16_t)e);
        put16(out + 4 * i + 2, (uint16_t)(e >> 16));
    }
    return 0;
}

static int
encode_label(const float *voxel, int n, int bytes, uint8_t *out)
{
    for (int i = 0; i < n; i++)
        for (int b = 0; b < bytes; b++)
            out[i * bytes + b] = (uint8_t)((unsigned)voxel[i] >> 8 * b);
    return 0;
}

static int
encode_some(enum voco_store_type type, const float *voxel, int n, uint8_t *out)
{
    switch (type) {
    case VOCO_STORE_U16: return encode_u16(voxel, n, out);
    case VOCO_STORE_I16: return encode_i16(voxel, n, out);
    case VOCO_STORE_F32: return encode_f32(voxel, n, out);
    case VOCO_STORE_LABEL8: return encode_label(voxel, n, 1, out);
    case VOCO_STORE_LABEL16: return encode_label(voxel, n, 2, out);
    }
    return 0;
}

int64_t
voco_store_elements(enum voco_store_type type, const float *voxel, int64_t n,
                    uint8_t *out)
{
    const size_t bytes = voco_store_element_bytes(type);
    int64_t clipped = 0;

    for (int part; n > 0; n -= part, voxel += part, out += (size_t)part * bytes) {
        part = n < 1 << 20 ? (int)n : 1 << 20;
        clipped += encode_some(type, voxel, part, out);
    }
    return clipped;
}

/* ---- boxes and planes ---- */

/* The common part of chunk i and a box, in voxels of the volume. */
struct overlap {
    int64_t from[3], to[3];     /* half open; empty if from >= to */
    int64_t origin[3];          /* of the chunk */
};

static struct overlap
overlap(const struct voco_chunk_grid *g, int64_t i, const struct voco_chunk_box *box)
{
    struct overlap o;
    int64_t at[3];

    voco_chunk_at(g, i, at);
    for (int a = 0; a < 3; a++) {
        const int64_t end = box->start[a] + box->size[a];

        o.origin[a] = at[a] * g->edge[a];
        o.from[a] = o.origin[a] > box->start[a] ? o.origin[a] : box->start[a];
        o.to[a] = o.origin[a] + g->edge[a];
        if (o.to[a] > end)
            o.to[a] = end;
    }
    return o;
}

/* Where row (x,y) of an overlap begins in the chunk and in the box. */
static int64_t
in_chunk(const struct voco_chunk_grid *g, const struct overlap *o, int64_t x, int64_t y)
{
    return ((x - o->origin[0]) * g->edge[1] + y - o->origin[1]) * g->edge[2]
        + o->from[2] - o->origin[2];
}

static int64_t
in_box(const struct voco_chunk_box *box, const struct overlap *o, int64_t x, int64_t y)
{
    return ((x - box->start[0]) * box->size[1] + y - box->start[1]) * box->size[2]
        + o->from[2] - box->start[2];
}

static void
split_pairs(const uint8_t *restrict from, int64_t n, uint8_t *restrict low,
            uint8_t *restrict high)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        low[i] = from[2 * i];
        high[i] = from[2 * i + 1];
    }
}

size_t
voco_chunk_encode(struct voco_deflater *d, const struct voco_chunk_grid *g,
                  size_t element_bytes, const uint8_t *slab, int64_t i,
                  uint8_t *planes, uint8_t *out)
{
    const struct voco_chunk_box all = {{0, 0, 0}, {g->dim[0], g->dim[1], g->dim[2]}};
    const size_t plane = (size_t)voco_chunk_voxels(g);
    const struct overlap o = overlap(g, i, &all);
    const int64_t n = o.to[2] - o.from[2];

    if (o.to[0] - o.from[0] < g->edge[0] || o.to[1] - o.from[1] < g->edge[1]
        || n < g->edge[2])
        memset(planes, 0, plane * element_bytes);
    for (int64_t x = o.from[0]; x < o.to[0]; x++)
        for (int64_t y = o.from[1]; y < o.to[1]; y++) {
            const int64_t first = in_box(&all, &o, x - o.from[0], y);
            const uint8_t *from = slab + (size_t)first * element_bytes;
            uint8_t *to = planes + in_chunk(g, &o, x, y);

            if (element_bytes == 2)
                split_pairs(from, n, to, to + plane);
            else
                for (size_t b = 0; b < element_bytes; b++)
                    for (int64_t z = 0; z < n; z++)
                        to[b * plane + (size_t)z] = from[(size_t)z * element_bytes + b];
        }
    return voco_deflate(d, planes, plane, element_bytes, out);
}

/* ---- elements to voxels: the hot loops of the loader ---- */

static void
row_u16(const uint8_t *restrict low, const uint8_t *restrict high, int64_t n,
        float *restrict out)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(low[i] | high[i] << 8) * (1.0f / 65535);
}

static void
row_i16(const uint8_t *restrict low, const uint8_t *restrict high, int64_t n,
        float low_end, float width, float *restrict out)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float e = (float)((low[i] | high[i] << 8) - ((high[i] & 0x80) << 9));
        const float v = (e - low_end) / width;

        out[i] = v > 0 ? v < 1 ? v : 1 : 0;
    }
}

static void
row_f32(const uint8_t *planes, size_t plane, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t e = planes[i] | (uint32_t)planes[plane + (size_t)i] << 8
            | (uint32_t)planes[2 * plane + (size_t)i] << 16
            | (uint32_t)planes[3 * plane + (size_t)i] << 24;

        memcpy(out + i, &e, sizeof e);
    }
}

void
voco_chunk_place(const struct voco_chunk_grid *g, int64_t i, const uint8_t *planes,
                 const struct voco_chunk_decode *how, const struct voco_chunk_box *box,
                 float *out)
{
    const size_t plane = (size_t)voco_chunk_voxels(g);
    const struct overlap o = overlap(g, i, box);
    const int64_t n = o.to[2] - o.from[2];

    for (int64_t x = o.from[0]; x < o.to[0]; x++)
        for (int64_t y = o.from[1]; y < o.to[1]; y++) {
            const uint8_t *from = planes + in_chunk(g, &o, x, y);
            float *to = out + in_box(box, &o, x, y);

            if (how->type == VOCO_STORE_U16)
                row_u16(from, from + plane, n, to);
            else if (how->type == VOCO_STORE_I16)
                row_i16(from, from + plane, n, how->low, how->width, to);
            else
                row_f32(from, plane, n, to);
        }
}

void
voco_chunk_place_labels(const struct voco_chunk_grid *g, int64_t i, const uint8_t *planes,
                        size_t element_bytes, const struct voco_chunk_box *box,
                        uint16_t *out)
{
    const size_t plane = element_bytes > 1 ? (size_t)voco_chunk_voxels(g) : 0;
    const unsigned high = element_bytes > 1 ? 0xff : 0;
    const struct overlap o = overlap(g, i, box);
    const int64_t n = o.to[2] - o.from[2];

    for (int64_t x = o.from[0]; x < o.to[0]; x++)
        for (int64_t y = o.from[1]; y < o.to[1]; y++) {
            const uint8_t *from = planes + in_chunk(g, &o, x, y);
            uint16_t *to = out + in_box(box, &o, x, y);

            for (int64_t z = 0; z < n; z++)
                to[z] = (uint16_t)(from[z] | (from[plane + (size_t)z] & high) << 8);
        }
}

void
voco_chunk_place_elements(const struct voco_chunk_grid *g, int64_t i,
                          const uint8_t *planes, size_t element_bytes,
                          const struct voco_chunk_box *box, uint8_t *out)
{
    const size_t plane = (size_t)voco_chunk_voxels(g);
    const struct overlap o = overlap(g, i, box);
    const int64_t n = o.to[2] - o.from[2];

    for (int64_t x = o.from[0]; x < o.to[0]; x++)
        for (int64_t y = o.from[1]; y < o.to[1]; y++) {
            const uint8_t *from = planes + in_chunk(g, &o, x, y);
            uint8_t *to = out + (size_t)in_box(box, &o, x, y) * element_bytes;

            for (size_t b = 0; b < element_bytes; b++)
                for (int64_t z = 0; z < n; z++)
                    to[(size_t)z * element_bytes + b] = from[b * plane + (size_t)z];
        }
}
