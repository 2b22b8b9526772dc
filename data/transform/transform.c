/* The chain of transforms, its record, and its plan from a header. */
#include "data/transform/transform.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/volume/affine.h"
#include "data/transform/geometry.h"
#include "data/transform/transform_json.h"
#include "data/transform/window.h"

const char *const voco_scaling_name[] = {
    "none", "range", "percentile", "zscore", "normalize", "standardize", NULL
};
const char *const voco_foreground_name[] = { "none", "window", "nonzero", NULL };

void
voco_transform_report_free(struct voco_transform_report *r)
{
    free(r->json);
    *r = (struct voco_transform_report){ .json = NULL };
}

/* ---- the chain ---- */

/* One case on its way. */
struct chain {
    struct voco_case *c;
    const struct voco_transform *t;
    double (*window)[2];        /* [n_channels] */
    struct voco_transform_report *r;
    json_t *steps;
    int64_t margin[3], wide[3]; /* of a box that reaches out: voxels in front, its size */
};

/* The volumes of a case: its channels, then its labels. */
static int
n_volumes(const struct voco_case *c)
{
    return c->n_channels + (c->label.voxel != NULL);
}

static struct voco_volume *
volume(struct voco_case *c, int i)
{
    return i < c->n_channels ? &c->channel[i] : &c->label;
}

/* In front of a sentence about one of several channels. */
static enum voco_err
in_channel(const struct chain *s, int i, enum voco_err err)
{
    return err && s->c->n_channels > 1 ? voco_fail_in(err, "channel %d", i) : err;
}

static enum voco_err
do_orient(struct chain *s)
{
    struct voco_volume *first = s->c->channel;
    struct voco_orientation o;
    enum voco_err err = VOCO_OK;
    char from[4];

    voco_orient_plan(first->affine, &o);
    voco_orient_name(first->affine, from);
    for (int i = 0; !err && i < n_volumes(s->c); i++)
        err = voco_orient(volume(s->c, i), &o);
    if (!err)
        json_array_append_new(s->steps,
            json_pack("{s:s, s:s, s:[i,i,i], s:[b,b,b], s:o}", "step", "orient",
                      "from", from, "axes", o.from[0], o.from[1], o.from[2],
                      "flip", o.flip[0], o.flip[1], o.flip[2],
                      "dim", voco_json_integers(first->dim)));
    return err;
}

static enum voco_err
plan_spacing(const struct voco_volume *v, const struct voco_transform *t,
             struct voco_regrid *ret)
{
    const double *mm = t->spacing_mm;

    if (mm[0] > 0 || mm[1] > 0 || mm[2] > 0)
        return voco_spacing_plan(v->dim, v->affine, mm, ret);
    *ret = (struct voco_regrid){ .unchanged = true };
    memcpy(ret->dim, v->dim, sizeof ret->dim);
    memcpy(ret->affine, v->affine, sizeof ret->affine);
    return VOCO_OK;
}

static enum voco_err
do_spacing(struct chain *s)
{
    struct voco_volume *first = s->c->channel;
    struct voco_regrid g;
    enum voco_err err = plan_spacing(first, s->t, &g);

    for (int i = 0; !err && i < n_volumes(s->c); i++)
        err = voco_regrid(volume(s->c, i), &g,
                          i < s->c->n_channels ? VOCO_LINEAR : VOCO_NEAREST);
    if (!err && !g.unchanged)
        json_array_append_new(s->steps,
            json_pack("{s:s, s:s, s:o, s:o, s:o}", "step", "spacing",
                      "interpolation", "linear", "dim", voco_json_integers(first->dim),
                      "affine", voco_json_matrix(first->affine),
                      "to_source", voco_json_matrix(g.to_source)));
    return err;
}

