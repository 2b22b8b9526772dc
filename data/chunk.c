/* Chunks: element types, byte planes (the shuffle filter) and deflate, by libdeflate if
 * it was found, else by zlib; both write and read the same zlib streams. */
#include "config.h"

#include "data/chunk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

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
    return type == VOCO_STORE_F32 ? 4 : 2;
}

const char *
voco_store_type_name(enum voco_store_type type)
{
    return type == VOCO_STORE_U16 ? "u16" : type == VOCO_STORE_F32 ? "f32" : "i16";
}

/* ---- voxels to elements ---- */

static void
put16(uint8_t *out, uint16_t e)
{
    out[0] = (uint8_t)e;
    out[1] = (uint8_t)(e >> 8);
}

static int64_t
encode_u16(const float *voxel, int64_t n, uint8_t *out)
{
    int64_t clipped = 0;

    for (int64_t i = 0; i < n; i++) {
        const float v = voxel[i] >= 0 ? voxel[i] <= 1 ? voxel[i] : 1 : 0;

        clipped += !(voxel[i] >= 0 && voxel[i] <= 1);
        put16(out + 2 * i, (uint16_t)(v * 65535.0f + 0.5f));
    }
    return clipped;
}

static int64_t
encode_i16(const float *voxel, int64_t n, uint8_t *out)
{
    int64_t clipped = 0;

    for (int64_t i = 0; i < n; i++) {
        const float r = rintf(voxel[i]);
        const float v = r >= -32768 ? r <= 32767 ? r : 32767 : -32768;

        clipped += !(r >= -32768 && r <= 32767);
        put16(out + 2 * i, (uint16_t)(int16_t)v);
    }
    return clipped;
}

static int64_t
encode_f32(const float *voxel, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t e;

        memcpy(&e, voxel + i, sizeof e);
        put16(out + 4 * i, (uint16_t)e);
        put16(out + 4 * i + 2, (uint16_t)(e >> 16));
    }
    return 0;
}

int64_t
voco_store_elements(enum voco_store_type type, const float *voxel, int64_t n,
                     uint8_t *out)
{
    switch (type) {
    case VOCO_STORE_U16: return encode_u16(voxel, n, out);
    case VOCO_STORE_I16: return encode_i16(voxel, n, out);
    case VOCO_STORE_F32: return encode_f32(voxel, n, out);
    }
    return 0;
}

/* ---- deflate ---- */

const char *
voco_inflate_name(void)
{
#ifdef HAVE_LIBDEFLATE
    return "libdeflate " LIBDEFLATE_VERSION_STRING;
#else
    return zlibVersion();
#endif
}

#ifdef HAVE_LIBDEFLATE

struct voco_deflater {
    struct libdeflate_compressor *c;
};

struct voco_inflater {
    struct libdeflate_decompressor *d;
};

static enum voco_err
deflater_start(struct voco_deflater *d, int level)
{
    d->c = libdeflate_alloc_compressor(level);
    return d->c ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory for a compressor");
}

static void
deflater_end(struct voco_deflater *d)
{
    libdeflate_free_compressor(d->c);
}

/* A whole stream of deflate blocks; 0 if it needs more than room. */
static size_t
deflate_blocks(struct voco_deflater *d, const uint8_t *in, size_t n, uint8_t *out,
               size_t room)
{
    return libdeflate_deflate_compress(d->c, in, n, out, room);
}

static uint32_t
adler(const uint8_t *in, size_t n)
{
    return libdeflate_adler32(1, in, n);
}

static enum voco_err
inflater_start(struct voco_inflater *f)
{
    f->d = libdeflate_alloc_decompressor();
    return f->d ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory for a decompressor");
}

static void
inflater_end(struct voco_inflater *f)
{
    libdeflate_free_decompressor(f->d);
}

enum voco_err
voco_inflate(struct voco_inflater *f, const void *in, size_t n_in, uint8_t *out,
             size_t n_raw)
{
    size_t used = 0;

    if (libdeflate_zlib_decompress_ex(f->d, in, n_in, out, n_raw, &used, NULL)
            != LIBDEFLATE_SUCCESS || used != n_in)
        return voco_fail(VOCO_EFORMAT, "not a zlib stream of %zu bytes", n_raw);
    return VOCO_OK;
}

#else

struct voco_deflater {
    z_stream z;
};

struct voco_inflater {
    z_stream z;
};

