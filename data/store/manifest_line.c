/* A line of manifest.jsonl: a JSON object with a checksum, by jansson. */
#include "data/store/manifest_line.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/store/chunk.h"
#include "data/store/manifest_origin.h"

enum { CHECK_BYTES = 20 };      /* ,"check":"01234567"} */

static const char format_name[] = "voco-store";
enum { FORMAT_VERSION = 1 };

/* ---- out ---- */

/* o with a checksum as its last member and a newline; o is released. */
static char *
checked_text(json_t *o)
{
    char *plain = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    char *text = NULL;

    json_decref(o);
    if (plain) {
        const size_t n = strlen(plain) - 1;         /* without the closing brace */

        text = malloc(n + CHECK_BYTES + 2);
        if (text) {
            memcpy(text, plain, n);
            snprintf(text + n, CHECK_BYTES + 2, ",\"check\":\"%08x\"}\n",
                     (unsigned)voco_crc32c(0, plain, n));
        }
    }
    free(plain);
    return text;
}

static json_t *
reals(const double *x, int n)
{
    json_t *a = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_real(x[i]));
    return a;
}

static json_t *
label_object(const struct voco_store_label *l)
{
    json_t *voxels = json_object();
    char crc[9], key[16];

    for (int i = 0; i < l->n_counts; i++) {
        snprintf(key, sizeof key, "%d", l->count[i].class_id);
        json_object_set_new(voxels, key, json_integer(l->count[i].voxels));
    }
    snprintf(crc, sizeof crc, "%08x", (unsigned)l->crc);
    return json_pack("{s:s,s:s,s:o,s:I,s:s,s:o*}", "source", l->source, "type",
                     l->type == VOCO_STORE_LABEL8 ? "u8" : "u16", "voxels", voxels,
                     "background", (json_int_t)l->background, "crc", crc, "files",
                     voco_stamp_json(&l->stamp));
}

char *
voco_line_text(const struct voco_line *line)
{
    const struct voco_store_entry *e = &line->entry;
    json_t *o = json_object();

    json_object_set_new(o, "id", json_string(e->id));
    json_object_set_new(o, "status", json_string(e->reason ? "rejected" : "stored"));
    if (e->reason)
        json_object_set_new(o, "reason", json_string(e->reason));
    json_object_set_new(o, "dataset", json_string(e->dataset));
    json_object_set_new(o, "source", json_string(e->source));
    json_object_set_new(o, "preset", json_string(e->preset));
    if (!e->reason) {
        json_t *shape = json_array(), *affine = json_array();
        char crc[9];

        for (int a = 0; a < 3; a++)
            json_array_append_new(shape, json_integer(e->dim[a]));
        for (int r = 0; r < 4; r++)
            json_array_append_new(affine, reals(e->affine[r], 4));
        snprintf(crc, sizeof crc, "%08x", (unsigned)e->crc);
        json_object_set_new(o, "shape", shape);
        json_object_set_new(o, "spacing", reals(e->spacing_mm, 3));
        json_object_set_new(o, "affine", affine);
        json_object_set_new(o, "window", reals(e->window, 2));
        json_object_set_new(o, "transforms", json_loads(e->transforms, JSON_DECODE_ANY,
                                                        NULL));
        json_object_set_new(o, "shard", json_integer(line->shard));
        json_object_set_new(o, "slot", json_integer(line->slot));
        json_object_set_new(o, "crc", json_string(crc));
        if (e->channels > 1)
            json_object_set_new(o, "channels", json_integer(e->channels));
        if (e->label.source)
            json_object_set_new(o, "label", label_object(&e->label));
        if (e->stamp.known)
            json_object_set_new(o, "files", voco_stamp_json(&e->stamp));
        if (e->place.known)
            json_object_set_new(o, "place", voco_place_json(&e->place));
    }
    return checked_text(o);
}

char *
voco_header_text(const struct voco_header *h)
{
    json_t *o = json_pack("{s:s,s:i,s:s,s:i}", "format", format_name, "version",
                          (int)FORMAT_VERSION, "type", voco_store_type_name(h->type),
                          "chunk", h->chunk);
    json_t *names = h->n_classes ? json_array() : NULL;

    for (int i = 0; i < h->n_classes; i++)
        json_array_append_new(names, json_string(h->class_name[i]));
    if (names)
        json_object_set_new(o, "classes", names);
    return checked_text(o);
}

