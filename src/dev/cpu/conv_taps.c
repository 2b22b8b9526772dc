/*
 * 3x3x3 convolutions on maps of at most 4^3 voxels.
 *
 * There many taps fall outside: on 2^3 only 64 of 216 pairs of an input and an output
 * voxel exist, as many products as Winograd needs, and the weights, by far the largest
 * operand, are read once.  For each tap t the pairs of all items are rows of
 *
 *   forward    Y[out,:] += X[in,:] W_t          d-data  dX[in,:] += dY[out,:] W_t'
 *   d-weights  dW_t += X[in,:]' dY[out,:]
 *
 * with the product kernels of simd/winograd.h.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu/conv.h"
#include "simd/kernels.h"
#include "simd/winograd.h"

enum { TAPS = 27, MAX_EDGE = 4, BLOCK = 8, PAD = 16 };

/* c channels in, k out, of the product: swapped for d-data. */
struct plan {
    const struct voco_winograd *w;
    size_t c, k, kp;
    int64_t n, size[3], volume;
    bool swap;
};

static const struct voco_winograd *
kernels(const struct voco_ctx *ctx)
{
    return voco_winograd_kernels(voco_cpu_state(ctx)->kernels->isa);
}

static struct plan
plan_of(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const bool swap = q->what == VOCO_WS_CONV_BACKWARD_DATA;
    struct plan p = { .w = kernels(ctx), .n = q->n, .volume = 1, .swap = swap,
                      .c = (size_t)(swap ? q->conv.cout : q->conv.cin),
                      .k = (size_t)(swap ? q->conv.cin : q->conv.cout) };

    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS) {     /* vectors run along cin */
        p.c = (size_t)q->conv.cout;
        p.k = (size_t)q->conv.cin;
    }
    p.kp = voco_winograd_round(p.w, p.k);
    for (int i = 0; i < 3; i++) {
        p.size[i] = q->in[i];
        p.volume *= q->in[i];
    }
    return p;
}

/* Voxels of x and of y that tap t joins, in pairs; returns how many. */
static int64_t
pairs_of(const struct plan *p, int t, int64_t *x, int64_t *y)
{
    const int64_t *s = p->size, shift[3] = { t / 9 - 1, t / 3 % 3 - 1, t % 3 - 1 };
    int64_t count = 0;

    for (int64_t v = 0; v < p->n * p->volume; v++) {
        const int64_t out[3] = { v / (s[1] * s[2]) % s[0], v / s[2] % s[1], v % s[2] };
        bool inside = true;

        for (int i = 0; i < 3; i++)
            inside = inside && out[i] + shift[i] >= 0 && out[i] + shift[i] < s[i];
        if (inside) {
            x[count] = v + (shift[0] * s[1] + shift[1]) * s[2] + shift[2];
            y[count++] = v;
        }
    }
    return count;
}

/* All pairs of all taps: the product over axes of (3 size - 2). */
static int64_t
all_pairs(const struct plan *p)
{
    int64_t pairs = p->n;

    for (int i = 0; i < 3; i++)
        pairs *= p->size[i] == 1 ? 1 : 3 * p->size[i] - 2;
    return pairs;
}

/* to[i, 0..width) = from[row[i], 0..c), zeros behind */
static void
gather(const float *from, size_t c, const int64_t *row, int64_t rows, float *to,
       size_t width)
{
    for (int64_t i = 0; i < rows; i++, to += width) {
        memcpy(to, from + row[i] * (int64_t)c, c * sizeof *to);
        memset(to + c, 0, (width - c) * sizeof *to);
    }
}

/* ---- forward and d-data ---- */

struct pack_arg {
    const struct plan *p;
    int threads;
};

