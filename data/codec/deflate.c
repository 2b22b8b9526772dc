/* zlib streams by libdeflate if it was found, else by zlib: both write and read the same
 * format. */
#include "config.h"

#include "data/codec/deflate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/codec/runs.h"

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

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
    struct voco_runs *runs;     /* NULL: the library */
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

bool
voco_inflate_file(struct voco_inflater *f, const uint8_t *in, size_t n_in, uint8_t *out,
                  size_t n_raw)
{
    enum libdeflate_result result = LIBDEFLATE_SUCCESS;
    size_t used = 0, got = 0;

    if (n_in < 2 || in[0] != 0x1f)
        return libdeflate_zlib_decompress_ex(f->d, in, n_in, out, n_raw, &used, NULL)
            == LIBDEFLATE_SUCCESS && used == n_in;
    while (n_in > 0 && *in == 0x1f && result == LIBDEFLATE_SUCCESS) {
        result = libdeflate_gzip_decompress_ex(f->d, in, n_in, out, n_raw, &used, &got);
        if (result == LIBDEFLATE_SUCCESS) {
            in += used;
            n_in -= used;
            out += got;
            n_raw -= got;
        }
    }
    while (n_in > 0 && *in == 0) {
        in++;
        n_in--;
    }
    return n_in == 0 && n_raw == 0;
}

#else

struct voco_deflater {
    struct voco_runs *runs;     /* NULL: the library */
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

bool
voco_inflate_file(struct voco_inflater *f, const uint8_t *in, size_t n_in, uint8_t *out,
                  size_t n_raw)
{
    (void)f, (void)in, (void)n_in, (void)out, (void)n_raw;
    return false;                       /* in pieces zlib is as fast */
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
    enum voco_err err;

    *ret = NULL;
    if (!d)
        return voco_fail(VOCO_EMEMORY, "no memory for a compressor");
    if (level == VOCO_DEFLATE_RUNS) {
        d->runs = malloc(sizeof *d->runs);
        err = d->runs ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory for a compressor");
    } else {
        err = deflater_start(d, level);
    }
    if (err)
        free(d);
    else
        *ret = d;
    return err;
}

void
voco_deflater_free(struct voco_deflater *d)
{
    if (d && d->runs)
        free(d->runs);
    else if (d)
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

/* Bits of information per byte, taken one by one: the limit of Huffman codes. */
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
        for (int b = 0; b < 4; b++)     /* the size and its complement, low byte first */
            *out++ = (uint8_t)((b < 2 ? size : ~(unsigned)size) >> b % 2 * 8);
        memcpy(out, in, size);
        out += size;
        in += size;
        n -= size;
    }
    return out;
}

/* By the library.  The low bytes of resampled intensities are noise, which Huffman codes
 * make a few per cent smaller and several times slower to decode: leading planes in which
 * less than an eighth could be saved are stored as they are. */
static uint8_t *
put_by_library(struct voco_deflater *d, const uint8_t *planes, size_t plane, size_t n,
               uint8_t *to, size_t room)
{
    size_t stored = 0, used;
    uint8_t *const begin = to;

    while (stored + plane < n && entropy_bits(planes + stored, plane) > 7)
        stored += plane;
    to = put_stored(planes, stored, to);
    room -= (size_t)(to - begin);
    used = deflate_blocks(d, planes + stored, n - stored, to, room);
    return used ? to + used : NULL;
}

/* Blocks do not cross planes, which differ. */
static uint8_t *
put_by_runs(struct voco_runs *r, const uint8_t *planes, size_t plane, size_t n,
            uint8_t *to)
{
    struct voco_bits bits = { .to = to };

    for (size_t at = 0, part; at < n; at += part) {
        const size_t left = plane - at % plane;

        part = left < VOCO_RUNS_BLOCK ? left : VOCO_RUNS_BLOCK;
        voco_runs_block(r, planes + at, (int)part, at + part == n, &bits);
    }
    return bits.to;
}

size_t
voco_deflate(struct voco_deflater *d, const uint8_t *planes, size_t plane,
             size_t n_planes, uint8_t *out)
{
    const size_t n = plane * n_planes;
    const uint32_t check = adler(planes, n);
    uint8_t *to = out;

    *to++ = 0x78;                       /* deflate with a window of 32 KiB */
    *to++ = 0x9C;                       /* makes the two a multiple of 31 */
    to = d->runs ? put_by_runs(d->runs, planes, plane, n, to)
                 : put_by_library(d, planes, plane, n, to, voco_deflate_bound(n) - 6);
    if (!to)
        return 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(check >> shift);
    return (size_t)(to - out);
}
