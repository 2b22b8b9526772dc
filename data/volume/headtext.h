/*
 * Text headers: the lines of MetaImage and NRRD and the numbers in them.
 */
#ifndef VOCO_DATA_VOLUME_HEADTEXT_H
#define VOCO_DATA_VOLUME_HEADTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct voco_headtext {
    const char *path;       /* the caller's */
    char *text;             /* the first bytes of the file, 0-terminated; owned */
    size_t n, at;           /* bytes in text, begin of the next line */
};

/* At most 1 MiB of the file: far more than any header. */
enum voco_err voco_headtext_open(struct voco_headtext *t, const char *path);
void voco_headtext_close(struct voco_headtext *t);          /* accepts {0} */

/* The next line, cut at its end, which is \n or \r\n; NULL behind the last one. */
char *voco_headtext_line(struct voco_headtext *t);

/* Without blanks at both ends; text is changed. */
char *voco_trim(char *text);

/* Are two values of a field equal, but for the number of blanks between the words? */
bool voco_headtext_same(const char *a, const char *b);

/* Numbers with blanks between: *ret_n of them, at most max; anything else on the line is
 * VOCO_EFORMAT naming path and key. */
enum voco_err voco_parse_reals(const char *path, const char *key, const char *text,
                               int max, double *out, int *ret_n);
enum voco_err voco_parse_ints(const char *path, const char *key, const char *text,
                              int max, int64_t *out, int *ret_n);

/* name as seen from the folder of path; free the result. */
char *voco_sibling(const char *path, const char *name);

#endif
