/*
 * A folder of one test's own, and bytes written into files there.
 */
#ifndef VOCO_TESTS_SCRATCH_H
#define VOCO_TESTS_SCRATCH_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

static char scratch_folder[256];

static inline void
scratch_setup(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(scratch_folder, sizeof scratch_folder, "%s/voco-test-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
}

static inline void
scratch_teardown(void)
{
    ck_assert_int_eq(voco_folder_remove(scratch_folder), VOCO_OK);
}

/* The path of name in the scratch folder; good for the next 8 calls. */
static inline const char *
scratch(const char *name)
{
    static char path[8][512];
    static int next;

    next = (next + 1) % 8;
    snprintf(path[next], sizeof path[next], "%s/%s", scratch_folder, name);
    return path[next];
}

/* Writes the file, folders above it included; returns its path. */
static inline const char *
scratch_bytes(const char *name, const void *data, size_t n)
{
    const char *path = scratch(name);
    char *folder = voco_format("%s", path);
    FILE *out;

    *strrchr(folder, '/') = '\0';
    ck_assert_int_eq(voco_folder_make(folder), VOCO_OK);
    free(folder);
    out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, n, out), n);
    ck_assert_int_eq(fclose(out), 0);
    return path;
}

static inline const char *
scratch_text(const char *name, const char *text)
{
    return scratch_bytes(name, text, strlen(text));
}

/* The kept sentence says this. */
#define ck_assert_says(part)                                                      \
    ck_assert_msg(strstr(voco_fail_text(), part) != NULL, "expected \"%s\" in: %s", \
                  part, voco_fail_text())

#endif
