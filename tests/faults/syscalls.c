/* syscalls [OPTION...] COMMAND...: runs a command whose n-th system call on files fails, is cut
 * short, or is the last one.
 *
 *   -n N       the call that it happens to, from 1; 0 counts only
 *   -d DEED    the name of an error (ENOSPC, EIO, ...), which the call returns; SHORT, a
 *              read or a write of half as many bytes; KILL, SIGKILL in front of the call;
 *              TORN, half of a write and then SIGKILL; or TERM, INT, ..., that signal
 *   -c CALLS   the calls that count, "open,write,..."; without it all of the table below
 *   -b TEXT    count from the first path that contains TEXT
 *   -r REPEAT  a signal is sent again in front of each of so many further calls
 *   -l FILE    lines to be added: "hit CALL FILE", and at the end "calls COUNT"
 *
 * Exits as the command does, with 128 + SIGNAL if one ended it.  Works by ptrace and a
 * seccomp filter that stops at the calls of the table only.  Calls of the dynamic loader,
 * which no program can answer for, are not counted. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __x86_64__ || defined __aarch64__

/* path: the argument that is one, -1 none; fd: the same; bytes: of a read or a write. */
static const struct call {
    const char *name;
    int number, path, fd, bytes;
} calls[] = {
#ifdef SYS_open
    { "open", SYS_open, 0, -1, -1 },
    { "mkdir", SYS_mkdir, 0, -1, -1 },
    { "rename", SYS_rename, 1, -1, -1 },
    { "unlink", SYS_unlink, 0, -1, -1 },
    { "rmdir", SYS_rmdir, 0, -1, -1 },
#endif
    { "open", SYS_openat, 1, -1, -1 },
    { "mkdir", SYS_mkdirat, 1, -1, -1 },
    { "rename", SYS_renameat, 3, -1, -1 },
    { "rename", SYS_renameat2, 3, -1, -1 },
    { "unlink", SYS_unlinkat, 1, -1, -1 },
    { "read", SYS_read, -1, 0, 2 },
    { "read", SYS_pread64, -1, 0, 2 },
    { "read", SYS_readv, -1, 0, -1 },
    { "write", SYS_write, -1, 0, 2 },
    { "write", SYS_pwrite64, -1, 0, 2 },
    { "write", SYS_writev, -1, 0, -1 },
    { "sync", SYS_fsync, -1, 0, -1 },
    { "sync", SYS_fdatasync, -1, 0, -1 },
    { "truncate", SYS_ftruncate, -1, 0, -1 },
    { "close", SYS_close, -1, 0, -1 },
    { "list", SYS_getdents64, -1, 0, -1 },
    { "lock", SYS_flock, -1, 0, -1 }
};
enum { CALLS = sizeof calls / sizeof *calls, THREADS = 4096 };

static const struct {
    const char *name;
    int number;
} errors[] = {
    { "EACCES", EACCES }, { "EDQUOT", EDQUOT }, { "EINTR", EINTR }, { "EIO", EIO },
    { "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC }, { "ESTALE", ESTALE }
}, signals[] = {
    { "HUP", SIGHUP }, { "INT", SIGINT }, { "PIPE", SIGPIPE }, { "TERM", SIGTERM },
    { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "XCPU", SIGXCPU }
};

static struct {
    long n, repeat;
    const char *deed, *only, *begin, *log;
    int error, signal;
    long count;
    bool begun;
    uint64_t loader, loader_end;        /* addresses of the dynamic loader's code */
} o = { .n = 0 };

/* What is to happen when a thread comes out of its call. */
static struct after {
    pid_t pid;
    int error;          /* returned instead of the result; 0 none */
    bool kill;
} after[THREADS];
static pid_t child;

static void
die(const char *what)
{
    perror(what);
    exit(125);
}

static void
note(const char *word, const char *what, const char *file)
{
    FILE *f = o.log ? fopen(o.log, "a") : NULL;

    if (!f)
        return;
    fprintf(f, "%s %s%s%s\n", word, what, *file ? " " : "", file);
    fclose(f);
}

/* ---- registers ---- */

struct registers {
    struct user_regs_struct r;
};

static void
get_registers(pid_t pid, struct registers *g)
{
    struct iovec v = { &g->r, sizeof g->r };

    if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &v) != 0)
        memset(g, 0, sizeof *g);
}

