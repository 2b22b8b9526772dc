/* Runs a case on two devices and dry, and compares. */
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dev/wrap/dry.h"
#include "tests/compare.h"

enum { GUARD = 32 };                    /* elements on either side */

static const double guard_value = 3 << 12;     /* a bfloat16, too */
static const size_t arena_bytes = (size_t)1 << 30;

/* ---- operands ---- */

/* shape's elements, guarded; the guards are written, the elements are not. */
static struct voco_tensor
guarded(struct harness *h, struct voco_tensor shape)
{
    const int64_t n = voco_count(&shape);
    struct voco_tensor *whole = &h->whole[h->tensors++];
    struct voco_tensor x = shape;

    VOCO_ASSERT(h->tensors <= HARNESS_TENSORS);
    *whole = shape.type == VOCO_F32
        ? voco_push_real(h->ctx, &h->ctx->keep, 1, n + 2 * GUARD + h->offset)
        : voco_push(h->ctx, &h->ctx->keep, 1, n + 2 * GUARD + h->offset);
    h->ctx->dev->fill(h->ctx, whole, guard_value);
    x.type = whole->type;
    x.data = (char *)whole->data
           + (size_t)(GUARD + h->offset) * voco_type_bytes(whole->type);
    return x;
}

/* To eight significant bits, ties to even. */
static float
round_to_bf16(float x)
{
    int e;
    const float m = frexpf(x, &e);

    return ldexpf(rintf(ldexpf(m, 8)), e - 8);
}

struct voco_tensor
operand(struct harness *h, double lo, double hi, struct voco_tensor shape)
{
    struct voco_tensor x = guarded(h, shape), host = shape;
    const int64_t n = voco_count(&shape);
    float *values = malloc((size_t)n * sizeof *values + 1);
    char name[32];

    VOCO_ASSERT(values);
    snprintf(name, sizeof name, "operand%d", h->tensors);
    voco_hash_uniform(h->seed, name, n, lo, hi, values);
    if (h->integers) {
        voco_hash_uniform(h->seed, name, n, -2.5, 2.5, values);
        for (int64_t i = 0; i < n; i++)
            values[i] = fminf(fmaxf(roundf(values[i]), -2), 2);
    }
    for (int64_t i = 0; i < n && h->bf16; i++)
        values[i] = round_to_bf16(values[i]);
    host.data = values;
    host.type = VOCO_F32;
    h->ctx->dev->upload(h->ctx, &host, &x);
    free(values);
    return x;
}

struct voco_tensor
overwritten(struct harness *h, struct voco_tensor shape)
{
    struct voco_tensor x = guarded(h, shape);

    h->ctx->dev->fill(h->ctx, &x, NAN);
    return x;
}

struct voco_tensor
added_to(struct harness *h, struct voco_tensor shape)
{
    return operand(h, -1, 1, shape);
}

/* ---- results ---- */

static double *
download(struct voco_ctx *ctx, const struct voco_tensor *x)
{
    double *host = malloc((size_t)voco_count(x) * sizeof *host + 1);
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, voco_count(x));

    VOCO_ASSERT(host);
    ctx->dev->download(ctx, x, &view);
    return host;
}

void
result(struct harness *h, const char *name, const struct voco_tensor *x, double tolerance)
{
    VOCO_ASSERT(h->results < HARNESS_RESULTS);
    h->result[h->results++] = (struct harness_result){
        .name = name, .x = download(h->ctx, x), .n = voco_count(x),
        .tolerance = tolerance + (x->type == VOCO_BF16 ? STORED_BF16 : 0),
    };
}

/*
 * Terms of random sign: partial sums grow to sqrt(k) of a term, each addition rounds by
 * 2^-24 of that, and k roundings walk sqrt(k) far.  The largest of many sums is a few
 * times sqrt(k) of a term, so relative to it the error is sqrt(k) 2^-24; 4 for the tail,
 * and 8 roundings however few the terms.  Whole numbers below 2^24 sum without error.
 */
double
sum_tolerance(const struct harness *h, int64_t k)
{
    return h->integers ? 0 : ldexp(8 + 4 * sqrt((double)k), -24);
}

/* ---- runs ---- */

static void
free_results(struct harness *h)
{
    for (int i = 0; i < h->results; i++)
        free(h->result[i].x);
    h->results = 0;
}

static bool
guards_are_whole(struct harness *h)
{
    bool ok = true;

    for (int i = 0; i < h->tensors; i++) {
        const int64_t n = voco_count(&h->whole[i]);
        double *x = download(h->ctx, &h->whole[i]);

        for (int64_t j = 0; j < GUARD; j++) {
            if (x[j + h->offset] != guard_value) {
                printf("wrote %lld elements in front of operand %d\n",
                       (long long)(GUARD - j), i + 1);
                ok = false;
            }
            if (x[n - 1 - j] != guard_value) {
                printf("wrote %lld elements behind operand %d\n", (long long)(GUARD - j),
                       i + 1);
                ok = false;
            }
        }
        free(x);
    }
    return ok;
}

