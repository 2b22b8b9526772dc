/* safetensors files: what we write we read, and what is damaged or hostile is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scratch.h"
#include "tensorfile/safetensors.h"
#include "tests/test.h"

/* A file in memory of exactly its size, so that a sanitizer sees any step beyond. */
struct bytes {
    unsigned char *p;
    size_t n;
};

static struct bytes
made(const char *header, size_t buffer)
{
    const size_t length = strlen(header);
    struct bytes b = { malloc(8 + length + buffer), 8 + length + buffer };

    ck_assert_ptr_nonnull(b.p);
    for (int i = 0; i < 8; i++)
        b.p[i] = (unsigned char)(length >> 8 * i);
    memcpy(b.p + 8, header, length);
    for (size_t i = 0; i < buffer; i++)
        b.p[8 + length + i] = (unsigned char)i;
    return b;
}

static enum voco_err
parse(struct voco_tensorfile *st, const unsigned char *p, size_t n)
{
    return voco_safetensors_parse(st, p, n, "file");
}

/* Reads every byte that the parser vouched for. */
static unsigned
touch(const struct voco_tensorfile *st)
{
    unsigned sum = 0;

    for (int i = 0; i < st->n; i++)
        for (size_t k = 0; k < st->item[i].bytes; k++)
            sum += ((const unsigned char *)st->item[i].data)[k];
    return sum;
}

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"b\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[8,24]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
    "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[24,25]},"
    "\"empty\":{\"dtype\":\"F64\",\"shape\":[0,7],\"data_offsets\":[25,25]}}   ";
enum { GOOD_BUFFER = 25 };

START_TEST(good_file_is_read)
{
    struct bytes b = made(good, GOOD_BUFFER);
    const struct voco_filetensor *t;
    struct voco_tensorfile st;

    ck_assert_int_eq(parse(&st, b.p, b.n), VOCO_OK);
    ck_assert_int_eq(st.n, 4);
    ck_assert_str_eq(st.item[0].name, "a");             /* in the order of the buffer */
    ck_assert_str_eq(voco_tensorfile_meta(&st, "format"), "pt");
    ck_assert_ptr_null(voco_tensorfile_meta(&st, "absent"));
    ck_assert_ptr_null(voco_tensorfile_find(&st, "absent"));
    t = voco_tensorfile_find(&st, "scalar");
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(t->rank, 0);
    ck_assert_uint_eq(*(const unsigned char *)t->data, 24);
    t = voco_tensorfile_find(&st, "empty");
    ck_assert_int_eq(t->rank, 2);
    ck_assert_uint_eq(t->bytes, 0);
    voco_tensorfile_close(&st);
    free(b.p);
}
END_TEST

START_TEST(file_cut_anywhere_is_refused)
{
    struct bytes b = made(good, GOOD_BUFFER);
    struct voco_tensorfile st;

    for (size_t n = 0; n < b.n; n++) {
        unsigned char *cut = malloc(n ? n : 1);

        memcpy(cut, b.p, n);
        ck_assert_msg(parse(&st, cut, n) == VOCO_EFORMAT, "cut to %zu of %zu bytes", n, b.n);
        free(cut);
    }
    free(b.p);
}
END_TEST

