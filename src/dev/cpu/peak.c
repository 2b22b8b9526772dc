/* The roof: multiply-adds on registers, all threads at once. */
#include "dev/cpu/cpu.h"

#include "base/log.h"
#include "simd/kernels.h"

double
voco_cpu_peak(const struct voco_ctx *ctx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const size_t rounds = 20000;
    const double flops = 2.0 * 12.0 * (double)k->lanes * (double)rounds;
    double done = 0.0, sink = 0.0;
    const double start_s = voco_seconds();

    #pragma omp parallel num_threads(ctx->threads) reduction(+ : done, sink)
    while (voco_seconds() - start_s < 0.1) {
        sink += (double)k->peak((float)start_s, rounds);
        done += flops;
    }
    return sink > -1e300 ? done / (voco_seconds() - start_s) : 0.0;
}
