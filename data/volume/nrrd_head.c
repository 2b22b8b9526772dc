/* The lines of an NRRD header, by the format's whole table of fields.
 * Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html. */
#include "data/volume/nrrd_head.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "data/volume/once.h"

/* The blanks of a name may be missing: "spaceorigin". */
static const struct {
    const char *name, *other;
} FIELD[] = {
    [VOCO_NRRD_TYPE] = {"type", NULL},
    [VOCO_NRRD_ENCODING] = {"encoding", NULL},
    [VOCO_NRRD_ENDIAN] = {"endian", NULL},
    [VOCO_NRRD_DIMENSION] = {"dimension", NULL},
    [VOCO_NRRD_SIZES] = {"sizes", NULL},
    [VOCO_NRRD_SPACINGS] = {"spacings", NULL},
    [VOCO_NRRD_UNITS] = {"units", NULL},
    [VOCO_NRRD_KINDS] = {"kinds", NULL},
    [VOCO_NRRD_SPACE] = {"space", NULL},
    [VOCO_NRRD_SPACE_DIMENSION] = {"space dimension", NULL},
    [VOCO_NRRD_SPACE_DIRECTIONS] = {"space directions", NULL},
    [VOCO_NRRD_SPACE_ORIGIN] = {"space origin", NULL},
    [VOCO_NRRD_SPACE_UNITS] = {"space units", NULL},
    [VOCO_NRRD_AXIS_MINS] = {"axis mins", NULL},
    [VOCO_NRRD_AXIS_MAXS] = {"axis maxs", NULL},
    [VOCO_NRRD_CENTERS] = {"centers", "centerings"},
    [VOCO_NRRD_OLD_MIN] = {"old min", NULL},
    [VOCO_NRRD_OLD_MAX] = {"old max", NULL},
    [VOCO_NRRD_LINE_SKIP] = {"line skip", NULL},
    [VOCO_NRRD_BYTE_SKIP] = {"byte skip", NULL},
    [VOCO_NRRD_DATA_FILE] = {"data file", NULL},
    /* The following fields change neither the voxels nor their places. */
    {"content", NULL}, {"number", NULL}, {"block size", NULL}, {"thicknesses", NULL},
    {"labels", NULL}, {"measurement frame", NULL},
    {"min", NULL}, {"max", NULL}, {"sample units", NULL}
};
enum { FIELDS = sizeof FIELD / sizeof *FIELD };

const char *
voco_nrrd_name(enum voco_nrrd_field field)
{
    return FIELD[field].name;
}

/* Letters in either case, blanks anywhere. */
static bool
is_spelling(const char *key, const char *name)
{
    for (;;) {
        key += strspn(key, " \t");
        name += strspn(name, " ");
        if (*key == '\0' || tolower((unsigned char)*key) != *name)
            return *key == *name;
        key++;
        name++;
    }
}

/* -1: not in the table. */
static int
field_of(const char *key)
{
    for (int i = 0; i < FIELDS; i++)
        if (is_spelling(key, FIELD[i].name) ||
            (FIELD[i].other != NULL && is_spelling(key, FIELD[i].other)))
            return i;
    return -1;
}

static enum voco_err
take(const char *path, const char *key, const char *value, const char *seen[FIELDS])
{
    const int i = field_of(key);

    if (i < 0)
        voco_warn_once("%s: \"%.60s\" is no field of NRRD and is left out of account",
                       path, key);
    else if (seen[i] == NULL)
        seen[i] = value;
    else if (!voco_headtext_same(seen[i], value))
        return voco_fail(VOCO_EFORMAT, "%s: the field %s comes twice, with \"%.60s\" and"
                         " \"%.60s\"; remove the wrong one", path, FIELD[i].name,
                         seen[i], value);
    return VOCO_OK;
}

static bool
begins_list(const char *data_file)
{
    return data_file != NULL && strncmp(data_file, "LIST", 4) == 0 &&
           (data_file[4] == '\0' || isblank((unsigned char)data_file[4]));
}

/* "field: value", "key:=value" or "# comment" up to an empty line; a detached header may
 * also just end. */
static enum voco_err
read_lines(struct voco_headtext *t, const char *seen[FIELDS])
{
    char *line;
    enum voco_err err = VOCO_OK;

    while (err == VOCO_OK && (line = voco_headtext_line(t)) != NULL) {
        char *colon = strchr(line, ':');

        if (*line == '\0')
            return VOCO_OK;
        if (*line == '#' || (colon != NULL && colon[1] == '='))
            continue;
        if (colon == NULL)
            return voco_fail(VOCO_EFORMAT, "%s: expected a line \"field: value\", found"
                             " \"%.40s\"", t->path, line);
        *colon = '\0';
        err = take(t->path, voco_trim(line), voco_trim(colon + 1), seen);
        if (begins_list(seen[VOCO_NRRD_DATA_FILE]))
            return err;                         /* file names follow, one a line */
    }
    if (err == VOCO_OK && seen[VOCO_NRRD_DATA_FILE] == NULL)
        return voco_fail(VOCO_EFORMAT, "%s: truncated: the header has no end (an empty"
                         " line)", t->path);
    return err;
}

enum voco_err
voco_nrrd_head_read(struct voco_headtext *t, struct voco_nrrd_head *ret)
{
    const char *seen[FIELDS] = {NULL};
    const char *magic = voco_headtext_line(t);
    enum voco_err err;

    if (magic == NULL || strncmp(magic, "NRRD000", 7) != 0 || magic[7] < '1' ||
        magic[7] > '5')
        return voco_fail(VOCO_EFORMAT, "%s: NRRD version \"%.12s\", expected NRRD0001 to"
                         " NRRD0005", t->path, magic != NULL ? magic : "");
    err = read_lines(t, seen);
    memcpy(ret->value, seen, sizeof ret->value);
    return err;
}
