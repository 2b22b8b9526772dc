/* Plain and deflated files as one stream of bytes.
 * Formats: RFC 1950 (zlib), RFC 1952 (gzip). */
#include "data/volume/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/log.h"
#include "base/open.h"
#include "base/pages.h"
#include "data/codec/deflate.h"

enum {
    BUFFER = 1 << 16,
    SLACK = 1 << 20,            /* bytes that may follow the last voxel */
    RATIO = 1032,               /* best ratio of deflate: 258 bytes from 2 bits */
    AUTODETECT = 15 + 32        /* inflateInit2: window of 32 KiB, zlib or gzip */
};

static enum voco_err
open_file(struct voco_stream *s, const char *path, int64_t offset)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    if (!S_ISREG(st.st_mode))
        return voco_fail(VOCO_EFORMAT, "%s: not a regular file", path);
    if (offset < 0 || offset > (int64_t)st.st_size)
        return voco_fail(VOCO_EFORMAT,
                         "%s: data should begin at byte %lld of a file of %lld bytes",
                         path, (long long)offset, (long long)st.st_size);
    s->file_bytes = (int64_t)st.st_size - offset;
    s->in = voco_open_stream(path, "rb");
    if (s->in == NULL || fseeko(s->in, (off_t)offset, SEEK_SET) != 0)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    return VOCO_OK;
}

static enum voco_err
start_inflate(struct voco_stream *s)
{
    s->z = calloc(1, sizeof *s->z);
    s->buffer = malloc(BUFFER);
    if (s->z == NULL || s->buffer == NULL)
        return voco_fail(VOCO_EMEMORY, "%s: no memory to inflate", s->path);
    if (inflateInit2(s->z, AUTODETECT) != Z_OK) {
        free(s->z);
        s->z = NULL;
        return voco_fail(VOCO_EMEMORY, "%s: no memory to inflate", s->path);
    }
    return VOCO_OK;
}

enum voco_err
voco_stream_open(struct voco_stream *s, const char *path, int64_t offset,
                 enum voco_packing packing)
{
    enum voco_err err;

    *s = (struct voco_stream){.path = path};
    err = open_file(s, path, offset);
    if (err == VOCO_OK && packing == VOCO_GUESS) {
        unsigned char magic[2] = {0, 0};

        if (fread(magic, 1, 2, s->in) == 2 && magic[0] == 0x1f && magic[1] == 0x8b)
            packing = VOCO_PACKED;
        if (fseeko(s->in, (off_t)offset, SEEK_SET) != 0)
            err = voco_fail_errno(VOCO_EIO, "%s", path);
    }
    if (err == VOCO_OK && packing == VOCO_PACKED)
        err = start_inflate(s);
    if (err != VOCO_OK)
        voco_stream_close(s);
    return err;
}

void
voco_stream_close(struct voco_stream *s)
{
    if (s->in != NULL)
        fclose(s->in);
    if (s->z != NULL)
        inflateEnd(s->z);
    free(s->z);
    free(s->buffer);
    *s = (struct voco_stream){0};
}

/* More input when there is none left; avail_in stays 0 at the end of the file. */
static enum voco_err
refill(struct voco_stream *s)
{
    if (s->z->avail_in > 0)
        return VOCO_OK;
    errno = 0;
    s->z->next_in = s->buffer;
    s->z->avail_in = (uInt)fread(s->buffer, 1, BUFFER, s->in);
    if (ferror(s->in))
        return voco_fail_errno(VOCO_EIO, "%s", s->path);
    return VOCO_OK;
}

/* Behind a complete member: padding with zeros, another member, or the end. */
static enum voco_err
next_member(struct voco_stream *s)
{
    enum voco_err err = refill(s);

    while (err == VOCO_OK && s->z->avail_in > 0 && *s->z->next_in == 0) {
        s->z->next_in++;
        s->z->avail_in--;
        err = refill(s);
    }
    if (err != VOCO_OK)
        return err;
    if (s->z->avail_in == 0) {
        s->ended = true;
        return VOCO_OK;
    }
    if (*s->z->next_in != 0x1f) {
        s->ended = s->more = true;
        return VOCO_OK;
    }
    return inflateReset(s->z) == Z_OK
        ? VOCO_OK : voco_fail(VOCO_EINTERNAL, "%s: inflateReset failed", s->path);
}

static enum voco_err
inflate_some(struct voco_stream *s)
{
    const uInt had = s->z->avail_out;
    enum voco_err err = refill(s);

    if (err != VOCO_OK)
        return err;
    if (s->z->avail_in == 0)
        return voco_fail(VOCO_EFORMAT, "%s: truncated: the compressed data stop after"
                         " %lld bytes (inflated) without their checksum", s->path,
                         (long long)s->position);
    const int result = inflate(s->z, Z_NO_FLUSH);
    s->position += had - s->z->avail_out;
    switch (result) {
    case Z_OK:
    case Z_BUF_ERROR:                       /* more input comes in the next round */
        return VOCO_OK;
    case Z_STREAM_END:
        s->checked = s->position;
        return next_member(s);
    case Z_MEM_ERROR:
        return voco_fail(VOCO_EMEMORY, "%s: no memory to inflate", s->path);
    default:
        return voco_fail(VOCO_EFORMAT, "%s: damaged: %s after %lld bytes (inflated)",
                         s->path, s->z->msg != NULL ? s->z->msg : "bad compressed data",
                         (long long)s->position);
    }
}

