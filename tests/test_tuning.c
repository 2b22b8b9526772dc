/* Tables of choices of the cpu device: what is written is read and used; what is damaged is
 * not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "dev/cpu/tuning.h"
#include "tests/test.h"

static char *folder, *path;
static struct voco_tuning_key key;

static const struct voco_conv conv3 = VOCO_CONV_CUBE(16, 16, 3, 1, 1);
static const int64_t map[3] = { 8, 8, 8 };

static struct voco_tuned
tuned(struct voco_shape shape, const char *rule, const char *use)
{
    return (struct voco_tuned){ .shape = shape, .n = 2, .choice = 1,
                                .t = { { rule, 2e-3, 2e-3, 0 }, { use, 1e-3, 1e-3, 0 } } };
}

static struct voco_shape
conv_shape(void)
{
    return voco_shape_conv(VOCO_WS_CONV_FORWARD, &conv3, 2, map);
}

static struct voco_shape
linear_shape(void)
{
    return voco_shape_linear(VOCO_SHAPE_LINEAR_DATA, 4096, 48, 96);
}

static void
set_up(void)
{
    folder = voco_format("%s/voco-tuning-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    unsetenv("VOCO_TUNE");
    unsetenv("VOCO_IMPL");
    key = voco_tuning_key(2);
    path = voco_tuning_path(&key);
    ck_assert_int_eq(voco_tuning_prepare(path), VOCO_OK);
    voco_log_level = VOCO_LOG_QUIET;
}

static void
tear_down(void)
{
    voco_folder_remove(folder);
    free(folder);
    free(path);
}

static void
write_two(void)
{
    const struct voco_tuned row[] = { tuned(conv_shape(), "winograd", "dnnl"),
                                      tuned(linear_shape(), "tiles", "blas") };

    ck_assert_int_eq(voco_tuning_write(path, &key, row, 2), VOCO_OK);
}

START_TEST(table_is_read_as_it_was_written)
{
    struct voco_choices c;
    const struct voco_tuned other[] = { tuned(linear_shape(), "tiles", "dnnl"),
                                        tuned(voco_shape_linear(VOCO_SHAPE_LINEAR, 1, 2, 3),
                                              "dnnl", "blas") };

    ck_assert_ptr_nonnull(strstr(path, "/voco/tune/"));
    write_two();
    ck_assert_int_eq(voco_tuning_read(path, &key, &c), VOCO_OK);
    ck_assert_int_eq(c.n, 2);
    ck_assert_str_eq(voco_choices_find(&c, &(struct voco_shape[]){ conv_shape() }[0]), "dnnl");
    voco_choices_free(&c);
    /* other shapes stay, the same are replaced */
    ck_assert_int_eq(voco_tuning_write(path, &key, other, 2), VOCO_OK);
    ck_assert_int_eq(voco_tuning_read(path, &key, &c), VOCO_OK);
    ck_assert_int_eq(c.n, 3);
    ck_assert_str_eq(voco_choices_find(&c, &(struct voco_shape[]){ linear_shape() }[0]),
                     "dnnl");
    voco_choices_free(&c);
}
END_TEST

START_TEST(other_machines_table_is_refused_and_named)
{
    struct voco_tuning_key other[] = { key, key, key, key };
    static const char *const what[] = { "another CPU", "another set of kernels",
                                        "another number of threads",
                                        "another version of voco" };
    struct voco_choices c;

    write_two();
    strcat(other[0].cpu, "X");
    strcat(other[1].isa, "X");
    other[2].threads++;
    strcat(other[3].voco, "X");
    for (int i = 0; i < 4; i++) {
        char *theirs = voco_tuning_path(&other[i]);

        ck_assert_int_eq(voco_tuning_read(path, &other[i], &c), VOCO_EUSAGE);
        ck_assert_msg(strstr(voco_fail_text(), what[i]), "%s", voco_fail_text());
        ck_assert(i == 3 || strcmp(path, theirs) != 0);     /* both have room */
        free(theirs);
    }
}
END_TEST

