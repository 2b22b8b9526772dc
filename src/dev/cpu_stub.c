/* Entries of the cpu device that are not there yet: weak, so that the real ones win.
 * This file goes away with the last of them. */
#include "dev/cpu.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *
#pragma GCC diagnostic ignored "-Wunused-parameter"

__attribute__((weak)) void
voco_cpu_instnorm_forward(struct voco_ctx *ctx, X x, X r, double slope, double eps, Y y, Y rstd)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_instnorm_backward(struct voco_ctx *ctx, X y, X r, X rstd, double slope, X dy, Y dx, Y dr)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_layernorm_forward(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y, Y mean, Y rstd)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_layernorm_backward(struct voco_ctx *ctx, X x, X w, X mean, X rstd, X dy, Y dx, Y dw, Y db)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_leaky_forward(struct voco_ctx *ctx, X x, double slope, Y y)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_leaky_backward(struct voco_ctx *ctx, X y, double slope, X dy, Y dx)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_gelu_forward(struct voco_ctx *ctx, X x, Y y)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_gelu_backward(struct voco_ctx *ctx, X x, X dy, Y dx)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_sum_squares(struct voco_ctx *ctx, X x, Y y)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_adamw(struct voco_ctx *ctx, const struct voco_adamw *o, X grad, Y w, Y m, Y v, Y vmax)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_ema(struct voco_ctx *ctx, double momentum, X student, Y teacher)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv, X qkv_bias, X table, Y y, Y lse)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) void
voco_cpu_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv, X qkv_bias, X table, X y, X lse, X dy, Y dqkv, Y dqkv_bias, Y dtable)
{
    VOCO_ASSERT(!"not written yet");
}

__attribute__((weak)) size_t
voco_cpu_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what, const struct voco_windows *win, X qkv)
{
    VOCO_ASSERT(!"not written yet");
    return 0;
}
