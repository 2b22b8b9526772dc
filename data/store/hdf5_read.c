/* HDF5 files read in a child process: the requests, and what the child does with them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/store/hdf5_library.h"

enum {
    PIECE = 32 << 20,           /* bytes that the child holds of a dataset, or one row */
    NAME_ROOM = 201, MEMBERS_MAX = 10000000
};

/* ---- in the child, which has the library to itself ---- */

/* A file of a few bytes can announce a dataset that is never written, and reads as zeros
 * without end.  deflate never packs better than 1032:1. */
static enum voco_err
check_size(struct voco_h5 *h, const char *name, hid_t set, int rank, const int64_t *dim)
{
    const hid_t type = H5Dget_type(set);
    double bytes = (double)H5Tget_size(type);
    hsize_t file_bytes = 0;

    H5Tclose(type);
    H5Fget_filesize(h->file, &file_bytes);
    for (int i = 0; i < rank; i++)
        bytes *= (double)dim[i];
    if (bytes <= 1032.0 * (double)file_bytes)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: dataset %s announces %.4g bytes, more than a file of "
                     "%llu bytes can hold", h->path, name, bytes,
                     (unsigned long long)file_bytes);
}

/* Opens a dataset and its shape; the caller closes *ret_set when it is >= 0. */
static enum voco_err
open_set(struct voco_h5 *h, const char *name, hid_t *ret_set, int *ret_rank,
         int64_t dim[VOCO_H5_RANK_MAX])
{
    hsize_t size[H5S_MAX_RANK];

    *ret_set = H5Dopen2(h->file, name, H5P_DEFAULT);
    if (*ret_set < 0)
        return voco_h5_fail(VOCO_EFORMAT, h, "no dataset", name);
    const hid_t space = H5Dget_space(*ret_set);
    const int rank = H5Sget_simple_extent_dims(space, size, NULL);
    H5Sclose(space);
    if (rank < 0)
        return voco_h5_fail(VOCO_EFORMAT, h, "no shape for dataset", name);
    if (rank > VOCO_H5_RANK_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: dataset %s has rank %d, expected at most %d",
                         h->path, name, rank, VOCO_H5_RANK_MAX);
    for (int i = 0; i < rank; i++) {
        if (size[i] > INT64_MAX)
            return voco_fail(VOCO_EFORMAT, "%s: dataset %s: dimension %d is absurd",
                             h->path, name, i);
        dim[i] = (int64_t)size[i];
    }
    *ret_rank = rank;
    return check_size(h, name, *ret_set, rank, dim);
}

static enum voco_err
shape(struct voco_h5 *h, const char *name, int *ret_rank, int64_t dim[VOCO_H5_RANK_MAX])
{
    hid_t set;
    const enum voco_err err = open_set(h, name, &set, ret_rank, dim);

    if (set >= 0)
        H5Dclose(set);
    return err;
}

static enum voco_err
count_members(struct voco_h5 *h, int64_t *ret)
{
    H5G_info_t info;

    if (H5Gget_info(h->file, &info) < 0 || info.nlinks > MEMBERS_MAX)
        return voco_h5_fail(VOCO_EFORMAT, h, "cannot list", "the members of the file");
    *ret = (int64_t)info.nlinks;
    return VOCO_OK;
}

/* The name of member i, and zeros. */
static enum voco_err
send_member(struct voco_h5 *h, int64_t i, int to)
{
    char name[NAME_ROOM] = { 0 };
    const ssize_t n = H5Lget_name_by_idx(h->file, "/", H5_INDEX_NAME, H5_ITER_NATIVE,
                                         (hsize_t)i, name, sizeof name, H5P_DEFAULT);

    if (n <= 0)
        return voco_h5_fail(VOCO_EFORMAT, h, "cannot list", "the members of the file");
    if (n >= NAME_ROOM)
        return voco_fail(VOCO_EFORMAT, "%s: the name %.40s... has %lld bytes, expected at most "
                         "%d", h->path, name, (long long)n, NAME_ROOM - 1);
    return voco_h5_send_piece(to, name, sizeof name) ? VOCO_OK
        : voco_fail(VOCO_EIO, "%s: nobody takes what was read", h->path);
}

