/* The loader: batches are a function of (store, options, step) alone. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "data/batch/augment.h"
#include "objective/pretrain/augment.h"
#include "objective/voco/batch.h"
#include "data/batch/sampler.h"
#include "loader_util.h"
#include "store_util.h"
#include "tests/test.h"

enum { ROI = 8, VOLUMES = 5, BASES = 9 };

static enum voco_err
open_loader(const struct voco_store *s, const struct voco_loader_options *o, int64_t first,
            struct loader *ret)
{
    struct voco_loader *source;
    enum voco_err err = voco_loader_open(s, o, &source);

    if (err)
        return err;
    ret->source = source;
    err = start_batches(ret, &voco_crops_kind, o->batch, first);
    if (err)
        voco_loader_close(source);
    return err;
}

static void
close_loader(struct loader *l)
{
    voco_batches_close(l->batches);
    voco_loader_close(l->source);
}

static struct voco_loader_options
options(int threads)
{
    loader_threads = threads;
    loader_ahead = 2;
    return (struct voco_loader_options){.seed = 11, .batch = 3, .sw = 2, .roi = ROI,
                                        .grid = {.n = {3, 3, 1}, .edge = ROI},
                                        .augment = true, .shift = 0.5};
}

static struct voco_store *
small_store(char *folder)
{
    const struct voco_store_options o = {.type = VOCO_STORE_U16, .chunk = 8};
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &o, &w));
    for (int k = 0; k < VOLUMES; k++)
        ok(add(w, k, k < 2 ? "chest" : "abdomen", 3 * ROI + 5, 3 * ROI + k, ROI + 3));
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    return s;
}

/* CRC of everything in batches first .. first+n-1. */
static void
sums(const struct voco_store *s, const struct voco_loader_options *o, int64_t first,
     int n, uint32_t *crc)
{
    struct loader l;
    const struct voco_batch *b;

    ok(open_loader(s, o, first, &l));
    for (int i = 0; i < n; i++) {
        ok(next_batch(&l, &b, NULL));
        const size_t crops = (size_t)b->head.n_volumes * (size_t)b->sw;
        const size_t voxels = (size_t)(b->roi * b->roi * b->roi);

        ck_assert_int_eq(b->head.step, first + i);
        crc[i] = voco_crc32c(0, b->img, crops * voxels * sizeof *b->img);
        crc[i] = voco_crc32c(crc[i], b->crops, (size_t)b->head.n_volumes * BASES * voxels
                             * sizeof *b->crops);
        crc[i] = voco_crc32c(crc[i], b->labels, crops * BASES * sizeof *b->labels);
        crc[i] = voco_crc32c(crc[i], b->head.volume, (size_t)b->head.n_volumes * sizeof *b->head.volume);
        crc[i] = voco_crc32c(crc[i], b->start, crops * 3 * sizeof *b->start);
        crc[i] = voco_crc32c(crc[i], b->block,
                             (size_t)b->head.n_volumes * 3 * sizeof *b->block);
    }
    close_loader(&l);
}

