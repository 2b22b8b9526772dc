/*
 * For the targets: readers that want files get them, and results are read to the last byte.
 */
#ifndef VOCO_TESTS_FUZZ_BYTES_H
#define VOCO_TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* A folder of this process alone, in TMPDIR, else in /dev/shm, which is memory, else in /tmp;
 * it is removed at exit. */
const char *fuzz_folder(void);

/* A file of these bytes there, and its path, which stays valid.  A few names only: the files
 * are kept open. */
const char *fuzz_file(const char *name, const void *bytes, size_t n);

/* The same of bytes that are in two parts. */
const char *fuzz_file2(const char *name, const void *first, size_t n_first,
                       const void *second, size_t n_second);

/* A copy with a 0 byte behind it.  Free it. */
char *fuzz_text(const uint8_t *bytes, size_t n);

/* Reads every byte, so that a sanitizer sees those that are not there. */
void fuzz_touch(const void *bytes, size_t n);

#endif
