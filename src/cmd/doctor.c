/* voco doctor: is this machine, and this folder, fit for a long run?  Each check is one
 * function that says OK, WARN or FAIL, what it saw, and what to do about it. */
#define _GNU_SOURCE
#include "cmd/cmd.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/open.h"
#include "base/temporary.h"
#include "data/codec/deflate.h"
#include "data/store/hdf5.h"
#include "dev/list.h"
#include "dev/selftest.h"
#include "simd/kernels.h"
#include "dev/tuner.h"

enum verdict { FINE, WARN, BAD };

static int count[3];

/* One line, and the advice indented below it; advice is NULL when there is nothing
 * to do. */
static void
say(enum verdict verdict, const char *topic, const char *advice, const char *fmt, ...)
    VOCO_PRINTF(4, 5);

static void
say(enum verdict verdict, const char *topic, const char *advice, const char *fmt, ...)
{
    static const char *const word[] = { "OK", "WARN", "FAIL" };
    va_list ap;

    count[verdict]++;
    printf("%-5s %-12s ", word[verdict], topic);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (advice)
        printf("%18s -> %s\n", "", advice);
    fflush(stdout);
}

/* ---- processor and memory ---- */

static void
check_kernels(const struct voco_machine *m)
{
    const char *cap = getenv("VOCO_ISA");
    struct voco_isa_choice choice;
    struct voco_kernels kernels;

    if (voco_kernels_select(cap, &kernels, &choice) != 0) {
        say(BAD, "kernels", "unset it, or use ref, avx2, avx512 or avx512bf16",
            "VOCO_ISA=%s is unknown", cap);
        return;
    }
    if (choice.chosen < choice.best)
        say(WARN, "kernels", "unset VOCO_ISA unless you mean to compare",
            "%s, held down by VOCO_ISA; this machine and build have %s",
            voco_isa_name(choice.chosen), voco_isa_name(choice.best));
    else if (choice.note)
        say(WARN, "kernels", "unset VOCO_ISA", "%s", choice.note);
    else if (choice.best == VOCO_ISA_REF)
        say(WARN, "kernels", "expect a fraction of the speed; AVX2 came in 2013",
            "ref: this machine or build has neither AVX2 nor AVX-512");
    else
        say(FINE, "kernels", NULL, "%s on %s", voco_isa_name(choice.chosen),
            *m->cpu ? m->cpu : "an unnamed CPU");
}

static void
check_cores(const struct voco_machine *m)
{
    const int threads = voco_default_threads();
    char quota[48] = "no quota";

    if (m->quota > 0)
        snprintf(quota, sizeof quota, "a cgroup quota of %.4g CPUs", m->quota);
    if (threads > m->cpus || (m->quota > 0 && threads > m->quota + 0.5))
        say(WARN, "cores", "lower OMP_NUM_THREADS, or unset it",
            "%d threads on %d CPUs with %s", threads, m->cpus, quota);
    else
        say(FINE, "cores", NULL, "%d cores, %d hardware threads allowed, %s: %d threads",
            m->cores, m->cpus, quota, threads);
}

static void
check_memory(const struct voco_machine *m)
{
    char room[16], limit[16] = "none";
    struct voco_arena arena;

    voco_format_bytes((double)m->memory, room);
    if (m->cgroup_limit)
        voco_format_bytes((double)m->cgroup_limit, limit);
    if (m->memory < (uint64_t)2 << 30)
        say(WARN, "memory", "the smallest model needs about 2 GiB; see voco plan",
            "%s free, cgroup limit %s", room, limit);
    else
        say(FINE, "memory", NULL, "%s free, cgroup limit %s", room, limit);

    if (m->address_limit) {
        voco_format_bytes((double)m->address_limit, limit);
        say(WARN, "addresses", "ulimit -v unlimited",
            "limited to %s: each of the three arenas of a step has a quarter", limit);
        return;
    }
    if (voco_arena_init(&arena, m->memory > 4096 ? (size_t)m->memory : 4096, false)) {
        say(BAD, "addresses", "vm.overcommit_memory must not be 2",
            "cannot reserve %s of address space", room);
        return;
    }
    voco_arena_free(&arena);
    say(FINE, "addresses", NULL, "address space can be reserved as a step needs it");
}

static void
check_huge_pages(const struct voco_machine *m)
{
    if (*m->huge_pages == '\0' || strcmp(m->huge_pages, "never") == 0)
        say(WARN, "huge pages", "as root: echo madvise > "
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "%s: steps are some percent slower",
            *m->huge_pages ? m->huge_pages : "not in this kernel");
    else
        say(FINE, "huge pages", NULL, "transparent, %s", m->huge_pages);
}

/* ---- libraries ---- */

/* The file that a call of the function would go to, or NULL. */
static const char *
server_of(const char *function)
{
    void *at = dlsym(RTLD_DEFAULT, function);
    Dl_info info;

    return at && dladdr(at, &info) ? info.dli_fname : NULL;
}

