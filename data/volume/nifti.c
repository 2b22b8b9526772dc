/* NIfTI-1 and NIfTI-2 headers, single files and .hdr/.img pairs, either byte order.
 * Source: nifti1.h and nifti2.h of the NIfTI Data Format Working Group. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "data/volume/affine.h"
#include "data/volume/kind.h"
#include "data/volume/once.h"
#include "data/volume/source.h"

enum { NIFTI1_BYTES = 348, NIFTI2_BYTES = 540, FLAG_BYTES = 4 };

/* Numbers of the header, wherever the version keeps them. */
struct nifti {
    bool two;               /* NIfTI-2 */
    bool single;            /* elements in the same file */
    int64_t dim[8];
    double pixdim[8];
    int datatype, bitpix, units;
    double vox_offset, slope, inter;
    int qform_code, sform_code;
    double quatern[3], qoffset[3], srow[3][4];
};

struct fields {
    const unsigned char *h;
    bool big;
};

static uint64_t
bits(const struct fields *f, int at, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v = v << 8 | f->h[at + (f->big ? i : bytes - 1 - i)];
    return v;
}

static int64_t
get_int(const struct fields *f, int at, int bytes)
{
    const uint64_t v = bits(f, at, bytes);
    const uint64_t sign = (uint64_t)1 << (8 * bytes - 1);

    if (bytes == 8) {
        int64_t signed_v;

        memcpy(&signed_v, &v, sizeof signed_v);
        return signed_v;
    }
    return (int64_t)(v ^ sign) - (int64_t)sign;
}

static double
get_real(const struct fields *f, int at, int bytes)
{
    if (bytes == 4) {
        const uint32_t v = (uint32_t)bits(f, at, 4);
        float x;

        memcpy(&x, &v, sizeof x);
        return x;
    }
    const uint64_t v = bits(f, at, 8);
    double x;

    memcpy(&x, &v, sizeof x);
    return x;
}

/* Where the two versions keep their fields, and how wide these are. */
struct layout {
    int dim, dim_bytes, datatype, bitpix, pixdim, real_bytes, vox_offset, slope, inter,
        units, units_bytes, qform, code_bytes, sform, quatern, qoffset, srow;
};

static const struct layout LAYOUT[2] = {
    {.dim = 40, .dim_bytes = 2, .datatype = 70, .bitpix = 72, .pixdim = 76,
     .real_bytes = 4, .vox_offset = 108, .slope = 112, .inter = 116, .units = 123,
     .units_bytes = 1, .qform = 252, .code_bytes = 2, .sform = 254, .quatern = 256,
     .qoffset = 268, .srow = 280},
    {.dim = 16, .dim_bytes = 8, .datatype = 12, .bitpix = 14, .pixdim = 104,
     .real_bytes = 8, .vox_offset = 168, .slope = 176, .inter = 184, .units = 500,
     .units_bytes = 4, .qform = 344, .code_bytes = 4, .sform = 348, .quatern = 352,
     .qoffset = 376, .srow = 400}
};

static void
unpack(const struct fields *f, struct nifti *n)
{
    const struct layout *l = &LAYOUT[n->two];
    const int w = l->real_bytes;

    for (int i = 0; i < 8; i++) {
        n->dim[i] = get_int(f, l->dim + i * l->dim_bytes, l->dim_bytes);
        n->pixdim[i] = get_real(f, l->pixdim + i * w, w);
    }
    n->datatype = (int)bits(f, l->datatype, 2);
    n->bitpix = (int)bits(f, l->bitpix, 2);
    n->units = (int)(bits(f, l->units, l->units_bytes) & 7);
    n->vox_offset = n->two ? (double)get_int(f, l->vox_offset, 8)
                           : get_real(f, l->vox_offset, 4);
    n->slope = get_real(f, l->slope, w);
    n->inter = get_real(f, l->inter, w);
    n->qform_code = (int)get_int(f, l->qform, l->code_bytes);
    n->sform_code = (int)get_int(f, l->sform, l->code_bytes);
    for (int i = 0; i < 3; i++) {
        n->quatern[i] = get_real(f, l->quatern + i * w, w);
        n->qoffset[i] = get_real(f, l->qoffset + i * w, w);
        for (int j = 0; j < 4; j++)
            n->srow[i][j] = get_real(f, l->srow + (4 * i + j) * w, w);
    }
}

