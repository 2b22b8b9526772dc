/* A store with damaged bytes: always an error that names the file, never a crash, and
 * verify finds every flipped bit. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "store_util.h"
#include "tests/test.h"

enum { N = 18, VOLUMES = 2 };
static const struct voco_store_options options = {.type = VOCO_STORE_U16, .chunk = 8};

struct copy {
    char *path;
    char *bytes;
    size_t n;
};

static struct copy
copy_of(const char *folder, const char *name)
{
    struct copy c = {.path = voco_format("%s/%s", folder, name)};

    ok(voco_file_read(c.path, 1 << 24, &c.bytes, &c.n));
    return c;
}

static void
put_bytes(const struct copy *c, size_t n)
{
    FILE *f = fopen(c->path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(c->bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void
put_byte(const struct copy *c, size_t at, char byte)
{
    const int fd = open(c->path, O_WRONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Everything a reader does; the first error. */
static enum voco_err
read_everything(const char *folder, int *ret_count)
{
    const int64_t start[3] = {0, 0, 0}, size[3] = {N, N, N};
    struct voco_store_scratch scratch = {0};
    struct voco_store *s;
    enum voco_err err = voco_store_open(folder, &s);
    float *x = malloc(N * N * N * sizeof *x);

    ck_assert_ptr_nonnull(x);
    *ret_count = 0;
    if (!err) {
        *ret_count = voco_store_count(s);
        for (int i = 0; i < voco_store_count(s); i++) {
            const enum voco_err e = voco_store_read(s, i, start, size, x, &scratch);

            err = err ? err : e;
        }
        voco_store_scratch_free(&scratch);
        voco_store_close(s);
    }
    free(x);
    return err;
}

static void
count_reports(const char *sentence, void *user)
{
    ck_assert_ptr_nonnull(strstr(sentence, "shard-00000.h5"));
    ++*(int *)user;
}

static enum voco_err
verify(const char *folder)
{
    struct voco_store *s;
    int reports = 0;
    enum voco_err err = voco_store_open(folder, &s);

    if (err)
        return err;
    const struct voco_store_check check = {.threads = 1, .report = count_reports,
                                           .user = &reports};
    err = voco_store_verify(s, &check);
    ck_assert(err ? reports > 0 : reports == 0);
    voco_store_close(s);
    return err;
}

START_TEST(verify_finds_any_flipped_bit_of_a_shard)
{
    char *folder = scratch_folder();
    int count;

    store_of(folder, &options, VOLUMES, N, N, N);
    const struct copy c = copy_of(folder, "shard-00000.h5");
    ok(verify(folder));
    for (size_t at = 0; at < c.n; at += at + 2000 > c.n ? 1 : 13) {
        put_byte(&c, at, (char)(c.bytes[at] ^ 1 << at % 8));
        fails(VOCO_EFORMAT, verify(folder));
        says("shard-00000.h5");
        read_everything(folder, &count);            /* whatever it says: no crash */
        put_byte(&c, at, c.bytes[at]);
    }
    ok(verify(folder));
    free(c.path);
    free(c.bytes);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_shard_of_the_wrong_length_is_refused)
{
    char *folder = scratch_folder();
    int count;

    store_of(folder, &options, VOLUMES, N, N, N);
    struct copy c = copy_of(folder, "shard-00000.h5");
    for (size_t n = 0; n < c.n; n += n + 700 > c.n ? 1 : 97) {
        put_bytes(&c, n);
        fails(VOCO_EFORMAT, read_everything(folder, &count));
        says("shard-00000.h5");
    }
    c.bytes = realloc(c.bytes, c.n + 1);
    ck_assert_ptr_nonnull(c.bytes);
    c.bytes[c.n] = 0;
    put_bytes(&c, c.n + 1);
    fails(VOCO_EFORMAT, read_everything(folder, &count));
    put_bytes(&c, c.n);
    ok(read_everything(folder, &count));
    free(c.path);
    free(c.bytes);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_changed_byte_of_the_manifest_is_noticed)
{
    char *folder = scratch_folder();
    int count;

    store_of(folder, &options, VOLUMES, N, N, N);
    const struct copy c = copy_of(folder, "manifest.jsonl");
    for (size_t at = 0; at < c.n; at++) {
        const char values[] = {(char)(c.bytes[at] ^ 1 << at % 8), '\n', '\0', '"', '9'};

        for (size_t k = 0; k < sizeof values; k++) {
            if (values[k] == c.bytes[at])
                continue;
            put_byte(&c, at, values[k]);
            const enum voco_err err = read_everything(folder, &count);
            if (at == c.n - 1)                      /* as if cut off: one volume less */
                ck_assert_int_lt(count, VOLUMES);
            else
                ck_assert_msg(err == VOCO_EFORMAT, "byte %zu as %d", at, values[k]);
            put_byte(&c, at, c.bytes[at]);
        }
    }
    ok(read_everything(folder, &count));
    free(c.path);
    free(c.bytes);
    scratch_remove(folder);
}
END_TEST