/* W_t [c,k] in panels, tap by tap: a vector of columns of all taps at a time. */
static enum voco_err
make_packed(void *arg, const float *w, float *packed)
{
    const struct pack_arg *a = arg;
    const struct plan *p = a->p;
    const size_t lanes = p->w->lanes;

    #pragma omp parallel for num_threads(a->threads) schedule(static)
    for (size_t k = 0; k < p->kp; k += lanes)
        for (size_t c = 0; c < p->c; c++)
            p->w->to_lanes(w + TAPS * (p->swap ? c * p->k + k : k * p->c + c),
                           TAPS * (p->swap ? 1 : p->c), p->k - k, false,
                           packed + voco_winograd_at(p->w, p->c, p->k, c, k), p->c * p->kp);
    return VOCO_OK;
}

/* Per thread: gathered rows, their product, the sum over the thread's taps, the pairs. */
static size_t
forward_floats(const struct plan *p)
{
    const size_t rows = (size_t)(p->n * p->volume);

    return (rows * (p->c + 2 * p->kp + 2 * sizeof(int64_t) / sizeof(float)) + PAD)
           / PAD * PAD;
}

static void
forward_taps(const struct plan *p, const float *x, const float *u, int first, int step,
             float *scratch)
{
    const int64_t rows = p->n * p->volume;
    float *const sum = scratch, *const m = sum + rows * (int64_t)p->kp;
    int64_t *const from = (int64_t *)(void *)(m + rows * (int64_t)p->kp);
    int64_t *const to = from + rows;
    float *const v = (float *)(void *)(to + rows);

    memset(sum, 0, (size_t)rows * p->kp * sizeof *sum);
    for (int t = first; t < TAPS; t += step) {
        const int64_t count = p->swap ? pairs_of(p, t, to, from) : pairs_of(p, t, from, to);

        gather(x, p->c, from, count, v, p->c);
        p->w->product(v, p->c, u + (size_t)t * p->c * p->kp, m, p->kp, (size_t)count, p->c,
                      p->k, p->c, false);
        for (int64_t i = 0; i < count; i++) {
            const float *add = m + i * (int64_t)p->kp;
            float *s = sum + to[i] * (int64_t)p->kp;

            #pragma omp simd
            for (size_t k = 0; k < p->kp; k++)
                s[k] += add[k];
        }
    }
}

static void
run_forward(struct voco_ctx *ctx, const struct plan *p, const struct voco_conv_io *io,
            float *scratch)
{
    struct pack_arg arg = { p, ctx->threads };
    const int threads = ctx->threads < TAPS ? ctx->threads : TAPS;
    const size_t each = forward_floats(p);
    const float *u = voco_packed(ctx, io->w, (int64_t)(TAPS * p->c * p->k),
                                 p->swap ? VOCO_LAYOUT_TAPS_DATA : VOCO_LAYOUT_TAPS,
                                 TAPS * p->c * p->kp * sizeof *u, make_packed, &arg);
    float *const y = p->swap ? io->x : io->y;

    if (!u)
        return;
    #pragma omp parallel num_threads(threads)
    {
        #pragma omp for schedule(static)
        for (int t = 0; t < threads; t++)
            forward_taps(p, p->swap ? io->y : io->x, u, t, threads,
                         scratch + (size_t)t * each);
        #pragma omp for schedule(static)
        for (int64_t i = 0; i < p->n * p->volume; i++)
            for (size_t k = 0; k < p->k; k++) {
                float sum = io->bias ? io->bias[k] : 0.0f;

                for (int t = 0; t < threads; t++)
                    sum += scratch[(size_t)t * each + (size_t)i * p->kp + k];
                y[(size_t)i * p->k + k] = sum;
            }
    }
}

/* ---- d-weights: c is cout here, k is cin ---- */

/* Shared: pairs of a tap, rows of x and of dy for all taps.  Per thread: dW of BLOCK
 * outputs. */
static size_t
rows_floats(const struct plan *p)
{
    return ((size_t)(p->n * p->volume) * 2 * sizeof(int64_t) / sizeof(float)
            + (size_t)all_pairs(p) * (p->c + p->kp) + PAD) / PAD * PAD;
}

