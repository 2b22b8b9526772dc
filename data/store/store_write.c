/* Writing a store: volumes are encoded by the threads that bring them and put into the
 * open shard one at a time.  voco-store(5) lists the leftovers of a kill. */
#include "data/store/store_write.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "base/temporary.h"
#include "data/store/chunk.h"
#include "data/store/encode.h"

enum { ATTRIBUTE_MAX = 60000 };

/* ---- the open shard; the mutex is held ---- */

static void
shard_forget(struct voco_store_writer *w)
{
    for (int i = 0; i < w->shard.n_volumes; i++)
        free(w->table[i]);
    voco_shard_free(&w->shard);
    if (w->part)
        voco_temporary_drop(w->part);
    free(w->table);
    free(w->line);
    free(w->part);
    w->table = NULL;
    w->line = NULL;
    w->part = NULL;
    w->room = w->n_lines = 0;
}

static void
shard_discard(struct voco_store_writer *w)
{
    if (w->h5)
        voco_h5_close(w->h5);
    w->h5 = NULL;
    if (w->part)
        unlink(w->part);
    shard_forget(w);
}

/* The writer stops for good: every later call returns err and its sentence. */
static enum voco_err
stop(struct voco_store_writer *w, enum voco_err err)
{
    w->err = err;
    free(w->why);
    w->why = voco_format("%s", voco_fail_text());
    shard_discard(w);
    return voco_fail(err, "%s", w->why);
}

static enum voco_err
shard_begin(struct voco_store_writer *w)
{
    char *name = voco_shard_name(w->next_shard);

    w->part = voco_format("%s/%s.part", w->folder, name);
    free(name);
    voco_temporary_add(w->part);
    w->shard = (struct voco_shard){.path = voco_format("%s", w->part),
                                   .number = w->next_shard, .type = w->o.type,
                                   .chunk = w->o.chunk};
    return voco_h5_create(w->part, &w->h5);
}

