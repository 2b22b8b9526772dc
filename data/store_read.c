/* Reading a store: pread, inflate and unshuffle of the chunks that a box touches, in the
 * calling thread and without the HDF5 library. */
#include "data/store_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "data/chunk.h"
#include "data/shard.h"

/* Neighbouring chunks are fetched by one pread of at most this many bytes. */
enum { RUN_BYTES = 4 << 20 };

/* ---- opening ---- */

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
    uint32_t crc = crc_text(0, voco_store_type_name(s->manifest.type));

    for (int i = 0; i < s->n; i++) {
        const struct voco_store_entry *e = &s->stored[i]->entry;

        crc = crc_text(crc, e->id);
        crc = crc_text(crc, e->dataset);
        crc = crc_text(crc, e->transforms);
        crc = voco_crc32c(crc, e->dim, sizeof e->dim);
        crc = voco_crc32c(crc, e->affine, sizeof e->affine);
        crc = voco_crc32c(crc, e->window, sizeof e->window);
        crc = voco_crc32c(crc, &e->crc, sizeof e->crc);
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

const struct voco_store_entry *
voco_store_reject_entry(const struct voco_store *s, int i)
{
    VOCO_ASSERT(i >= 0 && i < s->n_rejected);
    return &s->rejected[i]->entry;
}

enum voco_store_type
voco_store_element(const struct voco_store *s)
{
    return s->manifest.type;
}

uint32_t
voco_store_hash(const struct voco_store *s)
{
    return s->hash;
}

void
voco_store_set_window(struct voco_store *s, double low, double high)
{
    VOCO_ASSERT(low < high);
    s->window_given = true;
    s->window[0] = low;
    s->window[1] = high;
}

/* ---- reading a box ---- */

void *
voco_scratch_room(void **p, size_t *room, size_t n)
{
    if (*room < n) {
        free(*p);
        *p = malloc(n);
        *room = *p ? n : 0;
    }
    return *p;
}

void
voco_store_scratch_free(struct voco_store_scratch *scratch)
{
    free(scratch->raw);
    free(scratch->bytes);
    free(scratch->table);
    voco_inflater_free(scratch->inflate);
    memset(scratch, 0, sizeof *scratch);
}

/* One volume being read. */
struct reading {
    const struct voco_shard *shard;
    struct voco_chunk_grid grid;
    const struct voco_chunk_entry *table;
    struct voco_chunk_decode how;
    const struct voco_chunk_box *box;
    float *out;
    int fd;
};

/* The shard must still be the file that was checked when the store was opened. */
static enum voco_err
open_shard(const struct voco_shard *s, int *ret_fd)
{
    struct stat st;

    *ret_fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot open", s->path);
    if (fstat(*ret_fd, &st) != 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot stat", s->path);
    if ((uint64_t)st.st_size != s->bytes)
        return voco_fail(VOCO_EFORMAT, "%s: has %lld bytes, had %llu when the store was "
                         "opened", s->path, (long long)st.st_size,
                         (unsigned long long)s->bytes);
    return VOCO_OK;
}

static enum voco_err
load_table(struct reading *r, int slot, struct voco_store_scratch *scratch)
{
    const size_t n = (size_t)r->shard->volume[slot].n_chunks;
    const size_t entries = n * sizeof(struct voco_chunk_entry);

    if (!voco_scratch_room(&scratch->table, &scratch->table_n,
                           entries + n * VOCO_CHUNK_ENTRY_BYTES))
        return voco_fail(VOCO_EMEMORY, "%s: no memory", r->shard->path);
    struct voco_chunk_entry *table = scratch->table;
    r->table = table;
    return voco_shard_table(r->shard, r->fd, slot, (uint8_t *)(table + n), table);
}

/* Chunk i, whose bytes are in memory, into the box. */
static enum voco_err
place(const struct reading *r, int64_t i, const uint8_t *bytes,
      struct voco_store_scratch *scratch)
{
    const struct voco_chunk_entry *c = &r->table[i];
    const size_t raw = (size_t)voco_chunk_voxels(&r->grid)
        * voco_store_element_bytes(r->how.type);
    enum voco_err err = VOCO_OK;

    if (voco_crc32c(0, bytes, c->bytes) != c->crc)
        return voco_fail(VOCO_EFORMAT, "%s: the checksum of chunk %lld (byte %llu) is "
                         "wrong", r->shard->path, (long long)i,
                         (unsigned long long)c->address);
    if (!scratch->inflate)
        err = voco_inflater_new((struct voco_inflater **)&scratch->inflate);
    if (!err && voco_inflate(scratch->inflate, bytes, c->bytes, scratch->raw, raw))
        err = voco_fail(VOCO_EFORMAT, "%s: chunk %lld (byte %llu) does not inflate to "
                        "its %zu bytes", r->shard->path, (long long)i,
                        (unsigned long long)c->address, raw);
    if (!err)
        voco_chunk_place(&r->grid, i, scratch->raw, &r->how, r->box, r->out);
    return err;
}

/* Chunks i[0..n), which lie behind each other in the file. */
static enum voco_err
read_run(const struct reading *r, const int64_t *i, int n,
         struct voco_store_scratch *scratch)
{
    const uint64_t at = r->table[i[0]].address;
    const struct voco_chunk_entry *last = &r->table[i[n - 1]];
    const size_t bytes = (size_t)(last->address + last->bytes - at);
    uint8_t *p = voco_scratch_room(&scratch->bytes, &scratch->bytes_n, bytes);
    enum voco_err err;

    if (!p)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", r->shard->path);
    err = voco_pread(r->shard->path, r->fd, p, bytes, at);
    scratch->reads++;
    scratch->read_bytes += (int64_t)bytes;
    for (int k = 0; !err && k < n; k++) {
        err = place(r, i[k], p, scratch);
        p += r->table[i[k]].bytes;
        scratch->chunks++;
    }
    return err;
}

/* All chunks that the box touches, in the order of the file, in runs. */
static enum voco_err
read_chunks(const struct reading *r, struct voco_store_scratch *scratch)
{
    enum { RUN_MAX = 256 };
    const struct voco_chunk_grid *g = &r->grid;
    int64_t run[RUN_MAX], first[3], last[3];
    uint64_t start = 0, end = 0;
    int n = 0;
    enum voco_err err = VOCO_OK;

    for (int a = 0; a < 3; a++) {
        first[a] = r->box->start[a] / g->edge[a];
        last[a] = (r->box->start[a] + r->box->size[a] - 1) / g->edge[a];
    }
    for (int64_t x = first[0]; x <= last[0]; x++)
        for (int64_t y = first[1]; y <= last[1]; y++)
            for (int64_t z = first[2]; !err && z <= last[2]; z++) {
                const int64_t i = (x * g->n[1] + y) * g->n[2] + z;
                const struct voco_chunk_entry *c = &r->table[i];

                if (n > 0 && (n == RUN_MAX || c->address != end
                              || c->address + c->bytes - start > RUN_BYTES)) {
                    err = read_run(r, run, n, scratch);
                    n = 0;
                }
                if (n == 0)
                    start = c->address;
                run[n++] = i;
                end = c->address + c->bytes;
            }
    return err || n == 0 ? err : read_run(r, run, n, scratch);
}

static struct voco_chunk_decode
decode_of(const struct voco_store *s, const struct voco_store_entry *e)
{
    const double *window = s->window_given ? s->window : e->window;

    return (struct voco_chunk_decode){
        .type = s->manifest.type,
        .low = (float)window[0],
        .width = (float)(window[1] - window[0])
    };
}

static enum voco_err
read_box(const struct voco_store *s, int i, struct reading *r,
         struct voco_store_scratch *scratch)
{
    const size_t raw = (size_t)voco_chunk_voxels(&r->grid)
        * voco_store_element_bytes(r->how.type);
    enum voco_err err = open_shard(r->shard, &r->fd);

    if (!err)
        err = load_table(r, s->stored[i]->slot, scratch);
    if (!err && !voco_scratch_room(&scratch->raw, &scratch->raw_n, raw))
        err = voco_fail(VOCO_EMEMORY, "%s: no memory", r->shard->path);
    if (!err)
        err = read_chunks(r, scratch);
    if (r->fd >= 0)
        close(r->fd);
    return err;
}

enum voco_err
voco_store_read(const struct voco_store *s, int i, const int64_t start[3],
                const int64_t size[3], float *out, struct voco_store_scratch *scratch)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    struct voco_chunk_box box;

    for (int a = 0; a < 3; a++) {
        box.start[a] = start[a];
        box.size[a] = size[a];
        if (start[a] < 0 || size[a] < 1 || size[a] > e->dim[a]
            || start[a] > e->dim[a] - size[a])
            return voco_fail(VOCO_EUSAGE, "volume %s: %lld voxels from %lld of axis %d "
                             "asked for, it has %lld", e->id, (long long)size[a],
                             (long long)start[a], a, (long long)e->dim[a]);
    }
    struct reading r = {.shard = s->shard[i], .how = decode_of(s, e), .box = &box,
                        .grid = voco_chunk_grid(e->dim, s->manifest.chunk), .out = out};
    const enum voco_err err = read_box(s, i, &r, scratch);
    return err ? voco_fail_in(err, "volume %s", e->id) : VOCO_OK;
}
