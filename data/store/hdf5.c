/* HDF5 files behind one mutex: datasets, attributes and directly written chunks. */
#include "data/store/hdf5.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct voco_h5 {
    hid_t file;
    char *path;
};

enum { WHY_MAX = 512 };

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* At exit the library would close files once more that it could not close on a full disk,
 * and crash (1.10).  We close every file ourselves. */
static void
no_second_close(void)
{
    H5dont_atexit();
}

static void
enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_mutex_lock(&library);
    pthread_once(&once, no_second_close);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void
leave(void)
{
    pthread_mutex_unlock(&library);
}

static herr_t
keep_first(unsigned n, const H5E_error2_t *e, void *user)
{
    if (n == 0 && e->desc)
        snprintf(user, WHY_MAX, "%s", e->desc);
    return 0;
}

/* A sentence from the deepest line of the library's error stack; of a failed system call
 * only what the system said. */
static enum voco_err
fail(enum voco_err err, const struct voco_h5 *h, const char *what, const char *name)
{
    static const char quoted[] = "error message = '";
    char text[WHY_MAX] = "no reason given";
    char *why = text;

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    char *said = strstr(text, quoted);
    if (said) {
        why = said + sizeof quoted - 1;
        why[strcspn(why, "'")] = '\0';
    }
    return voco_fail(err, "%s: %s %s: %s", h->path, what, name, why);
}

/* Access by the earliest format and without locks, where the library can be told so. */
static hid_t
access_list(void)
{
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);

    H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERSION_GE(1, 12, 0) && !H5_VERSION_GE(1, 12, 1))
    H5Pset_file_locking(list, 0, 1);
#else
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
#endif
    return list;
}

static enum voco_err
start(const char *path, bool create, struct voco_h5 **ret)
{
    struct voco_h5 *h = calloc(1, sizeof *h);
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    if (!h || !(h->path = strdup(path))) {
        free(h);
        return voco_fail(VOCO_EMEMORY, "%s: no memory", path);
    }
    enter();
    const hid_t list = access_list();
    h->file = create ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, list)
                     : H5Fopen(path, H5F_ACC_RDONLY, list);
    if (h->file < 0)
        err = create ? fail(VOCO_EIO, h, "cannot create", "the HDF5 file")
                     : fail(VOCO_EFORMAT, h, "cannot read", "as an HDF5 file");
    H5Pclose(list);
    leave();
    if (err) {
        free(h->path);
        free(h);
        return err;
    }
    *ret = h;
    return VOCO_OK;
}

enum voco_err
voco_h5_create(const char *path, struct voco_h5 **ret)
{
    return start(path, true, ret);
}

enum voco_err
voco_h5_open(const char *path, struct voco_h5 **ret)
{
    return start(path, false, ret);
}

enum voco_err
voco_h5_close(struct voco_h5 *h)
{
    enum voco_err err = VOCO_OK;

    if (!h)
        return VOCO_OK;
    enter();
    if (H5Fclose(h->file) < 0)
        err = fail(VOCO_EIO, h, "cannot finish", "the HDF5 file");
    leave();
    free(h->path);
    free(h);
    return err;
}

bool
voco_h5_has(struct voco_h5 *h, const char *name)
{
    char *part = voco_format("%s", name);
    bool found = true;

    enter();    /* every group on the way must exist before the next may be asked for */
    for (char *c = part; found && c; ) {
        c = strchr(c + 1, '/');
        if (c)
            *c = '\0';
        found = H5Lexists(h->file, part, H5P_DEFAULT) > 0;
        if (c)
            *c = '/';
    }
    leave();
    free(part);
    return found;
}

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
        return fail(VOCO_EFORMAT, h, "no dataset", name);
    const hid_t space = H5Dget_space(*ret_set);
    const int rank = H5Sget_simple_extent_dims(space, size, NULL);
    H5Sclose(space);
    if (rank < 0)
        return fail(VOCO_EFORMAT, h, "no shape for dataset", name);
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

