/* The record of a run's settings, and its comparison with another. */
#include "train/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

const char *const voco_resume_names[] = { "auto", "no", NULL };
const char *const voco_schedule_names[] = { "warmup-cosine", "constant", "poly", NULL };
const char *const voco_optimizer_names[] = { "adamw", "sgd", NULL };

/* ---- the record ---- */

static json_t *
real(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *
reals(const double *x, int n)
{
    json_t *list = json_array();

    if (isnan(x[0])) {
        json_decref(list);
        return json_null();
    }
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    return list;
}

static json_t *
texts(const struct voco_opt_list *list)
{
    json_t *array = json_array();

    for (int i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->item[i]));
    return array;
}

static json_t *
value_of(const struct voco_opt *o, const void *config)
{
    const void *value = voco_opt_value(o, config);

    switch (o->kind) {
    case VOCO_OPT_FLAG:
    case VOCO_OPT_OFF:
        return json_boolean(*(const bool *)value);
    case VOCO_OPT_INT:
    case VOCO_OPT_SIZE:
        return json_integer(*(const int64_t *)value);
    case VOCO_OPT_REAL:
        return real(*(const double *)value);
    case VOCO_OPT_REAL3:
        return reals(value, 3);
    case VOCO_OPT_RANGE:
        return reals(value, 2);
    case VOCO_OPT_CHOICE:
        return *(const int *)value < 0 ? json_null()
                                       : json_string(o->choices[*(const int *)value]);
    case VOCO_OPT_LIST:
        return texts(value);
    case VOCO_OPT_TEXT:
    case VOCO_OPT_FILE:
    case VOCO_OPT_FOLDER:
        break;
    }
    return *(const char *const *)value ? json_string(*(const char *const *)value)
                                       : json_null();
}

static const char *
recorded_name(const struct voco_opt *o)
{
    return o->kind == VOCO_OPT_OFF ? o->name + strlen("no-") : o->name;
}

json_t *
voco_settings_record(const struct voco_opt *options, const void *config)
{
    json_t *record = json_object();

    for (const struct voco_opt *o = options; o->name; o++)
        if (o->role != VOCO_FREE)
            json_object_set_new(record, recorded_name(o), value_of(o, config));
    return record;
}

/* ---- the comparison ---- */

/* Numbers are equal by value: 96 is 96.0. */
static bool
same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b)) {
        bool all = json_array_size(a) == json_array_size(b);

        for (size_t i = 0; all && i < json_array_size(a); i++)
            all = same(json_array_get(a, i), json_array_get(b, i));
        return all;
    }
    return json_equal(a, b);
}

static const struct voco_opt *
setting(const struct voco_objective *objective, const char *name)
{
    for (const struct voco_opt *o = objective->options; o->name; o++)
        if (o->role != VOCO_FREE && strcmp(recorded_name(o), name) == 0)
            return o;
    return NULL;
}

/* Does a checkpoint with another value of this not fit?  Facts that are no settings count,
 * too. */
static bool
is_identity(const struct voco_objective *objective, const char *name)
{
    static const char *const facts[] = { "in-channels", "precision", "semi" };
    const struct voco_opt *o = setting(objective, name);

    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strcmp(name, facts[i]) == 0)
            return true;
    return o && o->role == VOCO_IDENTITY;
}

static bool
recorded_once(const struct voco_objective *objective, const char *name)
{
    for (const char *const *n = objective->recorded_once; n && *n; n++)
        if (strcmp(*n, name) == 0)
            return true;
    return false;
}

static const size_t for_people = JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(10);

/* before or after NULL: there is none. */
static enum voco_err
differs(const struct voco_objective *objective, const char *checkpoint, const char *name,
        const json_t *before, const json_t *after)
{
    char *was = before ? json_dumps(before, for_people) : NULL;
    char *is = after ? json_dumps(after, for_people) : NULL;
    enum voco_err err = VOCO_OK;

    if (is_identity(objective, name))
        err = voco_fail(VOCO_ECHECKPOINT, "%s was made with --%s %s, now it is %s: give "
                        "the same, or another --out", checkpoint, name, was ? was : "unset",
                        is ? is : "unset");
    else
        voco_warn("%s: %s was %s and is now %s: the run goes on, but not with the bits "
                  "of an uninterrupted one", checkpoint, name, was ? was : "unset",
                  is ? is : "unset");
    free(was);
    free(is);
    return err;
}

enum voco_err
voco_settings_compare(const struct voco_objective *objective, const char *checkpoint,
                      const char *then, const char *now)
{
    json_t *a = json_loads(then, 0, NULL), *b = json_loads(now, 0, NULL), *value;
    const char *const was = json_string_value(json_object_get(a, "objective"));
    const char *const is = json_string_value(json_object_get(b, "objective"));
    enum voco_err err = VOCO_OK;
    const char *name;

    if (was && is && strcmp(was, is) != 0)
        err = voco_fail(VOCO_ECHECKPOINT, "%s was made with --objective %s, now it is %s: "
                        "give the same, or another --out", checkpoint, was, is);
    if (err != VOCO_OK) {               /* another objective has other settings */
        json_decref(a);
        json_decref(b);
        return err;
    }
    json_object_foreach(b, name, value) {
        const struct voco_opt *o = setting(objective, name);
        json_t *before = json_incref(json_object_get(a, name));

        if (!before && o)
            before = value_of(o, objective->defaults);
        if (before && !(json_is_null(before) && !json_object_get(a, name))
            && !same(before, value)
            && differs(objective, checkpoint, name, before, value) != VOCO_OK)
            err = VOCO_ECHECKPOINT;
        json_decref(before);
    }
    json_object_foreach(a, name, value)
        if (!json_object_get(b, name) && !recorded_once(objective, name)
            && differs(objective, checkpoint, name, value, NULL) != VOCO_OK)
            err = VOCO_ECHECKPOINT;
    json_decref(a);
    json_decref(b);
    return err;
}
