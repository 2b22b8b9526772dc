/* The kernels for AVX-512 with bfloat16 (Cooper Lake, Zen 4, Sapphire Rapids). */
#define VEC_BF16
#include "simd/vec_avx512.h"

#define BODY_ISA VOCO_ISA_AVX512BF16
#ifdef VOCO_EMULATE_AVX512
#define BODY_EXPORT voco_kernels_avx512bf16_emulated
#else
#define BODY_EXPORT voco_kernels_avx512bf16
#endif
#include "simd/body.h"
