/* Reading .pt files; the layout is that of torch/serialization.py, versions 1.6 to 2.x. */
#include "tensorfile/torchfile.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensorfile/pickle.h"
#include "tensorfile/picklejson.h"
#include "tensorfile/torchtree.h"

enum { PICKLE_MAX = 1 << 26, FOREIGN_MAX = 64, STEPS_TO_TENSOR = 8 };

struct torchfile {
    struct voco_tensorfile *f;
    struct voco_zip *zip;
    struct voco_pickle pickle;
    char *folder;               /* "NAME/" */
    const char *what;
};

#define NODE const struct voco_pickle_node *    /* half of every line otherwise */

static NODE
node(const struct torchfile *t, int id)
{
    return voco_pickle_node(&t->pickle, id);
}

/* The entry of this name in the archive's folder; -1: none. */
static int
find_entry(const struct torchfile *t, const char *name)
{
    char *full = voco_format("%s%s", t->folder, name);
    const int e = voco_zip_find(t->zip, full);

    free(full);
    return e;
}

static bool
calls(const struct torchfile *t, NODE x, const char *module, const char *name)
{
    return voco_torch_calls(&t->pickle, x, module, name);
}

static bool
is_tensor(const struct torchfile *t, NODE x)
{
    return voco_torch_is_tensor(&t->pickle, x);
}

static enum voco_err
refuse(const struct torchfile *t, const char *place, NODE x, const char *expected)
{
    return voco_torch_refuse(&t->pickle, t->what, place, x, expected);
}

/* ---- tensors ---- */

static bool
sizes(const struct torchfile *t, NODE x, int64_t *v, int *ret_n)
{
    if (calls(t, x, "torch", "Size") && node(t, x->args)->n == 1)
        x = node(t, node(t, x->args)->item[0]);
    if ((x->kind != VOCO_PICKLE_TUPLE && x->kind != VOCO_PICKLE_LIST)
        || x->n > VOCO_FILETENSOR_RANK_MAX)
        return false;
    for (int i = 0; i < x->n; i++) {
        NODE d = node(t, x->item[i]);

        if (d->kind != VOCO_PICKLE_INT || d->whole < 0)
            return false;
        v[i] = d->whole;
    }
    *ret_n = x->n;
    return true;
}

/* ('storage', torch.FloatStorage, key, place, elements) -> type, entry. */
static enum voco_err
find_storage(const struct torchfile *t, NODE x, struct voco_filetensor *to)
{
    NODE part[5];
    size_t size, bytes;
    char *key;
    int e = -1;

    if (x->kind == VOCO_PICKLE_PERSISTENT)
        x = node(t, x->args);
    if (x->kind != VOCO_PICKLE_TUPLE || x->n != 5)
        return refuse(t, to->name, x, "a tensor with a storage");
    for (int i = 0; i < 5; i++)
        part[i] = node(t, x->item[i]);
    if (!voco_pickle_is_text(part[0], "storage") || part[2]->kind != VOCO_PICKLE_TEXT
        || part[4]->kind != VOCO_PICKLE_INT)
        return refuse(t, to->name, x, "a tensor with a storage");
    to->type = voco_torch_storage(part[1]);
    if (!to->type)
        return refuse(t, to->name, part[1], "a storage of f32, f16, bf16, f64 or integers");
    size = voco_filetype_bytes(to->type);
    if (part[2]->text.n < 64) {
        key = voco_format("data/%.*s", (int)part[2]->text.n, part[2]->text.at);
        e = find_entry(t, key);
        free(key);
    }
    bytes = e < 0 ? 0 : voco_zip_bytes(t->zip, e);
    if (e < 0 || part[4]->whole < 0 || (uint64_t)part[4]->whole != bytes / size
        || bytes % size != 0)
        return voco_fail(VOCO_EFORMAT, "%s: %s wants a storage of %" PRId64 " elements of %zu "
                         "bytes, the archive has %s of %zu bytes", t->what, to->name,
                         part[4]->whole, size, e < 0 ? "none" : voco_zip_name(t->zip, e),
                         bytes);
    to->zip = t->zip;
    to->entry = e;
    return VOCO_OK;
}

