/* Zip archives: hostile ones are refused, those of more than 4 GiB are read. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile/tensorfile.h"
#include "tests/archive.h"
#include "tests/test.h"

/* ---- hostile archives ---- */

/* Changes of an archive with one entry, which has 4 bytes: END - k is byte k of the end
 * record, END + CENTRAL - k that of the directory.  libzip's sentences are short. */
enum { NAME = 6, CENTRAL = 46 + NAME, END = 22 };

static const struct { int from_end; const char *bytes; int n; const char *says; } zips[] = {
    /* the end record: entries, directory's size and place, comment */
    { END - 8, "\2\0\2\0", 4, "damaged" },
    { END - 8, "\1\0\2\0", 4, "damaged" },
    { END - 4, "\1\0\1\0", 4, "Multi-disk" },
    { END - 12, "\xff\xff\xff\x7f", 4, "damaged" },
    { END - 16, "\xff\xff\xff\x7f", 4, "damaged" },
    { END - 20, "\1\0", 2, "damaged" },
    /* the directory: signature, flags, method, sizes, lengths, place */
    { END + CENTRAL, "PK\3\4", 4, "damaged" },
    { END + CENTRAL - 8, "\1", 1, "file: " },          /* encrypted; newer libzip sees the size first */
    { END + CENTRAL - 10, "\x08", 1, "damaged" },       /* the local header says stored */
    { END + CENTRAL - 20, "\5\0\0\0", 4, "damaged" },
    { END + CENTRAL - 20, "\xff\xff\xff\x7f\xff\xff\xff\x7f", 8, "damaged" },
    { END + CENTRAL - 20, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "damaged" },
    { END + CENTRAL - 20, "\3\0\0\0\3\0\0\0", 8, "damaged" },
    { END + CENTRAL - 28, "\xff\xff", 2, "damaged" },
    { END + CENTRAL - 32, "\xff\xff", 2, "damaged" },
    { END + CENTRAL - 42, "\1\0\0\0", 4, "damaged" },
    { END + CENTRAL - 42, "\xff\xff\xff\x7f", 4, "damaged" },
    { END + CENTRAL - 42, "\xff\xff\xff\xff", 4, "damaged" },
    { END + CENTRAL - 46, "x", 1, "damaged" },
    { END + CENTRAL - 46, "\0", 1, "damaged" },
};

START_TEST(hostile_directory_is_refused_in_words)
{
    const struct part part = { "a/name", "data", 4 };
    struct voco_zip *zip;
    char data[4];
    size_t n;
    char *made = archive(&part, 1, &n);

    ck_assert_int_eq(voco_zip_open(&zip, made, n, "file"), VOCO_OK);
    ck_assert_int_eq(voco_zip_count(zip), 1);
    ck_assert_int_eq(voco_zip_read(zip, voco_zip_find(zip, "a/name"), 0, 4, data), VOCO_OK);
    ck_assert(memcmp(data, "data", 4) == 0);
    voco_zip_close(zip);
    memcpy(made + n - zips[_i].from_end, zips[_i].bytes, (size_t)zips[_i].n);
    ck_assert_msg(voco_zip_open(&zip, made, n, "file") == VOCO_EFORMAT, "%s", zips[_i].says);
    ck_assert_ptr_null(zip);
    ck_assert_says(zips[_i].says);
    ck_assert_says("file: ");
    free(made);
}
END_TEST

/* The same change of the header in front of the bytes and of the directory. */
static void
refuse_both(int local, int central, const char *by, const char *name, const char *says)
{
    const struct part part = { name, "data", 4 };
    const int n_name = (int)strlen(name), n_by = (int)strlen(by);
    struct voco_zip *zip;
    size_t n;
    char *made = archive(&part, 1, &n);

    memcpy(made + local, by, (size_t)n_by);
    memcpy(made + n - END - 46 - n_name + central, by, (size_t)n_by);
    ck_assert_int_eq(voco_zip_open(&zip, made, n, "file"), VOCO_EFORMAT);
    ck_assert_says(says);
    free(made);
}

START_TEST(entries_that_torch_does_not_write_are_refused)
{
    refuse_both(8, 10, "\x08", "a/name", "a/name is compressed (method 8)");
    refuse_both(30, 46, "\n", "a/name", "control characters");
}
END_TEST

