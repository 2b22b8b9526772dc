/*
 * Chunks: how voxels become the bytes of a store and return.
 *
 * voxels f32 -> elements (u16, f32 or i16, little-endian) -> byte planes (the HDF5
 * filter "shuffle": all first bytes of a chunk, then all second bytes, ...) -> deflate
 * (a zlib stream).  A chunk always has its full size in the file; elements
 * outside of the volume are zero.
 */
#ifndef VOCO_DATA_STORE_CHUNK_H
#define VOCO_DATA_STORE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/codec/deflate.h"
#include "data/store/store.h"

enum { VOCO_CHUNK_DEFAULT = 32, VOCO_CHUNK_MIN = 8, VOCO_CHUNK_MAX = 128 };

/* How a volume is cut. */
struct voco_chunk_grid {
    int64_t dim[3];         /* voxels of the volume */
    int64_t edge[3];        /* of a chunk: the store's edge, at most dim */
    int64_t n[3];           /* chunks per axis */
};

/* dim >= 1, chunk >= 1. */
struct voco_chunk_grid voco_chunk_grid(const int64_t dim[3], int chunk);
int64_t voco_chunk_count(const struct voco_chunk_grid *g);
int64_t voco_chunk_voxels(const struct voco_chunk_grid *g);
/* Grid position of chunk number i (row-major). */
void voco_chunk_at(const struct voco_chunk_grid *g, int64_t i, int64_t at[3]);

size_t voco_store_element_bytes(enum voco_store_type type);
const char *voco_store_type_name(enum voco_store_type type);    /* "u16" */

/* out: n elements of the type.  Returns how many voxels were outside the range of the
 * type and were clipped (NaN becomes the low end and counts). */
int64_t voco_store_elements(enum voco_store_type type, const float *voxel, int64_t n,
                            uint8_t *out);

/* Chunk number i of a volume: slab holds the elements of its chunks' x, all y and z.
 * planes is room for the chunk's raw bytes, out for voco_deflate_bound of them.  Returns
 * the bytes used; 0 on a lack of memory or an error in voco. */
size_t voco_chunk_encode(struct voco_deflater *d, const struct voco_chunk_grid *g,
                         size_t element_bytes, const uint8_t *slab, int64_t i,
                         uint8_t *planes, uint8_t *out);

/* A box of voxels, inside the volume. */
struct voco_chunk_box {
    int64_t start[3], size[3];
};

/* How an element is decoded: to a voxel in [0,1], or unchanged. */
struct voco_chunk_decode {
    enum voco_store_type type;
    float low, width;       /* I16: (element - low) / width, clipped to [0,1] */
};

/* Copy the voxels that chunk number i and the box have in common from the chunk's planes to out, which is
 * the whole box in row-major order: as voxels, as classes, or as raw elements. */
void voco_chunk_place(const struct voco_chunk_grid *g, int64_t i, const uint8_t *planes,
                      const struct voco_chunk_decode *how,
                      const struct voco_chunk_box *box, float *out);
void voco_chunk_place_labels(const struct voco_chunk_grid *g, int64_t i,
                             const uint8_t *planes, size_t element_bytes,
                             const struct voco_chunk_box *box, uint16_t *out);
void voco_chunk_place_elements(const struct voco_chunk_grid *g, int64_t i,
                               const uint8_t *planes, size_t element_bytes,
                               const struct voco_chunk_box *box, uint8_t *out);

#endif
