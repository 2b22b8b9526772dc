/* NRRD, attached (.nrrd) and detached (.nhdr).
 * Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/headtext.h"
#include "data/volume/nrrd_numbers.h"
#include "data/volume/once.h"
#include "data/volume/source.h"

/* Voxels that cannot be read are refused for that, before anything is missed that only
 * other encodings need. */
static enum voco_err
choose_encoding(const char *path, const struct voco_nrrd *n, struct voco_source *src)
{
    static const char *const NAME[] = {
        "ascii", "text", "txt", "hex", "bzip2", "bz2", "zrl"
    };
    const char *encoding = n->head->value[VOCO_NRRD_ENCODING];
    const char *file = n->head->value[VOCO_NRRD_DATA_FILE];

    if (file != NULL && (strncasecmp(file, "LIST", 4) == 0 || strchr(file, '%') != NULL))
        return voco_fail(VOCO_EFORMAT, "%s: data file: %.60s: voxels in several data files"
                         " are not supported; join them into one", path, file);
    if (encoding == NULL)
        return voco_fail(VOCO_EFORMAT, "%s: encoding is missing, expected raw or gzip",
                         path);
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (strcasecmp(encoding, NAME[i]) == 0)
            return voco_fail(VOCO_EFORMAT, "%s: encoding is %s: %s is not supported,"
                             " expected raw or gzip; save it anew", path, encoding,
                             i < 3 ? "text for voxels" : "that");
    src->packing = VOCO_PLAIN;
    if (strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "gz") == 0)
        src->packing = VOCO_PACKED;
    else if (strcasecmp(encoding, "raw") != 0)
        return voco_fail(VOCO_EFORMAT, "%s: encoding is %.40s, expected raw or gzip",
                         path, encoding);
    return VOCO_OK;
}

/* names: between bars. */
static bool
is_one_of(const char *names, const char *type)
{
    const size_t n = strlen(type);

    for (const char *p = names; p[1] != '\0'; p += 1 + strcspn(p + 1, "|"))
        if (strcspn(p + 1, "|") == n && strncasecmp(p + 1, type, n) == 0)
            return true;
    return false;
}

static enum voco_err
choose_element(const char *path, const struct voco_nrrd *n, struct voco_source *src)
{
    static const struct {
        const char *names;              /* between bars */
        enum voco_element element;
    } TYPE[] = {
        {"|signed char|int8|int8_t|", VOCO_EL_I8},
        {"|uchar|unsigned char|uint8|uint8_t|", VOCO_EL_U8},
        {"|short|short int|signed short|signed short int|int16|int16_t|", VOCO_EL_I16},
        {"|ushort|unsigned short|unsigned short int|uint16|uint16_t|", VOCO_EL_U16},
        {"|int|signed int|int32|int32_t|", VOCO_EL_I32},
        {"|uint|unsigned int|uint32|uint32_t|", VOCO_EL_U32},
        {"|longlong|long long|long long int|signed long long|signed long long int|int64|"
         "int64_t|", VOCO_EL_I64},
        {"|ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|",
         VOCO_EL_U64},
        {"|float|", VOCO_EL_F32}, {"|double|", VOCO_EL_F64}
    };
    const char *type = n->head->value[VOCO_NRRD_TYPE] != NULL
        ? n->head->value[VOCO_NRRD_TYPE] : "missing";
    const char *endian = n->head->value[VOCO_NRRD_ENDIAN];
    bool found = false;

    for (size_t i = 0; i < sizeof TYPE / sizeof *TYPE; i++)
        if (is_one_of(TYPE[i].names, type)) {
            src->element = TYPE[i].element;
            found = true;
        }
    if (!found)
        return voco_fail(VOCO_EFORMAT, "%s: type is %.40s, expected short, float or"
                         " another number type", path, type);
    if (voco_element_bytes(src->element) == 1)
        return VOCO_OK;
    if (endian == NULL || (strcasecmp(endian, "little") != 0 &&
                           strcasecmp(endian, "big") != 0))
        return voco_fail(VOCO_EFORMAT, "%s: endian is %.40s, expected little or big",
                         path, endian != NULL ? endian : "missing");
    src->big_endian = strcasecmp(endian, "big") == 0;
    return VOCO_OK;
}

