/* NRRD, attached (.nrrd) and detached (.nhdr).
 * Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/headtext.h"
#include "data/volume/nrrd_head.h"
#include "data/volume/once.h"
#include "data/volume/source.h"
#include "data/volume/unit.h"

enum { DIMS_MAX = 16 };

/* The fields as numbers. */
struct nrrd {
    const struct voco_nrrd_head *head;
    int64_t dimension, size[DIMS_MAX], line_skip, byte_skip;
    int n_size, n_spacing, n_axis;
    double spacing[DIMS_MAX];
    double axis[DIMS_MAX][3];           /* space directions */
    bool spatial[DIMS_MAX];             /* has a direction; false: "none" */
    double origin[3];
    bool has_origin;
    double axis_mm[DIMS_MAX], space_mm[3];      /* millimetres in the units */
};

static enum voco_err
parse_one(const char *path, const char *key, const char *value, int64_t *ret)
{
    int n;
    const enum voco_err err = voco_parse_ints(path, key, value, 1, ret, &n);

    if (err == VOCO_OK && n != 1)
        return voco_fail(VOCO_EFORMAT, "%s: %s has no value", path, key);
    return err;
}

/* "(1,0,0)" at *p, which moves behind it. */
static enum voco_err
parse_vector(const char *path, const char *key, const char **p, double out[3])
{
    const char *at = *p;

    for (int i = 0; i < 3; i++) {
        char *end;

        at += strspn(at, " \t");
        if (*at != (i == 0 ? '(' : ','))
            break;
        out[i] = strtod(at + 1, &end);
        if (end == at + 1)
            break;
        at = end + strspn(end, " \t");
        if (i == 2 && *at == ')') {
            *p = at + 1;
            return VOCO_OK;
        }
    }
    return voco_fail(VOCO_EFORMAT, "%s: %s: expected three numbers (x,y,z), found"
                     " \"%.60s\"", path, key, *p);
}

static enum voco_err
parse_directions(const char *path, const char *value, struct nrrd *n)
{
    for (const char *p = value; *p != '\0'; p += strspn(p, " \t")) {
        enum voco_err err = VOCO_OK;

        if (n->n_axis == DIMS_MAX)
            return voco_fail(VOCO_EFORMAT, "%s: more than %d space directions", path,
                             DIMS_MAX);
        n->spatial[n->n_axis] = strncmp(p, "none", 4) != 0;
        if (n->spatial[n->n_axis])
            err = parse_vector(path, "space directions", &p, n->axis[n->n_axis]);
        else
            p += 4;
        if (err != VOCO_OK)
            return err;
        n->n_axis++;
    }
    return VOCO_OK;
}

/* "mm" "um" "" to millimetres each; a unit that is "", none or ??? is not known, and 1. */
static enum voco_err
parse_units(const char *path, const char *key, const char *value, int max, double *out)
{
    int n = 0;

    for (const char *p = value + strspn(value, " \t"); *p != '\0'; n++) {
        const bool quoted = *p == '"';
        const char *word = p + quoted;
        const int length = (int)strcspn(word, quoted ? "\"" : " \t");
        const bool silent = length == 0 || strncmp(word, "none", 4) == 0 ||
                            strncmp(word, "???", 3) == 0;

        p = word + length;
        p += *p == '"';
        p += strspn(p, " \t");
        if (n == max)
            return voco_fail(VOCO_EFORMAT, "%s: %s: more than %d units", path, key, max);
        out[n] = 1;
        if (!silent && !voco_length_unit(word, length, &out[n]))
            return voco_fail(VOCO_EFORMAT, "%s: %s: \"%.*s\" is no unit of length,"
                             " expected mm, cm, m, um or nm", path, key,
                             length < 40 ? length : 40, word);
    }
    return VOCO_OK;
}

static enum voco_err
parse_value(const char *path, enum voco_nrrd_field field, const char *value,
            struct nrrd *n)
{
    const char *key = voco_nrrd_name(field), *p = value;

    switch (field) {
    case VOCO_NRRD_DIMENSION:
        return parse_one(path, key, value, &n->dimension);
    case VOCO_NRRD_SIZES:
        return voco_parse_ints(path, key, value, DIMS_MAX, n->size, &n->n_size);
    case VOCO_NRRD_SPACINGS:
        return voco_parse_reals(path, key, value, DIMS_MAX, n->spacing, &n->n_spacing);
    case VOCO_NRRD_LINE_SKIP:
        return parse_one(path, key, value, &n->line_skip);
    case VOCO_NRRD_BYTE_SKIP:
        return parse_one(path, key, value, &n->byte_skip);
    case VOCO_NRRD_SPACE_DIRECTIONS:
        return parse_directions(path, value, n);
    case VOCO_NRRD_SPACE_ORIGIN:
        n->has_origin = strcasecmp(value, "none") != 0;
        return n->has_origin ? parse_vector(path, key, &p, n->origin) : VOCO_OK;
    case VOCO_NRRD_SPACE_UNITS:
        return parse_units(path, key, value, 3, n->space_mm);
    default:
        return VOCO_OK;                 /* words, looked at where they count */
    }
}