enum voco_err
voco_stream_peek(struct voco_stream *s, void *out, size_t n, size_t *ret_n)
{
    enum { MOST = 1 << 30 };                /* zlib counts in 32 bits */
    char *to = out;

    *ret_n = 0;
    if (s->z == NULL) {
        errno = 0;
        *ret_n = fread(out, 1, n, s->in);
        s->position += (int64_t)*ret_n;
        return ferror(s->in) ? voco_fail_errno(VOCO_EIO, "%s", s->path) : VOCO_OK;
    }
    while (*ret_n < n && !s->ended) {
        const size_t want = n - *ret_n < MOST ? n - *ret_n : MOST;

        s->z->next_out = (Bytef *)(to + *ret_n);
        s->z->avail_out = (uInt)want;
        const enum voco_err err = inflate_some(s);
        *ret_n += want - s->z->avail_out;
        if (err != VOCO_OK)
            return err;
    }
    return VOCO_OK;
}

enum voco_err
voco_stream_read(struct voco_stream *s, void *out, size_t n)
{
    const int64_t first = s->position;
    size_t got;
    const enum voco_err err = voco_stream_peek(s, out, n, &got);

    if (err != VOCO_OK || got == n)
        return err;
    return voco_fail(VOCO_EFORMAT, "%s: truncated: %lld bytes of data, at least %lld"
                     " expected", s->path, (long long)s->position,
                     (long long)(first + (int64_t)n));
}

bool
voco_stream_read_all(struct voco_stream *s, void *out, size_t n)
{
    const off_t begin = ftello(s->in);
    const size_t bytes = (size_t)s->file_bytes;
    struct voco_inflater *f = NULL;
    uint8_t *in = NULL;
    bool whole = false;

    VOCO_ASSERT(s->z && s->position == 0);
    if (begin >= 0 && !voco_inflater_new(&f) && (in = voco_pages_alloc(bytes)))
        whole = fread(in, 1, bytes, s->in) == bytes
            && voco_inflate_file(f, in, bytes, out, n);
    free(in);
    voco_inflater_free(f);
    if (whole) {
        s->position = (int64_t)n;
        s->checked = s->position;
        s->ended = true;
    } else if (begin >= 0) {
        clearerr(s->in);
        fseeko(s->in, begin, SEEK_SET);
    }
    return whole;
}

enum voco_err
voco_stream_skip(struct voco_stream *s, int64_t n)
{
    char scrap[4096];
    enum voco_err err = VOCO_OK;

    while (err == VOCO_OK && n > 0) {
        const size_t part = n < (int64_t)sizeof scrap ? (size_t)n : sizeof scrap;

        err = voco_stream_read(s, scrap, part);
        n -= (int64_t)part;
    }
    return err;
}

enum voco_err
voco_stream_expect(const struct voco_stream *s, int64_t n)
{
    const int64_t ratio = s->z != NULL ? RATIO : 1;

    if (n / ratio <= s->file_bytes)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: truncated or a wrong header: it announces %lld"
                     " bytes of data, more than %lld bytes of %sfile can hold", s->path,
                     (long long)n, (long long)s->file_bytes,
                     s->z != NULL ? "compressed " : "");
}

/* Is there anything but padding with zeros behind the data? */
static bool
goes_on(struct voco_stream *s)
{
    int c;

    if (s->z == NULL)
        return s->file_bytes > s->position;
    if (s->more)
        return true;
    for (; s->z->avail_in > 0; s->z->avail_in--)
        if (*s->z->next_in++ != 0)
            return true;
    while ((c = getc(s->in)) != EOF)
        if (c != 0)
            return true;
    return false;
}

enum voco_err
voco_stream_finish(struct voco_stream *s)
{
    const int64_t last = s->position;
    char scrap[4096];
    size_t got;
    enum voco_err err = VOCO_OK;

    while (s->z != NULL && err == VOCO_OK && !s->ended && s->checked < last) {
        if (s->position - last > last + SLACK)
            return voco_fail(VOCO_EFORMAT, "%s: the data go on past the %lld bytes that"
                             " the header announces", s->path, (long long)last);
        err = voco_stream_peek(s, scrap, sizeof scrap, &got);
    }
    if (err == VOCO_OK && goes_on(s))
        voco_note("%s: bytes behind the voxels are ignored", s->path);
    return err;
}
