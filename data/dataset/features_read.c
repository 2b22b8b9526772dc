/* Reading tables of features: HDF5, CSV and NPY. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "data/dataset/features.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"

enum { WIDTH_MAX = 1 << 20 };

/* Sums of the rows of an id, until the file has been read. */
struct sum {
    char *id;
    int64_t rows;
    double *x;
    bool bad;
};

struct reader {
    struct voco_features *to;
    struct sum *sum;
    int n, room;
};

void
voco_features_free(struct voco_features *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->id[i]);
    free(f->id);
    free(f->x);
    free(f->path);
    free(f->first_bad);
    *f = (struct voco_features){ .id = NULL };
}

/* A sum for an id; rows of an id usually follow one another. */
static struct sum *
sum_of(struct reader *r, const char *id)
{
    if (r->n && strcmp(r->sum[r->n - 1].id, id) == 0)
        return &r->sum[r->n - 1];
    if (r->n == r->room) {
        r->room = 2 * r->room + 64;
        r->sum = realloc(r->sum, (size_t)r->room * sizeof *r->sum);
        VOCO_NEED(r->sum);
    }
    r->sum[r->n] = (struct sum){ .id = voco_format("%s", id),
                                 .x = calloc((size_t)r->to->width + 1, sizeof(double)) };
    VOCO_NEED(r->sum[r->n].x);
    return &r->sum[r->n++];
}

static void
add_value(struct sum *s, int j, double v)
{
    s->bad |= !isfinite(v);
    s->x[j] += v;
}

static enum voco_err
set_width(struct reader *r, int64_t width, const char *where)
{
    if (width < 1 || width > WIDTH_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: %s has %" PRId64 " features, expected 1 to %d",
                         r->to->path, where, width, WIDTH_MAX);
    if (r->to->width && r->to->width != width)
        return voco_fail(VOCO_EFORMAT, "%s: %s has %" PRId64 " features, the rows before it "
                         "have %d", r->to->path, where, width, r->to->width);
    r->to->width = (int)width;
    return VOCO_OK;
}

/* ---- HDF5 ---- */

static enum voco_err
read_group(struct reader *r, struct voco_h5 *h, const char *id, const char *name)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 };
    int rank;
    float *x = NULL;
    enum voco_err err = voco_h5_shape(h, name, &rank, dim);

    if (!err && (rank != 2 || dim[0] < 1))
        err = voco_fail(VOCO_EFORMAT, "%s: %s has rank %d and %" PRId64 " rows, expected "
                        "[rows, features]", r->to->path, name, rank, dim[0]);
    if (!err && !(err = set_width(r, dim[1], name))) {
        x = malloc((size_t)(dim[0] * dim[1]) * sizeof *x);
        err = x ? voco_h5_read_f32(h, name, dim[0] * dim[1], x)
                : voco_fail(VOCO_EMEMORY, "%s: no memory for %s", r->to->path, name);
    }
    if (!err) {
        struct sum *s = sum_of(r, id);

        for (int64_t i = 0; i < dim[0] * dim[1]; i++)
            add_value(s, (int)(i % dim[1]), x[i]);
        s->rows += dim[0];
    }
    free(x);
    return err;
}

static enum voco_err
read_hdf5(struct reader *r)
{
    struct voco_h5 *h;
    char **name = NULL;
    int n = 0;
    enum voco_err err = voco_h5_open(r->to->path, &h);

    if (err)
        return err;
    err = voco_h5_members(h, &name, &n);
    for (int i = 0; i < n; i++) {
        char *set = voco_format("%s/embedding", name[i]);
        bool there = false;

        if (!err)
            err = voco_h5_has(h, set, &there);
        if (!err && there)
            err = read_group(r, h, name[i], set);
        free(set);
        free(name[i]);
    }
    free(name);
    voco_h5_close(h);
    return err;
}

/* ---- CSV ---- */

static bool
is_feature(const char *column)
{
    static const char *const other[] = { "id", "source", "crop", "crops", "x", "y", "z" };

    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcasecmp(column, other[i]) == 0)
            return false;
    return true;
}

