/* open, fopen, opendir and fsync, repeated after EINTR. */
#include "base/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

int
voco_open(const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

FILE *
voco_open_stream(const char *path, const char *mode)
{
    FILE *f;

    do
        f = fopen(path, mode);
    while (f == NULL && errno == EINTR);
    return f;
}

DIR *
voco_open_folder(const char *path)
{
    DIR *folder;

    do
        folder = opendir(path);
    while (folder == NULL && errno == EINTR);
    return folder;
}

int
voco_sync(int fd)
{
    int status;

    do
        status = fsync(fd);
    while (status != 0 && errno == EINTR);
    return status;
}
