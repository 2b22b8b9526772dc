/*
 * Blocks of a tensor as the kernels of simd/ want them, in f32.
 *
 * Activations may be stored in bfloat16.  Where a kernel takes only f32, entries of the
 * cpu device then widen a block, which stays in the cache of its core, let the kernel
 * work on it, and narrow its results; f32 tensors are used in place.  Such a kernel
 * therefore exists once, and all arithmetic is f32 for either storage type.
 */
#ifndef VOCO_DEV_CPU_BLOCK_H
#define VOCO_DEV_CPU_BLOCK_H

#include <string.h>

#include "dev/cpu/cpu.h"
#include "simd/kernels.h"

/* Elements of a block: a few of them fit into the nearest cache. */
enum { VOCO_BLOCK = 2048 };

static inline bool
voco_is_bf16(const struct voco_tensor *x)
{
    VOCO_ASSERT(x->type == VOCO_F32 || x->type == VOCO_BF16);
    return x->type == VOCO_BF16;
}

/* The data of a tensor that is f32 on every cpu device; NULL of NULL. */
static inline float *
voco_f32(const struct voco_tensor *x)
{
    VOCO_ASSERT(!x || x->type == VOCO_F32);
    return x ? x->data : NULL;
}

/* Where element i of x is; NULL of NULL. */
static inline void *
voco_element(const struct voco_tensor *x, int64_t i)
{
    return x ? (char *)x->data + (size_t)i * voco_type_bytes(x->type) : NULL;
}

/* Elements [at, at + n) of x in f32, in spare [n] unless they are so already; NULL of
 * NULL. */
static inline const float *
voco_block_read(const struct voco_kernels *k, const struct voco_tensor *x, int64_t at,
                int64_t n, float *spare)
{
    if (!x)
        return NULL;
    if (!voco_is_bf16(x))
        return (const float *)x->data + at;
    k->widen((const uint16_t *)x->data + at, spare, (size_t)n);
    return spare;
}

/* Where to write elements from at on: then voco_block_done. */
static inline float *
voco_block_room(const struct voco_tensor *y, int64_t at, float *spare)
{
    if (!y)
        return NULL;
    return voco_is_bf16(y) ? spare : (float *)y->data + at;
}

static inline void
voco_block_done(const struct voco_kernels *k, const struct voco_tensor *y, int64_t at,
                int64_t n, const float *spare)
{
    if (y && voco_is_bf16(y))
        k->narrow(spare, (uint16_t *)y->data + at, (size_t)n);
}

/* The same where f32 has to be copied, too. */
static inline void
voco_block_get(const struct voco_kernels *k, const struct voco_tensor *x, int64_t at,
               int64_t n, float *to)
{
    if (voco_is_bf16(x))
        k->widen((const uint16_t *)x->data + at, to, (size_t)n);
    else
        memcpy(to, (const float *)x->data + at, (size_t)n * sizeof *to);
}

static inline void
voco_block_put(const struct voco_kernels *k, const struct voco_tensor *y, int64_t at,
               int64_t n, const float *from)
{
    if (voco_is_bf16(y))
        k->narrow(from, (uint16_t *)y->data + at, (size_t)n);
    else
        memcpy((float *)y->data + at, from, (size_t)n * sizeof *from);
}

/* Elements of the block at i of n. */
static inline int64_t
voco_block_size(int64_t n, int64_t i)
{
    return n - i < VOCO_BLOCK ? n - i : VOCO_BLOCK;
}

/*
 * Whole tensors, for primitives that want f32 in one piece.  _widened: x, or a copy of it
 * on temp; _room: y, or a buffer on temp that _narrow then stores in y.
 */
struct voco_tensor voco_cpu_widened(struct voco_ctx *ctx, const struct voco_tensor *x);
struct voco_tensor voco_cpu_room(struct voco_ctx *ctx, const struct voco_tensor *y);
void voco_cpu_narrow(struct voco_ctx *ctx, const struct voco_tensor *room,
                     const struct voco_tensor *y);

#endif
