/* MetaImage (.mha, .mhd): "Key = Value" lines, then or elsewhere the elements.
 * Source: the MetaIO documentation; directions as ITK takes them. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/headtext.h"
#include "data/volume/once.h"
#include "data/volume/source.h"
#include "data/volume/unit.h"

enum { DIMS_MAX = 10 };

struct metaimage {
    int64_t ndims, dim[DIMS_MAX], channels, header_bytes;
    int n_dim, n_spacing, n_size, n_offset, n_matrix;
    double spacing[DIMS_MAX], size[DIMS_MAX], offset[DIMS_MAX];
    double matrix[DIMS_MAX * DIMS_MAX], slope, inter;
    double unit_mm;
    const char *type, *file;            /* point into the header text */
    bool compressed, big_endian, ascii;
};

/* Keys that decide what the voxels are and where they lie, each with its other names.
 * Others do not: programs add keys of their own. */
enum key {
    NDIMS, DIM_SIZE, SPACING, SIZE, OFFSET, MATRIX, CHANNELS, HEADER_SIZE, COMPRESSED,
    MSB_FIRST, BINARY, SLOPE, INTERCEPT, UNITS, ELEMENT, FILE_NAME, KEYS
};
static const char *const KEY[KEYS][3] = {
    [NDIMS] = {"NDims"}, [DIM_SIZE] = {"DimSize"}, [SPACING] = {"ElementSpacing"},
    [SIZE] = {"ElementSize"}, [OFFSET] = {"Offset", "Position", "Origin"},
    [MATRIX] = {"TransformMatrix", "Rotation", "Orientation"},
    [CHANNELS] = {"ElementNumberOfChannels"}, [HEADER_SIZE] = {"HeaderSize"},
    [COMPRESSED] = {"CompressedData"},
    [MSB_FIRST] = {"BinaryDataByteOrderMSB", "ElementByteOrderMSB"},
    [BINARY] = {"BinaryData"}, [SLOPE] = {"ElementToIntensityFunctionSlope"},
    [INTERCEPT] = {"ElementToIntensityFunctionOffset"}, [UNITS] = {"DistanceUnits"},
    [ELEMENT] = {"ElementType"}, [FILE_NAME] = {"ElementDataFile"}
};

static enum voco_err
parse_bool(const char *path, const char *key, const char *value, bool *ret)
{
    static const char *const NAME[] = {"false", "true", "f", "t", "0", "1"};

    for (int i = 0; i < 6; i++)
        if (strcasecmp(value, NAME[i]) == 0) {
            *ret = i % 2 == 1;
            return VOCO_OK;
        }
    return voco_fail(VOCO_EFORMAT, "%s: %s = %.40s, expected True or False", path, key,
                     value);
}

static enum voco_err
parse_one(const char *path, const char *key, const char *value, int64_t *ret)
{
    int n;
    const enum voco_err err = voco_parse_ints(path, key, value, 1, ret, &n);

    if (err == VOCO_OK && n != 1)
        return voco_fail(VOCO_EFORMAT, "%s: %s has no value", path, key);
    return err;
}

/* KEYS: one that decides nothing. */
static enum key
key_of(const char *name)
{
    for (int i = 0; i < KEYS; i++)
        for (int k = 0; k < 3 && KEY[i][k] != NULL; k++)
            if (strcasecmp(name, KEY[i][k]) == 0)
                return (enum key)i;
    return KEYS;
}

/* "?" is what MetaIO writes where nobody said. */
static enum voco_err
parse_unit(const char *path, const char *value, double *ret)
{
    if (*value == '\0' || strcmp(value, "?") == 0 ||
        voco_length_unit(value, (int)strlen(value), ret))
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: DistanceUnits = %.40s, expected mm, cm or um",
                     path, value);
}

static enum voco_err
take(const char *path, enum key which, const char *key, const char *value,
     struct metaimage *m)
{
    enum voco_err err;
    int n;

    switch (which) {
    case NDIMS:
        return parse_one(path, key, value, &m->ndims);
    case DIM_SIZE:
        return voco_parse_ints(path, key, value, DIMS_MAX, m->dim, &m->n_dim);
    case SPACING:
        return voco_parse_reals(path, key, value, DIMS_MAX, m->spacing, &m->n_spacing);
    case SIZE:
        return voco_parse_reals(path, key, value, DIMS_MAX, m->size, &m->n_size);
    case OFFSET:
        return voco_parse_reals(path, key, value, DIMS_MAX, m->offset, &m->n_offset);
    case MATRIX:
        return voco_parse_reals(path, key, value, DIMS_MAX * DIMS_MAX, m->matrix,
                                &m->n_matrix);
    case CHANNELS:
        return parse_one(path, key, value, &m->channels);
    case HEADER_SIZE:
        return parse_one(path, key, value, &m->header_bytes);
    case COMPRESSED:
        return parse_bool(path, key, value, &m->compressed);
    case MSB_FIRST:
        return parse_bool(path, key, value, &m->big_endian);
    case BINARY:
        err = parse_bool(path, key, value, &m->ascii);
        m->ascii = !m->ascii;
        return err;
    case SLOPE:
        return voco_parse_reals(path, key, value, 1, &m->slope, &n);
    case INTERCEPT:
        return voco_parse_reals(path, key, value, 1, &m->inter, &n);
    case UNITS:
        return parse_unit(path, value, &m->unit_mm);
    case ELEMENT:
        m->type = value;
        return VOCO_OK;
    case FILE_NAME:
        m->file = value;
        return VOCO_OK;
    case KEYS:
        break;
    }
    return VOCO_OK;
}

