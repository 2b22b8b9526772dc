/* Writing a store: volumes are encoded by the threads that bring them and put into the
 * open shard one at a time.  voco-store(5) says what a kill may leave behind. */
#include "data/store_write.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "data/chunk.h"

enum { ATTRIBUTE_MAX = 60000 };

/* A volume ready for the file. */
struct encoded {
    struct voco_chunk_grid grid;
    int64_t n;
    uint8_t *bytes;                     /* all chunks, one behind the other */
    size_t used, room;
    size_t *chunk_bytes;
    const void **chunk;
    struct voco_chunk_entry *table;
};

/* ---- encoding, in the calling thread ---- */

static void
encoded_free(struct encoded *e)
{
    free(e->bytes);
    free(e->chunk_bytes);
    free(e->chunk);
    free(e->table);
}

static enum voco_err
encode_chunks(struct encoded *e, struct voco_deflater *d, size_t element_bytes,
              const uint8_t *elements)
{
    const size_t raw = (size_t)voco_chunk_voxels(&e->grid) * element_bytes;
    const size_t bound = voco_deflate_bound(raw);
    uint8_t *planes = malloc(raw);
    enum voco_err err = planes ? VOCO_OK : VOCO_EMEMORY;

    for (int64_t i = 0; !err && i < e->n; i++) {
        if (e->room - e->used < bound) {
            const size_t room = e->room + e->room / 2 + 4 * bound;
            uint8_t *more = realloc(e->bytes, room);

            if (!more) {
                err = VOCO_EMEMORY;
                break;
            }
            e->bytes = more;
            e->room = room;
        }
        e->chunk_bytes[i] = voco_chunk_encode(d, &e->grid, element_bytes, elements, i,
                                              planes, e->bytes + e->used);
        if (e->chunk_bytes[i] == 0)
            err = VOCO_EMEMORY;
        e->used += e->chunk_bytes[i];
    }
    free(planes);
    if (err)
        return voco_fail(err, "no memory to compress %lld x %lld x %lld voxels",
                         (long long)e->grid.dim[0], (long long)e->grid.dim[1],
                         (long long)e->grid.dim[2]);
    size_t at = 0;
    for (int64_t i = 0; i < e->n; i++) {        /* bytes does not move any more */
        e->chunk[i] = e->bytes + at;
        e->table[i].bytes = (uint32_t)e->chunk_bytes[i];
        e->table[i].crc = voco_crc32c(0, e->bytes + at, e->chunk_bytes[i]);
        at += e->chunk_bytes[i];
    }
    return VOCO_OK;
}

static enum voco_err
encode(const struct voco_store_options *o, const struct voco_volume *v, struct encoded *e,
       uint32_t *ret_crc, int64_t *ret_clipped)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    const size_t element_bytes = voco_store_element_bytes(o->type);
    uint8_t *elements = malloc((size_t)n * element_bytes);
    struct voco_deflater *d = NULL;
    enum voco_err err = voco_deflater_new(o->level, &d);

    *e = (struct encoded){.grid = voco_chunk_grid(v->dim, o->chunk)};
    e->n = voco_chunk_count(&e->grid);
    e->chunk_bytes = calloc((size_t)e->n, sizeof *e->chunk_bytes);
    e->chunk = calloc((size_t)e->n, sizeof *e->chunk);
    e->table = calloc((size_t)e->n, sizeof *e->table);
    if (!err && (!elements || !e->chunk_bytes || !e->chunk || !e->table))
        err = voco_fail(VOCO_EMEMORY, "no memory to encode %lld voxels", (long long)n);
    if (!err) {
        const int64_t clipped = voco_store_elements(o->type, v->voxel, n, elements);

        if (ret_clipped)
            *ret_clipped = clipped;
        *ret_crc = voco_crc32c(0, elements, (size_t)n * element_bytes);
        err = encode_chunks(e, d, element_bytes, elements);
    }
    voco_deflater_free(d);
    free(elements);
    if (err)
        encoded_free(e);
    return err;
}

/* ---- the open shard; the mutex is held ---- */