enum voco_err
voco_header_copy_classes(struct voco_header *h, const char *const *name, int n)
{
    h->class_name = n ? calloc((size_t)n, sizeof *h->class_name) : NULL;
    if (n && !h->class_name)
        return voco_fail(VOCO_EMEMORY, "no memory for the names of %d classes", n);
    for (h->n_classes = 0; h->n_classes < n; h->n_classes++) {
        h->class_name[h->n_classes] = voco_utf8_copy(name[h->n_classes]);
        if (!h->class_name[h->n_classes])
            return voco_fail(VOCO_EMEMORY, "no memory for the names of %d classes", n);
    }
    return VOCO_OK;
}

void
voco_header_free(struct voco_header *h)
{
    for (int i = 0; i < h->n_classes; i++)
        free(h->class_name[i]);
    free(h->class_name);
    *h = (struct voco_header){.chunk = 0};
}

/* ---- in ---- */

/* The first thing wrong with a line is kept; later questions answer with nothing. */
struct asked {
    const json_t *object;
    const char *wrong;          /* name of a member that is missing or of a wrong kind */
};

static const json_t *
ask(struct asked *a, const char *name, bool (*good)(const json_t *))
{
    const json_t *v = json_object_get(a->object, name);

    if ((!v || !good(v)) && !a->wrong)
        a->wrong = name;
    return a->wrong ? NULL : v;
}

static bool
is_text(const json_t *v)
{
    return json_is_string(v);
}

static bool
is_count(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0
        && json_integer_value(v) <= INT32_MAX;
}

static bool
is_reals(const json_t *v, size_t n)
{
    bool good = json_is_array(v) && json_array_size(v) == n;

    for (size_t i = 0; good && i < n; i++)
        good = json_is_number(json_array_get(v, i));
    return good;
}

static bool
is_2_reals(const json_t *v)
{
    return is_reals(v, 2);
}

static bool
is_3_reals(const json_t *v)
{
    return is_reals(v, 3);
}

static bool
is_shape(const json_t *v)
{
    bool good = is_reals(v, 3);

    for (size_t i = 0; good && i < 3; i++)
        good = is_count(json_array_get(v, i))
            && json_integer_value(json_array_get(v, i)) >= 1;
    return good;
}

static bool
is_affine(const json_t *v)
{
    bool good = json_is_array(v) && json_array_size(v) == 4;

    for (size_t i = 0; good && i < 4; i++)
        good = is_reals(json_array_get(v, i), 4);
    return good;
}

static bool
is_crc(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) == 8
        && strspn(json_string_value(v), "0123456789abcdef") == 8;
}

static bool
is_any(const json_t *v)
{
    (void)v;
    return true;
}

static char *
ask_text(struct asked *a, const char *name)
{
    const json_t *v = ask(a, name, is_text);

    return v ? voco_format("%s", json_string_value(v)) : NULL;
}

static void
take_reals(const json_t *v, int n, double *out)
{
    for (int i = 0; v && i < n; i++)
        out[i] = json_number_value(json_array_get(v, (size_t)i));
}

static bool
is_channels(const json_t *v)
{
    return is_count(v) && json_integer_value(v) >= 2
        && json_integer_value(v) <= VOCO_CHANNELS_MAX;
}

static bool
is_label_type(const json_t *v)
{
    return json_is_string(v) && (strcmp(json_string_value(v), "u8") == 0
                                 || strcmp(json_string_value(v), "u16") == 0);
}

static bool
is_voxels(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0
        && json_integer_value(v) <= (json_int_t)1 << 48;
}

/* {"0": voxels, "3": voxels, ...} with ascending classes. */
static bool
is_histogram(const json_t *v)
{
    int last = -1;
    const char *key;
    json_t *n;

    if (!json_is_object(v))
        return false;
    json_object_foreach((json_t *)v, key, n) {
        const int c = *key && strlen(key) <= 5 && strspn(key, "0123456789") == strlen(key)
            ? atoi(key) : -1;

        if (c <= last || c > VOCO_LABEL_MAX || !is_voxels(n))
            return false;
        last = c;
    }
    return true;
}

static void
take_label(struct asked *outer, struct voco_store_label *l)
{
    struct asked a = {.object = json_object_get(outer->object, "label")};
    const json_t *type, *voxels, *v;
    const char *key;
    json_t *n;

    if (!a.object)
        return;
    l->source = ask_text(&a, "source");
    if ((type = ask(&a, "type", is_label_type)))
        l->type = strcmp(json_string_value(type), "u8") == 0 ? VOCO_STORE_LABEL8
                                                             : VOCO_STORE_LABEL16;
    if ((v = ask(&a, "background", is_voxels)))
        l->background = json_integer_value(v);
    if ((v = ask(&a, "crc", is_crc)))
        l->crc = (uint32_t)strtoul(json_string_value(v), NULL, 16);
    if ((voxels = ask(&a, "voxels", is_histogram))) {
        l->count = calloc(json_object_size(voxels) + 1, sizeof *l->count);
        VOCO_NEED(l->count);
        json_object_foreach((json_t *)voxels, key, n)
            l->count[l->n_counts++] = (struct voco_class_count){
                atoi(key), json_integer_value(n)};
    }
    if (!voco_stamp_of_json(json_object_get(a.object, "files"), &l->stamp))
        a.wrong = "files";
    if ((a.wrong || !l->source || !l->count) && !outer->wrong)
        outer->wrong = "label";
}

