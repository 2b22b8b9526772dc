/* Preloaded into a program: the n-th allocation that one of its parts asks for fails.
 *
 *   VOCO_FAULT_FROM   whose calls count: "voco" (the program itself), a library by its name
 *                     ("libhdf5"), or "all"
 *   VOCO_FAULT_AT     the number of the call that fails, from 1; "7+" all from the seventh on
 *   VOCO_FAULT_LOG    a file; a line "failed" is added when a call fails, and a line
 *                     "calls PART COUNT" for each part at the end of the program
 *
 * A call belongs to the object that its return address lies in; strdup counts as one.  What
 * the C library allocates on behalf of others (asprintf, fopen) is "libc".  Needs glibc. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

enum { PARTS = 128, NAME = 32 };

static struct part {
    char name[NAME];
    uintptr_t from, to;
    atomic_long calls;
} part[PARTS];
static atomic_int n_parts;
static atomic_long counted;
static atomic_flag scanning = ATOMIC_FLAG_INIT;
static const char *from, *log_file;
static long at;
static int lasting, ready;

static void
note(const char *text)
{
    const int fd = log_file ? open(log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)
                            : -1;

    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        errno = 0;
    if (fd >= 0)
        close(fd);
}

/* "libhdf5" of "/usr/lib/libhdf5_serial.so.103": up to the first of "._-" behind "lib". */
static void
name_part(char *name, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t n;

    base = base ? base + 1 : path;
    n = strcspn(base, "._-");
    snprintf(name, NAME, "%.*s", (int)(n < NAME ? n : NAME - 1), base);
}

static int
add_part(struct dl_phdr_info *info, size_t size, void *unused)
{
    const int n = atomic_load(&n_parts);
    struct part *p = &part[n];

    (void)size;
    (void)unused;
    for (int i = 0; i < n; i++)
        if (part[i].from == info->dlpi_addr)
            return 0;
    if (n == PARTS)
        return 1;
    p->from = info->dlpi_addr;
    p->to = p->from;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];

        if (h->p_type == PT_LOAD && p->from + h->p_vaddr + h->p_memsz > p->to)
            p->to = p->from + h->p_vaddr + h->p_memsz;
    }
    if (n == 0)
        strcpy(p->name, "voco");        /* the program is the first object */
    else
        name_part(p->name, info->dlpi_name);
    atomic_store(&n_parts, n + 1);
    return 0;
}

static struct part *
find(uintptr_t address)
{
    for (int again = 0; again < 2; again++) {
        const int n = atomic_load(&n_parts);

        for (int i = 0; i < n; i++)
            if (address >= part[i].from && address < part[i].to)
                return &part[i];
        if (!again && !atomic_flag_test_and_set(&scanning)) {
            dl_iterate_phdr(add_part, NULL);
            atomic_flag_clear(&scanning);
        }
    }
    return NULL;
}

__attribute__((constructor)) static void
begin(void)
{
    const char *n = getenv("VOCO_FAULT_AT");
    char *end = "";

    from = getenv("VOCO_FAULT_FROM");
    log_file = getenv("VOCO_FAULT_LOG");
    at = n ? strtol(n, &end, 10) : 0;
    lasting = *end == '+';
    ready = from != NULL;
}

__attribute__((destructor)) static void
finish(void)
{
    char text[NAME + 40];

    for (int i = 0; ready && i < atomic_load(&n_parts); i++)
        if (atomic_load(&part[i].calls)) {
            snprintf(text, sizeof text, "calls %s %ld\n", part[i].name,
                     atomic_load(&part[i].calls));
            note(text);
        }
}

/* Whether this call is the one to fail. */
static int
fails(void *caller, const char *function, size_t bytes)
{
    struct part *p;
    char text[200];
    long n;

    if (!ready || !(p = find((uintptr_t)caller)))
        return 0;
    atomic_fetch_add(&p->calls, 1);
    if (strcmp(from, "all") != 0 && strcmp(from, p->name) != 0)
        return 0;
    n = atomic_fetch_add(&counted, 1) + 1;
    if (n == at) {
        ready = 0;                      /* snprintf allocates */
        snprintf(text, sizeof text, "failed %s of %zu bytes in %s+0x%lx\n", function, bytes,
                 p->name, (unsigned long)((uintptr_t)caller - p->from));
        note(text);
        ready = 1;
    }
    if (at == 0 || n < at || (n > at && !lasting))
        return 0;
    errno = ENOMEM;
    return 1;
}

#define CALLER __builtin_return_address(0)

void *
malloc(size_t bytes)
{
    return fails(CALLER, "malloc", bytes) ? NULL : __libc_malloc(bytes);
}

void *
calloc(size_t n, size_t bytes)
{
    return fails(CALLER, "calloc", n * bytes) ? NULL : __libc_calloc(n, bytes);
}

void *
realloc(void *old, size_t bytes)
{
    if (bytes && fails(CALLER, "realloc", bytes))
        return NULL;
    return __libc_realloc(old, bytes);
}

char *
strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = fails(CALLER, "strdup", n) ? NULL : __libc_malloc(n);

    return copy ? memcpy(copy, text, n) : NULL;
}

int
posix_memalign(void **ret, size_t align, size_t bytes)
{
    void *p = fails(CALLER, "posix_memalign", bytes) ? NULL : __libc_memalign(align, bytes);

    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

void *
aligned_alloc(size_t align, size_t bytes)
{
    return fails(CALLER, "aligned_alloc", bytes) ? NULL : __libc_memalign(align, bytes);
}

void *
mmap(void *where, size_t bytes, int access, int flags, int fd, off_t offset)
{
    if (fails(CALLER, "mmap", bytes))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, where, bytes, access, flags, fd, offset);
}

void *
mmap64(void *where, size_t bytes, int access, int flags, int fd, off64_t offset)
{
    if (fails(CALLER, "mmap", bytes))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, where, bytes, access, flags, fd, offset);
}