/* Cut anywhere, or with any byte changed: refused, or a table still. */
START_TEST(damaged_table_is_refused_or_whole)
{
    struct voco_choices c;
    char *text;
    size_t n;

    write_two();
    ck_assert_int_eq(voco_file_read(path, 1 << 20, &text, &n), VOCO_OK);
    for (size_t cut = 0; cut + 1 < n; cut += 7) {
        const char was = text[cut];

        text[cut] = '\0';
        ck_assert_int_eq(voco_file_write_text(path, text), VOCO_OK);
        ck_assert_int_eq(voco_tuning_read(path, &key, &c), VOCO_EFORMAT);
        text[cut] = was == '"' ? '1' : '"';
        ck_assert_int_eq(voco_file_write_text(path, text), VOCO_OK);
        if (voco_tuning_read(path, &key, &c) == VOCO_OK) {
            ck_assert_int_eq(c.n, 2);
            voco_choices_free(&c);
        }
        text[cut] = was;
    }
    free(text);
}
END_TEST

START_TEST(table_with_what_is_not_there_is_refused)
{
    static const char *const wrong[][2] = {
        { "{}", "not a table of voco tune" },
        { "[1]", "not a table of voco tune" },
        { "\"op\": \"conv\", \"size\": [2,8,8,8,16,16,3,3,3,1,1,1,1,1,1], \"use\": \"winogard\"",
          "no implementation of conv is called 'winogard'" },
        { "\"op\": \"linear\", \"size\": [1,2], \"use\": \"blas\"", "shape 1 is damaged" },
        { "\"op\": \"linear\", \"size\": [1,2,-3], \"use\": \"blas\"", "shape 1 is damaged" },
        { "\"op\": \"linear\", \"size\": [1,2,1e3], \"use\": \"blas\"", "shape 1 is damaged" },
        { "\"op\": \"linear\", \"size\": [1099511627776,1099511627776,3], \"use\": \"blas\"",
          "shape 1 is damaged" },
        { "\"op\": \"conv\", \"size\": [2,8,8,8,16,16,3,3,3,0,1,1,1,1,1], \"use\": \"dnnl\"",
          "shape 1 is damaged" },
        { "\"op\": \"conv\", \"size\": [2,1,1,1,16,16,3,3,3,1,1,1,0,0,0], \"use\": \"dnnl\"",
          "shape 1 is damaged" },
        { "\"op\": \"conv\", \"size\": [1,2,3], \"use\": \"dnnl\"", "shape 1 is damaged" },
    };
    struct voco_choices c;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *text = i < 2 ? voco_format("%s", wrong[i][0]) : voco_format(
            "{\"voco-tune\": 1, \"cpu\": \"%s\", \"isa\": \"%s\", \"threads\": 2, \"voco\": "
            "\"%s\", \"onednn\": \"%s\", \"blas\": \"%s\", \"shapes\": [{%s}]}", key.cpu,
            key.isa, key.voco, key.onednn, key.blas, wrong[i][0]);

        ck_assert_int_eq(voco_file_write_text(path, text), VOCO_OK);
        ck_assert_int_eq(voco_tuning_read(path, &key, &c), VOCO_EFORMAT);
        ck_assert_msg(strstr(voco_fail_text(), wrong[i][1]), "%s", voco_fail_text());
        free(text);
    }
}
END_TEST

START_TEST(table_that_is_too_long_is_refused)
{
    FILE *f;
    struct voco_choices c;

    write_two();
    f = fopen(path, "w");
    for (int i = 0; i < 5 << 20; i++)
        putc(' ', f);
    fclose(f);
    ck_assert_int_eq(voco_tuning_read(path, &key, &c), VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "longer than"));
}
END_TEST

/* The result of a device that was opened now; forced: NULL or a name. */
static float *
convolve(const char *forced, const struct voco_choices *choices)
{
    const struct voco_shape s = conv_shape();
    struct voco_ctx ctx;
    struct voco_tensor x, w, y;
    float *copy;

    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_cpu,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 30,
                                                               .threads = 2,
                                                               .choices = choices }),
                     VOCO_OK);
    if (forced)
        voco_cpu_force(&ctx, forced);
    x = voco_push(&ctx, &ctx.keep, 5, s.size[0], map[0], map[1], map[2], conv3.cin);
    w = voco_push(&ctx, &ctx.keep, 5, conv3.cout, conv3.cin, (int64_t)3, (int64_t)3,
                  (int64_t)3);
    y = voco_push_like(&ctx, &ctx.keep, &x);
    voco_noise(x.data, voco_count(&x));
    voco_noise(w.data, voco_count(&w));
    ctx.dev->conv3d_forward(&ctx, &conv3, &x, &w, NULL, &y, NULL);
    ck_assert_int_eq(ctx.err, VOCO_OK);
    copy = malloc(voco_tensor_bytes(&y));
    memcpy(copy, y.data, voco_tensor_bytes(&y));
    voco_ctx_close(&ctx);
    return copy;
}

