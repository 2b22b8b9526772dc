/* safetensors, format of the huggingface/safetensors README, version 0.4. */
#include "tensorfile/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t header_max = 100000000;

static uint64_t
load_u64(const unsigned char *p)
{
    uint64_t x = 0;

    for (int i = 7; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

/* One entry of the header into *t; begin and end are left in *ret_begin, t->bytes. */
static enum voco_err
parse_tensor(const char *what, const char *name, json_t *entry, uint64_t buffer,
             struct voco_filetensor *t, uint64_t *ret_begin)
{
    json_t *dtype = json_object_get(entry, "dtype");
    json_t *shape = json_object_get(entry, "shape");
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_int_t begin, end;
    uint64_t bytes;

    if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(offsets)
        || json_array_size(offsets) != 2)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s: expected dtype, shape and two "
                         "data_offsets", what, name);
    bytes = voco_filetype_bytes(json_string_value(dtype));
    if (bytes == 0)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has unknown type %.32s", what, name,
                         json_string_value(dtype));
    if (json_array_size(shape) > VOCO_FILETENSOR_RANK_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has %zu dimensions, at most %d are "
                         "supported", what, name, json_array_size(shape),
                         VOCO_FILETENSOR_RANK_MAX);
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        json_t *d = json_array_get(shape, (size_t)i);

        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return voco_fail(VOCO_EFORMAT, "%s: tensor %s has a dimension that is not a "
                             "size", what, name);
        t->dim[i] = json_integer_value(d);
        if (__builtin_mul_overflow(bytes, (uint64_t)t->dim[i], &bytes))
            return voco_fail(VOCO_EFORMAT, "%s: tensor %s is larger than any file", what,
                             name);
    }
    if (!json_is_integer(json_array_get(offsets, 0))
        || !json_is_integer(json_array_get(offsets, 1)))
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has offsets that are not integers",
                         what, name);
    begin = json_integer_value(json_array_get(offsets, 0));
    end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (uint64_t)end > buffer
        || (uint64_t)(end - begin) != bytes)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has offsets %" PRId64 "..%" PRId64
                         ", expected %" PRIu64 " bytes inside a buffer of %" PRIu64, what,
                         name, (int64_t)begin, (int64_t)end, bytes, buffer);
    t->type = voco_filetype(json_string_value(dtype));
    t->bytes = (size_t)bytes;
    *ret_begin = (uint64_t)begin;
    return VOCO_OK;
}

static int
by_position(const void *a, const void *b)
{
    const struct voco_filetensor *s = a, *t = b;

    if (s->data != t->data)
        return (const char *)s->data < (const char *)t->data ? -1 : 1;
    return s->bytes < t->bytes ? -1 : s->bytes > t->bytes;
}

static enum voco_err
parse_meta(struct voco_tensorfile *f, const char *what, json_t *meta)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta))
        return voco_fail(VOCO_EFORMAT, "%s: __metadata__ is not an object", what);
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value))
            return voco_fail(VOCO_EFORMAT, "%s: __metadata__.%.64s is not a string", what,
                             key);
        voco_tensorfile_add_meta(f, key, json_string_value(value));
    }
    return VOCO_OK;
}

/* The tensors cover the buffer, in order, without hole or overlap. */
static enum voco_err
check_cover(const struct voco_tensorfile *f, const char *what, const char *buffer,
            uint64_t bytes)
{
    uint64_t at = 0;

    for (int i = 0; i < f->n; i++) {
        const uint64_t begin = (uint64_t)((const char *)f->item[i].data - buffer);

        if (begin != at)
            return voco_fail(VOCO_EFORMAT, "%s: tensor %s begins at byte %" PRIu64 " of "
                             "the buffer, expected %" PRIu64 " (%s)", what,
                             f->item[i].name, begin, at, begin < at ? "overlap" : "hole");
        at += f->item[i].bytes;
    }
    if (at != bytes)
        return voco_fail(VOCO_EFORMAT, "%s: tensors cover %" PRIu64 " of %" PRIu64
                         " bytes of the buffer: truncated or not whole", what, at, bytes);
    return VOCO_OK;
}

static enum voco_err
parse_header(struct voco_tensorfile *f, json_t *root, const char *what,
             const char *buffer, uint64_t buffer_bytes)
{
    const char *key;
    json_t *value;
    enum voco_err err;

    if ((err = voco_tensorfile_reserve(f, json_object_size(root), what)) != VOCO_OK)
        return err;
    json_object_foreach(root, key, value) {
        struct voco_filetensor *t = &f->item[f->n];
        uint64_t begin = 0;

        if (strcmp(key, "__metadata__") == 0) {
            if ((err = parse_meta(f, what, value)) != VOCO_OK)
                return err;
            continue;
        }
        if ((err = parse_tensor(what, key, value, buffer_bytes, t, &begin)) != VOCO_OK)
            return err;
        t->name = f->name[f->n++] = voco_format("%s", key);
        t->data = buffer + begin;
    }
    qsort(f->item, (size_t)f->n, sizeof *f->item, by_position);
    return check_cover(f, what, buffer, buffer_bytes);
}

