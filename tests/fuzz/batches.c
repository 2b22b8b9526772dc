/* Replayed batches.  fuzz_replay and fuzz_densereplay have the HDF5 library write the file, so
 * that the reader meets every shape and no damage; fuzz_hdf5 reads any file, and finds crashes
 * of the library. */
#include <stdlib.h>

#include "base/file.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"
#include "objective/dense/dense.h"
#include "objective/dense/replay.h"
#include "objective/voco/replay.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

static const int grid[3] = { 3, 3, 1 };

/* A dataset by two bytes or more: its rank, its sizes, and its values, which are all the same.
 * Returns the bytes used. */
static size_t
write_set(struct voco_h5 *h, const char *name, const uint8_t *bytes, size_t n)
{
    static const int64_t size[16] = {
        1, 1, 2, 9, 7, 18, 32, 32, 32, 34, 0, 3, 31, 11, 22, 64
    };
    const int rank = n ? bytes[0] % 8 : 0;
    int64_t dim[8], count = 1;
    float *x;

    if (!n || bytes[0] & 0x80 || n < (size_t)rank + 2)
        return 1;
    for (int i = 0; i < rank; i++) {
        dim[i] = size[bytes[1 + i] % 16];
        count *= dim[i];
        if (count > 18 * 32 * 32 * 32)
            return 1;
    }
    x = malloc((size_t)(count + 1) * sizeof *x);
    if (!x)
        abort();
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)bytes[1 + rank] / 64 - 1;
    if (voco_h5_write_f32(h, name, rank, dim, x) != VOCO_OK)
        abort();
    free(x);
    return (size_t)rank + 2;
}

/* A file of n_names datasets, by the bytes. */
static void
write_file(const char *path, const char *const *name, int n_names, const uint8_t *bytes,
           size_t n)
{
    struct voco_h5 *h;

    if (voco_h5_create(path, &h) != VOCO_OK)
        abort();
    for (int i = 0; i < n_names; i++) {
        const size_t used = write_set(h, name[i], bytes, n);

        bytes += used < n ? used : n;
        n -= used < n ? used : n;
    }
    if (voco_h5_close(h) != VOCO_OK)
        abort();
}

int
fuzz_replay(const uint8_t *bytes, size_t n)
{
    static const char *const name[] = { "img", "crops", "labels", "keep" };
    char *path = voco_format("%s/replay.h5", fuzz_folder());
    struct voco_replay r;

    write_file(path, name, 4, bytes, n);
    if (voco_replay_open(path, grid, 3, &r) == VOCO_OK) {
        fuzz_touch(r.labels, (size_t)(r.volumes * r.sw * r.bases) * sizeof *r.labels);
        if (r.keep)
            fuzz_touch(r.keep, (size_t)(r.steps * r.volumes * (r.sw + r.bases)));
        voco_replay_free(&r);
    }
    free(path);
    return 0;
}

int
fuzz_densereplay(const uint8_t *bytes, size_t n)
{
    static const char *const name[] = { "x", "y", "mask", "foreground", "background",
                                        "boxes" };
    static const struct voco_fusion_config fusion = { .classes = 5 };
    static const struct voco_mae_config mae = { .fill = VOCO_FILL_MEAN };
    const struct voco_pretext *const pretext[] = { &voco_pretext_fusion, &voco_pretext_mae,
                                                   &voco_pretext_genesis };
    const void *const config[] = { &fusion, &mae, NULL };
    char *path = voco_format("%s/densereplay.h5", fuzz_folder());

    write_file(path, name, 6, bytes, n);
    for (int k = 0; k < 3; k++) {
        struct voco_dense_batch b;

        if (voco_dense_replay_open(path, pretext[k], config[k], &b) == VOCO_OK) {
            const size_t voxels = (size_t)(b.n * b.size[0] * b.size[1] * b.size[2]);

            fuzz_touch(b.x, voxels * sizeof *b.x);
            for (int i = 0; i < b.n && b.box; i++)
                fuzz_touch(b.box + (int64_t)i * b.most_boxes,
                           (size_t)b.n_box[i] * sizeof *b.box);
        }
        voco_dense_replay_free(&b);
    }
    free(path);
    return 0;
}

int
fuzz_hdf5(const uint8_t *bytes, size_t n)
{
    const char *path = fuzz_file("batch.h5", bytes, n);
    struct voco_cropset set[2];
    struct voco_replay r;
    int sets;

    if (voco_replay_open(path, grid, 1, &r) == VOCO_OK)
        voco_replay_free(&r);
    voco_cropfile_read(path, set, &sets);
    for (int i = 0; i < 2; i++)
        voco_cropset_free(&set[i]);
    return 0;
}
