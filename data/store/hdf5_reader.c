/* Requests to a forked child and its replies, over a pair of sockets.
 *
 * A reply is any number of pieces of data, each behind its length, then a length of 0 and a
 * struct voco_h5_reply. */
#include "data/store/hdf5_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temporary.h"

struct voco_h5_reader {
    pid_t child;                /* 0: it has ended */
    int socket;
    char *path;
};

/* ---- bytes ---- */

static bool
send_all(int to, const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes > 0) {
        const ssize_t n = send(to, at, bytes, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool
receive_all(int from, void *data, size_t bytes)
{
    char *at = data;

    while (bytes > 0) {
        const ssize_t n = recv(from, at, bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool
voco_h5_send_piece(int to, const void *data, size_t bytes)
{
    return bytes == 0
        || (send_all(to, &bytes, sizeof bytes) && send_all(to, data, bytes));
}

/* ---- the child ---- */

static void
work(int socket, voco_h5_server *serve, void *state)
{
    static const struct rlimit none = { 0, 0 };
    static const size_t end = 0;
    struct voco_h5_request request;

    voco_temporary_forget();            /* the parent's */
    setrlimit(RLIMIT_CORE, &none);
    while (receive_all(socket, &request, sizeof request)) {
        struct voco_h5_reply reply = { .err = VOCO_OK };

        serve(state, &request, socket, &reply);
        if (reply.err != VOCO_OK)
            strncpy(reply.said, voco_fail_text(), sizeof reply.said - 1);
        if (!send_all(socket, &end, sizeof end) || !send_all(socket, &reply, sizeof reply))
            break;
    }
    _exit(0);
}

/* ---- the parent ---- */

enum voco_err
voco_h5_reader_open(const char *path, voco_h5_server *serve, void *state,
                    struct voco_h5_reader **ret)
{
    struct voco_h5_reader *r = calloc(1, sizeof *r);
    int ends[2];

    *ret = NULL;
    VOCO_NEED(r);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(r);
        return voco_fail_errno(VOCO_EIO, "%s: no sockets to read it through", path);
    }
    if ((r->child = fork()) < 0) {
        close(ends[0]);
        close(ends[1]);
        free(r);
        return voco_fail_errno(VOCO_EMEMORY, "%s: no process to read it in", path);
    }
    if (r->child == 0) {
        close(ends[0]);
        work(ends[1], serve, state);
    }
    close(ends[1]);
    r->socket = ends[0];
    r->path = voco_format("%s", path);
    *ret = r;
    return VOCO_OK;
}

/* Waits for the child, which ends when nobody talks to it. */
static int
end(struct voco_h5_reader *r)
{
    int status = 0;

    shutdown(r->socket, SHUT_RDWR);     /* other children may hold our end, too */
    close(r->socket);
    while (waitpid(r->child, &status, 0) < 0 && errno == EINTR)
        ;
    r->child = 0;
    return status;
}

static enum voco_err
died(struct voco_h5_reader *r)
{
    const int status = end(r);

    if (WIFEXITED(status) && WEXITSTATUS(status) == voco_exit_code(VOCO_EMEMORY))
        return voco_fail(VOCO_EMEMORY, "%s: no memory to read it", r->path);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return voco_fail(VOCO_EMEMORY, "%s: the process that read it was killed, perhaps for "
                         "want of memory", r->path);
    if (!WIFSIGNALED(status))
        return voco_fail(VOCO_EFORMAT, "%s: damaged: the process that read it with the HDF5 "
                         "library %s failed", r->path, voco_h5_version());
    return voco_fail(VOCO_EFORMAT, "%s: damaged: the HDF5 library %s crashes in it (signal "
                     "%d)", r->path, voco_h5_version(), WTERMSIG(status));
}

enum voco_err
voco_h5_reader_ask(struct voco_h5_reader *r, const struct voco_h5_request *request,
                   void *data, size_t bytes, struct voco_h5_reply *ret)
{
    char *at = data;
    size_t piece;

    *ret = (struct voco_h5_reply){ .err = VOCO_OK };
    if (r->child == 0)
        return voco_fail(VOCO_EFORMAT, "%s: damaged, as was said", r->path);
    if (!send_all(r->socket, request, sizeof *request))
        return died(r);
    for (;;) {
        if (!receive_all(r->socket, &piece, sizeof piece))
            return died(r);
        if (piece == 0)
            break;
        if (piece > bytes || !receive_all(r->socket, at, piece))
            return died(r);
        at += piece;
        bytes -= piece;
    }
    if (!receive_all(r->socket, ret, sizeof *ret))
        return died(r);
    if (ret->err != VOCO_OK)
        return voco_fail(ret->err, "%.*s", (int)sizeof ret->said, ret->said);
    return bytes == 0 ? VOCO_OK : died(r);
}

void
voco_h5_reader_close(struct voco_h5_reader *r)
{
    if (!r)
        return;
    if (r->child != 0)
        end(r);
    free(r->path);
    free(r);
}