/* From a view of a storage: is it inside, is it dense? */
static enum voco_err
place(const struct torchfile *t, int64_t offset, struct voco_filetensor *to)
{
    const size_t size = voco_filetype_bytes(to->type);
    const int64_t room = (int64_t)(voco_zip_bytes(t->zip, to->entry) / size);
    int64_t count = 1, last = offset, dense = 1;
    bool inside = offset >= 0 && offset <= room;

    for (int i = 0; i < to->rank; i++)
        if (__builtin_mul_overflow(count, to->dim[i], &count))
            inside = false;
    for (int i = to->rank - 1; i >= 0 && inside && count > 0; i--) {
        int64_t reach;

        if (__builtin_mul_overflow(to->dim[i] - 1, to->stride[i], &reach)
            || __builtin_add_overflow(last, reach, &last))
            inside = false;
        to->strided |= to->dim[i] != 1 && to->stride[i] != dense;
        dense *= to->dim[i];
    }
    /* an expanded tensor (stride 0) is larger than its storage: 2^60 elements of 4 bytes */
    if (!inside || (count > 0 && (last >= room || count > room)))
        return voco_fail(VOCO_EFORMAT, "%s: %s reaches beyond its storage of %" PRId64
                         " elements", t->what, to->name, room);
    to->from = (size_t)offset * size;
    to->bytes = (size_t)count * size;
    return VOCO_OK;
}

static enum voco_err
read_tensor(const struct torchfile *t, NODE x, struct voco_filetensor *to)
{
    NODE args = node(t, x->args);
    NODE offset;
    int strides;
    enum voco_err err;

    for (int i = 0; i < STEPS_TO_TENSOR && args->n >= 1
         && calls(t, x, "torch._utils", "_rebuild_parameter"); i++) {
        x = node(t, args->item[0]);
        if (!is_tensor(t, x))
            return refuse(t, to->name, x, "a tensor");
        args = node(t, x->args);
    }
    if (!calls(t, x, "torch._utils", "_rebuild_tensor_v2") || args->n < 4)
        return refuse(t, to->name, x, "a tensor");
    if ((err = find_storage(t, node(t, args->item[0]), to)) != VOCO_OK)
        return err;
    offset = node(t, args->item[1]);
    if (offset->kind != VOCO_PICKLE_INT
        || !sizes(t, node(t, args->item[2]), to->dim, &to->rank)
        || !sizes(t, node(t, args->item[3]), to->stride, &strides) || strides != to->rank)
        return voco_fail(VOCO_EFORMAT, "%s: %s: expected an offset, at most %d sizes and as "
                         "many strides, none negative", t->what, to->name,
                         VOCO_FILETENSOR_RANK_MAX);
    return place(t, offset->whole, to);
}

/* ---- the dict of tensors ---- */

static int
by_name(const void *a, const void *b)
{
    const struct voco_filetensor *const *s = a, *const *t = b;

    return strcmp((*s)->name, (*t)->name);
}

