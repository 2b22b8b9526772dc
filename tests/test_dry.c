/* The planning device: nothing is touched, everything is counted. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev/wrap/dry.h"
#include "dev/flops.h"
#include "tests/test.h"

static struct voco_dry dry;
static struct voco_ctx ctx;

static void
open_dry(void)
{
    voco_dry_init(&dry, &voco_oracle);
    ck_assert_int_eq(voco_ctx_open(&ctx, &dry.device,
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 42,
                                                               .threads = 2 }), VOCO_OK);
}

static void
close_dry(void)
{
    voco_ctx_close(&ctx);
    voco_dry_free(&dry);
}

/* A step of terabytes costs no time and no memory. */
START_TEST(dry_run_counts_what_no_machine_holds)
{
    const struct voco_conv conv = VOCO_CONV_CUBE(768, 768, 3, 1, 1);
    const int64_t n = 400, side = 64, c = 768, k = 3;
    const struct voco_tensor x = voco_push(&ctx, &ctx.keep, 5, n, side, side, side, c);
    const struct voco_tensor y = voco_push_like(&ctx, &ctx.keep, &x);
    const struct voco_tensor w = voco_push(&ctx, &ctx.keep, 5, c, c, k, k, k);
    double zero = 7;
    const struct voco_tensor host = voco_view(&zero, VOCO_F64, 1, (int64_t)1);
    const struct voco_tensor one = voco_push(&ctx, &ctx.keep, 1, (int64_t)1);

    ctx.dev->fill(&ctx, &x, 1);
    ctx.dev->conv3d_forward(&ctx, &conv, &x, &w, NULL, &y, NULL);
    ctx.dev->conv3d_backward_data(&ctx, &conv, &y, &w, &x);
    ctx.dev->conv3d_backward_weights(&ctx, &conv, &x, &y, &w, NULL);
    ctx.dev->sum_squares(&ctx, &x, &one);
    ctx.dev->download(&ctx, &one, &host);
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert(zero == 0);
    ck_assert_uint_ge(ctx.keep.peak, 2 * voco_tensor_bytes(&x));
    ck_assert_uint_ge(ctx.temp.peak, voco_tensor_bytes(&w));    /* the oracle repacks w */
    ck_assert_uint_eq(voco_arena_mark(&ctx.temp), 0);
    ck_assert_double_eq_tol(dry.flops, 3 * 2.0 * (double)voco_rows(&x) * 27 * 768 * 768
                                       + 2.0 * (double)voco_count(&x), 1);
}
END_TEST

START_TEST(plan_that_does_not_fit_is_an_error)
{
    const int64_t huge = (int64_t)1 << 50;

    (void)voco_push(&ctx, &ctx.keep, 1, huge);
    ck_assert_int_eq(ctx.err, VOCO_EMEMORY);
}
END_TEST

/* What the plan rests on: an element of a planning arena is out of reach. */
START_TEST(reading_a_planned_tensor_faults)
{
    const struct voco_tensor x = voco_push(&ctx, &ctx.keep, 1, (int64_t)16);
    const pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 };

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        _exit(*(volatile double *)x.data != 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("dry");
    TCase *tc = tcase_create("dry");

    tcase_add_checked_fixture(tc, open_dry, close_dry);
    tcase_add_test(tc, dry_run_counts_what_no_machine_holds);
    tcase_add_test(tc, plan_that_does_not_fit_is_an_error);
    tcase_add_test(tc, reading_a_planned_tensor_faults);
    suite_add_tcase(suite, tc);
    return suite;
}