static size_t
block_floats(const struct plan *p)
{
    return TAPS * (BLOCK * p->kp + PAD);
}

/* dw[BLOCK outputs from c on, all inputs, 27] += dW_t */
static void
weights_block(const struct plan *p, const float *dy, const float *x, const int64_t *count,
              size_t c, float *dw, float *du)
{
    const size_t lanes = p->w->lanes, stride = BLOCK * p->kp + PAD;
    const size_t block = p->c - c < BLOCK ? p->c - c : BLOCK;

    memset(du, 0, TAPS * stride * sizeof *du);
    for (size_t t = 0; t < TAPS; t++) {
        p->w->product_add(dy + c, p->c, x, p->kp, du + t * stride, p->kp, (size_t)count[t],
                          block, p->k);
        dy += (size_t)count[t] * p->c;
        x += (size_t)count[t] * p->kp;
    }
    for (size_t i = 0; i < block; i++)
        for (size_t k = 0; k < p->k; k += lanes)
            p->w->from_lanes(du + i * p->kp + k, stride, dw + ((c + i) * p->k + k) * TAPS,
                             TAPS, p->k - k);
}

static void
run_weights(struct voco_ctx *ctx, const struct plan *p, const struct voco_conv_io *io,
            float *scratch)
{
    const int64_t rows = p->n * p->volume;
    int64_t *const from = (int64_t *)(void *)scratch, *const to = from + rows;
    float *const x = (float *)(void *)(to + rows);
    float *const dy = x + all_pairs(p) * (int64_t)p->kp;
    float *const blocks = scratch + rows_floats(p);
    int64_t count[TAPS], at = 0;

    for (int t = 0; t < TAPS; t++) {
        count[t] = pairs_of(p, t, from, to);
        gather(io->x, p->k, from, count[t], x + at * (int64_t)p->kp, p->kp);
        gather(io->y, p->c, to, count[t], dy + at * (int64_t)p->c, p->c);
        at += count[t];
    }
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (size_t c = 0; c < p->c; c += BLOCK)
        weights_block(p, dy, x, count, c, io->w,
                      blocks + (size_t)omp_get_thread_num() * block_floats(p));
}

/* ---- the implementation ---- */

static bool
can(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    return voco_conv_is_cube(&q->conv, 3, 1, 1)
           && q->in[0] <= MAX_EDGE && q->in[1] <= MAX_EDGE && q->in[2] <= MAX_EDGE
           && kernels(ctx) != NULL;
}

/* Measured for 4 items against Winograd: at 2^3 and 3^3 this is faster in all directions;
 * at 4^3 it does twice the products (Zen 4, 384 channels: forward 5.7 ms, by Winograd 3.2). */
static bool
best(const struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    (void)ctx;
    return q->conv.cin >= 16 && q->conv.cout >= 16
           && q->in[0] * q->in[1] * q->in[2] <= 27;
}

static size_t
scratch_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const struct plan p = plan_of(ctx, q);
    const size_t threads = (size_t)(ctx->threads < TAPS ? ctx->threads : TAPS);

    if (q->what != VOCO_WS_CONV_BACKWARD_WEIGHTS)
        return threads * forward_floats(&p) * sizeof(float);
    return (rows_floats(&p) + (size_t)ctx->threads * block_floats(&p)) * sizeof(float);
}

static size_t
packed_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *q)
{
    const struct plan p = plan_of(ctx, q);

    return TAPS * p.c * p.kp * sizeof(float);
}

static void
run(struct voco_ctx *ctx, const struct voco_conv_problem *q, const struct voco_conv_io *io,
    void *scratch)
{
    const struct plan p = plan_of(ctx, q);

    if (q->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        run_weights(ctx, &p, io, scratch);
    else
        run_forward(ctx, &p, io, scratch);
}

const struct voco_conv_impl voco_conv_taps = {
    "taps", can, best, scratch_bytes, packed_bytes, run
};