START_TEST(flipped_bits_of_a_header_never_lead_outside)
{
    struct bytes b = made(good, GOOD_BUFFER);
    const size_t header = b.n - GOOD_BUFFER;
    struct voco_tensorfile st;
    int refused = 0;

    for (size_t bit = 0; bit < 8 * header; bit++) {
        b.p[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (parse(&st, b.p, b.n) == VOCO_OK) {
            (void)touch(&st);
            voco_tensorfile_close(&st);
        } else {
            refused++;
            ck_assert_int_gt(strlen(voco_fail_text()), 0);
        }
        b.p[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ck_assert_int_gt(refused, (int)(8 * header / 2));
    free(b.p);
}
END_TEST

#define T(type, shape, offsets) \
    "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *what, *header;
    size_t buffer;
    const char *says;
} hostile[] = {
    { "no JSON", "{\"a\":", 0, "header" },
    { "an array", "[1,2]", 0, "does not begin with {" },
    { "a space first", " {}", 0, "does not begin with {" },
    { "text behind", "{} x", 0, "header" },
    { "the same name twice", "{\"a\":" T("U8", "[1]", "[0,1]") ",\"a\":"
      T("U8", "[1]", "[0,1]") "}", 1, "duplicate" },
    { "a hole", "{\"a\":" T("U8", "[1]", "[0,1]") ",\"b\":" T("U8", "[1]", "[2,3]") "}", 3,
      "hole" },
    { "a hole in front", "{\"a\":" T("U8", "[1]", "[1,2]") "}", 2, "hole" },
    { "bytes behind", "{\"a\":" T("U8", "[1]", "[0,1]") "}", 2, "cover 1 of 2" },
    { "no tensors but bytes", "{}", 2, "cover 0 of 2" },
    { "an overlap", "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[1,3]") "}",
      3, "overlap" },
    { "the same bytes twice", "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":"
      T("U8", "[2]", "[0,2]") "}", 2, "overlap" },
    { "offsets past the buffer", "{\"a\":" T("U8", "[4]", "[0,4]") "}", 3, "inside" },
    { "offsets that run backwards", "{\"a\":" T("U8", "[1]", "[2,1]") "}", 2, "offsets" },
    { "negative offsets", "{\"a\":" T("U8", "[1]", "[-1,0]") "}", 1, "offsets" },
    { "an offset that is no integer", "{\"a\":" T("U8", "[1]", "[0,1.0]") "}", 1,
      "not integers" },
    { "three offsets", "{\"a\":" T("U8", "[1]", "[0,1,1]") "}", 1, "two data_offsets" },
    { "offsets beyond 64 bits", "{\"a\":" T("U8", "[1]", "[0,99999999999999999999]") "}", 1,
      "header" },
    { "too few bytes for the shape", "{\"a\":" T("F32", "[2]", "[0,4]") "}", 4,
      "expected 8 bytes" },
    { "a product that overflows", "{\"a\":"
      T("F32", "[4294967296,4294967296,4]", "[0,0]") "}", 0, "larger than any file" },
    { "a product that wraps to the right size", "{\"a\":"
      T("U8", "[4611686018427387904,4]", "[0,0]") "}", 0, "larger than any file" },
    { "a negative dimension", "{\"a\":" T("U8", "[-1]", "[0,1]") "}", 1, "not a size" },
    { "a dimension that is no integer", "{\"a\":" T("U8", "[\"1\"]", "[0,1]") "}", 1,
      "not a size" },
    { "nine dimensions", "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1,
      "9 dimensions" },
    { "an unknown type", "{\"a\":" T("F31", "[1]", "[0,1]") "}", 1, "unknown type F31" },
    { "a type that is no string", "{\"a\":{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,1]}}",
      1, "expected dtype" },
    { "no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "expected dtype" },
    { "an entry that is a number", "{\"a\":1}", 0, "expected dtype" },
    { "an entry that is null", "{\"a\":null}", 0, "expected dtype" },
    { "metadata that is a list", "{\"__metadata__\":[]}", 0, "__metadata__" },
    { "metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, "__metadata__.a" },
    { "a zero byte in a name", "{\"a\\u0000b\":" T("U8", "[1]", "[0,1]") "}", 1, "header" },
};

START_TEST(hostile_header_is_refused_in_words)
{
    struct bytes b = made(hostile[_i].header, hostile[_i].buffer);
    struct voco_tensorfile st;

    ck_assert_msg(parse(&st, b.p, b.n) == VOCO_EFORMAT, "%s", hostile[_i].what);
    ck_assert_msg(strstr(voco_fail_text(), "file: ") && strstr(voco_fail_text(),
                                                               hostile[_i].says),
                  "%s: '%s' is not in: %s", hostile[_i].what, hostile[_i].says,
                  voco_fail_text());
    free(b.p);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 200000 };
    char *header = malloc(2 * DEPTH + 8);
    struct voco_tensorfile st;
    struct bytes b;

    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    memset(header + 5 + DEPTH, ']', DEPTH);
    memcpy(header + 5 + 2 * DEPTH, "}", 2);
    b = made(header, 0);
    ck_assert_int_eq(parse(&st, b.p, b.n), VOCO_EFORMAT);
    free(b.p);
    free(header);
}
END_TEST

START_TEST(absurd_header_length_is_refused)
{
    static const uint64_t length[] = { 0, 1, 3, 100000001, UINT64_MAX, UINT64_MAX - 7 };

    for (size_t k = 0; k < sizeof length / sizeof *length; k++) {
        struct bytes b = made("{}", 0);
        struct voco_tensorfile st;

        for (int i = 0; i < 8; i++)
            b.p[i] = (unsigned char)(length[k] >> 8 * i);
        ck_assert_int_eq(parse(&st, b.p, b.n), VOCO_EFORMAT);
        free(b.p);
    }
}
END_TEST

START_TEST(files_come_back_as_written)
{
    static const float f[6] = { 1.5f, -2, 0, 3e38f, 1e-40f, 7 };
    static const double d = 0.1;
    static const int64_t i64[2] = { -1, INT64_MAX };
    const struct voco_filetensor item[] = {
        { .name = "x.weight", .type = "F32", .rank = 3, .dim = { 1, 2, 3 }, .data = f,
          .bytes = sizeof f },
        { .name = "scalar", .type = "F64", .rank = 0, .data = &d, .bytes = sizeof d },
        { .name = "no rows", .type = "F32", .rank = 2, .dim = { 0, 4 }, .data = f,
          .bytes = 0 },
        { .name = "\"quoted\\ \xc3\xa9", .type = "I64", .rank = 1, .dim = { 2 },
          .data = i64, .bytes = sizeof i64 },
    };
    const struct voco_filemeta meta[] = { { "format", "pt" }, { "a \"b\"", "c" } };
    struct voco_tensorfile st;
    uint32_t crc;
    uint64_t bytes;
    char *text;
    size_t n;

    ck_assert_int_eq(voco_safetensors_write(scratch("a.safetensors"), item, 4, meta, 2, &crc, &bytes),
                     VOCO_OK);
    ck_assert_int_eq(voco_file_read(scratch("a.safetensors"), 1 << 20, &text, &n), VOCO_OK);
    ck_assert_uint_eq(n, bytes);
    ck_assert_uint_eq(voco_crc32c(0, text, n), crc);
    free(text);
    ck_assert_int_eq(voco_tensorfile_open(&st, scratch("a.safetensors")), VOCO_OK);
    ck_assert_int_eq(st.n, 4);
    ck_assert_str_eq(voco_tensorfile_meta(&st, "a \"b\""), "c");
    for (int i = 0; i < 4; i++) {
        const struct voco_filetensor *t = voco_tensorfile_find(&st, item[i].name);

        ck_assert_ptr_nonnull(t);
        ck_assert_str_eq(t->type, item[i].type);
        ck_assert_int_eq(t->rank, item[i].rank);
        ck_assert_uint_eq(t->bytes, item[i].bytes);
        ck_assert(memcmp(t->dim, item[i].dim, sizeof t->dim) == 0);
        ck_assert(memcmp(t->data, item[i].data, t->bytes) == 0);
    }
    voco_tensorfile_close(&st);
}
END_TEST

START_TEST(no_file_and_no_regular_file_are_errors)
{
    struct voco_tensorfile st;

    ck_assert_int_eq(voco_tensorfile_open(&st, scratch("absent")), VOCO_EIO);
    ck_assert_says("absent");
    ck_assert_int_eq(voco_tensorfile_open(&st, scratch_folder), VOCO_EFORMAT);
    ck_assert_int_eq(voco_tensorfile_open(&st, scratch_text("short", "abc")), VOCO_EFORMAT);
}
END_TEST

/* Halves and bfloats, as IEEE 754 and the first half of a float have them. */
START_TEST(numbers_of_half_length_are_widened)
{
    static const uint16_t half[] = { 0x3C00, 0xC000, 0x0001, 0x8000, 0x7BFF, 0x7C00, 0x03FF };
    static const float want[] = { 1, -2, 0x1p-24f, -0.0f, 65504, INFINITY, 0x3FFp-24f };
    static const uint16_t bf[] = { 0x3F80, 0xC000, 0x0001, 0x7F80 };
    static const float bf_want[] = { 1, -2, 0x1p-133f, INFINITY };
    struct voco_filetensor t = { .type = "F16", .data = half, .bytes = sizeof half };
    float got[7];

    voco_filetensor_convert(&t, "F32", got);
    ck_assert(memcmp(got, want, sizeof want) == 0);
    t = (struct voco_filetensor){ .type = "BF16", .data = bf, .bytes = sizeof bf };
    voco_filetensor_convert(&t, "F32", got);
    ck_assert(memcmp(got, bf_want, sizeof bf_want) == 0);
}
END_TEST

/* Every half and bfloat comes back from f32; between two of them the nearer one is taken,
 * the even one of equally near ones. */
START_TEST(numbers_are_rounded_to_nearest_even)
{
    static const float x[] = { 1 + 0x1p-11f, 1 + 0x1.8p-10f, 1 + 0x1.01p-11f, 65519, 65520,
                               0x1p-25f, 0x1.8p-25f, -0x1p-14f + 0x1p-26f, 1e30f, 0 };
    static const uint16_t want[] = { 0x3C00, 0x3C02, 0x3C01, 0x7BFF, 0x7C00, 0, 1, 0x8400,
                                     0x7C00, 0 };
    static const float y[] = { 1 + 0x1p-8f, 1 + 0x1.8p-7f, 3.4e38f, 0x1p-133f };
    static const uint16_t bf_want[] = { 0x3F80, 0x3F82, 0x7F80, 1 };
    struct voco_filetensor t = { .type = "F32", .data = x, .bytes = sizeof x };
    uint16_t *every = malloc(65536 * sizeof *every), *back = malloc(65536 * sizeof *back);
    float *wide = malloc(65536 * sizeof *wide);
    uint16_t got[10];

    voco_filetensor_convert(&t, "F16", got);
    for (int i = 0; i < 10; i++)
        ck_assert_msg(got[i] == want[i], "%a: 0x%04x, expected 0x%04x", x[i], got[i], want[i]);
    t = (struct voco_filetensor){ .type = "F32", .data = y, .bytes = sizeof y };
    voco_filetensor_convert(&t, "BF16", got);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(got[i] == bf_want[i], "%a: 0x%04x", y[i], got[i]);
    for (int k = 0; k < 2; k++) {
        const char *type = k ? "BF16" : "F16";

        for (int i = 0; i < 65536; i++)
            every[i] = (uint16_t)i;
        t = (struct voco_filetensor){ .type = type, .data = every, .bytes = 65536 * 2 };
        voco_filetensor_convert(&t, "F32", wide);
        t = (struct voco_filetensor){ .type = "F32", .data = wide, .bytes = 65536 * 4 };
        voco_filetensor_convert(&t, type, back);
        for (int i = 0; i < 65536; i++)
            ck_assert_msg(isnan(wide[i]) || back[i] == i, "%s 0x%04x: 0x%04x", type, i,
                          back[i]);
    }
    free(every);
    free(back);
    free(wide);
}
END_TEST

/* A view with strides is the same numbers, laid out. */
START_TEST(strides_are_followed)
{
    static const int32_t x[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    static const int32_t want[] = { 0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11 };
    const struct voco_filetensor t = {
        .type = "I32", .rank = 3, .dim = { 2, 3, 2 }, .strided = true, .stride = { 1, 2, 6 },
        .data = x, .bytes = sizeof x
    };
    const struct voco_filetensor empty = { .type = "I32", .rank = 2, .dim = { 0, 3 },
                                           .strided = true, .stride = { 1, 1 } };
    int32_t got[12];

    voco_filetensor_copy(&t, got);
    ck_assert(memcmp(got, want, sizeof want) == 0);
    voco_filetensor_copy(&empty, NULL);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tc = tcase_create("safetensors");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_add_test(tc, good_file_is_read);
    tcase_add_test(tc, file_cut_anywhere_is_refused);
    tcase_add_test(tc, flipped_bits_of_a_header_never_lead_outside);
    tcase_add_loop_test(tc, hostile_header_is_refused_in_words, 0,
                        (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(tc, deep_nesting_is_refused);
    tcase_add_test(tc, absurd_header_length_is_refused);
    tcase_add_test(tc, files_come_back_as_written);
    tcase_add_test(tc, no_file_and_no_regular_file_are_errors);
    tcase_add_test(tc, numbers_of_half_length_are_widened);
    tcase_add_test(tc, numbers_are_rounded_to_nearest_even);
    tcase_add_test(tc, strides_are_followed);
    suite_add_tcase(suite, tc);
    return suite;
}
