/* Verifying a store: every byte of every shard is under a checksum, and every volume's
 * decoded elements are under one more. */
#include "data/store/store_read.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/open.h"
#include "data/store/chunk.h"
#include "data/store/shard.h"

/* The work of all threads. */
struct verification {
    const struct voco_store *s;
    const struct voco_store_check *check;
    pthread_mutex_t mutex;              /* everything below, and the two callbacks */
    int next;                           /* the next shard to take */
    int done, total;                    /* volumes */
    enum voco_err err;                  /* the first fault of the first shard with one */
    int err_shard;
    char *why;
};

/* One thread's. */
struct verifying {
    struct verification *all;
    int shard;                          /* its place in the inventory */
    struct voco_inflater *inflate;
};

/* A fault is passed on; the work goes on. */
static void
note_fault(struct verifying *v, enum voco_err err)
{
    struct verification *all = v->all;

    pthread_mutex_lock(&all->mutex);
    if (all->check->report)
        all->check->report(voco_fail_text(), all->check->user);
    if (!all->err || v->shard < all->err_shard) {
        free(all->why);
        all->err = err;
        all->err_shard = v->shard;
        all->why = voco_format("%s", voco_fail_text());
    }
    pthread_mutex_unlock(&all->mutex);
}

static void
note_volume(struct verifying *v)
{
    struct verification *all = v->all;

    pthread_mutex_lock(&all->mutex);
    all->done++;
    if (all->check->progress)
        all->check->progress(all->done, all->total, all->check->user);
    pthread_mutex_unlock(&all->mutex);
}

/* A fault in the volume in a slot of a shard. */
static void
note_volume_fault(struct verifying *v, const struct voco_shard *s, int slot,
                  enum voco_err err)
{
    const struct voco_store *store = v->all->s;

    for (int i = 0; i < store->n; i++)
        if (store->stored[i]->shard == s->number && slot >= store->stored[i]->slot
            && slot < store->stored[i]->slot + voco_entry_slots(&store->stored[i]->entry))
            voco_fail_in(err, "volume %s", store->stored[i]->entry.id);
    note_fault(v, err);
}

/* Memory for one volume. */
struct room {
    uint8_t *bytes, *planes, *elements;
};

static enum voco_err
verify_chunk(struct verifying *v, const struct voco_shard *s, int fd,
             const struct voco_chunk_entry *c, size_t raw, const struct room *room)
{
    enum voco_err err = voco_pread(s->path, fd, room->bytes, c->bytes, c->address);

    if (err)
        return err;
    if (voco_crc32c(0, room->bytes, c->bytes) != c->crc)
        return voco_fail(VOCO_EFORMAT, "%s: the checksum of the chunk at byte %llu is "
                         "wrong", s->path, (unsigned long long)c->address);
    if (voco_inflate(v->inflate, room->bytes, c->bytes, room->planes, raw))
        return voco_fail(VOCO_EFORMAT, "%s: the chunk at byte %llu does not inflate to "
                         "%zu bytes", s->path, (unsigned long long)c->address, raw);
    return VOCO_OK;
}

/* All chunks of a volume, and the checksum over its elements.  Faults are noted. */
static void
verify_chunks(struct verifying *v, const struct voco_shard *s, int fd, int slot,
              const struct voco_chunk_entry *table, const struct room *room)
{
    const struct voco_shard_volume *vol = &s->volume[slot];
    const struct voco_chunk_grid g = voco_chunk_grid(vol->dim, s->chunk);
    const struct voco_chunk_box all = {{0, 0, 0}, {g.dim[0], g.dim[1], g.dim[2]}};
    const size_t element_bytes = voco_store_element_bytes(vol->type);
    const size_t raw = (size_t)voco_chunk_voxels(&g) * element_bytes;
    bool whole = true;

    for (int64_t i = 0; i < (int64_t)vol->n_chunks; i++) {
        const enum voco_err err = verify_chunk(v, s, fd, &table[i], raw, room);

        if (err) {
            note_volume_fault(v, s, slot, err);
            whole = false;
        } else {
            voco_chunk_place_elements(&g, i, room->planes, element_bytes, &all,
                                      room->elements);
        }
    }
    const size_t n = (size_t)(g.dim[0] * g.dim[1] * g.dim[2]) * element_bytes;
    if (whole && voco_crc32c(0, room->elements, n) != vol->crc)
        note_volume_fault(v, s, slot, voco_fail(VOCO_EFORMAT, "%s: the checksum of its "
                                                "voxels is wrong", s->path));
}