/* The intensities that become 0 and 1; box: voxels of the foreground's box. */
static enum voco_err
find_window(const struct voco_volume *v, const struct voco_transform *t, int64_t box,
            double window[2])
{
    double mean, sd;
    enum voco_err err;

    memcpy(window, t->window, 2 * sizeof *window);
    switch (t->scaling) {
    case VOCO_SCALING_NONE:
        window[0] = 0;
        window[1] = 1;
        break;
    case VOCO_SCALING_RANGE:
        break;
    case VOCO_SCALING_PERCENTILE:
        if ((err = voco_window_percentiles(v, t->window, window)))
            return err;
        break;
    case VOCO_SCALING_ZSCORE:
        voco_window_moments(v, &mean, &sd);
        window[0] = mean + t->window[0] * sd;
        window[1] = mean + t->window[1] * sd;
        break;
    case VOCO_SCALING_NORMALIZE:
        voco_window_moments(v, &mean, &sd);
        window[0] = mean;
        window[1] = mean + sd;
        break;
    case VOCO_SCALING_STANDARDIZE:
        voco_window_box_moments(v, box, &mean, &sd);
        window[0] = mean;
        window[1] = mean + sd;
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
    if (t->scaling == VOCO_SCALING_NONE || t->scaling == VOCO_SCALING_NORMALIZE
        || t->scaling == VOCO_SCALING_STANDARDIZE)
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

/* Widens a box by another; an empty one counts for nothing. */
static void
join(struct voco_crop_box *box, const struct voco_crop_box *other)
{
    for (int a = 0; a < 3 && other->size[0] > 0; a++) {
        const int64_t end = box->start[a] + box->size[a];
        const int64_t other_end = other->start[a] + other->size[a];

        if (box->size[0] == 0 || other->start[a] < box->start[a])
            box->start[a] = other->start[a];
        box->size[a] = (other_end > end ? other_end : end) - box->start[a];
    }
}

/* The box of the foreground of any channel. */
static struct voco_crop_box
foreground_box(const struct chain *s)
{
    const struct voco_transform *t = s->t;
    struct voco_crop_box box = { .size = { 0 } };

    for (int i = 0; i < s->c->n_channels; i++) {
        const double low = t->scaling == VOCO_SCALING_NORMALIZE ? 0 : s->window[i][0];
        struct voco_crop_box own;

        voco_foreground_box(&s->c->channel[i], (float)low,
                            t->foreground == VOCO_FOREGROUND_NONZERO, &own);
        if (box.size[0] == 0)
            box = own;
        else
            join(&box, &own);
    }
    return box;
}

/* How many voxels are standardised: those that the crop to nonzero ones will leave. */
static int64_t
standard_voxels(const struct chain *s)
{
    const struct voco_crop_box box = s->t->foreground == VOCO_FOREGROUND_NONZERO
        ? foreground_box(s) : (struct voco_crop_box){ .size = { 0 } };
    const int64_t *dim = box.size[0] ? box.size : s->c->channel->dim;

    return dim[0] * dim[1] * dim[2];
}

/* Window and contrast of every channel.  To normalise leaves zeros at 0, so that the
 * foreground cannot be found before it: here, at once. */
static enum voco_err
do_windows(struct chain *s)
{
    enum voco_err err = VOCO_OK;
    const int64_t box = s->t->scaling == VOCO_SCALING_STANDARDIZE ? standard_voxels(s) : 0;

    for (int i = 0; !err && i < s->c->n_channels; i++) {
        struct voco_volume *v = &s->c->channel[i];

        err = find_window(v, s->t, box, s->window[i]);
        if (!err)
            err = check_contrast(v, s->t, s->window[i]);
        if (!err && s->t->scaling == VOCO_SCALING_NORMALIZE)
            voco_window_normalize(v, s->window[i][0], s->window[i][1]);
        err = in_channel(s, i, err);
    }
    memcpy(s->r->window, s->window[0], sizeof s->r->window);
    return err;
}

/* The part of a box that lies inside; the rest is padded later. */
static void
cut_box(struct chain *s, struct voco_crop_box *box)
{
    const int64_t *dim = s->c->channel->dim;

    memcpy(s->wide, box->size, sizeof s->wide);
    for (int i = 0; i < 3; i++) {
        const int64_t end = box->start[i] + box->size[i];

        s->margin[i] = box->start[i] < 0 ? -box->start[i] : 0;
        box->start[i] += s->margin[i];
        box->size[i] = (end < dim[i] ? end : dim[i]) - box->start[i];
    }
}

static enum voco_err
do_foreground(struct chain *s)
{
    struct voco_crop_box box;

    if (s->t->foreground == VOCO_FOREGROUND_NONE)
        return VOCO_OK;
    box = foreground_box(s);
    if (box.size[0] == 0)
        return voco_fail(VOCO_EFORMAT, "empty: no foreground voxel");
    voco_box_widen(&box, s->t->multiple);
    cut_box(s, &box);
    if (memcmp(box.size, s->c->channel->dim, sizeof box.size) == 0)
        return VOCO_OK;
    for (int i = 0; i < n_volumes(s->c); i++)
        voco_crop(volume(s->c, i), &box);
    json_array_append_new(s->steps, json_pack("{s:s, s:o, s:o}", "step", "crop", "start",
                                              voco_json_integers(box.start), "dim",
                                              voco_json_integers(box.size)));
    return VOCO_OK;
}

static void
apply_windows(struct chain *s)
{
    const bool whole = s->t->scaling == VOCO_SCALING_NORMALIZE;
    const bool apply = !s->t->keep_intensity && s->t->scaling != VOCO_SCALING_NONE;

    for (int i = 0; i < s->c->n_channels; i++) {
        struct voco_volume *v = &s->c->channel[i];
        int64_t below = 0, above = 0;

        if (apply && s->t->scaling == VOCO_SCALING_STANDARDIZE) {
            const double sd = s->window[i][1] - s->window[i][0];

            voco_window_map(v, 1 / sd, -s->window[i][0] / sd);
        } else if (apply && !whole) {
            voco_window_apply(v, s->window[i][0], s->window[i][1], &below, &above);
        }
        if (apply && voco_transform_moves(s->t))
            voco_window_map(v, s->t->into[1] - s->t->into[0], s->t->into[0]);
        json_array_append_new(s->steps,
            json_pack("{s:s, s:b, s:f, s:f, s:I, s:I}", "step", "window", "applied",
                      apply, "low", s->window[i][0], "high", s->window[i][1],
                      "below", (json_int_t)below, "above", (json_int_t)above));
        s->r->voxels += v->dim[0] * v->dim[1] * v->dim[2];
        s->r->below += below;
        s->r->above += above;
    }
}

/* Every volume to this size, before[] voxels in front, where that is not its size. */
static enum voco_err
do_pad_at(struct chain *s, const int64_t dim[3], const int64_t before[3])
{
    enum voco_err err = VOCO_OK;
    float value = 0;

    if (memcmp(dim, s->c->channel->dim, 3 * sizeof *dim) == 0)
        return VOCO_OK;
    for (int i = 0; !err && i < n_volumes(s->c); i++) {
        value = s->t->keep_intensity && i < s->c->n_channels ? (float)s->window[i][0] : 0;
        err = voco_pad_at(volume(s->c, i), dim, before, value);
    }
    if (!err)
        json_array_append_new(s->steps,
            json_pack("{s:s, s:o, s:o, s:f}", "step", "pad",
                      "before", voco_json_integers(before),
                      "dim", voco_json_integers(dim), "value",
                      s->t->keep_intensity ? s->window[0][0] : 0.0));
    return err;
}

/* Symmetric, to at least this size. */
static enum voco_err
do_pad(struct chain *s, const int64_t dim[3])
{
    int64_t wide[3], before[3];

    voco_pad_plan(s->c->channel->dim, dim, wide, before);
    return do_pad_at(s, wide, before);
}

static enum voco_err
do_resize(struct chain *s)
{
    enum voco_err err = VOCO_OK;

    if (s->c->label.voxel)
        return voco_fail(VOCO_EUSAGE, "label maps cannot be resized: use a preset "
                         "without resize, or --resize none");
    for (int i = 0; !err && i < s->c->n_channels; i++)
        err = voco_resize(&s->c->channel[i], s->t->resize);
    if (!err)
        json_array_append_new(s->steps, json_pack("{s:s, s:s, s:o}", "step", "resize",
                                                  "corners", "aligned", "dim",
                                                  voco_json_integers(s->t->resize)));
    return err;
}

static enum voco_err
check_finite(struct chain *s)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; !err && i < s->c->n_channels; i++) {
        struct voco_volume *v = &s->c->channel[i];
        const int64_t bad = voco_volume_nonfinite(v);

        if (bad && !s->t->replace_nonfinite)
            err = in_channel(s, i, voco_fail(VOCO_EFORMAT, "%" PRId64 " voxels are NaN or "
                                             "infinite (--nan-to X would replace them)",
                                             bad));
        else if (bad)
            voco_window_replace_nonfinite(v, (float)s->t->nonfinite_value);
        s->r->nonfinite += bad;
    }
    return err;
}

