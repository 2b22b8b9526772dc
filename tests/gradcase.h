/*
 * Gradients of entries of the oracle, for programs of such tests: a context, operands in it,
 * and the comparison with finite differences, to 1e-7.
 */
#ifndef VOCO_TESTS_GRADCASE_H
#define VOCO_TESTS_GRADCASE_H

#include "dev/device.h"
#include "tests/gradcheck.h"
#include "tests/tensors.h"
#include "tests/test.h"

static struct voco_ctx ctx;

static inline void
open_ctx(void)
{
    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_oracle,
                                   &(struct voco_ctx_options){ .limit = (size_t)256 << 20,
                                                               .threads = 2 }),
                     VOCO_OK);
}

static inline void
close_ctx(void)
{
    ck_assert_int_eq(ctx.err, VOCO_OK);
    ck_assert_uint_eq(voco_arena_mark(&ctx.temp), 0);
    voco_ctx_close(&ctx);
}

static inline struct voco_tensor
uniform(const char *name, double lo, double hi, struct voco_tensor shape)
{
    struct voco_tensor x = voco_push_like(&ctx, &ctx.keep, &shape);

    gradcheck_fill(&x, 1, name, lo, hi);
    return x;
}

static inline struct voco_tensor
zeros_like(const struct voco_tensor *x)
{
    struct voco_tensor y = voco_push_like(&ctx, &ctx.keep, x);

    ctx.dev->fill(&ctx, &y, 0);
    return y;
}

static inline struct voco_tensor
zeros(struct voco_tensor shape)
{
    return zeros_like(&shape);
}

/* What a backward must overwrite starts as this. */
static inline struct voco_tensor
junk_like(const struct voco_tensor *x)
{
    return uniform("junk", -9, 9, *x);
}

static inline void
check(const char *what, double (*loss)(void *), void *arg,
      const struct gradcheck_input *in, int n)
{
    const struct gradcheck g = { .what = what, .loss = loss, .arg = arg, .seed = 5 };

    ck_assert_msg(gradcheck_run(&g, in, n), "%s", what);
}

#define CHECK(what, loss, arg, ...)                                                     \
    check(what, loss, arg, (struct gradcheck_input[]){ __VA_ARGS__ },                   \
          COUNT(((struct gradcheck_input[]){ __VA_ARGS__ })))

#endif
