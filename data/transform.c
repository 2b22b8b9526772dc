/* The chain of transforms, its record in JSON, and its plan from a header. */
#include "data/transform.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/affine.h"
#include "data/geometry.h"
#include "data/window.h"

const char *const voco_scaling_name[] = { "none", "range", "percentile", "zscore", NULL };
const char *const voco_foreground_name[] = { "none", "window", "nonzero", NULL };

static bool
is_set(const int64_t dim[3])
{
    return dim[0] > 0 || dim[1] > 0 || dim[2] > 0;
}

/* ---- JSON: a failed allocation leaves NULL, found when the text is made ---- */

static json_t *
reals(const double *x, int n)
{
    json_t *a = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_real(x[i]));
    return a;
}

static json_t *
integers(const int64_t x[3])
{
    return json_pack("[I,I,I]", (json_int_t)x[0], (json_int_t)x[1], (json_int_t)x[2]);
}

/* The three rows that say something. */
static json_t *
matrix(const double m[4][4])
{
    return json_pack("[o,o,o]", reals(m[0], 4), reals(m[1], 4), reals(m[2], 4));
}

static json_t *
options(const struct voco_transform *t)
{
    return json_pack("{s:b, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:b, s:o}",
                     "orient", t->orient,
                     "spacing", reals(t->spacing_mm, 3),
                     "scaling", voco_scaling_name[t->scaling],
                     "window", reals(t->window, 2),
                     "foreground", voco_foreground_name[t->foreground],
                     "pad-first", integers(t->pad_first),
                     "resize", integers(t->resize),
                     "pad", integers(t->pad),
                     "keep-intensity", t->keep_intensity,
                     "nan-to", t->replace_nonfinite ? json_real(t->nonfinite_value)
                                                    : json_null());
}

