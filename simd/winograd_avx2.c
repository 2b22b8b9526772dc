/* The Winograd kernels for AVX2 + FMA. */
#include "simd/vec_avx2.h"

#define ROWS 4          /* 4 x 3 accumulators, 3 + 1 operands: all 16 registers */
#define BODY_EXPORT voco_winograd_avx2
#include "simd/body_winograd.h"
