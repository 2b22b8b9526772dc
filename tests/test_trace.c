/* The tracing device: the same results, and an account of the time. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/flops.h"
#include "dev/wrap/trace.h"
#include "tests/test.h"

/* The text that a trace of the calls below writes: lines, then the table. */
static char *
trace_three_calls(double peak, double ret_y[8])
{
    const int64_t m = 4, k = 3, n = 2;
    struct voco_trace trace;
    struct voco_ctx ctx;
    struct voco_tensor x, w, y, host;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    voco_trace_init(&trace, &voco_oracle, out);
    trace.peak = (struct voco_peak){ .flops = peak, .share = 0.5, .of = "products" };
    ck_assert_int_eq(voco_ctx_open(&ctx, &trace.device,
                                   &(struct voco_ctx_options){ .limit = 1 << 20,
                                                               .threads = 1 }), VOCO_OK);
    x = voco_push(&ctx, &ctx.keep, 2, m, k);
    w = voco_push(&ctx, &ctx.keep, 2, n, k);
    y = voco_push(&ctx, &ctx.keep, 2, m, n);
    ctx.dev->fill(&ctx, &x, 2);
    ctx.dev->fill(&ctx, &w, 3);
    ctx.dev->linear_forward(&ctx, &x, &w, NULL, &y);
    ctx.dev->linear_forward(&ctx, &x, &w, NULL, &y);
    host = voco_view(ret_y, VOCO_F64, 2, m, n);
    ctx.dev->download(&ctx, &y, &host);
    ck_assert_ptr_eq(ctx.dev, &trace.device);

    fputs("TABLE\n", out);
    voco_trace_report(&trace, out);
    ck_assert_int_eq(trace.rows, 4);
    for (int i = 0; i < trace.rows; i++) {
        const struct voco_trace_row *row = &trace.row[i];
        const int linear = strcmp(row->op, "linear_forward") == 0;

        ck_assert_int_eq(row->calls, linear ? 2 : 1);
        ck_assert_double_eq(row->flops, linear ? 2 * 2.0 * 4 * 3 * 2 : 0);
        ck_assert(row->seconds >= 0);
    }
    voco_ctx_close(&ctx);
    voco_trace_free(&trace);
    fclose(out);
    return text;
}

START_TEST(traced_device_computes_the_same_and_tells)
{
    double y[8] = { 0 };
    char *text = trace_three_calls(_i ? 1e11 : 0, y), *table = strstr(text, "TABLE");

    for (int i = 0; i < 8; i++)
        ck_assert_double_eq(y[i], 18);
    ck_assert_ptr_nonnull(strstr(text, "linear_forward          4x3 2x3 4x2"));
    ck_assert_ptr_nonnull(table);
    ck_assert_ptr_nonnull(strstr(table, "share"));
    ck_assert_ptr_nonnull(strstr(table, "\nall "));
    ck_assert_int_eq(strstr(table, "peak") != NULL, _i);
    ck_assert_int_eq(strstr(table, "peak: 100 GFLOP/s, products on registers, 1 thread (the "
                                   "machine was busy: they ran 50 % of the time)") != NULL,
                     _i);
    free(text);
}
END_TEST

static void
copy_nothing(struct voco_ctx *ctx, const struct voco_tensor *x,
             const struct voco_tensor *y)
{
    (void)ctx, (void)x, (void)y;
}

START_TEST(long_shapes_are_cut)
{
    const int64_t n = INT64_C(1000000000);
    const struct voco_tensor x = { .dim = { 0, n, n, n, n }, .rank = 5 };
    const struct voco_tensor y = { .dim = { 0, n, n, n, 7 }, .rank = 5 };
    struct voco_device silent = voco_oracle;
    struct voco_trace trace;
    struct voco_ctx ctx;

    silent.copy = copy_nothing;
    voco_trace_init(&trace, &silent, NULL);
    ck_assert_int_eq(voco_ctx_open(&ctx, &trace.device,
                                   &(struct voco_ctx_options){ .limit = 1 << 20,
                                                               .threads = 1 }), VOCO_OK);
    ctx.dev->copy(&ctx, &x, &y);
    ck_assert_int_eq(trace.rows, 1);
    ck_assert_uint_eq(strlen(trace.row[0].shapes), VOCO_TRACE_SHAPES - 1);
    voco_ctx_close(&ctx);
    voco_trace_free(&trace);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("trace");
    TCase *tc = tcase_create("trace");

    tcase_add_loop_test(tc, traced_device_computes_the_same_and_tells, 0, 2);
    tcase_add_test(tc, long_shapes_are_cut);
    suite_add_tcase(suite, tc);
    return suite;
}