static enum voco_err
read_number(const struct voco_csv *c, int column, double *ret)
{
    const char *text = c->cell[column];
    char *end;

    *ret = strtod(text, &end);
    if (end != text && *end == '\0')
        return VOCO_OK;
    if (*text == '\0') {
        *ret = NAN;                     /* an empty cell: no number */
        return VOCO_OK;
    }
    return voco_fail(VOCO_EFORMAT, "%s:%d: column %s is '%s', expected a number", c->path,
                     c->line, c->name[column], text);
}

static enum voco_err
read_csv_rows(struct reader *r, struct voco_csv *c, int id)
{
    bool more = true;
    enum voco_err err;

    while ((err = voco_csv_next(c, &more)) == VOCO_OK && more) {
        struct sum *s;
        int j = 0;

        if (c->cell[id][0] == '\0')
            return voco_fail(VOCO_EFORMAT, "%s:%d: no id", c->path, c->line);
        s = sum_of(r, c->cell[id]);
        s->rows++;
        for (int k = 0; k < c->columns; k++) {
            double v;

            if (!is_feature(c->name[k]))
                continue;
            if ((err = read_number(c, k, &v)) != VOCO_OK)
                return err;
            add_value(s, j++, v);
        }
    }
    return err;
}

static enum voco_err
read_csv(struct reader *r)
{
    struct voco_csv c;
    enum voco_err err = voco_csv_open(&c, r->to->path);
    const int id = voco_csv_column(&c, "id");
    int width = 0;

    for (int k = 0; k < c.columns; k++)
        width += is_feature(c.name[k]);
    if (!err && id < 0)
        err = voco_fail(VOCO_EFORMAT, "%s:1: no column \"id\"; expected a table of features "
                        "as voco embed writes it", r->to->path);
    if (!err && !(err = set_width(r, width, "the table")))
        err = read_csv_rows(r, &c, id);
    voco_csv_close(&c);
    return err;
}

/* ---- NPY ---- */

struct npy {
    char *bytes;
    size_t n, data;             /* data: where the numbers begin */
    int64_t rows, width;
    int item;                   /* bytes of a number */
};

static bool
is_npy(const char *bytes, size_t n)
{
    return n >= 10 && memcmp(bytes, "\x93NUMPY\x01", 7) == 0;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (ROWS, WIDTH), } */
static enum voco_err
read_npy_head(const char *path, struct npy *a)
{
    const size_t head = (size_t)(uint8_t)a->bytes[8] + 256 * (size_t)(uint8_t)a->bytes[9];
    const char *descr, *shape;
    char *text;
    bool fits = head <= a->n - 10;

    text = voco_format("%.*s", fits ? (int)head : 0, a->bytes + 10);
    descr = strstr(text, "'descr'");
    shape = strstr(text, "'shape'");
    a->data = 10 + head;
    a->item = descr && strstr(descr, "'<f4'") ? 4 : descr && strstr(descr, "'<f8'") ? 8 : 0;
    fits = fits && a->item && shape && strstr(text, "'fortran_order': False")
        && sscanf(shape, "'shape': (%" SCNd64 ", %" SCNd64 ")", &a->rows, &a->width) == 2
        && a->rows >= 0 && a->width > 0 && a->width <= WIDTH_MAX
        && (uint64_t)a->rows == (a->n - a->data) / ((uint64_t)a->width * (uint64_t)a->item)
        && (a->n - a->data) % ((uint64_t)a->width * (uint64_t)a->item) == 0;
    free(text);
    return fits ? VOCO_OK
        : voco_fail(VOCO_EFORMAT, "%s: not an NPY file of float32 or float64 [rows, features] "
                    "in C order, or not as long as it says", path);
}

static double
npy_value(const struct npy *a, int64_t i)
{
    const char *from = a->bytes + a->data + i * a->item;
    double d;
    float f;

    if (a->item == 8) {
        memcpy(&d, from, sizeof d);
        return d;
    }
    memcpy(&f, from, sizeof f);
    return f;
}

