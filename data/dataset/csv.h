/*
 * Tables as text, RFC 4180: comma, semicolon or tab, as the first line has it; quotes; blanks
 * around a cell do not count.
 */
#ifndef VOCO_DATA_DATASET_CSV_H
#define VOCO_DATA_DATASET_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct voco_csv {
    const char *path;           /* the caller's */
    char *text, *at;            /* the whole file; the next byte */
    int line, next_line;        /* of the record that was read, from 1 */
    char delimiter;
    char **name;                /* [columns]: the first line */
    int columns;
    char **cell;                /* [n]: the record that was read; strings stay until close */
    int n, room;
};

/* The whole of a text file, without a byte order mark; a 0 byte in it is an error. */
enum voco_err voco_csv_text(const char *path, char **ret, size_t *ret_n);

/* Reads the file and its first line.  Close it after a failure, too. */
enum voco_err voco_csv_open(struct voco_csv *c, const char *path);
void voco_csv_close(struct voco_csv *c);            /* accepts {0} */

/* The next record that is not empty; *ret_more is false behind the last one.  As many cells as
 * columns, or it is an error. */
enum voco_err voco_csv_next(struct voco_csv *c, bool *ret_more);

/* Index of a column by its name, whatever the case; -1: there is none. */
int voco_csv_column(const struct voco_csv *c, const char *name);

/* Writes a cell, with quotes where it needs them. */
void voco_csv_put(FILE *out, const char *text);
/* Writes a comma and the number, 9 digits; nothing behind it for NaN and infinity. */
void voco_csv_put_number(FILE *out, double x);

#endif
