/* Choice of the kernels: what the CPU has, what the build has, what VOCO_ISA allows. */
#include "config.h"

#include "simd/kernels.h"

#include <stdbool.h>
#include <string.h>

static const char *const names[VOCO_ISA_COUNT] = { "ref", "avx2", "avx512",
                                                    "avx512bf16" };

const char *
voco_isa_name(enum voco_isa isa)
{
    return names[isa];
}

/*
 * The compiler's check covers the operating system's part too: it reads XCR0 before it
 * believes in registers of 256 or 512 bits.
 */
static bool
has_avx2(void)
{
#ifdef WITH_AVX2
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

/* The set of Skylake-SP, which every later server CPU with AVX-512 has. */
static bool
has_avx512(void)
{
#ifdef WITH_AVX512
    return has_avx2() && __builtin_cpu_supports("avx512f")
           && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

/* Conversion to bfloat16 and products of it; the registers are those of AVX-512. */
static bool
has_avx512bf16(void)
{
#ifdef WITH_AVX512BF16
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

static const char *
why_not(enum voco_isa cap, enum voco_isa got)
{
    static const char *const notes[VOCO_ISA_COUNT][VOCO_ISA_COUNT] = {
        [VOCO_ISA_AVX2][VOCO_ISA_REF] =
            "VOCO_ISA=avx2, but this CPU or build has no AVX2: using ref",
        [VOCO_ISA_AVX512][VOCO_ISA_REF] =
            "VOCO_ISA=avx512, but this CPU or build has no AVX2 or better: using ref",
        [VOCO_ISA_AVX512][VOCO_ISA_AVX2] =
            "VOCO_ISA=avx512, but this CPU or build has no AVX-512: using avx2",
        [VOCO_ISA_AVX512BF16][VOCO_ISA_REF] =
            "VOCO_ISA=avx512bf16, but this CPU or build has no AVX2 or better: using ref",
        [VOCO_ISA_AVX512BF16][VOCO_ISA_AVX2] =
            "VOCO_ISA=avx512bf16, but this CPU or build has no AVX-512: using avx2",
        [VOCO_ISA_AVX512BF16][VOCO_ISA_AVX512] =
            "VOCO_ISA=avx512bf16, but this CPU or build has no AVX512-BF16: using avx512",
    };

    return notes[cap][got];
}

int
voco_kernels_select(const char *cap, struct voco_kernels *ret,
                    struct voco_isa_choice *ret_choice)
{
    const enum voco_isa best = has_avx512bf16() ? VOCO_ISA_AVX512BF16
                               : has_avx512() ? VOCO_ISA_AVX512
                               : has_avx2() ? VOCO_ISA_AVX2 : VOCO_ISA_REF;
    const bool capped = cap && *cap;
    int top = VOCO_ISA_COUNT - 1;

    while (capped && top >= 0 && strcmp(cap, names[top]) != 0)
        top--;
    if (top < 0)
        return -1;
    voco_kernels_ref(ret);
#ifdef WITH_AVX2
    if (best >= VOCO_ISA_AVX2 && top >= VOCO_ISA_AVX2)
        voco_kernels_avx2(ret);
#endif
#ifdef WITH_AVX512
    if (best >= VOCO_ISA_AVX512 && top >= VOCO_ISA_AVX512)
        voco_kernels_avx512(ret);
#endif
#ifdef WITH_AVX512BF16
    if (best >= VOCO_ISA_AVX512BF16 && top >= VOCO_ISA_AVX512BF16)
        voco_kernels_avx512bf16(ret);
#endif
    *ret_choice = (struct voco_isa_choice){
        .chosen = ret->isa, .best = best,
        .note = capped ? why_not((enum voco_isa)top, ret->isa) : NULL };
    return 0;
}
