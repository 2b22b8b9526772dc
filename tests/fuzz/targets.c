/* The readers of files of weights, called with anything. */
#include "tests/fuzz/targets.h"

#include <stdlib.h>
#include <string.h>

#include "tensorfile/names.h"
#include "tensorfile/pickle.h"
#include "tensorfile/torchfile.h"

static volatile unsigned sink;

static void
touch(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        sink += p[i];
}

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
            touch(all, f->item[i].bytes);
        touch(f->item[i].name, strlen(f->item[i].name));
        free(all);
    }
    for (int i = 0; i < f->n_meta; i++)
        touch(f->meta[i].value, strlen(f->meta[i].value));
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
            touch(f.foreign[i], strlen(f.foreign[i]));
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
            touch(all, whole);
        if (voco_zip_read(zip, i, half, whole - half, all) == VOCO_OK)
            touch(all, whole - half);
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
            touch(x->text.at, x->text.n);
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

#ifdef FUZZ_TARGET
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    return FUZZ_TARGET(bytes, n);
}
#endif
