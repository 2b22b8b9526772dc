/* Whole tensors in f32 for primitives that work on nothing else. */
#include "dev/cpu/block.h"

struct voco_tensor
voco_cpu_widened(struct voco_ctx *ctx, const struct voco_tensor *x)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const struct voco_tensor y = voco_cpu_room(ctx, x);
    const int64_t n = voco_count(x);

    if (ctx->err || !voco_is_bf16(x))
        return y;
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK)
        k->widen((const uint16_t *)x->data + i, (float *)y.data + i,
                 (size_t)voco_block_size(n, i));
    return y;
}

struct voco_tensor
voco_cpu_room(struct voco_ctx *ctx, const struct voco_tensor *y)
{
    struct voco_tensor shape = *y;

    if (!voco_is_bf16(y))
        return *y;
    shape.type = VOCO_F32;
    return voco_push_like(ctx, &ctx->temp, &shape);
}

void
voco_cpu_narrow(struct voco_ctx *ctx, const struct voco_tensor *room,
                const struct voco_tensor *y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err || !voco_is_bf16(y))
        return;
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK)
        k->narrow((const float *)room->data + i, (uint16_t *)y->data + i,
                  (size_t)voco_block_size(n, i));
}
