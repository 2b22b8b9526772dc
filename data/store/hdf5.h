/*
 * HDF5 files: the only door to the HDF5 library.
 *
 * The library may be a build without thread safety, so every call here holds one mutex;
 * these functions may be called from any thread.  Its own error stack is kept silent and
 * becomes our sentence.  Files are written with the earliest format (libver earliest) and
 * opened without file locks, which fail on many parallel file systems.
 */
#ifndef VOCO_DATA_STORE_HDF5_H
#define VOCO_DATA_STORE_HDF5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCO_H5_RANK_MAX = 8 };

enum voco_h5_type { VOCO_H5_U8, VOCO_H5_U16, VOCO_H5_I16, VOCO_H5_F32 };

struct voco_h5;

/* Truncates an existing file. */
enum voco_err voco_h5_create(const char *path, struct voco_h5 **ret);
/* For reading only.  The library reads in a child process (hdf5_reader.h), so that a damaged
 * file in which it crashes is VOCO_EFORMAT. */
enum voco_err voco_h5_open(const char *path, struct voco_h5 **ret);
/* Flushes all writes; frees h also after a failure.  Accepts NULL. */
enum voco_err voco_h5_close(struct voco_h5 *h);

/* Of a file that is open for reading or for writing; what follows up to the next such remark
 * is for reading alone. */
enum voco_err voco_h5_has(struct voco_h5 *h, const char *name, bool *ret);

/* dim[0..*ret_rank) of a dataset, rank at most VOCO_H5_RANK_MAX. */
enum voco_err voco_h5_shape(struct voco_h5 *h, const char *name, int *ret_rank,
                            int64_t dim[VOCO_H5_RANK_MAX]);

/* Names of the members of the file's root, at most 200 bytes each, in byte order.  Free each
 * and the array. */
enum voco_err voco_h5_members(struct voco_h5 *h, char ***ret_names, int *ret_n);

/* The whole dataset, converted; it must have exactly n elements. */
enum voco_err voco_h5_read_f32(struct voco_h5 *h, const char *name, int64_t n,
                               float *out);
enum voco_err voco_h5_read_u8(struct voco_h5 *h, const char *name, int64_t n,
                              uint8_t *out);

/* Writing.  A new contiguous dataset; groups in the name ("a/b") are made as needed. */
enum voco_err voco_h5_write_f32(struct voco_h5 *h, const char *name, int rank,
                                const int64_t *dim, const float *x);

/* Attributes of the object called name ("/" is the file).  Text is stored with a fixed
 * length.  rank 0 is a scalar. */
enum voco_err voco_h5_attr_text(struct voco_h5 *h, const char *name, const char *attr,
                                const char *text);
enum voco_err voco_h5_attr_f64(struct voco_h5 *h, const char *name, const char *attr,
                               int rank, const int64_t *dim, const double *x);

/*
 * A new 3-D dataset, chunked, with the filters shuffle and deflate(level), whose chunks
 * arrive encoded: chunk[i] is number i in row-major order of the grid of chunks.
 * On success address[i] is its place in the file, which stays.
 */
struct voco_h5_chunked {
    enum voco_h5_type type;
    int64_t dim[3], edge[3];    /* edge <= dim */
    int level;
    int64_t n_chunks;
    const void *const *chunk;
    const size_t *chunk_bytes;
};
enum voco_err voco_h5_write_chunked(struct voco_h5 *h, const char *name,
                                    const struct voco_h5_chunked *x, uint64_t *address);

/* Bytes of the file so far, as far as the library has allocated them. */
uint64_t voco_h5_bytes(struct voco_h5 *h);

/* "1.10.8" */
const char *voco_h5_version(void);

#endif
