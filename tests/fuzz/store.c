/* The readers of stores.  Checksums are made right first: a fuzzer finds none by chance.
 * And our own deflate, whose output must inflate to its input. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/codec/deflate.h"
#include "data/store/leaklist.h"
#include "data/store/manifest.h"
#include "data/store/shard.h"
#include "data/store/store.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

enum { FOOTER = 64, VOLUME = 56, HEAD = 512, MOST_VOLUMES = 64, BOX = 64 };

static uint64_t
get(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static void
put_crc(uint8_t *to, const uint8_t *bytes, size_t n)
{
    const uint32_t crc = voco_crc32c(0, bytes, n);

    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(crc >> 8 * i);
}

/* ---- manifests ---- */

/* The lines with checksums: in front of the brace that ends each. Free it. */
static char *
checked_lines(const uint8_t *bytes, size_t n, size_t *ret_n)
{
    size_t lines = 1, used = 0;
    char *text;

    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    text = malloc(n + lines * 24 + 1);
    if (!text)
        abort();
    for (size_t at = 0, end; at < n; at = end + 1) {
        const uint8_t *found = memchr(bytes + at, '\n', n - at);

        end = found ? (size_t)(found - bytes) : n;
        memcpy(text + used, bytes + at, end - at);
        used += end - at;
        if (end > at && bytes[end - 1] == '}')
            used += (size_t)sprintf(text + used - 1, ",\"check\":\"%08" PRIx32 "\"}",
                                    voco_crc32c(0, bytes + at, end - at - 1)) - 1;
        if (found)
            text[used++] = '\n';
    }
    *ret_n = used;
    return text;
}

int
fuzz_manifest(const uint8_t *bytes, size_t n)
{
    struct voco_manifest m;
    size_t n_text;
    char *text = checked_lines(bytes, n, &n_text);

    fuzz_file("manifest.jsonl", text, n_text);
    if (voco_manifest_read(fuzz_folder(), &m) == VOCO_OK) {
        free(voco_header_text(&m.header));
        for (int i = 0; i < m.n; i++) {
            char *line = voco_line_text(m.line[i]);

            if (!line || voco_manifest_find(&m, m.line[i]->entry.id) != m.line[i])
                abort();
            free(line);
        }
    }
    voco_manifest_free(&m);
    free(text);
    return 0;
}

/* ---- shards ---- */

/* Checksums of the n_chunks at table, each of which may have any place. */
static void
fix_chunks(uint8_t *bytes, uint64_t n, uint64_t table, uint64_t n_chunks, size_t entry)
{
    for (uint64_t i = 0; i < n_chunks; i++) {
        uint8_t *e = bytes + table + i * entry;
        const uint64_t address = get(e, 8), size = get(e + 8, 4);

        if (size <= n && address <= n - size)
            put_crc(e + 12, bytes + address, size);
    }
}

/* Of the tables from the chunks up, as far as they lie in bytes[0..n). */
static void
fix_shard(uint8_t *bytes, size_t n)
{
    if (n < FOOTER + HEAD)
        return;
    uint8_t *footer = bytes + n - FOOTER;
    const uint64_t volumes = get(footer + 24, 4), at = get(footer + 40, 8);

    memcpy(footer, "vocoshrd", 8);
    if (volumes <= MOST_VOLUMES && at <= n - FOOTER && volumes * VOLUME <= n - FOOTER - at) {
        for (uint64_t v = 0; v < volumes; v++) {
            uint8_t *volume = bytes + at + v * VOLUME;
            const uint64_t table = get(volume, 8), n_chunks = get(volume + 8, 8);
            const size_t entry = volume[52] ? 24 : 16;

            if (n_chunks <= n / entry && table <= n && n_chunks * entry <= n - table) {
                fix_chunks(bytes, n, table, n_chunks, entry);
                put_crc(volume + 16, bytes + table, (size_t)n_chunks * entry);
            }
        }
        put_crc(footer + 28, bytes + at, (size_t)volumes * VOLUME);
    }
    put_crc(footer + 48, bytes, HEAD);
    put_crc(footer + 60, footer, FOOTER - 4);
}

static uint8_t *
fixed_shard(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = (uint8_t *)fuzz_text(bytes, n);

    fix_shard(copy, n);
    return copy;
}

int
fuzz_shard(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = fixed_shard(bytes, n);
    const char *path = fuzz_file("shard", copy, n);
    struct voco_shard s;
    FILE *in = fopen(path, "rb");

    if (!in)
        abort();
    if (voco_shard_open(path, &s) == VOCO_OK)
        for (int v = 0; v < s.n_volumes; v++) {
            const size_t chunks = (size_t)s.volume[v].n_chunks;
            struct voco_chunk_entry *table = calloc(chunks + 1, sizeof *table);
            uint8_t *room = malloc(chunks * VOCO_CHUNK_ENTRY_BYTES + 1);
            uint32_t crc;

            if (!table || !room)
                abort();
            if (voco_shard_table(&s, fileno(in), v, room, table) == VOCO_OK)
                voco_shard_structure(&s, fileno(in), table, (int64_t)chunks, &crc);
            free(table);
            free(room);
        }
    voco_shard_free(&s);
    fclose(in);
    free(copy);
    return 0;
}

/* ---- whole stores ---- */

