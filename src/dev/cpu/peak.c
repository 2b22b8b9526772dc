/* The roof: products on registers, all threads at once.
 *
 * A thread is timed by the clock of its own processor time.  On a busy machine it waits for
 * a core, which lowers the share of the time that it runs and not the peak. */
#define _POSIX_C_SOURCE 200809L
#include "dev/cpu/cpu.h"

#include <time.h>

#include "base/log.h"
#include "simd/kernels.h"

static double
own_seconds(void)
{
    struct timespec t = { 0 };

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void
voco_cpu_peak(const struct voco_ctx *ctx, struct voco_peak *ret)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const bool pairs = ctx->dev->act == VOCO_BF16 && k->peak_pairs;
    float (*const products)(float x, size_t rounds) = pairs ? k->peak_pairs : k->peak;
    const size_t rounds = 20000;
    const double flops = 2.0 * 12.0 * (double)k->lanes * (double)rounds * (pairs ? 2 : 1);
    double rate = 0.0, ran = 0.0, sink = 0.0, wall;
    const double start_s = voco_seconds();

    #pragma omp parallel num_threads(ctx->threads) reduction(+ : rate, ran, sink)
    {
        const double own_s = own_seconds();
        double done = 0.0, took;

        while (voco_seconds() - start_s < 0.1) {
            sink += (double)products((float)start_s, rounds);
            done += flops;
        }
        took = own_seconds() - own_s;
        if (took > 0.0)
            rate += done / took;
        ran += took;
    }
    wall = voco_seconds() - start_s;
    *ret = (struct voco_peak){ .flops = sink > -1e300 ? rate : 0.0,
                               .share = ran / (wall * ctx->threads),
                               .of = pairs ? "bf16 products" : "f32 multiply-adds" };
}
