/* Inventory: which lines of a manifest have their volume in a whole shard. */
#include "data/store/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* The stored lines of a manifest in the order of (shard, slot). */
struct place {
    int shard, slot, line;
};

static int
by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static struct place *
places(const struct voco_manifest *m, int *ret_n)
{
    struct place *p = malloc(((size_t)m->n + 1) * sizeof *p);

    *ret_n = 0;
    for (int i = 0; p && i < m->n; i++)
        if (!m->line[i]->entry.reason)
            p[(*ret_n)++] = (struct place){m->line[i]->shard, m->line[i]->slot, i};
    if (p)
        qsort(p, (size_t)*ret_n, sizeof *p, by_place);
    return p;
}

static int
slots(const struct voco_manifest *m, const struct place *p)
{
    return voco_entry_slots(&m->line[p->line]->entry);
}

/* Is this one of the volumes of the entry's case? */
static bool
is_part(const struct voco_store_entry *e, int part, const struct voco_shard *s,
        const struct voco_shard_volume *v)
{
    const enum voco_store_type type = part == VOCO_PART_LABEL ? e->label.type : s->type;
    char *name = voco_part_name(e->id, part);
    const bool good = v->type == type && v->part == part
        && memcmp(v->dim, e->dim, sizeof v->dim) == 0
        && v->id_crc == voco_crc32c(0, name, strlen(name));

    free(name);
    return good;
}

/* Line and slots must describe the same volumes. */
static enum voco_err
compare(const struct voco_manifest *m, const struct voco_shard *s, const struct place *p)
{
    const struct voco_store_entry *e = &m->line[p->line]->entry;
    const int n = slots(m, p);
    bool good = true;

    if (p->slot > s->n_volumes - n)
        return voco_fail(VOCO_EFORMAT, "%s: volume %s is said to be number %d of the %d "
                         "volumes of %s", m->path, e->id, p->slot, s->n_volumes, s->path);
    const struct voco_shard_volume *v = &s->volume[p->slot];
    for (int i = 0; i < e->channels; i++)
        good = good && is_part(e, i, s, &v[i]);
    if (e->label.source)
        good = good && is_part(e, VOCO_PART_LABEL, s, &v[n - 1])
            && v[n - 1].crc == e->label.crc;
    if (!good || voco_channels_crc(v, e->channels) != e->crc)
        return voco_fail(VOCO_EFORMAT, "%s: its entry for volume %s does not agree "
                         "with %s", m->path, e->id, s->path);
    return VOCO_OK;
}

/* One shard and its n lines at p. */
static enum voco_err
take_shard(const struct voco_manifest *m, const char *path, const struct place *p, int n,
           bool last, struct voco_inventory *v)
{
    struct voco_shard *s = &v->shard[v->n_shards];
    enum voco_err err = voco_shard_open(path, s);
    int listed = 0;

    if (err)
        return err;
    v->n_shards++;
    if (s->number != p->shard || s->type != m->header.type || s->chunk != m->header.chunk)
        return voco_fail(VOCO_EFORMAT, "%s: is shard %d of a store of type %s in chunks "
                         "of %d: it does not belong here", path, s->number,
                         voco_store_type_name(s->type), s->chunk);
    for (int i = 0; i < n; i++) {
        if (i > 0 && p[i].slot < p[i - 1].slot + slots(m, &p[i - 1]))
            return voco_fail(VOCO_EFORMAT, "%s: two volumes are said to be number %d of "
                             "%s", m->path, p[i].slot, path);
        if ((err = compare(m, s, &p[i])))
            return err;
        listed += slots(m, &p[i]);
    }
    if (listed != s->n_volumes && !last)
        return voco_fail(VOCO_EFORMAT, "%s: lists %d of the %d volumes of %s", m->path,
                         listed, s->n_volumes, path);
    if (listed != s->n_volumes) {
        v->cut = s->number;
        v->cut_lines = n;
        voco_shard_free(&v->shard[--v->n_shards]);
        return VOCO_OK;
    }
    for (int i = 0; i < n; i++)
        v->shard_of[p[i].line] = v->n_shards - 1;
    return VOCO_OK;
}

enum voco_err
voco_inventory_take(const char *folder, const struct voco_manifest *m,
                    struct voco_inventory *ret)
{
    enum voco_err err = VOCO_OK;
    int n = 0;

    *ret = (struct voco_inventory){.lost = -1, .cut = -1};
    struct place *p = places(m, &n);
    ret->shard_of = malloc(((size_t)m->n + 1) * sizeof *ret->shard_of);
    ret->shard = calloc((size_t)n + 1, sizeof *ret->shard);
    if (!p || !ret->shard_of || !ret->shard) {
        free(p);
        return voco_fail(VOCO_EMEMORY, "%s: no memory", folder);
    }
    for (int i = 0; i < m->n; i++)
        ret->shard_of[i] = -1;
    for (int i = 0, end; !err && i < n; i = end) {
        for (end = i; end < n && p[end].shard == p[i].shard; )
            end++;
        char *name = voco_shard_name(p[i].shard);
        char *path = voco_format("%s/%s", folder, name);
        if (voco_file_exists(path)) {
            err = take_shard(m, path, p + i, end - i, end == n, ret);
        } else {
            ret->lost = ret->lost < 0 ? p[i].shard : ret->lost;
            ret->lost_lines += end - i;
        }
        free(path);
        free(name);
    }
    free(p);
    return err;
}

static int
by_number(const void *a, const void *b)
{
    const int *number = a;
    const struct voco_shard *s = b;

    return (*number > s->number) - (*number < s->number);
}

const struct voco_shard *
voco_inventory_shard(const struct voco_inventory *v, int number)
{
    return v->n_shards == 0 ? NULL
        : bsearch(&number, v->shard, (size_t)v->n_shards, sizeof *v->shard, by_number);
}

void
voco_inventory_free(struct voco_inventory *v)
{
    for (int i = 0; i < v->n_shards; i++)
        voco_shard_free(&v->shard[i]);
    free(v->shard);
    free(v->shard_of);
    memset(v, 0, sizeof *v);
}
