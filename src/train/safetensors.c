/* safetensors, format of the huggingface/safetensors README, version 0.4. */
#define _GNU_SOURCE
#include "train/safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/file.h"

static const uint64_t header_max = 100000000;

static const struct { const char *name; size_t bytes; } types[] = {
    { "F64", 8 }, { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "I64", 8 }, { "I32", 4 },
    { "I16", 2 }, { "I8", 1 }, { "U64", 8 }, { "U32", 4 }, { "U16", 2 }, { "U8", 1 },
    { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};

size_t
voco_st_type_bytes(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].bytes;
    return 0;
}

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
             struct voco_st_tensor *t, uint64_t *ret_begin)
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
    bytes = voco_st_type_bytes(json_string_value(dtype));
    if (bytes == 0)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has unknown type %.32s", what, name,
                         json_string_value(dtype));
    if (json_array_size(shape) > VOCO_ST_RANK_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: tensor %s has %zu dimensions, at most %d are "
                         "supported", what, name, json_array_size(shape),
                         VOCO_ST_RANK_MAX);
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
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, json_string_value(dtype)) == 0)
            t->type = types[i].name;
    t->bytes = (size_t)bytes;
    *ret_begin = (uint64_t)begin;
    return VOCO_OK;
}

static int
by_position(const void *a, const void *b)
{
    const struct voco_st_tensor *s = a, *t = b;

    if (s->data != t->data)
        return (const char *)s->data < (const char *)t->data ? -1 : 1;
    return s->bytes < t->bytes ? -1 : s->bytes > t->bytes;
}

static enum voco_err
parse_meta(struct voco_safetensors *st, const char *what, json_t *meta)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta))
        return voco_fail(VOCO_EFORMAT, "%s: __metadata__ is not an object", what);
    st->meta = calloc(json_object_size(meta) + 1, sizeof *st->meta);
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value))
            return voco_fail(VOCO_EFORMAT, "%s: __metadata__.%.64s is not a string", what,
                             key);
        st->meta[st->n_meta].key = voco_format("%s", key);
        st->meta[st->n_meta++].value = voco_format("%s", json_string_value(value));
    }
    return VOCO_OK;
}

/* The tensors cover the buffer, in order, without hole or overlap. */
static enum voco_err
check_cover(const struct voco_safetensors *st, const char *what, const char *buffer,
            uint64_t bytes)
{
    uint64_t at = 0;

    for (int i = 0; i < st->n; i++) {
        const uint64_t begin = (uint64_t)((const char *)st->item[i].data - buffer);

        if (begin != at)
            return voco_fail(VOCO_EFORMAT, "%s: tensor %s begins at byte %" PRIu64 " of "
                             "the buffer, expected %" PRIu64 " (%s)", what,
                             st->item[i].name, begin, at, begin < at ? "overlap" : "hole");
        at += st->item[i].bytes;
    }
    if (at != bytes)
        return voco_fail(VOCO_EFORMAT, "%s: tensors cover %" PRIu64 " of %" PRIu64
                         " bytes of the buffer: truncated or not whole", what, at, bytes);
    return VOCO_OK;
}

static enum voco_err
parse_header(struct voco_safetensors *st, json_t *root, const char *what,
             const char *buffer, uint64_t buffer_bytes)
{
    const char *key;
    json_t *value;
    enum voco_err err;

    st->item = calloc(json_object_size(root) + 1, sizeof *st->item);
    st->name = calloc(json_object_size(root) + 1, sizeof *st->name);
    if (!st->item || !st->name)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %zu tensors", what,
                         json_object_size(root));
    json_object_foreach(root, key, value) {
        struct voco_st_tensor *t = &st->item[st->n];
        uint64_t begin = 0;

        if (strcmp(key, "__metadata__") == 0) {
            if ((err = parse_meta(st, what, value)) != VOCO_OK)
                return err;
            continue;
        }
        if ((err = parse_tensor(what, key, value, buffer_bytes, t, &begin)) != VOCO_OK)
            return err;
        t->name = st->name[st->n++] = voco_format("%s", key);
        t->data = buffer + begin;
    }
    qsort(st->item, (size_t)st->n, sizeof *st->item, by_position);
    return check_cover(st, what, buffer, buffer_bytes);
}

enum voco_err
voco_st_parse(struct voco_safetensors *st, const void *bytes, size_t n, const char *what)
{
    json_error_t where;
    uint64_t header;
    json_t *root;
    enum voco_err err;

    *st = (struct voco_safetensors){ 0 };
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
    err = parse_header(st, root, what, (const char *)bytes + 8 + header, n - 8 - header);
    json_decref(root);
    if (err != VOCO_OK)
        voco_st_close(st);
    return err;
}