static enum voco_err
read_npy_rows(struct reader *r, const struct npy *a, struct voco_csv *c)
{
    const int id = voco_csv_column(c, "id");
    bool more = true;
    int64_t row = 0;
    enum voco_err err = VOCO_OK;

    if (id < 0)
        return voco_fail(VOCO_EFORMAT, "%s:1: no column \"id\"", c->path);
    while ((err = voco_csv_next(c, &more)) == VOCO_OK && more && row < a->rows) {
        struct sum *s = sum_of(r, c->cell[id]);

        s->rows++;
        for (int64_t j = 0; j < a->width; j++)
            add_value(s, (int)j, npy_value(a, row * a->width + j));
        row++;
    }
    if (!err && (more || row < a->rows))
        err = voco_fail(VOCO_EFORMAT, "%s: has %s rows than the %" PRId64 " of %s", c->path,
                        more ? "more" : "fewer", a->rows, r->to->path);
    return err;
}

static enum voco_err
read_npy(struct reader *r, struct npy *a)
{
    const size_t stem = strlen(r->to->path) - 4;
    char *beside = voco_format("%.*s.csv", (int)stem, r->to->path);
    struct voco_csv c = { .text = NULL };
    enum voco_err err = read_npy_head(r->to->path, a);

    if (!err)
        err = set_width(r, a->width, "the array");
    if (!err && (err = voco_csv_open(&c, beside)))
        err = voco_fail_in(err, "%s needs the ids of its rows", r->to->path);
    if (!err)
        err = read_npy_rows(r, a, &c);
    voco_csv_close(&c);
    free(beside);
    return err;
}

/* ---- all of them ---- */

static int
by_id(const void *a, const void *b)
{
    return strcmp(((const struct sum *)a)->id, ((const struct sum *)b)->id);
}

/* Means of the sums of each id, ascending. */
static void
collect(struct reader *r)
{
    struct voco_features *f = r->to;
    const size_t width = (size_t)f->width;

    f->id = calloc((size_t)r->n + 1, sizeof *f->id);
    f->x = calloc((size_t)r->n * width + 1, sizeof *f->x);
    VOCO_NEED(f->id);
    VOCO_NEED(f->x);
    qsort(r->sum, (size_t)r->n, sizeof *r->sum, by_id);
    for (int i = 0; i < r->n; ) {
        const int first = i;
        int64_t rows = 0;
        bool bad = false;

        for (; i < r->n && strcmp(r->sum[i].id, r->sum[first].id) == 0; i++) {
            rows += r->sum[i].rows;
            bad |= r->sum[i].bad;
            for (size_t j = 0; j < width; j++)
                f->x[(size_t)f->n * width + j] += r->sum[i].x[j];
        }
        f->rows += rows;
        for (size_t j = 0; j < width; j++)
            f->x[(size_t)f->n * width + j] *= bad ? 0 : 1.0 / (double)rows;
        if (bad) {
            memset(f->x + (size_t)f->n * width, 0, width * sizeof *f->x);
            if (f->n_bad++ == 0)
                f->first_bad = voco_format("%s", r->sum[first].id);
        } else
            f->id[f->n++] = voco_format("%s", r->sum[first].id);
    }
}

enum voco_err
voco_features_read(const char *path, struct voco_features *ret)
{
    struct reader r = { .to = ret };
    struct npy a = { .bytes = NULL };
    enum voco_err err;

    *ret = (struct voco_features){ .path = voco_format("%s", path) };
    if (voco_cropfile_is(path))
        err = read_hdf5(&r);
    else if ((err = voco_file_read(path, (size_t)1 << 36, &a.bytes, &a.n)) == VOCO_OK)
        err = is_npy(a.bytes, a.n) ? read_npy(&r, &a) : read_csv(&r);
    if (!err && r.n == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: no features; expected a file of voco embed", path);
    if (!err)
        collect(&r);
    for (int i = 0; i < r.n; i++) {
        free(r.sum[i].id);
        free(r.sum[i].x);
    }
    free(r.sum);
    free(a.bytes);
    return err;
}

int
voco_features_find(const struct voco_features *f, const char *id)
{
    int low = 0, high = f->n;

    while (low < high) {
        const int middle = low + (high - low) / 2, order = strcmp(f->id[middle], id);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
