/* Whole files or none, folders, free space, CRC-32C. */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/open.h"
#include "base/temporary.h"

char *
voco_format(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    VOCO_NEED(n >= 0);
    return text;
}

/* The folder that holds path: "a/b" -> "a", "b" -> ".", "/b" -> "/". Free the result. */
static char *
parent(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return voco_format(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return voco_format("%.*s", (int)n, path);
}

/* fsync of a file or folder by name.  Some file systems cannot sync a folder and say
 * EINVAL or ENOTSUP: nothing better can be done there. */
static enum voco_err
sync_path(const char *path, int flags)
{
    const int fd = voco_open(path, O_RDONLY | flags, 0);
    const bool folder = flags & O_DIRECTORY;
    enum voco_err err = VOCO_OK;

    if (fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot open to sync", path);
    if (voco_sync(fd) != 0 && !(folder && (errno == EINVAL || errno == ENOTSUP)))
        err = voco_fail_errno(VOCO_EIO, "%s: cannot sync to disk", path);
    close(fd);
    return err;
}

static enum voco_err
rename_durably(const char *temporary, const char *final)
{
    char *folder;
    enum voco_err err;

    if (rename(temporary, final) != 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot rename to %s", temporary, final);
    folder = parent(final);
    err = sync_path(folder, O_DIRECTORY);
    free(folder);
    return err;
}

enum voco_err
voco_file_publish(const char *temporary, const char *final)
{
    enum voco_err err = sync_path(temporary, 0);

    return err ? err : rename_durably(temporary, final);
}

enum voco_err
voco_newfile_open(struct voco_newfile *f, const char *path)
{
    char *temporary = voco_format("%s.tmp-%ld", path, (long)getpid());
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    int fd = voco_open(temporary, flags, 0666);

    *f = (struct voco_newfile){ 0 };
    if (fd < 0 && errno == EEXIST && unlink(temporary) == 0)
        fd = voco_open(temporary, flags, 0666);     /* left by a dead process of our number */
    if (fd < 0) {
        enum voco_err err = voco_fail_errno(VOCO_EIO, "%s: cannot create", temporary);

        free(temporary);
        return err;
    }
    voco_temporary_add(temporary);
    f->out = fdopen(fd, "wb");
    f->temporary = temporary;
    f->path = voco_format("%s", path);
    if (!f->out) {
        enum voco_err err = voco_fail_errno(VOCO_EMEMORY, "%s: cannot open", path);

        close(fd);
        voco_newfile_discard(f);
        return err;
    }
    return VOCO_OK;
}

enum voco_err
voco_newfile_commit(struct voco_newfile *f)
{
    enum voco_err err = VOCO_OK;
    FILE *out = f->out;
    const bool bad = ferror(out);

    if (fflush(out) != 0 || voco_sync(fileno(out)) != 0)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", f->path);
    else if (bad)       /* a write failed earlier, its errno is gone */
        err = voco_fail(VOCO_EIO, "%s: cannot write (disk full?)", f->path);
    f->out = NULL;
    if (fclose(out) != 0 && !err)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", f->path);
    if (!err && !(err = rename_durably(f->temporary, f->path))) {
        voco_temporary_drop(f->temporary);
        free(f->temporary);
        f->temporary = NULL;
    }
    voco_newfile_discard(f);
    return err;
}

void
voco_newfile_discard(struct voco_newfile *f)
{
    if (f->out)
        fclose(f->out);
    if (f->temporary) {
        unlink(f->temporary);
        voco_temporary_drop(f->temporary);
    }
    free(f->temporary);
    free(f->path);
    *f = (struct voco_newfile){ 0 };
}

enum voco_err
voco_file_write_text(const char *path, const char *text)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err != VOCO_OK)
        return err;
    fputs(text, f.out);                 /* commit reports errors */
    return voco_newfile_commit(&f);
}

enum voco_err
voco_file_read(const char *path, size_t max_bytes, char **ret, size_t *ret_n)
{
    const int fd = voco_open(path, O_RDONLY, 0);
    size_t n = 0, room = 0;
    char *data = NULL;
    struct stat st;
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    *ret_n = 0;
    if (fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot open", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uintmax_t)st.st_size < max_bytes)
        room = (size_t)st.st_size + 1;          /* one more byte shows the end */
    for (;;) {
        ssize_t got;

        if (n == room || !data) {
            char *larger;

            if (data || room == 0)
                room = room < 2048 ? 4096 : 2 * room;
            larger = realloc(data, room + 1);
            if (!larger) {
                err = voco_fail(VOCO_EMEMORY, "%s: no memory for %zu bytes", path, room);
                goto out;
            }
            data = larger;
        }
        got = read(fd, data + n, room - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err = voco_fail_errno(VOCO_EIO, "%s: cannot read", path);
            goto out;
        }
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > max_bytes) {
            err = voco_fail(VOCO_EFORMAT, "%s: longer than %zu bytes, the most that is "
                            "accepted here", path, max_bytes);
            goto out;
        }
    }
    data[n] = '\0';
    *ret = data;
    *ret_n = n;
    data = NULL;
out:
    free(data);
    close(fd);
    return err;
}

enum voco_err
voco_folder_make(const char *path)
{
    char *copy = voco_format("%s", path);
    enum voco_err err = VOCO_OK;

    for (char *p = copy + 1; *copy && !err; p++) {
        const char held = *p;

        if (held != '/' && held != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0) {
            const int reason = errno;

            if (reason != EEXIST && !voco_is_folder(copy)) {
                errno = reason;
                err = voco_fail_errno(VOCO_EIO, "%s: cannot create the folder", copy);
            } else if (!voco_is_folder(copy)) {
                err = voco_fail(VOCO_EIO, "%s: exists and is not a folder", copy);
            }
        }
        *p = held;
        if (held == '\0')
            break;
    }
    free(copy);
    return err;
}

enum voco_err
voco_folder_lock(const char *path, int *ret_fd)
{
    *ret_fd = voco_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (*ret_fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot open", path);
    if (flock(*ret_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(*ret_fd);
        *ret_fd = -1;
        return voco_fail(VOCO_EUSAGE, "%s: another voco is writing to it", path);
    }
    return VOCO_OK;
}

struct dirent *
voco_folder_next(DIR *dir, const char *path, enum voco_err *err)
{
    struct dirent *entry;

    errno = 0;
    entry = readdir(dir);
    if (!entry && errno)
        *err = voco_fail_errno(VOCO_EIO, "%s: cannot list", path);
    return entry;
}

bool
voco_file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool
voco_is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
voco_folder_has(const char *path, const char *name)
{
    char *entry = voco_format("%s/%s", path, name);
    const bool has = voco_file_exists(entry);

    free(entry);
    return has;
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    if (remove(path) == 0 || errno == ENOENT)
        return 0;
    voco_fail_errno(VOCO_EIO, "%s: cannot remove", path);
    return 1;
}

enum voco_err
voco_folder_remove(const char *path)
{
    const int rc = nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

    if (rc > 0)
        return VOCO_EIO;        /* remove_entry left the sentence */
    if (rc < 0 && errno != ENOENT)
        return voco_fail_errno(VOCO_EIO, "%s: cannot remove", path);
    return VOCO_OK;
}

enum voco_err
voco_file_space(const char *path, uint64_t *ret_bytes)
{
    struct statvfs fs;

    if (statvfs(path, &fs) != 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot ask for free space", path);
    *ret_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return VOCO_OK;
}

/* ---- CRC-32C: reflected polynomial 0x82F63B78, eight bytes at a time ---- */

static uint32_t crc_table[8][256];      /* [k][b]: byte b followed by k zero bytes */
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void
fill_crc_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;

        for (int i = 0; i < 8; i++)
            r = r & 1 ? r >> 1 ^ 0x82F63B78u : r >> 1;
        crc_table[0][b] = r;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++) {
            const uint32_t r = crc_table[k - 1][b];

            crc_table[k][b] = r >> 8 ^ crc_table[0][r & 255];
        }
}

uint32_t
voco_crc32c(uint32_t crc, const void *data, size_t n)
{
    const unsigned char *p = data;

    pthread_once(&crc_once, fill_crc_table);
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
               (uint32_t)p[3] << 24;
        crc = crc_table[7][crc & 255] ^ crc_table[6][crc >> 8 & 255] ^
              crc_table[5][crc >> 16 & 255] ^ crc_table[4][crc >> 24] ^
              crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^
              crc_table[0][p[7]];
    }
    for (; n; n--, p++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
    return ~crc;
}
