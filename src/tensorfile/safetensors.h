/*
 * safetensors files: named arrays in one file, readable everywhere.
 *
 *   u64 little-endian N, N bytes of JSON, then the buffer.
 *
 * The reader checks everything a hostile or damaged file could get wrong before anything
 * is used: N, duplicate names, types, shapes, that offsets lie in the buffer, agree with
 * shape times element size, and that the tensors cover the buffer without hole or overlap.
 */
#ifndef VOCO_TENSORFILE_SAFETENSORS_H
#define VOCO_TENSORFILE_SAFETENSORS_H

#include "base/file.h"
#include "tensorfile/tensorfile.h"

/* Does the file begin like one, as far as its first 9 bytes tell? */
bool voco_safetensors_is(const void *bytes, size_t n);

/* From a buffer that the caller keeps; what is its name, for errors. */
enum voco_err voco_safetensors_parse(struct voco_tensorfile *f, const void *bytes, size_t n,
                                     const char *what);

/* ---- writing ---- */
struct voco_filemeta { const char *key, *value; };

/* Writes a whole file (temporary name, fsync, rename) of dense tensors.  *ret_crc: CRC-32C
 * of all its bytes, *ret_bytes its length; both may be NULL. */
enum voco_err voco_safetensors_write(const char *path, const struct voco_filetensor *item,
                                     int n, const struct voco_filemeta *meta, int n_meta,
                                     uint32_t *ret_crc, uint64_t *ret_bytes);

/* The same piece by piece: begin takes names, types and shapes (data are not looked at),
 * put the elements of one tensor after the other; then the file is committed. */
enum voco_err voco_safetensors_begin(struct voco_newfile *file,
                                     const struct voco_filetensor *item, int n,
                                     const struct voco_filemeta *meta, int n_meta);
enum voco_err voco_safetensors_put(struct voco_newfile *file, const void *data, size_t bytes);

#endif