static enum voco_err
deflater_start(struct voco_deflater *d, int level)
{
    if (deflateInit2(&d->z, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return voco_fail(VOCO_EMEMORY, "no memory for a compressor");
    return VOCO_OK;
}

static void
deflater_end(struct voco_deflater *d)
{
    deflateEnd(&d->z);
}

static size_t
deflate_blocks(struct voco_deflater *d, const uint8_t *in, size_t n, uint8_t *out,
               size_t room)
{
    deflateReset(&d->z);
    d->z.next_in = (Bytef *)in;
    d->z.avail_in = (uInt)n;
    d->z.next_out = out;
    d->z.avail_out = (uInt)room;
    return deflate(&d->z, Z_FINISH) == Z_STREAM_END ? room - d->z.avail_out : 0;
}

static uint32_t
adler(const uint8_t *in, size_t n)
{
    return (uint32_t)adler32(1, in, (uInt)n);
}

static enum voco_err
inflater_start(struct voco_inflater *f)
{
    if (inflateInit(&f->z) != Z_OK)
        return voco_fail(VOCO_EMEMORY, "no memory for a decompressor");
    return VOCO_OK;
}

static void
inflater_end(struct voco_inflater *f)
{
    inflateEnd(&f->z);
}

enum voco_err
voco_inflate(struct voco_inflater *f, const void *in, size_t n_in, uint8_t *out,
             size_t n_raw)
{
    inflateReset(&f->z);
    f->z.next_in = (Bytef *)in;
    f->z.avail_in = (uInt)n_in;
    f->z.next_out = out;
    f->z.avail_out = (uInt)n_raw;
    if (inflate(&f->z, Z_FINISH) != Z_STREAM_END || f->z.avail_in || f->z.avail_out)
        return voco_fail(VOCO_EFORMAT, "not a zlib stream of %zu bytes", n_raw);
    return VOCO_OK;
}

#endif

/* Stored blocks of at least 10000 bytes cost 5 bytes each, the stream 6, both libraries
 * a little for alignment: more than either library's own bound. */
size_t
voco_deflate_bound(size_t n_raw)
{
    return n_raw + n_raw / 1000 + 128;
}

enum voco_err
voco_deflater_new(int level, struct voco_deflater **ret)
{
    struct voco_deflater *d = calloc(1, sizeof *d);

    *ret = NULL;
    if (!d)
        return voco_fail(VOCO_EMEMORY, "no memory for a compressor");
    if (deflater_start(d, level)) {
        free(d);
        return VOCO_EMEMORY;
    }
    *ret = d;
    return VOCO_OK;
}

void
voco_deflater_free(struct voco_deflater *d)
{
    if (d)
        deflater_end(d);
    free(d);
}

enum voco_err
voco_inflater_new(struct voco_inflater **ret)
{
    struct voco_inflater *f = calloc(1, sizeof *f);

    *ret = NULL;
    if (!f)
        return voco_fail(VOCO_EMEMORY, "no memory for a decompressor");
    if (inflater_start(f)) {
        free(f);
        return VOCO_EMEMORY;
    }
    *ret = f;
    return VOCO_OK;
}

void
voco_inflater_free(struct voco_inflater *f)
{
    if (f)
        inflater_end(f);
    free(f);
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

/* Bits of information per byte, taken one by one: what Huffman codes can reach. */
static double
entropy_bits(const uint8_t *p, size_t n)
{
    size_t count[256] = {0};
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        count[p[i]]++;
    for (int v = 0; v < 256; v++)
        if (count[v])
            sum -= (double)count[v] * log2((double)count[v] / (double)n);
    return sum / (double)n;
}

/* Stored deflate blocks that are not the last: n bytes as they are. */
static uint8_t *
put_stored(const uint8_t *in, size_t n, uint8_t *out)
{
    while (n > 0) {
        const uint16_t size = (uint16_t)(n < 65535 ? n : 65535);

        *out++ = 0;
        put16(out, size);
        put16(out + 2, (uint16_t)~size);
        memcpy(out + 4, in, size);
        out += 4 + size;
        in += size;
        n -= size;
    }
    return out;
}

/*
 * A zlib stream.  The low bytes of resampled intensities are noise, which Huffman codes
 * make a few per cent smaller and several times slower to decode: leading planes in
 * which less than an eighth could be saved are stored as they are.
 */
static size_t
zlib_stream(struct voco_deflater *d, const uint8_t *planes, size_t plane, size_t n_planes,
            uint8_t *out)
{
    const size_t n = plane * n_planes;
    const uint32_t check = adler(planes, n);
    size_t stored = 0;
    uint8_t *to = out;

    while (stored + plane < n && entropy_bits(planes + stored, plane) > 7)
        stored += plane;
    *to++ = 0x78;                       /* deflate with a window of 32 KiB */
    *to++ = 0x9C;                       /* makes the two a multiple of 31 */
    to = put_stored(planes, stored, to);
    const size_t used = deflate_blocks(d, planes + stored, n - stored, to,
                                       voco_deflate_bound(n) - (size_t)(to - out) - 4);
    if (used == 0)
        return 0;
    to += used;
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(check >> shift);
    return (size_t)(to - out);
}

size_t
voco_chunk_encode(struct voco_deflater *d, const struct voco_chunk_grid *g,
                  size_t element_bytes, const uint8_t *elements, int64_t i,
                  uint8_t *planes, uint8_t *out)
{
    const struct voco_chunk_box all = {{0, 0, 0}, {g->dim[0], g->dim[1], g->dim[2]}};
    const size_t plane = (size_t)voco_chunk_voxels(g);
    const struct overlap o = overlap(g, i, &all);
    const int64_t n = o.to[2] - o.from[2];

    memset(planes, 0, plane * element_bytes);
    for (int64_t x = o.from[0]; x < o.to[0]; x++)
        for (int64_t y = o.from[1]; y < o.to[1]; y++) {
            const size_t first = (size_t)in_box(&all, &o, x, y);
            const uint8_t *from = elements + first * element_bytes;
            uint8_t *to = planes + in_chunk(g, &o, x, y);

            for (size_t b = 0; b < element_bytes; b++)
                for (int64_t z = 0; z < n; z++)
                    to[b * plane + (size_t)z] = from[(size_t)z * element_bytes + b];
        }
    return zlib_stream(d, planes, plane, element_bytes, out);
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
