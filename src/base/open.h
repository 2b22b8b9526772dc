/*
 * Opening and syncing files where a signal may come in between.
 *
 * File systems over a network, and those in user space, may end open and fsync with EINTR:
 * these functions try again.  Apart from that they are open, fopen, opendir and fsync.
 */
#ifndef VOCO_BASE_OPEN_H
#define VOCO_BASE_OPEN_H

#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

/* flags: O_CLOEXEC is added; mode: of a file that O_CREAT makes. */
int voco_open(const char *path, int flags, mode_t mode);
FILE *voco_open_stream(const char *path, const char *mode);
DIR *voco_open_folder(const char *path);
int voco_sync(int fd);

#endif
