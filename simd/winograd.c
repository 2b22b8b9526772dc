/* Which Winograd kernels belong to an instruction set. */
#include "config.h"

#include "simd/winograd.h"

const struct voco_winograd *
voco_winograd_kernels(enum voco_isa isa)
{
#ifdef WITH_AVX512
    if (isa >= VOCO_ISA_AVX512)
        return &voco_winograd_avx512;
#endif
#ifdef WITH_AVX2
    if (isa == VOCO_ISA_AVX2)
        return &voco_winograd_avx2;
#endif
    (void)isa;
    return NULL;
}