static const char *
chosen(int threads, const struct voco_choices *choices)
{
    const struct voco_shape s = conv_shape();
    struct voco_ctx ctx;
    const char *name;

    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_cpu,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 30,
                                                               .threads = threads,
                                                               .choices = choices }),
                     VOCO_OK);
    name = voco_cpu_chosen(&ctx, &s);
    voco_ctx_close(&ctx);
    return name;
}

START_TEST(table_is_used_with_its_number_of_threads_alone)
{
    const size_t bytes = sizeof(float) * 2 * 8 * 8 * 8 * 16;
    const char *const rule = chosen(2, NULL);
    struct voco_choices choices, none;
    float *forced, *used;

    write_two();
    choices = voco_choices_read(&voco_cpu, 2, NULL);
    ck_assert_int_eq(choices.n, 2);
    ck_assert_str_eq(chosen(2, &choices), "dnnl");
    ck_assert_str_eq(chosen(1, &choices), rule);
    used = convolve(NULL, &choices);
    forced = convolve("dnnl", NULL);
    ck_assert_mem_eq(used, forced, bytes);
    free(used);
    free(forced);
    setenv("VOCO_IMPL", "tiles,blocked", 1);
    ck_assert_str_eq(chosen(2, &choices), "blocked");   /* before the table */
    setenv("VOCO_IMPL", "tile", 1);
    ck_assert_int_eq(voco_ctx_open(&(struct voco_ctx){ 0 }, &voco_cpu,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 30,
                                                               .threads = 2 }),
                     VOCO_EUSAGE);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "'tile'"));
    unsetenv("VOCO_IMPL");
    setenv("VOCO_TUNE", "none", 1);
    none = voco_choices_read(&voco_cpu, 2, NULL);
    ck_assert_int_eq(none.n, 0);
    ck_assert_str_eq(chosen(2, &none), rule);
    unsetenv("VOCO_TUNE");
    ck_assert_int_eq(voco_choices_read(&voco_oracle, 2, NULL).n, 0);
    voco_choices_free(&none);
    voco_choices_free(&choices);
}
END_TEST

START_TEST(timing_knows_every_implementation)
{
    const struct voco_shape shape[] = { conv_shape(), linear_shape() };
    struct voco_timing t[VOCO_IMPLS_MAX];
    struct voco_ctx ctx;

    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_cpu,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 30,
                                                               .threads = 2 }), VOCO_OK);
    for (int i = 0; i < 2; i++) {
        const int n = voco_tuning_time(&ctx, &shape[i], t);

        ck_assert_int_ge(n, 2);
        ck_assert_str_eq(t[0].impl, voco_cpu_chosen(&ctx, &shape[i]));
        for (int k = 0; k < n; k++) {
            ck_assert(t[k].seconds > 0 && t[k].seconds < 10);
            ck_assert(voco_cpu_knows(shape[i].op, t[k].impl));
            for (int j = 0; j < k; j++)
                ck_assert_str_ne(t[j].impl, t[k].impl);
        }
    }
    ck_assert_uint_eq(voco_arena_mark(&ctx.keep), 0);
    voco_ctx_close(&ctx);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("tuning");
    TCase *tc = tcase_create("tuning");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, table_is_read_as_it_was_written);
    tcase_add_test(tc, other_machines_table_is_refused_and_named);
    tcase_add_test(tc, damaged_table_is_refused_or_whole);
    tcase_add_test(tc, table_with_what_is_not_there_is_refused);
    tcase_add_test(tc, table_that_is_too_long_is_refused);
    tcase_add_test(tc, table_is_used_with_its_number_of_threads_alone);
    tcase_add_test(tc, timing_knows_every_implementation);
    suite_add_tcase(s, tc);
    return s;
}
