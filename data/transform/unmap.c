/* Transforms undone: the record in JSON as an index map, and sampling along it. */
#include "data/transform/unmap.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "data/volume/affine.h"

enum { DIM_MAX = 1 << 20 };     /* far beyond any grid; keeps products in range */

/* ---- the record ---- */

static bool
read_dim(const json_t *a, int64_t ret[3])
{
    for (size_t i = 0; i < 3; i++) {
        const json_t *x = json_array_get(a, i);

        if (!json_is_integer(x) || json_integer_value(x) < 1
            || json_integer_value(x) > DIM_MAX)
            return false;
        ret[i] = json_integer_value(x);
    }
    return json_array_size(a) == 3;
}

/* Where a crop begins, or the padding in front. */
static bool
read_offset(const json_t *a, int64_t ret[3])
{
    for (size_t i = 0; i < 3; i++) {
        const json_t *x = json_array_get(a, i);

        if (!json_is_integer(x) || json_integer_value(x) < 0
            || json_integer_value(x) > DIM_MAX)
            return false;
        ret[i] = json_integer_value(x);
    }
    return json_array_size(a) == 3;
}

/* Three rows of four numbers. */
static bool
read_matrix(const json_t *a, double ret[4][4])
{
    voco_affine_identity(ret);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 4; j++) {
            const json_t *x = json_array_get(json_array_get(a, i), j);

            if (!json_is_number(x))
                return false;
            ret[i][j] = json_number_value(x);
        }
    return true;
}

/* Axis i of the result is axis axes[i] of the source, reversed where flip[i]. */
static bool
add_orient(const json_t *step, struct voco_unmap *m)
{
    const json_t *axes = json_object_get(step, "axes"), *flip = json_object_get(step, "flip");
    double turn[4][4] = { { 0 } };
    int64_t old[3];
    int seen = 0;

    memcpy(old, m->full_dim, sizeof old);
    turn[3][3] = 1;
    for (int i = 0; i < 3; i++) {
        const json_t *from = json_array_get(axes, (size_t)i);
        const json_int_t a = json_integer_value(from);

        if (!json_is_integer(from) || a < 0 || a > 2)
            return false;
        seen |= 1 << a;
        m->full_dim[i] = old[a];
        turn[i][a] = json_is_true(json_array_get(flip, (size_t)i)) ? -1 : 1;
        turn[i][3] = turn[i][a] < 0 ? (double)(old[a] - 1) : 0;
    }
    voco_affine_mul(turn, m->to_full, m->to_full);
    return seen == 7;
}

static bool
add_spacing(const json_t *step, struct voco_unmap *m)
{
    double from_new[4][4];

    if (!read_matrix(json_object_get(step, "to_source"), from_new)
        || !voco_affine_invert(from_new, from_new)
        || !read_dim(json_object_get(step, "dim"), m->full_dim))
        return false;
    voco_affine_mul(from_new, m->to_full, m->to_full);
    return true;
}

/* Crop, padding, resizing: they move and scale the index along each axis. */
static bool
add_along_axes(const char *name, const json_t *step, struct voco_unmap *m)
{
    int64_t by[3] = { 0 }, old[3];

    memcpy(old, m->dim, sizeof old);
    if (!read_dim(json_object_get(step, "dim"), m->dim))
        return false;
    if (strcmp(name, "resize") == 0) {
        for (int i = 0; i < 3; i++) {
            /* corner onto corner */
            const double s = old[i] > 1 ? (double)(m->dim[i] - 1) / (double)(old[i] - 1) : 1;

            m->scale[i] *= s;
            m->shift[i] *= s;
        }
        return true;
    }
    if (!read_offset(json_object_get(step, strcmp(name, "crop") == 0 ? "start" : "before"),
                     by))
        return false;
    for (int i = 0; i < 3; i++)
        m->shift[i] += strcmp(name, "crop") == 0 ? -(double)by[i] : (double)by[i];
    return true;
}

