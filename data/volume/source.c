/* Elements of any type and byte order to floats with z contiguous.
 * Scaling is done in double and rounded once, as nibabel does. */
#include "data/volume/source.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "data/volume/affine.h"

enum {
    SLAB = 16,                  /* z-slices at a time: 16 floats fill a cache line */
    TILE = 64,                  /* a tile of floats is half of a first cache */
    LITTLE = 1 << 20            /* bytes that nobody counts */
};

static const struct {
    const char *name;
    int bytes;
} ELEMENT[] = {
    [VOCO_EL_U8] = {"u8", 1}, [VOCO_EL_I8] = {"i8", 1},
    [VOCO_EL_U16] = {"u16", 2}, [VOCO_EL_I16] = {"i16", 2},
    [VOCO_EL_U32] = {"u32", 4}, [VOCO_EL_I32] = {"i32", 4},
    [VOCO_EL_U64] = {"u64", 8}, [VOCO_EL_I64] = {"i64", 8},
    [VOCO_EL_F32] = {"f32", 4}, [VOCO_EL_F64] = {"f64", 8}
};

const char *
voco_element_name(enum voco_element e)
{
    return ELEMENT[e].name;
}

int
voco_element_bytes(enum voco_element e)
{
    return ELEMENT[e].bytes;
}

void
voco_source_free(struct voco_source *src)
{
    free(src->path);
    *src = (struct voco_source){0};
}

enum voco_err
voco_source_bytes(const char *path, const struct voco_source *src, int64_t *ret_bytes)
{
    const int64_t *dim = src->dim;
    int64_t bytes = 8 * (int64_t)src->n_volumes;        /* of the widest element */

    for (int i = 0; i < 3; i++) {
        if (dim[i] < 1)
            return voco_fail(VOCO_EFORMAT, "%s: size %" PRId64 " along %c, expected at"
                             " least 1", path, dim[i], "xyz"[i]);
        if (dim[i] > INT64_MAX / bytes)
            return voco_fail(VOCO_EFORMAT, "%s: absurd dimensions %" PRId64 " x %" PRId64
                             " x %" PRId64, path, dim[0], dim[1], dim[2]);
        bytes *= dim[i];
    }
    *ret_bytes = bytes / 8 * voco_element_bytes(src->element);
    return VOCO_OK;
}

enum voco_err
voco_affine_check(const char *path, double affine[4][4])
{
    double length[3];

    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 3; i++)
            if (!isfinite(affine[i][j]))
                return voco_fail(VOCO_EFORMAT, "%s: affine row %d, column %d is %g,"
                                 " expected a finite number", path, i, j, affine[i][j]);
    voco_affine_spacing((const double (*)[4])affine, length);
    for (int j = 0; j < 3; j++)
        if (!(length[j] > 1e-9 && length[j] < 1e9))
            return voco_fail(VOCO_EFORMAT, "%s: spacing along %c is %g mm, expected more"
                             " than 0", path, "xyz"[j], length[j]);
    const double det = voco_affine_det((const double (*)[4])affine);
    if (!(fabs(det) > 1e-4 * length[0] * length[1] * length[2]))
        return voco_fail(VOCO_EFORMAT, "%s: singular affine: the three axes lie in a"
                         " plane (determinant %g, spacing %g x %g x %g mm)", path, det,
                         length[0], length[1], length[2]);
    return VOCO_OK;
}

static bool
host_is_big_endian(void)
{
    const uint16_t one = 1;

    return *(const unsigned char *)&one == 0;
}

static void
swap_bytes(unsigned char *p, size_t n, int width)
{
    for (; n > 0; n--, p += width)
        for (int i = 0; i < width / 2; i++) {
            const unsigned char t = p[i];

            p[i] = p[width - 1 - i];
            p[width - 1 - i] = t;
        }
}

static void
to_host(const struct voco_source *src, void *raw, int64_t n)
{
    const int width = voco_element_bytes(src->element);

    if (src->big_endian != host_is_big_endian() && width > 1)
        swap_bytes(raw, (size_t)n, width);
}

static int64_t
min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Without scaling an integer is rounded to float once, straight: 64-bit integers
 * through double would be rounded twice. */
#define CONVERT(TYPE)                                                            \
    do {                                                                         \
        const TYPE *restrict from = raw;                                         \
        if (slope == 1 && inter == 0)                                            \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                  \
                out[i] = (float)from[i];                                         \
        else                                                                     \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                  \
                out[i] = (float)((double)from[i] * slope + inter);               \
    } while (0)

static void
convert(enum voco_element element, double slope, double inter, const void *raw, int64_t n,
        float *restrict out)
{
    switch (element) {
    case VOCO_EL_U8: CONVERT(uint8_t); break;
    case VOCO_EL_I8: CONVERT(int8_t); break;
    case VOCO_EL_U16: CONVERT(uint16_t); break;
    case VOCO_EL_I16: CONVERT(int16_t); break;
    case VOCO_EL_U32: CONVERT(uint32_t); break;
    case VOCO_EL_I32: CONVERT(int32_t); break;
    case VOCO_EL_U64: CONVERT(uint64_t); break;
    case VOCO_EL_I64: CONVERT(int64_t); break;
    case VOCO_EL_F32: CONVERT(float); break;
    case VOCO_EL_F64: CONVERT(double); break;
    }
}

