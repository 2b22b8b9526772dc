/* Prepared crops in, embeddings out. */
#include "data/store/cropfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/open.h"
#include "base/temporary.h"
#include "data/store/hdf5.h"

static const int64_t crops_max = 65536;

bool
voco_cropfile_is(const char *path)
{
    static const unsigned char magic[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    unsigned char head[8];
    FILE *in = voco_open_stream(path, "rb");
    bool same;

    if (!in)
        return false;
    same = fread(head, 1, sizeof head, in) == sizeof head
        && memcmp(head, magic, sizeof magic) == 0;
    fclose(in);
    return same;
}

enum voco_err
voco_cropset_read(struct voco_h5 *h, const char *path, const char *name,
                  struct voco_cropset *ret)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 }, voxels;
    int rank;
    enum voco_err err = voco_h5_shape(h, name, &rank, dim);

    *ret = (struct voco_cropset){ 0 };
    if (err != VOCO_OK)
        return err;
    if (rank != 5 || dim[0] < 1 || dim[0] > crops_max || dim[1] != 1 || dim[2] != dim[3]
        || dim[3] != dim[4] || dim[2] < 32 || dim[2] > 512 || dim[2] % 2 != 0)
        return voco_fail(VOCO_EFORMAT, "%s: %s has rank %d and sizes %" PRId64 ",%" PRId64
                         ",%" PRId64 ",...: expected [crops,1,r,r,r] with an even r of 32 "
                         "to 512", path, name, rank, dim[0], dim[1], dim[2]);
    voxels = dim[0] * dim[2] * dim[2] * dim[2];
    ret->n = (int)dim[0];
    ret->roi = (int)dim[2];
    ret->name = voco_format("%s", name);
    ret->crops = malloc((size_t)voxels * sizeof *ret->crops);
    if (!ret->crops)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d crops", path, ret->n);
    return voco_h5_read_f32(h, name, voxels, ret->crops);
}

enum voco_err
voco_cropfile_read(const char *path, struct voco_cropset ret[2], int *ret_n)
{
    static const char *const names[] = { "img", "crops" };
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    *ret_n = 0;
    ret[0] = ret[1] = (struct voco_cropset){ 0 };
    if (err != VOCO_OK)
        return err;
    for (int i = 0; i < 2 && err == VOCO_OK; i++) {
        bool there;

        err = voco_h5_has(h, names[i], &there);
        if (err == VOCO_OK && there)
            err = voco_cropset_read(h, path, names[i], &ret[(*ret_n)++]);
    }
    voco_h5_close(h);
    if (err == VOCO_OK && *ret_n == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: neither img nor crops: not a file of prepared "
                        "crops", path);
    return err;
}

void
voco_cropset_free(struct voco_cropset *s)
{
    free(s->name);
    free(s->crops);
    *s = (struct voco_cropset){ 0 };
}

struct voco_embeddings {
    struct voco_h5 *h;
    char *path, *temporary;
};

enum voco_err
voco_embeddings_create(const char *path, struct voco_embeddings **ret)
{
    struct voco_embeddings *e = calloc(1, sizeof *e);
    enum voco_err err;

    VOCO_NEED(e);
    e->path = voco_format("%s", path);
    e->temporary = voco_format("%s.tmp-%ld", path, (long)getpid());
    voco_temporary_add(e->temporary);
    err = voco_h5_create(e->temporary, &e->h);
    if (err != VOCO_OK) {
        voco_embeddings_abandon(e);
        return err;
    }
    *ret = e;
    return VOCO_OK;
}

enum voco_err
voco_embeddings_add(struct voco_embeddings *e, const char *id, const char *source, int n,
                    int width, const float *embedding, const int64_t (*start)[3])
{
    char *name = voco_format("%s/embedding", id), *places = voco_format("%s/start", id);
    bool there;
    enum voco_err err = voco_h5_has(e->h, id, &there);

    if (err == VOCO_OK && there)
        err = voco_fail(VOCO_EFORMAT, "%s: %s has a group %s already, from another input",
                        source, e->path, id);
    if (err == VOCO_OK)
        err = voco_h5_write_f32(e->h, name, 2, (int64_t[]){ n, width }, embedding);
    if (err == VOCO_OK)
        err = voco_h5_attr_text(e->h, name, "source", source);
    if (err == VOCO_OK && start) {
        float *f = malloc((size_t)n * 3 * sizeof *f);

        VOCO_NEED(f);
        for (int i = 0; i < 3 * n; i++)
            f[i] = (float)start[i / 3][i % 3];
        err = voco_h5_write_f32(e->h, places, 2, (int64_t[]){ n, 3 }, f);
        free(f);
    }
    free(name);
    free(places);
    return err;
}

enum voco_err
voco_embeddings_finish(struct voco_embeddings *e)
{
    enum voco_err err = voco_h5_close(e->h);

    e->h = NULL;
    if (err == VOCO_OK)
        err = voco_file_publish(e->temporary, e->path);
    voco_embeddings_abandon(e);
    return err;
}

void
voco_embeddings_abandon(struct voco_embeddings *e)
{
    char why[1024];

    if (!e)
        return;
    snprintf(why, sizeof why, "%s", voco_fail_text());
    voco_h5_close(e->h);
    unlink(e->temporary);               /* after finish there is nothing left to remove */
    voco_temporary_drop(e->temporary);
    voco_fail(VOCO_OK, "%s", why);
    free(e->path);
    free(e->temporary);
    free(e);
}
