/* Transform options read back from the JSON that voco_transform_options writes. */
#include <jansson.h>
#include <string.h>

#include "data/transform.h"

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