static enum voco_err
run_steps(struct chain *s)
{
    const struct voco_transform *t = s->t;
    enum voco_err err = check_finite(s);

    if (!err && t->orient)
        err = do_orient(s);
    if (!err)
        err = do_spacing(s);
    if (!err)
        err = do_windows(s);
    if (!err)
        err = do_foreground(s);
    if (err)
        return err;
    apply_windows(s);
    if (voco_sizes_set(s->wide))
        err = do_pad_at(s, s->wide, s->margin);
    if (!err)
        err = do_pad(s, t->pad_first);
    if (!err && voco_sizes_set(t->resize))
        err = do_resize(s);
    if (!err)
        err = do_pad(s, t->pad);
    return err;
}

enum voco_err
voco_transform_case(struct voco_case *c, const struct voco_transform *t,
                    struct voco_transform_report *ret)
{
    const struct voco_volume *first = c->channel;
    struct chain s = { .c = c, .t = t, .r = ret, .steps = json_array() };
    json_t *all;
    enum voco_err err;

    *ret = (struct voco_transform_report){ .json = NULL };
    s.window = calloc((size_t)c->n_channels, sizeof *s.window);
    all = json_pack("{s:o, s:{s:o, s:o}, s:o}", "options", voco_transform_json(t),
                    "source", "dim", voco_json_integers(first->dim),
                    "affine", voco_json_matrix(first->affine), "steps", s.steps);
    err = s.window ? run_steps(&s) : voco_fail(VOCO_EMEMORY, "no memory for %d windows",
                                               c->n_channels);
    if (!err) {
        ret->json = all ? json_dumps(all, JSON_COMPACT) : NULL;
        if (!ret->json)
            err = voco_fail(VOCO_EMEMORY, "no memory for the record of transforms");
    }
    json_decref(all);
    free(s.window);
    return err;
}