static void
set_registers(pid_t pid, struct registers *g)
{
    struct iovec v = { &g->r, sizeof g->r };

    ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &v);
}

#ifdef __x86_64__
static uint64_t
argument(const struct registers *g, int i)
{
    const uint64_t all[] = { g->r.rdi, g->r.rsi, g->r.rdx, g->r.r10 };

    return all[i];
}

static void
set_length(struct registers *g, uint64_t to)
{
    g->r.rdx = to;
}

static void
set_result(struct registers *g, int64_t to)
{
    g->r.rax = (uint64_t)to;
}

static uint64_t
place(const struct registers *g)
{
    return g->r.rip;
}

static void
skip_call(pid_t pid, struct registers *g, int error)
{
    g->r.orig_rax = (uint64_t)-1;
    set_result(g, -error);
    set_registers(pid, g);
}
#else
static uint64_t
argument(const struct registers *g, int i)
{
    return g->r.regs[i];
}

static void
set_length(struct registers *g, uint64_t to)
{
    g->r.regs[2] = to;
}

static void
set_result(struct registers *g, int64_t to)
{
    g->r.regs[0] = (uint64_t)to;
}

static uint64_t
place(const struct registers *g)
{
    return g->r.pc;
}

static void
skip_call(pid_t pid, struct registers *g, int error)
{
    int none = -1;
    struct iovec v = { &none, sizeof none };

    set_result(g, -error);
    set_registers(pid, g);
    ptrace(PTRACE_SETREGSET, pid, (void *)0x404 /* NT_ARM_SYSTEM_CALL */, &v);
}
#endif

/* ---- the traced program ---- */

static void
read_path(pid_t pid, uint64_t at, char *to, size_t room)
{
    struct iovec here = { to, room - 1 }, there = { (void *)(uintptr_t)at, room - 1 };
    ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

    for (size_t part = 4096 - at % 4096; n < 0 && part < room; part = room) {
        there.iov_len = here.iov_len = part;    /* to the end of a page */
        n = process_vm_readv(pid, &here, 1, &there, 1, 0);
    }
    to[n > 0 ? n : 0] = '\0';
}

static void
name_file(pid_t pid, const struct call *c, const struct registers *g, char *to, size_t room)
{
    char link[64];
    ssize_t n = -1;

    *to = '\0';
    if (c->path >= 0) {
        read_path(pid, argument(g, c->path), to, room);
    } else if (c->fd >= 0) {
        snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)pid, (int)argument(g, c->fd));
        n = readlink(link, to, room - 1);
        to[n > 0 ? n : 0] = '\0';
    }
}

/* Where the loader's code lies, once the program has begun. */
static void
find_loader(pid_t pid)
{
    char line[600], name[64];
    FILE *maps;

    snprintf(name, sizeof name, "/proc/%ld/maps", (long)pid);
    maps = fopen(name, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        char access[5];

        if (strstr(line, "/ld-linux")
            && sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, access) == 3
            && access[2] == 'x') {
            o.loader = from;
            o.loader_end = to;
        }
    }
    if (maps)
        fclose(maps);
}