static enum voco_err
write_all(const struct voco_store_writer *w, const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t put = write(w->manifest_fd, text, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return voco_fail_errno(VOCO_EIO, "%s: cannot write", w->manifest.path);
        text += put;
        n -= (size_t)put;
    }
    if (voco_sync(w->manifest_fd) != 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot fsync", w->manifest.path);
    return VOCO_OK;
}

/* Appends lines to the manifest, all of them or none. */
static enum voco_err
append_lines(struct voco_store_writer *w, struct voco_line *const *line, int n)
{
    const off_t before = lseek(w->manifest_fd, 0, SEEK_END);
    size_t used = 0;
    char *all = NULL;
    enum voco_err err = VOCO_OK;

    for (int i = 0; !err && i < n; i++) {
        char *text = voco_line_text(line[i]);
        const size_t size = text ? strlen(text) : 0;
        char *more = text ? realloc(all, used + size) : NULL;

        if (more) {
            all = more;
            memcpy(all + used, text, size);
            used += size;
        } else {
            err = voco_fail(VOCO_EMEMORY, "%s: no memory", w->manifest.path);
        }
        free(text);
    }
    if (!err)
        err = write_all(w, all, used);
    if (err && ftruncate(w->manifest_fd, before) != 0)
        voco_warn("%s: cannot take an unfinished line back", w->manifest.path);
    free(all);
    return err;
}

/* Index, fsync, final name, then the lines that make it count. */
static enum voco_err
shard_publish(struct voco_store_writer *w)
{
    struct voco_h5 *h5 = w->h5;
    char *name = voco_shard_name(w->shard.number);
    char *final = voco_format("%s/%s", w->folder, name);
    bool named = false;

    w->h5 = NULL;
    enum voco_err err = voco_h5_close(h5);
    if (!err)
        err = voco_shard_append(&w->shard, w->table);
    if (!err) {
        err = voco_file_publish(w->part, final);
        named = voco_file_exists(final);        /* the folder's fsync may have failed */
    }
    if (!err)
        err = append_lines(w, w->line, w->n_lines);
    if (err && named)
        unlink(final);
    if (!err) {
        shard_forget(w);
        w->next_shard++;
    }
    free(final);
    free(name);
    return err;
}

/* An id as the name of an HDF5 dataset: '/' would be a group, "." the group itself. */
static char *
link_name(const char *id)
{
    char *name = malloc(3 * strlen(id) + 1), *to = name;

    for (; name && *id; id++) {
        if (*id == '/' || *id == '%' || (*id == '.' && to == name)) {
            static const char hex[] = "0123456789ABCDEF";

            *to++ = '%';
            *to++ = hex[(unsigned char)*id >> 4];
            *to++ = hex[*id & 15];
        } else {
            *to++ = *id;
        }
    }
    if (name)
        *to = '\0';
    return name;
}

/* Attributes for people with h5dump; voco itself reads the manifest.  The library
 * holds attributes of up to 64 KiB; longer text is left to the manifest. */
static enum voco_err
write_attributes(struct voco_h5 *h, const char *name, const struct voco_store_entry *e)
{
    const int64_t three = 3, two = 2, four[2] = {4, 4};
    const struct {
        const char *name, *text;
    } text[] = {
        {"id", e->id}, {"source", e->source}, {"dataset", e->dataset},
        {"preset", e->preset}, {"transforms", e->transforms}
    };
    enum voco_err err = VOCO_OK;

    for (size_t i = 0; !err && i < sizeof text / sizeof *text; i++)
        if (strlen(text[i].text) < ATTRIBUTE_MAX)
            err = voco_h5_attr_text(h, name, text[i].name, text[i].text);
    if (!err)
        err = voco_h5_attr_f64(h, name, "spacing", 1, &three, e->spacing_mm);
    if (!err)
        err = voco_h5_attr_f64(h, name, "window", 1, &two, e->window);
    if (!err)
        err = voco_h5_attr_f64(h, name, "affine", 2, four, &e->affine[0][0]);
    return err;
}

static enum voco_err
write_dataset(struct voco_store_writer *w, const struct voco_store_entry *entry, int part,
              const struct voco_encoded *e)
{
    static const enum voco_h5_type type[] = {
        [VOCO_STORE_U16] = VOCO_H5_U16,
        [VOCO_STORE_F32] = VOCO_H5_F32,
        [VOCO_STORE_I16] = VOCO_H5_I16,
        [VOCO_STORE_LABEL8] = VOCO_H5_U8,
        [VOCO_STORE_LABEL16] = VOCO_H5_U16
    };
    struct voco_h5_chunked x = {.type = type[e->type], .level = w->o.level,
                                .n_chunks = e->n, .chunk = e->chunk,
                                .chunk_bytes = e->chunk_bytes};
    uint64_t *address = malloc((size_t)e->n * sizeof *address);
    char *link = link_name(entry->id), *name = link ? voco_part_name(link, part) : NULL;
    enum voco_err err = VOCO_OK;

    memcpy(x.dim, e->grid.dim, sizeof x.dim);
    memcpy(x.edge, e->grid.edge, sizeof x.edge);
    if (!address || !name)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory", entry->id);
    if (!err)
        err = voco_h5_write_chunked(w->h5, name, &x, address);
    if (!err)
        err = write_attributes(w->h5, name, entry);
    for (int64_t i = 0; !err && i < e->n; i++)
        e->table[i].address = address[i];
    free(address);
    free(link);
    free(name);
    return err;
}

static enum voco_err
make_room(struct voco_store_writer *w, int n)
{
    if (w->shard.n_volumes + n <= w->room)
        return VOCO_OK;
    const int room = 2 * w->room + 16 + n;
    void *volume = realloc(w->shard.volume, (size_t)room * sizeof *w->shard.volume);
    void *table = volume ? realloc(w->table, (size_t)room * sizeof *w->table) : NULL;
    void *line = table ? realloc(w->line, (size_t)room * sizeof *w->line) : NULL;

    if (volume)
        w->shard.volume = volume;
    if (table)
        w->table = table;
    if (!line)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", w->folder);
    w->line = line;
    w->room = room;
    return VOCO_OK;
}

/* The next slot of the open shard; takes e's table. */
static void
put_slot(struct voco_store_writer *w, const char *id, int part, struct voco_encoded *e)
{
    struct voco_shard_volume *v = &w->shard.volume[w->shard.n_volumes];
    char *name = voco_part_name(id, part);

    *v = (struct voco_shard_volume){.type = e->type, .part = part,
                                    .n_chunks = (uint64_t)e->n,
                                    .crc = e->crc,
                                    .id_crc = voco_crc32c(0, name, strlen(name))};
    memcpy(v->dim, e->grid.dim, sizeof v->dim);
    w->table[w->shard.n_volumes++] = e->table;
    w->shard.has_parts |= part != 0;
    e->table = NULL;
    free(name);
}

/* Into the open shard; takes line, and the tables of its n volumes. */
static enum voco_err
put(struct voco_store_writer *w, struct voco_line *line, struct voco_encoded *e, int n)
{
    const int channels = line->entry.channels;
    enum voco_err err = VOCO_OK;

    if (!w->h5)
        err = shard_begin(w);
    if (!err)
        err = make_room(w, n);
    for (int i = 0; !err && i < n; i++)
        err = write_dataset(w, &line->entry, i < channels ? i : VOCO_PART_LABEL, &e[i]);
    if (err) {
        voco_line_free(line);
        return err;
    }
    line->shard = w->shard.number;
    line->slot = w->shard.n_volumes;
    if ((err = voco_manifest_add(&w->manifest, line)))
        return err;
    w->line[w->n_lines++] = line;
    for (int i = 0; i < n; i++)
        put_slot(w, line->entry.id, i < channels ? i : VOCO_PART_LABEL, &e[i]);
    if ((int64_t)voco_h5_bytes(w->h5) >= w->o.shard_bytes)
        err = shard_publish(w);
    return err;
}

/* ---- the contract ---- */

static bool
stored(const struct voco_store_writer *w, const char *id)
{
    const struct voco_line *line = voco_manifest_find(&w->manifest, id);

    return line && !line->entry.reason;
}

/* Locks w unless it has failed or id is stored already. */
static enum voco_err
lock_for(struct voco_store_writer *w, const char *id)
{
    enum voco_err err = VOCO_OK;

    pthread_mutex_lock(&w->mutex);
    if (w->err)
        err = voco_fail(w->err, "%s", w->why);
    else if (stored(w, id))
        err = voco_fail(VOCO_EUSAGE, "%s: volume %s is in the store already", w->folder,
                        id);
    if (err)
        pthread_mutex_unlock(&w->mutex);
    return err;
}

static enum voco_err
check_volume(const char *id, const struct voco_volume *v, const struct voco_volume *first)
{
    bool finite = true, same = true;

    for (int i = 0; i < 16; i++)
        finite = finite && isfinite(v->affine[i / 4][i % 4]);
    if (!finite)
        return voco_fail(VOCO_EFORMAT, "%s: the affine is not finite", id);
    if (!v->voxel || v->dim[0] < 1 || v->dim[1] < 1 || v->dim[2] < 1
        || v->dim[0] > INT32_MAX || v->dim[1] > INT32_MAX || v->dim[2] > INT32_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: %lld x %lld x %lld voxels cannot be stored",
                         id, (long long)v->dim[0], (long long)v->dim[1],
                         (long long)v->dim[2]);
    same = memcmp(v->dim, first->dim, sizeof v->dim) == 0;
    return same ? VOCO_OK : voco_fail(VOCO_EFORMAT, "%s: its volumes differ in size", id);
}

/* c is NULL for a reject. */
static enum voco_err
check_entry(const struct voco_store_writer *w, const struct voco_store_entry *entry,
            const struct voco_case *c)
{
    enum voco_err err = VOCO_OK;

    if (!entry->id || !*entry->id)
        return voco_fail(VOCO_EUSAGE, "a volume needs an id to be stored");
    if (!isfinite(entry->window[0]) || !isfinite(entry->window[1]))
        return voco_fail(VOCO_EFORMAT, "%s: the window is not finite", entry->id);
    if (!c)
        return VOCO_OK;
    if (w->o.type == VOCO_STORE_I16 && entry->window[0] >= entry->window[1])
        return voco_fail(VOCO_EFORMAT, "%s: window %g,%g: expected low < high", entry->id,
                         entry->window[0], entry->window[1]);
    if (c->n_channels < 1 || c->n_channels > VOCO_CHANNELS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: %d channels, expected 1 to %d", entry->id,
                         c->n_channels, VOCO_CHANNELS_MAX);
    for (int i = 0; !err && i < c->n_channels; i++)
        err = check_volume(entry->id, &c->channel[i], &c->channel[0]);
    if (!err && c->label.voxel)
        err = check_volume(entry->id, &c->label, &c->channel[0]);
    if (!err && (c->label.voxel != NULL) != (entry->label.source != NULL))
        err = voco_fail(VOCO_EUSAGE, "%s: a label map comes with its source", entry->id);
    return err;
}

/* The members of the line about the volumes. */
static void
describe(struct voco_line *line, const struct voco_case *c, struct voco_encoded_case *e)
{
    const struct voco_volume *v = &c->channel[0];

    memcpy(line->entry.dim, v->dim, sizeof v->dim);
    memcpy(line->entry.affine, v->affine, sizeof v->affine);
    voco_volume_spacing(v, line->entry.spacing_mm);
    line->entry.channels = c->n_channels;
    line->entry.crc = e->crc;
    if (c->label.voxel) {
        struct voco_store_label *l = &line->entry.label;

        l->type = e->part[c->n_channels].type;
        l->crc = e->part[c->n_channels].crc;
        l->background = e->background;
        l->count = e->count;
        l->n_counts = e->n_counts;
        e->count = NULL;
    }
}

enum voco_err
voco_store_add_case(struct voco_store_writer *w, const struct voco_store_entry *entry,
                    const struct voco_case *c, int64_t *ret_clipped)
{
    struct voco_line *line = NULL;
    struct voco_encoded_case e = {.n = 0};
    enum voco_err err = check_entry(w, entry, c);

    if (err || (err = lock_for(w, entry->id)))      /* before the work, and after it */
        return err;
    pthread_mutex_unlock(&w->mutex);
    if ((err = voco_encode(&w->o, c, entry->window, &e, ret_clipped)))
        err = voco_fail_in(err, "%s", entry->id);
    else if (!(err = voco_line_copy(entry, NULL, &line))) {
        describe(line, c, &e);
        err = lock_for(w, entry->id);
        if (err) {
            voco_line_free(line);
        } else {
            if ((err = put(w, line, e.part, e.n)))
                err = stop(w, err);
            pthread_mutex_unlock(&w->mutex);
        }
    }
    voco_encoded_free(&e);
    return err;
}

enum voco_err
voco_store_add(struct voco_store_writer *w, const struct voco_store_entry *entry,
               const struct voco_volume *v, int64_t *ret_clipped)
{
    struct voco_volume channel = *v;
    const struct voco_case c = {.channel = &channel, .n_channels = 1};

    return voco_store_add_case(w, entry, &c, ret_clipped);
}

enum voco_err
voco_store_reject(struct voco_store_writer *w, const struct voco_store_entry *entry,
                  const char *reason)
{
    struct voco_line *line;
    enum voco_err err = check_entry(w, entry, NULL);

    if (err || (err = voco_line_copy(entry, reason, &line)))
        return err;
    if ((err = lock_for(w, entry->id))) {
        voco_line_free(line);
        return err;
    }
    if (!(err = append_lines(w, &line, 1)))
        err = voco_manifest_add(&w->manifest, line);
    else
        voco_line_free(line);
    if (err)
        err = stop(w, err);
    pthread_mutex_unlock(&w->mutex);
    return err;
}

const struct voco_store_entry *
voco_store_written(const struct voco_store_writer *w, const char *id)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&w->mutex;

    pthread_mutex_lock(mutex);
    const struct voco_line *line = voco_manifest_find(&w->manifest, id);
    pthread_mutex_unlock(mutex);
    return line ? &line->entry : NULL;
}

void
voco_store_abandon(struct voco_store_writer *w)
{
    if (!w)
        return;
    shard_discard(w);
    voco_manifest_free(&w->manifest);
    if (w->manifest_fd >= 0)
        close(w->manifest_fd);
    if (w->folder_fd >= 0)
        close(w->folder_fd);            /* unlocks */
    pthread_mutex_destroy(&w->mutex);
    free(w->why);
    free(w->folder);
    free(w);
}

enum voco_err
voco_store_finish(struct voco_store_writer *w)
{
    enum voco_err err = VOCO_OK;

    if (w->err)
        err = voco_fail(w->err, "%s", w->why);
    else if (w->h5 && (err = shard_publish(w)))
        err = stop(w, err);
    voco_store_abandon(w);
    return err;
}
