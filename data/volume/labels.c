/* Label maps: rules as text, applied to volumes. */
#include "data/volume/labels.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { SHOWN = 8, UNSET = -2 };

/* ---- rules ---- */

/* A number from 0 to VOCO_LABEL_MAX at *at, which moves behind it; -1 if there is none. */
static int
number(const char **at)
{
    long value = 0;
    int digits = 0;

    for (; digits < 6 && isdigit((unsigned char)**at); (*at)++, digits++)
        value = 10 * value + (**at - '0');
    return digits == 0 || value > VOCO_LABEL_MAX ? -1 : (int)value;
}

static enum voco_err
wrong_rule(const char *rule, const char *why)
{
    return voco_fail(VOCO_EUSAGE, "rule '%.*s' of the label map: %s; expected VALUE, "
                     "FIRST-LAST, VALUE:CLASS, FIRST-LAST:CLASS, *:CLASS or any, with "
                     "numbers from 0 to %d", (int)strcspn(rule, ","), rule, why,
                     VOCO_LABEL_MAX);
}

/* One rule at *at, which moves behind it. */
static enum voco_err
take_rule(struct voco_label_map *m, const char **at)
{
    const char *rule = *at;
    const bool others = **at == '*';
    int first, last, to = -1;

    if (others)
        (*at)++;
    first = last = others ? 0 : number(at);
    if (first < 0)
        return wrong_rule(rule, "no value");
    if (!others && **at == '-') {
        (*at)++;
        last = number(at);
        if (last < first)
            return wrong_rule(rule, "no range");
    }
    if (**at == ':') {
        (*at)++;
        if ((to = number(at)) < 0)
            return wrong_rule(rule, "no class");
    }
    if ((**at && **at != ',') || (others && to < 0))
        return wrong_rule(rule, "not understood");
    if (others && m->others != UNSET)
        return wrong_rule(rule, "a second rule for all other values");
    if (others) {
        m->others = to;
        return VOCO_OK;
    }
    for (int v = first; v <= last; v++) {
        if (m->to[v] != UNSET)
            return wrong_rule(rule, "a value that another rule names, too");
        m->to[v] = to < 0 ? v : to;
    }
    return VOCO_OK;
}

enum voco_err
voco_label_map_parse(const char *text, struct voco_label_map *ret)
{
    const bool any = strcmp(text, "any") == 0;
    enum voco_err err = VOCO_OK;

    for (int v = 0; v <= VOCO_LABEL_MAX; v++)
        ret->to[v] = any ? v : UNSET;
    ret->others = any ? VOCO_LABEL_UNKNOWN : UNSET;
    while (!any && !err) {
        err = take_rule(ret, &text);
        if (*text != ',')
            break;
        text++;
    }
    if (ret->others == UNSET)
        ret->others = VOCO_LABEL_UNKNOWN;
    for (int v = 0; v <= VOCO_LABEL_MAX; v++)
        if (ret->to[v] == UNSET)
            ret->to[v] = ret->others;
    return err;
}

/* ---- volumes ---- */

/* The class of a voxel; *ret_value is its value as a whole number.  Values are exact up
 * to what a file's slope and intercept round off. */
static int32_t
class_of(const struct voco_label_map *m, float voxel, double *ret_value)
{
    const double whole = nearbyint(voxel);

    *ret_value = voxel;
    if (!(fabs(voxel - whole) <= 1e-3))         /* NaN and infinity, too */
        return VOCO_LABEL_UNKNOWN;
    *ret_value = whole;
    return whole < 0 || whole > VOCO_LABEL_MAX ? m->others : m->to[(int)whole];
}

/* Unknown values in the order in which they were met. */
struct unknown {
    double value[SHOWN];
    int64_t voxels[SHOWN];
    int n;
    bool more;
};

static void
note_unknown(struct unknown *u, double value)
{
    int i = 0;

    while (i < u->n && u->value[i] != value && !(isnan(value) && isnan(u->value[i])))
        i++;
    if (i == SHOWN) {
        u->more = true;
        return;
    }
    if (i == u->n) {
        u->value[u->n] = value;
        u->voxels[u->n++] = 0;
    }
    u->voxels[i]++;
}

static enum voco_err
fail_unknown(const struct unknown *u)
{
    char list[SHOWN * 48];
    size_t used = 0;

    for (int i = 0; i < u->n; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%g (%" PRId64
                                 " voxels)", i ? ", " : "", u->value[i], u->voxels[i]);
    return voco_fail(VOCO_EFORMAT, "label values that the label map does not name: %s%s",
                     list, u->more ? ", and more" : "");
}

enum voco_err
voco_class_names_parse(const char *text, char **ret_text, const char ***ret, int *ret_n)
{
    int n = 1;
    char *at;

    for (const char *c = text; *c; c++)
        n += *c == ',';
    *ret_n = 0;
    *ret_text = at = voco_format("%s", text);
    *ret = calloc((size_t)n, sizeof **ret);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "no memory for the names of %d classes", n);
    if (n > VOCO_LABEL_MAX + 1)
        return voco_fail(VOCO_EUSAGE, "%d names, there are at most %d classes", n,
                         VOCO_LABEL_MAX + 1);
    while (*ret_n < n) {
        char *const name = at;
        const size_t length = strcspn(at, ",");

        if (length == 0)
            return voco_fail(VOCO_EUSAGE, "a name is empty in '%s'", text);
        at += length + 1;
        name[length] = '\0';
        (*ret)[(*ret_n)++] = name;
    }
    return VOCO_OK;
}

enum voco_err
voco_label_map_apply(const struct voco_label_map *m, struct voco_volume *v)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    struct unknown unknown = { .n = 0 };
    double value;

    for (int64_t i = 0; i < n; i++)
        if (class_of(m, v->voxel[i], &value) < 0)
            note_unknown(&unknown, value);
    if (unknown.n > 0)
        return fail_unknown(&unknown);
    for (int64_t i = 0; i < n; i++)
        v->voxel[i] = (float)class_of(m, v->voxel[i], &value);
    return VOCO_OK;
}

enum voco_err
voco_label_count(const struct voco_volume *v, struct voco_class_count **ret, int *ret_n)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    int64_t *voxels = calloc(VOCO_LABEL_MAX + 1, sizeof *voxels);
    int classes = 0;

    *ret = NULL;
    *ret_n = 0;
    for (int64_t i = 0; voxels && i < n; i++)
        classes += voxels[(int)v->voxel[i]]++ == 0;
    if (voxels)
        *ret = malloc(((size_t)classes + 1) * sizeof **ret);
    for (int c = 0; *ret && c <= VOCO_LABEL_MAX; c++)
        if (voxels[c])
            (*ret)[(*ret_n)++] = (struct voco_class_count){ c, voxels[c] };
    free(voxels);
    return *ret ? VOCO_OK : voco_fail(VOCO_EMEMORY, "no memory to count classes");
}
