/*
 * Zip archives of stored entries, as torch.save writes them, over libzip.
 *
 * Nothing is ever inflated: a compressed entry is refused by name.
 */
#ifndef VOCO_TENSORFILE_ZIP_H
#define VOCO_TENSORFILE_ZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct zip;                     /* libzip's */

/* ---- reading ---- */

struct voco_zip;

/* Does the file begin like one? */
bool voco_zip_is(const void *bytes, size_t n);

/* Has it an entry whose name ends so, whether or not voco_zip_open would take it?  false
 * if the bytes are no archive. */
bool voco_zip_has_ending(const void *bytes, size_t n, const char *ending);

/* Of a buffer that the caller keeps until it is closed; entries are read when they are
 * asked for.  libzip checks the directory, the header in front of every entry, and that no
 * name is there twice; we, that entries are stored, not encrypted, of printable names, and
 * together no larger than the file.  *ret is NULL after an error. */
enum voco_err voco_zip_open(struct voco_zip **ret, const void *bytes, size_t n,
                            const char *what);
void voco_zip_close(struct voco_zip *zip);          /* accepts NULL */

int voco_zip_count(const struct voco_zip *zip);
int voco_zip_find(const struct voco_zip *zip, const char *name);        /* -1: none */
const char *voco_zip_name(const struct voco_zip *zip, int entry);
size_t voco_zip_bytes(const struct voco_zip *zip, int entry);

/* Bytes [from,from+n) of an entry, which has as many.  All of them are held against the
 * checksum, a part is not. */
enum voco_err voco_zip_read(const struct voco_zip *zip, int entry, size_t from, size_t n,
                            void *out);

/* Reads an entry and compares its checksum; one that its writer left 0 does not count. */
enum voco_err voco_zip_check(const struct voco_zip *zip, int entry);

/* ---- writing: whole or absent, every entry's bytes at a multiple of 64 ---- */

struct voco_zipwriter {
    struct zip *archive;
    char *path, *temporary;     /* owned */
    size_t at;                  /* where the next entry will begin */
    enum voco_err err;          /* of a function that made bytes */
};

/* Makes the bytes of part i, to be freed with free(). */
struct voco_zippart {
    enum voco_err (*make)(void *arg, int i, void **ret);
    void *arg;
    int i;
};

enum voco_err voco_zipwriter_open(struct voco_zipwriter *w, const char *path);

/* The part is made when the archive is committed; one at a time is in memory. */
enum voco_err voco_zipwriter_add(struct voco_zipwriter *w, const char *name, size_t bytes,
                                 const struct voco_zippart *part);

/* The bytes are copied. */
enum voco_err voco_zipwriter_add_bytes(struct voco_zipwriter *w, const char *name,
                                       const void *data, size_t bytes);
enum voco_err voco_zipwriter_commit(struct voco_zipwriter *w);      /* frees w either way */
void voco_zipwriter_discard(struct voco_zipwriter *w);              /* accepts {0} */

#endif
