/* manifest.jsonl: one checked JSON object per line, by jansson. */
#include "data/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/chunk.h"

enum { CHECK_BYTES = 20 };      /* ,"check":"01234567"} */

static const size_t manifest_max = (size_t)1 << 32;
static const char format_name[] = "voco-store";
enum { FORMAT_VERSION = 1 };

/* ---- lines out ---- */

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
    }
    return checked_text(o);
}

static char *
header_text(const struct voco_manifest *m)
{
    return checked_text(json_pack("{s:s,s:i,s:s,s:i}", "format", format_name, "version",
                                  (int)FORMAT_VERSION, "type",
                                  voco_store_type_name(m->type), "chunk", m->chunk));
}

enum voco_err
voco_manifest_write(const struct voco_manifest *m)
{
    struct voco_newfile f;
    char *text = header_text(m);
    enum voco_err err = voco_newfile_open(&f, m->path);

    if (err) {
        free(text);
        return err;
    }
    for (int i = -1; i < m->n; i++) {
        if (i >= 0)
            text = voco_line_text(m->line[i]);
        if (!text)
            err = voco_fail(VOCO_EMEMORY, "%s: no memory", m->path);
        else
            fputs(text, f.out);                     /* commit reports what failed */
        free(text);
    }
    if (err)
        voco_newfile_discard(&f);
    else
        err = voco_newfile_commit(&f);
    return err;
}

/* ---- lines in ---- */

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

    return v ? strdup(json_string_value(v)) : NULL;
}

static void
take_reals(const json_t *v, int n, double *out)
{
    for (int i = 0; v && i < n; i++)
        out[i] = json_number_value(json_array_get(v, (size_t)i));
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
}

static enum voco_err
take_line(const struct voco_manifest *m, int number, const json_t *o,
          struct voco_line **ret)
{
    struct asked a = {.object = o};
    struct voco_line *line = calloc(1, sizeof *line);

    *ret = line;
    if (!line)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", m->path);
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
        return voco_fail(VOCO_EFORMAT, "%s:%d: \"%s\" is missing or has a wrong value",
                         m->path, number, a.wrong);
    return VOCO_OK;
}

static enum voco_err
take_header(struct voco_manifest *m, const json_t *o)
{
    struct asked a = {.object = o};
    const json_t *format = ask(&a, "format", is_text);
    const json_t *version = ask(&a, "version", is_count);
    const json_t *type = ask(&a, "type", is_text);
    const json_t *chunk = ask(&a, "chunk", is_count);

    if (a.wrong || strcmp(json_string_value(format), format_name) != 0)
        return voco_fail(VOCO_EFORMAT, "%s: the first line is not that of a voco store",
                         m->path);
    if (json_integer_value(version) != FORMAT_VERSION)
        return voco_fail(VOCO_EFORMAT, "%s: store format %lld, this voco reads %d",
                         m->path, (long long)json_integer_value(version), FORMAT_VERSION);
    m->type = VOCO_STORE_U16;
    while (strcmp(voco_store_type_name(m->type), json_string_value(type)) != 0)
        if (m->type++ == VOCO_STORE_I16)
            return voco_fail(VOCO_EFORMAT, "%s: element type \"%s\", expected u16, f32 "
                             "or i16", m->path, json_string_value(type));
    m->chunk = (int)json_integer_value(chunk);
    if (m->chunk < VOCO_CHUNK_MIN || m->chunk > VOCO_CHUNK_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: chunk %d, expected %d to %d", m->path,
                         m->chunk, VOCO_CHUNK_MIN, VOCO_CHUNK_MAX);
    return VOCO_OK;
}

/* text[0..n) is a line without its newline. */
static enum voco_err
take(struct voco_manifest *m, int number, const char *text, size_t n)
{
    char check[CHECK_BYTES + 1];
    struct voco_line *line = NULL;
    json_error_t why;
    enum voco_err err;

    if (n > CHECK_BYTES)
        snprintf(check, sizeof check, ",\"check\":\"%08x\"}",
                 (unsigned)voco_crc32c(0, text, n - CHECK_BYTES));
    if (n <= CHECK_BYTES || memcmp(text + n - CHECK_BYTES, check, CHECK_BYTES) != 0)
        return voco_fail(VOCO_EFORMAT, "%s:%d: the checksum of the line is wrong: it was "
                         "damaged or edited", m->path, number);
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(o)) {
        err = voco_fail(VOCO_EFORMAT, "%s:%d: not a JSON object: %s", m->path, number,
                        o ? "another kind" : why.text);
    } else if (number == 1) {
        err = take_header(m, o);
    } else {
        err = take_line(m, number, o, &line);
        if (err)
            voco_line_free(line);
        else if ((err = voco_manifest_add(m, line)))
            err = voco_fail_in(err, "%s:%d", m->path, number);
    }
    json_decref(o);
    return err;
}