static void
verify_volume(struct verifying *v, const struct voco_shard *s, int fd, int slot,
              struct voco_chunk_entry *table)
{
    const struct voco_chunk_grid g = voco_chunk_grid(s->volume[slot].dim, s->chunk);
    const size_t element_bytes = voco_store_element_bytes(s->volume[slot].type);
    const size_t raw = (size_t)voco_chunk_voxels(&g) * element_bytes;
    struct room room = {
        .bytes = malloc(voco_deflate_bound(raw)),
        .planes = malloc(raw),
        .elements = malloc((size_t)(g.dim[0] * g.dim[1] * g.dim[2]) * element_bytes)
    };

    if (room.bytes && room.planes && room.elements)
        verify_chunks(v, s, fd, slot, table, &room);
    else
        note_volume_fault(v, s, slot, voco_fail(VOCO_EMEMORY, "%s: no memory", s->path));
    free(room.bytes);
    free(room.planes);
    free(room.elements);
}

/* Chunk tables, volumes, then the bytes between the chunks. */
static void
verify_open_shard(struct verifying *v, const struct voco_shard *s, int fd,
                  struct voco_chunk_entry *table, uint8_t *bytes)
{
    enum voco_err err;
    int64_t n = 0;
    uint32_t crc;
    bool whole = true;

    for (int i = 0; i < s->n_volumes; i++) {
        if ((err = voco_shard_table(s, fd, i, bytes, table + n))) {
            note_volume_fault(v, s, i, err);
            whole = false;
            continue;
        }
        verify_volume(v, s, fd, i, table + n);
        note_volume(v);
        n += (int64_t)s->volume[i].n_chunks;
    }
    if (!whole)
        return;
    err = voco_shard_structure(s, fd, table, n, &crc);
    if (!err && crc != s->structure_crc)
        err = voco_fail(VOCO_EFORMAT, "%s: the checksum of its HDF5 structure (the bytes "
                        "between the chunks) is wrong", s->path);
    if (err)
        note_fault(v, err);
}

static void
verify_shard(struct verifying *v, const struct voco_shard *s)
{
    const int fd = voco_open(s->path, O_RDONLY, 0);
    size_t n = 1, most = 1;

    for (int i = 0; i < s->n_volumes; i++) {
        n += (size_t)s->volume[i].n_chunks;
        if (s->volume[i].n_chunks > most)
            most = (size_t)s->volume[i].n_chunks;
    }
    struct voco_chunk_entry *table = malloc(n * sizeof *table);
    uint8_t *bytes = malloc(most * VOCO_CHUNK_ENTRY_BYTES);
    if (fd < 0)
        note_fault(v, voco_fail_errno(VOCO_EIO, "%s: cannot open", s->path));
    else if (!table || !bytes)
        note_fault(v, voco_fail(VOCO_EMEMORY, "%s: no memory for its index", s->path));
    else
        verify_open_shard(v, s, fd, table, bytes);
    if (fd >= 0)
        close(fd);
    free(table);
    free(bytes);
}

static void *
verify_shards(void *user)
{
    struct verification *all = user;
    const struct voco_inventory *inventory = &all->s->inventory;
    struct verifying v = {.all = all};
    const enum voco_err err = voco_inflater_new(&v.inflate);

    if (err)
        note_fault(&v, err);
    while (!err) {
        pthread_mutex_lock(&all->mutex);
        v.shard = all->next++;
        pthread_mutex_unlock(&all->mutex);
        if (v.shard >= inventory->n_shards)
            break;
        const char *path = inventory->shard[v.shard].path;
        struct voco_shard now = {0};    /* it may have changed since the opening */
        const enum voco_err opened = voco_shard_open(path, &now);
        if (opened)
            note_fault(&v, opened);
        else
            verify_shard(&v, &now);
        voco_shard_free(&now);
    }
    voco_inflater_free(v.inflate);
    return NULL;
}

enum voco_err
voco_store_verify(const struct voco_store *s, const struct voco_store_check *check)
{
    struct verification all = {.s = s, .check = check};
    const int shards = s->inventory.n_shards;
    const int threads = check->threads < shards ? check->threads : shards;
    pthread_t *thread = calloc((size_t)threads + 1, sizeof *thread);
    int started = 0;

    for (int i = 0; i < s->n; i++)
        all.total += voco_entry_slots(&s->stored[i]->entry);
    pthread_mutex_init(&all.mutex, NULL);
    while (thread && started < threads - 1
           && pthread_create(&thread[started], NULL, verify_shards, &all) == 0)
        started++;
    verify_shards(&all);                        /* this thread works too */
    for (int t = 0; t < started; t++)
        pthread_join(thread[t], NULL);
    free(thread);
    pthread_mutex_destroy(&all.mutex);
    if (all.err)
        voco_fail(all.err, "%s", all.why);
    free(all.why);
    return all.err;
}
