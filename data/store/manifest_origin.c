/* Stamps and places of source files as JSON, and back. */
#include "data/store/manifest_origin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
voco_stamp_json(const struct voco_stamp *s)
{
    char crc[9];

    if (!s->known)
        return NULL;
    snprintf(crc, sizeof crc, "%08x", (unsigned)s->crc);
    return json_pack("{s:I,s:I,s:s}", "bytes", (json_int_t)s->bytes, "modified",
                     (json_int_t)s->modified_ns, "crc", crc);
}

/* Unused fields of a header may be any bits: NaN and infinity become 0. */
static void
append(json_t *a, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_real(isfinite(x[i]) ? x[i] : 0));
}

json_t *
voco_place_json(const struct voco_place *p)
{
    json_t *pixdim = json_array(), *qform = json_array(), *sform = json_array();

    if (!p->known) {
        json_decref(pixdim);
        json_decref(qform);
        json_decref(sform);
        return NULL;
    }
    append(pixdim, p->pixdim, 4);
    append(qform, p->quatern, 3);
    append(qform, p->qoffset, 3);
    for (int i = 0; i < 3; i++)
        append(sform, p->srow[i], 4);
    return json_pack("{s:i,s:o,s:i,s:o,s:i,s:o}", "units", p->units, "pixdim", pixdim,
                     "qform_code", p->qform_code, "qform", qform, "sform_code",
                     p->sform_code, "sform", sform);
}

static bool
take_integer(const json_t *o, const char *name, int64_t low, int64_t high, int64_t *ret)
{
    const json_t *v = json_object_get(o, name);

    *ret = json_integer_value(v);
    return json_is_integer(v) && *ret >= low && *ret <= high;
}

bool
voco_stamp_of_json(const json_t *o, struct voco_stamp *ret)
{
    const char *crc = json_string_value(json_object_get(o, "crc"));

    *ret = (struct voco_stamp){.known = o != NULL};
    if (o == NULL)
        return true;
    if (crc == NULL || strlen(crc) != 8 || strspn(crc, "0123456789abcdef") != 8)
        return false;
    ret->crc = (uint32_t)strtoul(crc, NULL, 16);
    return take_integer(o, "bytes", 0, INT64_MAX, &ret->bytes) &&
           take_integer(o, "modified", INT64_MIN, INT64_MAX, &ret->modified_ns);
}

static bool
take_reals(const json_t *o, const char *name, double *out, size_t n)
{
    const json_t *a = json_object_get(o, name);

    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(a, i)))
            return false;
        out[i] = json_number_value(json_array_get(a, i));
    }
    return json_array_size(a) == n;
}

bool
voco_place_of_json(const json_t *o, struct voco_place *ret)
{
    int64_t units, qform, sform;
    double q[6], s[12];

    *ret = (struct voco_place){.known = o != NULL};
    if (o == NULL)
        return true;
    if (!take_integer(o, "units", 0, 7, &units) ||
        !take_integer(o, "qform_code", INT16_MIN, INT16_MAX, &qform) ||
        !take_integer(o, "sform_code", INT16_MIN, INT16_MAX, &sform) ||
        !take_reals(o, "pixdim", ret->pixdim, 4) || !take_reals(o, "qform", q, 6) ||
        !take_reals(o, "sform", s, 12))
        return false;
    ret->units = (int)units;
    ret->qform_code = (int)qform;
    ret->sform_code = (int)sform;
    memcpy(ret->quatern, q, sizeof ret->quatern);
    memcpy(ret->qoffset, q + 3, sizeof ret->qoffset);
    memcpy(ret->srow, s, sizeof ret->srow);
    return true;
}
