/*
 * safetensors files: named arrays in one file, readable everywhere.
 *
 *   u64 little-endian N, N bytes of JSON, then the buffer.
 *
 * The reader checks everything a hostile or damaged file could get wrong before anything
 * is used: N, duplicate names, types, shapes, that offsets lie in the buffer, agree with
 * shape times element size, and that the tensors cover the buffer without hole or overlap.
 */
#ifndef VOCO_TRAIN_SAFETENSORS_H
#define VOCO_TRAIN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCO_ST_RANK_MAX = 8 };

struct voco_st_tensor {
    const char *name;
    const char *type;           /* "F32", "I64", ... */
    int64_t dim[VOCO_ST_RANK_MAX];
    int rank;
    const void *data;
    size_t bytes;
};

/* ---- reading ---- */
struct voco_safetensors {
    struct voco_st_tensor *item;        /* in the order of the buffer */
    int n;
    struct { char *key, *value; } *meta;
    int n_meta;
    char **name;                        /* owns the items' names */
    void *map;
    size_t map_bytes;
};

/* The file is mapped; data stay valid until close. */
enum voco_err voco_st_open(struct voco_safetensors *st, const char *path);
/* The same on a buffer that the caller keeps; what only names it in sentences. */
enum voco_err voco_st_parse(struct voco_safetensors *st, const void *bytes, size_t n,
                            const char *what);
void voco_st_close(struct voco_safetensors *st);    /* accepts {0} */
const struct voco_st_tensor *voco_st_find(const struct voco_safetensors *st,
                                          const char *name);
const char *voco_st_meta(const struct voco_safetensors *st, const char *key);

/* Element i of an F32 F64 F16 BF16 I64 I32 U8 tensor as float. */
void voco_st_to_float(const struct voco_st_tensor *t, int64_t first, int64_t n, float *out);

/* Bytes of an element of a type name, 0 for an unknown one. */
size_t voco_st_type_bytes(const char *type);

/* ---- writing ---- */
struct voco_st_meta { const char *key, *value; };

/* Writes a whole file (temporary name, fsync, rename).  *ret_crc: CRC-32C of all its
 * bytes, *ret_bytes its length; both may be NULL. */
enum voco_err voco_st_write(const char *path, const struct voco_st_tensor *item, int n,
                            const struct voco_st_meta *meta, int n_meta,
                            uint32_t *ret_crc, uint64_t *ret_bytes);

#endif
