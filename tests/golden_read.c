/* Reading of tests/golden, which tools outside of this program made. */
#include "tests/golden_read.h"

#include <check.h>
#include <hdf5.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/param.h"

struct golden
golden_open(const char *name)
{
    const char *folder = getenv("VOCO_GOLDEN");
    struct golden g = { 0 };
    char path[1024];
    double seed;

    ck_assert_msg(folder != NULL, "set VOCO_GOLDEN to the folder tests/golden");
    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    snprintf(g.name, sizeof g.name, "%s", name);
    g.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_msg(g.file >= 0, "%s: cannot be opened", path);
    golden_attr(&g, "/", "seed", 1, &seed);
    g.seed = (uint64_t)seed;
    return g;
}

void
golden_close(struct golden *g)
{
    H5Fclose(g->file);
    *g = (struct golden){ 0 };
}

bool
golden_has(const struct golden *g, const char *fmt, ...)
{
    char path[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        htri_t there;

        *p = '\0';
        there = H5Lexists(g->file, path, H5P_DEFAULT);
        *p = '/';
        if (there <= 0)
            return false;
    }
    return H5Lexists(g->file, path, H5P_DEFAULT) > 0;
}

static struct golden_array
array_of(int rank, const int64_t *dim)
{
    struct golden_array a = { .rank = rank, .count = 1, .dim = { 1, 1, 1, 1, 1 } };

    ck_assert_int_le(rank, VOCO_RANK_MAX);
    for (int i = 0; i < rank; i++) {
        a.dim[i] = dim[i];
        a.count *= dim[i];
    }
    a.x = malloc((size_t)a.count * sizeof *a.x);
    ck_assert_ptr_nonnull(a.x);
    return a;
}

struct golden_array
golden_read(const struct golden *g, const char *fmt, ...)
{
    char path[256];
    hsize_t extent[VOCO_RANK_MAX] = { 0 };
    int64_t dim[VOCO_RANK_MAX];
    struct golden_array a;
    hid_t set, space;
    va_list ap;
    int rank;

    va_start(ap, fmt);
    vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    set = H5Dopen2(g->file, path, H5P_DEFAULT);
    ck_assert_msg(set >= 0, "%s.h5: no dataset %s", g->name, path);
    space = H5Dget_space(set);
    rank = H5Sget_simple_extent_dims(space, extent, NULL);
    for (int i = 0; i < rank; i++)
        dim[i] = (int64_t)extent[i];
    a = array_of(rank, dim);
    rank = H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, a.x);
    ck_assert_msg(rank >= 0, "%s.h5: cannot read %s", g->name, path);
    H5Sclose(space);
    H5Dclose(set);
    return a;
}

void
golden_attr(const struct golden *g, const char *object, const char *key, int n,
            double *ret)
{
    const hid_t attr = H5Aopen_by_name(g->file, object, key, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space;

    ck_assert_msg(attr >= 0, "%s.h5: %s has no attribute %s", g->name, object, key);
    space = H5Aget_space(attr);
    ck_assert_int_eq(H5Sget_simple_extent_npoints(space), n);
    ck_assert_int_ge(H5Aread(attr, H5T_NATIVE_DOUBLE, ret), 0);
    H5Sclose(space);
    H5Aclose(attr);
}

char **
golden_names(const struct golden *g, const char *path, int *ret_n)
{
    const hid_t set = H5Dopen2(g->file, path, H5P_DEFAULT);
    hid_t space, type, text;
    size_t length;
    char **names, *block;
    int n;

    ck_assert_msg(set >= 0, "%s.h5: no dataset %s", g->name, path);
    space = H5Dget_space(set);
    type = H5Dget_type(set);
    n = (int)H5Sget_simple_extent_npoints(space);
    length = H5Tget_size(type) + 1;
    names = calloc((size_t)n + 1, sizeof *names);
    block = calloc((size_t)n + 1, length);
    ck_assert(names && block);
    text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, length);              /* ends with '\0' */
    ck_assert_int_ge(H5Dread(set, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, block), 0);
    for (int i = 0; i < n; i++)
        names[i] = block + (size_t)i * length;
    H5Tclose(text);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    *ret_n = n;
    return names;
}

