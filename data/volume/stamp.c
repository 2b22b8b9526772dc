/* Sizes, times and checksums of the files of volumes. */
#include "data/volume/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/open.h"
#include "data/volume/volume.h"

enum { PIECE = 1 << 18 };

/* The checksum goes on from crc over the bytes of a file. */
static enum voco_err
add_bytes(const char *file, uint32_t *crc)
{
    FILE *in = voco_open_stream(file, "rb");
    char *piece = malloc(PIECE);
    enum voco_err err = VOCO_OK;
    size_t n;

    if (in == NULL)
        err = voco_fail_errno(VOCO_EIO, "%s", file);
    else if (piece == NULL)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory", file);
    while (err == VOCO_OK && (n = fread(piece, 1, PIECE, in)) > 0)
        *crc = voco_crc32c(*crc, piece, n);
    if (err == VOCO_OK && ferror(in))
        err = voco_fail_errno(VOCO_EIO, "%s", file);
    free(piece);
    if (in != NULL)
        fclose(in);
    return err;
}

static enum voco_err
add_file(const char *file, bool with_crc, struct voco_stamp *sum)
{
    struct stat st;

    if (stat(file, &st) != 0)
        return voco_fail_errno(VOCO_EIO, "%s", file);
    const int64_t time = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    sum->bytes += (int64_t)st.st_size;
    sum->modified_ns = time > sum->modified_ns ? time : sum->modified_ns;
    return with_crc ? add_bytes(file, &sum->crc) : VOCO_OK;
}

static enum voco_err
add_volume(const char *path, bool with_crc, struct voco_stamp *sum)
{
    char **file;
    int n;
    enum voco_err err = voco_volume_files(path, &file, &n);

    for (int i = 0; i < n; i++) {
        if (err == VOCO_OK)
            err = add_file(file[i], with_crc, sum);
        free(file[i]);
    }
    free(file);
    return err;
}

static enum voco_err
make(char *const *path, int n, bool with_crc, struct voco_stamp *ret)
{
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_stamp){.modified_ns = INT64_MIN};
    for (int i = 0; err == VOCO_OK && i < n; i++)
        err = add_volume(path[i], with_crc, ret);
    ret->known = err == VOCO_OK;
    return err;
}

enum voco_err
voco_stamp_make(char *const *path, int n, struct voco_stamp *ret)
{
    return make(path, n, true, ret);
}

bool
voco_stamp_same(const struct voco_stamp *then, char *const *path, int n, char *what,
                size_t what_n)
{
    struct voco_stamp now;

    if (!then->known || make(path, n, false, &now) != VOCO_OK ||
        (now.bytes == then->bytes && now.modified_ns == then->modified_ns))
        return true;
    if (now.bytes != then->bytes) {
        snprintf(what, what_n, "%s has changed since: %" PRId64 " bytes, now %" PRId64,
                 path[0], then->bytes, now.bytes);
        return false;
    }
    if (make(path, n, true, &now) != VOCO_OK || now.crc == then->crc)
        return true;
    snprintf(what, what_n, "%s has changed since: other bytes (CRC-32C %08" PRIx32 ", now"
             " %08" PRIx32 ")", path[0], then->crc, now.crc);
    return false;
}
