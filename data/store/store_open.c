/* Opening a store for reading: its entries, in the order of their ids, and its hash. */
#include "data/store/store_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/store/chunk.h"
#include "data/store/shard.h"

bool
voco_store_is(const char *path)
{
    return voco_folder_has(path, "manifest.jsonl");
}

static int
by_id(const void *a, const void *b)
{
    const struct voco_line *const *x = a, *const *y = b;

    return strcmp((*x)->entry.id, (*y)->entry.id);
}

static uint32_t
crc_text(uint32_t crc, const char *text)
{
    return voco_crc32c(crc, text, strlen(text) + 1);
}

static uint32_t
hash(const struct voco_store *s)
{
    uint32_t crc = crc_text(0, voco_store_type_name(s->manifest.header.type));

    for (int i = 0; i < s->n; i++) {
        const struct voco_store_entry *e = &s->stored[i]->entry;

        crc = crc_text(crc, e->id);
        crc = crc_text(crc, e->dataset);
        crc = crc_text(crc, e->transforms);
        crc = voco_crc32c(crc, e->dim, sizeof e->dim);
        crc = voco_crc32c(crc, e->affine, sizeof e->affine);
        crc = voco_crc32c(crc, e->window, sizeof e->window);
        crc = voco_crc32c(crc, &e->crc, sizeof e->crc);
        if (e->label.source)
            crc = voco_crc32c(crc, &e->label.crc, sizeof e->label.crc);
    }
    return crc;
}

/* Lines into stored[] and rejected[], each sorted by id. */
static enum voco_err
sort_lines(struct voco_store *s)
{
    const struct voco_manifest *m = &s->manifest;
    const size_t room = (size_t)m->n + 1;

    s->stored = calloc(room, sizeof *s->stored);
    s->rejected = calloc(room, sizeof *s->rejected);
    s->shard = calloc(room, sizeof *s->shard);
    if (!s->stored || !s->rejected || !s->shard)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", s->folder);
    for (int i = 0; i < m->n; i++) {
        if (m->line[i]->entry.reason)
            s->rejected[s->n_rejected++] = m->line[i];
        else if (s->inventory.shard_of[i] >= 0)
            s->stored[s->n++] = m->line[i];
    }
    qsort(s->stored, (size_t)s->n, sizeof *s->stored, by_id);
    qsort(s->rejected, (size_t)s->n_rejected, sizeof *s->rejected, by_id);
    for (int i = 0; i < s->n; i++)
        s->shard[i] = voco_inventory_shard(&s->inventory, s->stored[i]->shard);
    return VOCO_OK;
}

static enum voco_err
open_store(struct voco_store *s)
{
    enum voco_err err = voco_manifest_read(s->folder, &s->manifest);

    if (!err)
        err = voco_inventory_take(s->folder, &s->manifest, &s->inventory);
    if (err)
        return err;
    if (s->inventory.lost >= 0)
        return voco_fail(VOCO_EFORMAT, "%s: shard-%05d.h5 is missing; put it back, or "
                         "convert again to make its volumes anew", s->folder,
                         s->inventory.lost);
    if (s->inventory.cut >= 0)
        voco_warn("%s: the last convert was interrupted: the volumes of shard-%05d.h5 "
                  "are left out; convert again to have them", s->folder,
                  s->inventory.cut);
    if ((err = sort_lines(s)))
        return err;
    s->hash = hash(s);
    return VOCO_OK;
}

enum voco_err
voco_store_open(const char *path, struct voco_store **ret)
{
    struct voco_store *s = calloc(1, sizeof *s);
    enum voco_err err;

    *ret = NULL;
    if (!s)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", path);
    s->folder = voco_format("%s", path);
    if ((err = open_store(s))) {
        voco_store_close(s);
        return err;
    }
    *ret = s;
    return VOCO_OK;
}

void
voco_store_close(struct voco_store *s)
{
    if (!s)
        return;
    voco_inventory_free(&s->inventory);
    voco_manifest_free(&s->manifest);
    free(s->stored);
    free(s->rejected);
    free(s->shard);
    free(s->folder);
    free(s);
}

int
voco_store_count(const struct voco_store *s)
{
    return s->n;
}

int
voco_store_rejects(const struct voco_store *s)
{
    return s->n_rejected;
}

const struct voco_store_entry *
voco_store_entry(const struct voco_store *s, int i)
{
    VOCO_ASSERT(i >= 0 && i < s->n);
    return &s->stored[i]->entry;
}

char *
voco_store_ids(const struct voco_store *s, const int *volume, int n)
{
    char *text = voco_format("%s", "");

    for (int i = 0; i < n; i++) {
        char *more;

        if (i && volume[i] == volume[i - 1])
            continue;
        more = voco_format("%s%s%s", text, i ? ", " : "", voco_store_entry(s, volume[i])->id);
        free(text);
        text = more;
    }
    return text;
}

const struct voco_store_entry *
voco_store_reject_entry(const struct voco_store *s, int i)
{
    VOCO_ASSERT(i >= 0 && i < s->n_rejected);
    return &s->rejected[i]->entry;
}

enum voco_store_type
voco_store_element(const struct voco_store *s)
{
    return s->manifest.header.type;
}

uint32_t
voco_store_hash(const struct voco_store *s)
{
    return s->hash;
}

const char *const *
voco_store_classes(const struct voco_store *s, int *ret_n)
{
    *ret_n = s->manifest.header.n_classes;
    return (const char *const *)s->manifest.header.class_name;
}

int
voco_store_n_classes(const struct voco_store *s)
{
    int n = 0;

    for (int i = 0; i < s->n; i++) {
        const struct voco_store_label *l = &s->stored[i]->entry.label;

        if (l->n_counts && l->count[l->n_counts - 1].class_id >= n)
            n = l->count[l->n_counts - 1].class_id + 1;
    }
    return n;
}

void
voco_store_set_window(struct voco_store *s, double low, double high)
{
    VOCO_ASSERT(low < high);
    s->window_given = true;
    s->window[0] = low;
    s->window[1] = high;
}
