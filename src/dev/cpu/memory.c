/* Memory of the cpu device, which is the host's: arenas, and copies of whole tensors. */
#include <omp.h>

#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

enum voco_err
voco_cpu_reserve(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret)
{
    (void)ctx;
    return voco_arena_init(ret, limit, false);
}

void
voco_cpu_upload(struct voco_ctx *ctx, X host, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == n && host->type != VOCO_BF16);
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK], *to = voco_block_room(y, i, spare);

        if (host->type == VOCO_F32)
            memcpy(to, (const float *)host->data + i, (size_t)m * sizeof *to);
        else if (host->type == VOCO_U8)
            for (int64_t j = 0; j < m; j++)
                to[j] = (float)((const uint8_t *)host->data)[i + j];
        else
            for (int64_t j = 0; j < m; j++)
                to[j] = (float)((const double *)host->data)[i + j];
        voco_block_done(k, y, i, m, to);
    }
}

void
voco_cpu_download(struct voco_ctx *ctx, X x, Y host)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == n
                && (host->type == VOCO_F32 || host->type == VOCO_F64));
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK];
        const float *from = voco_block_read(k, x, i, m, spare);

        if (host->type == VOCO_F32)
            memcpy((float *)host->data + i, from, (size_t)m * sizeof *from);
        else
            for (int64_t j = 0; j < m; j++)
                ((double *)host->data)[i + j] = (double)from[j];
    }
}

void
voco_cpu_fill(struct voco_ctx *ctx, Y y, double value)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK], *to = voco_block_room(y, i, spare);

        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            to[j] = (float)value;
        voco_block_done(k, y, i, m, to);
    }
}

void
voco_cpu_copy(struct voco_ctx *ctx, X x, Y y)
{
    const size_t size = voco_type_bytes(x->type);
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == n && x->type == y->type);
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t i0, i1;

        voco_cpu_share(n, 4096, omp_get_thread_num(), omp_get_num_threads(), &i0, &i1);
        if (i0 < i1)
            memcpy((char *)y->data + (size_t)i0 * size,
                   (const char *)x->data + (size_t)i0 * size, (size_t)(i1 - i0) * size);
    }
}

void
voco_cpu_add(struct voco_ctx *ctx, X x, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == n);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK], *to = voco_block_room(y, i, spare_y);

        (void)voco_block_read(k, y, i, m, to);
        k->add(voco_block_read(k, x, i, m, spare_x), to, (size_t)m);
        voco_block_done(k, y, i, m, to);
    }
}
