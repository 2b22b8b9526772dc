/* Reading a store: pread, inflate and unshuffle of the chunks that a box touches, in the
 * calling thread and without the HDF5 library. */
#include "data/store/store_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/open.h"
#include "data/store/chunk.h"
#include "data/store/shard.h"

/* Neighbouring chunks are fetched by one pread of at most this many bytes. */
enum { RUN_BYTES = 4 << 20 };

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
    int slot;
    struct voco_chunk_grid grid;
    const struct voco_chunk_entry *table;
    struct voco_chunk_decode how;
    struct voco_chunk_box box;
    float *out;                         /* of an image */
    uint16_t *classes;                  /* of a label map */
    int fd;
};

/* The shard must still be the file that was checked when the store was opened. */
static enum voco_err
open_shard(const struct voco_shard *s, int *ret_fd)
{
    struct stat st;

    *ret_fd = voco_open(s->path, O_RDONLY, 0);
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
load_table(struct reading *r, struct voco_store_scratch *scratch)
{
    const size_t n = (size_t)r->shard->volume[r->slot].n_chunks;
    const size_t entries = n * sizeof(struct voco_chunk_entry);

    if (!voco_scratch_room(&scratch->table, &scratch->table_n,
                           entries + n * VOCO_CHUNK_ENTRY_BYTES))
        return voco_fail(VOCO_EMEMORY, "%s: no memory", r->shard->path);
    struct voco_chunk_entry *table = scratch->table;
    r->table = table;
    return voco_shard_table(r->shard, r->fd, r->slot, (uint8_t *)(table + n), table);
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
    if (!err && r->classes)
        voco_chunk_place_labels(&r->grid, i, scratch->raw,
                                voco_store_element_bytes(r->how.type), &r->box,
                                r->classes);
    else if (!err)
        voco_chunk_place(&r->grid, i, scratch->raw, &r->how, &r->box, r->out);
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
        first[a] = r->box.start[a] / g->edge[a];
        last[a] = (r->box.start[a] + r->box.size[a] - 1) / g->edge[a];
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

/* The box of r, from the table on. */
static enum voco_err
read_box(struct reading *r, struct voco_store_scratch *scratch)
{
    const size_t raw = (size_t)voco_chunk_voxels(&r->grid)
        * voco_store_element_bytes(r->how.type);
    enum voco_err err = open_shard(r->shard, &r->fd);

    if (!err)
        err = load_table(r, scratch);
    if (!err && !voco_scratch_room(&scratch->raw, &scratch->raw_n, raw))
        err = voco_fail(VOCO_EMEMORY, "%s: no memory", r->shard->path);
    if (!err)
        err = read_chunks(r, scratch);
    if (r->fd >= 0)
        close(r->fd);
    return err;
}

/* Reading part (a channel or VOCO_PART_LABEL) of volume i. */
static struct reading
reading_of(const struct voco_store *s, int i, int part, const double window[2])
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const bool label = part == VOCO_PART_LABEL;

    VOCO_ASSERT(label ? e->label.source != NULL : part >= 0 && part < e->channels);
    return (struct reading){
        .shard = s->shard[i], .slot = s->stored[i]->slot + (label ? e->channels : part),
        .grid = voco_chunk_grid(e->dim, s->manifest.header.chunk), .fd = -1,
        .how = {.type = label ? e->label.type : s->manifest.header.type,
                .low = (float)window[0], .width = (float)(window[1] - window[0])}
    };
}

static enum voco_err
take_box(const struct voco_store_entry *e, const int64_t start[3], const int64_t size[3],
         struct voco_chunk_box *box)
{
    for (int a = 0; a < 3; a++) {
        box->start[a] = start[a];
        box->size[a] = size[a];
        if (start[a] < 0 || size[a] < 1 || size[a] > e->dim[a]
            || start[a] > e->dim[a] - size[a])
            return voco_fail(VOCO_EUSAGE, "volume %s: %lld voxels from %lld of axis %d "
                             "asked for, it has %lld", e->id, (long long)size[a],
                             (long long)start[a], a, (long long)e->dim[a]);
    }
    return VOCO_OK;
}

enum voco_err
voco_store_read_channel(const struct voco_store *s, int i, int channel,
                        const int64_t start[3], const int64_t size[3], float *out,
                        struct voco_store_scratch *scratch)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    struct reading r = reading_of(s, i, channel, s->window_given ? s->window : e->window);
    enum voco_err err = take_box(e, start, size, &r.box);

    if (err)
        return err;
    r.out = out;
    err = read_box(&r, scratch);
    return err ? voco_fail_in(err, "volume %s", e->id) : VOCO_OK;
}

enum voco_err
voco_store_read(const struct voco_store *s, int i, const int64_t start[3],
                const int64_t size[3], float *out, struct voco_store_scratch *scratch)
{
    return voco_store_read_channel(s, i, 0, start, size, out, scratch);
}

