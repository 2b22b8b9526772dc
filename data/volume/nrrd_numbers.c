/* The fields of an NRRD header as numbers.
 * Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html. */
#include "data/volume/nrrd_numbers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/volume/unit.h"

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
parse_directions(const char *path, const char *value, struct voco_nrrd *n)
{
    for (const char *p = value; *p != '\0'; p += strspn(p, " \t")) {
        enum voco_err err = VOCO_OK;

        if (n->n_axis == VOCO_NRRD_DIMS)
            return voco_fail(VOCO_EFORMAT, "%s: more than %d space directions", path,
                             VOCO_NRRD_DIMS);
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

enum voco_err
voco_nrrd_units(const char *path, const char *key, const char *value, int max, double *out)
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
            struct voco_nrrd *n)
{
    const char *key = voco_nrrd_name(field), *p = value;

    switch (field) {
    case VOCO_NRRD_DIMENSION:
        return parse_one(path, key, value, &n->dimension);
    case VOCO_NRRD_SIZES:
        return voco_parse_ints(path, key, value, VOCO_NRRD_DIMS, n->size, &n->n_size);
    case VOCO_NRRD_SPACINGS:
        return voco_parse_reals(path, key, value, VOCO_NRRD_DIMS, n->spacing, &n->n_spacing);
    case VOCO_NRRD_AXIS_MINS:
        return voco_parse_reals(path, key, value, VOCO_NRRD_DIMS, n->min, &n->n_min);
    case VOCO_NRRD_AXIS_MAXS:
        return voco_parse_reals(path, key, value, VOCO_NRRD_DIMS, n->max, &n->n_max);
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
        return voco_nrrd_units(path, key, value, 3, n->space_mm);
    default:
        return VOCO_OK;                 /* words, looked at where they count */
    }
}

enum voco_err
voco_nrrd_numbers(const char *path, struct voco_nrrd *n)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < 3; i++)
        n->space_mm[i] = 1;
    for (int i = 0; i < VOCO_NRRD_DIMS; i++)
        n->axis_mm[i] = 1;
    for (int i = 0; i < VOCO_NRRD_USED && err == VOCO_OK; i++)
        if (n->head->value[i] != NULL)
            err = parse_value(path, (enum voco_nrrd_field)i, n->head->value[i], n);
    return err;
}