enum voco_err
voco_h5_shape(struct voco_h5 *h, const char *name, int *ret_rank,
              int64_t dim[VOCO_H5_RANK_MAX])
{
    hid_t set;

    enter();
    const enum voco_err err = open_set(h, name, &set, ret_rank, dim);
    if (set >= 0)
        H5Dclose(set);
    leave();
    return err;
}

static enum voco_err
read_all(struct voco_h5 *h, const char *name, int64_t n, hid_t memory_type, void *out)
{
    int64_t dim[VOCO_H5_RANK_MAX], count = 1;
    int rank = 0;
    hid_t set;
    enum voco_err err = open_set(h, name, &set, &rank, dim);

    for (int i = 0; !err && i < rank; i++) {
        if (dim[i] > 0 && count > INT64_MAX / dim[i])
            err = voco_fail(VOCO_EFORMAT, "%s: dataset %s has an absurd size", h->path,
                            name);
        else
            count *= dim[i];
    }
    if (!err && count != n)
        err = voco_fail(VOCO_EFORMAT, "%s: dataset %s has %lld elements, expected %lld",
                        h->path, name, (long long)count, (long long)n);
    if (!err && n > 0
        && H5Dread(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        err = fail(VOCO_EFORMAT, h, "cannot read dataset", name);
    if (set >= 0)
        H5Dclose(set);
    return err;
}

enum voco_err
voco_h5_read_f32(struct voco_h5 *h, const char *name, int64_t n, float *out)
{
    enter();
    const enum voco_err err = read_all(h, name, n, H5T_NATIVE_FLOAT, out);
    leave();
    return err;
}

enum voco_err
voco_h5_read_u8(struct voco_h5 *h, const char *name, int64_t n, uint8_t *out)
{
    enter();
    const enum voco_err err = read_all(h, name, n, H5T_NATIVE_UINT8, out);
    leave();
    return err;
}

/* A new dataset with missing groups made.  create: creation properties. */
static hid_t
new_set(struct voco_h5 *h, const char *name, hid_t type, int rank, const int64_t *dim,
        hid_t create)
{
    hsize_t size[VOCO_H5_RANK_MAX];

    VOCO_ASSERT(rank >= 0 && rank <= VOCO_H5_RANK_MAX);
    for (int i = 0; i < rank; i++)
        size[i] = (hsize_t)dim[i];
    const hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    const hid_t link = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(link, 1);
    const hid_t set = H5Dcreate2(h->file, name, type, space, link, create, H5P_DEFAULT);
    H5Pclose(link);
    H5Sclose(space);
    return set;
}

enum voco_err
voco_h5_write_f32(struct voco_h5 *h, const char *name, int rank, const int64_t *dim,
                  const float *x)
{
    enum voco_err err = VOCO_OK;

    enter();
    const hid_t set = new_set(h, name, H5T_IEEE_F32LE, rank, dim, H5P_DEFAULT);
    if (set < 0
        || H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0)
        err = fail(VOCO_EIO, h, "cannot write dataset", name);
    if (set >= 0 && H5Dclose(set) < 0 && !err)
        err = fail(VOCO_EIO, h, "cannot write dataset", name);
    leave();
    return err;
}

static enum voco_err
write_attr(struct voco_h5 *h, const char *name, const char *attr, hid_t file_type,
           hid_t memory_type, hid_t space, const void *x)
{
    enum voco_err err = VOCO_OK;
    const hid_t a = H5Acreate_by_name(h->file, name, attr, file_type, space, H5P_DEFAULT,
                                      H5P_DEFAULT, H5P_DEFAULT);

    if (a < 0 || H5Awrite(a, memory_type, x) < 0)
        err = fail(VOCO_EIO, h, "cannot write attribute", attr);
    if (a >= 0 && H5Aclose(a) < 0 && !err)
        err = fail(VOCO_EIO, h, "cannot write attribute", attr);
    return err;
}

enum voco_err
voco_h5_attr_text(struct voco_h5 *h, const char *name, const char *attr, const char *text)
{
    enter();
    const hid_t type = H5Tcopy(H5T_C_S1);
    const hid_t space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const enum voco_err err = write_attr(h, name, attr, type, type, space, text);
    H5Sclose(space);
    H5Tclose(type);
    leave();
    return err;
}

enum voco_err
voco_h5_attr_f64(struct voco_h5 *h, const char *name, const char *attr, int rank,
                 const int64_t *dim, const double *x)
{
    hsize_t size[VOCO_H5_RANK_MAX];

    VOCO_ASSERT(rank >= 0 && rank <= VOCO_H5_RANK_MAX);
    for (int i = 0; i < rank; i++)
        size[i] = (hsize_t)dim[i];
    enter();
    const hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    const enum voco_err err = write_attr(h, name, attr, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                                         space, x);
    H5Sclose(space);
    leave();
    return err;
}

static hid_t
file_type(enum voco_h5_type type)
{
    switch (type) {
    case VOCO_H5_U8:  return H5T_STD_U8LE;
    case VOCO_H5_U16: return H5T_STD_U16LE;
    case VOCO_H5_I16: return H5T_STD_I16LE;
    case VOCO_H5_F32: return H5T_IEEE_F32LE;
    }
    return H5T_STD_U8LE;
}

/* Chunk number i starts at offset, in elements. */
static void
chunk_offset(const struct voco_h5_chunked *x, int64_t i, hsize_t offset[3])
{
    for (int a = 2; a >= 0; a--) {
        const int64_t n = (x->dim[a] + x->edge[a] - 1) / x->edge[a];

        offset[a] = (hsize_t)(i % n * x->edge[a]);
        i /= n;
    }
}

enum voco_err
voco_h5_write_chunked(struct voco_h5 *h, const char *name,
                      const struct voco_h5_chunked *x, uint64_t *address)
{
    const hsize_t edge[3] = {(hsize_t)x->edge[0], (hsize_t)x->edge[1],
                             (hsize_t)x->edge[2]};
    enum voco_err err = VOCO_OK;
    hsize_t offset[3];

    enter();
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(create, 3, edge);
    H5Pset_shuffle(create);
    H5Pset_deflate(create, (unsigned)x->level);
    H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);      /* every chunk is written */
    const hid_t set = new_set(h, name, file_type(x->type), 3, x->dim, create);
    H5Pclose(create);
    if (set < 0)
        err = fail(VOCO_EIO, h, "cannot create dataset", name);
    for (int64_t i = 0; !err && i < x->n_chunks; i++) {
        chunk_offset(x, i, offset);
        if (H5Dwrite_chunk(set, H5P_DEFAULT, 0, offset, x->chunk_bytes[i],
                           x->chunk[i]) < 0)
            err = fail(VOCO_EIO, h, "cannot write a chunk of", name);
    }
    for (int64_t i = 0; !err && i < x->n_chunks; i++) {
        unsigned mask = 0;
        hsize_t bytes = 0;
        haddr_t at = HADDR_UNDEF;

        chunk_offset(x, i, offset);
        if (H5Dget_chunk_info_by_coord(set, offset, &mask, &at, &bytes) < 0)
            err = fail(VOCO_EIO, h, "cannot find a chunk of", name);
        else if (at == HADDR_UNDEF || bytes != x->chunk_bytes[i] || mask != 0)
            err = voco_fail(VOCO_EINTERNAL, "%s: HDF5 %s misplaced a chunk of %s",
                            h->path, voco_h5_version(), name);
        address[i] = at;
    }
    if (set >= 0 && H5Dclose(set) < 0 && !err)
        err = fail(VOCO_EIO, h, "cannot write dataset", name);
    leave();
    return err;
}

uint64_t
voco_h5_bytes(struct voco_h5 *h)
{
    hsize_t n = 0;

    enter();
    H5Fget_filesize(h->file, &n);
    leave();
    return n;
}

const char *
voco_h5_version(void)
{
    static char text[32];
    unsigned a = 0, b = 0, c = 0;

    H5get_libversion(&a, &b, &c);
    snprintf(text, sizeof text, "%u.%u.%u", a, b, c);
    return text;
}