/* The word of an axis in a list of them, of which NULL is the empty one. */
static const char *
word_of(const char *words, int axis)
{
    const char *p = words != NULL ? words + strspn(words, " \t") : "";

    for (; *p != '\0' && axis > 0; axis--) {
        p += strcspn(p, " \t");
        p += strspn(p, " \t");
    }
    return p;
}

static bool
begins_with_word(const char *text, const char *word)
{
    const size_t n = strlen(word);

    return strncasecmp(text, word, n) == 0 && strcspn(text, " \t") == n;
}

/* Where there are no directions, kinds say which axes lie in space: 1, 0, or -1 where
 * they say nothing. */
static int
kind_in_space(const char *kinds, int axis)
{
    static const char *const NAME[] = {"domain", "space", "none", "???"};
    const char *kind = word_of(kinds, axis);

    for (int i = 0; i < 4; i++)
        if (begins_with_word(kind, NAME[i]))
            return i < 2 ? 1 : -1;
    return *kind != '\0' ? 0 : -1;
}

/* The three axes of the volume; any other one must have size 1. */
static enum voco_err
choose_axes(const char *path, const struct voco_nrrd *n, int axis[3])
{
    const char *kinds = n->head->value[VOCO_NRRD_KINDS];
    int found = 0;

    if (n->dimension < 3 || n->dimension > VOCO_NRRD_DIMS)
        return voco_fail(VOCO_EFORMAT, "%s: dimension is %" PRId64 ", expected 3", path,
                         n->dimension);
    if (n->n_size != n->dimension || (n->n_axis != 0 && n->n_axis != n->dimension) ||
        (n->n_spacing != 0 && n->n_spacing != n->dimension))
        return voco_fail(VOCO_EFORMAT, "%s: dimension %" PRId64 " with %d sizes, %d"
                         " spacings and %d space directions", path, n->dimension,
                         n->n_size, n->n_spacing, n->n_axis);
    for (int i = 0; i < n->dimension; i++) {
        const int kind = kind_in_space(kinds, i);

        if (n->n_axis != 0 ? n->spatial[i] : kind == 1 || (kind < 0 && found < 3)) {
            if (found == 3)
                return voco_fail(VOCO_EFORMAT, "%s: more than three axes in space", path);
            axis[found++] = i;
        } else if (n->size[i] != 1)
            return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 "-D: axis %d holds %" PRId64
                             " values (RGB, a vector or time points), expected one", path,
                             n->dimension, i, n->size[i]);
    }
    if (found != 3)
        return voco_fail(VOCO_EFORMAT, "%s: %d axes in space, expected 3", path, found);
    return VOCO_OK;
}

/* Signs that turn the file's space into RAS.  Without a space the common readers assume
 * LPS, and so do we. */
static enum voco_err
choose_space(const char *path, const struct voco_nrrd_head *head, double turn[3])
{
    static const struct {
        const char *name, *brief;
        double turn[3];
    } SPACE[] = {
        {"right-anterior-superior", "RAS", {1, 1, 1}},
        {"left-anterior-superior", "LAS", {-1, 1, 1}},
        {"left-posterior-superior", "LPS", {-1, -1, 1}}
    };
    const char *space = head->value[VOCO_NRRD_SPACE];
    const char *dimension = head->value[VOCO_NRRD_SPACE_DIMENSION];

    if (dimension != NULL && strcmp(dimension, "3") != 0)
        return voco_fail(VOCO_EFORMAT, "%s: space dimension is %.40s, expected 3", path,
                         dimension);
    if (space == NULL) {
        voco_warn_once("%s: the header names no space: left-posterior-superior assumed",
                       path);
        space = "LPS";
    }
    for (size_t i = 0; i < sizeof SPACE / sizeof *SPACE; i++)
        if (strcasecmp(space, SPACE[i].name) == 0 ||
            strcasecmp(space, SPACE[i].brief) == 0) {
            memcpy(turn, SPACE[i].turn, sizeof SPACE[i].turn);
            return VOCO_OK;
        }
    return voco_fail(VOCO_EFORMAT, "%s: space is %.60s, expected RAS, LAS or LPS (or"
                     " their long names)", path, space);
}

