/*
 * One body for every instruction set: the includer has included vec_*.h and defined
 * BODY_ISA (a value of enum voco_isa) and BODY_EXPORT (the name of the filler).
 *
 * A vector store may alias anything, the caller's struct of arguments too.  Kernels work
 * on a local copy, which the compiler knows does not change: that halves some times.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "simd/kernels.h"
#include "simd/unroll.h"

/* So that a constant argument is a constant inside. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static inline bool
can_stream(const void *p, bool bf16)
{
    return (uintptr_t)p % (bf16 ? sizeof(vf) / 2 : sizeof(vf)) == 0;
}

#include "simd/body_math.h"
#include "simd/body_flat.h"
#include "simd/body_norm.h"
#include "simd/body_gemm.h"
#include "simd/body_attn.h"
#include "simd/body_attn_narrow.h"
#ifdef VEC_BF16
#include "simd/body_attn_bf16.h"
#endif

void
BODY_EXPORT(struct voco_kernels *ret)
{
    *ret = (struct voco_kernels){
        .isa = BODY_ISA, .lanes = VW,
        .add = add, .scale = scale, .dot = dot, .sum_squares = sum_squares,
        .leaky = leaky, .leaky_grad = leaky_grad,
        .exp = exponential, .log_sum_exp = log_sum_exp,
        .gelu = gelu, .gelu_grad = gelu_grad, .adamw = adamw, .ema = ema,
        .widen = widen, .narrow = narrow, .peak = peak,
        .moments = moments, .norm_rows = norm_rows, .norm_rows_sums = norm_rows_sums,
        .norm_rows_grad = norm_rows_grad,
        .layernorm = layernorm, .layernorm_grad = layernorm_grad,
        .product = product,
        .gather = gather, .scatter = scatter, .gather_columns = gather_columns,
        .scatter_columns = scatter_columns, .attn = attn, .attn_grad = attn_grad,
        .attn_narrow = attn_narrow, .attn_narrow_grad = attn_narrow_grad,
#ifdef VEC_BF16
        .peak_pairs = peak_pairs, .product_pairs = product_pairs, .pair_rows = pair_rows,
        .gather_bf16 = gather_bf16, .attn_bf16 = attn_bf16,
        .attn_bf16_grad = attn_bf16_grad,
#endif
    };
}
