/* Replayed batches.  fuzz_replay has the HDF5 library write the file, so that the reader meets
 * every shape and no damage; fuzz_hdf5 reads any file, and finds crashes of the library. */
#include <stdlib.h>

#include "base/file.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"
#include "objective/voco/replay.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

/* A dataset by two bytes or more: its rank, its sizes, and its values, which are all the same.
 * Returns the bytes used. */
static size_t
write_set(struct voco_h5 *h, const char *name, const uint8_t *bytes, size_t n)
{
    static const int64_t size[16] = {
        1, 1, 2, 9, 9, 18, 32, 32, 32, 34, 0, 3, 31, 11, 22, 64
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

int
fuzz_replay(const uint8_t *bytes, size_t n)
{
    static const char *const name[] = { "img", "crops", "labels", "keep" };
    char *path = voco_format("%s/replay.h5", fuzz_folder());
    struct voco_replay r;
    struct voco_h5 *h;

    if (voco_h5_create(path, &h) != VOCO_OK)
        abort();
    for (int i = 0; i < 4; i++) {
        const size_t used = write_set(h, name[i], bytes, n);

        bytes += used < n ? used : n;
        n -= used < n ? used : n;
    }
    if (voco_h5_close(h) != VOCO_OK)
        abort();
    if (voco_replay_open(path, 3, &r) == VOCO_OK) {
        fuzz_touch(r.labels, (size_t)(r.volumes * r.sw * r.bases) * sizeof *r.labels);
        if (r.keep)
            fuzz_touch(r.keep, (size_t)(r.steps * r.volumes * (r.sw + r.bases)));
        voco_replay_free(&r);
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

    if (voco_replay_open(path, 1, &r) == VOCO_OK)
        voco_replay_free(&r);
    voco_cropfile_read(path, set, &sets);
    for (int i = 0; i < 2; i++)
        voco_cropset_free(&set[i]);
    return 0;
}
