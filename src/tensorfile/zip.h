/*
 * Zip archives of stored entries, as torch.save writes them.
 *
 * libzip would do all but two things: it does not tell where in the file the bytes of an
 * entry begin, so they could not be mapped, and it does not align them.  Nothing is ever
 * inflated here: a compressed entry is refused by name.
 */
#ifndef VOCO_TENSORFILE_ZIP_H
#define VOCO_TENSORFILE_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

/* ---- reading ---- */

struct voco_zip_entry {
    char *name;                 /* owned */
    const unsigned char *data;
    size_t bytes;
    uint32_t crc32;             /* not checked; 0 where the writer left it out */
    uint64_t at;                /* of the local header */
};

struct voco_zip {
    struct voco_zip_entry *item;        /* by name */
    int n;
};

/* Does the file begin like one? */
bool voco_zip_is(const void *bytes, size_t n);

/* Of a buffer that the caller keeps.  Checked: the directory reaches to the end of the
 * file and has as many entries as it says, every entry lies in front of it, agrees with
 * the header in front of its bytes, and overlaps no other; no name is there twice. Zip64
 * is understood; archives of several files, encrypted or compressed entries are refused. */
enum voco_err voco_zip_parse(struct voco_zip *zip, const void *bytes, size_t n,
                             const char *what);
void voco_zip_close(struct voco_zip *zip);          /* accepts {0} */
const struct voco_zip_entry *voco_zip_find(const struct voco_zip *zip, const char *name);

/* CRC-32 of zip, any length. */
uint32_t voco_zip_crc32(const void *bytes, size_t n);

/* ---- writing: whole or absent, every entry's bytes at a multiple of 64 ---- */

struct voco_zipwriter {
    struct voco_newfile file;
    uint64_t at;
    struct voco_zip_entry *item;
    int n, room;
};

enum voco_err voco_zipwriter_open(struct voco_zipwriter *w, const char *path);
enum voco_err voco_zipwriter_add(struct voco_zipwriter *w, const char *name,
                                 const void *data, size_t bytes);
enum voco_err voco_zipwriter_commit(struct voco_zipwriter *w);      /* frees w either way */
void voco_zipwriter_discard(struct voco_zipwriter *w);              /* accepts {0} */

#endif
