/*
 * The bytes of a file, inflated when it is compressed, read once from front to back.
 *
 * gzip (also of several members) and zlib streams are told apart by their first bytes.
 * voco_stream_finish goes on to the very end of compressed data, where the checksum and
 * the length are: this detects a truncated copy even if it contains all voxels.
 */
#ifndef VOCO_DATA_VOLUME_STREAM_H
#define VOCO_DATA_VOLUME_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum voco_packing {
    VOCO_PLAIN,
    VOCO_PACKED,            /* gzip or zlib */
    VOCO_GUESS              /* gzip when it begins like gzip, else plain */
};

struct voco_stream {
    const char *path;       /* the caller's; must outlive the stream */
    FILE *in;
    struct z_stream_s *z;   /* NULL: plain */
    unsigned char *buffer;
    int64_t file_bytes;     /* behind the offset of open, before inflating */
    int64_t position;       /* bytes handed out so far */
    int64_t checked;        /* compressed data: bytes whose checksum was right */
    bool ended;             /* no more compressed data */
    bool more;              /* but bytes that are none */
};

/* The data begin at offset in the file. */
enum voco_err voco_stream_open(struct voco_stream *s, const char *path, int64_t offset,
                               enum voco_packing packing);

/* Exactly n bytes; fewer in the file is VOCO_EFORMAT. */
enum voco_err voco_stream_read(struct voco_stream *s, void *out, size_t n);

/* Up to n bytes: fewer only at the end of the data. */
enum voco_err voco_stream_peek(struct voco_stream *s, void *out, size_t n, size_t *ret_n);

/* All of compressed data, exactly n bytes, with the checks of voco_stream_finish: faster
 * than in pieces, with the file in memory beside them.  False if that does not work, for
 * whatever reason; the stream is then at its begin, and reading it gives the error. */
bool voco_stream_read_all(struct voco_stream *s, void *out, size_t n);

enum voco_err voco_stream_skip(struct voco_stream *s, int64_t n);

/* Could the rest of the file hold n bytes?  deflate never packs better than 1032:1, so
 * this refuses absurd sizes before any memory is asked for. */
enum voco_err voco_stream_expect(const struct voco_stream *s, int64_t n);

/* Behind the last byte that a header announces: read on until its checksum was compared.
 * Bytes behind it in the file are noted.  Data that go on for as long again
 * before their checksum are an error: a small file may inflate for hours. */
enum voco_err voco_stream_finish(struct voco_stream *s);

void voco_stream_close(struct voco_stream *s);      /* accepts {0} */

#endif