enum voco_err
voco_store_read_label(const struct voco_store *s, int i, const int64_t start[3],
                      const int64_t size[3], uint16_t *out,
                      struct voco_store_scratch *scratch)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    struct reading r = reading_of(s, i, VOCO_PART_LABEL, e->window);
    enum voco_err err = take_box(e, start, size, &r.box);

    if (err)
        return err;
    r.classes = out;
    err = read_box(&r, scratch);
    return err ? voco_fail_in(err, "label map of volume %s", e->id) : VOCO_OK;
}

/* ---- voxels by rank ---- */

int64_t
voco_store_voxels(const struct voco_store *s, int i, enum voco_voxel_kind kind)
{
    const struct voco_store_label *l = &voco_store_entry(s, i)->label;
    int64_t n = 0;

    if (kind == VOCO_VOXEL_BACKGROUND)
        return l->background;
    for (int k = 0; k < l->n_counts; k++)
        n += l->count[k].class_id > 0 ? l->count[k].voxels : 0;
    return n;
}

/* The chunk in which the voxel of this rank is; *rank becomes its rank there. */
static enum voco_err
find_chunk(const struct voco_store *s, int i, enum voco_voxel_kind kind, int64_t *rank,
           int64_t *ret_chunk, struct voco_store_scratch *scratch)
{
    struct reading r = reading_of(s, i, VOCO_PART_LABEL, s->window);
    const int64_t n = voco_chunk_count(&r.grid);
    enum voco_err err = open_shard(r.shard, &r.fd);

    if (!err)
        err = load_table(&r, scratch);
    if (r.fd >= 0)
        close(r.fd);
    if (err)
        return err;
    *ret_chunk = 0;
    while (*ret_chunk < n && *rank >= (int64_t)r.table[*ret_chunk].voxels[kind])
        *rank -= r.table[(*ret_chunk)++].voxels[kind];
    return *ret_chunk < n ? VOCO_OK
        : voco_fail(VOCO_EFORMAT, "%s: the manifest counts more voxels than the shard",
                    r.shard->path);
}

/* wanted[k] of the n voxels of a box: are they of this kind? */
static enum voco_err
mark_kind(const struct voco_store *s, int i, enum voco_voxel_kind kind,
          const struct voco_chunk_box *box, int64_t n, bool *wanted,
          struct voco_store_scratch *scratch)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    struct reading r = reading_of(s, i, VOCO_PART_LABEL, e->window);
    uint16_t *classes = malloc((size_t)n * sizeof *classes);
    float *image = malloc((size_t)n * sizeof *image);
    enum voco_err err = classes && image ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for a chunk");

    r.box = *box;
    r.classes = classes;
    if (!err)
        err = read_box(&r, scratch);
    for (int64_t k = 0; !err && k < n; k++)
        wanted[k] = kind == VOCO_VOXEL_LABELLED && classes[k] > 0;
    for (int c = 0; !err && kind == VOCO_VOXEL_BACKGROUND && c < e->channels; c++) {
        r = reading_of(s, i, c, e->window);
        r.box = *box;
        r.out = image;
        err = read_box(&r, scratch);
        for (int64_t k = 0; !err && k < n; k++)
            wanted[k] |= classes[k] == 0 && image[k] > 0;
    }
    free(classes);
    free(image);
    return err;
}

enum voco_err
voco_store_find(const struct voco_store *s, int i, enum voco_voxel_kind kind,
                int64_t rank, int64_t ret_at[3], struct voco_store_scratch *scratch)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const struct voco_chunk_grid g = voco_chunk_grid(e->dim, s->manifest.header.chunk);
    struct voco_chunk_box box;
    int64_t chunk, at[3], n = 1, k = -1;
    enum voco_err err = find_chunk(s, i, kind, &rank, &chunk, scratch);

    if (err)
        return voco_fail_in(err, "label map of volume %s", e->id);
    voco_chunk_at(&g, chunk, at);
    for (int a = 0; a < 3; a++) {
        box.start[a] = at[a] * g.edge[a];
        box.size[a] = g.dim[a] - box.start[a] < g.edge[a] ? g.dim[a] - box.start[a]
                                                          : g.edge[a];
        n *= box.size[a];
    }
    bool *wanted = calloc((size_t)n, sizeof *wanted);
    err = wanted ? mark_kind(s, i, kind, &box, n, wanted, scratch)
                 : voco_fail(VOCO_EMEMORY, "no memory for a chunk");
    while (!err && rank >= 0 && ++k < n)
        rank -= wanted[k];
    if (!err && k == n)
        err = voco_fail(VOCO_EFORMAT, "%s: chunk %lld has fewer voxels of a kind than its "
                        "index says", s->shard[i]->path, (long long)chunk);
    free(wanted);
    if (err)
        return voco_fail_in(err, "label map of volume %s", e->id);
    ret_at[2] = box.start[2] + k % box.size[2];
    ret_at[1] = box.start[1] + k / box.size[2] % box.size[1];
    ret_at[0] = box.start[0] + k / box.size[2] / box.size[1];
    return VOCO_OK;
}
