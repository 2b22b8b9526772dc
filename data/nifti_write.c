/* Writing a volume as NIfTI-1: f32, sform, native byte order, gzip by name. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/file.h"
#include "data/volume.h"

enum { HEADER_BYTES = 352, GZIP_WINDOW = 15 + 16, BUFFER = 1 << 16 };

/* A new file, deflated on the way when z is set up. */
struct sink {
    struct voco_newfile file;
    z_stream z;
    bool packed;
    unsigned char buffer[BUFFER];
};

static void
put_short(unsigned char *h, int at, int value)
{
    const int16_t v = (int16_t)value;

    memcpy(h + at, &v, sizeof v);
}

static void
put_float(unsigned char *h, int at, double value)
{
    const float v = (float)value;

    memcpy(h + at, &v, sizeof v);
}

static void
make_header(const struct voco_volume *v, unsigned char h[HEADER_BYTES])
{
    const int32_t size = 348;
    double spacing[3];

    memset(h, 0, HEADER_BYTES);
    memcpy(h, &size, sizeof size);
    h[38] = 'r';                                    /* "regular", for old readers */
    put_short(h, 40, 3);
    put_float(h, 76, 1);
    voco_volume_spacing(v, spacing);
    for (int i = 0; i < 3; i++) {
        put_short(h, 42 + 2 * i, (int)v->dim[i]);
        put_float(h, 80 + 4 * i, spacing[i]);
        for (int j = 0; j < 4; j++)
            put_float(h, 280 + 16 * i + 4 * j, v->affine[i][j]);
    }
    for (int i = 3; i < 7; i++)
        put_short(h, 42 + 2 * i, 1);
    put_short(h, 70, 16);                           /* f32 */
    put_short(h, 72, 32);
    put_float(h, 108, HEADER_BYTES);
    put_float(h, 112, 1);                           /* slope */
    h[123] = 2;                                     /* mm */
    put_short(h, 254, 1);                           /* sform: scanner coordinates */
    memcpy(h + 344, "n+1", 4);
}

static enum voco_err
put(struct sink *s, const void *data, size_t n, int flush)
{
    if (!s->packed) {
        if (fwrite(data, 1, n, s->file.out) != n)
            return voco_fail_errno(VOCO_EIO, "%s", s->file.path);
        return VOCO_OK;
    }
    s->z.next_in = (Bytef *)data;
    s->z.avail_in = (uInt)n;
    do {
        s->z.next_out = s->buffer;
        s->z.avail_out = BUFFER;
        if (deflate(&s->z, flush) == Z_STREAM_ERROR)
            return voco_fail(VOCO_EINTERNAL, "%s: deflate failed", s->file.path);
        const size_t made = BUFFER - s->z.avail_out;
        if (fwrite(s->buffer, 1, made, s->file.out) != made)
            return voco_fail_errno(VOCO_EIO, "%s", s->file.path);
    } while (s->z.avail_out == 0);
    return VOCO_OK;
}

/* x fastest in the file: one row at a time is gathered. */
static enum voco_err
put_volume(struct sink *s, const struct voco_volume *v)
{
    const int64_t *dim = v->dim;
    unsigned char header[HEADER_BYTES];
    float *row = malloc((size_t)dim[0] * sizeof *row);
    enum voco_err err;

    if (row == NULL)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for a row", s->file.path);
    make_header(v, header);
    err = put(s, header, sizeof header, Z_NO_FLUSH);
    for (int64_t z = 0; err == VOCO_OK && z < dim[2]; z++)
        for (int64_t y = 0; err == VOCO_OK && y < dim[1]; y++) {
            for (int64_t x = 0; x < dim[0]; x++)
                row[x] = v->voxel[(x * dim[1] + y) * dim[2] + z];
            err = put(s, row, (size_t)dim[0] * sizeof *row, Z_NO_FLUSH);
        }
    if (err == VOCO_OK && s->packed)
        err = put(s, row, 0, Z_FINISH);
    free(row);
    return err;
}

enum voco_err
voco_volume_write(const char *path, const struct voco_volume *v)
{
    const size_t n = strlen(path);
    struct sink s = {.packed = n > 3 && strcasecmp(path + n - 3, ".gz") == 0};
    enum voco_err err;

    for (int i = 0; i < 3; i++)
        if (v->dim[i] < 1 || v->dim[i] > INT16_MAX)
            return voco_fail(VOCO_EFORMAT, "%s: size %" PRId64 " along %c, NIfTI-1 holds"
                             " 1 to %d", path, v->dim[i], "xyz"[i], INT16_MAX);
    if (s.packed && deflateInit2(&s.z, 6, Z_DEFLATED, GZIP_WINDOW, 8,
                                 Z_DEFAULT_STRATEGY) != Z_OK)
        return voco_fail(VOCO_EMEMORY, "%s: no memory to deflate", path);
    err = voco_newfile_open(&s.file, path);
    if (err == VOCO_OK) {
        err = put_volume(&s, v);
        if (err == VOCO_OK)
            err = voco_newfile_commit(&s.file);
        else
            voco_newfile_discard(&s.file);
    }
    if (s.packed)
        deflateEnd(&s.z);
    return err;
}