char *
voco_transform_options(const struct voco_transform *t)
{
    json_t *o = options(t);
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
    json_t *now = options(t), *value;
    json_t *then = json_object_get(stored, "options");
    const char *key;
    char a[128], b[128];
    bool same = then && now;

    if (!same)
        snprintf(what, what_n, "the store does not say with which options it was made");
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

void
voco_transform_report_free(struct voco_transform_report *r)
{
    free(r->json);
    *r = (struct voco_transform_report){ .json = NULL };
}

/* ---- the chain ---- */

static enum voco_err
do_orient(struct voco_volume *v, json_t *steps)
{
    struct voco_orientation o;
    enum voco_err err;
    char from[4];

    voco_orient_plan(v->affine, &o);
    voco_orient_name(v->affine, from);
    err = voco_orient(v, &o);
    if (!err)
        json_array_append_new(steps,
            json_pack("{s:s, s:s, s:[i,i,i], s:[b,b,b], s:o}", "step", "orient",
                      "from", from, "axes", o.from[0], o.from[1], o.from[2],
                      "flip", o.flip[0], o.flip[1], o.flip[2],
                      "dim", integers(v->dim)));
    return err;
}

static enum voco_err
do_spacing(struct voco_volume *v, const double mm[3], json_t *steps)
{
    struct voco_regrid g;
    enum voco_err err = voco_spacing_plan(v->dim, v->affine, mm, &g);

    if (!err)
        err = voco_regrid(v, &g, VOCO_LINEAR);
    if (!err && !g.unchanged)
        json_array_append_new(steps,
            json_pack("{s:s, s:s, s:o, s:o, s:o}", "step", "spacing",
                      "interpolation", "linear", "dim", integers(v->dim),
                      "affine", matrix(v->affine), "to_source", matrix(g.to_source)));
    return err;
}

/* The intensities that become 0 and 1. */
static enum voco_err
find_window(const struct voco_volume *v, const struct voco_transform *t, double window[2])
{
    double mean, sd;

    memcpy(window, t->window, 2 * sizeof *window);
    switch (t->scaling) {
    case VOCO_SCALING_NONE:
        window[0] = 0;
        window[1] = 1;
        break;
    case VOCO_SCALING_RANGE:
        break;
    case VOCO_SCALING_PERCENTILE:
        window[0] = voco_window_percentile(v, t->window[0]);
        window[1] = voco_window_percentile(v, t->window[1]);
        break;
    case VOCO_SCALING_ZSCORE:
        voco_window_moments(v, &mean, &sd);
        window[0] = mean + t->window[0] * sd;
        window[1] = mean + t->window[1] * sd;
        break;
    }
    if (!((float)(window[1] - window[0]) > 0))
        return voco_fail(VOCO_EFORMAT, "the %s window %g..%g is empty",
                         voco_scaling_name[t->scaling], window[0], window[1]);
    return VOCO_OK;
}

static enum voco_err
check_contrast(const struct voco_volume *v, const struct voco_transform *t,
               const double window[2])
{
    float low, high;

    voco_window_extrema(v, &low, &high);
    if (low == high)
        return voco_fail(VOCO_EFORMAT, "constant volume: every voxel is %g", (double)low);
    if (t->scaling == VOCO_SCALING_NONE)
        return VOCO_OK;
    if (!(high > (float)window[0]))
        return voco_fail(VOCO_EFORMAT, "empty: no voxel is above %g, the window's lower "
                         "end; the voxels lie in %g..%g", window[0], (double)low,
                         (double)high);
    if (!(low < (float)window[1]))
        return voco_fail(VOCO_EFORMAT, "constant after windowing: no voxel is below %g, "
                         "the window's upper end; the voxels lie in %g..%g", window[1],
                         (double)low, (double)high);
    return VOCO_OK;
}

static enum voco_err
do_foreground(struct voco_volume *v, const struct voco_transform *t,
              const double window[2], json_t *steps)
{
    struct voco_box box;

    if (t->foreground == VOCO_FOREGROUND_NONE)
        return VOCO_OK;
    if (!voco_foreground_box(v, (float)window[0],
                             t->foreground == VOCO_FOREGROUND_NONZERO, &box))
        return voco_fail(VOCO_EFORMAT, "empty: no foreground voxel");
    if (memcmp(box.size, v->dim, sizeof box.size) == 0)
        return VOCO_OK;
    voco_crop(v, &box);
    json_array_append_new(steps, json_pack("{s:s, s:o, s:o}", "step", "crop", "start",
                                           integers(box.start), "dim", integers(v->dim)));
    return VOCO_OK;
}

static void
do_window(struct voco_volume *v, const struct voco_transform *t,
          struct voco_transform_report *r, json_t *steps)
{
    const bool apply = !t->keep_intensity && t->scaling != VOCO_SCALING_NONE;

    r->voxels = v->dim[0] * v->dim[1] * v->dim[2];
    if (apply)
        voco_window_apply(v, r->window[0], r->window[1], &r->below, &r->above);
    json_array_append_new(steps,
        json_pack("{s:s, s:b, s:f, s:f, s:I, s:I}", "step", "window", "applied", apply,
                  "low", r->window[0], "high", r->window[1],
                  "below", (json_int_t)r->below, "above", (json_int_t)r->above));
}

static enum voco_err
do_pad(struct voco_volume *v, const int64_t dim[3], float value, json_t *steps)
{
    int64_t before[3], old[3];
    enum voco_err err;

    memcpy(old, v->dim, sizeof old);
    err = voco_pad(v, dim, value, before);
    if (!err && memcmp(old, v->dim, sizeof old) != 0)
        json_array_append_new(steps,
            json_pack("{s:s, s:o, s:o, s:f}", "step", "pad", "before", integers(before),
                      "dim", integers(v->dim), "value", (double)value));
    return err;
}

static enum voco_err
do_resize(struct voco_volume *v, const int64_t dim[3], json_t *steps)
{
    enum voco_err err = voco_resize(v, dim);

    if (!err)
        json_array_append_new(steps, json_pack("{s:s, s:s, s:o}", "step", "resize",
                                               "corners", "aligned",
                                               "dim", integers(v->dim)));
    return err;
}

static enum voco_err
run_steps(struct voco_volume *v, const struct voco_transform *t,
          struct voco_transform_report *r, json_t *steps)
{
    enum voco_err err = VOCO_OK;
    float empty;

    r->nonfinite = voco_volume_nonfinite(v);
    if (r->nonfinite && !t->replace_nonfinite)
        return voco_fail(VOCO_EFORMAT, "%" PRId64 " voxels are NaN or infinite "
                         "(--nan-to X would replace them)", r->nonfinite);
    if (r->nonfinite)
        voco_window_replace_nonfinite(v, (float)t->nonfinite_value);
    if (t->orient)
        err = do_orient(v, steps);
    if (!err)
        err = do_spacing(v, t->spacing_mm, steps);
    if (!err)
        err = find_window(v, t, r->window);
    if (!err)
        err = check_contrast(v, t, r->window);
    if (!err)
        err = do_foreground(v, t, r->window, steps);
    if (err)
        return err;
    do_window(v, t, r, steps);
    empty = t->keep_intensity ? (float)r->window[0] : 0;
    err = do_pad(v, t->pad_first, empty, steps);
    if (!err && is_set(t->resize))
        err = do_resize(v, t->resize, steps);
    if (!err)
        err = do_pad(v, t->pad, empty, steps);
    return err;
}

enum voco_err
voco_transform_run(struct voco_volume *v, const struct voco_transform *t,
                   struct voco_transform_report *ret)
{
    json_t *steps = json_array(), *all;
    enum voco_err err;

    *ret = (struct voco_transform_report){ .json = NULL };
    all = json_pack("{s:o, s:{s:o, s:o}, s:o}", "options", options(t),
                    "source", "dim", integers(v->dim), "affine", matrix(v->affine),
                    "steps", steps);
    err = run_steps(v, t, ret, steps);
    if (!err) {
        ret->json = all ? json_dumps(all, JSON_COMPACT) : NULL;
        if (!ret->json)
            err = voco_fail(VOCO_EMEMORY, "no memory for the record of transforms");
    }
    json_decref(all);
    return err;
}

/* ---- the plan ---- */

static double
product(const int64_t dim[3])
{
    return (double)dim[0] * (double)dim[1] * (double)dim[2];
}

static void
pad_header(struct voco_volume *v, const int64_t dim[3])
{
    for (int i = 0; i < 3; i++)
        v->dim[i] = dim[i] > v->dim[i] ? dim[i] : v->dim[i];
}

/* Floats are 4 bytes; a reader may hold the file's bytes beside the floats, taken as as
 * much again; the store encodes chunk by chunk. */
enum voco_err
voco_transform_plan(const struct voco_volume *header, const struct voco_transform *t,
                    int64_t ret_dim[3], double ret_mm[3], double *ret_bytes)
{
    struct voco_volume v = *header;
    struct voco_orientation o;
    struct voco_regrid g;
    double bytes = 8 * product(v.dim), before;
    enum voco_err err;

    if (t->orient) {
        voco_orient_plan(v.affine, &o);
        voco_orient_header(&v, &o);
    }
    err = voco_spacing_plan(v.dim, v.affine, t->spacing_mm, &g);
    if (err)
        return err;
    before = product(v.dim);
    bytes = fmax(bytes, 4 * (before + (g.unchanged ? 0 : product(g.dim))));
    memcpy(v.dim, g.dim, sizeof v.dim);
    memcpy(v.affine, g.affine, sizeof v.affine);
    before = product(v.dim);
    pad_header(&v, t->pad_first);
    bytes = fmax(bytes, 4 * (before + product(v.dim)));
    before = product(v.dim);
    if (is_set(t->resize))
        voco_resize_header(&v, t->resize);
    pad_header(&v, t->pad);
    bytes = fmax(bytes, 4 * (before + product(v.dim)));
    memcpy(ret_dim, v.dim, sizeof v.dim);
    voco_affine_spacing(v.affine, ret_mm);
    *ret_bytes = bytes;
    return VOCO_OK;
}
