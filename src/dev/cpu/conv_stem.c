/*
 * Gradient of the weights of first layers, whose images have a channel or a few.
 *
 *   dw[o,i,t] += sum over outputs v of x[v + t, i] dy[v,o]
 *
 * For a row of outputs the inputs of the taps are gathered, with zeros beyond the borders,
 * into a matrix [cin taps, row], small enough for the nearest cache.  Its product with the
 * row of dy fills whole tiles, where a kernel that runs along the input's channels has one
 * of them.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu/conv.h"
#include "simd/kernels.h"

enum { MOST = 128 };            /* cin taps */

/* The memory of a thread: sum [cin taps,cout], seen [cin taps,row]. */
struct part {
    float *sum, *seen;
};

static int64_t
window(const struct voco_conv_problem *p)
{
    return p->conv.cin * voco_kernel_taps(&p->conv);
}

static int64_t
part_floats(const struct voco_conv_problem *p)
{
    return (window(p) * (p->conv.cout + p->out[2]) + 15) / 16 * 16;
}

static struct part
part_at(const struct voco_conv_problem *p, float *scratch, int thread)
{
    float *sum = scratch + thread * part_floats(p);

    return (struct part){ sum, sum + window(p) * p->conv.cout };
}

/* to[l] = channel i of the input of tap t for output l of a row; from: the row of x, NULL
 * outside. */
static void
see(const struct voco_conv_problem *p, const float *from, int t, int64_t i, float *to)
{
    const int64_t step = p->conv.stride[2], first = t - p->conv.pad[2], n = p->out[2];
    const int64_t left = p->in[2] - first;      /* outputs [l0,l1) see voxels */
    int64_t l0 = first < 0 ? (step - 1 - first) / step : 0;
    int64_t l1 = left > 0 ? (left + step - 1) / step : 0;

    l1 = !from ? 0 : l1 < n ? l1 : n;
    l0 = l0 < l1 ? l0 : l1;
    memset(to, 0, (size_t)l0 * sizeof *to);
    memset(to + l1, 0, (size_t)(n - l1) * sizeof *to);
    if (step == 1 && p->conv.cin == 1 && l0 < l1)
        memcpy(to + l0, from + l0 + first, (size_t)(l1 - l0) * sizeof *to);
    else
        for (int64_t l = l0; l < l1; l++)
            to[l] = from[(l * step + first) * p->conv.cin + i];
}

/* seen [cin,taps,row] for row r of all outputs */
static void
see_row(const struct voco_conv_problem *p, const float *x, int64_t r, float *seen)
{
    const struct voco_conv *c = &p->conv;
    const int64_t h = r % p->out[1] * c->stride[1] - c->pad[1];
    const int64_t d = r / p->out[1] % p->out[0] * c->stride[0] - c->pad[0];
    const int64_t item = r / p->out[1] / p->out[0];

    for (int64_t i = 0; i < c->cin; i++)
        for (int a = 0; a < c->kernel[0]; a++)
            for (int b = 0; b < c->kernel[1]; b++) {
                const bool inside = d + a >= 0 && d + a < p->in[0]
                                    && h + b >= 0 && h + b < p->in[1];
                const int64_t row = (item * p->in[0] + d + a) * p->in[1] + h + b;

                for (int t = 0; t < c->kernel[2]; t++, seen += p->out[2])
                    see(p, inside ? x + row * p->in[2] * c->cin : NULL, t, i, seen);
            }
}

static void
run(struct voco_ctx *ctx, const struct voco_conv_problem *p,
    const struct voco_conv_io *io, void *scratch)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t rows = p->n * p->out[0] * p->out[1], n = p->conv.cout, m = window(p);

    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        const struct part own = part_at(p, scratch, t);
        int64_t from, to;

        memset(own.sum, 0, (size_t)(m * n) * sizeof *own.sum);
        voco_cpu_share(rows, 1, t, nt, &from, &to);
        for (int64_t r = from; r < to; r++) {
            see_row(p, io->x, r, own.seen);
            k->product(&(struct voco_product){
                .a = own.seen, .row = (size_t)p->out[2], .step = 1,
                .b = io->y + r * p->out[2] * n, .ldb = (size_t)n,
                .c = own.sum, .ldc = (size_t)n, .m = (size_t)m, .n = (size_t)n,
                .depth = (size_t)p->out[2], .add = true });
        }
        #pragma omp barrier
        #pragma omp for schedule(static)
        for (int64_t o = 0; o < n; o++)
            for (int64_t i = 0; i < m; i++)
                for (int q = 0; q < nt; q++)
                    io->w[o * m + i] += part_at(p, scratch, q).sum[i * n + o];
    }
}

/* ---- the implementation ---- */

static bool
can(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    const int64_t lanes = (int64_t)voco_cpu_state(ctx)->kernels->lanes;

    return p->what == VOCO_WS_CONV_BACKWARD_WEIGHTS && window(p) <= MOST && lanes > 1
           && p->conv.cout % lanes == 0;
}

/* Two Zen 4 cores, 48 outputs of 3x3x3 taps: 4 x 64^3 voxels in 18.7 ms, oneDNN 2.6.3 in 24.1;
 * 96^3 in 14.9 and 29.8.  Of 4 channels it takes longer than oneDNN. */
static bool
best(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    return p->conv.cin == 1 && p->conv.stride[2] == 1;
}

static size_t
scratch_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    return (size_t)(ctx->threads * part_floats(p)) * sizeof(float);
}

static size_t
packed_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    (void)p;
    return 0;
}

const struct voco_conv_impl voco_conv_stem = {
    "stem", can, best, scratch_bytes, packed_bytes, run
};
