/* One thread at a time in the HDF5 library; its failures as sentences. */
#include "data/store/hdf5_library.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { WHY_MAX = 512 };

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

struct voco_h5 *
voco_h5_new(const char *path)
{
    struct voco_h5 *h = calloc(1, sizeof *h);

    VOCO_NEED(h);
    h->path = voco_format("%s", path);
    return h;
}

void
voco_h5_release(struct voco_h5 *h)
{
    free(h->path);
    free(h);
}

/* At exit the library would close files once more that it could not close on a full disk,
 * and crash (1.10).  We close every file ourselves. */
static void
no_second_close(void)
{
    H5dont_atexit();
}

void
voco_h5_enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_mutex_lock(&library);
    pthread_once(&once, no_second_close);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void
voco_h5_leave(void)
{
    pthread_mutex_unlock(&library);
}

static herr_t
keep_first(unsigned n, const H5E_error2_t *e, void *user)
{
    if (n == 0 && e->desc)
        snprintf(user, WHY_MAX, "%s", e->desc);
    return 0;
}

enum voco_err
voco_h5_fail(enum voco_err err, const struct voco_h5 *h, const char *what, const char *name)
{
    static const char quoted[] = "error message = '";
    char text[WHY_MAX] = "no reason given";
    char *why = text;

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    char *said = strstr(text, quoted);
    if (said) {
        why = said + sizeof quoted - 1;
        why[strcspn(why, "'")] = '\0';
    }
    return voco_fail(err, "%s: %s %s: %s", h->path, what, name, why);
}

/* Access by the earliest format and without locks, where the library can be told so. */
static hid_t
access_list(void)
{
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);

    H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERSION_GE(1, 12, 0) && !H5_VERSION_GE(1, 12, 1))
    H5Pset_file_locking(list, 0, 1);
#else
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
#endif
    return list;
}

enum voco_err
voco_h5_start(struct voco_h5 *h, bool create)
{
    const hid_t list = access_list();
    enum voco_err err = VOCO_OK;

    do {
        errno = 0;
        h->file = create ? H5Fcreate(h->path, H5F_ACC_TRUNC, H5P_DEFAULT, list)
                         : H5Fopen(h->path, H5F_ACC_RDONLY, list);
    } while (h->file < 0 && errno == EINTR);
    if (h->file < 0)
        err = create ? voco_h5_fail(VOCO_EIO, h, "cannot create", "the HDF5 file")
                     : voco_h5_fail(VOCO_EFORMAT, h, "cannot read", "as an HDF5 file");
    H5Pclose(list);
    return err;
}

/* Every group on the way must exist before the next may be asked for. */
bool
voco_h5_finds(struct voco_h5 *h, const char *name)
{
    char *part = voco_format("%s", name);
    bool found = true;

    for (char *c = part; found && c; ) {
        c = strchr(c + 1, '/');
        if (c)
            *c = '\0';
        found = H5Lexists(h->file, part, H5P_DEFAULT) > 0;
        if (c)
            *c = '/';
    }
    free(part);
    return found;
}

const char *
voco_h5_version(void)
{
    static char text[32];
    unsigned a = 0, b = 0, c = 0;

    H5get_libversion(&a, &b, &c);
    snprintf(text, sizeof text, "%u.%u.%u", a, b, c);
    return text;
}