static bool
read_record(const json_t *all, struct voco_unmap *m)
{
    const json_t *source = json_object_get(all, "source");
    const json_t *steps = json_object_get(all, "steps");
    bool along = false;             /* a step behind orient and spacing was seen */

    if (!read_dim(json_object_get(source, "dim"), m->source_dim)
        || !read_matrix(json_object_get(source, "affine"), m->source_affine)
        || !json_is_array(steps))
        return false;
    m->source_place = (struct voco_place){.known = false};
    voco_affine_identity(m->to_full);
    memcpy(m->full_dim, m->source_dim, sizeof m->full_dim);
    memcpy(m->dim, m->source_dim, sizeof m->dim);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        const char *name = json_string_value(json_object_get(step, "step"));

        if (!name)
            return false;
        if (strcmp(name, "orient") == 0 || strcmp(name, "spacing") == 0) {
            if (along || !(name[0] == 'o' ? add_orient(step, m) : add_spacing(step, m)))
                return false;
            memcpy(m->dim, m->full_dim, sizeof m->dim);
        } else if (strcmp(name, "crop") == 0 || strcmp(name, "pad") == 0
                   || strcmp(name, "resize") == 0) {
            along = true;
            if (!add_along_axes(name, step, m))
                return false;
        } else if (strcmp(name, "window") != 0) {
            return false;           /* its effect on the grid is not known */
        }
    }
    return true;
}

enum voco_err
voco_unmap_parse(const char *json, struct voco_unmap *ret)
{
    json_t *all = json_loads(json ? json : "", 0, NULL);
    bool good;

    *ret = (struct voco_unmap){ .scale = { 1, 1, 1 } };
    good = read_record(all, ret);
    json_decref(all);
    return good ? VOCO_OK : voco_fail(VOCO_EFORMAT, "the record of its transforms cannot be "
                                      "read, so they cannot be undone");
}

/* ---- sampling ---- */

/* Where voxel p of the source lies in the final grid. */
static void
locate(const struct voco_unmap *m, const int64_t p[3], double c[3])
{
    for (int i = 0; i < 3; i++) {
        double full = m->to_full[i][3];

        for (int j = 0; j < 3; j++)
            full += m->to_full[i][j] * (double)p[j];
        full = fmin(fmax(full, 0), (double)(m->full_dim[i] - 1));
        c[i] = full * m->scale[i] + m->shift[i];
    }
}

static uint8_t
nearest(const struct voco_unmap *m, const int64_t p[3], const uint8_t *label)
{
    int64_t at[3];
    double c[3];

    locate(m, p, c);
    for (int i = 0; i < 3; i++) {
        const double near = nearbyint(c[i]);

        if (!(near >= 0 && near <= (double)(m->dim[i] - 1)))
            return 0;
        at[i] = (int64_t)near;
    }
    return label[(at[0] * m->dim[1] + at[1]) * m->dim[2] + at[2]];
}

void
voco_unmap_labels(const struct voco_unmap *m, const uint8_t *label, uint8_t *out)
{
    const int64_t *dim = m->source_dim;

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < dim[0] * dim[1]; row++)
        for (int64_t z = 0; z < dim[2]; z++)
            out[row * dim[2] + z] = nearest(m, (int64_t[3]){ row / dim[1], row % dim[1], z },
                                            label);
}

static float
linear(const struct voco_unmap *m, const int64_t p[3], const float *x, float outside)
{
    int64_t lo[3];
    double c[3], w[3], sum = 0;

    locate(m, p, c);
    for (int i = 0; i < 3; i++) {
        if (!(c[i] > -1 && c[i] < (double)m->dim[i]))
            return outside;
        lo[i] = (int64_t)floor(c[i]);
        w[i] = c[i] - (double)lo[i];
    }
    for (int corner = 0; corner < 8; corner++) {
        double share = 1, value = (double)outside;
        int64_t at[3];
        bool inside = true;

        for (int i = 0; i < 3; i++) {
            const int up = corner >> i & 1;

            share *= up ? w[i] : 1 - w[i];
            at[i] = lo[i] + up;
            inside = inside && at[i] >= 0 && at[i] < m->dim[i];
        }
        if (inside)
            value = (double)x[(at[0] * m->dim[1] + at[1]) * m->dim[2] + at[2]];
        sum += share * value;
    }
    return (float)sum;
}

void
voco_unmap_linear(const struct voco_unmap *m, const float *x, float outside, float *out)
{
    const int64_t *dim = m->source_dim;

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < dim[0] * dim[1]; row++)
        for (int64_t z = 0; z < dim[2]; z++)
            out[row * dim[2] + z] = linear(m, (int64_t[3]){ row / dim[1], row % dim[1], z },
                                           x, outside);
}