/* A line with a right checksum but wrong contents: made by a program, not by accident. */
static void
forge(const struct copy *c, const char *from, const char *to)
{
    char *at = strstr(c->bytes, from);

    ck_assert_ptr_nonnull(at);
    char *line = at, *end = strchr(at, '\n');
    while (line > c->bytes && line[-1] != '\n')
        line--;
    char *body = voco_format("%.*s%s%.*s", (int)(at - line), line, to,
                             (int)(end - 20 - at - (int)strlen(from)), at + strlen(from));
    char *text = voco_format("%.*s%s,\"check\":\"%08x\"}%s", (int)(line - c->bytes),
                             c->bytes, body, (unsigned)voco_crc32c(0, body, strlen(body)),
                             end);
    FILE *f = fopen(c->path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
    free(text);
    free(body);
}

START_TEST(lines_that_contradict_the_shard_or_themselves_are_refused)
{
    static const char *const change[][2] = {
        {"\"version\":1", "\"version\":2"}, {"\"type\":\"u16\"", "\"type\":\"u17\""},
        {"\"type\":\"u16\"", "\"type\":\"f32\""}, {"\"chunk\":8", "\"chunk\":0"},
        {"\"chunk\":8", "\"chunk\":16"}, {"\"chunk\":8", "\"chunk\":-8"},
        {"\"shape\":[18,18,18]", "\"shape\":[18,18,19]"},
        {"\"shape\":[18,18,18]", "\"shape\":[18,18]"},
        {"\"shape\":[18,18,18]", "\"shape\":[18,18,0]"},
        {"\"shape\":[18,18,18]", "\"shape\":[18,18,99999999999999]"},
        {"\"shape\":[18,18,18]", "\"shape\":\"18\""},
        {"\"slot\":0", "\"slot\":2"}, {"\"slot\":0", "\"slot\":1"},
        {"\"slot\":0", "\"slot\":-1"}, {"\"shard\":0", "\"shard\":1"},
        {"\"id\":\"case000\"", "\"id\":\"case001\""},
        {"\"id\":\"case000\"", "\"id\":\"case002\""}, {"\"id\":\"case000\"", "\"id\":7"},
        {"\"status\":\"stored\"", "\"status\":\"odd\""}, {"\"crc\":\"", "\"crc\":\"0"},
        {"\"spacing\":[1.5", "\"spacing\":[null"}, {"\"window\":[", "\"window\":[1,"},
        {"\"affine\":[[", "\"affine\":[["}, {"\"transforms\":", "\"transform\":"},
        {"\"preset\":", "\"id\":"}
    };
    char *folder = scratch_folder();
    int count;

    store_of(folder, &options, VOLUMES, N, N, N);
    const struct copy c = copy_of(folder, "manifest.jsonl");
    for (size_t k = 0; k < sizeof change / sizeof *change; k++) {
        if (strcmp(change[k][0], change[k][1]) == 0) {
            forge(&c, change[k][0], change[k][1]);  /* the forger itself is sound */
            ok(read_everything(folder, &count));
            continue;
        }
        forge(&c, change[k][0], change[k][1]);
        ck_assert_msg(read_everything(folder, &count) == VOCO_EFORMAT, "%s -> %s",
                      change[k][0], change[k][1]);
    }
    free(c.path);
    free(c.bytes);
    scratch_remove(folder);
}
END_TEST

/* The member of a line with this name, an object, and the comma in front of it.  Free it. */
static char *
member(const struct copy *c, const char *name)
{
    char *mark = voco_format(",\"%s\":{", name);
    const char *at = strstr(c->bytes, mark);

    ck_assert_msg(at != NULL, "no member %s", name);
    free(mark);
    return voco_format("%.*s", (int)(strchr(at, '}') + 1 - at), at);
}

START_TEST(lines_that_do_not_tell_stamp_and_place_are_of_older_stores)
{
    static const char *const NAME[] = {"files", "place"};
    const struct voco_place place = {
        .known = true, .units = 3, .qform_code = 2, .sform_code = 1,
        .pixdim = {-1, 700, 700, 1000}, .quatern = {0.1, 0.2, 0.3}, .qoffset = {4, 5, 6},
        .srow = {{700, 0, 0, 1}, {0, 700, 0, 2}, {0, 0, 1000, 3}}
    };
    struct voco_volume v = volume_of(0, N, N, N, 1, 0);
    struct voco_store_entry e = entry_of("case000", "abdomen");
    char *folder = scratch_folder();
    struct voco_store_writer *w;
    struct voco_store *s;

    e.place = place;
    e.stamp = (struct voco_stamp){true, 12345678901, -5, 0x9abcdef0};
    ok(voco_store_create(folder, &options, &w));
    ok(voco_store_add(w, &e, &v, NULL));
    ok(voco_store_finish(w));
    for (int i = 0; i < 3; i++) {               /* whole, then without one and the other */
        ok(voco_store_open(folder, &s));
        const struct voco_store_entry *got = voco_store_entry(s, 0);
        ck_assert_int_eq(got->stamp.known, i < 1);
        ck_assert_int_eq(got->place.known, i < 2);
        if (i < 1) {
            ck_assert(got->stamp.bytes == 12345678901 && got->stamp.modified_ns == -5);
            ck_assert_uint_eq(got->stamp.crc, 0x9abcdef0);
        }
        if (i < 2) {
            ck_assert_int_eq(got->place.units, 3);
            ck_assert_int_eq(got->place.qform_code, 2);
            ck_assert_int_eq(got->place.sform_code, 1);
            ck_assert_mem_eq(got->place.pixdim, place.pixdim, sizeof place.pixdim);
            ck_assert_mem_eq(got->place.quatern, place.quatern, sizeof place.quatern);
            ck_assert_mem_eq(got->place.qoffset, place.qoffset, sizeof place.qoffset);
            ck_assert_mem_eq(got->place.srow, place.srow, sizeof place.srow);
        }
        voco_store_close(s);
        ok(verify(folder));
        if (i == 2)
            break;
        const struct copy c = copy_of(folder, "manifest.jsonl");
        char *gone = member(&c, NAME[i]);
        forge(&c, gone, "");
        free(gone);
        free(c.path);
        free(c.bytes);
    }
    free(v.voxel);
    scratch_remove(folder);
}
END_TEST

/* One case of two channels with labels. */
static void
labelled_store_of(const char *folder)
{
    struct voco_volume channel[2] = {volume_of(0, N, N, N, 1, 0),
                                     volume_of(1, N, N, N, 1, 0)};
    struct voco_case c = {.channel = channel, .n_channels = 2,
                          .label = volume_of(2, N, N, N, 1, 0)};
    struct voco_store_entry e = entry_of("case000", "abdomen");
    struct voco_store_writer *w;

    for (int i = 0; i < N * N * N; i++)
        c.label.voxel[i] = (float)(i % 3);
    e.label.source = "in/label.nii.gz";
    ok(voco_store_create(folder, &options, &w));
    ok(voco_store_add_case(w, &e, &c, NULL));
    ok(voco_store_finish(w));
    free(channel[0].voxel);
    free(channel[1].voxel);
    free(c.label.voxel);
}

START_TEST(lines_of_labels_that_make_no_sense_are_refused)
{
    static const char *const change[][2] = {
        {"\"channels\":2", "\"channels\":3"}, {"\"channels\":2", "\"channels\":1"},
        {"\"channels\":2", "\"channels\":65"}, {"\"channels\":2", "\"channels\":-2"},
        {"\"channels\":2", "\"channel\":2"},
        {"\"type\":\"u8\"", "\"type\":\"u16\""}, {"\"type\":\"u8\"", "\"type\":\"f32\""},
        {"\"voxels\":{\"0\":", "\"voxels\":{\"x\":"},
        {"\"voxels\":{\"0\":", "\"voxels\":{\"2\":"},
        {"\"voxels\":{\"0\":", "\"voxels\":{\"99999\":"},
        {"\"voxels\":{\"0\":", "\"voxels\":{\"\":"},
        {"\"voxels\":{\"0\":1944", "\"voxels\":{\"0\":-1"},
        {"\"voxels\":{\"0\":1944", "\"voxels\":{\"0\":1e9"},
        {"\"background\":", "\"background\":-"}, {"\"background\":", "\"back\":"}
    };
    char *folder = scratch_folder();
    int count;

    labelled_store_of(folder);
    const struct copy c = copy_of(folder, "manifest.jsonl");
    forge(&c, "\"channels\":2", "\"channels\":2");
    ok(read_everything(folder, &count));
    for (size_t k = 0; k < sizeof change / sizeof *change; k++) {
        forge(&c, change[k][0], change[k][1]);
        ck_assert_msg(read_everything(folder, &count) == VOCO_EFORMAT, "%s -> %s",
                      change[k][0], change[k][1]);
    }
    forge(&c, "\"label\":{", "\"labels\":{");     /* as if lines were cut off */
    ok(read_everything(folder, &count));
    ck_assert_int_eq(count, 0);
    free(c.path);
    free(c.bytes);
    scratch_remove(folder);
}
END_TEST

/* ---- an index with right checksums and wrong numbers ---- */

enum { FOOTER = 64, VOLUME = 56 };

static uint64_t
number_at(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static void
set_number(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* All checksums of the index made right again, as far as its numbers make sense. */
static void
seal(uint8_t *shard, size_t n)
{
    uint8_t *footer = shard + n - FOOTER;
    const uint64_t table = number_at(footer + 40, 8), volumes = number_at(footer + 24, 4);

    for (uint64_t i = 0; i < volumes; i++) {
        uint8_t *v = shard + table + i * VOLUME;
        const uint64_t at = number_at(v, 8), chunks = number_at(v + 8, 8);

        if (at <= n && chunks <= (n - at) / 16)
            set_number(v + 16, voco_crc32c(0, shard + at, chunks * 16), 4);
    }
    set_number(footer + 28, voco_crc32c(0, shard + table, volumes * VOLUME), 4);
    set_number(footer + 60, voco_crc32c(0, footer, 60), 4);
}

START_TEST(an_index_with_impossible_numbers_is_refused)
{
    char *folder = scratch_folder();
    int count, refused = 0;

    store_of(folder, &options, VOLUMES, N, N, N);
    const struct copy whole = copy_of(folder, "shard-00000.h5");
    uint8_t *shard = malloc(whole.n);
    const struct copy forged = {whole.path, (char *)shard, whole.n};
    ck_assert_ptr_nonnull(shard);
    const uint8_t *footer = (uint8_t *)whole.bytes + whole.n - FOOTER;
    const size_t volumes = (size_t)number_at(footer + 40, 8);
    const size_t first_table = (size_t)number_at(footer + 32, 8);
    const struct {
        size_t at;
        int bytes;
    } field[] = {
        {first_table, 8}, {first_table + 8, 4},                 /* address, size */
        {first_table + 16, 8}, {first_table + 24, 4},
        {volumes, 8}, {volumes + 8, 8},                         /* table, chunks */
        {volumes + 24, 8}, {volumes + 32, 8}, {volumes + 40, 8},
        {whole.n - FOOTER + 8, 4}, {whole.n - FOOTER + 12, 4},
        {whole.n - FOOTER + 16, 4}, {whole.n - FOOTER + 20, 4},
        {whole.n - FOOTER + 24, 4}, {whole.n - FOOTER + 32, 8},
        {whole.n - FOOTER + 40, 8}
    };

    for (size_t f = 0; f < sizeof field / sizeof *field; f++) {
        const uint64_t was = number_at((uint8_t *)whole.bytes + field[f].at,
                                       field[f].bytes);
        const uint64_t values[] = {0, 1, was + 1, was - 1, was + 16, was * 2, was << 32,
                                   INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX,
                                   UINT64_MAX - 15, (uint64_t)1 << 61, whole.n,
                                   whole.n - FOOTER};

        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            memcpy(shard, whole.bytes, whole.n);
            set_number(shard + field[f].at, values[k], field[f].bytes);
            if (memcmp(shard, whole.bytes, whole.n) == 0)
                continue;
            if (field[f].at < whole.n - FOOTER)
                seal(shard, whole.n);
            else        /* only the footer's own: its numbers may point anywhere */
                set_number(shard + whole.n - 4,
                           voco_crc32c(0, shard + whole.n - FOOTER, 60), 4);
            put_bytes(&forged, whole.n);
            ck_assert_msg(verify(folder) == VOCO_EFORMAT, "field %zu value %zu", f, k);
            ck_assert_msg(read_everything(folder, &count) == VOCO_EFORMAT,
                          "field %zu value %zu", f, k);
            refused++;
        }
    }
    ck_assert_int_gt(refused, 200);
    memcpy(shard, whole.bytes, whole.n);
    seal(shard, whole.n);
    ck_assert_mem_eq(shard, whole.bytes, whole.n);      /* the forger itself is sound */
    put_bytes(&whole, whole.n);
    ok(verify(folder));
    free(shard);
    free(whole.path);
    free(whole.bytes);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("store_damage");
    TCase *t = tcase_create("store_damage");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_set_timeout(t, 120);
    suite_add_tcase(suite, t);
    tcase_add_test(t, verify_finds_any_flipped_bit_of_a_shard);
    tcase_add_test(t, a_shard_of_the_wrong_length_is_refused);
    tcase_add_test(t, a_changed_byte_of_the_manifest_is_noticed);
    tcase_add_test(t, an_index_with_impossible_numbers_is_refused);
    tcase_add_test(t, lines_that_contradict_the_shard_or_themselves_are_refused);
    tcase_add_test(t, lines_that_do_not_tell_stamp_and_place_are_of_older_stores);
    tcase_add_test(t, lines_of_labels_that_make_no_sense_are_refused);
    return suite;
}