static enum voco_err
parse_values(const char *path, struct nrrd *n)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < 3; i++)
        n->space_mm[i] = 1;
    for (int i = 0; i < DIMS_MAX; i++)
        n->axis_mm[i] = 1;
    for (int i = 0; i < VOCO_NRRD_USED && err == VOCO_OK; i++)
        if (n->head->value[i] != NULL)
            err = parse_value(path, (enum voco_nrrd_field)i, n->head->value[i], n);
    return err;
}

/* Voxels that cannot be read are refused for that, before anything is missed that only
 * other encodings need. */
static enum voco_err
choose_encoding(const char *path, const struct nrrd *n, struct voco_source *src)
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
choose_element(const char *path, const struct nrrd *n, struct voco_source *src)
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

/* Where there are no directions, kinds say which axes lie in space: 1, 0, or -1 where
 * they say nothing. */
static int
kind_in_space(const char *kinds, int axis)
{
    static const char *const NAME[] = {"domain", "space", "none", "???"};
    const char *p = kinds != NULL ? kinds + strspn(kinds, " \t") : "";

    for (; *p != '\0' && axis > 0; axis--) {
        p += strcspn(p, " \t");
        p += strspn(p, " \t");
    }
    for (int i = 0; i < 4; i++) {
        const size_t n = strlen(NAME[i]);

        if (strncasecmp(p, NAME[i], n) == 0 && strcspn(p, " \t") == n)
            return i < 2 ? 1 : -1;
    }
    return *p != '\0' ? 0 : -1;
}

/* The three axes of the volume; any other one must have size 1. */
static enum voco_err
choose_axes(const char *path, const struct nrrd *n, int axis[3])
{
    const char *kinds = n->head->value[VOCO_NRRD_KINDS];
    int found = 0;

    if (n->dimension < 3 || n->dimension > DIMS_MAX)
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
check_spacings(const char *path, const struct nrrd *n, const int axis[3])
{
    const char *const *value = n->head->value;

    if (n->n_axis == 0 && n->n_spacing == 0 && value[VOCO_NRRD_AXIS_MINS] != NULL &&
        value[VOCO_NRRD_AXIS_MAXS] != NULL)
        return voco_fail(VOCO_EFORMAT, "%s: the spacing follows from axis mins and axis"
                         " maxs alone, which is not supported; write it as spacings",
                         path);
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

/* Fields that are known and not obeyed. */
static void
warn_of_assumptions(const char *path, const struct nrrd *n)
{
    const char *const *value = n->head->value;

    if (n->n_axis == 0 && n->n_spacing == 0)
        voco_warn_once("%s: neither space directions nor spacings: 1 mm assumed", path);
    if (n->n_axis == 0 && !n->has_origin &&
        (value[VOCO_NRRD_AXIS_MINS] != NULL || value[VOCO_NRRD_AXIS_MAXS] != NULL))
        voco_warn_once("%s: axis mins and axis maxs are not obeyed: the origin is taken"
                       " as 0", path);
    if (value[VOCO_NRRD_OLD_MIN] != NULL || value[VOCO_NRRD_OLD_MAX] != NULL)
        voco_warn_once("%s: old min and old max are not applied: voxels are taken as they"
                       " are stored", path);
}

static enum voco_err
choose_affine(const char *path, struct nrrd *n, struct voco_source *src)
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
        err = parse_units(path, "units", units, DIMS_MAX, n->axis_mm);
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
        src->affine[j][3] = n->has_origin ? turn[j] * n->origin[j] * n->space_mm[j] : 0;
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
choose_place(const struct voco_headtext *t, const struct nrrd *n, struct voco_source *src)
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
    struct nrrd n = {.head = &head};
    struct voco_headtext t;
    enum voco_err err;

    *ret = (struct voco_source){.format = "NRRD", .slope = 1, .n_volumes = 1};
    err = voco_headtext_open(&t, path);
    if (err != VOCO_OK)
        return err;
    if ((err = voco_nrrd_head_read(&t, &head)) == VOCO_OK &&
        (err = parse_values(path, &n)) == VOCO_OK &&
        (err = choose_encoding(path, &n, ret)) == VOCO_OK &&
        (err = choose_element(path, &n, ret)) == VOCO_OK &&
        (err = choose_affine(path, &n, ret)) == VOCO_OK)
        err = choose_place(&t, &n, ret);
    voco_headtext_close(&t);
    return err;
}
