/*
 * zlib streams, whole buffers at a time.
 */
#ifndef VOCO_DATA_CODEC_DEFLATE_H
#define VOCO_DATA_CODEC_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Most bytes that n_raw bytes become. */
size_t voco_deflate_bound(size_t n_raw);

/* One deflater or inflater serves one thread. */
struct voco_deflater;
struct voco_inflater;

/* Level 1: only runs of one byte are looked for (data/codec/runs.h). */
enum { VOCO_DEFLATE_RUNS = 1 };

enum voco_err voco_deflater_new(int level, struct voco_deflater **ret);     /* 1..9 */
void voco_deflater_free(struct voco_deflater *d);                   /* accepts NULL */

/* n_planes planes of plane bytes, one behind the other, into out with room for
 * voco_deflate_bound of them.  Returns the bytes used; 0 on a lack of memory or an
 * error in voco. */
size_t voco_deflate(struct voco_deflater *d, const uint8_t *planes, size_t plane,
                    size_t n_planes, uint8_t *out);

enum voco_err voco_inflater_new(struct voco_inflater **ret);
void voco_inflater_free(struct voco_inflater *f);                   /* accepts NULL */

/* Exactly n_raw bytes must come out of exactly n_in.  The sentence of VOCO_EFORMAT does
 * not name the file. */
enum voco_err voco_inflate(struct voco_inflater *f, const void *in, size_t n_in,
                           uint8_t *out, size_t n_raw);

/* The same of a whole file: gzip, perhaps of several members, or zlib; zeros may follow.
 * False if it is anything else, and in builds without libdeflate. */
bool voco_inflate_file(struct voco_inflater *f, const uint8_t *in, size_t n_in,
                       uint8_t *out, size_t n_raw);

/* The library that inflates in this build: "libdeflate 1.14" or zlib's version, "1.2.13". */
const char *voco_inflate_name(void);

#endif
