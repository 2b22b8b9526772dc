/*
 * A tensor is a view: it owns nothing.
 *
 * Dense, row-major, the last dimension contiguous.  Volumes are [n,d,h,w,c] where
 * (d,h,w) are the axes (x,y,z) of the store and c is contiguous (NDHWC).
 */
#ifndef VOCO_BASE_TENSOR_H
#define VOCO_BASE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum voco_type { VOCO_F32, VOCO_F64, VOCO_U8,
                 VOCO_BF16 };       /* the upper half of an f32 */

enum { VOCO_RANK_MAX = 5 };

struct voco_tensor {
    void *data;
    int64_t dim[VOCO_RANK_MAX];     /* dim[rank..] is 1 */
    int rank;
    enum voco_type type;
};

size_t voco_type_bytes(enum voco_type type);
const char *voco_type_name(enum voco_type type);        /* "f32" ... */

/* Elements; product of dim[0..rank). */
int64_t voco_count(const struct voco_tensor *x);

/* Rows: product of all dimensions but the last. */
int64_t voco_rows(const struct voco_tensor *x);

/* Size of the last dimension. */
int64_t voco_cols(const struct voco_tensor *x);

size_t voco_tensor_bytes(const struct voco_tensor *x);

/* A view of data with up to five dimensions; unused ones are left out by rank. */
struct voco_tensor voco_view(void *data, enum voco_type type, int rank, ...);

/* The same elements under another shape; the count must agree. */
struct voco_tensor voco_reshape(const struct voco_tensor *x, int rank, ...);

/* [n,d,h,w,c] as tokens [n d h w, c], a row each; as [n, d h w, c], voxels of an item. */
struct voco_tensor voco_as_tokens(const struct voco_tensor *x);
struct voco_tensor voco_as_voxels(const struct voco_tensor *x);

/* Items [first, first+n) along dimension 0. */
struct voco_tensor voco_slice(const struct voco_tensor *x, int64_t first, int64_t n);

#endif