/* One run in a fresh context.  The harness keeps the results; *ret_keep and *ret_temp are
 * what the arenas reached. */
static bool
run_once(const struct voco_device *dev, const struct harness_case *c, bool planning,
         int threads, struct harness *h, size_t *ret_keep, size_t *ret_temp)
{
    struct voco_ctx ctx;
    bool ok;

    if (voco_ctx_open(&ctx, dev,
                      &(struct voco_ctx_options){ .limit = arena_bytes,
                                                  .threads = threads }) != VOCO_OK) {
        printf("%s: %s\n", dev->name, voco_fail_text());
        return false;
    }
    h->ctx = &ctx;
    h->tensors = h->results = 0;
    c->run(h, c->p);
    ok = ctx.err == VOCO_OK && voco_arena_mark(&ctx.temp) == 0;
    if (!ok)
        printf("%s: error %d (%s), %zu bytes of scratch not released\n", dev->name,
               ctx.err, voco_fail_text(), voco_arena_mark(&ctx.temp));
    if (!planning)
        ok = guards_are_whole(h) && ok;
    *ret_keep = ctx.keep.peak;
    *ret_temp = ctx.temp.peak;
    voco_ctx_close(&ctx);
    return ok;
}

/* equal: to the last bit, as the oracle must be for any number of threads. */
static bool
compare_results(const struct voco_device *dev, const struct harness *want,
                const struct harness *got, bool equal)
{
    bool ok = true;

    for (int i = 0; i < want->results; i++) {
        const struct harness_result *w = &want->result[i];
        const double tolerance = equal ? 0 : got->result[i].tolerance;
        char label[64];

        snprintf(label, sizeof label, "%s: %s", dev->name, w->name);
        ok = compare(label, w->x, got->result[i].x, w->n, tolerance) && ok;
    }
    return ok;
}

static bool
dry_run_foresees(const struct voco_device *dev, const struct harness_case *c,
                 const struct harness *like, size_t keep, size_t temp)
{
    struct harness h = { .seed = like->seed, .integers = like->integers,
                         .offset = like->offset, .bf16 = like->bf16 };
    struct voco_dry dry;
    size_t dry_keep, dry_temp;
    bool ok;

    voco_dry_init(&dry, dev);
    ok = run_once(&dry.device, c, true, 2, &h, &dry_keep, &dry_temp);
    free_results(&h);
    voco_dry_free(&dry);
    if (ok && (dry_keep != keep || dry_temp < temp)) {
        printf("%s: reached %zu kept and %zu scratch bytes, planned were %zu and %zu\n",
               dev->name, keep, temp, dry_keep, dry_temp);
        return false;
    }
    return ok;
}

static void
print_case(const struct harness_case *c, const struct harness *h)
{
    int numbers = CASE_NUMBERS;

    while (numbers > 0 && c->p[numbers - 1] == 0)
        numbers--;
    printf("  in %s, sizes", c->name);
    for (int i = 0; i < numbers; i++)
        printf(" %lld", (long long)c->p[i]);
    printf(", seed %llu, offset %d%s\n", (unsigned long long)h->seed, h->offset,
           h->integers ? ", whole numbers" : "");
}

bool
harness_run(const struct voco_device *dev, const struct harness_case *c)
{
    bool ok = true;

    for (int offset = 0; offset < 2; offset++) {
        struct harness want = { .seed = 17, .integers = c->integers, .offset = offset,
                                .bf16 = dev->act == VOCO_BF16 };
        struct harness got = want;
        size_t keep, temp;
        bool one;

        one = run_once(&voco_oracle, c, false, 1, &want, &keep, &temp)
           && run_once(dev, c, false, 2, &got, &keep, &temp)
           && compare_results(dev, &want, &got, dev == &voco_oracle)
           && dry_run_foresees(dev, c, &want, keep, temp);
        if (!one)
            print_case(c, &want);
        ok = ok && one;
        free_results(&want);
        free_results(&got);
    }
    return ok;
}

bool
harness_threads(const struct voco_device *dev, const struct harness_case *c)
{
    static const int threads[] = { 2, 3, 5 };
    struct harness want = { .seed = 18, .integers = c->integers,
                            .bf16 = dev->act == VOCO_BF16 };
    struct harness got = want;
    size_t keep, temp;
    bool ok = run_once(dev, c, false, 1, &want, &keep, &temp);

    for (int i = 0; ok && i < 3; i++) {
        ok = run_once(dev, c, false, threads[i], &got, &keep, &temp)
          && compare_results(dev, &want, &got, true);
        if (!ok)
            printf("with %d threads\n", threads[i]);
        free_results(&got);
    }
    if (!ok)
        print_case(c, &want);
    free_results(&want);
    return ok;
}
