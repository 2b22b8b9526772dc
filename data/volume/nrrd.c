/* NRRD, attached (.nrrd) and detached (.nhdr).
 * Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "data/volume/headtext.h"
#include "data/volume/source.h"

enum { DIMS_MAX = 16 };

struct nrrd {
    int64_t dimension, size[DIMS_MAX], line_skip, byte_skip;
    int n_size, n_spacing, n_axis;
    double spacing[DIMS_MAX];
    double axis[DIMS_MAX][3];           /* space directions */
    bool spatial[DIMS_MAX];             /* has a direction; false: "none" */
    double origin[3];
    bool has_origin;
    const char *type, *encoding, *endian, *space, *file;    /* into the header text */
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

/* Fields that are not named here do not change what the voxels are. */
static enum voco_err
take(const char *path, const char *key, char *value, struct nrrd *n)
{
    const char *p = value;

    if (strcasecmp(key, "dimension") == 0)
        return parse_one(path, key, value, &n->dimension);
    if (strcasecmp(key, "sizes") == 0)
        return voco_parse_ints(path, key, value, DIMS_MAX, n->size, &n->n_size);
    if (strcasecmp(key, "spacings") == 0)
        return voco_parse_reals(path, key, value, DIMS_MAX, n->spacing, &n->n_spacing);
    if (strcasecmp(key, "line skip") == 0 || strcasecmp(key, "lineskip") == 0)
        return parse_one(path, key, value, &n->line_skip);
    if (strcasecmp(key, "byte skip") == 0 || strcasecmp(key, "byteskip") == 0)
        return parse_one(path, key, value, &n->byte_skip);
    if (strcasecmp(key, "space directions") == 0)
        return parse_directions(path, value, n);
    if (strcasecmp(key, "space origin") == 0) {
        n->has_origin = true;
        return parse_vector(path, key, &p, n->origin);
    }
    if (strcasecmp(key, "type") == 0)
        n->type = value;
    else if (strcasecmp(key, "encoding") == 0)
        n->encoding = value;
    else if (strcasecmp(key, "endian") == 0)
        n->endian = value;
    else if (strcasecmp(key, "space") == 0)
        n->space = value;
    else if (strcasecmp(key, "data file") == 0 || strcasecmp(key, "datafile") == 0)
        n->file = value;
    return VOCO_OK;
}

/* Magic, then "field: value", "key:=value" or "# comment" up to an empty line; a detached
 * header may also just end. */
static enum voco_err
parse_lines(struct voco_headtext *t, struct nrrd *n)
{
    char *line = voco_headtext_line(t);
    enum voco_err err = VOCO_OK;
    bool complete = false;

    if (line == NULL || strncmp(line, "NRRD000", 7) != 0 || line[7] < '1' ||
        line[7] > '5')
        return voco_fail(VOCO_EFORMAT, "%s: NRRD version \"%.12s\", expected NRRD0001 to"
                         " NRRD0005", t->path, line != NULL ? line : "");
    while (err == VOCO_OK && (line = voco_headtext_line(t)) != NULL) {
        char *colon = strchr(line, ':');

        if (*line == '\0') {
            complete = true;
            break;
        }
        if (*line == '#' || (colon != NULL && colon[1] == '='))
            continue;
        if (colon == NULL)
            return voco_fail(VOCO_EFORMAT, "%s: expected a line \"field: value\", found"
                             " \"%.40s\"", t->path, line);
        *colon = '\0';
        err = take(t->path, voco_trim(line), voco_trim(colon + 1), n);
    }
    if (err == VOCO_OK && !complete && n->file == NULL)
        return voco_fail(VOCO_EFORMAT, "%s: truncated: the header has no end (an empty"
                         " line)", t->path);
    return err;
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
    const char *type = n->type != NULL ? n->type : "missing";
    char *barred = voco_format("|%s|", type);
    bool found = false;

    for (size_t i = 0; strchr(type, '|') == NULL && i < sizeof TYPE / sizeof *TYPE; i++)
        if (strstr(TYPE[i].names, barred) != NULL) {
            src->element = TYPE[i].element;
            found = true;
        }
    free(barred);
    if (!found)
        return voco_fail(VOCO_EFORMAT, "%s: type is %.40s, expected short, float or"
                         " another number type", path, type);
    if (voco_element_bytes(src->element) == 1)
        return VOCO_OK;
    if (n->endian == NULL || (strcasecmp(n->endian, "little") != 0 &&
                              strcasecmp(n->endian, "big") != 0))
        return voco_fail(VOCO_EFORMAT, "%s: endian is %.40s, expected little or big",
                         path, n->endian != NULL ? n->endian : "missing");
    src->big_endian = strcasecmp(n->endian, "big") == 0;
    return VOCO_OK;
}

