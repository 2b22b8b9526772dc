/* The kernels for AVX2 + FMA (Haswell, Zen and later). */
#include "simd/vec_avx2.h"

#define BODY_ISA VOCO_ISA_AVX2
#define BODY_EXPORT voco_kernels_avx2
#include "simd/body.h"
