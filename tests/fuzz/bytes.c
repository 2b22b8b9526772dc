/* Files in memory for fuzz targets. */
#define _GNU_SOURCE             /* mkdtemp */
#include "tests/fuzz/bytes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"

enum { FILES = 64 };

static struct {
    char *name, *path;
    int fd;
} file[FILES];
static char folder[256];
static volatile unsigned sink;

static void
remove_folder(void)
{
    for (int i = 0; i < FILES && file[i].name; i++) {
        close(file[i].fd);
        free(file[i].name);
        free(file[i].path);
    }
    voco_folder_remove(folder);
}

const char *
fuzz_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    if (*folder)
        return folder;
    snprintf(folder, sizeof folder, "%s/voco-fuzz-XXXXXX",
             tmp && *tmp ? tmp : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    atexit(remove_folder);
    return folder;
}

/* The number of the open file of this name. */
static int
open_file(const char *name)
{
    int i = 0;

    while (i < FILES && file[i].name && strcmp(file[i].name, name) != 0)
        i++;
    if (i == FILES)
        abort();
    if (file[i].name)
        return i;
    file[i].name = voco_format("%s", name);
    file[i].path = voco_format("%s/%s", fuzz_folder(), name);
    if (strchr(name, '/')) {
        char *above = voco_format("%.*s", (int)(strrchr(file[i].path, '/') - file[i].path),
                                  file[i].path);

        if (voco_folder_make(above) != VOCO_OK)
            abort();
        free(above);
    }
    file[i].fd = open(file[i].path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file[i].fd < 0) {
        perror(file[i].path);
        exit(EXIT_FAILURE);
    }
    return i;
}

const char *
fuzz_file2(const char *name, const void *first, size_t n_first, const void *second,
           size_t n_second)
{
    const int i = open_file(name);
    const struct iovec part[2] = { { (void *)(uintptr_t)first, n_first },
                                   { (void *)(uintptr_t)second, n_second } };
    const size_t n = n_first + n_second;

    if (ftruncate(file[i].fd, (off_t)n) != 0
        || (n && pwritev(file[i].fd, part, 2, 0) != (ssize_t)n)) {
        perror(file[i].path);
        exit(EXIT_FAILURE);
    }
    return file[i].path;
}

const char *
fuzz_file(const char *name, const void *bytes, size_t n)
{
    return fuzz_file2(name, bytes, n, NULL, 0);
}

char *
fuzz_text(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1);

    if (!text)
        abort();
    memcpy(text, bytes, n);
    text[n] = '\0';
    return text;
}

void
fuzz_touch(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += p[i];
    sink += sum;
}