/* What is being read of an open dataset. */
struct part {
    const char *name;
    hid_t set, type;            /* type: of the numbers in memory */
    int rank;
    hsize_t size[VOCO_H5_RANK_MAX];
    size_t row_bytes;
    void *row;                  /* size[0] rows */
};

/* size[0] rows from the first on. */
static enum voco_err
send_rows(struct voco_h5 *h, const struct part *p, int64_t first, int to)
{
    const hsize_t start[VOCO_H5_RANK_MAX] = { (hsize_t)first };
    const hid_t here = H5Screate_simple(p->rank, p->size, NULL);
    const hid_t there = H5Dget_space(p->set);
    enum voco_err err = VOCO_OK;

    if (here < 0 || there < 0
        || H5Sselect_hyperslab(there, H5S_SELECT_SET, start, NULL, p->size, NULL) < 0
        || H5Dread(p->set, p->type, here, there, H5P_DEFAULT, p->row) < 0)
        err = voco_h5_fail(VOCO_EFORMAT, h, "cannot read dataset", p->name);
    else if (!voco_h5_send_piece(to, p->row, (size_t)p->size[0] * p->row_bytes))
        err = voco_fail(VOCO_EIO, "%s: nobody takes what was read", h->path);
    if (here >= 0)
        H5Sclose(here);
    if (there >= 0)
        H5Sclose(there);
    return err;
}

/* count numbers, more than none, in pieces along the first axis. */
static enum voco_err
send_set(struct voco_h5 *h, struct part *p, const int64_t *dim, int64_t count, int to)
{
    const int64_t rows = dim[0];
    enum voco_err err = VOCO_OK;
    int64_t most;

    p->row_bytes = (size_t)(count / rows) * H5Tget_size(p->type);
    most = (int64_t)(PIECE / p->row_bytes);
    if (most > rows)
        most = rows;
    if (most < 1)
        most = 1;
    p->row = malloc((size_t)most * p->row_bytes);
    if (!p->row)
        return voco_fail(VOCO_EMEMORY, "%s: no memory to read dataset %s", h->path, p->name);
    for (int i = 1; i < p->rank; i++)
        p->size[i] = (hsize_t)dim[i];
    for (int64_t at = 0; at < rows && !err; at += most) {
        p->size[0] = (hsize_t)(rows - at < most ? rows - at : most);
        err = send_rows(h, p, at, to);
    }
    free(p->row);
    return err;
}

static enum voco_err
read_all(struct voco_h5 *h, const char *name, int64_t n, hid_t type, int to)
{
    int64_t dim[VOCO_H5_RANK_MAX], count = 1;
    struct part p = { .name = name, .type = type };
    enum voco_err err = open_set(h, name, &p.set, &p.rank, dim);

    for (int i = 0; !err && i < p.rank; i++) {
        if (dim[i] > 0 && count > INT64_MAX / dim[i])
            err = voco_fail(VOCO_EFORMAT, "%s: dataset %s has an absurd size", h->path,
                            name);
        else
            count *= dim[i];
    }
    if (!err && (p.rank == 0 || count != n))
        err = voco_fail(VOCO_EFORMAT, "%s: dataset %s has rank %d and %lld elements, expected "
                        "%lld elements", h->path, name, p.rank, (long long)count,
                        (long long)n);
    if (!err && n > 0)
        err = send_set(h, &p, dim, count, to);
    if (p.set >= 0)
        H5Dclose(p.set);
    return err;
}

static void
serve(void *state, const struct voco_h5_request *q, int to, struct voco_h5_reply *reply)
{
    struct voco_h5 *h = state;

    switch (q->deed) {
    case VOCO_H5_OPEN:
        reply->err = voco_h5_start(h, false);
        break;
    case VOCO_H5_HAS:
        reply->found = voco_h5_finds(h, q->name);
        break;
    case VOCO_H5_SHAPE:
        reply->err = shape(h, q->name, &reply->rank, reply->dim);
        break;
    case VOCO_H5_READ_F32:
        reply->err = read_all(h, q->name, q->n, H5T_NATIVE_FLOAT, to);
        break;
    case VOCO_H5_READ_U8:
        reply->err = read_all(h, q->name, q->n, H5T_NATIVE_UINT8, to);
        break;
    case VOCO_H5_MEMBERS:
        reply->err = count_members(h, &reply->dim[0]);
        break;
    case VOCO_H5_MEMBER:
        reply->err = send_member(h, q->n, to);
        break;
    }
}