static bool
listed(const char *name)
{
    const size_t n = strlen(name);

    for (const char *p = o.only; p && *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
            return true;
    return !o.only;
}

/* ---- deeds ---- */

static void
will(pid_t pid, int error, bool kill_then)
{
    for (int i = 0; i < THREADS; i++)
        if (after[i].pid == 0) {
            after[i] = (struct after){ pid, error, kill_then };
            return;
        }
}

/* Returns the ptrace request that lets the thread go on. */
static int
act(pid_t pid, const struct call *c, struct registers *g)
{
    const uint64_t bytes = c->bytes >= 0 ? argument(g, c->bytes) : 0;
    const bool half = strcmp(o.deed, "SHORT") == 0 || strcmp(o.deed, "TORN") == 0;

    if (o.signal) {
        kill(child, o.signal);
    } else if (o.error && strcmp(c->name, "close") == 0) {
        will(pid, o.error, false);      /* Linux closes the file whatever it says */
        return PTRACE_SYSCALL;
    } else if (o.error) {
        skip_call(pid, g, o.error);
    } else if (half && bytes > 1) {
        set_length(g, bytes / 2);
        set_registers(pid, g);
        if (strcmp(o.deed, "TORN") == 0) {
            will(pid, 0, true);
            return PTRACE_SYSCALL;
        }
    } else if (!half || strcmp(o.deed, "TORN") == 0) {
        kill(child, SIGKILL);
    }
    return PTRACE_CONT;
}

static int
at_call(pid_t pid)
{
    struct registers g;
    unsigned long number = 0;
    const struct call *c;
    char file[512];

    ptrace(PTRACE_GETEVENTMSG, pid, NULL, &number);
    get_registers(pid, &g);
    if (number >= CALLS || (place(&g) >= o.loader && place(&g) < o.loader_end))
        return PTRACE_CONT;
    c = &calls[number];
    name_file(pid, c, &g, file, sizeof file);
    if (!o.begun && !(o.begun = c->path >= 0 && strstr(file, o.begin)))
        return PTRACE_CONT;
    if (!listed(c->name))
        return PTRACE_CONT;
    o.count++;
    if (o.n == 0 || o.count < o.n || o.count > o.n + o.repeat)
        return PTRACE_CONT;
    note("hit", c->name, file);
    return act(pid, c, &g);
}

/* Out of a call: its result, or the end. */
static void
behind_call(pid_t pid)
{
    for (int i = 0; i < THREADS; i++)
        if (after[i].pid == pid) {
            struct registers g;

            if (after[i].kill)
                kill(child, SIGKILL);
            if (after[i].error) {
                get_registers(pid, &g);
                set_result(&g, -after[i].error);
                set_registers(pid, &g);
            }
            after[i].pid = 0;
        }
}

/* ---- processes ---- */

static void
filter(void)
{
    struct sock_filter code[2 * CALLS + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
    };
    int n = 1;
    struct sock_fprog program = { 0, code };

    for (int i = 0; i < CALLS; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                 (uint32_t)calls[i].number, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                 SECCOMP_RET_TRACE | (uint32_t)i);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = (unsigned short)n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("seccomp");
}

static void
start(char **command)
{
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK
        | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL
        | PTRACE_O_TRACESYSGOOD;
    int status;

    if ((child = fork()) < 0)
        die("fork");
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            die("ptrace");
        raise(SIGSTOP);
        filter();
        execvp(command[0], command);
        die(command[0]);
    }
    if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status)
        || ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) != 0)
        die("ptrace");
    ptrace(PTRACE_CONT, child, NULL, NULL);
}

/* The status of the command, when all of its threads are gone. */
static int
watch(void)
{
    int result = 125, status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        int request = PTRACE_CONT, give = 0;

        if (pid < 0)
            continue;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == child)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
            request = at_call(pid);
        else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
            find_loader(pid);
        else if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            behind_call(pid);
        else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP)
            give = WSTOPSIG(status);
        ptrace((enum __ptrace_request)request, pid, NULL, (void *)(intptr_t)give);
    }
    return result;
}

static void
take_deed(const char *deed)
{
    o.deed = deed;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(deed, errors[i].name) == 0)
            o.error = errors[i].number;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(deed, signals[i].name) == 0)
            o.signal = signals[i].number;
    if (!o.error && !o.signal && strcmp(deed, "SHORT") != 0 && strcmp(deed, "KILL") != 0
        && strcmp(deed, "TORN") != 0) {
        fprintf(stderr, "syscalls: no deed is named %s\n", deed);
        exit(125);
    }
}

int
main(int argc, char **argv)
{
    char text[32];
    int opt, result;

    o.deed = "KILL";
    while ((opt = getopt(argc, argv, "+n:d:c:b:r:l:")) != -1) {
        switch (opt) {
        case 'n': o.n = strtol(optarg, NULL, 10); break;
        case 'd': take_deed(optarg); break;
        case 'c': o.only = optarg; break;
        case 'b': o.begin = optarg; break;
        case 'r': o.repeat = strtol(optarg, NULL, 10); break;
        case 'l': o.log = optarg; break;
        default: return 125;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "usage: syscalls [-n N] [-d DEED] [-c CALLS] [-b TEXT] [-r REPEAT] "
                "[-l FILE] COMMAND...\n");
        return 125;
    }
    o.begun = !o.begin;
    start(argv + optind);
    result = watch();
    snprintf(text, sizeof text, "%ld", o.count);
    note("calls", text, "");
    return result;
}

#else

int
main(void)
{
    fprintf(stderr, "syscalls: only for x86-64 and aarch64\n");
    return 125;
}

#endif