/* The members of a stored volume. */
static void
take_stored(struct asked *a, struct voco_line *line)
{
    struct voco_store_entry *e = &line->entry;
    const json_t *shape = ask(a, "shape", is_shape);
    const json_t *affine = ask(a, "affine", is_affine);
    const json_t *v;

    for (size_t i = 0; shape && i < 3; i++)
        e->dim[i] = json_integer_value(json_array_get(shape, i));
    for (size_t r = 0; affine && r < 4; r++)
        take_reals(json_array_get(affine, r), 4, e->affine[r]);
    take_reals(ask(a, "spacing", is_3_reals), 3, e->spacing_mm);
    take_reals(ask(a, "window", is_2_reals), 2, e->window);
    if ((v = ask(a, "transforms", is_any)))
        e->transforms = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if ((v = ask(a, "shard", is_count)))
        line->shard = (int)json_integer_value(v);
    if ((v = ask(a, "slot", is_count)))
        line->slot = (int)json_integer_value(v);
    if ((v = ask(a, "crc", is_crc)))
        e->crc = (uint32_t)strtoul(json_string_value(v), NULL, 16);
    e->channels = 1;
    if (json_object_get(a->object, "channels") && (v = ask(a, "channels", is_channels)))
        e->channels = (int)json_integer_value(v);
    if (!voco_stamp_of_json(json_object_get(a->object, "files"), &e->stamp) && !a->wrong)
        a->wrong = "files";
    if (!voco_place_of_json(json_object_get(a->object, "place"), &e->place) && !a->wrong)
        a->wrong = "place";
    take_label(a, &e->label);
}

static enum voco_err
take_line(const json_t *o, struct voco_line *line)
{
    struct asked a = {.object = o};
    const json_t *status = ask(&a, "status", is_text);

    line->entry.id = ask_text(&a, "id");
    line->entry.source = ask_text(&a, "source");
    line->entry.dataset = ask_text(&a, "dataset");
    line->entry.preset = ask_text(&a, "preset");
    if (status && strcmp(json_string_value(status), "rejected") == 0)
        line->entry.reason = ask_text(&a, "reason");
    else if (status && strcmp(json_string_value(status), "stored") == 0)
        take_stored(&a, line);
    else
        a.wrong = "status";
    if (a.wrong)
        return voco_fail(VOCO_EFORMAT, "\"%s\" is missing or has a wrong value", a.wrong);
    if (!line->entry.id)
        return voco_fail(VOCO_EMEMORY, "no memory");
    return VOCO_OK;
}

static bool
is_names(const json_t *v)
{
    bool good = json_is_array(v) && json_array_size(v) <= VOCO_LABEL_MAX + 1;

    for (size_t i = 0; good && i < json_array_size(v); i++)
        good = json_is_string(json_array_get(v, i));
    return good;
}

static enum voco_err
take_classes(struct asked *a, struct voco_header *h)
{
    const json_t *names = ask(a, "classes", is_names);
    const size_t n = json_array_size(names);
    const char **name = calloc(n + 1, sizeof *name);
    enum voco_err err = VOCO_OK;

    if (!names)
        err = voco_fail(VOCO_EFORMAT, "\"classes\" is no array of names");
    for (size_t i = 0; name && i < n; i++)
        name[i] = json_string_value(json_array_get(names, i));
    if (!err)
        err = name ? voco_header_copy_classes(h, name, (int)n)
                   : voco_fail(VOCO_EMEMORY, "no memory");
    free(name);
    return err;
}

