/* Writing .pt files: the opcodes that torch.load(weights_only=True) takes. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile/torchfile.h"

static const char folder[] = "archive";         /* torch's own when it writes to a stream */

struct bytes {
    char *at;
    size_t n, room;
};

static void
add(struct bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n);
        b->at = realloc(b->at, b->room);
        VOCO_NEED(b->at);
    }
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void
add_ops(struct bytes *b, const char *ops)
{
    add(b, ops, strlen(ops));
}

static void
add_little(struct bytes *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++, x >>= 8)
        add(b, &(unsigned char){ (unsigned char)x }, 1);
}

static void
add_text(struct bytes *b, const char *text)
{
    add_ops(b, "X");                                    /* BINUNICODE */
    add_little(b, strlen(text), 4);
    add_ops(b, text);
}

static void
add_int(struct bytes *b, int64_t x)
{
    if (x <= INT32_MAX) {
        add_ops(b, "J");                                /* BININT */
        add_little(b, (uint64_t)x, 4);
    } else {
        add_ops(b, "\x8a\x08");                         /* LONG1 of 8 bytes */
        add_little(b, (uint64_t)x, 8);
    }
}

static const char *
storage_name(const char *type)
{
    static const struct { const char *type, *torch; } names[] = {
        { "F32", "FloatStorage" }, { "F16", "HalfStorage" }, { "BF16", "BFloat16Storage" },
        { "F64", "DoubleStorage" }, { "I64", "LongStorage" }, { "I32", "IntStorage" },
        { "I16", "ShortStorage" }, { "I8", "CharStorage" }, { "U8", "ByteStorage" },
        { "BOOL", "BoolStorage" },
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].type, type) == 0)
            return names[i].torch;
    return NULL;
}

static void
add_ordered_dict(struct bytes *b)
{
    add_ops(b, "ccollections\nOrderedDict\n)R");        /* GLOBAL, EMPTY_TUPLE, REDUCE */
}

/* _rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()) */
static void
add_tensor(struct bytes *b, const struct voco_filetensor *t, int i)
{
    const size_t size = voco_filetype_bytes(t->type);
    int64_t stride[VOCO_FILETENSOR_RANK_MAX], dense = 1;
    char key[16];

    for (int k = t->rank - 1; k >= 0; k--) {
        stride[k] = dense;
        dense *= t->dim[k] ? t->dim[k] : 1;
    }
    snprintf(key, sizeof key, "%d", i);
    add_ops(b, "ctorch._utils\n_rebuild_tensor_v2\n((");        /* GLOBAL, MARK, MARK */
    add_text(b, "storage");
    add_ops(b, "ctorch\n");
    add_ops(b, storage_name(t->type));
    add_ops(b, "\n");
    add_text(b, key);
    add_text(b, "cpu");
    add_int(b, (int64_t)(t->bytes / size));
    add_ops(b, "tQ");                                           /* TUPLE, BINPERSID */
    add_int(b, 0);
    add_ops(b, "(");
    for (int k = 0; k < t->rank; k++)
        add_int(b, t->dim[k]);
    add_ops(b, "t(");
    for (int k = 0; k < t->rank; k++)
        add_int(b, stride[k]);
    add_ops(b, "t\x89");                                        /* TUPLE, NEWFALSE */
    add_ordered_dict(b);
    add_ops(b, "tR");
}

static enum voco_err
put_meta(struct voco_zipwriter *w, const struct voco_filemeta *meta, int n)
{
    json_t *json = json_object();
    char *text, *name = voco_format("%s/extra/voco.json", folder);
    enum voco_err err;

    for (int i = 0; i < n; i++)
        json_object_set_new(json, meta[i].key, json_string(meta[i].value));
    text = json_dumps(json, JSON_COMPACT);
    VOCO_NEED(text);
    err = voco_zipwriter_add_bytes(w, name, text, strlen(text));
    free(text);
    free(name);
    json_decref(json);
    return err;
}

enum voco_err
voco_torchfile_begin(struct voco_zipwriter *w, const char *wrapper,
                     const struct voco_filetensor *item, const int *storage, int n,
                     const struct voco_filemeta *meta, int n_meta)
{
    struct bytes b = { 0 };
    enum voco_err err;

    for (int i = 0; i < n; i++)
        if (!storage_name(item[i].type))
            return voco_fail(VOCO_EFORMAT, "%s: PyTorch has no storage for %s of type %s",
                             w->path, item[i].name, item[i].type);
    add_ops(&b, "\x80\x02");                                    /* PROTO 2 */
    if (wrapper) {
        add_ops(&b, "}");                                       /* EMPTY_DICT */
        add_text(&b, wrapper);
    }
    add_ordered_dict(&b);
    add_ops(&b, "(");
    for (int i = 0; i < n; i++) {
        add_text(&b, item[i].name);
        add_tensor(&b, &item[i], storage ? storage[i] : i);
    }
    add_ops(&b, wrapper ? "us." : "u.");                        /* SETITEMS, SETITEM, STOP */
    if ((err = voco_zipwriter_add_bytes(w, "archive/data.pkl", b.at, b.n)) == VOCO_OK
        && (err = voco_zipwriter_add_bytes(w, "archive/byteorder", "little", 6)) == VOCO_OK
        && (err = voco_zipwriter_add_bytes(w, "archive/version", "3\n", 2)) == VOCO_OK)
        err = put_meta(w, meta, n_meta);
    free(b.at);
    return err;
}

enum voco_err
voco_torchfile_put(struct voco_zipwriter *w, size_t bytes, const struct voco_zippart *part)
{
    char name[64];

    snprintf(name, sizeof name, "%s/data/%d", folder, part->i);
    return voco_zipwriter_add(w, name, bytes, part);
}
