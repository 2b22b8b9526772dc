/* Transform options as JSON, and back from it. */
#include "data/transform/transform_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
voco_sizes_set(const int64_t dim[3])
{
    return dim[0] > 0 || dim[1] > 0 || dim[2] > 0;
}

/* ---- there: a failed allocation leaves NULL, found when the text is made ---- */

json_t *
voco_json_reals(const double *x, int n)
{
    json_t *a = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_real(x[i]));
    return a;
}

json_t *
voco_json_integers(const int64_t x[3])
{
    return json_pack("[I,I,I]", (json_int_t)x[0], (json_int_t)x[1], (json_int_t)x[2]);
}

json_t *
voco_json_matrix(const double m[4][4])
{
    return json_pack("[o,o,o]", voco_json_reals(m[0], 4), voco_json_reals(m[1], 4),
                     voco_json_reals(m[2], 4));
}

bool
voco_transform_moves(const struct voco_transform *t)
{
    return t->into[0] != 0 || t->into[1] != 0;
}

bool
voco_transform_is_unbounded(const struct voco_transform *t)
{
    return t->scaling == VOCO_SCALING_NORMALIZE || t->scaling == VOCO_SCALING_STANDARDIZE
        || voco_transform_moves(t);
}

json_t *
voco_transform_json(const struct voco_transform *t)
{
    json_t *o = json_pack("{s:b, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:b, s:o}",
                          "orient", t->orient,
                          "spacing", voco_json_reals(t->spacing_mm, 3),
                          "scaling", voco_scaling_name[t->scaling],
                          "window", voco_json_reals(t->window, 2),
                          "foreground", voco_foreground_name[t->foreground],
                          "pad-first", voco_json_integers(t->pad_first),
                          "resize", voco_json_integers(t->resize),
                          "pad", voco_json_integers(t->pad),
                          "keep-intensity", t->keep_intensity,
                          "nan-to", t->replace_nonfinite ? json_real(t->nonfinite_value)
                                                         : json_null());

    /* Absent unless set, so that stores without them keep their hash. */
    if (voco_transform_moves(t))
        json_object_set_new(o, "into", voco_json_reals(t->into, 2));
    if (voco_sizes_set(t->multiple))
        json_object_set_new(o, "foreground-multiple", voco_json_integers(t->multiple));
    if (t->all_channels)
        json_object_set_new(o, "channel", json_string("all"));
    if (t->labels)
        json_object_set_new(o, "labels", json_string(t->labels));
    return o;
}

char *
voco_transform_options(const struct voco_transform *t)
{
    json_t *o = voco_transform_json(t);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    json_decref(o);
    return text;
}

/* A JSON value as a person would give it on the command line. */
static void
plain(const json_t *value, char *text, size_t n)
{
    size_t used = 0;

    text[0] = '\0';
    if (json_is_array(value))
        for (size_t i = 0; i < json_array_size(value) && used + 32 < n; i++)
            used += (size_t)snprintf(text + used, n - used, "%s%.9g", i ? "," : "",
                                     json_number_value(json_array_get(value, i)));
    else if (json_is_number(value))
        snprintf(text, n, "%.9g", json_number_value(value));
    else if (json_is_string(value))
        snprintf(text, n, "%s", json_string_value(value));
    else
        snprintf(text, n, "%s", json_is_true(value) ? "yes" : "no");
}

bool
voco_transform_same(const char *json, const struct voco_transform *t,
                    char *what, size_t what_n)
{
    json_t *stored = json_loads(json ? json : "", 0, NULL);
    json_t *now = voco_transform_json(t), *value;
    json_t *then = json_object_get(stored, "options");
    const char *key;
    char a[128], b[128];
    bool same = then && now;

    if (!same)
        snprintf(what, what_n, "the store does not say with which options it was made");
    json_object_foreach(then, key, value)
        if (same && !json_object_get(now, key))
            json_object_set_new(now, key, json_null());
    json_object_foreach(now, key, value) {
        json_t *old = json_object_get(then, key);

        if (!same || json_equal(old, value))
            continue;
        plain(old, a, sizeof a);
        plain(value, b, sizeof b);
        snprintf(what, what_n, "--%s was %s, now %s", key, a, b);
        same = false;
    }
    json_decref(stored);
    json_decref(now);
    return same;
}