/* Up to ElementDataFile, which is the last key by definition. */
static enum voco_err
parse_lines(struct voco_headtext *t, struct metaimage *m)
{
    const char *seen[KEYS + 1] = {NULL};
    enum voco_err err = VOCO_OK;
    char *line;

    while (err == VOCO_OK && m->file == NULL) {
        line = voco_headtext_line(t);
        if (line == NULL)
            return voco_fail(VOCO_EFORMAT, "%s: the header ends without ElementDataFile",
                             t->path);
        char *end = strpbrk(line, "=:");        /* MetaIO takes either */
        if (end == NULL) {
            if (*voco_trim(line) == '\0')
                continue;
            return voco_fail(VOCO_EFORMAT, "%s: expected a line \"Key = Value\", found"
                             " \"%.40s\"", t->path, line);
        }
        *end = '\0';
        const char *const name = voco_trim(line), *const value = voco_trim(end + 1);
        const enum key key = key_of(name);

        if (key != KEYS && seen[key] != NULL && !voco_headtext_same(seen[key], value))
            return voco_fail(VOCO_EFORMAT, "%s: %s comes twice, with \"%.60s\" and"
                             " \"%.60s\"; remove the wrong one", t->path, KEY[key][0],
                             seen[key], value);
        seen[key] = value;
        err = take(t->path, key, name, value, m);
    }
    return err;
}

static enum voco_err
choose_element(const char *path, const struct metaimage *m, struct voco_source *src)
{
    static const struct {
        const char *name;
        enum voco_element element;
    } TYPE[] = {
        {"MET_UCHAR", VOCO_EL_U8}, {"MET_CHAR", VOCO_EL_I8}, {"MET_USHORT", VOCO_EL_U16},
        {"MET_SHORT", VOCO_EL_I16}, {"MET_UINT", VOCO_EL_U32}, {"MET_INT", VOCO_EL_I32},
        {"MET_ULONG", VOCO_EL_U32}, {"MET_LONG", VOCO_EL_I32},  /* 4 bytes in MetaIO */
        {"MET_ULONG_LONG", VOCO_EL_U64}, {"MET_LONG_LONG", VOCO_EL_I64},
        {"MET_FLOAT", VOCO_EL_F32}, {"MET_DOUBLE", VOCO_EL_F64}
    };

    if (m->channels != 1)
        return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 " channels a voxel (RGB, complex or"
                         " a vector), expected one", path, m->channels);
    if (m->ascii)
        return voco_fail(VOCO_EFORMAT, "%s: BinaryData = False: text elements are not"
                         " supported", path);
    for (size_t i = 0; m->type != NULL && i < sizeof TYPE / sizeof *TYPE; i++)
        if (strcasecmp(m->type, TYPE[i].name) == 0) {
            src->element = TYPE[i].element;
            return VOCO_OK;
        }
    return voco_fail(VOCO_EFORMAT, "%s: ElementType is %.40s, expected MET_SHORT,"
                     " MET_FLOAT or another number type", path,
                     m->type != NULL ? m->type : "missing");
}

static enum voco_err
choose_sizes(const char *path, const struct metaimage *m, struct voco_source *src)
{
    if (m->ndims < 3 || m->ndims > DIMS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: NDims is %" PRId64 ", expected 3", path,
                         m->ndims);
    if (m->n_dim != m->ndims)
        return voco_fail(VOCO_EFORMAT, "%s: DimSize has %d numbers, expected NDims = %"
                         PRId64, path, m->n_dim, m->ndims);
    for (int i = 3; i < m->ndims; i++)
        if (m->dim[i] != 1)
            return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 "-D with %" PRId64 " volumes,"
                             " expected one; split it first", path, m->ndims, m->dim[i]);
    memcpy(src->dim, m->dim, sizeof src->dim);
    return VOCO_OK;
}

static enum voco_err
expect_count(const char *path, const char *key, int n, int64_t want)
{
    if (n == 0 || n == want)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: %s has %d numbers, expected %" PRId64, path, key,
                     n, want);
}

/* Row i of TransformMatrix is the direction of axis i, in LPS; turning the first two
 * coordinates around makes it RAS. */
