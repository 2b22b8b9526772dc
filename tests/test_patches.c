/* Batches of plain crops: a function of (store, options, step), and of what is made of each
 * crop. */
#include "base/log.h"
#include "objective/pretrain/patches.h"
#include "store_util.h"
#include "tests/test.h"

enum { ROI = 8, VOLUMES = 4, BATCH = 3, CROPS = 2, VOXELS = ROI * ROI * ROI };

/* Of each crop: its double, and its key in the first voxels; the scratch is used. */
static enum voco_err
make(const void *user, const struct voco_patch_key *key, float *crop, float *const made[],
     void *scratch)
{
    float *twice = scratch;

    ck_assert_int_eq(*(const int *)user, 7);
    for (int i = 0; i < VOXELS; i++)
        twice[i] = 2 * crop[i];
    memcpy(made[0], twice, VOXELS * sizeof *twice);
    made[1][0] = (float)key->seed;
    made[1][1] = (float)key->step;
    made[1][2] = (float)key->sample;
    made[1][3] = (float)key->crop;
    return VOCO_OK;
}

static struct voco_patches_options
options(void)
{
    static const int seven = 7;

    return (struct voco_patches_options){
        .seed = 5, .batch = BATCH, .crops = CROPS, .roi = ROI, .augment = true, .n_made = 2,
        .make = make, .user = &seven, .scratch_bytes = VOXELS * sizeof(float) };
}

static struct voco_store *
small_store(char *folder)
{
    const struct voco_store_options o = { .type = VOCO_STORE_U16, .chunk = 8 };
    struct voco_store *s;

    store_of(folder, &o, VOLUMES, ROI + 9, ROI, ROI + 3);
    ok(voco_store_open(folder, &s));
    return s;
}

/* Checks batches first .. first+n-1 against the formula of the volumes; ret_crops gets their
 * crops. */
static void
walk(const struct voco_store *s, const struct voco_patches_options *o, int threads,
     int64_t first, int n, float *ret_crops)
{
    struct voco_patch_source *source;
    struct voco_batches *batches;

    ok(voco_patches_open(s, o, &source));
    ok(voco_batches_open(&voco_patches_kind, source, o->batch, threads, 2, first, &batches));
    for (int step = 0; step < n; step++) {
        const struct voco_patches *b;
        const void *next;

        ok(voco_batches_next(batches, &next, NULL));
        b = next;
        ck_assert_int_eq(b->head.step, first + step);
        for (int k = 0; k < BATCH * CROPS; k++) {
            const float *crop = b->crop + k * VOXELS;

            for (int i = 0; i < VOXELS; i++)
                ck_assert_float_eq(b->made[0][k * VOXELS + i], 2 * crop[i]);
            ck_assert_float_eq(b->made[1][k * VOXELS], (float)o->seed);
            ck_assert_float_eq(b->made[1][k * VOXELS + 1], (float)(first + step));
            ck_assert_float_eq(b->made[1][k * VOXELS + 2], (float)(k / CROPS));
            ck_assert_float_eq(b->made[1][k * VOXELS + 3], (float)(k % CROPS));
        }
        memcpy(ret_crops + step * BATCH * CROPS * VOXELS, b->crop,
               BATCH * CROPS * VOXELS * sizeof *ret_crops);
        for (int i = 0; !o->augment && i < BATCH * CROPS * VOXELS; i++) {
            const int64_t *start = b->start + 3 * (i / VOXELS);
            const int v = i % VOXELS;

            ck_assert_double_eq_tol(b->crop[i],
                                    voxel_of(b->head.volume[i / VOXELS / CROPS],
                                             start[0] + v / ROI / ROI,
                                             start[1] + v / ROI % ROI, start[2] + v % ROI),
                                    8e-6);
        }
    }
    voco_batches_close(batches);
    voco_patches_close(source);
}

START_TEST(threads_and_resume_change_nothing)
{
    enum { STEPS = 6, N = STEPS * BATCH * CROPS * VOXELS };
    static float one[N], many[N], later[N], other[N];
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_patches_options o = options();

    walk(s, &o, 1, 0, STEPS, one);
    walk(s, &o, 4, 0, STEPS, many);
    walk(s, &o, 3, 2, STEPS - 2, later);
    ck_assert_mem_eq(one, many, sizeof one);
    ck_assert_mem_eq(one + 2 * BATCH * CROPS * VOXELS, later,
                     (STEPS - 2) * BATCH * CROPS * VOXELS * sizeof *later);
    o.seed++;
    walk(s, &o, 1, 0, STEPS, other);
    ck_assert_mem_ne(one, other, sizeof one);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(crops_hold_the_voxels_of_their_places)
{
    enum { STEPS = 5 };
    static float crops[STEPS * BATCH * CROPS * VOXELS];
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_patches_options o = options();

    o.augment = false;
    walk(s, &o, 2, 3, STEPS, crops);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_volume_smaller_than_a_crop_is_refused_by_name)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_patches_options o = options();
    struct voco_patch_source *source;
    bool exclude[VOLUMES] = { false };

    o.roi = ROI + 1;
    fails(VOCO_EFORMAT, voco_patches_open(s, &o, &source));
    says("case000");
    says("17 x 8 x 11");
    o.exclude = exclude;
    for (int i = 0; i < VOLUMES - 1; i++)
        exclude[i] = true;
    fails(VOCO_EFORMAT, voco_patches_open(s, &o, &source));
    says("case003");
    o.roi = 1;
    fails(VOCO_EUSAGE, voco_patches_open(s, &o, &source));
    says("crop edge");
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("patches");
    TCase *t = tcase_create("patches");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    tcase_add_test(t, threads_and_resume_change_nothing);
    tcase_add_test(t, crops_hold_the_voxels_of_their_places);
    tcase_add_test(t, a_volume_smaller_than_a_crop_is_refused_by_name);
    return suite;
}
