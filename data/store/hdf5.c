/* HDF5 files written: datasets, attributes, encoded chunks. */
#include "data/store/hdf5_library.h"

#include <string.h>

enum voco_err
voco_h5_create(const char *path, struct voco_h5 **ret)
{
    struct voco_h5 *h = voco_h5_new(path);
    enum voco_err err;

    voco_h5_enter();
    err = voco_h5_start(h, true);
    voco_h5_leave();
    if (err)
        voco_h5_release(h);
    *ret = err ? NULL : h;
    return err;
}

enum voco_err
voco_h5_close(struct voco_h5 *h)
{
    enum voco_err err = VOCO_OK;

    if (!h)
        return VOCO_OK;
    if (h->reader) {
        voco_h5_reader_close(h->reader);
    } else {
        voco_h5_enter();
        if (H5Fclose(h->file) < 0)
            err = voco_h5_fail(VOCO_EIO, h, "cannot finish", "the HDF5 file");
        voco_h5_leave();
    }
    voco_h5_release(h);
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

    voco_h5_enter();
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false);      /* the same numbers make the same file */
    const hid_t set = new_set(h, name, H5T_IEEE_F32LE, rank, dim, create);
    H5Pclose(create);
    if (set < 0
        || H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0)
        err = voco_h5_fail(VOCO_EIO, h, "cannot write dataset", name);
    if (set >= 0 && H5Dclose(set) < 0 && !err)
        err = voco_h5_fail(VOCO_EIO, h, "cannot write dataset", name);
    voco_h5_leave();
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
        err = voco_h5_fail(VOCO_EIO, h, "cannot write attribute", attr);
    if (a >= 0 && H5Aclose(a) < 0 && !err)
        err = voco_h5_fail(VOCO_EIO, h, "cannot write attribute", attr);
    return err;
}

enum voco_err
voco_h5_attr_text(struct voco_h5 *h, const char *name, const char *attr, const char *text)
{
    voco_h5_enter();
    const hid_t type = H5Tcopy(H5T_C_S1);
    const hid_t space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const enum voco_err err = write_attr(h, name, attr, type, type, space, text);
    H5Sclose(space);
    H5Tclose(type);
    voco_h5_leave();
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
    voco_h5_enter();
    const hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    const enum voco_err err = write_attr(h, name, attr, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                                         space, x);
    H5Sclose(space);
    voco_h5_leave();
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

    voco_h5_enter();
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(create, 3, edge);
    H5Pset_shuffle(create);
    H5Pset_deflate(create, (unsigned)x->level);
    H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);      /* every chunk is written */
    const hid_t set = new_set(h, name, file_type(x->type), 3, x->dim, create);
    H5Pclose(create);
    if (set < 0)
        err = voco_h5_fail(VOCO_EIO, h, "cannot create dataset", name);
    for (int64_t i = 0; !err && i < x->n_chunks; i++) {
        chunk_offset(x, i, offset);
        if (H5Dwrite_chunk(set, H5P_DEFAULT, 0, offset, x->chunk_bytes[i],
                           x->chunk[i]) < 0)
            err = voco_h5_fail(VOCO_EIO, h, "cannot write a chunk of", name);
    }
    for (int64_t i = 0; !err && i < x->n_chunks; i++) {
        unsigned mask = 0;
        hsize_t bytes = 0;
        haddr_t at = HADDR_UNDEF;

        chunk_offset(x, i, offset);
        if (H5Dget_chunk_info_by_coord(set, offset, &mask, &at, &bytes) < 0)
            err = voco_h5_fail(VOCO_EIO, h, "cannot find a chunk of", name);
        else if (at == HADDR_UNDEF || bytes != x->chunk_bytes[i] || mask != 0)
            err = voco_fail(VOCO_EINTERNAL, "%s: HDF5 %s misplaced a chunk of %s",
                            h->path, voco_h5_version(), name);
        address[i] = at;
    }
    if (set >= 0 && H5Dclose(set) < 0 && !err)
        err = voco_h5_fail(VOCO_EIO, h, "cannot write dataset", name);
    voco_h5_leave();
    return err;
}

uint64_t
voco_h5_bytes(struct voco_h5 *h)
{
    hsize_t n = 0;

    voco_h5_enter();
    H5Fget_filesize(h->file, &n);
    voco_h5_leave();
    return n;
}