START_TEST(threads_and_resume_change_nothing)
{
    enum { STEPS = 12 };
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    uint32_t one[STEPS], many[STEPS], later[STEPS], other[STEPS];
    struct voco_loader_options o = options(1);

    sums(s, &o, 0, STEPS, one);
    o = options(4);
    sums(s, &o, 0, STEPS, many);
    loader_ahead = 7;
    sums(s, &o, 7, STEPS - 7, later);
    ck_assert_mem_eq(one, many, sizeof one);
    ck_assert_mem_eq(one + 7, later, (STEPS - 7) * sizeof *later);
    o.seed++;
    sums(s, &o, 0, STEPS, other);
    for (int i = 0; i < STEPS; i++) {
        ck_assert_uint_ne(one[i], other[i]);
        ck_assert(i == 0 || one[i] != one[i - 1]);
    }
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* Voxel (x,y,z) of the block of sample i, by the formula of the volumes. */
static double
formula(const struct voco_batch *b, int i, int64_t x, int64_t y, int64_t z)
{
    const int64_t *start = b->block + 3 * i;

    return voxel_of(b->head.volume[i], start[0] + x, start[1] + y, start[2] + z);
}

START_TEST(crops_hold_the_voxels_of_their_places)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_loader_options o = options(2);
    struct loader l;
    const struct voco_batch *b;
    double waited = -1;

    o.augment = false;
    ok(open_loader(s, &o, 0, &l));
    for (int step = 0; step < 4; step++) {
        ok(next_batch(&l, &b, &waited));
        ck_assert_double_ge(waited, 0);
        for (int n = 0; n < b->head.n_volumes * (BASES + b->sw) * ROI * ROI * ROI; n++) {
            const int z = n % ROI, y = n / ROI % ROI, x = n / ROI / ROI % ROI;
            const int k = n / ROI / ROI / ROI % (BASES + b->sw);
            const int i = n / ROI / ROI / ROI / (BASES + b->sw);
            const int voxel = (x * ROI + y) * ROI + z;
            double got, want;

            if (k < BASES) {
                got = b->crops[(i * BASES + k) * ROI * ROI * ROI + voxel];
                want = formula(b, i, k / 3 * ROI + x, k % 3 * ROI + y, z);
            } else {
                const int r = i * b->sw + k - BASES;
                const int *c = b->start + 3 * r;

                got = b->img[r * ROI * ROI * ROI + voxel];
                want = formula(b, i, c[0] + x, c[1] + y, c[2] + z);
            }
            ck_assert_double_eq_tol(got, want, 8e-6);
        }
        for (int r = 0; r < b->head.n_volumes * b->sw; r++) {
            float label[BASES];

            voco_crop_labels(&o.grid, b->start + 3 * r, label);
            ck_assert_mem_eq(b->labels + r * BASES, label, sizeof label);
        }
    }
    close_loader(&l);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(augmentation_changes_voxels_but_not_labels)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_loader_options o = options(2), plain = options(2);
    struct loader l, m;
    const struct voco_batch *a, *b;
    enum { VOXELS = ROI * ROI * ROI };
    const int64_t dim[3] = {ROI, ROI, ROI}, zero[3] = {0, 0, 0};
    float want[VOXELS];

    plain.augment = false;
    ok(open_loader(s, &o, 3, &l));
    ok(open_loader(s, &plain, 3, &m));
    ok(next_batch(&l, &a, NULL));
    ok(next_batch(&m, &b, NULL));
    ck_assert_mem_eq(a->labels, b->labels,
                     (size_t)(a->head.n_volumes * a->sw * BASES) * sizeof *a->labels);
    for (int i = 0; i < a->head.n_volumes; i++)
        for (int k = 0; k < BASES; k++) {
            const struct voco_augment g = voco_crop_augment(o.seed, 3, i, k);

            voco_crop_copy(&g, b->crops + (i * BASES + k) * VOXELS, dim, zero,
                              ROI, want);
            ck_assert_mem_eq(a->crops + (i * BASES + k) * VOXELS, want, sizeof want);
        }
    close_loader(&l);
    close_loader(&m);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(an_epoch_holds_every_volume_as_often_as_its_weight)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    const char *repeat[2] = {"abdomen=4", "chest=2"};
    const char *one[1] = {"abdomen=0"};
    struct voco_sampler sampler;
    bool different = false;
    int first[16];

    ok(voco_sampler_init(&sampler, s, 1, repeat, 2, NULL));
    ck_assert_int_eq(sampler.length, 2 * 2 + 3 * 4);
    for (int epoch = 0; epoch < 3; epoch++) {
        int count[VOLUMES] = {0};

        for (int p = 0; p < 16; p++) {
            const int v = voco_sampler_at(&sampler, epoch * 16 + p);

            count[v]++;
            if (epoch == 0)
                first[p] = v;
            else
                different = different || v != first[p];
        }
        for (int v = 0; v < VOLUMES; v++)
            ck_assert_int_eq(count[v], v < 2 ? 2 : 4);
    }
    ck_assert(different);
    ck_assert_int_eq(voco_sampler_at(&sampler, 5), first[5]);
    voco_sampler_free(&sampler);
    ok(voco_sampler_init(&sampler, s, 1, one, 1, NULL));
    ck_assert_int_eq(sampler.length, 2);
    voco_sampler_free(&sampler);
    ok(voco_sampler_init(&sampler, s, 1, NULL, 0,
                         (const bool[VOLUMES]){ false, true, false, true }));
    ck_assert_int_eq(sampler.length, VOLUMES - 2);
    for (int p = 0; p < 2 * VOLUMES; p++) {
        const int v = voco_sampler_at(&sampler, p);

        ck_assert(v != 1 && v != 3);
    }
    voco_sampler_free(&sampler);
    fails(VOCO_EUSAGE, voco_sampler_init(&sampler, s, 1, NULL, 0,
                                         (const bool[VOLUMES]){ true, true, true, true,
                                                                true }));
    says("excluded");
    voco_sampler_free(&sampler);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(wrong_repeat_weights_are_refused_by_name)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    const char *bad[] = {"abdomen", "abdomen=", "abdomen=-1", "abdomen=2x", "=3",
                         "abdomen=99999999999999999999"};
    const char *unknown = "abdomne=2", *none[2] = {"abdomen=0", "chest=0"};
    struct voco_sampler sampler;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fails(VOCO_EUSAGE, voco_sampler_init(&sampler, s, 1, &bad[i], 1, NULL));
        says(bad[i]);
        voco_sampler_free(&sampler);
    }
    fails(VOCO_EUSAGE, voco_sampler_init(&sampler, s, 1, &unknown, 1, NULL));
    says("it has: chest, abdomen");
    voco_sampler_free(&sampler);
    fails(VOCO_EUSAGE, voco_sampler_init(&sampler, s, 1, none, 2, NULL));
    voco_sampler_free(&sampler);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_volume_smaller_than_the_block_is_refused_by_name)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    struct voco_loader_options o = options(1);
    struct loader l;

    o.roi = o.grid.edge = 10;
    fails(VOCO_EFORMAT, open_loader(s, &o, 0, &l));
    says("case000");
    o.roi = o.grid.edge = 1;
    fails(VOCO_EUSAGE, open_loader(s, &o, 0, &l));
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* Turns one byte around in the middle of a file. */
static void
damage(const char *path)
{
    struct stat st;
    uint8_t byte;
    const int fd = open(path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    for (off_t at = st.st_size / 3; at < st.st_size / 2; at += 7) {
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

START_TEST(a_damaged_chunk_arrives_as_an_error_that_names_volume_and_shard)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    char *shard = voco_format("%s/shard-00000.h5", folder);
    struct loader l;
    const struct voco_batch *b;
    char said[2][200];

    damage(shard);
    for (int t = 0; t < 2; t++) {
        const struct voco_loader_options o = options(t ? 4 : 1);
        enum voco_err err = VOCO_OK;

        ok(open_loader(s, &o, 0, &l));
        for (int i = 0; i < 20 && !err; i++)
            err = next_batch(&l, &b, NULL);
        ck_assert_int_eq(err, VOCO_EFORMAT);
        says("case00");
        says("shard-00000.h5");
        snprintf(said[t], sizeof said[t], "%s", voco_fail_text());
        fails(VOCO_EFORMAT, next_batch(&l, &b, NULL));     /* and stays */
        close_loader(&l);
    }
    ck_assert_str_eq(said[0], said[1]);     /* whatever thread met it first */
    free(shard);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* Threads and open files of this process. */
static int
entries(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A thread that was joined may be listed for a moment. */
static bool
threads_become(int n)
{
    for (int i = 0; i < 1000 && entries("/proc/self/task") != n; i++)
        usleep(1000);
    return entries("/proc/self/task") == n;
}

START_TEST(closing_early_leaves_no_thread_and_no_file_and_changes_no_batch)
{
    char *folder = scratch_folder();
    struct voco_store *s = small_store(folder);
    const struct voco_loader_options o = options(4);
    struct loader l;
    const struct voco_batch *b;
    uint32_t want[2], got[2];
    int threads, files;

    sums(s, &o, 0, 2, want);            /* what is made once and stays is there now */
    threads = entries("/proc/self/task");
    files = entries("/proc/self/fd");
    for (int i = 0; i < 20; i++) {
        ok(open_loader(s, &o, i, &l));
        if (i % 2)
            ok(next_batch(&l, &b, NULL));
        close_loader(&l);
    }
    ck_assert_msg(threads_become(threads), "there were %d threads, now %d", threads,
                  entries("/proc/self/task"));
    ck_assert_int_eq(entries("/proc/self/fd"), files);
    sums(s, &o, 0, 2, got);
    ck_assert_mem_eq(got, want, sizeof want);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("loader");
    TCase *t = tcase_create("loader");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    tcase_add_test(t, threads_and_resume_change_nothing);
    tcase_add_test(t, crops_hold_the_voxels_of_their_places);
    tcase_add_test(t, augmentation_changes_voxels_but_not_labels);
    tcase_add_test(t, an_epoch_holds_every_volume_as_often_as_its_weight);
    tcase_add_test(t, wrong_repeat_weights_are_refused_by_name);
    tcase_add_test(t, a_volume_smaller_than_the_block_is_refused_by_name);
    tcase_add_test(t, a_damaged_chunk_arrives_as_an_error_that_names_volume_and_shard);
    tcase_add_test(t, closing_early_leaves_no_thread_and_no_file_and_changes_no_batch);
    return suite;
}
