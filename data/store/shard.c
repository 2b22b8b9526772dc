/* The index behind the HDF5 part of a shard: written once, checked before it is used.
 * Layout in voco-store(5). */
#include "data/store/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/open.h"

enum {
    FOOTER_BYTES = 64,
    VOLUME_BYTES = 56,
    HEAD_BYTES = 512,       /* of the HDF5 part, checked at every open */
    VERSION = 1,
    VERSION_PARTS = 2,      /* has volumes with several channels or with labels */
    VOLUMES_MAX = 1 << 24
};

static const char magic[8] = {'v', 'o', 'c', 'o', 's', 'h', 'r', 'd'};

/* ---- little-endian numbers, one behind the other ---- */

static void
put(uint8_t **p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *(*p)++ = (uint8_t)(v >> 8 * i);
}

static uint64_t
get(const uint8_t **p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)*(*p)++ << 8 * i;
    return v;
}

enum voco_err
voco_pread(const char *path, int fd, void *out, size_t n, uint64_t at)
{
    uint8_t *to = out;

    while (n > 0) {
        const ssize_t got = pread(fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return voco_fail_errno(VOCO_EIO, "%s: cannot read at byte %llu", path,
                                   (unsigned long long)at);
        if (got == 0)
            return voco_fail(VOCO_EFORMAT, "%s: ends at byte %llu, too early", path,
                             (unsigned long long)at);
        to += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return VOCO_OK;
}

char *
voco_part_name(const char *id, int part)
{
    return part == 0 ? voco_format("%s", id)
        : part == VOCO_PART_LABEL ? voco_format("%s%%label", id)
        : voco_format("%s%%c%d", id, part);
}

int
voco_entry_slots(const struct voco_store_entry *e)
{
    return e->channels + (e->label.source != NULL);
}

uint32_t
voco_channels_crc(const struct voco_shard_volume *v, int n)
{
    uint32_t crc = v[0].crc;

    for (int i = 0; n > 1 && i < n; i++) {
        uint8_t bytes[4], *p = bytes;

        put(&p, v[i].crc, sizeof bytes);
        crc = voco_crc32c(i ? crc : 0, bytes, sizeof bytes);
    }
    return crc;
}

char *
voco_shard_name(int number)
{
    return voco_format("shard-%05d.h5", number);
}

int
voco_shard_number(const char *name)
{
    int number, used = 0;

    if (sscanf(name, "shard-%9d.h5%n", &number, &used) != 1 || used == 0 || name[used]
        || number < 0)
        return -1;
    char *same = voco_shard_name(number);
    if (strcmp(same, name) != 0)
        number = -1;
    free(same);
    return number;
}

/* ---- reading ---- */

struct footer {
    uint64_t h5_bytes, table;
    uint32_t n_volumes, table_crc, head_crc;
};

static enum voco_err
read_footer(struct voco_shard *s, int fd, struct footer *f)
{
    uint8_t bytes[FOOTER_BYTES];
    const uint8_t *p = bytes + sizeof magic;
    const char *path = s->path;

    if (s->bytes < FOOTER_BYTES + HEAD_BYTES)
        return voco_fail(VOCO_EFORMAT, "%s: %llu bytes are too few for a shard", path,
                         (unsigned long long)s->bytes);
    const uint64_t at = s->bytes - FOOTER_BYTES;
    const enum voco_err err = voco_pread(path, fd, bytes, FOOTER_BYTES, at);
    if (err)
        return err;
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return voco_fail(VOCO_EFORMAT, "%s: not a whole shard of a voco store (the index "
                         "at its end is missing)", path);
    const uint8_t *q = bytes + FOOTER_BYTES - 4;
    if (get(&q, 4) != voco_crc32c(0, bytes, FOOTER_BYTES - 4))
        return voco_fail(VOCO_EFORMAT, "%s: the checksum of its index's footer is wrong",
                         path);
    const uint32_t version = (uint32_t)get(&p, 4);
    if (version != VERSION && version != VERSION_PARTS)
        return voco_fail(VOCO_EFORMAT, "%s: shard format %u, this voco reads %d and %d",
                         path, version, VERSION, VERSION_PARTS);
    s->has_parts = version == VERSION_PARTS;
    s->number = (int)get(&p, 4);
    s->type = (enum voco_store_type)get(&p, 4);
    s->chunk = (int)get(&p, 4);
    f->n_volumes = (uint32_t)get(&p, 4);
    f->table_crc = (uint32_t)get(&p, 4);
    f->h5_bytes = get(&p, 8);
    f->table = get(&p, 8);
    f->head_crc = (uint32_t)get(&p, 4);
    s->structure_crc = (uint32_t)get(&p, 4);
    return VOCO_OK;
}

/* The numbers of the footer against each other and the file's size. */
static enum voco_err
check_footer(struct voco_shard *s, const struct footer *f)
{
    const uint64_t end = s->bytes - FOOTER_BYTES;

    if (s->number < 0 || (unsigned)s->type > VOCO_STORE_I16 || s->chunk < VOCO_CHUNK_MIN
        || s->chunk > VOCO_CHUNK_MAX || f->n_volumes > VOLUMES_MAX
        || f->h5_bytes < HEAD_BYTES || f->h5_bytes > f->table || f->table > end
        || (uint64_t)f->n_volumes * VOLUME_BYTES != end - f->table)
        return voco_fail(VOCO_EFORMAT, "%s: its index's footer contradicts itself or the "
                         "file's %llu bytes", s->path, (unsigned long long)s->bytes);
    s->h5_bytes = f->h5_bytes;
    s->n_volumes = (int)f->n_volumes;
    return VOCO_OK;
}

static size_t
entry_bytes(const struct voco_shard_volume *v)
{
    return v->type >= VOCO_STORE_LABEL8 ? VOCO_CHUNK_ENTRY_BYTES : 16;
}

/* Which of a case's volumes this is: 0 for the first channel, 256 c for channel c, the
 * element type for labels. */
static uint32_t
part_word(const struct voco_shard_volume *v)
{
    return v->part == VOCO_PART_LABEL ? (uint32_t)v->type : (uint32_t)v->part << 8;
}

/* Can its chunks lie in the HDF5 part?  deflate never packs better than 1032:1. */
static bool
fits(const struct voco_shard *s, const struct voco_shard_volume *v)
{
    const double elements = (double)v->dim[0] * (double)v->dim[1] * (double)v->dim[2];

    return elements * (double)voco_store_element_bytes(v->type)
        <= 1032.0 * (double)s->h5_bytes;
}

/* Volume tables lie behind each other without a gap; next is where this one must be. */
static enum voco_err
check_volume(const struct voco_shard *s, const struct voco_shard_volume *v, uint64_t next,
             uint64_t end)
{
    bool good = v->table == next
        && (v->part == VOCO_PART_LABEL ? v->type == VOCO_STORE_LABEL8
                                             || v->type == VOCO_STORE_LABEL16
                                       : v->part < VOCO_CHANNELS_MAX);

    for (int a = 0; a < 3; a++)
        good = good && v->dim[a] >= 1 && v->dim[a] <= INT32_MAX;
    if (good) {     /* each axis has fewer than 2^28 chunks: the product of two fits */
        const struct voco_chunk_grid g = voco_chunk_grid(v->dim, s->chunk);
        const uint64_t rows = (uint64_t)g.n[0] * (uint64_t)g.n[1];
        const uint64_t room = (end - next) / entry_bytes(v);

        good = rows <= room && rows * (uint64_t)g.n[2] == v->n_chunks
            && v->n_chunks <= room && rows <= UINT64_MAX / (uint64_t)g.n[2]
            && fits(s, v);
    }
    return good ? VOCO_OK
                : voco_fail(VOCO_EFORMAT, "%s: its index describes an impossible volume",
                            s->path);
}

static enum voco_err
read_volumes(struct voco_shard *s, int fd, const struct footer *f)
{
    const size_t n = (size_t)s->n_volumes * VOLUME_BYTES;
    uint8_t *bytes = malloc(n ? n : 1);
    uint64_t next = s->h5_bytes;
    bool parts = false;
    enum voco_err err = VOCO_OK;

    s->volume = calloc((size_t)s->n_volumes + 1, sizeof *s->volume);
    if (!bytes || !s->volume)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for its index", s->path);
    if (!err)
        err = voco_pread(s->path, fd, bytes, n, f->table);
    if (!err && voco_crc32c(0, bytes, n) != f->table_crc)
        err = voco_fail(VOCO_EFORMAT, "%s: the checksum of its index is wrong", s->path);
    const uint8_t *p = bytes;
    for (int i = 0; !err && i < s->n_volumes; i++) {
        struct voco_shard_volume *v = &s->volume[i];

        v->table = get(&p, 8);
        v->n_chunks = get(&p, 8);
        v->table_crc = (uint32_t)get(&p, 4);
        v->crc = (uint32_t)get(&p, 4);
        for (int a = 0; a < 3; a++)
            v->dim[a] = (int64_t)get(&p, 8);
        v->id_crc = (uint32_t)get(&p, 4);
        const uint32_t part = (uint32_t)get(&p, 4);
        v->type = part & 255 ? (enum voco_store_type)(part & 255) : s->type;
        v->part = part & 255 ? VOCO_PART_LABEL : (int)(part >> 8);
        parts |= part != 0;
        err = check_volume(s, v, next, f->table);
        if (!err && part != part_word(v))
            err = voco_fail(VOCO_EFORMAT, "%s: its index describes an impossible volume",
                            s->path);
        next += v->n_chunks * entry_bytes(v);
    }
    if (!err && parts != s->has_parts)
        err = voco_fail(VOCO_EFORMAT, "%s: its index contradicts the version %d of its "
                        "format", s->path, s->has_parts ? VERSION_PARTS : VERSION);
    if (!err && next != f->table)
        err = voco_fail(VOCO_EFORMAT, "%s: its index has bytes that belong to no volume",
                        s->path);
    free(bytes);
    return err;
}

static enum voco_err
read_shard(struct voco_shard *s, int fd)
{
    uint8_t head[HEAD_BYTES];
    struct footer f = {0};
    struct stat st;
    enum voco_err err;

    if (fstat(fd, &st) != 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot stat", s->path);
    if (!S_ISREG(st.st_mode))
        return voco_fail(VOCO_EFORMAT, "%s: not a regular file", s->path);
    s->bytes = (uint64_t)st.st_size;
    if ((err = read_footer(s, fd, &f)) || (err = check_footer(s, &f))
        || (err = voco_pread(s->path, fd, head, sizeof head, 0)))
        return err;
    if (voco_crc32c(0, head, sizeof head) != f.head_crc)
        return voco_fail(VOCO_EFORMAT, "%s: the checksum of its header is wrong",
                         s->path);
    return read_volumes(s, fd, &f);
}

enum voco_err
voco_shard_open(const char *path, struct voco_shard *ret)
{
    struct voco_shard s = {.path = voco_format("%s", path)};
    enum voco_err err;

    const int fd = voco_open(path, O_RDONLY, 0);
    if (fd < 0) {
        err = voco_fail_errno(VOCO_EIO, "%s: cannot open", path);
    } else {
        err = read_shard(&s, fd);
        close(fd);
    }
    if (err)
        voco_shard_free(&s);
    *ret = s;
    return err;
}

void
voco_shard_free(struct voco_shard *s)
{
    free(s->path);
    free(s->volume);
    memset(s, 0, sizeof *s);
}

enum voco_err
voco_shard_table(const struct voco_shard *s, int fd, int v, uint8_t *bytes,
                 struct voco_chunk_entry *table)
{
    const struct voco_shard_volume *vol = &s->volume[v];
    const struct voco_chunk_grid g = voco_chunk_grid(vol->dim, s->chunk);
    const size_t bound = voco_deflate_bound((size_t)voco_chunk_voxels(&g)
                                            * voco_store_element_bytes(vol->type));
    const bool counts = vol->type >= VOCO_STORE_LABEL8;
    const size_t n = (size_t)vol->n_chunks * entry_bytes(vol);
    const uint8_t *p = bytes;
    enum voco_err err = voco_pread(s->path, fd, bytes, n, vol->table);

    if (err)
        return err;
    if (voco_crc32c(0, bytes, n) != vol->table_crc)
        return voco_fail(VOCO_EFORMAT, "%s: the checksum of a chunk table is wrong",
                         s->path);
    for (uint64_t i = 0; i < vol->n_chunks; i++) {
        struct voco_chunk_entry *c = &table[i];

        c->address = get(&p, 8);
        c->bytes = (uint32_t)get(&p, 4);
        c->crc = (uint32_t)get(&p, 4);
        c->voxels[0] = counts ? (uint32_t)get(&p, 4) : 0;
        c->voxels[1] = counts ? (uint32_t)get(&p, 4) : 0;
        if (c->bytes == 0 || c->bytes > bound || c->bytes > s->h5_bytes
            || c->address > s->h5_bytes - c->bytes)
            return voco_fail(VOCO_EFORMAT, "%s: a chunk table points outside the file",
                             s->path);
    }
    return VOCO_OK;
}

/* ---- structure ---- */

static int
by_address(const void *a, const void *b)
{
    const struct voco_chunk_entry *x = a, *y = b;

    return (x->address > y->address) - (x->address < y->address);
}

/* crc continued over bytes [from, to) of fd. */
static enum voco_err
crc_range(const struct voco_shard *s, int fd, uint64_t from, uint64_t to, uint32_t *crc)
{
    uint8_t bytes[4096];
    enum voco_err err = VOCO_OK;

    while (!err && from < to) {
        const size_t n = to - from < sizeof bytes ? (size_t)(to - from) : sizeof bytes;

        err = voco_pread(s->path, fd, bytes, n, from);
        if (!err)
            *crc = voco_crc32c(*crc, bytes, n);
        from += n;
    }
    return err;
}

enum voco_err
voco_shard_structure(const struct voco_shard *s, int fd, struct voco_chunk_entry *chunk,
                     int64_t n, uint32_t *ret_crc)
{
    uint64_t at = 0;
    enum voco_err err = VOCO_OK;

    *ret_crc = 0;
    qsort(chunk, (size_t)n, sizeof *chunk, by_address);
    for (int64_t i = 0; !err && i < n; i++) {
        if (chunk[i].address < at || chunk[i].bytes > s->h5_bytes
            || chunk[i].address > s->h5_bytes - chunk[i].bytes)
            return voco_fail(VOCO_EFORMAT, "%s: chunks overlap or leave the file",
                             s->path);
        err = crc_range(s, fd, at, chunk[i].address, ret_crc);
        at = chunk[i].address + chunk[i].bytes;
    }
    return err ? err : crc_range(s, fd, at, s->h5_bytes, ret_crc);
}

/* ---- writing ---- */

static void
put_table(uint8_t *bytes, const struct voco_shard_volume *v,
          const struct voco_chunk_entry *table)
{
    for (uint64_t i = 0; i < v->n_chunks; i++) {
        put(&bytes, table[i].address, 8);
        put(&bytes, table[i].bytes, 4);
        put(&bytes, table[i].crc, 4);
        for (int kind = 0; v->type >= VOCO_STORE_LABEL8 && kind < 2; kind++)
            put(&bytes, table[i].voxels[kind], 4);
    }
}

static void
put_volume(uint8_t *bytes, const struct voco_shard_volume *v)
{
    put(&bytes, v->table, 8);
    put(&bytes, v->n_chunks, 8);
    put(&bytes, v->table_crc, 4);
    put(&bytes, v->crc, 4);
    for (int a = 0; a < 3; a++)
        put(&bytes, (uint64_t)v->dim[a], 8);
    put(&bytes, v->id_crc, 4);
    put(&bytes, part_word(v), 4);
}

/* Tables and footer as they will follow the HDF5 part; the caller frees. */
static uint8_t *
index_bytes(struct voco_shard *s, struct voco_chunk_entry *const *table,
            uint32_t head_crc, size_t *ret_n)
{
    size_t n = FOOTER_BYTES + (size_t)s->n_volumes * VOLUME_BYTES;

    for (int i = 0; i < s->n_volumes; i++)
        n += (size_t)s->volume[i].n_chunks * entry_bytes(&s->volume[i]);
    uint8_t *bytes = calloc(1, n);
    if (!bytes)
        return NULL;
    size_t at = 0;
    for (int i = 0; i < s->n_volumes; i++) {
        struct voco_shard_volume *v = &s->volume[i];
        const size_t size = (size_t)v->n_chunks * entry_bytes(v);

        put_table(bytes + at, v, table[i]);
        v->table = s->h5_bytes + at;
        v->table_crc = voco_crc32c(0, bytes + at, size);
        at += size;
    }
    uint8_t *volumes = bytes + at;
    const size_t volumes_n = (size_t)s->n_volumes * VOLUME_BYTES;
    for (int i = 0; i < s->n_volumes; i++)
        put_volume(volumes + i * VOLUME_BYTES, &s->volume[i]);

    uint8_t *footer = volumes + volumes_n, *p = footer;
    memcpy(p, magic, sizeof magic);
    p += sizeof magic;
    put(&p, s->has_parts ? VERSION_PARTS : VERSION, 4);
    put(&p, (uint64_t)s->number, 4);
    put(&p, (uint64_t)s->type, 4);
    put(&p, (uint64_t)s->chunk, 4);
    put(&p, (uint64_t)s->n_volumes, 4);
    put(&p, voco_crc32c(0, volumes, volumes_n), 4);
    put(&p, s->h5_bytes, 8);
    put(&p, s->h5_bytes + at, 8);
    put(&p, head_crc, 4);
    put(&p, s->structure_crc, 4);
    p = footer + FOOTER_BYTES - 4;
    put(&p, voco_crc32c(0, footer, FOOTER_BYTES - 4), 4);
    *ret_n = n;
    return bytes;
}

static enum voco_err
write_at(const struct voco_shard *s, int fd, const uint8_t *bytes, size_t n, uint64_t at)
{
    while (n > 0) {
        const ssize_t put_n = pwrite(fd, bytes, n, (off_t)at);

        if (put_n < 0 && errno == EINTR)
            continue;
        if (put_n <= 0)
            return voco_fail_errno(VOCO_EIO, "%s: cannot write", s->path);
        bytes += put_n;
        n -= (size_t)put_n;
        at += (uint64_t)put_n;
    }
    return VOCO_OK;
}

/* All chunk entries of the shard in one array; the caller frees. */
static struct voco_chunk_entry *
join(const struct voco_shard *s, struct voco_chunk_entry *const *table, int64_t *ret_n)
{
    int64_t n = 0;

    for (int i = 0; i < s->n_volumes; i++)
        n += (int64_t)s->volume[i].n_chunks;
    struct voco_chunk_entry *all = malloc(((size_t)n + 1) * sizeof *all);
    *ret_n = n;
    if (!all)
        return NULL;
    n = 0;
    for (int i = 0; i < s->n_volumes; i++) {
        memcpy(all + n, table[i], (size_t)s->volume[i].n_chunks * sizeof *all);
        n += (int64_t)s->volume[i].n_chunks;
    }
    return all;
}

static enum voco_err
append(struct voco_shard *s, int fd, struct voco_chunk_entry *const *table)
{
    uint8_t head[HEAD_BYTES];
    uint8_t *bytes = NULL;
    size_t n = 0;
    int64_t n_chunks;
    struct voco_chunk_entry *all = join(s, table, &n_chunks);
    enum voco_err err = voco_pread(s->path, fd, head, sizeof head, 0);

    if (!err && !all)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for its index", s->path);
    if (!err)
        err = voco_shard_structure(s, fd, all, n_chunks, &s->structure_crc);
    if (!err && !(bytes = index_bytes(s, table, voco_crc32c(0, head, sizeof head), &n)))
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for its index", s->path);
    if (!err)
        err = write_at(s, fd, bytes, n, s->h5_bytes);
    if (!err && voco_sync(fd) != 0)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot fsync", s->path);
    s->bytes = s->h5_bytes + n;
    free(bytes);
    free(all);
    return err;
}

enum voco_err
voco_shard_append(struct voco_shard *s, struct voco_chunk_entry *const *table)
{
    struct stat st;
    enum voco_err err;

    const int fd = voco_open(s->path, O_RDWR, 0);
    if (fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s: cannot open", s->path);
    if (fstat(fd, &st) != 0) {
        err = voco_fail_errno(VOCO_EIO, "%s: cannot stat", s->path);
    } else {
        s->h5_bytes = (uint64_t)st.st_size;
        err = append(s, fd, table);
    }
    if (close(fd) != 0 && !err)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", s->path);
    return err;
}
