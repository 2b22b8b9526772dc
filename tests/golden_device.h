/*
 * Entries of a device against a file of golden numbers, for programs of such tests: the file
 * and a context on the device, arrays that are uploaded to it, and results that are compared
 * with datasets.
 *
 * Files hold results in double, some rounded to float, so the oracle agrees to 2^-24 of each
 * value; 1e-6 leaves room for sums in another order.  f32 devices get a tolerance of their
 * own.
 */
#ifndef VOCO_TESTS_GOLDEN_DEVICE_H
#define VOCO_TESTS_GOLDEN_DEVICE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/compare.h"
#include "tests/devices.h"
#include "tests/golden_read.h"
#include "tests/test.h"

static struct golden golden;
static struct voco_ctx ctx;

static inline void
open_device(const char *file, int number)
{
    golden = golden_open(file);
    ck_assert_int_eq(voco_ctx_open(&ctx, devices[number],
                                   &(struct voco_ctx_options){ .limit = (size_t)64 << 20,
                                                               .threads = 2 }),
                     VOCO_OK);
}

static inline void
close_device(void)
{
    ck_assert_int_eq(ctx.err, VOCO_OK);
    voco_ctx_close(&ctx);
    golden_close(&golden);
}

static inline double
tolerance(double f32)
{
    return ctx.dev->real == VOCO_F64 ? 1e-6 : f32;
}

/* The array on the device; volumes become channels last. */
static inline struct voco_tensor
upload(struct golden_array a)
{
    struct voco_tensor host, x;

    golden_channels_last(&a);
    host = golden_view(&a);
    x = voco_push_like(&ctx, &ctx.keep, &host);
    ctx.dev->upload(&ctx, &host, &x);
    golden_free(&a);
    return x;
}

/* Weights keep torch's order. */
static inline struct voco_tensor
upload_param(struct golden_array a)
{
    const struct voco_tensor host = golden_view(&a);
    struct voco_tensor x = voco_push_like(&ctx, &ctx.keep, &host);

    ctx.dev->upload(&ctx, &host, &x);
    golden_free(&a);
    return x;
}

static inline struct voco_tensor
zeros_like(const struct voco_tensor *x)
{
    struct voco_tensor y = voco_push_like(&ctx, &ctx.keep, x);

    ctx.dev->fill(&ctx, &y, 0);
    return y;
}

static inline void
expect_values(const char *what, const double *want, const struct voco_tensor *got,
              double f32)
{
    const int64_t n = voco_count(got);
    double *host = malloc((size_t)n * sizeof *host);
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, n);
    char label[192];

    ck_assert_ptr_nonnull(host);
    ctx.dev->download(&ctx, got, &view);
    snprintf(label, sizeof label, "%s: %s.h5 %s", ctx.dev->name, golden.name, what);
    ck_assert_msg(compare(label, want, host, n, tolerance(f32)), "%s", label);
    free(host);
}

/* A dataset; all but gradients of parameters become channels last. */
static inline void
expect(const char *path, const struct voco_tensor *got, double f32)
{
    struct golden_array want = golden_read(&golden, "%s", path);

    ck_assert_int_eq(want.count, voco_count(got));
    if (!strstr(path, "/grad/"))
        golden_channels_last(&want);
    expect_values(path, want.x, got, f32);
    golden_free(&want);
}

/* GROUP/dy on the device, channels last. */
static inline struct voco_tensor
upstream(const char *group)
{
    struct golden_array y = golden_read(&golden, "%s/y", group);
    struct voco_tensor dy = upload(golden_upstream(&golden, group, &y));

    golden_free(&y);
    return dy;
}

/* The scalar upstream gradient takes the place of the weight. */
static inline double
upstream_of_loss(const char *group)
{
    const struct golden_array one = { .dim = { 1 }, .rank = 1, .count = 1 };
    struct golden_array dy = golden_upstream(&golden, group, &one);
    const double weight = dy.x[0];

    golden_free(&dy);
    return weight;
}

#endif