bool
voco_safetensors_is(const void *bytes, size_t n)
{
    return n >= 9 && load_u64(bytes) >= 2 && load_u64(bytes) <= header_max
        && ((const char *)bytes)[8] == '{';
}

enum voco_err
voco_safetensors_parse(struct voco_tensorfile *f, const void *bytes, size_t n,
                       const char *what)
{
    json_error_t where;
    uint64_t header;
    json_t *root;
    enum voco_err err;

    *f = (struct voco_tensorfile){ .format = "safetensors" };
    if (n < 8)
        return voco_fail(VOCO_EFORMAT, "%s: %zu bytes are too few for a safetensors file",
                         what, n);
    header = load_u64(bytes);
    if (header > header_max || header > n - 8)
        return voco_fail(VOCO_EFORMAT, "%s: a header of %" PRIu64 " bytes in a file of "
                         "%zu: not safetensors, or truncated", what, header, n);
    if (header < 2 || ((const char *)bytes)[8] != '{')
        return voco_fail(VOCO_EFORMAT, "%s: the header does not begin with {: not "
                         "safetensors", what);
    root = json_loadb((const char *)bytes + 8, (size_t)header, JSON_REJECT_DUPLICATES,
                      &where);
    if (!root || !json_is_object(root)) {
        json_decref(root);
        return voco_fail(VOCO_EFORMAT, "%s: header: %s at byte %d", what, where.text,
                         where.position);
    }
    err = parse_header(f, root, what, (const char *)bytes + 8 + header, n - 8 - header);
    json_decref(root);
    if (err != VOCO_OK)
        voco_tensorfile_close(f);
    return err;
}

/* The JSON header, padded with spaces to a multiple of 8. Free the result. */
static char *
make_header(const struct voco_filetensor *item, int n, const struct voco_filemeta *meta,
            int n_meta, size_t *ret_n)
{
    json_t *root = json_object(), *notes = json_object();
    json_int_t at = 0;
    char *text, *padded;
    size_t length;

    for (int i = 0; i < n_meta; i++)
        json_object_set_new(notes, meta[i].key, json_string(meta[i].value));
    if (n_meta)
        json_object_set(root, "__metadata__", notes);
    json_decref(notes);
    for (int i = 0; i < n; i++) {
        json_t *shape = json_array();

        for (int d = 0; d < item[i].rank; d++)
            json_array_append_new(shape, json_integer(item[i].dim[d]));
        json_object_set_new(root, item[i].name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype", item[i].type,
                                      "shape", shape, "data_offsets", at,
                                      at + (json_int_t)item[i].bytes));
        at += (json_int_t)item[i].bytes;
    }
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    VOCO_NEED(text);
    length = (strlen(text) + 7) / 8 * 8;
    padded = voco_format("%-*s", (int)length, text);
    free(text);
    *ret_n = length;
    return padded;
}

enum voco_err
voco_safetensors_put(struct voco_newfile *file, const void *data, size_t bytes)
{
    if (fwrite(data, 1, bytes, file->out) != bytes)
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", file->path);
    return VOCO_OK;
}

/* *ret: the length and the header. Free it. */
static size_t
make_front(const struct voco_filetensor *item, int n, const struct voco_filemeta *meta,
           int n_meta, char **ret)
{
    size_t length;
    char *header = make_header(item, n, meta, n_meta, &length);
    char *front = malloc(8 + length);

    VOCO_NEED(front);
    for (int i = 0; i < 8; i++)
        front[i] = (char)(length >> 8 * i);
    memcpy(front + 8, header, length);
    free(header);
    *ret = front;
    return 8 + length;
}

enum voco_err
voco_safetensors_begin(struct voco_newfile *file, const struct voco_filetensor *item, int n,
                       const struct voco_filemeta *meta, int n_meta)
{
    char *front;
    const size_t bytes = make_front(item, n, meta, n_meta, &front);
    const enum voco_err err = voco_safetensors_put(file, front, bytes);

    free(front);
    return err;
}

enum voco_err
voco_safetensors_write(const char *path, const struct voco_filetensor *item, int n,
                       const struct voco_filemeta *meta, int n_meta, uint32_t *ret_crc,
                       uint64_t *ret_bytes)
{
    struct voco_newfile file = { 0 };
    char *front;
    uint64_t total;
    uint32_t crc;
    enum voco_err err = voco_newfile_open(&file, path);

    if (err != VOCO_OK)
        return err;
    total = make_front(item, n, meta, n_meta, &front);
    crc = voco_crc32c(0, front, total);
    err = voco_safetensors_put(&file, front, total);
    free(front);
    for (int i = 0; i < n && err == VOCO_OK; i++) {
        err = voco_safetensors_put(&file, item[i].data, item[i].bytes);
        crc = voco_crc32c(crc, item[i].data, item[i].bytes);
        total += item[i].bytes;
    }
    if (err != VOCO_OK) {
        voco_newfile_discard(&file);
        return err;
    }
    if (ret_crc)
        *ret_crc = crc;
    if (ret_bytes)
        *ret_bytes = total;
    return voco_newfile_commit(&file);
}