START_TEST(entry_that_is_there_twice_is_refused)
{
    const struct part two[] = { { "a/b", "1234", 4 }, { "a/c", "5678", 4 } };
    struct voco_zip *zip;
    size_t n;
    char *made = archive(two, 2, &n), *c;

    while ((c = memmem(made, n, "a/c", 3)) != NULL)
        c[2] = 'b';
    ck_assert_int_eq(voco_zip_open(&zip, made, n, "file"), VOCO_EFORMAT);
    ck_assert_says("a name is there twice");
    free(made);
}
END_TEST

/* The bytes of a/b are an archive with a/c, and the directory has both: together more than
 * the file. */
START_TEST(entries_that_overlap_are_refused)
{
    enum { LINE = 46 + 3, FRONT = 64, BYTES = 1000 };
    static const char zeros[BYTES];
    const struct part c = { "a/c", zeros, BYTES };
    struct part b = { "a/b", NULL, 0 };
    struct voco_zip *zip;
    char *inner = archive(&c, 1, &b.n), *outer, *made;
    size_t n;

    b.data = inner;
    outer = archive(&b, 1, &n);
    ck_assert(memcmp(outer + FRONT, inner, b.n) == 0);
    made = malloc(n + LINE);
    memcpy(made, outer, n - END);
    memcpy(made + n - END, inner + b.n - END - LINE, LINE);
    memcpy(made + n - END + LINE, outer + n - END, END);
    made[n - END + 42] = FRONT;                                         /* a/c's place */
    memcpy(made + n + LINE - END + 8, (char[]){ 2, 0, 2, 0, 2 * LINE }, 5);
    ck_assert_int_eq(voco_zip_open(&zip, made, n + LINE, "file"), VOCO_EFORMAT);
    ck_assert_says("overlap");
    free(inner);
    free(outer);
    free(made);
}
END_TEST

/* ---- beyond 4 GiB ---- */

/* Fields of an archive, little-endian, into a file. */
static void
put(FILE *out, uint64_t x, int bytes)
{
    for (; bytes > 0; bytes--, x >>= 8)
        fputc((int)(x & 255), out);
}

/* What the two headers of an entry have in common.  The checksum is left out. */
static void
put_common(FILE *out, const char *name, int n_extra)
{
    put(out, 45, 2);                    /* zip64 */
    put(out, 0, 4);                     /* no flags; stored */
    put(out, 0x210000, 4);              /* 1980-01-01 */
    put(out, 0, 4);
    put(out, UINT64_MAX, 8);            /* both sizes are in the zip64 field */
    put(out, strlen(name), 2);
    put(out, (uint64_t)n_extra, 2);
}

static void
put_sizes(FILE *out, int n_extra, uint64_t bytes)
{
    put(out, 1, 2);
    put(out, (uint64_t)n_extra - 4, 2);
    put(out, bytes, 8);
    put(out, bytes, 8);
}

static void
put_local(FILE *out, const char *name, uint64_t bytes)
{
    fputs("PK\3\4", out);
    put_common(out, name, 20);
    fputs(name, out);
    put_sizes(out, 20, bytes);
}

static void
put_central(FILE *out, const char *name, uint64_t bytes, uint64_t at)
{
    fputs("PK\1\2", out);
    put(out, 45, 2);
    put_common(out, name, 28);
    put(out, 0, 10);                    /* no comment, first disk, no attributes */
    put(out, UINT32_MAX, 4);
    fputs(name, out);
    put_sizes(out, 28, bytes);
    put(out, at, 8);
}

static void
put_end(FILE *out, int entries, uint64_t begin, uint64_t end)
{
    fputs("PK\6\6", out);
    put(out, 44, 8);
    put(out, 45, 2);
    put(out, 45, 2);
    put(out, 0, 8);
    put(out, (uint64_t)entries, 8);
    put(out, (uint64_t)entries, 8);
    put(out, end - begin, 8);
    put(out, begin, 8);
    fputs("PK\6\7", out);
    put(out, 0, 4);
    put(out, end, 8);
    put(out, 1, 4);
    fputs("PK\5\6", out);
    put(out, 0, 4);
    put(out, UINT64_MAX, 4);            /* the rest is in the zip64 record */
    put(out, UINT64_MAX, 8);
    put(out, 0, 2);
}