/* Version, byte order and magic from the first bytes. */
static enum voco_err
recognise(const char *path, struct voco_stream *s, unsigned char h[NIFTI2_BYTES],
          struct fields *f, struct nifti *n)
{
    enum voco_err err = voco_stream_read(s, h, 4);
    const char *magic;

    if (err != VOCO_OK)
        return err;
    f->h = h;
    f->big = false;
    if (bits(f, 0, 4) != NIFTI1_BYTES && bits(f, 0, 4) != NIFTI2_BYTES)
        f->big = true;
    n->two = bits(f, 0, 4) == NIFTI2_BYTES;
    if (!n->two && bits(f, 0, 4) != NIFTI1_BYTES)
        return voco_fail(VOCO_EFORMAT, "%s: not a NIfTI file: it begins with %02x %02x"
                         " %02x %02x, expected the header size 348 or 540", path, h[0],
                         h[1], h[2], h[3]);
    err = voco_stream_read(s, h + 4, (n->two ? NIFTI2_BYTES : NIFTI1_BYTES) - 4);
    if (err != VOCO_OK)
        return err;
    magic = (const char *)h + (n->two ? 4 : 344);
    if (memcmp(magic, n->two ? "n+2" : "n+1", 4) == 0)
        n->single = true;
    else if (memcmp(magic, n->two ? "ni2" : "ni1", 4) == 0)
        n->single = false;
    else
        return voco_fail(VOCO_EFORMAT, "%s: no NIfTI magic; Analyze 7.5 files are not"
                         " supported, they do not say which side is left: convert it to"
                         " NIfTI", path);
    unpack(f, n);
    return VOCO_OK;
}

static enum voco_err
choose_element(const char *path, const struct nifti *n, struct voco_source *src)
{
    static const struct {
        int code, element;                  /* element -1: known, not supported */
        const char *name;
    } TYPE[] = {
        {2, VOCO_EL_U8, "u8"}, {4, VOCO_EL_I16, "i16"}, {8, VOCO_EL_I32, "i32"},
        {16, VOCO_EL_F32, "f32"}, {64, VOCO_EL_F64, "f64"}, {256, VOCO_EL_I8, "i8"},
        {512, VOCO_EL_U16, "u16"}, {768, VOCO_EL_U32, "u32"}, {1024, VOCO_EL_I64, "i64"},
        {1280, VOCO_EL_U64, "u64"}, {1, -1, "binary (1 bit)"}, {32, -1, "complex64"},
        {128, -1, "RGB24"}, {1536, -1, "float128"}, {1792, -1, "complex128"},
        {2048, -1, "complex256"}, {2304, -1, "RGBA32"}
    };

    for (size_t i = 0; i < sizeof TYPE / sizeof *TYPE; i++) {
        if (TYPE[i].code != n->datatype)
            continue;
        if (TYPE[i].element < 0)
            return voco_fail(VOCO_EFORMAT, "%s: voxels are %s, expected one real number a"
                             " voxel", path, TYPE[i].name);
        src->element = (enum voco_element)TYPE[i].element;
        if (n->bitpix != 0 && n->bitpix != 8 * voco_element_bytes(src->element))
            return voco_fail(VOCO_EFORMAT, "%s: the header contradicts itself: datatype"
                             " %d (%s) with bitpix %d", path, n->datatype, TYPE[i].name,
                             n->bitpix);
        return VOCO_OK;
    }
    return voco_fail(VOCO_EFORMAT, "%s: unknown NIfTI datatype %d", path, n->datatype);
}

static enum voco_err
choose_sizes(const char *path, const struct nifti *n, struct voco_source *src)
{
    const int rank = n->dim[0] >= 1 && n->dim[0] <= 7 ? (int)n->dim[0] : 0;

    if (rank == 0)
        return voco_fail(VOCO_EFORMAT, "%s: dim[0] is %" PRId64 ", expected 1 to 7", path,
                         n->dim[0]);
    for (int i = 1; i <= rank; i++)
        if (n->dim[i] < 1)
            return voco_fail(VOCO_EFORMAT, "%s: dim[%d] is %" PRId64 ", expected at least"
                             " 1", path, i, n->dim[i]);
    if (rank >= 4 && n->dim[4] > VOCO_SOURCE_VOLUMES_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: 4-D with %" PRId64 " time points, expected"
                         " at most %d channels", path, n->dim[4],
                         VOCO_SOURCE_VOLUMES_MAX);
    src->n_volumes = rank >= 4 ? (int)n->dim[4] : 1;
    for (int i = 5; i <= rank; i++)
        if (n->dim[i] > 1)
            return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 " values a voxel (dim[%d]),"
                             " expected one", path, n->dim[i], i);
    for (int i = 0; i < 3; i++)
        src->dim[i] = i < rank ? n->dim[i + 1] : 1;
    return VOCO_OK;
}

