/* nnU-Net's plans (version 2), as its documentation and files have them. */
#include "model/nnunet.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "model/model.h"

enum { INHERITED = 8 };

struct plans {
    const char *path;           /* for messages */
    json_t *root;               /* owned: the plans */
    json_t *dataset;            /* owned: dataset.json; may be NULL */
    const char *configuration;
};

static enum voco_err
wrong(const struct plans *p, const char *key, const char *expected)
{
    return voco_fail(VOCO_EFORMAT, "%s: plans: %s of %s: expected %s", p->path, key,
                     p->configuration, expected);
}

/* A key of the configuration, or of those that it inherits from. */
static json_t *
look_up(const struct plans *p, const char *key)
{
    json_t *all = json_object_get(p->root, "configurations");
    json_t *c = json_object_get(all, p->configuration);

    for (int i = 0; i < INHERITED && c; i++) {
        json_t *value = json_object_get(c, key);

        if (value)
            return value;
        c = json_object_get(all, json_string_value(json_object_get(c, "inherits_from")));
    }
    return NULL;
}

/* Three numbers, each above 0 and at most most. */
static bool
three(const json_t *list, double most, double ret[3])
{
    bool good = json_array_size(list) == 3;

    for (size_t i = 0; i < 3 && good; i++) {
        ret[i] = json_number_value(json_array_get(list, i));
        good = ret[i] > 0 && ret[i] <= most;
    }
    return good;
}

/* order[i]: axis of the volume that axis i of the network lies on. */
static enum voco_err
read_axes(const struct plans *p, int order[3], int *ret_axes)
{
    const json_t *forward = json_object_get(p->root, "transpose_forward");
    char name[4] = "";

    for (int i = 0; i < 3; i++) {
        const json_int_t axis = forward ? json_integer_value(json_array_get(forward, (size_t)i))
                                        : i;

        if (axis < 0 || axis > 2)
            return wrong(p, "transpose_forward", "0, 1 and 2 in some order");
        order[i] = 2 - (int)axis;
        name[i] = (char)('x' + order[i]);
    }
    for (int i = 0; voco_axes_name[i]; i++)
        if (strcmp(voco_axes_name[i], name) == 0) {
            *ret_axes = i;
            return VOCO_OK;
        }
    return wrong(p, "transpose_forward", "0, 1 and 2 in some order");
}

/* ---- intensities ---- */

/* mean, deviation and percentiles of the foreground of all training volumes */
static enum voco_err
read_fingerprint(const struct plans *p, struct voco_transform *t)
{
    static const char *const keys[] = { "mean", "std", "percentile_00_5",
                                        "percentile_99_5" };
    const json_t *all = json_object_get(p->root, "foreground_intensity_properties_per_channel");
    const json_t *first = json_object_get(all, "0");
    double x[4], deviation;

    for (int i = 0; i < 4; i++) {
        const json_t *value = json_object_get(first, keys[i]);

        if (!json_is_number(value))
            return wrong(p, "foreground_intensity_properties_per_channel",
                         "mean, std and percentiles of channel 0");
        x[i] = json_number_value(value);
    }
    if (!(x[2] < x[3]) || !(x[1] >= 0))
        return voco_fail(VOCO_EFORMAT, "%s: plans: intensities have the percentiles %g and "
                         "%g and deviation %g: nothing can be normalised by these", p->path,
                         x[2], x[3], x[1]);
    deviation = fmax(x[1], 1e-8);
    t->scaling = VOCO_SCALING_RANGE;
    t->window[0] = x[2];
    t->window[1] = x[3];
    t->into[0] = (x[2] - x[0]) / deviation;
    t->into[1] = (x[3] - x[0]) / deviation;
    if (deviation > x[3] - x[2] || x[0] < x[2] || x[0] > x[3])
        voco_warn("%s: the plans' intensity statistics cannot be true: 99 %% of the voxels "
                  "lie in %g..%g, but the mean is %g and the deviation %g.  All intensities "
                  "become %g..%g, nearly the same for the network.  It was trained so if it "
                  "was trained with these plans; else give --preset, --window", p->path,
                  x[2], x[3], x[0], x[1], t->into[0], t->into[1]);
    return VOCO_OK;
}

static enum voco_err
read_intensities(const struct plans *p, struct voco_transform *t)
{
    const json_t *schemes = look_up(p, "normalization_schemes");
    const json_t *masks = look_up(p, "use_mask_for_norm");
    const char *scheme = json_string_value(json_array_get(schemes, 0));
    const size_t n = json_array_size(schemes);

    if (!scheme)
        return wrong(p, "normalization_schemes", "a name for each channel");
    for (size_t i = 1; i < n; i++)
        if (!json_equal(json_array_get(schemes, 0), json_array_get(schemes, i))
            || !json_equal(json_array_get(masks, 0), json_array_get(masks, i))
            || strcmp(scheme, "CTNormalization") == 0)
            return voco_fail(VOCO_EUSAGE, "%s: plans: the channels are normalised each in "
                             "its own way, which voco cannot do: give --preset", p->path);
    if (strcmp(scheme, "CTNormalization") == 0)
        return read_fingerprint(p, t);
    if (strcmp(scheme, "ZScoreNormalization") == 0)
        t->scaling = json_is_true(json_array_get(masks, 0)) ? VOCO_SCALING_NORMALIZE
                                                            : VOCO_SCALING_STANDARDIZE;
    else if (strcmp(scheme, "NoNormalization") == 0)
        t->scaling = VOCO_SCALING_NONE;
    else
        return voco_fail(VOCO_EUSAGE, "%s: plans: %s: voco knows CTNormalization, "
                         "ZScoreNormalization and NoNormalization: give --preset", p->path,
                         scheme);
    return VOCO_OK;
}