static enum voco_err
choose_affine(const char *path, const struct metaimage *m, struct voco_source *src)
{
    const double *spacing = m->n_spacing > 0 ? m->spacing
        : m->n_size > 0 ? m->size : NULL;
    enum voco_err err;

    if ((err = expect_count(path, "ElementSpacing", m->n_spacing, m->ndims)) != VOCO_OK ||
        (err = expect_count(path, "ElementSize", m->n_size, m->ndims)) != VOCO_OK ||
        (err = expect_count(path, "Offset", m->n_offset, m->ndims)) != VOCO_OK ||
        (err = expect_count(path, "TransformMatrix", m->n_matrix,
                            m->ndims * m->ndims)) != VOCO_OK)
        return err;
    if (spacing == NULL)
        voco_warn_once("%s: no ElementSpacing: 1 mm assumed, as the format says", path);
    for (int i = 0; i < 3; i++) {
        const double turn = i < 2 ? -1 : 1;

        for (int j = 0; j < 3; j++) {
            const double cosine = m->n_matrix == 0 ? i == j : m->matrix[j * m->ndims + i];

            src->affine[i][j] = turn * cosine * m->unit_mm
                * (spacing != NULL ? spacing[j] : 1);
        }
        src->affine[i][3] = m->n_offset == 0 ? 0 : turn * m->offset[i] * m->unit_mm;
        if (spacing != NULL && !(spacing[i] > 0))
            return voco_fail(VOCO_EFORMAT, "%s: spacing along %c is %g, expected more"
                             " than 0 mm", path, "xyz"[i], spacing[i]);
    }
    src->affine[3][3] = 1;
    return VOCO_OK;
}

/* HeaderSize counts from the beginning of the file, also of one that begins with the
 * header itself, and -1 is all that lies before the voxels; as in MetaIO. */
static enum voco_err
choose_offset(const struct voco_headtext *t, const struct metaimage *m, bool local,
              struct voco_source *src)
{
    const int64_t text = local ? (int64_t)t->at : 0;

    if (m->header_bytes < -1 || (m->header_bytes == -1 && m->compressed))
        return voco_fail(VOCO_EFORMAT, "%s: HeaderSize is %" PRId64 "%s", t->path,
                         m->header_bytes, m->compressed ? " with compressed data" : "");
    if (m->header_bytes > 0 && m->header_bytes < text)
        return voco_fail(VOCO_EFORMAT, "%s: HeaderSize is %" PRId64 ", but the header takes"
                         " %" PRId64 " bytes; remove that line", t->path, m->header_bytes,
                         text);
    src->first = text;
    src->offset = m->header_bytes == -1 ? VOCO_SOURCE_AT_END
        : m->header_bytes > 0 ? m->header_bytes : text;
    return VOCO_OK;
}

static enum voco_err
choose_place(const struct voco_headtext *t, const struct metaimage *m,
             struct voco_source *src)
{
    const bool local = strcasecmp(m->file, "LOCAL") == 0;

    src->packing = m->compressed ? VOCO_PACKED : VOCO_PLAIN;
    src->big_endian = m->big_endian;
    if (strncasecmp(m->file, "LIST", 4) == 0 || strchr(m->file, '%') != NULL)
        return voco_fail(VOCO_EFORMAT, "%s: ElementDataFile = %.60s: one file a slice is"
                         " not supported, only LOCAL or one file", t->path, m->file);
    if (*m->file == '\0')
        return voco_fail(VOCO_EFORMAT, "%s: ElementDataFile has no value", t->path);
    src->path = local ? voco_format("%s", t->path) : voco_sibling(t->path, m->file);
    if (!voco_file_exists(src->path))
        return voco_fail(VOCO_EFORMAT, "%s: the voxels should be in %s, which is not"
                         " there", t->path, src->path);
    return choose_offset(t, m, local, src);
}

enum voco_err
voco_metaimage_parse(const char *path, struct voco_source *ret)
{
    struct metaimage m = {.channels = 1, .slope = 1, .unit_mm = 1};
    struct voco_headtext t;
    enum voco_err err;

    *ret = (struct voco_source){.format = "MetaImage", .slope = 1, .n_volumes = 1};
    err = voco_headtext_open(&t, path);
    if (err != VOCO_OK)
        return err;
    if ((err = parse_lines(&t, &m)) == VOCO_OK &&
        (err = choose_element(path, &m, ret)) == VOCO_OK &&
        (err = choose_sizes(path, &m, ret)) == VOCO_OK &&
        (err = choose_affine(path, &m, ret)) == VOCO_OK)
        err = choose_place(&t, &m, ret);
    if (err == VOCO_OK && (m.slope != 1 || m.inter != 0))
        voco_warn_once("%s: ElementToIntensityFunction is not applied, as in ITK", path);
    voco_headtext_close(&t);
    return err;
}