/* Values of the reference are rounded to float before they are used in double. */
static void
fill(struct golden_array *a, uint64_t seed, const char *name, double lo, double hi)
{
    float *x = malloc((size_t)a->count * sizeof *x);

    ck_assert_ptr_nonnull(x);
    voco_hash_uniform(seed, name, a->count, lo, hi, x);
    for (int64_t i = 0; i < a->count; i++)
        a->x[i] = x[i];
    free(x);
}

struct golden_array
golden_input(const struct golden *g, const char *group, int number, double lo, double hi)
{
    char name[256], key[32];
    double shape[VOCO_RANK_MAX] = { 0 };
    int64_t dim[VOCO_RANK_MAX];
    struct golden_array a;
    hid_t attr, space;
    int rank;

    snprintf(key, sizeof key, "x%d_shape", number);
    attr = H5Aopen_by_name(g->file, group, key, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_msg(attr >= 0, "%s.h5: group %s has no %s", g->name, group, key);
    space = H5Aget_space(attr);
    rank = (int)H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    H5Aclose(attr);
    ck_assert_int_le(rank, VOCO_RANK_MAX);
    golden_attr(g, group, key, rank, shape);
    for (int i = 0; i < rank; i++)
        dim[i] = (int64_t)shape[i];
    a = array_of(rank, dim);
    snprintf(name, sizeof name, "%s/x%d", group, number);
    fill(&a, g->seed, name, lo, hi);
    return a;
}

struct golden_array
golden_upstream(const struct golden *g, const char *group, const struct golden_array *y)
{
    struct golden_array a = array_of(y->rank, y->dim);
    char name[256];

    snprintf(name, sizeof name, "%s/dy", group);
    fill(&a, g->seed, name, -1, 1);
    return a;
}

struct golden_array
golden_hash(const struct golden *g, int rank, const int64_t *dim, double lo, double hi,
            const char *fmt, ...)
{
    struct golden_array a = array_of(rank, dim);
    char name[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    fill(&a, g->seed, name, lo, hi);
    return a;
}

struct golden_array
golden_param(const struct golden *g, int rank, const int64_t *dim, const char *fmt, ...)
{
    struct golden_array a = array_of(rank, dim);
    float *x = malloc((size_t)a.count * sizeof *x);
    struct voco_params table = { 0 };
    char name[256];
    va_list ap;

    ck_assert_ptr_nonnull(x);
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    voco_param_init(&table, voco_params_add(&table, rank, dim, "%s", name), VOCO_INIT_HASH,
                    g->seed, x);
    for (int64_t i = 0; i < a.count; i++)
        a.x[i] = x[i];
    voco_params_free(&table);
    free(x);
    return a;
}

void
golden_channels_last(struct golden_array *a)
{
    const int64_t n = a->dim[0], c = a->dim[1], s = a->count / n / c;
    double *x;

    if (a->rank < 3)
        return;
    x = malloc((size_t)a->count * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c; j++)
            for (int64_t k = 0; k < s; k++)
                x[(i * s + k) * c + j] = a->x[(i * c + j) * s + k];
    free(a->x);
    a->x = x;
    for (int i = 1; i + 1 < a->rank; i++)
        a->dim[i] = a->dim[i + 1];
    a->dim[a->rank - 1] = c;
}

struct voco_tensor
golden_view(const struct golden_array *a)
{
    struct voco_tensor x = { .data = a->x, .rank = a->rank, .type = VOCO_F64 };

    memcpy(x.dim, a->dim, sizeof x.dim);
    return x;
}

void
golden_free(struct golden_array *a)
{
    free(a->x);
    *a = (struct golden_array){ 0 };
}
