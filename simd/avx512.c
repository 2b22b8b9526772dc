/* The kernels for AVX-512 (Skylake-SP, Zen 4 and later). */
#include "simd/vec_avx512.h"

#define BODY_ISA VOCO_ISA_AVX512
#ifdef VOCO_EMULATE_AVX512
#define BODY_EXPORT voco_kernels_avx512_emulated
#else
#define BODY_EXPORT voco_kernels_avx512
#endif
#include "simd/body.h"