/* OpenMP libraries mapped into this process, up to max; returns how many. */
static int
openmp_libraries(char name[][64], int max)
{
    static const char *const known[] = { "libgomp", "libomp.", "libomp5", "libiomp5",
                                         "libomp-" };
    FILE *in = fopen("/proc/self/maps", "re");
    char line[1024];
    int n = 0;

    while (in && fgets(line, sizeof line, in)) {
        const char *base = strrchr(line, '/');
        bool match = false, seen = false;

        for (size_t i = 0; base && i < sizeof known / sizeof known[0]; i++)
            match = match || strncmp(base + 1, known[i], strlen(known[i])) == 0;
        if (!match)
            continue;
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < n; i++)
            seen = seen || strcmp(name[i], base + 1) == 0;
        if (!seen && n < max)
            snprintf(name[n++], 64, "%s", base + 1);
    }
    if (in)
        fclose(in);
    return n;
}

/*
 * Two OpenMP runtimes that both compute keep two pools of threads that fight for the
 * cores.  Two that are loaded are fine when one serves all entry points: LLVM's libomp
 * comes first in a program built with clang and answers for libgomp, too.
 */
static void
check_openmp(void)
{
    static const char *const entry[] = { "GOMP_parallel", "omp_get_max_threads",
                                         "__kmpc_fork_call" };
    const char *server = NULL;
    char loaded[4][64];
    const int n = openmp_libraries(loaded, 4);
    bool one = true;

    for (size_t i = 0; i < sizeof entry / sizeof entry[0]; i++) {
        const char *s = server_of(entry[i]);

        if (s && server && strcmp(s, server) != 0)
            one = false;
        if (s)
            server = s;
    }
    if (server && n == 0)
        say(WARN, "OpenMP", "mount /proc to know", "%s; without /proc, others stay unseen",
            server);
    else if (!server)
        say(BAD, "OpenMP", "build voco again with gcc, or with clang and libomp-dev",
            "no OpenMP runtime in this process");
    else if (!one)
        say(BAD, "OpenMP", "build voco with the compiler that oneDNN was built with",
            "%s and %s both compute in this process", loaded[0], n > 1 ? loaded[1] : server);
    else if (n > 1)
        say(FINE, "OpenMP", NULL, "%s serves all; %d runtimes are loaded", server, n);
    else
        say(FINE, "OpenMP", NULL, "one runtime, %s", loaded[0]);
}

static bool
on_path(const char *program)
{
    const char *path = getenv("PATH");
    bool found = false;

    while (path && *path && !found) {
        const size_t n = strcspn(path, ":");
        char *name = voco_format("%.*s/%s", (int)n, path, program);

        found = access(name, X_OK) == 0;
        free(name);
        path += n + (path[n] == ':');
    }
    return found;
}

/* A fact of the default device; "" if it has none of this name. */
static const char *
fact(const char *name)
{
    static struct voco_fact all[VOCO_FACTS_MAX];
    const int n = voco_device_default()->describe(all);

    for (int i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].text;
    return "";
}

static void
check_libraries(void)
{
    say(FINE, "oneDNN", NULL, "%s", fact("onednn"));
    say(FINE, "BLAS", NULL, "%s; its own threads: %s", fact("blas"), fact("blas-threads"));
    say(FINE, "HDF5", NULL, "%s; inflate by %s", voco_h5_version(), voco_inflate_name());
    if (on_path("dcm2niix"))
        say(FINE, "dcm2niix", NULL, "found: DICOM folders can be converted");
    else
        say(FINE, "dcm2niix", "apt-get install dcm2niix, if you have DICOM folders",
            "not found");
}

static void
check_table(void)
{
    char *text;

    if (voco_device_default()->tuner->describe(&text))
        say(FINE, "tuned", NULL, "%s", text);
    else
        say(FINE, "tuned", "voco tune measures which implementations are fastest here", "%s",
            text);
    free(text);
}

static void
check_numbers(void)
{
    const double bound = 1e-5;
    struct voco_selftest t;

    if (voco_selftest(voco_device_default(),
                      voco_device_by_name("oracle", VOCO_PRECISION_AUTO), &t))
        say(BAD, "numbers", NULL, "the self-test stopped: %s", voco_fail_text());
    else if (!(t.error <= bound))
        say(BAD, "numbers", "VOCO_ISA=ref voco doctor tells whether the kernels or a "
            "library is wrong; please report it",
            "%s is %.1e off the specification, more than %.0e", t.primitive, t.error, bound);
    else
        say(FINE, "numbers", NULL, "cpu agrees with the specification to %.1e (worst: %s)",
            t.error, t.primitive);
}

/* ---- the folder ---- */

