/* Writing zip archives of stored entries; PKWARE's APPNOTE 6.3, sections 4.3 and 4.5. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile/zip.h"

enum {
    ALIGN = 64,                 /* torch maps tensors where they are and wants them aligned */
    PADDING_ID = 0x4246,        /* the extra field "FB" in which torch keeps the padding */
    NEEDS_64 = 45, NEEDS_PLAIN = 20, LOCAL_BYTES = 30
};

static const uint64_t ones = 0xFFFFFFFF;

/* A record that is written as a whole. */
struct record {
    unsigned char byte[512];
    size_t n;
};

static void
add(struct record *r, uint64_t value, int bytes)
{
    VOCO_ASSERT(r->n + (size_t)bytes <= sizeof r->byte);
    for (int i = 0; i < bytes; i++)
        r->byte[r->n++] = (unsigned char)(value >> 8 * i);
}

static void
add_text(struct record *r, const char *text)
{
    const size_t n = strlen(text);

    VOCO_ASSERT(r->n + n <= sizeof r->byte);
    memcpy(r->byte + r->n, text, n);
    r->n += n;
}

static enum voco_err
put(struct voco_zipwriter *w, const void *data, size_t n)
{
    if (n && fwrite(data, 1, n, w->file.out) != n)
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", w->file.path);
    w->at += n;
    return VOCO_OK;
}

enum voco_err
voco_zipwriter_open(struct voco_zipwriter *w, const char *path)
{
    *w = (struct voco_zipwriter){ 0 };
    return voco_newfile_open(&w->file, path);
}

/* What local header and directory have in common: from "version needed" to the sizes.
 * 1980-01-01 is the date of all entries, so that the same weights are the same bytes. */
static void
add_common(struct record *r, const struct voco_zip_entry *e, bool wide)
{
    const uint64_t size = wide ? ones : e->bytes;

    add(r, wide ? NEEDS_64 : NEEDS_PLAIN, 2);
    add(r, 1 << 11, 2);                 /* names are UTF-8 */
    add(r, 0, 2);                       /* stored */
    add(r, 0, 2);
    add(r, 1 << 5 | 1, 2);
    add(r, e->crc32, 4);
    add(r, size, 4);
    add(r, size, 4);
    add(r, strlen(e->name), 2);
}

enum voco_err
voco_zipwriter_add(struct voco_zipwriter *w, const char *name, const void *data,
                   size_t bytes)
{
    const bool wide = bytes >= ones;
    struct record r = { .n = 0 };
    struct voco_zip_entry *e;
    size_t front, padding;
    enum voco_err err;

    if (w->n == w->room) {
        w->room = w->room ? 2 * w->room : 256;
        w->item = realloc(w->item, (size_t)w->room * sizeof *w->item);
        VOCO_ASSERT(w->item);
    }
    e = &w->item[w->n++];
    *e = (struct voco_zip_entry){ .name = voco_format("%s", name), .bytes = bytes, .at = w->at,
                                  .crc32 = voco_zip_crc32(data, bytes) };
    front = LOCAL_BYTES + strlen(name) + (wide ? 20 : 0) + 4;
    padding = (ALIGN - (w->at + front) % ALIGN) % ALIGN;
    add(&r, 0x04034B50, 4);
    add_common(&r, e, wide);
    add(&r, (wide ? 20 : 0) + 4 + padding, 2);
    add_text(&r, name);
    if (wide) {
        add(&r, 1, 2);
        add(&r, 16, 2);
        add(&r, bytes, 8);
        add(&r, bytes, 8);
    }
    add(&r, PADDING_ID, 2);
    add(&r, padding, 2);
    for (size_t i = 0; i < padding; i++)
        add(&r, 0, 1);
    if ((err = put(w, r.byte, r.n)) != VOCO_OK)
        return err;
    VOCO_ASSERT(w->at % ALIGN == 0);
    return put(w, data, bytes);
}

static enum voco_err
put_central(struct voco_zipwriter *w, const struct voco_zip_entry *e)
{
    const bool wide = e->bytes >= ones, far = e->at >= ones;
    const int extra = (wide ? 16 : 0) + (far ? 8 : 0);
    struct record r = { .n = 0 };

    add(&r, 0x02014B50, 4);
    add(&r, NEEDS_64, 2);               /* made by */
    add_common(&r, e, wide);
    add(&r, extra ? (uint64_t)extra + 4 : 0, 2);
    add(&r, 0, 2);                      /* no comment, first disk, no attributes */
    add(&r, 0, 2);
    add(&r, 0, 2);
    add(&r, 0, 4);
    add(&r, far ? ones : e->at, 4);
    add_text(&r, e->name);
    if (extra) {
        add(&r, 1, 2);
        add(&r, (uint64_t)extra, 2);
    }
    if (wide) {
        add(&r, e->bytes, 8);
        add(&r, e->bytes, 8);
    }
    if (far)
        add(&r, e->at, 8);
    return put(w, r.byte, r.n);
}

static enum voco_err
put_end(struct voco_zipwriter *w, uint64_t directory)
{
    const uint64_t end = w->at, n = (uint64_t)w->n;
    const bool wide = end >= ones || n >= 0xFFFF;
    struct record r = { .n = 0 };

    if (wide) {
        add(&r, 0x06064B50, 4);
        add(&r, 44, 8);                 /* bytes that follow */
        add(&r, NEEDS_64, 2);
        add(&r, NEEDS_64, 2);
        add(&r, 0, 4);
        add(&r, 0, 4);
        add(&r, n, 8);
        add(&r, n, 8);
        add(&r, end - directory, 8);
        add(&r, directory, 8);
        add(&r, 0x07064B50, 4);         /* the locator */
        add(&r, 0, 4);
        add(&r, end, 8);
        add(&r, 1, 4);
    }
    add(&r, 0x06054B50, 4);
    add(&r, 0, 4);
    add(&r, wide ? 0xFFFF : n, 2);
    add(&r, wide ? 0xFFFF : n, 2);
    add(&r, wide ? ones : end - directory, 4);
    add(&r, wide ? ones : directory, 4);
    add(&r, 0, 2);
    return put(w, r.byte, r.n);
}

static void
release(struct voco_zipwriter *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->item[i].name);
    free(w->item);
    *w = (struct voco_zipwriter){ 0 };
}

enum voco_err
voco_zipwriter_commit(struct voco_zipwriter *w)
{
    const uint64_t directory = w->at;
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < w->n && err == VOCO_OK; i++)
        err = put_central(w, &w->item[i]);
    if (err == VOCO_OK)
        err = put_end(w, directory);
    if (err == VOCO_OK)
        err = voco_newfile_commit(&w->file);
    else
        voco_newfile_discard(&w->file);
    release(w);
    return err;
}

void
voco_zipwriter_discard(struct voco_zipwriter *w)
{
    voco_newfile_discard(&w->file);
    release(w);
}
