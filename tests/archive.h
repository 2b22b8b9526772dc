/*
 * Zip archives of a test's own, in memory.
 */
#ifndef VOCO_TESTS_ARCHIVE_H
#define VOCO_TESTS_ARCHIVE_H

#include "tensorfile/zip.h"
#include "tests/scratch.h"

struct part { const char *name; const void *data; size_t n; };

/* The bytes of an archive.  Free them. */
static inline char *
archive(const struct part *part, int n_parts, size_t *ret_n)
{
    struct voco_zipwriter w;
    char *bytes;

    ck_assert_int_eq(voco_zipwriter_open(&w, scratch("made.pt")), VOCO_OK);
    for (int i = 0; i < n_parts; i++)
        ck_assert_int_eq(voco_zipwriter_add_bytes(&w, part[i].name, part[i].data, part[i].n),
                         VOCO_OK);
    ck_assert_int_eq(voco_zipwriter_commit(&w), VOCO_OK);
    ck_assert_int_eq(voco_file_read(scratch("made.pt"), 1 << 20, &bytes, ret_n), VOCO_OK);
    return bytes;
}

#endif
