/* The Winograd kernels for AVX-512, or portable C that behaves like it, for tests. */
#include "simd/vec_avx512.h"

#define ROWS 8          /* 8 x 3 accumulators, 3 operands, 1 from memory: 28 of 32 */
#ifdef VOCO_EMULATE_AVX512
#define BODY_EXPORT voco_winograd_avx512_emulated
#else
#define BODY_EXPORT voco_winograd_avx512
#endif
#include "simd/body_winograd.h"
