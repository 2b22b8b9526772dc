/* manifest.jsonl: the lines of a store by id, read and written whole. */
#include "data/store/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static const size_t manifest_max = (size_t)1 << 32;

/* ---- the file ---- */

enum voco_err
voco_manifest_write(const struct voco_manifest *m)
{
    struct voco_newfile f;
    char *text = voco_header_text(&m->header);
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
            fputs(text, f.out);                     /* commit reports errors */
        free(text);
    }
    if (err)
        voco_newfile_discard(&f);
    else
        err = voco_newfile_commit(&f);
    return err;
}

/* text[0..n) is line number number, counted from 1, without its newline. */
static enum voco_err
take(struct voco_manifest *m, int number, const char *text, size_t n)
{
    struct voco_line *line;
    enum voco_err err;

    if (number == 1)
        err = voco_header_parse(text, n, &m->header);
    else if (!(err = voco_line_parse(text, n, &line)))
        err = voco_manifest_add(m, line);
    return err ? voco_fail_in(err, "%s:%d", m->path, number) : VOCO_OK;
}

enum voco_err
voco_manifest_new(const char *folder, const struct voco_store_options *o,
                  struct voco_manifest *ret)
{
    *ret = (struct voco_manifest){.path = voco_format("%s/manifest.jsonl", folder),
                                  .header = {.type = o->type, .chunk = o->chunk},
                                  .index = json_object()};
    if (!ret->index)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", ret->path);
    return voco_header_copy_classes(&ret->header, o->class_name, o->n_classes);
}

enum voco_err
voco_manifest_read(const char *folder, struct voco_manifest *ret)
{
    const struct voco_store_options none = {.chunk = 0};
    enum voco_err err = voco_manifest_new(folder, &none, ret);
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
    ret->torn = at < n;
    free(text);
    return err;
}

/* ---- the lines ---- */

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
    char *clean = voco_utf8_copy(id);
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
        struct voco_line **q = grow(m->replaced, m->n_replaced, &m->replaced_room);

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
    voco_header_free(&m->header);
    json_decref(m->index);
    memset(m, 0, sizeof *m);
}
