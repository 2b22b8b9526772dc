/* Chosen tensors of a file, renamed and converted, into a new one. */
#include "train/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tensorfile/torchfile.h"
#include "train/weights.h"

enum { TABLE_ROWS = (2 * VOCO_WINDOW - 1) * (2 * VOCO_WINDOW - 1) * (2 * VOCO_WINDOW - 1) };

static struct voco_filetensor *
append(struct voco_rewrite *r, const struct voco_filetensor *from)
{
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        r->item = realloc(r->item, (size_t)r->room * sizeof *r->item);
        r->from = realloc(r->from, (size_t)r->room * sizeof *r->from);
        VOCO_ASSERT(r->item && r->from);
    }
    r->from[r->n] = from;
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

/* Where the elements go: one of the two is open. */
struct sink {
    struct voco_newfile plain;
    struct voco_zipwriter zip;
    bool torch;
};

/* Tensor i as it will be, in a buffer. Free it. */
static enum voco_err
make(const struct voco_rewrite *r, int i, const char *input, void **ret)
{
    const struct voco_filetensor *to = &r->item[i];

    *ret = malloc(to->bytes + 1);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %s", input, to->name);
    if (!r->from[i]) {
        voco_position_index(*ret);
        return VOCO_OK;
    }
    voco_filetensor_convert(r->from[i], to->type, *ret);
    return voco_filetensor_check(r->from[i], input);
}

static enum voco_err
put_all(const struct voco_rewrite *r, struct sink *sink, const char *input)
{
    struct voco_progress progress;
    enum voco_err err = VOCO_OK;

    voco_progress_start(&progress, "tensors", 0, r->n);
    for (int i = 0; i < r->n && err == VOCO_OK; i++) {
        void *data = NULL;

        err = make(r, i, input, &data);
        if (err == VOCO_OK)
            err = sink->torch ? voco_torchfile_put(&sink->zip, i, data, r->item[i].bytes)
                : voco_safetensors_put(&sink->plain, data, r->item[i].bytes);
        free(data);
        voco_progress_show(&progress, i + 1, "%s", r->item[i].name);
    }
    return err;
}

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

    VOCO_ASSERT(all);
    memcpy(all, meta, (size_t)n_meta * sizeof *all);
    for (int i = 0; i < from->n_meta; i++)
        if (strncmp(from->meta[i].key, "voco.", 5) == 0
            && strcmp(from->meta[i].key, "voco.architecture") != 0
            && !says(meta, n_meta, from->meta[i].key))
            all[n++] = (struct voco_filemeta){ from->meta[i].key, from->meta[i].value };
    *ret_n = n;
    return all;
}

static enum voco_err
begin(struct sink *sink, const struct voco_rewrite *r, const char *wrapper,
      const struct voco_filemeta *meta, int n_meta)
{
    return sink->torch
        ? voco_torchfile_begin(&sink->zip, wrapper, r->item, r->n, meta, n_meta)
        : voco_safetensors_begin(&sink->plain, r->item, r->n, meta, n_meta);
}

enum voco_err
voco_rewrite_write(const struct voco_rewrite *r, const char *path,
                   const struct voco_tensorfile *from, const char *input,
                   const char *wrapper, const struct voco_filemeta *meta, int n_meta)
{
    struct sink sink = { .torch = is_torch_name(path) };
    enum voco_err err = sink.torch ? voco_zipwriter_open(&sink.zip, path)
        : voco_newfile_open(&sink.plain, path);
    struct voco_filemeta *all;
    int n;

    if (err != VOCO_OK)
        return err;
    all = join(meta, n_meta, from, &n);
    err = begin(&sink, r, wrapper, all, n);
    free(all);
    if (err == VOCO_OK)
        err = put_all(r, &sink, input);
    if (err == VOCO_OK)
        return sink.torch ? voco_zipwriter_commit(&sink.zip)
            : voco_newfile_commit(&sink.plain);
    voco_zipwriter_discard(&sink.zip);
    voco_newfile_discard(&sink.plain);
    return err;
}

void
voco_rewrite_free(struct voco_rewrite *r)
{
    for (int i = 0; i < r->n; i++)
        free((char *)(uintptr_t)r->item[i].name);
    free(r->item);
    free(r->from);
    *r = (struct voco_rewrite){ 0 };
}
