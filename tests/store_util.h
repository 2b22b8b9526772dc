/* Small stores for tests: volumes that are a formula, in scratch folders. */
#ifndef VOCO_TESTS_STORE_UTIL_H
#define VOCO_TESTS_STORE_UTIL_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/store/store.h"

#define ok(call) ck_assert_msg((call) == VOCO_OK, "%s: %s", #call, voco_fail_text())
#define fails(want, call) do {                                                     \
        const enum voco_err got_ = (call);                                         \
        ck_assert_msg(got_ == (want), "%s: got %d (%s), want %d", #call, (int)got_,\
                      voco_fail_text(), (int)(want));                              \
    } while (0)
#define says(part) \
    ck_assert_msg(strstr(voco_fail_text(), part), "\"%s\" says nothing of \"%s\"", \
                  voco_fail_text(), part)

static const struct voco_store_check check_all = {.threads = 2};

static inline char *
scratch_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    char *path = voco_format("%s/voco-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");

    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static inline void
scratch_remove(char *path)
{
    ok(voco_folder_remove(path));
    free(path);
}

/* Voxel (x,y,z) of volume k, in [0,1]: smooth with some noise, as real ones are. */
static inline float
voxel_of(int k, int64_t x, int64_t y, int64_t z)
{
    const uint32_t noise = (uint32_t)((x * 83 + y) * 91 + z + k * 7) * 2654435761u;

    return (float)((x + 2 * y + 3 * z + k) % 97) / 97 * 0.9f
        + (float)(noise >> 16) / 65535 * 0.1f;
}

/* scale and offset: 1, 0 for [0,1], else intensities. */
static inline struct voco_volume
volume_of(int k, int64_t nx, int64_t ny, int64_t nz, float scale, float offset)
{
    struct voco_volume v = {.dim = {nx, ny, nz}};

    v.voxel = malloc((size_t)(nx * ny * nz) * sizeof *v.voxel);
    VOCO_ASSERT(v.voxel);       /* not Check's: in a child that is killed it tears its log */
    for (int64_t x = 0, i = 0; x < nx; x++)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t z = 0; z < nz; z++)
                v.voxel[i++] = voxel_of(k, x, y, z) * scale + offset;
    for (int a = 0; a < 3; a++) {
        v.affine[a][a] = 1.5;
        v.affine[a][3] = -10 * a;
    }
    v.affine[3][3] = 1;
    return v;
}

static inline struct voco_store_entry
entry_of(const char *id, const char *dataset)
{
    return (struct voco_store_entry){
        .id = id, .source = "in/case.nii.gz", .dataset = dataset, .preset = "abdomen",
        .transforms = "{\"spacing\":[1.5,1.5,1.5]}", .window = {-175, 250}
    };
}

static inline enum voco_err
add(struct voco_store_writer *w, int k, const char *dataset, int64_t nx, int64_t ny,
    int64_t nz)
{
    char id[32];
    struct voco_volume v = volume_of(k, nx, ny, nz, 1, 0);

    snprintf(id, sizeof id, "case%03d", k);
    const struct voco_store_entry e = entry_of(id, dataset);
    const enum voco_err err = voco_store_add(w, &e, &v, NULL);
    free(v.voxel);
    return err;
}

/* A store of n volumes of the same size. */
static inline void
store_of(const char *path, const struct voco_store_options *o, int n, int64_t nx,
         int64_t ny, int64_t nz)
{
    struct voco_store_writer *w;

    ok(voco_store_create(path, o, &w));
    for (int k = 0; k < n; k++)
        ok(add(w, k, "abdomen", nx, ny, nz));
    ok(voco_store_finish(w));
}

#endif
