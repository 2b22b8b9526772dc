/* base/: errors, arenas, random numbers, tensors, options, log, files. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/rng.h"
#include "base/tensor.h"
#include "tests/test.h"

/* ---- err ---- */

START_TEST(sentences_nest_and_carry_the_reason)
{
    ck_assert_int_eq(voco_fail(VOCO_EFORMAT, "rank %d", 2), VOCO_EFORMAT);
    ck_assert_int_eq(voco_fail_in(VOCO_EUSAGE, "a.nii"), VOCO_EUSAGE);
    ck_assert_str_eq(voco_fail_text(), "a.nii: rank 2");
    voco_fail(VOCO_EIO, "again: %s", voco_fail_text());
    ck_assert_str_eq(voco_fail_text(), "again: a.nii: rank 2");
    errno = ENOENT;
    voco_fail_errno(VOCO_EIO, "x");
    ck_assert_str_eq(voco_fail_text(), "x: No such file or directory");
}
END_TEST

START_TEST(exit_codes_are_the_documented_ones)
{
    const int want[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 75 };

    for (int e = VOCO_OK; e <= VOCO_ESTOPPED; e++)
        ck_assert_int_eq(voco_exit_code((enum voco_err)e), want[e]);
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_is_a_stack_with_a_limit)
{
    struct voco_arena a;
    char *p, *q;
    size_t mark;

    ck_assert_int_eq(voco_arena_init(&a, 1024, false), VOCO_OK);
    p = voco_arena_push(&a, 1);
    mark = voco_arena_mark(&a);
    q = voco_arena_push(&a, 900);
    ck_assert_ptr_nonnull(q);
    ck_assert_uint_eq((uintptr_t)q % VOCO_ALIGN, 0);
    ck_assert_int_eq(q - p, VOCO_ALIGN);
    memset(q, 1, 900);
    ck_assert_ptr_null(voco_arena_push(&a, 100));
    ck_assert_ptr_null(voco_arena_push(&a, SIZE_MAX - 3));
    voco_arena_release(&a, mark);
    ck_assert_ptr_eq(voco_arena_push(&a, 5), q);
    ck_assert_uint_eq(a.peak, 64 + 960);
    voco_arena_free(&a);
    voco_arena_free(&a);
}
END_TEST

START_TEST(planning_arena_counts_what_no_machine_has)
{
    struct voco_arena a;

    ck_assert_int_eq(voco_arena_init(&a, (size_t)1 << 42, true), VOCO_OK);
    ck_assert_ptr_nonnull(voco_arena_push(&a, (size_t)1 << 41));
    ck_assert_uint_eq(a.peak, (size_t)1 << 41);
    voco_arena_free(&a);
    ck_assert_int_eq(voco_arena_init(&a, SIZE_MAX - 1, true), VOCO_EMEMORY);
}
END_TEST

/* ---- rng ---- */