/* Rotation of the unit quaternion (a,b,c,d), columns scaled by pixdim, the third one by
 * qfac as well; a is what is missing to length 1. */
static enum voco_err
qform_affine(const char *path, const struct nifti *n, double affine[4][4])
{
    const double b = n->quatern[0], c = n->quatern[1], d = n->quatern[2];
    const double rest = 1 - (b * b + c * c + d * d);
    const double a = rest > 0 ? sqrt(rest) : 0;
    const double s = 2 / (a * a + b * b + c * c + d * d);
    const double B = b * s, C = c * s, D = d * s;
    const double rotation[3][3] = {
        {1 - (c * C + d * D), b * C - a * D, b * D + a * C},
        {b * C + a * D, 1 - (b * B + d * D), c * D - a * B},
        {b * D - a * C, c * D + a * B, 1 - (b * B + c * C)}
    };

    if (!(rest > -3 * 1.1920929e-7))        /* three f32 epsilons, as nibabel */
        return voco_fail(VOCO_EFORMAT, "%s: qform quaternion (%g, %g, %g) is longer than"
                         " 1", path, b, c, d);
    for (int j = 0; j < 3; j++) {
        const double side = j == 2 && n->pixdim[0] < 0 ? -1 : 1;

        for (int i = 0; i < 3; i++)
            affine[i][j] = rotation[i][j] * (side * n->pixdim[j + 1]);
        affine[j][3] = n->qoffset[j];
    }
    return VOCO_OK;
}

/* The file does not say where the patient is.  As nibabel: first axis to the left, the
 * origin in the middle. */
static void
pixdim_affine(const struct nifti *n, const int64_t dim[3], double affine[4][4])
{
    for (int i = 0; i < 3; i++) {
        affine[i][i] = (i == 0 ? -1 : 1) * n->pixdim[i + 1];
        affine[i][3] = -affine[i][i] * (double)(dim[i] - 1) / 2;
    }
}

/* What the header itself says of it, for what is written beside it. */
static struct voco_place
place_of(const struct nifti *n)
{
    struct voco_place p = {.known = true, .units = n->units, .qform_code = n->qform_code,
                           .sform_code = n->sform_code};

    memcpy(p.pixdim, n->pixdim, sizeof p.pixdim);
    memcpy(p.quatern, n->quatern, sizeof p.quatern);
    memcpy(p.qoffset, n->qoffset, sizeof p.qoffset);
    memcpy(p.srow, n->srow, sizeof p.srow);
    return p;
}

/* Lengths in metres or micrometres become millimetres. */
static void
to_millimetres(const char *path, const struct nifti *n, double affine[4][4])
{
    const double mm = n->units == 1 ? 1e3 : n->units == 3 ? 1e-3 : 1;

    if (mm == 1)
        return;
    voco_note("%s: lengths are in %s, as the header says", path,
              n->units == 1 ? "metres" : "micrometres");
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            affine[i][j] *= mm;
}

/* Other programs take the voxel size from pixdim, or the axes from the qform, where this
 * one takes the sform: if these disagree, the results do. */
static void
warn_of_contradictions(const char *path, const struct nifti *n)
{
    double mm[3], sform[4][4] = {{0}}, qform[4][4] = {{0}}, q_mm[3];
    const double *p = n->pixdim + 1;
    bool sizes = true, axes = true;

    memcpy(sform, n->srow, sizeof n->srow);
    voco_affine_spacing((const double (*)[4])sform, mm);
    for (int j = 0; j < 3; j++)         /* 0 and NaN in pixdim say nothing */
        sizes = sizes && !(p[j] > 0 && mm[j] > 0 && fabs(p[j] - mm[j]) > 0.01 * mm[j]);
    if (!sizes)
        voco_warn_once("%s: the voxels are %g x %g x %g by the sform, which is taken, and"
                       " %g x %g x %g by pixdim", path, mm[0], mm[1], mm[2], p[0], p[1],
                       p[2]);
    if (n->qform_code <= 0 || qform_affine(path, n, qform) != VOCO_OK)
        return;
    voco_affine_spacing((const double (*)[4])qform, q_mm);
    for (int j = 0; j < 3; j++) {
        double dot = 0;

        for (int i = 0; i < 3; i++)
            dot += sform[i][j] * qform[i][j];
        axes = axes && !(dot < 0.7 * mm[j] * q_mm[j]);      /* more than 45 degrees */
    }
    if (!axes)
        voco_warn_once("%s: the axes point elsewhere by the sform, which is taken, than by"
                       " the qform", path);
}