static void
shard_forget(struct voco_store_writer *w)
{
    for (int i = 0; i < w->shard.n_volumes; i++)
        free(w->table[i]);
    voco_shard_free(&w->shard);
    free(w->table);
    free(w->line);
    free(w->part);
    w->table = NULL;
    w->line = NULL;
    w->part = NULL;
    w->room = 0;
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

/* The writer stops for good: err and its sentence are what every later call returns. */
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
    if (fsync(w->manifest_fd) != 0)
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
        err = append_lines(w, w->line, w->shard.n_volumes);
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

/* What a person with h5dump wants to know; voco itself reads the manifest.  The library
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
write_dataset(struct voco_store_writer *w, const struct voco_store_entry *entry,
              const struct encoded *e)
{
    static const enum voco_h5_type type[] = {
        [VOCO_STORE_U16] = VOCO_H5_U16,
        [VOCO_STORE_F32] = VOCO_H5_F32,
        [VOCO_STORE_I16] = VOCO_H5_I16
    };
    struct voco_h5_chunked x = {.type = type[w->o.type], .level = w->o.level,
                                .n_chunks = e->n, .chunk = e->chunk,
                                .chunk_bytes = e->chunk_bytes};
    uint64_t *address = malloc((size_t)e->n * sizeof *address);
    char *name = link_name(entry->id);
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
    free(name);
    return err;
}

static enum voco_err
make_room(struct voco_store_writer *w)
{
    if (w->shard.n_volumes < w->room)
        return VOCO_OK;
    const int room = w->room ? 2 * w->room : 16;
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

/* Into the open shard; takes line, and e's table. */
static enum voco_err
put(struct voco_store_writer *w, struct voco_line *line, struct encoded *e)
{
    enum voco_err err = VOCO_OK;

    if (!w->h5)
        err = shard_begin(w);
    if (!err)
        err = make_room(w);
    if (!err)
        err = write_dataset(w, &line->entry, e);
    if (err) {
        voco_line_free(line);
        return err;
    }
    line->shard = w->shard.number;
    line->slot = w->shard.n_volumes;
    if ((err = voco_manifest_add(&w->manifest, line)))
        return err;
    const char *id = line->entry.id;
    struct voco_shard_volume *v = &w->shard.volume[w->shard.n_volumes];
    *v = (struct voco_shard_volume){.n_chunks = (uint64_t)e->n, .crc = line->entry.crc,
                                    .id_crc = voco_crc32c(0, id, strlen(id))};
    memcpy(v->dim, e->grid.dim, sizeof v->dim);
    w->line[w->shard.n_volumes] = line;
    w->table[w->shard.n_volumes++] = e->table;
    e->table = NULL;
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
check_entry(const struct voco_store_writer *w, const struct voco_store_entry *entry,
            const struct voco_volume *v)
{
    bool finite = isfinite(entry->window[0]) && isfinite(entry->window[1]);

    if (!entry->id || !*entry->id)
        return voco_fail(VOCO_EUSAGE, "a volume needs an id to be stored");
    for (int i = 0; v && i < 16; i++)
        finite = finite && isfinite(v->affine[i / 4][i % 4]);
    if (!finite)
        return voco_fail(VOCO_EFORMAT, "%s: affine or window is not finite", entry->id);
    if (v && w->o.type == VOCO_STORE_I16 && entry->window[0] >= entry->window[1])
        return voco_fail(VOCO_EFORMAT, "%s: window %g,%g: expected low < high", entry->id,
                         entry->window[0], entry->window[1]);
    if (v && (!v->voxel || v->dim[0] < 1 || v->dim[1] < 1 || v->dim[2] < 1
              || v->dim[0] > INT32_MAX || v->dim[1] > INT32_MAX || v->dim[2] > INT32_MAX))
        return voco_fail(VOCO_EFORMAT, "%s: %lld x %lld x %lld voxels cannot be stored",
                         entry->id, (long long)v->dim[0], (long long)v->dim[1],
                         (long long)v->dim[2]);
    return VOCO_OK;
}

enum voco_err
voco_store_add(struct voco_store_writer *w, const struct voco_store_entry *entry,
               const struct voco_volume *v, int64_t *ret_clipped)
{
    struct voco_line *line = NULL;
    struct encoded e = {.n = 0};
    uint32_t crc = 0;
    enum voco_err err = check_entry(w, entry, v);

    if (err || (err = lock_for(w, entry->id)))      /* before the work, and after it */
        return err;
    pthread_mutex_unlock(&w->mutex);
    if ((err = encode(&w->o, v, &e, &crc, ret_clipped)))
        return voco_fail_in(err, "%s", entry->id);
    if (!(err = voco_line_copy(entry, NULL, &line))) {
        memcpy(line->entry.dim, v->dim, sizeof v->dim);
        memcpy(line->entry.affine, v->affine, sizeof v->affine);
        voco_volume_spacing(v, line->entry.spacing_mm);
        line->entry.crc = crc;
        err = lock_for(w, entry->id);
        if (err) {
            voco_line_free(line);
        } else {
            if ((err = put(w, line, &e)))
                err = stop(w, err);
            pthread_mutex_unlock(&w->mutex);
        }
    }
    encoded_free(&e);
    return err;
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