/* Directions have lengths of their own: what else the header says of the spacing must
 * agree with them, and its place is not always where it is obeyed. */
static enum voco_err
check_spacings(const char *path, const struct voco_nrrd *n, const int axis[3])
{
    const char *const *value = n->head->value;

    if (n->n_axis == 0 && n->n_spacing == 0 && value[VOCO_NRRD_AXIS_MINS] != NULL &&
        value[VOCO_NRRD_AXIS_MAXS] != NULL)
        return voco_fail(VOCO_EFORMAT, "%s: the spacing follows from axis mins and axis"
                         " maxs alone, which is not supported; write it as spacings",
                         path);
    for (int j = 0; n->n_spacing != 0 && n->n_min == n->dimension &&
         n->n_max == n->dimension && j < 3; j++) {
        const int i = axis[j];
        const double edges = n->max[i] - n->min[i], spacing = n->spacing[i];
        const double cells = spacing * (double)n->size[i];

        if (fabs(edges - cells) > 1e-3 * fabs(cells) &&
            fabs(edges - (cells - spacing)) > 1e-3 * fabs(cells))
            return voco_fail(VOCO_EFORMAT, "%s: axis mins and axis maxs are %g apart along"
                             " axis %d, spacings says %" PRId64 " times %g; remove the wrong"
                             " one", path, edges, i, n->size[i], spacing);
    }
    if (n->n_axis != 0 && value[VOCO_NRRD_UNITS] != NULL)
        voco_warn_once("%s: units are left out of account: the space directions are in"
                       " space units", path);
    for (int j = 0; n->n_axis != 0 && n->n_spacing != 0 && j < 3; j++) {
        const double *a = n->axis[axis[j]], spacing = n->spacing[axis[j]];
        const double length = sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);

        if (!isnan(spacing) && !(fabs(spacing - length) <= 1e-3 * length))
            return voco_fail(VOCO_EFORMAT, "%s: spacings says %g along axis %d, space"
                             " directions say %g; remove the wrong one", path, spacing,
                             axis[j], length);
    }
    return VOCO_OK;
}

/* Axis mins place a volume without a space, and with spacings, as other readers have it. */
static bool
has_mins(const struct voco_nrrd *n)
{
    return n->n_axis == 0 && !n->has_origin && n->n_min == n->dimension &&
           n->n_spacing != 0 && n->head->value[VOCO_NRRD_SPACE] == NULL &&
           n->head->value[VOCO_NRRD_SPACE_DIMENSION] == NULL;
}

/* The centre of the first voxel along an axis: half a voxel behind its edge, or there where
 * the axis is measured from voxel to voxel. */
static double
axis_origin(const struct voco_nrrd *n, int axis)
{
    const bool node = begins_with_word(word_of(n->head->value[VOCO_NRRD_CENTERS], axis),
                                       "node");

    if (!has_mins(n) || isnan(n->min[axis]))
        return 0;
    return n->min[axis] + (node ? 0 : n->spacing[axis] / 2);
}

/* Fields that are known and not obeyed, and what is assumed. */
static void
warn_of_assumptions(const char *path, const struct voco_nrrd *n)
{
    const char *const *value = n->head->value;

    if (n->n_axis == 0 && n->n_spacing == 0)
        voco_warn_once("%s: neither space directions nor spacings: 1 mm assumed", path);
    if (has_mins(n) && value[VOCO_NRRD_CENTERS] == NULL)
        voco_warn_once("%s: no centers: axis mins are taken as the outer edges of voxels",
                       path);
    else if (n->n_axis == 0 && !n->has_origin && !has_mins(n) &&
             (n->n_min != 0 || n->n_max != 0))
        voco_warn_once("%s: axis mins and axis maxs are not obeyed: the origin is taken"
                       " as 0", path);
    if (value[VOCO_NRRD_OLD_MIN] != NULL || value[VOCO_NRRD_OLD_MAX] != NULL)
        voco_warn_once("%s: old min and old max are not applied: voxels are taken as they"
                       " are stored", path);
}