static enum voco_err
choose_affine(const char *path, const struct nifti *n, struct voco_source *src)
{
    double (*affine)[4] = src->affine;

    memset(src->affine, 0, sizeof src->affine);
    affine[3][3] = 1;
    if (n->sform_code > 0) {
        memcpy(affine, n->srow, sizeof n->srow);
        warn_of_contradictions(path, n);
        return VOCO_OK;
    }
    for (int i = 0; i < 3; i++)
        if (!(n->pixdim[i + 1] > 0) || isinf(n->pixdim[i + 1]))
            return voco_fail(VOCO_EFORMAT, "%s: spacing along %c (pixdim[%d]) is %g,"
                             " expected more than 0 mm", path, "xyz"[i], i + 1,
                             n->pixdim[i + 1]);
    if (n->qform_code > 0)
        return qform_affine(path, n, affine);
    voco_warn_once("%s: neither sform nor qform: axes to the left, front and top assumed,"
                   " around the middle", path);
    pixdim_affine(n, src->dim, affine);
    return VOCO_OK;
}

/* Elements begin at vox_offset; in a single file behind the header and its 4 flag bytes,
 * which is also what 0 means there. */
static enum voco_err
choose_place(const char *path, const struct nifti *n, struct voco_source *src)
{
    const int first = !n->single ? 0
        : (n->two ? NIFTI2_BYTES : NIFTI1_BYTES) + FLAG_BYTES;
    const double at = n->single && n->vox_offset == 0 ? first : n->vox_offset;

    if (!(at >= first && at < 1099511627776.0) || at != floor(at))
        return voco_fail(VOCO_EFORMAT, "%s: vox_offset is %g, expected a whole number"
                         " from %d on", path, n->vox_offset, first);
    src->skip = (int64_t)at;
    src->path = n->single ? voco_format("%s", path) : voco_image_of(path);
    src->packing = n->single ? VOCO_GUESS
        : strcasecmp(src->path + strlen(src->path) - 3, ".gz") == 0 ? VOCO_PACKED
        : VOCO_PLAIN;                       /* a first voxel may look like gzip */
    if (!n->single && !voco_file_exists(src->path))
        return voco_fail(VOCO_EFORMAT, "%s: the voxels should be in %s, which is not"
                         " there", path, src->path);
    return VOCO_OK;
}

enum voco_err
voco_nifti_parse(const char *path, struct voco_source *ret)
{
    static const char *const FORMAT[2][2] = {
        {"NIfTI-1 pair", "NIfTI-1"}, {"NIfTI-2 pair", "NIfTI-2"}
    };
    unsigned char h[NIFTI2_BYTES];
    struct voco_stream s;
    struct fields f;
    struct nifti n;
    enum voco_err err;

    *ret = (struct voco_source){.slope = 1, .n_volumes = 1};
    err = voco_stream_open(&s, path, 0, VOCO_GUESS);
    if (err != VOCO_OK)
        return err;
    err = recognise(path, &s, h, &f, &n);
    voco_stream_close(&s);
    if (err != VOCO_OK)
        return err;
    ret->format = FORMAT[n.two][n.single];
    ret->big_endian = f.big;
    if ((err = choose_element(path, &n, ret)) != VOCO_OK ||
        (err = choose_sizes(path, &n, ret)) != VOCO_OK ||
        (err = choose_affine(path, &n, ret)) != VOCO_OK ||
        (err = choose_place(path, &n, ret)) != VOCO_OK)
        return err;
    if (isfinite(n.slope) && n.slope != 0) {
        if (!isfinite(n.inter))
            return voco_fail(VOCO_EFORMAT, "%s: scl_inter is %g with scl_slope %g,"
                             " expected a finite number", path, n.inter, n.slope);
        ret->slope = n.slope;
        ret->inter = n.inter;
    }
    ret->place = place_of(&n);
    to_millimetres(path, &n, ret->affine);
    return VOCO_OK;
}