/* Known answers of Philox4x32-10 from the Random123 distribution: counter, key, result. */
START_TEST(philox_gives_the_published_answers)
{
    static const struct {
        uint32_t c[4], k[2], want[4];
    } row[] = {
        { { 0, 0, 0, 0 }, { 0, 0 },
          { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };

    for (int i = 0; i < 3; i++) {
        const struct voco_rng_key key = {
            .seed = (uint64_t)row[i].k[1] << 32 | row[i].k[0], .step = row[i].c[3],
            .sample = row[i].c[1], .crop = (uint16_t)(row[i].c[2] >> 16),
            .purpose = (uint16_t)row[i].c[2],
        };
        uint32_t got[4];

        voco_rng_block(&key, row[i].c[0], got);
        for (int j = 0; j < 4; j++)
            ck_assert_uint_eq(got[j], row[i].want[j]);
    }
}
END_TEST

/* n = 10^5: a mean of uniforms strays by sqrt(1/12/n) = 9e-4, of normals by 3.2e-3;
 * 4.5 of these is a chance of 1e-5, and the seed is fixed. */
START_TEST(streams_have_the_moments_they_should)
{
    const struct voco_rng_key key = { .seed = 7, .purpose = VOCO_RNG_TEST };
    const int n = 100000;
    double mean = 0, normal = 0, square = 0;
    int low = 0;

    for (int i = 0; i < n; i++) {
        const float u = voco_rng_unit(&key, (uint32_t)i);
        const double x = voco_rng_normal(&key, (uint32_t)i);

        ck_assert(u >= 0 && u < 1);
        mean += u;
        normal += x;
        square += x * x;
        low += voco_rng_below(&key, (uint32_t)i, 3) == 0;
    }
    ck_assert_double_eq_tol(mean / n, 0.5, 4.1e-3);
    ck_assert_double_eq_tol(normal / n, 0, 1.42e-2);
    ck_assert_double_eq_tol(square / n, 1, 2.02e-2);
    ck_assert_double_eq_tol((double)low / n, 1.0 / 3, 6.7e-3);
}
END_TEST

START_TEST(permutation_holds_every_index_once)
{
    const struct voco_rng_key key = { .seed = 1, .purpose = VOCO_RNG_ORDER };
    uint32_t order[1000];
    bool seen[1000] = { false };
    int fixed = 0;

    voco_rng_permute(&key, 1000, order);
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert_uint_lt(order[i], 1000);
        ck_assert(!seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    ck_assert_int_lt(fixed, 10);
    voco_rng_permute(&key, 1, order);
    ck_assert_uint_eq(order[0], 0);
}
END_TEST

/* want: computed by another program from the formula in rng.h. */
START_TEST(hash_stream_matches_the_reference_filling)
{
    float x[1000];

    ck_assert_uint_eq(voco_hash_base(5, "student.layer1.0.weight"), 0x9B32632D01550D07u);
    voco_hash_uniform(5, "student.layer1.0.weight", 1000, -0.5, 0.5, x);
    ck_assert_float_eq(x[0], 0x1.8c79700000000p-3f);
    ck_assert_float_eq(x[1], 0x1.4928480000000p-3f);
    ck_assert_float_eq(x[999], -0x1.0eccb40000000p-2f);
    voco_hash_uniform(0, "", 2, 0, 1, x);
    ck_assert_float_eq(x[0], 0x1.8702f80000000p-1f);
    ck_assert_float_eq(x[1], 0x1.00cda00000000p-4f);
}
END_TEST

/* ---- tensor ---- */

START_TEST(views_reshape_and_slice_without_copying)
{
    float data[2 * 3 * 4];
    struct voco_tensor x = voco_view(data, VOCO_F32, 3, (int64_t)2, (int64_t)3, (int64_t)4);
    struct voco_tensor y = voco_reshape(&x, 2, (int64_t)6, (int64_t)4);
    struct voco_tensor z = voco_slice(&y, 2, 3);

    ck_assert_int_eq(voco_count(&x), 24);
    ck_assert_int_eq(voco_rows(&x), 6);
    ck_assert_int_eq(voco_cols(&x), 4);
    ck_assert_uint_eq(voco_tensor_bytes(&x), 96);
    ck_assert_int_eq(x.dim[3] * x.dim[4], 1);
    ck_assert_ptr_eq(z.data, data + 8);
    ck_assert_int_eq(z.dim[0], 3);
    ck_assert_uint_eq(voco_type_bytes(VOCO_F64) + voco_type_bytes(VOCO_U8), 9);
}
END_TEST

/* ---- log ---- */

START_TEST(numbers_read_as_people_write_them)
{
    static const struct {
        double s;
        const char *want;
    } time[] = { { 0.04, "0.0s" }, { 3.2, "3.2s" }, { 59.4, "59s" }, { 75, "1m15s" },
                 { 7300, "2h01m" }, { 100000, "1d03h" }, { NAN, "?" }, { -1, "?" } };
    static const struct {
        double n;
        const char *want;
    } bytes[] = { { 0, "0 B" }, { 1023, "1023 B" }, { 1536, "1.5 KiB" },
                  { 1048575, "1.0 MiB" }, { 5e9, "4.7 GiB" }, { 200e9, "186 GiB" } };
    char buf[16];

    for (size_t i = 0; i < sizeof time / sizeof time[0]; i++)
        ck_assert_str_eq(voco_format_seconds(time[i].s, buf), time[i].want);
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        ck_assert_str_eq(voco_format_bytes(bytes[i].n, buf), bytes[i].want);
}
END_TEST

/* ---- file ---- */

static char *folder;

static void
make_folder(void)
{
    const char *base = getenv("TMPDIR");

    folder = voco_format("%s/voco-test-XXXXXX", base && *base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
    ck_assert_int_eq(voco_folder_remove(folder), VOCO_OK);
    ck_assert(!voco_file_exists(folder));
    free(folder);
}

START_TEST(crc32c_gives_the_published_answers)
{
    char data[64];
    uint32_t whole;

    ck_assert_uint_eq(voco_crc32c(0, "123456789", 9), 0xE3069283u);
    memset(data, 0, sizeof data);
    ck_assert_uint_eq(voco_crc32c(0, data, 32), 0x8A9136AAu);       /* RFC 3720, B.4 */
    memset(data, 0xff, sizeof data);
    ck_assert_uint_eq(voco_crc32c(0, data, 32), 0x62A8AB43u);
    for (int i = 0; i < 64; i++)
        data[i] = (char)i;
    ck_assert_uint_eq(voco_crc32c(0, data, 32), 0x46DD794Eu);
    whole = voco_crc32c(0, data, 64);
    for (size_t n = 0; n <= 64; n++)
        ck_assert_uint_eq(voco_crc32c(voco_crc32c(0, data, n), data + n, 64 - n), whole);
}
END_TEST

static void
check_content(const char *path, const char *want)
{
    char *got;
    size_t n;

    ck_assert_int_eq(voco_file_read(path, 100, &got, &n), VOCO_OK);
    ck_assert_str_eq(got, want);
    ck_assert_uint_eq(n, strlen(want));
    free(got);
}

START_TEST(a_new_file_is_whole_or_absent)
{
    char *path = voco_format("%s/x", folder);
    struct voco_newfile f;

    ck_assert_int_eq(voco_newfile_open(&f, path), VOCO_OK);
    fputs("first", f.out);
    ck_assert(!voco_file_exists(path));
    ck_assert_int_eq(voco_newfile_commit(&f), VOCO_OK);
    check_content(path, "first");

    ck_assert_int_eq(voco_newfile_open(&f, path), VOCO_OK);
    fputs("second", f.out);
    voco_newfile_discard(&f);
    voco_newfile_discard(&f);
    check_content(path, "first");

    ck_assert_int_eq(voco_newfile_open(&f, path), VOCO_OK);
    fputs("third", f.out);
    ck_assert_int_eq(voco_newfile_commit(&f), VOCO_OK);
    check_content(path, "third");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);         /* no temporary file is left */
    ck_assert_int_eq(voco_newfile_open(&f, path), VOCO_EIO);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    free(path);
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_leaves_nothing)
{
    struct voco_newfile f;
    char *path = voco_format("%s/full", folder);

    ck_assert_int_eq(voco_newfile_open(&f, path), VOCO_OK);
    f.out = freopen("/dev/full", "wb", f.out);
    if (f.out) {
        fputs("lost", f.out);
        ck_assert_int_eq(voco_newfile_commit(&f), VOCO_EIO);
        ck_assert_ptr_nonnull(strstr(voco_fail_text(), "full"));
        ck_assert(!voco_file_exists(path));
    }
    free(path);
}
END_TEST

START_TEST(reading_knows_its_limit)
{
    char *path = voco_format("%s/x", folder), *got;
    FILE *out = fopen(path, "wb");
    size_t n;

    for (int i = 0; i < 10000; i++)
        fputc('a' + i % 26, out);
    fclose(out);
    ck_assert_int_eq(voco_file_read(path, 9999, &got, &n), VOCO_EFORMAT);
    ck_assert_ptr_null(got);
    ck_assert_int_eq(voco_file_read(path, 10000, &got, &n), VOCO_OK);
    ck_assert_uint_eq(n, 10000);
    ck_assert_int_eq(got[9999], 'a' + 9999 % 26);
    ck_assert_int_eq(got[10000], 0);
    free(got);
    ck_assert_int_eq(voco_file_read(folder, 10, &got, &n), VOCO_EIO);
    ck_assert_int_eq(voco_file_read("/dev/null", 10, &got, &n), VOCO_OK);
    ck_assert_uint_eq(n, 0);
    free(got);
    ck_assert_int_eq(voco_file_read("/nowhere/at/all", 10, &got, &n), VOCO_EIO);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "/nowhere/at/all"));
    free(path);
}
END_TEST

START_TEST(folders_are_made_with_their_parents)
{
    char *path = voco_format("%s/a//b/c/", folder);
    char *file = voco_format("%s/f", folder);
    char *below = voco_format("%s/f/g", folder);
    uint64_t bytes;

    ck_assert_int_eq(voco_folder_make(path), VOCO_OK);
    ck_assert_int_eq(voco_folder_make(path), VOCO_OK);
    ck_assert(voco_is_folder(path));
    fclose(fopen(file, "w"));
    ck_assert_int_eq(voco_folder_make(file), VOCO_EIO);
    ck_assert_int_eq(voco_folder_make(below), VOCO_EIO);
    ck_assert_int_eq(voco_file_space(folder, &bytes), VOCO_OK);
    ck_assert_int_eq(voco_file_space(below, &bytes), VOCO_EIO);
    free(path);
    free(file);
    free(below);
}
END_TEST

/* ---- machine: a tree of our own in place of / ---- */

static void
plant(const char *name, const char *text)
{
    char *path = voco_format("%s/%s", folder, name);
    char *slash = strrchr(path, '/');
    FILE *out;

    *slash = '\0';
    ck_assert_int_eq(voco_folder_make(path), VOCO_OK);
    *slash = '/';
    out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
    free(path);
}

START_TEST(limits_of_cgroup_2_are_the_lowest_on_the_way_up)
{
    struct voco_machine m;

    plant("proc/self/cgroup", "0::/slurm/job7\n");
    plant("proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable:   32000000 kB\n");
    plant("proc/cpuinfo", "processor : 0\ncpu family\t: 25\nmodel\t\t: 17\n"
                          "model name\t: A fast one\n");
    plant("sys/fs/cgroup/slurm/job7/cpu.max", "max 100000\n");
    plant("sys/fs/cgroup/slurm/cpu.max", "50000 100000\n");
    plant("sys/fs/cgroup/slurm/job7/memory.max", "1000000000\n");
    plant("sys/fs/cgroup/slurm/job7/memory.current", "500000000\n");
    plant("sys/fs/cgroup/slurm/job7/memory.stat", "anon 1\ninactive_file 200000000\n");
    plant("sys/fs/cgroup/slurm/memory.max", "max\n");
    plant("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    voco_machine_read(folder, &m);
    ck_assert_str_eq(m.cpu, "A fast one");
    ck_assert_str_eq(m.cpu_model, "family 25, model 17");
    ck_assert(m.quota == 0.5);
    ck_assert_int_eq(m.threads, 1);
    ck_assert_uint_eq(m.available, 32768000000u);
    ck_assert_uint_eq(m.cgroup_limit, 1000000000);
    ck_assert_uint_eq(m.cgroup_used, 300000000);
    ck_assert_uint_le(m.memory, 700000000);
    ck_assert_str_eq(m.huge_pages, "madvise");
}
END_TEST

START_TEST(limits_of_cgroup_1_are_found_inside_a_container)
{
    struct voco_machine m;

    plant("proc/self/cgroup", "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/\n");
    plant("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    plant("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    plant("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    voco_machine_read(folder, &m);
    ck_assert(m.quota == 1.5);
    ck_assert_uint_eq(m.cgroup_limit, 0);
}
END_TEST

START_TEST(a_machine_that_tells_nothing_has_one_core)
{
    struct voco_machine m;

    voco_machine_read("/nowhere", &m);
    ck_assert_int_ge(m.threads, 1);
    ck_assert(m.quota == 0 && m.cpu[0] == '\0' && m.huge_pages[0] == '\0');
    ck_assert_uint_gt(m.memory, 1 << 20);
    voco_machine_read("", &m);
    ck_assert_int_ge(m.cpus, m.cores);
    ck_assert_int_ge(m.cores, 1);
    ck_assert_uint_gt(m.memory, 1 << 20);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("base");
    TCase *plain = tcase_create("plain");
    TCase *file = tcase_create("file");

    tcase_add_test(plain, sentences_nest_and_carry_the_reason);
    tcase_add_test(plain, exit_codes_are_the_documented_ones);
    tcase_add_test(plain, arena_is_a_stack_with_a_limit);
    tcase_add_test(plain, planning_arena_counts_what_no_machine_has);
    tcase_add_test(plain, philox_gives_the_published_answers);
    tcase_add_test(plain, streams_have_the_moments_they_should);
    tcase_add_test(plain, permutation_holds_every_index_once);
    tcase_add_test(plain, hash_stream_matches_the_reference_filling);
    tcase_add_test(plain, views_reshape_and_slice_without_copying);
    tcase_add_test(plain, numbers_read_as_people_write_them);
    tcase_add_test(plain, crc32c_gives_the_published_answers);
    tcase_add_checked_fixture(file, make_folder, remove_folder);
    tcase_add_test(file, a_new_file_is_whole_or_absent);
    tcase_add_test(file, a_full_disk_is_an_error_and_leaves_nothing);
    tcase_add_test(file, reading_knows_its_limit);
    tcase_add_test(file, folders_are_made_with_their_parents);
    tcase_add_test(file, limits_of_cgroup_2_are_the_lowest_on_the_way_up);
    tcase_add_test(file, limits_of_cgroup_1_are_found_inside_a_container);
    tcase_add_test(file, a_machine_that_tells_nothing_has_one_core);
    suite_add_tcase(s, plain);
    suite_add_tcase(s, file);
    return s;
}