static enum voco_err
check_names(const struct torchfile *t)
{
    const struct voco_filetensor **sorted = calloc((size_t)t->f->n + 1, sizeof *sorted);
    enum voco_err err = VOCO_OK;

    if (!sorted)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", t->what);
    for (int i = 0; i < t->f->n; i++)
        sorted[i] = &t->f->item[i];
    qsort(sorted, (size_t)t->f->n, sizeof *sorted, by_name);
    for (int i = 1; i < t->f->n && err == VOCO_OK; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            err = voco_fail(VOCO_EFORMAT, "%s: two tensors have the name %s", t->what,
                            sorted[i]->name);
    free(sorted);
    return err;
}

/* A name that can be printed and written into JSON. */
static char *
tensor_name(NODE key)
{
    json_t *json = key->kind != VOCO_PICKLE_TEXT || key->text.n == 0 || key->text.n > 512
        ? NULL : json_stringn(key->text.at, key->text.n);
    char *name = NULL;

    if (json) {
        name = voco_format("%s", json_string_value(json));
        if (strlen(name) != key->text.n || strcspn(name, "\n\r\t\033\177") != key->text.n) {
            free(name);
            name = NULL;
        }
        json_decref(json);
    }
    return name;
}

static enum voco_err
read_tensors(const struct torchfile *t, NODE dict)
{
    struct voco_tensorfile *f = t->f;
    enum voco_err err = voco_tensorfile_reserve(f, (size_t)dict->n / 2, t->what);

    for (int i = 0; i + 1 < dict->n && err == VOCO_OK; i += 2) {
        NODE x = node(t, dict->item[i + 1]);
        char *foreign = x->kind == VOCO_PICKLE_CALL && !is_tensor(t, x)
            ? voco_torch_foreign(&t->pickle, x) : NULL;

        if (is_tensor(t, x) || foreign) {
            f->name[f->n] = tensor_name(node(t, dict->item[i]));
            if (!f->name[f->n]) {
                err = voco_fail(VOCO_EFORMAT, "%s: a tensor whose key is no name of 1 to 512 "
                                "printable characters", t->what);
            } else {
                f->item[f->n] = (struct voco_filetensor){ .name = f->name[f->n] };
                f->n++;
                err = foreign ? refuse(t, f->name[f->n - 1], x, "a tensor")
                    : read_tensor(t, x, &f->item[f->n - 1]);
            }
        }
        free(foreign);
    }
    return err != VOCO_OK ? err : check_names(t);
}

/* nnU-Net's entries beside network_weights, without running anything. */
static void
read_beside(const struct torchfile *t)
{
    static const char *const keys[] = { "init_args", "trainer_name",
                                        "inference_allowed_mirroring_axes" };
    NODE root = node(t, t->pickle.root);
    json_t *beside = json_object();

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        NODE value = voco_torch_look_up(&t->pickle, root, keys[i]);

        if (value)
            json_object_set_new(beside, keys[i], voco_pickle_json(&t->pickle, value));
    }
    if (json_object_size(beside))
        t->f->beside = json_dumps(beside, JSON_COMPACT);
    json_decref(beside);
}

/* Python names that are beside the tensors, each once. */
static void
list_foreign(const struct torchfile *t)
{
    struct voco_tensorfile *f = t->f;

    f->foreign = calloc(FOREIGN_MAX, sizeof *f->foreign);
    for (int i = 0; f->foreign && i < t->pickle.n && f->n_foreign < FOREIGN_MAX; i++) {
        char *name = node(t, i)->kind == VOCO_PICKLE_GLOBAL ? voco_torch_foreign(&t->pickle, node(t, i))
            : NULL;
        bool seen = name == NULL;

        for (int k = 0; k < f->n_foreign && !seen; k++)
            seen = strcmp(f->foreign[k], name) == 0;
        if (seen)
            free(name);
        else
            f->foreign[f->n_foreign++] = name;
    }
}

/* ---- the archive ---- */

/* PyTorch before 1.6, and later ones when asked: a pickle of this number comes first. */
static const unsigned char old_magic[] = {
    0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19
};

static bool
is_old(const void *bytes, size_t n)
{
    return n >= sizeof old_magic && memcmp(bytes, old_magic, sizeof old_magic) == 0;
}

bool
voco_torchfile_is(const void *bytes, size_t n)
{
    return voco_zip_is(bytes, n) || is_old(bytes, n);
}

/* The one entry NAME/data.pkl, and its folder; -1: none or several. */
static int
find_pickle(struct torchfile *t)
{
    static const char pickle[] = "/data.pkl";
    int found = -1;

    for (int i = 0; i < voco_zip_count(t->zip); i++) {
        const char *name = voco_zip_name(t->zip, i), *slash = strchr(name, '/');

        if (slash && strcmp(slash, pickle) == 0) {
            if (found >= 0)
                return -1;
            found = i;
            free(t->folder);
            t->folder = voco_format("%.*s", (int)(slash - name) + 1, name);
        }
    }
    return found;
}

/* An entry in memory, with a 0 byte behind it.  Free *ret. */
static enum voco_err
read_entry(const struct torchfile *t, int e, size_t most, char **ret, size_t *ret_n)
{
    enum voco_err err;

    *ret = NULL;
    *ret_n = voco_zip_bytes(t->zip, e);
    if (*ret_n > most)
        return voco_fail(VOCO_EFORMAT, "%s: %s: %zu bytes, expected at most %zu", t->what,
                         voco_zip_name(t->zip, e), *ret_n, most);
    *ret = calloc(*ret_n + 1, 1);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %zu bytes", t->what, *ret_n);
    err = voco_zip_read(t->zip, e, 0, *ret_n, *ret);
    if (err != VOCO_OK) {
        free(*ret);
        *ret = NULL;
    }
    return err;
}