enum voco_err
voco_manifest_new(const char *folder, enum voco_store_type type, int chunk,
                  struct voco_manifest *ret)
{
    *ret = (struct voco_manifest){.path = voco_format("%s/manifest.jsonl", folder),
                                  .type = type, .chunk = chunk, .index = json_object()};
    return ret->index ? VOCO_OK : voco_fail(VOCO_EMEMORY, "%s: no memory", ret->path);
}

enum voco_err
voco_manifest_read(const char *folder, struct voco_manifest *ret)
{
    enum voco_err err = voco_manifest_new(folder, VOCO_STORE_U16, 0, ret);
    char *text = NULL;
    size_t n = 0, at = 0;

    if (err)
        return err;
    if (!voco_file_exists(ret->path))
        return voco_fail(VOCO_EFORMAT, "%s: not a voco store (it has no manifest.jsonl)",
                         folder);
    err = voco_file_read(ret->path, manifest_max, &text, &n);
    for (int number = 1; !err && at < n; number++) {
        const char *end = memchr(text + at, '\n', n - at);

        if (!end)
            break;
        err = take(ret, number, text + at, (size_t)(end - text) - at);
        at = (size_t)(end - text) + 1;
    }
    if (!err && at == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: has no whole first line", ret->path);
    ret->whole_bytes = (int64_t)at;
    ret->torn = at < n;
    free(text);
    return err;
}

/* ---- lines in memory ---- */

/* A copy in which bytes that are not UTF-8 became '?': JSON could not hold them. */
static char *
utf8_copy(const char *text)
{
    char *copy = strdup(text ? text : "");
    json_t *whole = json_string(copy);

    for (char *c = copy; copy && !whole && *c; ) {
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
        line->entry.id = utf8_copy(entry->id);
        line->entry.source = utf8_copy(entry->source);
        line->entry.dataset = utf8_copy(entry->dataset);
        line->entry.preset = utf8_copy(entry->preset);
        line->entry.reason = reason ? utf8_copy(reason) : NULL;
        line->entry.transforms = utf8_copy(entry->transforms);
    }
    if (!line || !line->entry.id || !line->entry.source || !line->entry.dataset
        || !line->entry.preset || (reason && !line->entry.reason)
        || !line->entry.transforms) {
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
    free(line);
}

static void
index_line(struct voco_manifest *m, int i)
{
    json_object_set_new_nocheck(m->index, m->line[i]->entry.id, json_integer(i));
}

static int
find(const struct voco_manifest *m, const char *id)
{
    const json_t *i = json_object_get(m->index, id);

    return i ? (int)json_integer_value(i) : -1;
}

const struct voco_line *
voco_manifest_find(const struct voco_manifest *m, const char *id)
{
    char *clean = utf8_copy(id);
    const int i = clean ? find(m, clean) : -1;

    free(clean);
    return i < 0 ? NULL : m->line[i];
}

/* p with room for one more than n, at least; NULL without memory. */
static void *
grow(struct voco_line **p, int n, int *room)
{
    if (n < *room)
        return p;
    const int more = *room ? 2 * *room : 64;
    struct voco_line **q = realloc(p, (size_t)more * sizeof *p);
    if (q)
        *room = more;
    return q;
}

enum voco_err
voco_manifest_add(struct voco_manifest *m, struct voco_line *line)
{
    const int old = find(m, line->entry.id);

    if (old >= 0 && !m->line[old]->entry.reason) {
        const enum voco_err err =
            voco_fail(VOCO_EFORMAT, "volume %s is in the store already", line->entry.id);

        voco_line_free(line);
        return err;
    }
    if (old >= 0) {     /* the pointer may have been given out: keep what it points to */
        struct voco_line **q = realloc(m->replaced,
                                       (size_t)(m->n_replaced + 1) * sizeof *q);

        if (q) {
            m->replaced = q;
            m->replaced[m->n_replaced++] = m->line[old];
            m->line[old] = line;
            return VOCO_OK;
        }
    } else {
        struct voco_line **q = grow(m->line, m->n, &m->room);

        if (q) {
            m->line = q;
            m->line[m->n] = line;
            index_line(m, m->n++);
            return VOCO_OK;
        }
    }
    voco_line_free(line);
    return voco_fail(VOCO_EMEMORY, "%s: no memory", m->path);
}

void
voco_manifest_filter(struct voco_manifest *m, const bool *keep)
{
    int n = 0;

    json_object_clear(m->index);
    for (int i = 0; i < m->n; i++) {
        if (keep[i]) {
            m->line[n] = m->line[i];
            index_line(m, n++);
        } else {
            voco_line_free(m->line[i]);
        }
    }
    m->n = n;
}

void
voco_manifest_free(struct voco_manifest *m)
{
    for (int i = 0; i < m->n; i++)
        voco_line_free(m->line[i]);
    for (int i = 0; i < m->n_replaced; i++)
        voco_line_free(m->replaced[i]);
    free(m->line);
    free(m->replaced);
    free(m->path);
    json_decref(m->index);
    memset(m, 0, sizeof *m);
}