enum voco_err
voco_transform_run(struct voco_volume *v, const struct voco_transform *t,
                   struct voco_transform_report *ret)
{
    struct voco_case c = { .channel = v, .n_channels = 1 };

    return voco_transform_case(&c, t, ret);
}

/* ---- the plan ---- */

static double
product(const int64_t dim[3])
{
    return (double)dim[0] * (double)dim[1] * (double)dim[2];
}

/* The largest box that widening can make of this grid. */
static void
widen_header(struct voco_volume *v, const int64_t multiple[3])
{
    struct voco_crop_box all = { .size = { v->dim[0], v->dim[1], v->dim[2] } };

    voco_box_widen(&all, multiple);
    memcpy(v->dim, all.size, sizeof v->dim);
}

static void
pad_header(struct voco_volume *v, const int64_t dim[3])
{
    for (int i = 0; i < 3; i++)
        v->dim[i] = dim[i] > v->dim[i] ? dim[i] : v->dim[i];
}

/* Floats are 4 bytes; a reader may hold the file's bytes beside them, inflated and not,
 * each taken as as much again; the store encodes layers of chunks. */
enum voco_err
voco_transform_plan(const struct voco_volume *header, const struct voco_transform *t,
                    int64_t ret_dim[3], double ret_mm[3], double *ret_bytes)
{
    struct voco_volume v = *header;
    struct voco_orientation o;
    struct voco_regrid g;
    double bytes = 12 * product(v.dim), before;
    enum voco_err err;

    if (t->orient) {
        voco_orient_plan(v.affine, &o);
        voco_orient_header(&v, &o);
    }
    err = plan_spacing(&v, t, &g);
    if (err)
        return err;
    before = product(v.dim);
    bytes = fmax(bytes, 4 * (before + (g.unchanged ? 0 : product(g.dim))));
    memcpy(v.dim, g.dim, sizeof v.dim);
    memcpy(v.affine, g.affine, sizeof v.affine);
    before = product(v.dim);
    if (t->foreground != VOCO_FOREGROUND_NONE)
        widen_header(&v, t->multiple);
    pad_header(&v, t->pad_first);
    bytes = fmax(bytes, 4 * (before + product(v.dim)));
    before = product(v.dim);
    if (voco_sizes_set(t->resize))
        voco_resize_header(&v, t->resize);
    pad_header(&v, t->pad);
    bytes = fmax(bytes, 4 * (before + product(v.dim)));
    memcpy(ret_dim, v.dim, sizeof v.dim);
    voco_affine_spacing(v.affine, ret_mm);
    *ret_bytes = bytes;
    return VOCO_OK;
}