/* ---- in the parent ---- */

static enum voco_err
ask(struct voco_h5 *h, enum voco_h5_deed deed, const char *name, int64_t n, void *data,
    size_t bytes, struct voco_h5_reply *ret)
{
    struct voco_h5_request request = { .deed = deed, .n = n };

    VOCO_ASSERT(h->reader && strlen(name) < sizeof request.name);
    memcpy(request.name, name, strlen(name));
    return voco_h5_reader_ask(h->reader, &request, data, bytes, ret);
}

enum voco_err
voco_h5_open(const char *path, struct voco_h5 **ret)
{
    struct voco_h5 *h = voco_h5_new(path);
    struct voco_h5_reply reply;
    enum voco_err err;

    *ret = NULL;
    voco_h5_enter();            /* the child must not be born while the library is at work */
    err = voco_h5_reader_open(path, serve, h, &h->reader);
    voco_h5_leave();
    if (!err)
        err = ask(h, VOCO_H5_OPEN, "", 0, NULL, 0, &reply);
    if (err) {
        voco_h5_reader_close(h->reader);
        voco_h5_release(h);
        return err;
    }
    *ret = h;
    return VOCO_OK;
}

enum voco_err
voco_h5_has(struct voco_h5 *h, const char *name, bool *ret)
{
    struct voco_h5_reply reply = { .err = VOCO_OK };

    if (h->reader) {
        reply.err = ask(h, VOCO_H5_HAS, name, 0, NULL, 0, &reply);
    } else {
        voco_h5_enter();
        reply.found = voco_h5_finds(h, name);
        voco_h5_leave();
    }
    *ret = reply.found;
    return reply.err;
}

enum voco_err
voco_h5_shape(struct voco_h5 *h, const char *name, int *ret_rank,
              int64_t dim[VOCO_H5_RANK_MAX])
{
    struct voco_h5_reply reply;
    const enum voco_err err = ask(h, VOCO_H5_SHAPE, name, 0, NULL, 0, &reply);

    if (!err && (reply.rank < 0 || reply.rank > VOCO_H5_RANK_MAX))
        return voco_fail(VOCO_EINTERNAL, "%s: dataset %s: no rank", h->path, name);
    if (!err) {
        *ret_rank = reply.rank;
        memcpy(dim, reply.dim, sizeof reply.dim);
    }
    return err;
}

enum voco_err
voco_h5_read_f32(struct voco_h5 *h, const char *name, int64_t n, float *out)
{
    struct voco_h5_reply reply;

    return ask(h, VOCO_H5_READ_F32, name, n, out, (size_t)n * sizeof *out, &reply);
}

enum voco_err
voco_h5_read_u8(struct voco_h5 *h, const char *name, int64_t n, uint8_t *out)
{
    struct voco_h5_reply reply;

    return ask(h, VOCO_H5_READ_U8, name, n, out, (size_t)n, &reply);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum voco_err
voco_h5_members(struct voco_h5 *h, char ***ret_names, int *ret_n)
{
    struct voco_h5_reply reply;
    char **names = NULL, name[NAME_ROOM];
    int64_t all = 0;
    int n = 0;
    enum voco_err err = ask(h, VOCO_H5_MEMBERS, "", 0, NULL, 0, &reply);

    if (!err && (reply.dim[0] < 0 || reply.dim[0] > MEMBERS_MAX))
        err = voco_fail(VOCO_EINTERNAL, "%s: no number of members", h->path);
    if (!err) {
        all = reply.dim[0];
        names = calloc((size_t)all + 1, sizeof *names);
        VOCO_NEED(names);
    }
    while (!err && n < all)
        if (!(err = ask(h, VOCO_H5_MEMBER, "", n, name, sizeof name, &reply))) {
            name[NAME_ROOM - 1] = '\0';
            names[n++] = voco_format("%s", name);
        }
    if (!err)
        qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n && err; i++)
        free(names[i]);
    if (err)
        free(names);
    *ret_names = err ? NULL : names;
    *ret_n = err ? 0 : n;
    return err;
}