/* Slices z0 .. z0+nz, which begin at raw with x contiguous, to their places in a volume
 * with z contiguous.  In tiles, so that neither side strides through memory for long. */
static void
place(const struct voco_source *src, const char *raw, int64_t z0, int64_t nz, float *out)
{
    const int64_t *dim = src->dim;
    const int width = voco_element_bytes(src->element);
    float tile[TILE * TILE];

    for (int64_t y = 0; y < dim[1]; y++)
    for (int64_t x0 = 0; x0 < dim[0]; x0 += TILE)
    for (int64_t k0 = 0; k0 < nz; k0 += TILE) {
        const int64_t nx = min64(dim[0] - x0, TILE), nk = min64(nz - k0, TILE);
        const char *from = raw + ((k0 * dim[1] + y) * dim[0] + x0) * width;
        float *to = out + (x0 * dim[1] + y) * dim[2] + z0 + k0;

        for (int64_t k = 0; k < nk; k++, from += dim[1] * dim[0] * width)
            convert(src->element, src->slope, src->inter, from, nx, tile + k * TILE);
        for (int64_t x = 0; x < nx; x++, to += dim[1] * dim[2])
            for (int64_t k = 0; k < nk; k++)
                to[k] = tile[k * TILE + x];
    }
}

static enum voco_err
read_slabs(const struct voco_source *src, struct voco_stream *s, float *out)
{
    const int64_t *dim = src->dim, plane = dim[0] * dim[1];
    const int width = voco_element_bytes(src->element);
    const int64_t most = min64(plane < (1 << 22) ? SLAB : 1, dim[2]);
    void *raw = malloc((size_t)(most * plane * width));
    enum voco_err err = VOCO_OK;

    if (raw == NULL)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for %" PRId64 " slices of %" PRId64
                        " x %" PRId64, src->path, most, dim[0], dim[1]);
    for (int64_t z = 0; err == VOCO_OK && z < dim[2]; z += most) {
        const int64_t nz = min64(dim[2] - z, most);

        err = voco_stream_read(s, raw, (size_t)(nz * plane * width));
        if (err != VOCO_OK)
            break;
        to_host(src, raw, nz * plane);
        place(src, raw, z, nz, out);
    }
    free(raw);
    return err;
}

/* Compressed data in one piece, if inflated and not they are no more than the floats, as
 * much again, and a little.  False: not so, and nothing is lost. */
static bool
read_at_once(const struct voco_source *src, struct voco_stream *s, float *const *out)
{
    const int64_t *dim = src->dim, plane = dim[0] * dim[1];
    const int64_t bytes = dim[2] * plane * voco_element_bytes(src->element);
    const int64_t all = src->skip + src->n_volumes * bytes;
    const int64_t shift = (8 - src->skip % 8) % 8;      /* so that elements are aligned */
    char *raw = NULL;
    bool done = false;

    if (s->z && all + s->file_bytes <= 8 * src->n_volumes * dim[2] * plane + LITTLE)
        raw = voco_pages_alloc((size_t)(shift + all));
    if (raw && (done = voco_stream_read_all(s, raw + shift, (size_t)all)))
        for (int v = 0; v < src->n_volumes; v++) {
            char *begin = raw + shift + src->skip + v * bytes;

            to_host(src, begin, dim[2] * plane);
            place(src, begin, 0, dim[2], out[v]);
        }
    free(raw);
    return done;
}

static enum voco_err
open_at_end(const struct voco_source *src, int64_t bytes, struct voco_stream *s)
{
    enum voco_err err = voco_stream_open(s, src->path, src->first, VOCO_PLAIN);

    if (err == VOCO_OK)
        err = voco_stream_expect(s, bytes);
    if (err != VOCO_OK)
        return err;
    if (fseeko(s->in, (off_t)(s->file_bytes - bytes), SEEK_CUR) != 0)
        return voco_fail_errno(VOCO_EIO, "%s", src->path);
    s->file_bytes = bytes;
    return VOCO_OK;
}

enum voco_err
voco_source_open(const struct voco_source *src, struct voco_stream *ret)
{
    int64_t bytes;
    enum voco_err err = voco_source_bytes(src->path, src, &bytes);

    *ret = (struct voco_stream){0};
    if (err != VOCO_OK)
        return err;
    if (src->offset == VOCO_SOURCE_AT_END)
        return open_at_end(src, bytes, ret);
    err = voco_stream_open(ret, src->path, src->offset, src->packing);
    if (err == VOCO_OK)
        err = voco_stream_expect(ret, src->skip);
    if (err == VOCO_OK)
        err = voco_stream_expect(ret, bytes);
    return err;
}

enum voco_err
voco_source_read(const struct voco_source *src, struct voco_stream *s, float *const *out)
{
    enum voco_err err = VOCO_OK;

    if (read_at_once(src, s, out))
        return VOCO_OK;
    err = voco_stream_skip(s, src->skip);
    for (int v = 0; v < src->n_volumes && err == VOCO_OK; v++)
        err = read_slabs(src, s, out[v]);
    if (err == VOCO_OK)
        err = voco_stream_finish(s);
    return err;
}