static enum voco_err
take_header(const json_t *o, struct voco_header *h)
{
    struct asked a = {.object = o};
    const json_t *format = ask(&a, "format", is_text);
    const json_t *version = ask(&a, "version", is_count);
    const json_t *type = ask(&a, "type", is_text);
    const json_t *chunk = ask(&a, "chunk", is_count);
    enum voco_store_type t = VOCO_STORE_U16;

    if (a.wrong || strcmp(json_string_value(format), format_name) != 0)
        return voco_fail(VOCO_EFORMAT, "this is not the first line of a voco store");
    if (json_integer_value(version) != FORMAT_VERSION)
        return voco_fail(VOCO_EFORMAT, "store format %lld, this voco reads %d",
                         (long long)json_integer_value(version), FORMAT_VERSION);
    while (strcmp(voco_store_type_name(t), json_string_value(type)) != 0)
        if (t++ == VOCO_STORE_I16)
            return voco_fail(VOCO_EFORMAT, "element type \"%s\", expected u16, f32 or i16",
                             json_string_value(type));
    h->type = t;
    h->chunk = (int)json_integer_value(chunk);
    if (h->chunk < VOCO_CHUNK_MIN || h->chunk > VOCO_CHUNK_MAX)
        return voco_fail(VOCO_EFORMAT, "chunk %d, expected %d to %d", h->chunk,
                         VOCO_CHUNK_MIN, VOCO_CHUNK_MAX);
    return json_object_get(o, "classes") ? take_classes(&a, h) : VOCO_OK;
}

/* The checked object in text[0..n); release *ret. */
static enum voco_err
parse(const char *text, size_t n, json_t **ret)
{
    char check[CHECK_BYTES + 1];
    json_error_t why;

    *ret = NULL;
    if (n > CHECK_BYTES)
        snprintf(check, sizeof check, ",\"check\":\"%08x\"}",
                 (unsigned)voco_crc32c(0, text, n - CHECK_BYTES));
    if (n <= CHECK_BYTES || memcmp(text + n - CHECK_BYTES, check, CHECK_BYTES) != 0)
        return voco_fail(VOCO_EFORMAT, "the checksum of the line is wrong: it was damaged "
                         "or edited");
    *ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(*ret))
        return voco_fail(VOCO_EFORMAT, "not a JSON object: %s",
                         *ret ? "another kind" : why.text);
    return VOCO_OK;
}

enum voco_err
voco_header_parse(const char *text, size_t n, struct voco_header *ret)
{
    json_t *o;
    enum voco_err err = parse(text, n, &o);

    if (!err)
        err = take_header(o, ret);
    json_decref(o);
    return err;
}

enum voco_err
voco_line_parse(const char *text, size_t n, struct voco_line **ret)
{
    struct voco_line *line = calloc(1, sizeof *line);
    json_t *o;
    enum voco_err err = parse(text, n, &o);

    if (!err)
        err = line ? take_line(o, line) : voco_fail(VOCO_EMEMORY, "no memory");
    json_decref(o);
    if (err) {
        voco_line_free(line);
        line = NULL;
    }
    *ret = line;
    return err;
}

/* ---- in memory ---- */

/* A copy in which bytes that are not UTF-8 became '?': JSON could not hold them. */
char *
voco_utf8_copy(const char *text)
{
    char *copy = voco_format("%s", text ? text : "");
    json_t *whole = json_string(copy);

    for (char *c = copy; !whole && *c; ) {
        size_t n = 1;       /* the longest character that is valid here */
        json_t *one = NULL;

        while (n <= 4 && c[n - 1] && !(one = json_stringn(c, n)))
            n++;
        if (one)
            c += n;
        else
            *c++ = '?';
        json_decref(one);
    }
    json_decref(whole);
    return copy;
}

enum voco_err
voco_line_copy(const struct voco_store_entry *entry, const char *reason,
               struct voco_line **ret)
{
    struct voco_line *line = calloc(1, sizeof *line);

    *ret = NULL;
    if (line) {
        line->entry = *entry;
        line->entry.id = voco_utf8_copy(entry->id);
        line->entry.source = voco_utf8_copy(entry->source);
        line->entry.dataset = voco_utf8_copy(entry->dataset);
        line->entry.preset = voco_utf8_copy(entry->preset);
        line->entry.reason = reason ? voco_utf8_copy(reason) : NULL;
        line->entry.transforms = voco_utf8_copy(entry->transforms);
        line->entry.channels = 1;
        line->entry.label = (struct voco_store_label){
            .source = entry->label.source ? voco_utf8_copy(entry->label.source) : NULL,
            .stamp = entry->label.stamp};
    }
    if (!line || !line->entry.id || !line->entry.source || !line->entry.dataset
        || !line->entry.preset || (reason && !line->entry.reason)
        || !line->entry.transforms
        || (entry->label.source && !line->entry.label.source)) {
        voco_line_free(line);
        return voco_fail(VOCO_EMEMORY, "%s: no memory", entry->id);
    }
    *ret = line;
    return VOCO_OK;
}

void
voco_line_free(struct voco_line *line)
{
    if (!line)
        return;
    free((char *)line->entry.id);
    free((char *)line->entry.source);
    free((char *)line->entry.dataset);
    free((char *)line->entry.preset);
    free((char *)line->entry.reason);
    free((char *)line->entry.transforms);
    free((char *)line->entry.label.source);
    free(line->entry.label.count);
    free(line);
}