static enum voco_err
check_order(const struct torchfile *t)
{
    const int e = find_entry(t, "byteorder");
    char *order;
    size_t n;
    enum voco_err err;

    if (e < 0)
        return VOCO_OK;
    err = read_entry(t, e, 16, &order, &n);
    if (err == VOCO_OK && strcmp(order, "little") != 0)
        err = voco_fail(VOCO_EFORMAT, "%s: byteorder is '%s', expected little: load and save "
                        "it in Python on this machine", t->what, order);
    free(order);
    return err;
}

/* voco's own entry.  A file of another program may have any entry of this name. */
static void
read_meta(const struct torchfile *t)
{
    const int e = find_entry(t, "extra/voco.json");
    char *text;
    size_t n;
    json_t *json = NULL, *value;
    const char *key;

    if (e < 0 || read_entry(t, e, 1 << 20, &text, &n) != VOCO_OK)
        return;
    json = json_loadb(text, n, 0, NULL);
    json_object_foreach(json, key, value)
        if (json_is_string(value))
            voco_tensorfile_add_meta(t->f, key, json_string_value(value));
    json_decref(json);
    free(text);
}

/* The tensors that the pickle names. */
static enum voco_err
read_pickle(struct torchfile *t, int e)
{
    NODE dict = NULL;
    char *bytes, *what;
    size_t n;
    enum voco_err err = read_entry(t, e, PICKLE_MAX, &bytes, &n);

    if (err != VOCO_OK)
        return err;
    what = voco_format("%s: %s", t->what, voco_zip_name(t->zip, e));
    if ((err = voco_pickle_parse(&t->pickle, bytes, n, what)) == VOCO_OK
        && (err = voco_torch_find_dict(&t->pickle, t->what, t->f, &dict)) == VOCO_OK
        && (!dict || (err = read_tensors(t, dict)) == VOCO_OK)) {
        list_foreign(t);
        read_beside(t);
    }
    voco_pickle_close(&t->pickle);
    free(what);
    free(bytes);
    return err;
}

/* Archives that PyTorch writes besides: programs, known by an entry of theirs. */
static enum voco_err
refuse_programs(const void *bytes, size_t n, const char *what)
{
    if (voco_zip_has_ending(bytes, n, "/constants.pkl"))
        return voco_fail(VOCO_EFORMAT, "%s: TorchScript: a program with weights inside, which "
                         "voco does not run; in Python: torch.save(torch.jit.load(\"%s\", "
                         "map_location=\"cpu\").state_dict(), \"NEW.pt\")", what, what);
    if (voco_zip_has_ending(bytes, n, "/models/model.json")
        || voco_zip_has_ending(bytes, n, "serialized_exported_program.json"))
        return voco_fail(VOCO_EFORMAT, "%s: a program that torch.export saved, which voco does "
                         "not run; in Python: torch.save(dict(torch.export.load(\"%s\")"
                         ".state_dict), \"NEW.pt\")", what, what);
    return VOCO_OK;
}

enum voco_err
voco_torchfile_parse(struct voco_tensorfile *f, const void *bytes, size_t n,
                     const char *what)
{
    struct torchfile t = { .f = f, .what = what };
    int pickle;
    enum voco_err err;

    *f = (struct voco_tensorfile){ .format = "PyTorch" };
    if (is_old(bytes, n))
        return voco_fail(VOCO_EFORMAT, "%s: written by PyTorch before 1.6; in Python: "
                         "torch.save(torch.load(\"%s\", map_location=\"cpu\"), \"NEW.pt\")",
                         what, what);
    if ((err = refuse_programs(bytes, n, what)) != VOCO_OK
        || (err = voco_zip_open(&t.zip, bytes, n, what)) != VOCO_OK)
        return err;
    f->zip = t.zip;
    pickle = find_pickle(&t);
    if (pickle < 0)
        err = voco_fail(VOCO_EFORMAT, "%s: a zip archive without one NAME/data.pkl: not of "
                        "PyTorch", what);
    if (err == VOCO_OK && (err = check_order(&t)) == VOCO_OK
        && (err = read_pickle(&t, pickle)) == VOCO_OK)
        read_meta(&t);
    free(t.folder);
    if (err != VOCO_OK)
        voco_tensorfile_close(f);
    return err;
}
