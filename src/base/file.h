/*
 * Files that are either whole or absent.
 *
 * A voco_newfile is written under a temporary name in the same folder; commit flushes,
 * fsyncs, renames over the final name and fsyncs the folder.  Discard, or a crash,
 * leaves the old file.
 */
#ifndef VOCO_BASE_FILE_H
#define VOCO_BASE_FILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct voco_newfile {
    FILE *out;              /* write here */
    char *path, *temporary; /* owned */
};

enum voco_err voco_newfile_open(struct voco_newfile *f, const char *path);
enum voco_err voco_newfile_commit(struct voco_newfile *f);   /* frees f either way */
void voco_newfile_discard(struct voco_newfile *f);           /* accepts {0} */

/* A file of this text, whole or absent. */
enum voco_err voco_file_write_text(const char *path, const char *text);

/* fsync path, rename it to final and fsync the folder: for files that a library wrote. */
enum voco_err voco_file_publish(const char *temporary, const char *final);

/* The whole file in memory, at most max_bytes, with a 0 byte behind it. Free *ret. */
enum voco_err voco_file_read(const char *path, size_t max_bytes, char **ret, size_t *ret_n);

/* mkdir -p.  An existing folder is fine. */
enum voco_err voco_folder_make(const char *path);
/* Open a folder that one process at a time may write to; closing *ret_fd unlocks.  -1 and
 * VOCO_EUSAGE while another has it.  Where locks do not work we go without. */
enum voco_err voco_folder_lock(const char *path, int *ret_fd);
/* The next entry of a folder, which path names; NULL at the end, or with *err set when the
 * folder cannot be read on: a plain readdir would look like the end. */
struct dirent *voco_folder_next(DIR *dir, const char *path, enum voco_err *err);
bool voco_file_exists(const char *path);
bool voco_is_folder(const char *path);
bool voco_folder_has(const char *path, const char *name);
enum voco_err voco_folder_remove(const char *path);         /* rm -r */

/* Free bytes for this user on the file system of path. */
enum voco_err voco_file_space(const char *path, uint64_t *ret_bytes);

/* asprintf that never returns NULL (VOCO_NEED). Free the result. */
char *voco_format(const char *fmt, ...) VOCO_PRINTF(1, 2);

/* CRC-32C (Castagnoli), RFC 3720; start with crc = 0, continue with the last result. */
uint32_t voco_crc32c(uint32_t crc, const void *data, size_t n);

#endif
