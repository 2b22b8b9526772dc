/*
 * AVX-512 in portable C, for tests of simd/avx512*.c where no CPU has it: SIMDe, and the
 * few operations that SIMDe 0.7.4 lacks.  fma is the real one (a single rounding), since
 * exp depends on it.
 */
#ifndef VOCO_SIMD_EMULATED_AVX512_H
#define VOCO_SIMD_EMULATED_AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#pragma GCC diagnostic pop

#include <math.h>
#include <string.h>

#ifndef __mmask16
#define __mmask16 simde__mmask16
#endif

static inline simde__m512
emulated_maskz_loadu_ps(simde__mmask16 mask, const float *p)
{
    float x[16] = { 0 };

    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            x[i] = p[i];
    return simde_mm512_loadu_ps(x);
}

static inline void
emulated_mask_storeu_ps(float *p, simde__mmask16 mask, simde__m512 x)
{
    float y[16];

    simde_mm512_storeu_ps(y, x);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = y[i];
}

static inline simde__m512
emulated_fmadd_ps(simde__m512 a, simde__m512 b, simde__m512 c)
{
    float x[16], y[16], z[16];

    simde_mm512_storeu_ps(x, a);
    simde_mm512_storeu_ps(y, b);
    simde_mm512_storeu_ps(z, c);
    for (int i = 0; i < 16; i++)
        z[i] = fmaf(x[i], y[i], z[i]);
    return simde_mm512_loadu_ps(z);
}

static inline simde__m512d
emulated_cvtps_pd(simde__m256 x)
{
    float y[8];
    double z[8];

    simde_mm256_storeu_ps(y, x);
    for (int i = 0; i < 8; i++)
        z[i] = y[i];
    return simde_mm512_loadu_pd(z);
}

static inline simde__m512i
emulated_cvtepu16_epi32(simde__m256i x)
{
    uint16_t y[16];
    uint32_t z[16];

    simde_mm256_storeu_si256((simde__m256i *)(void *)y, x);
    for (int i = 0; i < 16; i++)
        z[i] = y[i];
    return simde_mm512_loadu_si512(z);
}

static inline simde__m256i
emulated_maskz_loadu_epi16(simde__mmask16 mask, const uint16_t *p)
{
    uint16_t x[16] = { 0 };

    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            x[i] = p[i];
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)x);
}

static inline void
emulated_mask_storeu_epi16(uint16_t *p, simde__mmask16 mask, simde__m256i x)
{
    uint16_t y[16];

    simde_mm256_storeu_si256((simde__m256i *)(void *)y, x);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = y[i];
}

static inline simde__m256i
emulated_cvtepi32_epi16(simde__m512i x)
{
    uint32_t y[16];
    uint16_t z[16];

    simde_mm512_storeu_si512(y, x);
    for (int i = 0; i < 16; i++)
        z[i] = (uint16_t)y[i];
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)z);
}

/* To nearest, ties to even; denormals are zero and NaN is quiet. */
static inline uint16_t
emulated_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000) == 0)
        return (uint16_t)(bits >> 16 & 0x8000);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline simde__m256i
emulated_cvtneps_pbh(simde__m512 x)
{
    float y[16];
    uint16_t z[16];

    simde_mm512_storeu_ps(y, x);
    for (int i = 0; i < 16; i++)
        z[i] = emulated_bf16(y[i]);
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)z);
}

static inline simde__m512i
emulated_cvtne2ps_pbh(simde__m512 upper, simde__m512 lower)
{
    float y[32];
    uint16_t z[32];

    simde_mm512_storeu_ps(y, lower);
    simde_mm512_storeu_ps(y + 16, upper);
    for (int i = 0; i < 32; i++)
        z[i] = emulated_bf16(y[i]);
    return simde_mm512_loadu_si512(z);
}

static inline simde__m512i
emulated_permutexvar_epi16(simde__m512i order, simde__m512i x)
{
    uint16_t from[32], y[32], z[32];

    simde_mm512_storeu_si512(from, order);
    simde_mm512_storeu_si512(y, x);
    for (int i = 0; i < 32; i++)
        z[i] = y[from[i] & 31];
    return simde_mm512_loadu_si512(z);
}

/* Element 1 of each pair first; denormals are zero. */
static inline simde__m512
emulated_dpbf16_ps(simde__m512 c, simde__m512i a, simde__m512i b)
{
    uint16_t x[32], y[32];
    float z[16];

    simde_mm512_storeu_si512(x, a);
    simde_mm512_storeu_si512(y, b);
    simde_mm512_storeu_ps(z, c);
    for (int i = 31; i >= 0; i--) {
        const uint32_t bits[2] = { (uint32_t)x[i ^ 1] << 16, (uint32_t)y[i ^ 1] << 16 };
        float f[2];

        memcpy(f, bits, sizeof f);
        if (isnormal(f[0]) && isnormal(f[1]))
            z[i / 2] = fmaf(f[0], f[1], z[i / 2]);
    }
    return simde_mm512_loadu_ps(z);
}

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_fmadd_ps
#undef _mm512_fnmadd_ps
#undef _mm512_cvtps_pd
#define _mm512_maskz_loadu_ps(mask, p) emulated_maskz_loadu_ps(mask, p)
#define _mm512_mask_storeu_ps(p, mask, x) emulated_mask_storeu_ps(p, mask, x)
#define _mm512_fmadd_ps(a, b, c) emulated_fmadd_ps(a, b, c)
#define _mm512_fnmadd_ps(a, b, c) \
    emulated_fmadd_ps(simde_mm512_sub_ps(simde_mm512_set1_ps(-0.0f), a), b, c)
#define _mm512_cvtps_pd(x) emulated_cvtps_pd(x)
#undef _mm512_stream_ps
#define _mm512_stream_ps(p, x) simde_mm512_storeu_ps(p, x)
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepu16_epi32(x) emulated_cvtepu16_epi32(x)
#define _mm512_cvtepi32_epi16(x) emulated_cvtepi32_epi16(x)
#undef _mm256_maskz_loadu_epi16
#undef _mm256_mask_storeu_epi16
#define _mm256_maskz_loadu_epi16(mask, p) emulated_maskz_loadu_epi16(mask, p)
#define _mm256_mask_storeu_epi16(p, mask, x) emulated_mask_storeu_epi16(p, mask, x)
#undef _mm512_cvtneps_pbh
#define _mm512_cvtneps_pbh(x) emulated_cvtneps_pbh(x)
#undef _mm512_cvtne2ps_pbh
#define _mm512_cvtne2ps_pbh(upper, lower) emulated_cvtne2ps_pbh(upper, lower)
#undef _mm512_permutexvar_epi16
#define _mm512_permutexvar_epi16(order, x) emulated_permutexvar_epi16(order, x)
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps(c, a, b) emulated_dpbf16_ps(c, a, b)
#undef __m512bh
#define __m512bh simde__m512i

#endif
