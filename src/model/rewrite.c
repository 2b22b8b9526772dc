/* Chosen tensors of a file, renamed and converted, into a new one. */
#include "model/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tensorfile/torchfile.h"
#include "model/weights.h"

enum { TABLE_ROWS = (2 * VOCO_WINDOW - 1) * (2 * VOCO_WINDOW - 1) * (2 * VOCO_WINDOW - 1) };

static struct voco_filetensor *
append(struct voco_rewrite *r, const struct voco_filetensor *from)
{
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        r->item = realloc(r->item, (size_t)r->room * sizeof *r->item);
        r->from = realloc(r->from, (size_t)r->room * sizeof *r->from);
        r->storage = realloc(r->storage, (size_t)r->room * sizeof *r->storage);
        VOCO_NEED(r->item && r->from && r->storage);
    }
    r->from[r->n] = from;
    r->storage[r->n] = r->n;
    r->item[r->n] = (struct voco_filetensor){ 0 };
    return &r->item[r->n++];
}

void
voco_rewrite_add(struct voco_rewrite *r, const struct voco_filetensor *from, char *name,
                 const char *type)
{
    struct voco_filetensor *to = append(r, from);

    to->name = name;
    to->type = type && voco_filetype_is_float(from->type) ? type : from->type;
    to->rank = from->rank;
    memcpy(to->dim, from->dim, sizeof to->dim);
    to->bytes = (size_t)voco_filetensor_count(from) * voco_filetype_bytes(to->type);
}

static bool
has(const struct voco_rewrite *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->item[i].name, name) == 0)
            return true;
    return false;
}

void
voco_rewrite_add_indices(struct voco_rewrite *r)
{
    const int n = r->n;

    for (int i = 0; i < n; i++) {
        char *name = voco_position_index_name(r->item[i].name);

        if (name && !has(r, name) && r->item[i].rank == 2 && r->item[i].dim[0] == TABLE_ROWS) {
            struct voco_filetensor *to = append(r, NULL);

            to->name = name;
            to->type = "I64";
            to->rank = 2;
            to->dim[0] = to->dim[1] = VOCO_INDEX_TOKENS;
            to->bytes = sizeof(int64_t) * VOCO_INDEX_TOKENS * VOCO_INDEX_TOKENS;
        } else {
            free(name);
        }
    }
}

void
voco_rewrite_add_copies(struct voco_rewrite *r)
{
    const int n = r->n;

    for (int i = 0; i < n; i++) {
        char *copy[VOCO_NAME_COPIES + 1];

        voco_name_copies(r->item[i].name, copy);
        for (int k = 0; copy[k]; k++) {
            voco_rewrite_add(r, r->from[i], copy[k], r->item[i].type);
            r->storage[r->n - 1] = i;
        }
    }
}

/* ---- the elements ---- */

struct maker {
    const struct voco_rewrite *r;
    const char *input;
    struct voco_progress progress;
};

/* Tensor i as it will be, in a buffer. Free it. */
static enum voco_err
make(void *arg, int i, void **ret)
{
    struct maker *m = arg;
    const struct voco_filetensor *to = &m->r->item[i], *from = m->r->from[i];
    enum voco_err err = VOCO_OK;

    *ret = malloc(to->bytes + 1);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %s", m->input, to->name);
    if (from)
        err = voco_filetensor_convert(from, to->type, *ret);
    else
        voco_position_index(*ret);
    voco_progress_show(&m->progress, i + 1, "%s", to->name);
    return err;
}

static enum voco_err
write_torch(struct maker *m, const char *path, const char *wrapper,
            const struct voco_filemeta *meta, int n_meta)
{
    const struct voco_rewrite *r = m->r;
    struct voco_zipwriter w;
    enum voco_err err = voco_zipwriter_open(&w, path);

    if (err != VOCO_OK)
        return err;
    err = voco_torchfile_begin(&w, wrapper, r->item, r->storage, r->n, meta, n_meta);
    for (int i = 0; i < r->n && err == VOCO_OK; i++)
        if (r->storage[i] == i)
            err = voco_torchfile_put(&w, r->item[i].bytes,
                                     &(struct voco_zippart){ .make = make, .arg = m,
                                                             .i = i });
    if (err == VOCO_OK)
        return voco_zipwriter_commit(&w);
    voco_zipwriter_discard(&w);
    return err;
}

static enum voco_err
write_safetensors(struct maker *m, const char *path, const struct voco_filemeta *meta,
                  int n_meta)
{
    const struct voco_rewrite *r = m->r;
    struct voco_newfile file;
    enum voco_err err = voco_newfile_open(&file, path);

    if (err != VOCO_OK)
        return err;
    err = voco_safetensors_begin(&file, r->item, r->n, meta, n_meta);
    for (int i = 0; i < r->n && err == VOCO_OK; i++) {
        void *data = NULL;

        if ((err = make(m, i, &data)) == VOCO_OK)
            err = voco_safetensors_put(&file, data, r->item[i].bytes);
        free(data);
    }
    if (err == VOCO_OK)
        return voco_newfile_commit(&file);
    voco_newfile_discard(&file);
    return err;
}

/* ---- the file ---- */

static bool
is_torch_name(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && (strcmp(dot, ".pt") == 0 || strcmp(dot, ".pth") == 0);
}

static bool
says(const struct voco_filemeta *meta, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (strcmp(meta[i].key, key) == 0)
            return true;
    return false;
}

/* meta, and what the file says of voco's besides, but for the architecture, of which only a
 * part may be written. Free the result, not its strings. */
static struct voco_filemeta *
join(const struct voco_filemeta *meta, int n_meta, const struct voco_tensorfile *from,
     int *ret_n)
{
    struct voco_filemeta *all = calloc((size_t)(n_meta + from->n_meta) + 1, sizeof *all);
    int n = n_meta;

    VOCO_NEED(all);
    memcpy(all, meta, (size_t)n_meta * sizeof *all);
    for (int i = 0; i < from->n_meta; i++)
        if (strncmp(from->meta[i].key, "voco.", 5) == 0
            && strcmp(from->meta[i].key, "voco.architecture") != 0
            && !says(meta, n_meta, from->meta[i].key))
            all[n++] = (struct voco_filemeta){ from->meta[i].key, from->meta[i].value };
    *ret_n = n;
    return all;
}

enum voco_err
voco_rewrite_write(const struct voco_rewrite *r, const char *path,
                   const struct voco_tensorfile *from, const char *input,
                   const char *wrapper, const struct voco_filemeta *meta, int n_meta)
{
    struct maker m = { .r = r, .input = input };
    int n;
    struct voco_filemeta *all = join(meta, n_meta, from, &n);
    enum voco_err err;

    voco_progress_start(&m.progress, "tensors", 0, r->n);
    err = is_torch_name(path) ? write_torch(&m, path, wrapper, all, n)
        : write_safetensors(&m, path, all, n);
    free(all);
    return err;
}

void
voco_rewrite_free(struct voco_rewrite *r)
{
    for (int i = 0; i < r->n; i++)
        free((char *)(uintptr_t)r->item[i].name);
    free(r->item);
    free(r->from);
    free(r->storage);
    *r = (struct voco_rewrite){ 0 };
}
