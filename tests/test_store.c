/* The store: what is written comes back, in any order, from any number of threads. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "store_util.h"
#include "tests/test.h"

static float *
read_all(const struct voco_store *s, int i)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const int64_t zero[3] = {0, 0, 0};
    struct voco_store_scratch scratch = {0};
    float *x = malloc((size_t)(e->dim[0] * e->dim[1] * e->dim[2]) * sizeof *x);

    ck_assert_ptr_nonnull(x);
    ok(voco_store_read(s, i, zero, e->dim, x, &scratch));
    voco_store_scratch_free(&scratch);
    return x;
}

static const int64_t sizes[][3] = {
    {1, 1, 1}, {5, 70, 33}, {64, 64, 64}, {65, 31, 100}, {7, 8, 9}, {33, 32, 31}
};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

/* Every voxel of every size must come back within bound of (voxel * scale + offset)
 * mapped by the window. */
static void
round_trip(enum voco_store_type type, int chunk, float scale, float offset, double bound)
{
    char *folder = scratch_folder();
    char *path = voco_format("%s/s", folder);
    const struct voco_store_options o = {.type = type, .chunk = chunk};
    struct voco_store_writer *w;
    struct voco_store *s;
    int64_t clipped;

    ok(voco_store_create(path, &o, &w));
    for (int k = 0; k < N_SIZES; k++) {
        char id[16];
        struct voco_volume v = volume_of(k, sizes[k][0], sizes[k][1], sizes[k][2], scale,
                                         offset);
        snprintf(id, sizeof id, "v%d", k);
        struct voco_store_entry e = entry_of(id, "a");
        e.window[0] = offset;
        e.window[1] = offset + scale;
        ok(voco_store_add(w, &e, &v, &clipped));
        ck_assert_int_eq(clipped, 0);
        free(v.voxel);
    }
    ok(voco_store_finish(w));
    ok(voco_store_open(path, &s));
    ck_assert_int_eq(voco_store_count(s), N_SIZES);
    ck_assert_int_eq(voco_store_element(s), type);
    for (int k = 0; k < N_SIZES; k++) {
        const int64_t *n = sizes[k];
        float *x = read_all(s, k);

        for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
            const float want = voxel_of(k, i / n[2] / n[1], i / n[2] % n[1], i % n[2]);

            ck_assert_msg(fabs((double)x[i] - want) <= bound, "volume %d voxel %lld: got "
                          "%.9g want %.9g", k, (long long)i, x[i], want);
        }
        free(x);
    }
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    free(path);
    scratch_remove(folder);
}

START_TEST(u16_comes_back_within_half_a_step)
{
    round_trip(VOCO_STORE_U16, 0, 1, 0, 0.5 / 65535 + 1e-7);
    round_trip(VOCO_STORE_U16, 64, 1, 0, 0.5 / 65535 + 1e-7);
}
END_TEST

START_TEST(f32_comes_back_bit_exact)
{
    round_trip(VOCO_STORE_F32, 0, 1, 0, 0);
    round_trip(VOCO_STORE_F32, 8, 1, 0, 0);
}
END_TEST

START_TEST(i16_comes_back_within_half_a_unit_of_the_window)
{
    round_trip(VOCO_STORE_I16, 0, 425, -175, 0.5 / 425 + 1e-6);
}
END_TEST

