/* Convolutions of one voxel, 1x1x1: matrix products in disguise. */
#include <omp.h>
#include <string.h>

#include "dev/cpu/conv.h"

static int64_t
volume(const int64_t size[3])
{
    return size[0] * size[1] * size[2];
}

static size_t
none(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    (void)p;
    return 0;
}

static bool
pointwise(const struct voco_conv_problem *p)
{
    return voco_conv_is_cube(&p->conv, 1, 1, 0);
}

/* ---- 1x1x1 of many channels: a linear layer over voxels ---- */

static bool
linear_can(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    return pointwise(p);
}

static bool
linear_best(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    return p->conv.cin > 1;
}

static void
linear_run(struct voco_ctx *ctx, const struct voco_conv_problem *p,
           const struct voco_conv_io *io, void *scratch)
{
    const int64_t m = p->n * volume(p->in), cin = p->conv.cin, cout = p->conv.cout;
    const struct voco_tensor x = voco_view(io->x, VOCO_F32, 2, m, cin);
    const struct voco_tensor y = voco_view(io->y, VOCO_F32, 2, m, cout);
    const struct voco_tensor w = voco_view(io->w, VOCO_F32, 2, cout, cin);
    const struct voco_tensor b = voco_view((float *)io->bias, VOCO_F32, 1, cout);

    (void)scratch;
    if (p->what == VOCO_WS_CONV_FORWARD)
        voco_cpu_linear_forward(ctx, &x, &w, io->bias ? &b : NULL, &y);
    else if (p->what == VOCO_WS_CONV_BACKWARD_DATA)
        voco_cpu_linear_backward_data(ctx, &y, &w, &x);
    else
        voco_cpu_linear_backward_weights(ctx, &x, &y, &w, NULL);
}

const struct voco_conv_impl voco_conv_linear = {
    "linear", linear_can, linear_best, none, none, linear_run
};

/* ---- 1x1x1 of one channel: an outer product, limited by memory ---- */

static bool
outer_can(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    return pointwise(p) && p->conv.cin == 1;
}

/* Limited by memory, as oneDNN is.  With 12 channels, which fill no vector, oneDNN 2.6.3
 * takes 0.7 ms for d-weights of 4 x 64^3 voxels and this 8.6 (2 cores Zen 4). */
static bool
outer_best(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    return p->conv.cout >= 16;
}

static void
outer_forward(const struct voco_ctx *ctx, const struct voco_conv_io *io, int64_t m,
              int64_t c)
{
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < m; i++) {
        const float x = io->x[i];
        float *y = io->y + i * c;

        if (io->bias)
            #pragma omp simd
            for (int64_t j = 0; j < c; j++)
                y[j] = x * io->w[j] + io->bias[j];
        else
            #pragma omp simd
            for (int64_t j = 0; j < c; j++)
                y[j] = x * io->w[j];
    }
}

static void
outer_backward_data(const struct voco_ctx *ctx, const struct voco_conv_io *io, int64_t m,
                    int64_t c)
{
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < m; i++) {
        const float *dy = io->y + i * c;
        float sum = 0;

        #pragma omp simd reduction(+:sum)
        for (int64_t j = 0; j < c; j++)
            sum += dy[j] * io->w[j];
        io->x[i] = sum;
    }
}

/* dw += sum_i x[i] dy[i,:]; 256 voxels at a time in f32, those in double */
static void
outer_backward_weights(struct voco_ctx *ctx, const struct voco_conv_io *io, int64_t m,
                       int64_t c)
{
    const int threads = ctx->threads;
    const size_t each = (size_t)c * (sizeof(double) + sizeof(float));
    double *sums = voco_cpu_scratch(ctx, (size_t)threads * each);
    float *parts;

    if (!sums)
        return;
    parts = (float *)(sums + threads * c);
    memset(sums, 0, (size_t)threads * (size_t)c * sizeof *sums);
    #pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num();
        double *sum = sums + t * c;
        float *part = parts + t * c;
        int64_t from, to;

        voco_cpu_share(m, 1, t, omp_get_num_threads(), &from, &to);
        for (int64_t i = from; i < to; i += 256) {
            const int64_t end = i + 256 < to ? i + 256 : to;

            memset(part, 0, (size_t)c * sizeof *part);
            for (int64_t r = i; r < end; r++) {
                const float x = io->x[r];
                const float *dy = io->y + r * c;

                #pragma omp simd
                for (int64_t j = 0; j < c; j++)
                    part[j] += x * dy[j];
            }
            for (int64_t j = 0; j < c; j++)
                sum[j] += (double)part[j];
        }
    }
    for (int64_t j = 0; j < c; j++) {
        double sum = 0;

        for (int t = 0; t < threads; t++)
            sum += sums[t * c + j];
        io->w[j] += (float)sum;
    }
}

static void
outer_run(struct voco_ctx *ctx, const struct voco_conv_problem *p,
          const struct voco_conv_io *io, void *scratch)
{
    const int64_t m = p->n * volume(p->in), c = p->conv.cout;

    (void)scratch;
    if (p->what == VOCO_WS_CONV_FORWARD)
        outer_forward(ctx, io, m, c);
    else if (p->what == VOCO_WS_CONV_BACKWARD_DATA)
        outer_backward_data(ctx, io, m, c);
    else
        outer_backward_weights(ctx, io, m, c);
}

const struct voco_conv_impl voco_conv_outer = {
    "outer", outer_can, outer_best, none, none, outer_run
};
