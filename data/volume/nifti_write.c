/* Writing volumes as NIfTI-1: f32 or u8, in the place that another file has or by sform,
 * native byte order, gzip by name. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/file.h"
#include "data/volume/affine.h"
#include "data/volume/volume.h"

enum { HEADER_BYTES = 352, GZIP_WINDOW = 15 + 16, BUFFER = 1 << 16 };
enum { NIFTI_U8 = 2, NIFTI_F32 = 16 };

/* What goes into a file: n volumes of one size, as voxels() has them, z contiguous. */
struct content {
    const struct voco_grid *grid;
    int n, type;
    enum voco_err (*voxels)(void *user, int i, const void **ret);
    void *user;
};

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

static size_t
element_bytes(const struct content *c)
{
    return c->type == NIFTI_U8 ? 1 : 4;
}

/* The transform of the affine, in millimetres, as sform. */
static void
put_affine(unsigned char *h, const double affine[4][4])
{
    double spacing[3];

    put_float(h, 76, 1);
    voco_affine_spacing(affine, spacing);
    for (int i = 0; i < 3; i++) {
        put_float(h, 80 + 4 * i, spacing[i]);
        for (int j = 0; j < 4; j++)
            put_float(h, 280 + 16 * i + 4 * j, affine[i][j]);
    }
    h[123] = 2;                                     /* mm */
    put_short(h, 254, 1);                           /* sform: scanner coordinates */
}

/* The words of another header, again. */
static void
put_place(unsigned char *h, const struct voco_place *p)
{
    for (int i = 0; i < 4; i++)
        put_float(h, 76 + 4 * i, p->pixdim[i]);
    for (int i = 0; i < 3; i++) {
        put_float(h, 256 + 4 * i, p->quatern[i]);
        put_float(h, 268 + 4 * i, p->qoffset[i]);
        for (int j = 0; j < 4; j++)
            put_float(h, 280 + 16 * i + 4 * j, p->srow[i][j]);
    }
    h[123] = (unsigned char)(p->units & 7);
    put_short(h, 252, p->qform_code);
    put_short(h, 254, p->sform_code);
}

static void
make_header(const struct content *c, unsigned char h[HEADER_BYTES])
{
    const int32_t size = 348;

    memset(h, 0, HEADER_BYTES);
    memcpy(h, &size, sizeof size);
    h[38] = 'r';                                    /* "regular", for old readers */
    put_short(h, 40, c->n > 1 ? 4 : 3);
    for (int i = 0; i < 7; i++)
        put_short(h, 42 + 2 * i, i < 3 ? (int)c->grid->dim[i] : i == 3 ? c->n : 1);
    if (c->grid->place.known)
        put_place(h, &c->grid->place);
    else
        put_affine(h, c->grid->affine);
    if (c->n > 1)
        put_float(h, 92, 1);                        /* step along the fourth axis */
    put_short(h, 70, c->type);
    put_short(h, 72, (int)(8 * element_bytes(c)));
    put_float(h, 108, HEADER_BYTES);
    put_float(h, 112, 1);                           /* slope */
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
put_volume(struct sink *s, const struct content *c, const unsigned char *voxel,
           unsigned char *row)
{
    const int64_t *dim = c->grid->dim;
    const size_t size = element_bytes(c);
    enum voco_err err = VOCO_OK;

    for (int64_t z = 0; err == VOCO_OK && z < dim[2]; z++)
        for (int64_t y = 0; err == VOCO_OK && y < dim[1]; y++) {
            for (int64_t x = 0; x < dim[0]; x++)
                memcpy(row + (size_t)x * size,
                       voxel + (size_t)((x * dim[1] + y) * dim[2] + z) * size, size);
            err = put(s, row, (size_t)dim[0] * size, Z_NO_FLUSH);
        }
    return err;
}

static enum voco_err
put_all(struct sink *s, const struct content *c)
{
    unsigned char header[HEADER_BYTES];
    unsigned char *row = malloc((size_t)c->grid->dim[0] * element_bytes(c));
    const void *voxel;
    enum voco_err err;

    if (row == NULL)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for a row", s->file.path);
    make_header(c, header);
    err = put(s, header, sizeof header, Z_NO_FLUSH);
    for (int i = 0; err == VOCO_OK && i < c->n; i++)
        if ((err = c->voxels(c->user, i, &voxel)) == VOCO_OK)
            err = put_volume(s, c, voxel, row);
    if (err == VOCO_OK && s->packed)
        err = put(s, row, 0, Z_FINISH);
    free(row);
    return err;
}

static enum voco_err
write_content(const char *path, const struct content *c)
{
    const size_t n = strlen(path);
    struct sink s = {.packed = n > 3 && strcasecmp(path + n - 3, ".gz") == 0};
    enum voco_err err;

    for (int i = 0; i < 3; i++)
        if (c->grid->dim[i] < 1 || c->grid->dim[i] > INT16_MAX)
            return voco_fail(VOCO_EFORMAT, "%s: size %" PRId64 " along %c, NIfTI-1 holds"
                             " 1 to %d", path, c->grid->dim[i], "xyz"[i], INT16_MAX);
    if (s.packed && deflateInit2(&s.z, c->type == NIFTI_U8 ? 4 : 6, Z_DEFLATED, GZIP_WINDOW,
                                 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return voco_fail(VOCO_EMEMORY, "%s: no memory to deflate", path);
    err = voco_newfile_open(&s.file, path);
    if (err == VOCO_OK) {
        err = put_all(&s, c);
        if (err == VOCO_OK)
            err = voco_newfile_commit(&s.file);
        else
            voco_newfile_discard(&s.file);
    }
    if (s.packed)
        deflateEnd(&s.z);
    return err;
}

static enum voco_err
given_voxels(void *user, int i, const void **ret)
{
    (void)i;
    *ret = user;
    return VOCO_OK;
}

enum voco_err
voco_volume_write(const char *path, const struct voco_volume *v)
{
    struct voco_grid grid = {.place = {.known = false}};
    const struct content c = {&grid, 1, NIFTI_F32, given_voxels, v->voxel};

    memcpy(grid.dim, v->dim, sizeof grid.dim);
    memcpy(grid.affine, v->affine, sizeof grid.affine);
    return write_content(path, &c);
}

enum voco_err
voco_volume_write_labels(const char *path, const struct voco_grid *g,
                         const uint8_t *label)
{
    const struct content c = {g, 1, NIFTI_U8, given_voxels, (void *)label};

    return write_content(path, &c);
}

/* One volume at a time, in a buffer. */
struct maker {
    enum voco_err (*make)(void *user, int i, float *voxel);
    void *user;
    float *voxel;
};

static enum voco_err
made_voxels(void *user, int i, const void **ret)
{
    struct maker *m = user;

    *ret = m->voxel;
    return m->make(m->user, i, m->voxel);
}

enum voco_err
voco_volume_write_many(const char *path, const struct voco_grid *g, int n,
                       enum voco_err (*make)(void *user, int i, float *voxel), void *user)
{
    struct maker m = {.make = make, .user = user};
    const struct content c = {g, n, NIFTI_F32, made_voxels, &m};
    enum voco_err err;

    m.voxel = malloc((size_t)(g->dim[0] * g->dim[1] * g->dim[2]) * sizeof *m.voxel);
    if (!m.voxel)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for a volume", path);
    err = write_content(path, &c);
    free(m.voxel);
    return err;
}