/* The three axes of the volume; any other one must have size 1. */
static enum voco_err
choose_axes(const char *path, const struct nrrd *n, int axis[3])
{
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
        if (n->n_axis != 0 ? n->spatial[i] : found < 3) {
            if (found == 3)
                return voco_fail(VOCO_EFORMAT, "%s: more than three space directions",
                                 path);
            axis[found++] = i;
        } else if (n->size[i] != 1)
            return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 "-D: axis %d holds %" PRId64
                             " values (RGB, a vector or time points), expected one", path,
                             n->dimension, i, n->size[i]);
    }
    if (found != 3)
        return voco_fail(VOCO_EFORMAT, "%s: %d space directions, expected 3", path,
                         found);
    return VOCO_OK;
}

/* Signs that turn the file's space into RAS.  Without a space the common readers assume
 * LPS, and so do we. */
static enum voco_err
choose_space(const char *path, const char *space, double turn[3])
{
    static const struct {
        const char *name, *brief;
        double turn[3];
    } SPACE[] = {
        {"right-anterior-superior", "RAS", {1, 1, 1}},
        {"left-anterior-superior", "LAS", {-1, 1, 1}},
        {"left-posterior-superior", "LPS", {-1, -1, 1}}
    };

    if (space == NULL)
        space = "LPS";
    for (size_t i = 0; i < sizeof SPACE / sizeof *SPACE; i++)
        if (strcasecmp(space, SPACE[i].name) == 0 ||
            strcasecmp(space, SPACE[i].brief) == 0) {
            memcpy(turn, SPACE[i].turn, sizeof SPACE[i].turn);
            return VOCO_OK;
        }
    return voco_fail(VOCO_EFORMAT, "%s: space is %.60s, expected RAS, LAS or LPS (or"
                     " their long names)", path, space);
}

static enum voco_err
choose_affine(const char *path, const struct nrrd *n, struct voco_source *src)
{
    double turn[3];
    int axis[3];
    enum voco_err err = choose_axes(path, n, axis);

    if (err == VOCO_OK)
        err = choose_space(path, n->space, turn);
    if (err != VOCO_OK)
        return err;
    if (n->n_axis == 0 && n->n_spacing == 0)
        voco_note("%s: neither space directions nor spacings: 1 mm assumed", path);
    for (int j = 0; j < 3; j++) {
        src->dim[j] = n->size[axis[j]];
        for (int i = 0; i < 3; i++) {
            const double plain = i != j ? 0 : n->n_spacing != 0 ? n->spacing[axis[j]] : 1;
            const double along = n->n_axis != 0 ? n->axis[axis[j]][i] : plain;

            src->affine[i][j] = turn[i] * along;
        }
        src->affine[j][3] = n->has_origin ? turn[j] * n->origin[j] : 0;
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
    const char *encoding = n->encoding != NULL ? n->encoding : "missing";

    if (strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "gz") == 0)
        src->packing = VOCO_PACKED;
    else if (strcasecmp(encoding, "raw") != 0)
        return voco_fail(VOCO_EFORMAT, "%s: encoding is %.40s, expected raw or gzip",
                         t->path, encoding);
    if (n->file == NULL) {
        src->path = voco_format("%s", t->path);
        src->offset = (int64_t)t->at;
    } else {
        if (strncasecmp(n->file, "LIST", 4) == 0 || strchr(n->file, '%') != NULL)
            return voco_fail(VOCO_EFORMAT, "%s: data file: %.60s: several data files are"
                             " not supported", t->path, n->file);
        src->path = voco_sibling(t->path, n->file);
        if (!voco_file_exists(src->path))
            return voco_fail(VOCO_EFORMAT, "%s: the voxels should be in %s, which is not"
                             " there", t->path, src->path);
    }
    if (n->line_skip < 0 || n->byte_skip < -1 ||
        (n->byte_skip == -1 && src->packing == VOCO_PACKED))
        return voco_fail(VOCO_EFORMAT, "%s: line skip %" PRId64 ", byte skip %" PRId64
                         " with encoding %s", t->path, n->line_skip, n->byte_skip,
                         encoding);
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
    struct nrrd n = {0};
    struct voco_headtext t;
    enum voco_err err;

    *ret = (struct voco_source){.format = "NRRD", .slope = 1, .n_volumes = 1};
    err = voco_headtext_open(&t, path);
    if (err != VOCO_OK)
        return err;
    if ((err = parse_lines(&t, &n)) == VOCO_OK &&
        (err = choose_element(path, &n, ret)) == VOCO_OK &&
        (err = choose_affine(path, &n, ret)) == VOCO_OK)
        err = choose_place(&t, &n, ret);
    voco_headtext_close(&t);
    return err;
}