/* ---- and back ---- */

static bool
read_reals(const json_t *a, double *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(a, i)))
            return false;
        ret[i] = json_number_value(json_array_get(a, i));
    }
    return json_array_size(a) == n;
}

static bool
read_sizes(const json_t *a, int64_t ret[3])
{
    for (size_t i = 0; i < 3; i++) {
        const json_int_t x = json_integer_value(json_array_get(a, i));

        if (!json_is_integer(json_array_get(a, i)) || x < 0 || x > 4096)
            return false;
        ret[i] = x;
    }
    return json_array_size(a) == 3;
}

/* The place of a word in a NULL-terminated list, or -1. */
static int
read_choice(const json_t *word, const char *const *names)
{
    for (int i = 0; json_is_string(word) && names[i]; i++)
        if (strcmp(json_string_value(word), names[i]) == 0)
            return i;
    return -1;
}

/* NULL, or the key whose value is no good. */
static const char *
read_all(const json_t *o, struct voco_transform *t)
{
    const json_t *nan_to = json_object_get(o, "nan-to");
    int choice;

    t->orient = json_is_true(json_object_get(o, "orient"));
    t->keep_intensity = json_is_true(json_object_get(o, "keep-intensity"));
    t->all_channels = json_object_get(o, "channel") != NULL;
    if (!read_reals(json_object_get(o, "spacing"), t->spacing_mm, 3))
        return "spacing";
    for (int i = 0; i < 3; i++)
        if (!(t->spacing_mm[i] >= 0 && t->spacing_mm[i] <= 100))
            return "spacing";
    if ((choice = read_choice(json_object_get(o, "scaling"), voco_scaling_name)) < 0)
        return "scaling";
    t->scaling = (enum voco_scaling)choice;
    if (!read_reals(json_object_get(o, "window"), t->window, 2))
        return "window";
    if (json_object_get(o, "into")
        && (!read_reals(json_object_get(o, "into"), t->into, 2) || t->into[0] == t->into[1]))
        return "into";
    if ((choice = read_choice(json_object_get(o, "foreground"), voco_foreground_name)) < 0)
        return "foreground";
    t->foreground = (enum voco_foreground)choice;
    if (json_object_get(o, "foreground-multiple")
        && !read_sizes(json_object_get(o, "foreground-multiple"), t->multiple))
        return "foreground-multiple";
    if (!read_sizes(json_object_get(o, "pad-first"), t->pad_first))
        return "pad-first";
    if (!read_sizes(json_object_get(o, "resize"), t->resize))
        return "resize";
    if (!read_sizes(json_object_get(o, "pad"), t->pad))
        return "pad";
    if (nan_to && !json_is_null(nan_to)) {
        if (!json_is_number(nan_to))
            return "nan-to";
        t->replace_nonfinite = true;
        t->nonfinite_value = json_number_value(nan_to);
    }
    return NULL;
}

enum voco_err
voco_transform_parse(const char *json, struct voco_transform *ret)
{
    json_t *o = json_loads(json, 0, NULL);
    const char *key;

    *ret = (struct voco_transform){ .orient = false };
    key = json_is_object(o) ? read_all(o, ret) : "the whole";
    json_decref(o);
    return key ? voco_fail(VOCO_EFORMAT, "transform options that cannot be read: %s", key)
               : VOCO_OK;
}

enum voco_err
voco_transform_of_report(const char *report, struct voco_transform *ret)
{
    json_t *root = json_loads(report, 0, NULL);
    char *options = json_dumps(json_object_get(root, "options"), JSON_COMPACT);
    const enum voco_err err = options ? voco_transform_parse(options, ret)
        : voco_fail(VOCO_EFORMAT, "transforms without options");

    free(options);
    json_decref(root);
    return err;
}