enum voco_err
voco_st_open(struct voco_safetensors *st, const char *path)
{
    struct stat info;
    enum voco_err err;
    void *map;
    int fd;

    *st = (struct voco_safetensors){ 0 };
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 8) {
        close(fd);
        return voco_fail(VOCO_EFORMAT, "%s: not a safetensors file", path);
    }
    map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return voco_fail_errno(VOCO_EIO, "%s: cannot map", path);
    err = voco_st_parse(st, map, (size_t)info.st_size, path);
    if (err != VOCO_OK) {
        munmap(map, (size_t)info.st_size);
        return err;
    }
    st->map = map;
    st->map_bytes = (size_t)info.st_size;
    return VOCO_OK;
}

void
voco_st_close(struct voco_safetensors *st)
{
    for (int i = 0; i < st->n; i++)
        free(st->name[i]);
    for (int i = 0; i < st->n_meta; i++) {
        free(st->meta[i].key);
        free(st->meta[i].value);
    }
    free(st->item);
    free(st->name);
    free(st->meta);
    if (st->map)
        munmap(st->map, st->map_bytes);
    *st = (struct voco_safetensors){ 0 };
}

const struct voco_st_tensor *
voco_st_find(const struct voco_safetensors *st, const char *name)
{
    for (int i = 0; i < st->n; i++)
        if (strcmp(st->item[i].name, name) == 0)
            return &st->item[i];
    return NULL;
}

const char *
voco_st_meta(const struct voco_safetensors *st, const char *key)
{
    for (int i = 0; i < st->n_meta; i++)
        if (strcmp(st->meta[i].key, key) == 0)
            return st->meta[i].value;
    return NULL;
}

static float
from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
    uint32_t bits;
    float f;

    if (exponent == 0) {
        f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float
from_bfloat(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

#define CONVERT(type_name, c_type, expression)                          \
    if (strcmp(t->type, type_name) == 0) {                              \
        for (int64_t i = 0; i < n; i++) {                               \
            c_type x;                                                   \
                                                                        \
            memcpy(&x, (const char *)t->data + (size_t)(first + i) * sizeof x, sizeof x); \
            out[i] = (expression);                                      \
        }                                                               \
        return;                                                         \
    }

void
voco_st_to_float(const struct voco_st_tensor *t, int64_t first, int64_t n, float *out)
{
    CONVERT("F32", float, x)
    CONVERT("F64", double, (float)x)
    CONVERT("F16", uint16_t, from_half(x))
    CONVERT("BF16", uint16_t, from_bfloat(x))
    CONVERT("I64", int64_t, (float)x)
    CONVERT("I32", int32_t, (float)x)
    CONVERT("U8", uint8_t, (float)x)
    VOCO_ASSERT(!"a type that the caller should have refused");
}

/* The JSON header, padded with spaces to a multiple of 8. Free the result. */
static char *
make_header(const struct voco_st_tensor *item, int n, const struct voco_st_meta *meta,
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
    VOCO_ASSERT(text);
    length = (strlen(text) + 7) / 8 * 8;
    padded = voco_format("%-*s", (int)length, text);
    free(text);
    *ret_n = length;
    return padded;
}

/* Appends to the file and to the checksum. */
static bool
append(FILE *out, const void *data, size_t n, uint32_t *crc, uint64_t *total)
{
    *crc = voco_crc32c(*crc, data, n);
    *total += n;
    return fwrite(data, 1, n, out) == n;
}

enum voco_err
voco_st_write(const char *path, const struct voco_st_tensor *item, int n,
              const struct voco_st_meta *meta, int n_meta, uint32_t *ret_crc,
              uint64_t *ret_bytes)
{
    struct voco_newfile file = { 0 };
    unsigned char length[8];
    uint32_t crc = 0;
    uint64_t total = 0;
    size_t header_n;
    char *header;
    bool good;
    enum voco_err err = voco_newfile_open(&file, path);

    if (err != VOCO_OK)
        return err;
    header = make_header(item, n, meta, n_meta, &header_n);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(header_n >> 8 * i);
    good = append(file.out, length, 8, &crc, &total)
        && append(file.out, header, header_n, &crc, &total);
    for (int i = 0; i < n && good; i++)
        good = append(file.out, item[i].data, item[i].bytes, &crc, &total);
    free(header);
    if (!good) {
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", path);
        voco_newfile_discard(&file);
        return err;
    }
    if (ret_crc)
        *ret_crc = crc;
    if (ret_bytes)
        *ret_bytes = total;
    return voco_newfile_commit(&file);
}
