/* Writing zip archives of stored entries with libzip. */
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "base/file.h"
#include "base/temporary.h"
#include "tensorfile/zip.h"

enum {
    ALIGN = 64,                 /* torch maps tensors where they are and wants them aligned */
    PADDING_ID = 0x4246,        /* the extra field "FB" in which torch keeps the padding */
    LOCAL_BYTES = 30, EXTRA_BYTES = 4, ZIP64_BYTES = 20,
    DATE = 1 << 5 | 1           /* 1980-01-01: the same weights are the same bytes */
};

/* An entry as libzip's source. */
struct source {
    struct voco_zipwriter *w;
    struct voco_zippart part;
    void *data;
    size_t bytes, at;
};

static zip_int64_t
serve(void *state, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    struct source *s = state;
    zip_stat_t *st = data;

    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_STAT, ZIP_SOURCE_OPEN,
                                              ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
    case ZIP_SOURCE_STAT:
        zip_stat_init(st);
        st->size = s->bytes;
        st->valid = ZIP_STAT_SIZE;
        return sizeof *st;
    case ZIP_SOURCE_OPEN:
        s->at = 0;
        s->w->err = s->part.make(s->part.arg, s->part.i, &s->data);
        return s->w->err == VOCO_OK ? 0 : -1;
    case ZIP_SOURCE_READ:
        n = n < s->bytes - s->at ? n : s->bytes - s->at;
        memcpy(data, (char *)s->data + s->at, n);
        s->at += n;
        return (zip_int64_t)n;
    case ZIP_SOURCE_CLOSE:
        free(s->data);
        s->data = NULL;
        return 0;
    case ZIP_SOURCE_ERROR:
        memcpy(data, (int[2]){ ZIP_ER_INTERNAL, 0 }, 2 * sizeof(int));
        return 2 * sizeof(int);
    case ZIP_SOURCE_FREE:
        free(s->data);
        free(s);
        return 0;
    default:
        return -1;
    }
}

enum voco_err
voco_zipwriter_open(struct voco_zipwriter *w, const char *path)
{
    zip_error_t error;
    int code;

    *w = (struct voco_zipwriter){ .path = voco_format("%s", path),
                                  .temporary = voco_format("%s.tmp-%ld", path,
                                                           (long)getpid()) };
    voco_temporary_add(w->temporary);
    w->archive = zip_open(w->temporary, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!w->archive) {
        zip_error_init_with_code(&error, code);
        voco_fail(VOCO_EIO, "%s: cannot create: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        voco_zipwriter_discard(w);
        return VOCO_EIO;
    }
    return VOCO_OK;
}

/* The extra field in front of an entry's bytes that brings them to a multiple of ALIGN. */
static int
align(struct voco_zipwriter *w, zip_uint64_t entry, const char *name, size_t bytes)
{
    static const zip_uint8_t zeros[ALIGN];
    const size_t front = w->at + LOCAL_BYTES + strlen(name) + EXTRA_BYTES
        + (bytes > UINT32_MAX ? ZIP64_BYTES : 0);
    const size_t padding = (ALIGN - front % ALIGN) % ALIGN;

    w->at = front + padding + bytes;
    return zip_file_extra_field_set(w->archive, entry, PADDING_ID, 0, zeros,
                                    (zip_uint16_t)padding, ZIP_FL_LOCAL);
}

/* Owns source, which has as many bytes. */
static enum voco_err
add(struct voco_zipwriter *w, const char *name, size_t bytes, zip_source_t *source)
{
    const zip_int64_t added = zip_file_add(w->archive, name, source, ZIP_FL_ENC_UTF_8);
    const zip_uint64_t entry = (zip_uint64_t)added;

    if (added < 0)
        zip_source_free(source);
    else if (zip_set_file_compression(w->archive, entry, ZIP_CM_STORE, 0) == 0
             && zip_file_set_dostime(w->archive, entry, 0, DATE, 0) == 0
             && align(w, entry, name, bytes) == 0)
        return VOCO_OK;
    return voco_fail(VOCO_EIO, "%s: cannot add %s: %s", w->path, name,
                     zip_strerror(w->archive));
}

enum voco_err
voco_zipwriter_add(struct voco_zipwriter *w, const char *name, size_t bytes,
                   const struct voco_zippart *part)
{
    struct source *s = calloc(1, sizeof *s);
    zip_source_t *source;

    VOCO_NEED(s);
    *s = (struct source){ .w = w, .part = *part, .bytes = bytes };
    source = zip_source_function(w->archive, serve, s);
    VOCO_NEED(source);
    return add(w, name, bytes, source);
}

enum voco_err
voco_zipwriter_add_bytes(struct voco_zipwriter *w, const char *name, const void *data,
                         size_t bytes)
{
    char *copy = bytes ? malloc(bytes) : NULL;
    zip_source_t *source;

    VOCO_NEED(copy || bytes == 0);
    if (bytes)
        memcpy(copy, data, bytes);
    source = zip_source_buffer(w->archive, copy, bytes, 1);     /* libzip frees it */
    VOCO_NEED(source);
    return add(w, name, bytes, source);
}

/* Was it a signal that came while libzip opened its own temporary file?  Nothing has been
 * written then, and zip_close may be called again. */
static bool
is_interrupted(const struct voco_zipwriter *w)
{
    zip_error_t *error = zip_get_error(w->archive);

    return w->err == VOCO_OK && zip_error_code_zip(error) == ZIP_ER_TMPOPEN
        && zip_error_code_system(error) == EINTR;
}

enum voco_err
voco_zipwriter_commit(struct voco_zipwriter *w)
{
    enum voco_err err = VOCO_OK;
    int status;

    do
        status = zip_close(w->archive);
    while (status != 0 && is_interrupted(w));
    if (status == 0)
        w->archive = NULL;
    else
        err = w->err != VOCO_OK ? w->err
            : voco_fail(VOCO_EIO, "%s: cannot write: %s", w->path, zip_strerror(w->archive));
    if (err == VOCO_OK)
        err = voco_file_publish(w->temporary, w->path);
    voco_zipwriter_discard(w);
    return err;
}

void
voco_zipwriter_discard(struct voco_zipwriter *w)
{
    if (w->archive)
        zip_discard(w->archive);
    if (w->temporary) {
        unlink(w->temporary);
        voco_temporary_drop(w->temporary);
    }
    free(w->temporary);
    free(w->path);
    *w = (struct voco_zipwriter){ 0 };
}
