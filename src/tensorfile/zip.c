/* Reading zip archives of stored entries; PKWARE's APPNOTE 6.3, sections 4.3 and 4.5. */
#include "tensorfile/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, LOCATOR_BYTES = 20,
    END64_BYTES = 56, COMMENT_MAX = 65535
};

struct walk {
    const unsigned char *bytes;
    size_t n;
    const char *what;
    size_t directory, end;      /* the central directory is [directory,end) */
    uint64_t entries;
};

static uint64_t
little(const unsigned char *p, int n)
{
    uint64_t x = 0;

    while (n-- > 0)
        x = x << 8 | p[n];
    return x;
}

static bool
is(const unsigned char *p, char a, char b)
{
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

bool
voco_zip_is(const void *bytes, size_t n)
{
    return n >= 4 && (is(bytes, 3, 4) || is(bytes, 5, 6));
}

uint32_t
voco_zip_crc32(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uLong crc = 0;

    while (n > 0) {
        const size_t part = n < 1 << 30 ? n : 1 << 30;

        crc = crc32(crc, p, (uInt)part);
        p += part;
        n -= part;
    }
    return (uint32_t)crc;
}

/* The last record of the file; its comment must reach exactly to the end. */
static const unsigned char *
find_end(const struct walk *w)
{
    for (size_t comment = 0; comment <= COMMENT_MAX && comment + END_BYTES <= w->n;
         comment++) {
        const unsigned char *p = w->bytes + w->n - END_BYTES - comment;

        if (is(p, 5, 6) && little(p + 20, 2) == comment)
            return p;
    }
    return NULL;
}

/* Where the directory is, from the end record or its zip64 form. */
static enum voco_err
find_directory(struct walk *w)
{
    const unsigned char *end = find_end(w);
    size_t at;
    uint64_t disks, here, size, offset;

    if (!end)
        return voco_fail(VOCO_EFORMAT, "%s: the zip archive has no end: truncated", w->what);
    at = (size_t)(end - w->bytes);
    disks = little(end + 4, 2) | little(end + 6, 2);
    here = little(end + 8, 2);
    w->entries = little(end + 10, 2);
    size = little(end + 12, 4);
    offset = little(end + 16, 4);
    if (at >= LOCATOR_BYTES && is(end - LOCATOR_BYTES, 6, 7)) {
        const uint64_t at64 = little(end - LOCATOR_BYTES + 8, 8);
        const unsigned char *end64;

        if (at < LOCATOR_BYTES + END64_BYTES || at64 > at - LOCATOR_BYTES - END64_BYTES
            || !is(w->bytes + at64, 6, 6))
            return voco_fail(VOCO_EFORMAT, "%s: the zip64 end record is not at byte %" PRIu64
                             ": truncated or damaged", w->what, at64);
        end64 = w->bytes + at64;
        at = (size_t)at64;
        disks = little(end64 + 16, 4) | little(end64 + 20, 4);
        here = little(end64 + 24, 8);
        w->entries = little(end64 + 32, 8);
        size = little(end64 + 40, 8);
        offset = little(end64 + 48, 8);
    }
    if (disks != 0 || here != w->entries)
        return voco_fail(VOCO_EFORMAT, "%s: a zip archive of several files; expected one",
                         w->what);
    if (size > at || offset != at - size)
        return voco_fail(VOCO_EFORMAT, "%s: the zip directory of %" PRIu64 " bytes is at byte "
                         "%" PRIu64 ", expected to end at %zu: truncated or damaged", w->what,
                         size, offset, at);
    if (w->entries > size / CENTRAL_BYTES)
        return voco_fail(VOCO_EFORMAT, "%s: a zip directory of %" PRIu64 " bytes cannot have "
                         "%" PRIu64 " entries", w->what, size, w->entries);
    w->directory = (size_t)offset;
    w->end = at;
    return VOCO_OK;
}

/* A field that is all ones in the directory is in the zip64 extra field, in this order. */
static bool
take64(uint64_t *value, uint64_t ones, const unsigned char **extra, size_t *left)
{
    if (*value != ones)
        return true;
    if (*left < 8)
        return false;
    *value = little(*extra, 8);
    *extra += 8;
    *left -= 8;
    return true;
}

/* The zip64 extra field among the others; *ret_n is 0 where there is none. */
static const unsigned char *
find_extra64(const unsigned char *extra, size_t n, size_t *ret_n)
{
    while (n >= 4) {
        const size_t size = (size_t)little(extra + 2, 2);

        if (size > n - 4)
            break;
        if (little(extra, 2) == 1) {
            *ret_n = size;
            return extra + 4;
        }
        extra += 4 + size;
        n -= 4 + size;
    }
    *ret_n = 0;
    return extra;
}

/* The header in front of the bytes says the same as the directory. */
static enum voco_err
check_local(const struct walk *w, const unsigned char *name, size_t n_name,
            struct voco_zip_entry *e)
{
    const unsigned char *local;
    uint64_t front, size;

    if (e->at > w->directory || w->directory - e->at < LOCAL_BYTES
        || !is(w->bytes + e->at, 3, 4))
        return voco_fail(VOCO_EFORMAT, "%s: %s: no entry at byte %" PRIu64 " of the zip "
                         "archive: damaged", w->what, e->name, e->at);
    local = w->bytes + e->at;
    front = LOCAL_BYTES + little(local + 26, 2) + little(local + 28, 2);
    size = little(local + 22, 4);
    if (front > w->directory - e->at || e->bytes > w->directory - e->at - front)
        return voco_fail(VOCO_EFORMAT, "%s: %s: %zu bytes at byte %" PRIu64 " reach beyond "
                         "the entries of the zip archive", w->what, e->name, e->bytes, e->at);
    if (little(local + 26, 2) != n_name || memcmp(local + LOCAL_BYTES, name, n_name) != 0
        || little(local + 8, 2) != 0
        || (!(local[6] & 8) && size != 0xFFFFFFFF && size != e->bytes))
        return voco_fail(VOCO_EFORMAT, "%s: %s: the entry at byte %" PRIu64 " has another "
                         "name or size than the zip directory says", w->what, e->name, e->at);
    e->data = local + front;
    return VOCO_OK;
}

/* One line of the directory; *at moves behind it. */
static enum voco_err
parse_entry(const struct walk *w, size_t *at, struct voco_zip_entry *e)
{
    const unsigned char *p = w->bytes + *at, *extra;
    size_t n_name, n_extra, left;
    uint64_t packed, size;

    if (w->end - *at < CENTRAL_BYTES || !is(p, 1, 2))
        return voco_fail(VOCO_EFORMAT, "%s: byte %zu of the zip directory is no entry",
                         w->what, *at);
    n_name = (size_t)little(p + 28, 2);
    n_extra = (size_t)little(p + 30, 2);
    if (n_name + n_extra + little(p + 32, 2) > w->end - *at - CENTRAL_BYTES)
        return voco_fail(VOCO_EFORMAT, "%s: the entry at byte %zu reaches beyond the zip "
                         "directory", w->what, *at);
    for (size_t i = 0; i < n_name; i++)
        if (p[CENTRAL_BYTES + i] < ' ' || p[CENTRAL_BYTES + i] == 127)
            return voco_fail(VOCO_EFORMAT, "%s: a name with control characters at byte %zu "
                             "of the zip directory", w->what, *at);
    e->name = voco_format("%.*s", (int)n_name, (const char *)p + CENTRAL_BYTES);
    e->crc32 = (uint32_t)little(p + 16, 4);
    packed = little(p + 20, 4);
    size = little(p + 24, 4);
    e->at = little(p + 42, 4);
    extra = find_extra64(p + CENTRAL_BYTES + n_name, n_extra, &left);
    if (!take64(&size, 0xFFFFFFFF, &extra, &left)
        || !take64(&packed, 0xFFFFFFFF, &extra, &left)
        || !take64(&e->at, 0xFFFFFFFF, &extra, &left))
        return voco_fail(VOCO_EFORMAT, "%s: %s: its size is in a zip64 field that is not "
                         "there", w->what, e->name);
    if (p[8] & 1)
        return voco_fail(VOCO_EFORMAT, "%s: %s is encrypted", w->what, e->name);
    if (little(p + 10, 2) != 0 || packed != size || size > SIZE_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: %s is compressed (method %d, %" PRIu64 " bytes of "
                         "%" PRIu64 "); expected stored entries as torch.save writes them: "
                         "unpack the archive and pack it with zip -0 -r", w->what, e->name,
                         (int)little(p + 10, 2), packed, size);
    e->bytes = (size_t)size;
    *at += CENTRAL_BYTES + n_name + n_extra + (size_t)little(p + 32, 2);
    return check_local(w, p + CENTRAL_BYTES, n_name, e);
}

static int
by_place(const void *a, const void *b)
{
    const struct voco_zip_entry *s = a, *t = b;

    return s->at < t->at ? -1 : s->at > t->at;
}

static int
by_name(const void *a, const void *b)
{
    const struct voco_zip_entry *s = a, *t = b;

    return strcmp(s->name, t->name);
}

static enum voco_err
check_places(struct voco_zip *zip, const unsigned char *bytes, const char *what)
{
    const size_t n = (size_t)zip->n;

    if (n == 0)
        return VOCO_OK;
    qsort(zip->item, n, sizeof *zip->item, by_place);
    for (size_t i = 1; i < n; i++)
        if (zip->item[i - 1].data + zip->item[i - 1].bytes > bytes + zip->item[i].at)
            return voco_fail(VOCO_EFORMAT, "%s: %s and %s overlap in the zip archive", what,
                             zip->item[i - 1].name, zip->item[i].name);
    qsort(zip->item, n, sizeof *zip->item, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(zip->item[i - 1].name, zip->item[i].name) == 0)
            return voco_fail(VOCO_EFORMAT, "%s: %s is in the zip archive twice", what,
                             zip->item[i].name);
    return VOCO_OK;
}

enum voco_err
voco_zip_parse(struct voco_zip *zip, const void *bytes, size_t n, const char *what)
{
    struct walk w = { .bytes = bytes, .n = n, .what = what };
    enum voco_err err = find_directory(&w);
    size_t at = w.directory;

    *zip = (struct voco_zip){ 0 };
    if (err != VOCO_OK)
        return err;
    zip->item = calloc((size_t)w.entries + 1, sizeof *zip->item);
    if (!zip->item || w.entries > INT32_MAX)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for %" PRIu64 " entries", what,
                        w.entries);
    for (uint64_t i = 0; i < w.entries && err == VOCO_OK; i++)
        err = parse_entry(&w, &at, &zip->item[zip->n++]);
    if (err == VOCO_OK && at != w.end)
        err = voco_fail(VOCO_EFORMAT, "%s: %zu bytes of the zip directory belong to none of "
                        "its %" PRIu64 " entries", what, w.end - at, w.entries);
    if (err == VOCO_OK)
        err = check_places(zip, bytes, what);
    if (err != VOCO_OK)
        voco_zip_close(zip);
    return err;
}

void
voco_zip_close(struct voco_zip *zip)
{
    for (int i = 0; i < zip->n; i++)
        free(zip->item[i].name);
    free(zip->item);
    *zip = (struct voco_zip){ 0 };
}

const struct voco_zip_entry *
voco_zip_find(const struct voco_zip *zip, const char *name)
{
    const struct voco_zip_entry key = { .name = (char *)(uintptr_t)name };

    return zip->n == 0 ? NULL
        : bsearch(&key, zip->item, (size_t)zip->n, sizeof *zip->item, by_name);
}
