/* The readers of files of weights. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tensorfile/names.h"
#include "tensorfile/pickle.h"
#include "tensorfile/torchfile.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

static volatile unsigned sink;

static void
read_all(struct voco_tensorfile *f)
{
    struct voco_nametable names;
    size_t total = 0;

    for (int i = 0; i < f->n; i++) {
        char *all;

        total += f->item[i].bytes;      /* many views of one storage: some are enough */
        if (total > 1 << 24)
            break;
        all = malloc(f->item[i].bytes + 1);
        if (!all)
            abort();
        if (voco_filetensor_copy(&f->item[i], all) == VOCO_OK)
            fuzz_touch(all, f->item[i].bytes);
        fuzz_touch(f->item[i].name, strlen(f->item[i].name));
        free(all);
    }
    for (int i = 0; i < f->n_meta; i++)
        fuzz_touch(f->meta[i].value, strlen(f->meta[i].value));
    if (voco_nametable_make(&names, f, "fuzz") == VOCO_OK)
        voco_nametable_free(&names);
    voco_tensorfile_close(f);
}

int
fuzz_safetensors(const uint8_t *bytes, size_t n)
{
    struct voco_tensorfile f;

    if (voco_safetensors_parse(&f, bytes, n, "fuzz") == VOCO_OK)
        read_all(&f);
    return 0;
}

int
fuzz_torchfile(const uint8_t *bytes, size_t n)
{
    struct voco_tensorfile f;

    if (voco_torchfile_parse(&f, bytes, n, "fuzz") == VOCO_OK) {
        for (int i = 0; i < f.n_foreign; i++)
            fuzz_touch(f.foreign[i], strlen(f.foreign[i]));
        read_all(&f);
    }
    return 0;
}

int
fuzz_zip(const uint8_t *bytes, size_t n)
{
    struct voco_zip *zip;

    if (voco_zip_open(&zip, bytes, n, "fuzz") != VOCO_OK)
        return 0;
    for (int i = 0; i < voco_zip_count(zip); i++) {
        const size_t whole = voco_zip_bytes(zip, i), half = whole / 2;
        char *all = malloc(whole + 1);

        if (!all || voco_zip_find(zip, voco_zip_name(zip, i)) != i)
            abort();
        voco_zip_check(zip, i);
        if (voco_zip_read(zip, i, 0, whole, all) == VOCO_OK)
            fuzz_touch(all, whole);
        if (voco_zip_read(zip, i, half, whole - half, all) == VOCO_OK)
            fuzz_touch(all, whole - half);
        free(all);
    }
    voco_zip_close(zip);
    return 0;
}

int
fuzz_pickle(const uint8_t *bytes, size_t n)
{
    struct voco_pickle p;

    if (voco_pickle_parse(&p, bytes, n, "fuzz") != VOCO_OK)
        return 0;
    if (p.root < 0 || p.root >= p.n)
        abort();
    for (int i = 0; i < p.n; i++) {
        const struct voco_pickle_node *x = voco_pickle_node(&p, i);

        for (int k = 0; k < x->n; k++)
            sink += (unsigned)voco_pickle_node(&p, x->item[k])->kind;
        switch (x->kind) {
        case VOCO_PICKLE_TEXT:
        case VOCO_PICKLE_BYTES:
            fuzz_touch(x->text.at, x->text.n);
            break;
        case VOCO_PICKLE_GLOBAL:
            free(voco_pickle_global_name(x));
            break;
        case VOCO_PICKLE_CALL:
            sink += (unsigned)voco_pickle_node(&p, x->callee)->kind
                + (unsigned)voco_pickle_node(&p, x->args)->kind;
            break;
        case VOCO_PICKLE_PERSISTENT:
            sink += (unsigned)voco_pickle_node(&p, x->args)->kind;
            break;
        default:
            break;
        }
    }
    voco_pickle_close(&p);
    return 0;
}

/* ---- a pickle in an archive of torch ---- */

struct archive {
    uint8_t bytes[1 << 16];
    size_t n;
    struct { const char *name; size_t at, size; uint32_t crc; } entry[4];
    int entries;
};

static void
put(struct archive *a, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        a->bytes[a->n++] = (uint8_t)(v >> 8 * i);
}

/* What the header of an entry and the directory have in common. */
static void
put_entry(struct archive *a, int i)
{
    put(a, 20, 2);                      /* the version that is needed */
    put(a, 0, 4);                       /* flags, stored */
    put(a, 0x00210000, 4);              /* 1 January 1980 */
    put(a, a->entry[i].crc, 4);
    put(a, a->entry[i].size, 4);
    put(a, a->entry[i].size, 4);
    put(a, strlen(a->entry[i].name), 2);
    put(a, 0, 2);
}

static void
put_bytes(struct archive *a, const void *bytes, size_t n)
{
    memcpy(a->bytes + a->n, bytes, n);
    a->n += n;
}

static void
add(struct archive *a, const char *name, const void *bytes, size_t n)
{
    const int i = a->entries++;

    a->entry[i].name = name;
    a->entry[i].at = a->n;
    a->entry[i].size = n;
    a->entry[i].crc = (uint32_t)crc32(0, bytes, (uInt)n);
    put(a, 0x04034b50, 4);
    put_entry(a, i);
    put_bytes(a, name, strlen(name));
    put_bytes(a, bytes, n);
}

static void
add_directory(struct archive *a)
{
    const size_t begin = a->n;

    for (int i = 0; i < a->entries; i++) {
        put(a, 0x02014b50, 4);
        put(a, 20, 2);
        put_entry(a, i);
        put(a, 0, 6);                   /* no comment, first disk, no attributes */
        put(a, 0, 4);
        put(a, a->entry[i].at, 4);
        put_bytes(a, a->entry[i].name, strlen(a->entry[i].name));
    }
    const size_t end = a->n;
    put(a, 0x06054b50, 4);
    put(a, 0, 4);
    put(a, (uint64_t)a->entries, 2);
    put(a, (uint64_t)a->entries, 2);
    put(a, end - begin, 4);
    put(a, begin, 4);
    put(a, 0, 2);
}

/* The input is the pickle; two storages and the checksums are there. */
int
fuzz_torchtree(const uint8_t *bytes, size_t n)
{
    static const uint8_t storage[256] = { 1, 2, 3 };
    static struct archive a;
    uint8_t *exact;

    if (n > sizeof a.bytes - 2048)
        return 0;
    a.n = 0;
    a.entries = 0;
    add(&a, "a/data.pkl", bytes, n);
    add(&a, "a/byteorder", "little", 6);
    add(&a, "a/data/0", storage, sizeof storage);
    add(&a, "a/data/1", storage, 24);
    add_directory(&a);
    exact = malloc(a.n);
    if (!exact)
        abort();
    memcpy(exact, a.bytes, a.n);
    fuzz_torchfile(exact, a.n);
    free(exact);
    return 0;
}