START_TEST(u16_ends_are_exact_and_voxels_outside_are_clipped_and_counted)
{
    char *folder = scratch_folder();
    const struct voco_store_options o = {.type = VOCO_STORE_U16};
    struct voco_volume v = volume_of(0, 2, 2, 2, 0, 0);
    const float in[8] = {0, 1, -0.5f, 1.5f, NAN, 0.5f, INFINITY, 1e-9f};
    const float want[8] = {0, 1, 0, 1, 0, 32768 / 65535.0f, 1, 0};
    const struct voco_store_entry e = entry_of("v", "a");
    struct voco_store_writer *w;
    struct voco_store *s;
    int64_t clipped;

    memcpy(v.voxel, in, sizeof in);
    ok(voco_store_create(folder, &o, &w));
    ok(voco_store_add(w, &e, &v, &clipped));
    ck_assert_int_eq(clipped, 4);
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    float *x = read_all(s, 0);
    for (int i = 0; i < 8; i++)
        ck_assert_float_eq(x[i], want[i]);
    free(x);
    free(v.voxel);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(i16_window_can_be_chosen_when_reading)
{
    char *folder = scratch_folder();
    const struct voco_store_options o = {.type = VOCO_STORE_I16};
    struct voco_volume v = volume_of(0, 1, 1, 6, 0, 0);
    const float in[6] = {-1000, -175, 0, 250, 3000, 40000};
    const struct voco_store_entry e = entry_of("v", "a");
    struct voco_store_writer *w;
    struct voco_store *s;
    int64_t clipped;

    memcpy(v.voxel, in, sizeof in);
    ok(voco_store_create(folder, &o, &w));
    ok(voco_store_add(w, &e, &v, &clipped));
    ck_assert_int_eq(clipped, 1);
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    float *x = read_all(s, 0);
    ck_assert(x[0] == 0 && x[1] == 0 && x[3] == 1 && x[4] == 1);
    ck_assert_float_eq_tol(x[2], 175.0f / 425, 1e-6);
    free(x);
    voco_store_set_window(s, -1000, 3000);
    x = read_all(s, 0);
    ck_assert(x[0] == 0 && x[4] == 1 && x[5] == 1);
    ck_assert_float_eq_tol(x[1], 825.0f / 4000, 1e-6);
    free(x);
    free(v.voxel);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_box_is_a_part_of_the_whole_and_touches_only_its_chunks)
{
    enum { NX = 50, NY = 37, NZ = 41, CHUNK = 16 };
    const int64_t n[3] = {NX, NY, NZ};
    char *folder = scratch_folder();
    const struct voco_store_options o = {.type = VOCO_STORE_U16, .chunk = CHUNK};
    struct voco_store_scratch scratch = {0};
    struct voco_store *s;
    uint32_t r = 1;

    store_of(folder, &o, 2, NX, NY, NZ);
    ok(voco_store_open(folder, &s));
    float *all = read_all(s, 1);
    float *part = malloc(NX * NY * NZ * sizeof *part);
    ck_assert_ptr_nonnull(part);
    for (int t = 0; t < 200; t++) {
        int64_t start[3], size[3], chunks = 1;

        for (int a = 0; a < 3; a++) {
            r = r * 1664525 + 1013904223;
            start[a] = (int64_t)(r >> 8) % n[a];
            r = r * 1664525 + 1013904223;
            size[a] = 1 + (int64_t)(r >> 8) % (n[a] - start[a]);
            chunks *= (start[a] + size[a] - 1) / CHUNK - start[a] / CHUNK + 1;
        }
        scratch.chunks = scratch.reads = 0;
        ok(voco_store_read(s, 1, start, size, part, &scratch));
        ck_assert_int_eq(scratch.chunks, chunks);
        ck_assert_int_le(scratch.reads, chunks);
        const float *p = part;
        for (int64_t x = start[0]; x < start[0] + size[0]; x++)
            for (int64_t y = start[1]; y < start[1] + size[1]; y++, p += size[2])
                ck_assert_mem_eq(p, all + (x * NY + y) * NZ + start[2],
                                 (size_t)size[2] * sizeof *p);
    }
    const int64_t start[3] = {0, 30, 0}, size[3] = {1, 8, 1}, below[3] = {-1, 0, 0};
    fails(VOCO_EUSAGE, voco_store_read(s, 1, start, size, part, &scratch));
    says("case001");
    fails(VOCO_EUSAGE, voco_store_read(s, 1, below, size, part, &scratch));
    free(all);
    free(part);
    voco_store_scratch_free(&scratch);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(an_entry_says_what_was_given)
{
    char *folder = scratch_folder();
    const struct voco_store_options o = {.type = VOCO_STORE_U16};
    struct voco_volume v = volume_of(3, 4, 5, 6, 1, 0);
    struct voco_store_entry e = entry_of("a/b %2F\"\xc3\xa9.\xff", "abdo\tmen");
    struct voco_store_writer *w;
    struct voco_store *s;

    e.source = "";
    e.window[0] = 0.1;
    ok(voco_store_create(folder, &o, &w));
    ck_assert_ptr_null(voco_store_written(w, e.id));
    ok(voco_store_add(w, &e, &v, NULL));
    ck_assert_ptr_nonnull(voco_store_written(w, e.id));
    fails(VOCO_EUSAGE, voco_store_add(w, &e, &v, NULL));
    e.id = ".";
    ok(voco_store_add(w, &e, &v, NULL));
    e.id = "";
    fails(VOCO_EUSAGE, voco_store_add(w, &e, &v, NULL));
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    ck_assert_int_eq(voco_store_count(s), 2);
    const struct voco_store_entry *got = voco_store_entry(s, 1);
    ck_assert_str_eq(got->id, "a/b %2F\"\xc3\xa9.?");
    ck_assert_str_eq(got->dataset, "abdo\tmen");
    ck_assert_str_eq(got->source, "");
    ck_assert_str_eq(got->preset, "abdomen");
    ck_assert_str_eq(got->transforms, "{\"spacing\":[1.5,1.5,1.5]}");
    ck_assert_ptr_null(got->reason);
    ck_assert_mem_eq(got->dim, v.dim, sizeof v.dim);
    ck_assert_mem_eq(got->affine, v.affine, sizeof v.affine);
    ck_assert_mem_eq(got->window, e.window, sizeof e.window);
    ck_assert_double_eq(got->spacing_mm[1], 1.5);
    free(v.voxel);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(index_and_hash_do_not_depend_on_order_or_shards)
{
    char *folder[2] = {scratch_folder(), scratch_folder()};
    struct voco_store *s[2];

    for (int f = 0; f < 2; f++) {
        const struct voco_store_options o = {.shard_bytes = f ? 1 : 0};
        struct voco_store_writer *w;

        ok(voco_store_create(folder[f], &o, &w));
        for (int k = 0; k < 5; k++)
            ok(add(w, f ? 4 - k : k, "a", 9, 9, 9 + (f ? 4 - k : k)));
        ok(voco_store_finish(w));
        ok(voco_store_open(folder[f], &s[f]));
    }
    ck_assert_uint_eq(voco_store_hash(s[0]), voco_store_hash(s[1]));
    for (int k = 0; k < 5; k++) {
        float *x = read_all(s[0], k), *y = read_all(s[1], k);

        ck_assert_int_eq(voco_store_entry(s[1], k)->dim[2], 9 + k);
        ck_assert_mem_eq(x, y, (size_t)(81 * (9 + k)) * sizeof *x);
        free(x);
        free(y);
    }
    char *fifth = voco_format("%s/shard-00004.h5", folder[1]);
    ck_assert(voco_file_exists(fifth));
    free(fifth);
    for (int f = 0; f < 2; f++) {
        voco_store_close(s[f]);
        scratch_remove(folder[f]);
    }
}
END_TEST

START_TEST(a_rejected_volume_may_be_stored_later)
{
    char *folder = scratch_folder();
    const struct voco_store_options o = {.type = VOCO_STORE_U16};
    const struct voco_store_entry e = entry_of("case000", "a"), f = entry_of("bad", "a");
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &o, &w));
    ok(voco_store_reject(w, &e, "first reason"));
    ok(voco_store_reject(w, &e, "second reason"));
    ok(voco_store_reject(w, &f, "4-D: 12 time points"));
    ok(voco_store_finish(w));
    ok(voco_store_create(folder, &o, &w));
    ck_assert_str_eq(voco_store_written(w, "case000")->reason, "second reason");
    ok(add(w, 0, "a", 9, 9, 9));
    ck_assert_ptr_null(voco_store_written(w, "case000")->reason);
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    ck_assert_int_eq(voco_store_count(s), 1);
    ck_assert_int_eq(voco_store_rejects(s), 1);
    ck_assert_str_eq(voco_store_reject_entry(s, 0)->id, "bad");
    ck_assert_str_eq(voco_store_reject_entry(s, 0)->reason, "4-D: 12 time points");
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_store_keeps_its_options_and_a_folder_its_files)
{
    char *folder = scratch_folder();
    char *store = voco_format("%s/deep/er", folder);
    struct voco_store_options o = {.type = VOCO_STORE_U16, .chunk = 16};
    struct voco_store_writer *w, *second;
    struct voco_store *s;

    fails(VOCO_EFORMAT, voco_store_open(folder, &s));
    says("not a voco store");
    store_of(store, &o, 1, 9, 9, 9);
    fails(VOCO_EUSAGE, voco_store_create(folder, &o, &w));      /* holds "deep" */
    o.chunk = 32;
    fails(VOCO_EUSAGE, voco_store_create(store, &o, &w));
    o.chunk = 0;
    o.type = VOCO_STORE_F32;
    fails(VOCO_EUSAGE, voco_store_create(store, &o, &w));
    says("u16");
    o.type = VOCO_STORE_U16;
    ok(voco_store_create(store, &o, &w));
    fails(VOCO_EUSAGE, voco_store_create(store, &o, &second));
    says("another voco");
    ok(voco_store_finish(w));
    o.chunk = 1000;
    fails(VOCO_EUSAGE, voco_store_create(store, &o, &w));
    o = (struct voco_store_options){.level = 17};
    fails(VOCO_EUSAGE, voco_store_create(store, &o, &w));
    free(store);
    scratch_remove(folder);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4, EACH = 6 };

struct job {
    struct voco_store_writer *w;
    const struct voco_store *s;
    int number;
    enum voco_err err;
};

static void *
write_some(void *user)
{
    struct job *j = user;

    for (int k = 0; k < EACH && !j->err; k++)
        j->err = add(j->w, j->number * EACH + k, "a", 20, 21, 22);
    return NULL;
}

static void *
read_some(void *user)
{
    struct job *j = user;
    const int64_t start[3] = {3, 2, 1}, size[3] = {17, 18, 19};
    struct voco_store_scratch scratch = {0};
    float *x = malloc(17 * 18 * 19 * sizeof *x);

    for (int k = 0; x && k < THREADS * EACH && !j->err; k++) {
        const int i = (k * 5 + j->number) % (THREADS * EACH);

        j->err = voco_store_read(j->s, i, start, size, x, &scratch);
        for (int v = 0; v < 17 * 18 * 19 && !j->err; v++)
            if (fabsf(x[v] - voxel_of(i, v / 19 / 18 + 3, v / 19 % 18 + 2, v % 19 + 1))
                > 8e-6f)
                j->err = VOCO_EINTERNAL;
    }
    free(x);
    voco_store_scratch_free(&scratch);
    return NULL;
}

static void
run_threads(void *(*work)(void *), struct voco_store_writer *w,
            const struct voco_store *s)
{
    pthread_t thread[THREADS];
    struct job job[THREADS];

    for (int t = 0; t < THREADS; t++) {
        job[t] = (struct job){.w = w, .s = s, .number = t};
        ck_assert_int_eq(pthread_create(&thread[t], NULL, work, &job[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(thread[t], NULL);
        ck_assert_int_eq(job[t].err, VOCO_OK);
    }
}

START_TEST(many_threads_write_and_read)
{
    char *folder = scratch_folder();
    const struct voco_store_options o = {.chunk = 8, .shard_bytes = 60000};
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &o, &w));
    run_threads(write_some, w, NULL);
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    ck_assert_int_eq(voco_store_count(s), THREADS * EACH);
    run_threads(read_some, NULL, s);
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *t = tcase_create("store");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    tcase_add_test(t, u16_comes_back_within_half_a_step);
    tcase_add_test(t, f32_comes_back_bit_exact);
    tcase_add_test(t, i16_comes_back_within_half_a_unit_of_the_window);
    tcase_add_test(t, u16_ends_are_exact_and_voxels_outside_are_clipped_and_counted);
    tcase_add_test(t, i16_window_can_be_chosen_when_reading);
    tcase_add_test(t, a_box_is_a_part_of_the_whole_and_touches_only_its_chunks);
    tcase_add_test(t, an_entry_says_what_was_given);
    tcase_add_test(t, index_and_hash_do_not_depend_on_order_or_shards);
    tcase_add_test(t, a_rejected_volume_may_be_stored_later);
    tcase_add_test(t, a_store_keeps_its_options_and_a_folder_its_files);
    tcase_add_test(t, many_threads_write_and_read);
    return suite;
}