static enum voco_err
choose_affine(const char *path, struct voco_nrrd *n, struct voco_source *src)
{
    const char *units = n->head->value[VOCO_NRRD_UNITS];
    double turn[3];
    int axis[3];
    enum voco_err err = choose_axes(path, n, axis);

    if (err == VOCO_OK)
        err = check_spacings(path, n, axis);
    if (err == VOCO_OK)
        err = choose_space(path, n->head, turn);
    if (err == VOCO_OK && units != NULL && n->n_axis == 0)
        err = voco_nrrd_units(path, "units", units, VOCO_NRRD_DIMS, n->axis_mm);
    if (err != VOCO_OK)
        return err;
    warn_of_assumptions(path, n);
    for (int j = 0; j < 3; j++) {
        src->dim[j] = n->size[axis[j]];
        for (int i = 0; i < 3; i++) {
            const double step = n->n_spacing != 0 ? n->spacing[axis[j]] : 1;
            const double plain = i != j ? 0 : step * n->axis_mm[axis[j]];
            const double along = n->n_axis != 0
                ? n->axis[axis[j]][i] * n->space_mm[i] : plain;

            src->affine[i][j] = turn[i] * along;
        }
        src->affine[j][3] = turn[j] *
            (n->has_origin ? n->origin[j] * n->space_mm[j]
                           : axis_origin(n, axis[j]) * n->axis_mm[axis[j]]);
    }
    src->affine[3][3] = 1;
    return VOCO_OK;
}

/* offset moved behind that many line ends: they come before any decompression. */
static enum voco_err
skip_lines(const char *path, int64_t lines, int64_t *offset)
{
    struct voco_stream s;
    enum voco_err err = voco_stream_open(&s, path, *offset, VOCO_PLAIN);

    for (; err == VOCO_OK && lines > 0; ++*offset) {
        char c;

        err = voco_stream_read(&s, &c, 1);
        lines -= c == '\n';
    }
    voco_stream_close(&s);
    return err;
}

static enum voco_err
choose_place(const struct voco_headtext *t, const struct voco_nrrd *n, struct voco_source *src)
{
    const char *file = n->head->value[VOCO_NRRD_DATA_FILE];

    if (file == NULL) {
        src->path = voco_format("%s", t->path);
        src->offset = src->first = (int64_t)t->at;
    } else {
        src->path = voco_sibling(t->path, file);
        if (!voco_file_exists(src->path))
            return voco_fail(VOCO_EFORMAT, "%s: the voxels should be in %s, which is not"
                             " there", t->path, src->path);
    }
    if (n->line_skip < 0 || n->byte_skip < -1 ||
        (n->byte_skip == -1 && src->packing == VOCO_PACKED))
        return voco_fail(VOCO_EFORMAT, "%s: line skip %" PRId64 ", byte skip %" PRId64
                         " with encoding %s", t->path, n->line_skip, n->byte_skip,
                         n->head->value[VOCO_NRRD_ENCODING]);
    if (n->byte_skip == -1) {
        src->offset = VOCO_SOURCE_AT_END;
        return VOCO_OK;
    }
    src->skip = n->byte_skip;
    return n->line_skip > 0 ? skip_lines(src->path, n->line_skip, &src->offset) : VOCO_OK;
}

enum voco_err
voco_nrrd_parse(const char *path, struct voco_source *ret)
{
    struct voco_nrrd_head head = {{NULL}};
    struct voco_nrrd n = {.head = &head};
    struct voco_headtext t;
    enum voco_err err;

    *ret = (struct voco_source){.format = "NRRD", .slope = 1, .n_volumes = 1};
    err = voco_headtext_open(&t, path);
    if (err != VOCO_OK)
        return err;
    if ((err = voco_nrrd_head_read(&t, &head)) == VOCO_OK &&
        (err = voco_nrrd_numbers(path, &n)) == VOCO_OK &&
        (err = choose_encoding(path, &n, ret)) == VOCO_OK &&
        (err = choose_element(path, &n, ret)) == VOCO_OK &&
        (err = choose_affine(path, &n, ret)) == VOCO_OK)
        err = choose_place(&t, &n, ret);
    voco_headtext_close(&t);
    return err;
}