/* ---- classes ---- */

/* labels {"background": 0, "liver": 1, ...}; left out where numbers have gaps */
static enum voco_err
read_classes(const struct plans *p, struct voco_seginfo *ret)
{
    json_t *labels = json_object_get(p->dataset, "labels"), *value;
    const size_t n = json_object_size(labels);
    char *name[VOCO_CLASSES_MAX] = { NULL };
    const char *key;
    size_t named = 0;

    json_object_foreach(labels, key, value) {
        const json_int_t k = json_integer_value(value);

        if (json_is_array(value) && json_array_size(value) > 1) {
            for (size_t i = 0; i < VOCO_CLASSES_MAX; i++)
                free(name[i]);
            return voco_fail(VOCO_EUSAGE, "%s: trained on regions (%.60s), whose outputs are "
                             "not classes of which one is chosen: voco cannot use it",
                             p->path, key);
        }
        if (json_is_integer(value) && k >= 0 && k < (json_int_t)n && k < VOCO_CLASSES_MAX
            && !name[k]) {
            name[k] = voco_format("%s", key);
            named++;
        }
    }
    if (n >= 2 && named == n) {
        ret->class_name = calloc(n, sizeof *ret->class_name);
        VOCO_NEED(ret->class_name);
        ret->n_classes = (int)n;
        memcpy(ret->class_name, name, n * sizeof *name);
    } else {
        for (size_t i = 0; i < VOCO_CLASSES_MAX; i++)
            free(name[i]);
    }
    return VOCO_OK;
}

/* ---- all of it ---- */

static enum voco_err
read_plans(const struct plans *p, struct voco_seginfo *ret, int *ret_axes)
{
    struct voco_transform *t = &ret->transform;
    double patch[3], mm[3];
    int order[3];
    enum voco_err err;

    if (!json_object_get(json_object_get(p->root, "configurations"), p->configuration))
        return voco_fail(VOCO_EFORMAT, "%s: plans without a configuration %s: see "
                         "--configuration", p->path, p->configuration);
    if (!three(look_up(p, "patch_size"), 4096, patch))
        return wrong(p, "patch_size", "three whole numbers");
    if (!three(look_up(p, "spacing"), 100, mm))
        return wrong(p, "spacing", "three lengths in mm");
    if ((err = read_axes(p, order, ret_axes)) != VOCO_OK)
        return err;
    *t = (struct voco_transform){ .foreground = VOCO_FOREGROUND_NONZERO };
    for (int i = 0; i < 3; i++) {
        if (patch[i] != floor(patch[i]))
            return wrong(p, "patch_size", "three whole numbers");
        ret->roi[order[i]] = (int64_t)patch[i];
        t->spacing_mm[order[i]] = mm[i];
    }
    ret->has_transform = true;
    ret->preset = voco_format("nnU-Net %s", p->configuration);
    if ((err = read_intensities(p, t)) != VOCO_OK)
        return err;
    return read_classes(p, ret);
}

/* plans, dataset and configuration of a checkpoint's JSON, or a file's. */
static enum voco_err
find_plans(const struct voco_tensorfile *f, const char *path,
           const struct voco_nnunet_source *source, struct plans *p, json_t **ret_owner)
{
    json_t *beside = f->beside ? json_loads(f->beside, 0, NULL) : NULL;
    json_t *args = json_object_get(beside, "init_args");

    *ret_owner = beside;
    *p = (struct plans){ .path = source->plans ? source->plans : path };
    p->configuration = source->configuration ? source->configuration
        : json_string_value(json_object_get(args, "configuration"));
    if (!p->configuration)
        p->configuration = "3d_fullres";
    p->dataset = json_incref(json_object_get(args, "dataset_json"));
    if (!source->plans) {
        p->root = json_incref(json_object_get(args, "plans"));
        return VOCO_OK;
    }
    return voco_json_read(source->plans, VOCO_JSON_BYTES, 0, &p->root);
}

enum voco_err
voco_nnunet_read(const struct voco_tensorfile *f, const char *path,
                 const struct voco_nnunet_source *source, bool *ret_found,
                 struct voco_seginfo *ret, int *ret_axes)
{
    json_t *owner;
    struct plans p;
    enum voco_err err = find_plans(f, path, source, &p, &owner);

    *ret = (struct voco_seginfo){ 0 };
    *ret_found = err == VOCO_OK && json_is_object(p.root);
    if (*ret_found)
        err = read_plans(&p, ret, ret_axes);
    json_decref(p.root);
    json_decref(p.dataset);
    json_decref(owner);
    return err;
}

bool
voco_nnunet_axes(const struct voco_tensorfile *f, int *ret_axes)
{
    json_t *beside = f->beside ? json_loads(f->beside, 0, NULL) : NULL;
    struct plans p = { .path = "", .configuration = "" };
    int order[3];
    bool known;

    p.root = json_object_get(json_object_get(beside, "init_args"), "plans");
    known = json_object_get(p.root, "transpose_forward") != NULL
        && read_axes(&p, order, ret_axes) == VOCO_OK;
    json_decref(beside);
    return known;
}