static void
read_entry(const struct voco_store *s, int i, struct voco_store_scratch *scratch)
{
    static const int64_t start[3];
    static float voxel[BOX * BOX * BOX];
    static uint16_t label[BOX * BOX * BOX];
    const struct voco_store_entry *e = voco_store_entry(s, i);
    int64_t size[3], at[3];

    for (int a = 0; a < 3; a++)
        size[a] = e->dim[a] < BOX ? e->dim[a] : BOX;
    for (int c = 0; c < e->channels && c < 3; c++)
        if (voco_store_read_channel(s, i, c, start, size, voxel, scratch) == VOCO_OK)
            fuzz_touch(voxel, (size_t)(size[0] * size[1] * size[2]) * sizeof *voxel);
    if (!e->label.source)
        return;
    if (voco_store_read_label(s, i, start, size, label, scratch) == VOCO_OK)
        fuzz_touch(label, (size_t)(size[0] * size[1] * size[2]) * sizeof *label);
    for (int kind = 0; kind < 2; kind++) {
        const int64_t voxels = voco_store_voxels(s, i, (enum voco_voxel_kind)kind);

        if (voxels > 0)
            voco_store_find(s, i, (enum voco_voxel_kind)kind, voxels - 1, at, scratch);
    }
}

/* Two bytes with the length of a manifest, the manifest, and a shard. */
int
fuzz_store(const uint8_t *bytes, size_t n)
{
    const size_t n_lines = n < 2 ? 0 : (size_t)get(bytes, 2);
    const struct voco_store_check check = { .threads = 1 };
    struct voco_store_scratch scratch = { 0 };
    struct voco_store *s;
    size_t n_text;
    uint8_t *shard;
    char *text;

    if (n < 2 || n_lines > n - 2)
        return 0;
    text = checked_lines(bytes + 2, n_lines, &n_text);
    shard = fixed_shard(bytes + 2 + n_lines, n - 2 - n_lines);
    fuzz_file("manifest.jsonl", text, n_text);
    fuzz_file("shard-00000.h5", shard, n - 2 - n_lines);
    if (voco_store_open(fuzz_folder(), &s) == VOCO_OK) {
        int names;

        voco_store_verify(s, &check);
        voco_store_n_classes(s);
        voco_store_classes(s, &names);
        for (int i = 0; i < voco_store_count(s); i++)
            read_entry(s, i, &scratch);
        voco_store_scratch_free(&scratch);
        voco_store_close(s);
    }
    free(text);
    free(shard);
    return 0;
}

/* ---- the codec ---- */

/* What our deflate makes, the library must inflate to the same.  The first byte chooses the
 * level and the number of planes. */
int
fuzz_deflate(const uint8_t *bytes, size_t n)
{
    static struct voco_deflater *deflater[2];
    static struct voco_inflater *inflater;
    const int level = n && bytes[0] & 1 ? 6 : VOCO_DEFLATE_RUNS;
    struct voco_deflater **d = &deflater[level == VOCO_DEFLATE_RUNS];
    const size_t planes = n && bytes[0] & 2 ? 2 : 1, plane = n ? (n - 1) / planes : 0;
    const size_t raw = plane * planes;
    uint8_t *packed, *again;
    size_t used;

    if (raw == 0)
        return 0;
    if ((!*d && voco_deflater_new(level, d) != VOCO_OK)
        || (!inflater && voco_inflater_new(&inflater) != VOCO_OK))
        abort();
    packed = malloc(voco_deflate_bound(raw));
    again = malloc(raw);
    if (!packed || !again)
        abort();
    used = voco_deflate(*d, bytes + 1, plane, planes, packed);
    if (!used || used > voco_deflate_bound(raw)
        || voco_inflate(inflater, packed, used, again, raw) != VOCO_OK
        || memcmp(again, bytes + 1, raw) != 0)
        abort();
    voco_inflate(inflater, bytes + 1, raw, again, raw);
    free(packed);
    free(again);
    return 0;
}

/* ---- reports of leaks, against a store of two volumes ---- */

static struct voco_store *
small_store(void)
{
    static struct voco_store *store;
    static float voxel[8 * 8 * 8];
    const struct voco_store_options options = { .chunk = 8 };
    const struct voco_volume v = { .dim = { 8, 8, 8 }, .voxel = voxel,
                                   .affine = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 },
                                               { 0, 0, 1, 0 }, { 0, 0, 0, 1 } } };
    struct voco_store_writer *w;
    char *path;

    if (store)
        return store;
    path = voco_format("%s/store", fuzz_folder());
    if (voco_store_create(path, &options, &w) != VOCO_OK)
        abort();
    for (int i = 0; i < 2; i++) {
        const struct voco_store_entry e = { .id = i ? "case-b" : "case-a", .source = "in.nii",
                                            .dataset = "", .preset = "ct",
                                            .transforms = "{}", .window = { 0, 1 } };

        if (voco_store_add(w, &e, &v, NULL) != VOCO_OK)
            abort();
    }
    if (voco_store_finish(w) != VOCO_OK || voco_store_open(path, &store) != VOCO_OK)
        abort();
    free(path);
    return store;
}

int
fuzz_leaklist(const uint8_t *bytes, size_t n)
{
    bool *out;
    int marked;

    if (voco_leak_report_read(fuzz_file("leak.json", bytes, n), small_store(), &out, &marked)
        == VOCO_OK) {
        fuzz_touch(out, 2 * sizeof *out);
        free(out);
    }
    return 0;
}
