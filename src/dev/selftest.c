/* The same small computations on a device, results in double. */
#include "dev/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

/* Sizes cross a vector's length and a window; every result is the first of its row. */
enum { N = 2, S = 9, CIN = 5, COUT = 20, ROWS = 35, OUT_MAX = N * S * S * S * COUT };

static const struct voco_conv conv = VOCO_CONV_CUBE(CIN, COUT, 3, 1, 1);

struct bench {
    struct voco_ctx ctx;
    double *out;                /* [OUT_MAX] */
    int64_t n_out;
};

/* A tensor on the device, filled from the hash stream of name: uniform in (-1,1). */
static struct voco_tensor
fill(struct bench *b, const char *name, struct voco_tensor x)
{
    const int64_t n = voco_count(&x);
    float *host = malloc((size_t)n * sizeof *host);

    if (!host || !x.data) {
        voco_ctx_fail(&b->ctx, voco_fail(VOCO_EMEMORY, "no memory for the self-test"));
    } else {
        const struct voco_tensor from = voco_view(host, VOCO_F32, 1, n);

        voco_hash_uniform(1, name, n, -1, 1, host);
        b->ctx.dev->upload(&b->ctx, &from, &x);
    }
    free(host);
    return x;
}

static void
take(struct bench *b, const struct voco_tensor *y)
{
    const int64_t n = voco_count(y);
    const struct voco_tensor to = voco_view(b->out, VOCO_F64, 1, n);

    VOCO_ASSERT(n <= OUT_MAX);
    b->n_out = n;
    if (!b->ctx.err)
        b->ctx.dev->download(&b->ctx, y, &to);
}

#define VOLUME(b, name, c) \
    fill(b, name, voco_push(&(b)->ctx, &(b)->ctx.keep, 5, (int64_t)N, (int64_t)S, \
                            (int64_t)S, (int64_t)S, (int64_t)(c)))
#define MATRIX(b, name, rows, cols) \
    fill(b, name, voco_push(&(b)->ctx, &(b)->ctx.keep, 2, (int64_t)(rows), (int64_t)(cols)))
#define WEIGHTS(b) \
    fill(b, "w", voco_push(&(b)->ctx, &(b)->ctx.keep, 5, (int64_t)COUT, (int64_t)CIN, \
                           (int64_t)3, (int64_t)3, (int64_t)3))

static void
conv_forward(struct bench *b)
{
    const struct voco_tensor x = VOLUME(b, "x", CIN), w = WEIGHTS(b);
    const struct voco_tensor y = VOLUME(b, "y", COUT);

    b->ctx.dev->conv3d_forward(&b->ctx, &conv, &x, &w, NULL, &y, NULL);
    take(b, &y);
}

static void
conv_backward_data(struct bench *b)
{
    const struct voco_tensor dy = VOLUME(b, "y", COUT), w = WEIGHTS(b);
    const struct voco_tensor dx = VOLUME(b, "x", CIN);

    b->ctx.dev->conv3d_backward_data(&b->ctx, &conv, &dy, &w, &dx);
    take(b, &dx);
}

static void
conv_backward_weights(struct bench *b)
{
    const struct voco_tensor x = VOLUME(b, "x", CIN), dy = VOLUME(b, "y", COUT);
    const struct voco_tensor dw = WEIGHTS(b);

    b->ctx.dev->conv3d_backward_weights(&b->ctx, &conv, &x, &dy, &dw, NULL);
    take(b, &dw);
}

static void
linear_forward(struct bench *b)
{
    const struct voco_tensor x = MATRIX(b, "x", ROWS, CIN), w = MATRIX(b, "w", COUT, CIN);
    const struct voco_tensor y = MATRIX(b, "y", ROWS, COUT);

    b->ctx.dev->linear_forward(&b->ctx, &x, &w, NULL, &y);
    take(b, &y);
}

static void
instnorm_forward(struct bench *b)
{
    const struct voco_tensor x = fill(b, "x", voco_push(&b->ctx, &b->ctx.keep, 3,
                                      (int64_t)N, (int64_t)(S * S * S), (int64_t)COUT));
    const struct voco_tensor rstd = MATRIX(b, "r", N, COUT);

    b->ctx.dev->instnorm_forward(&b->ctx, &x, NULL, NULL, 0.01, 1e-5, &x, &rstd);
    take(b, &x);
}

static void
layernorm_forward(struct bench *b)
{
    const struct voco_tensor x = MATRIX(b, "x", ROWS, COUT);
    const struct voco_tensor mean = fill(b, "m", voco_push(&b->ctx, &b->ctx.keep, 1,
                                         (int64_t)ROWS));
    const struct voco_tensor rstd = fill(b, "r", voco_push(&b->ctx, &b->ctx.keep, 1,
                                         (int64_t)ROWS));
    const struct voco_tensor y = MATRIX(b, "y", ROWS, COUT);

    b->ctx.dev->layernorm_forward(&b->ctx, &x, NULL, NULL, 1e-5, &y, &mean, &rstd);
    take(b, &y);
}

static void
gelu_forward(struct bench *b)
{
    const struct voco_tensor x = MATRIX(b, "x", ROWS, COUT);

    b->ctx.dev->gelu_forward(&b->ctx, &x, &x);
    take(b, &x);
}

static const struct {
    const char *name;
    void (*run)(struct bench *b);
} primitives[] = {
    { "conv3d_forward", conv_forward },
    { "conv3d_backward_data", conv_backward_data },
    { "conv3d_backward_weights", conv_backward_weights },
    { "linear_forward", linear_forward },
    { "instnorm_forward", instnorm_forward },
    { "layernorm_forward", layernorm_forward },
    { "gelu_forward", gelu_forward },
};

static enum voco_err
run_one(struct bench *b, const struct voco_device *dev,
        void (*run)(struct bench *b))
{
    enum voco_err err = voco_ctx_open(&b->ctx, dev,
                                      &(struct voco_ctx_options){ .limit = (size_t)64 << 20 });

    if (err)
        return err;
    run(b);
    err = b->ctx.err;
    voco_ctx_close(&b->ctx);
    return err;
}

enum voco_err
voco_selftest(const struct voco_device *a, const struct voco_device *b,
              struct voco_selftest *ret)
{
    struct bench one = { .out = calloc(OUT_MAX, sizeof(double)) };
    struct bench two = { .out = calloc(OUT_MAX, sizeof(double)) };
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_selftest){ primitives[0].name, 0 };
    if (!one.out || !two.out)
        err = voco_fail(VOCO_EMEMORY, "no memory for the self-test");
    for (size_t i = 0; i < sizeof primitives / sizeof primitives[0] && !err; i++) {
        double largest = 0, apart = 0;

        if ((err = run_one(&one, a, primitives[i].run)) ||
            (err = run_one(&two, b, primitives[i].run)))
            break;
        for (int64_t k = 0; k < one.n_out; k++) {
            const double d = fabs(one.out[k] - two.out[k]);

            largest = fmax(largest, fabs(two.out[k]));
            apart = d <= apart ? apart : d;             /* keeps a NaN */
        }
        if (!(apart / largest <= ret->error))
            *ret = (struct voco_selftest){ primitives[i].name, apart / largest };
    }
    free(one.out);
    free(two.out);
    return err;
}