static void
check_space(const char *folder)
{
    uint64_t bytes;
    char text[16];

    if (voco_file_space(folder, &bytes)) {
        say(BAD, "space", NULL, "%s", voco_fail_text());
        return;
    }
    voco_format_bytes((double)bytes, text);
    if (bytes < (uint64_t)5 << 30)
        say(WARN, "space", "a Base model's checkpoint takes 1 GiB, and three are kept",
            "%s free in %s", text, folder);
    else
        say(FINE, "space", NULL, "%s free in %s", text, folder);
}

/* Writes, syncs, renames and reads back a file, as a checkpoint does. */
static enum voco_err
try_durable_file(const char *path, double *ret_seconds)
{
    const double start = voco_seconds();
    char *back = NULL;
    struct voco_newfile f;
    enum voco_err err;
    size_t n = 0;

    if ((err = voco_newfile_open(&f, path)))
        return err;
    for (int i = 0; i < 1 << 18; i++)
        fwrite(&i, sizeof i, 1, f.out);
    if ((err = voco_newfile_commit(&f)) || (err = voco_file_read(path, 1 << 21, &back, &n)))
        return err;
    if (n != 1 << 20 || memcmp(back + (1 << 19), &(int){ 1 << 17 }, sizeof(int)) != 0)
        err = voco_fail(VOCO_EIO, "%s: reads back other bytes than were written", path);
    free(back);
    *ret_seconds = voco_seconds() - start;
    return err;
}

static enum voco_err
try_hdf5(const char *path)
{
    const float x[3] = { 1, 2, 3 };
    const int64_t dim[1] = { 3 };
    struct voco_h5 *h;
    float back[3] = { 0 };
    enum voco_err err, closed;

    if ((err = voco_h5_create(path, &h)))
        return err;
    err = voco_h5_write_f32(h, "x", 1, dim, x);
    closed = voco_h5_close(h);
    if (err || (err = closed) || (err = voco_h5_open(path, &h)))
        return err;
    err = voco_h5_read_f32(h, "x", 3, back);
    closed = voco_h5_close(h);
    if (!err && !closed && memcmp(back, x, sizeof x) != 0)
        return voco_fail(VOCO_EIO, "%s: reads back other numbers than were written", path);
    return err ? err : closed;
}

static void
check_lock(const char *path)
{
    const int fd = voco_open(path, O_RDWR, 0);

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        say(FINE, "locks", NULL, "file locks work");
    else
        say(WARN, "locks", "never run two voco convert on one store; for other HDF5 tools: "
            "export HDF5_USE_FILE_LOCKING=FALSE",
            "no file locks on this file system (%s)", strerror(errno));
    close(fd);
}

static void
check_folder(const char *folder)
{
    char *path = voco_format("%s/.voco-doctor-%ld", folder, (long)getpid());
    double seconds;

    voco_temporary_add(path);
    if (!voco_is_folder(folder)) {
        say(BAD, "folder", "make it, or name another", "%s is not a folder", folder);
    } else if (try_durable_file(path, &seconds)) {
        say(BAD, "folder", "runs and stores must be written: name another folder", "%s",
            voco_fail_text());
    } else {
        char took[16];

        if (seconds > 2)
            say(WARN, "folder", "checkpoints will be slow here",
                "1 MiB written and synced in %s", voco_format_seconds(seconds, took));
        else
            say(FINE, "folder", NULL, "%s: 1 MiB written, synced, renamed, read back in "
                "%.0f ms", folder, 1e3 * seconds);
        check_lock(path);
        if (try_hdf5(path))
            say(BAD, "HDF5 files", "name a folder on another file system", "%s",
                voco_fail_text());
        else
            say(FINE, "HDF5 files", NULL, "written and read back there");
        check_space(folder);
    }
    unlink(path);
    voco_temporary_drop(path);
    free(path);
}

static enum voco_err
run(int argc, char **argv)
{
    struct voco_machine machine;

    voco_machine_read("", &machine);
    check_kernels(&machine);
    check_cores(&machine);
    check_memory(&machine);
    check_huge_pages(&machine);
    check_openmp();
    check_libraries();
    check_table();
    check_folder(argc > 0 ? argv[0] : ".");
    check_numbers();
    printf("%d fine, %d to look at, %d wrong\n", count[FINE], count[WARN], count[BAD]);
    if (count[BAD])
        return voco_fail(VOCO_EINTERNAL, "doctor: %d of %d checks failed", count[BAD],
                         count[FINE] + count[WARN] + count[BAD]);
    return VOCO_OK;
}

const struct voco_verb voco_cmd_doctor = {
    .name = "doctor",
    .summary = "check this machine, and a folder for stores and runs",
    .args = "[FOLDER]",
    .details = "FOLDER is where a store or a run will be written, by default the one you "
               "are in; a small file is written there and removed.\n"
               "\n"
               "Exit status: 0, also with warnings; 1 when something is wrong.",
    .min_args = 0, .max_args = 1,
    .run = run,
};