/* A storage of 2^30 + 4 floats, nearly all of them a hole in the file; behind it, a pickle
 * with a tensor of its last four. */
START_TEST(places_and_sizes_beyond_4_gib_are_read)
{
    static const char pickle[] = "\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(("
        "X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" "0X\x03\0\0\0cpuJ\x04\0\0@tQ"
        "J\0\0\0@K\x04\x85K\x01\x85\x89" "ccollections\nOrderedDict\n)RtRs.";
    static const float last[4] = { 1, -2, 3.5f, 1e9f };
    const uint64_t bytes = ((uint64_t)4 << 30) + sizeof last;
    const char *path = scratch("large.pt");
    struct voco_tensorfile f;
    FILE *out = fopen(path, "wb");
    uint64_t behind, directory;
    float got[4];

    ck_assert_ptr_nonnull(out);
    put_local(out, "a/data/0", bytes);
    ck_assert_int_eq(fseeko(out, (off_t)(bytes - sizeof last), SEEK_CUR), 0);
    fwrite(last, 1, sizeof last, out);
    behind = (uint64_t)ftello(out);
    ck_assert_uint_gt(behind, UINT32_MAX);
    put_local(out, "a/data.pkl", sizeof pickle - 1);
    fwrite(pickle, 1, sizeof pickle - 1, out);
    directory = (uint64_t)ftello(out);
    put_central(out, "a/data/0", bytes, 0);
    put_central(out, "a/data.pkl", sizeof pickle - 1, behind);
    put_end(out, 2, directory, (uint64_t)ftello(out));
    ck_assert(!ferror(out) && fclose(out) == 0);

    ck_assert_msg(voco_tensorfile_open(&f, path) == VOCO_OK, "%s", voco_fail_text());
    ck_assert_int_eq(f.n, 1);
    ck_assert_uint_eq(f.item[0].from, (uint64_t)4 << 30);
    ck_assert_uint_eq(f.item[0].bytes, sizeof last);
    ck_assert_int_eq(voco_filetensor_copy(&f.item[0], got), VOCO_OK);
    ck_assert(memcmp(got, last, sizeof last) == 0);
    voco_tensorfile_close(&f);
}
END_TEST

/* ---- writing ---- */

static enum voco_err
make_nothing(void *arg, int i, void **ret)
{
    (void)arg;
    *ret = NULL;
    return voco_fail(VOCO_EMEMORY, "no memory for part %d", i);
}

START_TEST(part_that_cannot_be_made_leaves_nothing)
{
    const struct voco_zippart part = { .make = make_nothing, .i = 7 };
    struct voco_zipwriter w;

    ck_assert_int_eq(voco_zipwriter_open(&w, scratch("n.pt")), VOCO_OK);
    ck_assert_int_eq(voco_zipwriter_add_bytes(&w, "a", "b", 1), VOCO_OK);
    ck_assert_int_eq(voco_zipwriter_add(&w, "c", 4, &part), VOCO_OK);
    ck_assert_int_eq(voco_zipwriter_commit(&w), VOCO_EMEMORY);
    ck_assert_says("no memory for part 7");
    ck_assert(!voco_file_exists(scratch("n.pt")));
}
END_TEST

START_TEST(unfinished_files_leave_nothing)
{
    struct voco_zipwriter w;

    ck_assert_int_eq(voco_zipwriter_open(&w, scratch("u.pt")), VOCO_OK);
    ck_assert_int_eq(voco_zipwriter_add_bytes(&w, "a", "b", 1), VOCO_OK);
    voco_zipwriter_discard(&w);
    ck_assert(!voco_file_exists(scratch("u.pt")));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("zip");
    TCase *tc = tcase_create("zip");

    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tc, hostile_directory_is_refused_in_words, 0,
                        (int)(sizeof zips / sizeof *zips));
    tcase_add_test(tc, entries_that_torch_does_not_write_are_refused);
    tcase_add_test(tc, entry_that_is_there_twice_is_refused);
    tcase_add_test(tc, entries_that_overlap_are_refused);
    tcase_add_test(tc, places_and_sizes_beyond_4_gib_are_read);
    tcase_add_test(tc, part_that_cannot_be_made_leaves_nothing);
    tcase_add_test(tc, unfinished_files_leave_nothing);
    suite_add_tcase(suite, tc);
    return suite;
}
