/*
 * The vector vocabulary on AVX2 + FMA: the operations that simd/body*.h use.
 *
 * vf is a vector of VW floats.  A _n load fills lanes from n on with zeros and touches
 * nothing beyond p[n-1]; a _n store writes n lanes; 0 <= n <= VW.
 */
#ifndef VOCO_SIMD_VEC_AVX2_H
#define VOCO_SIMD_VEC_AVX2_H

#if !defined __AVX2__ || !defined __FMA__
#error "compile with -mavx2 -mfma"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/unroll.h"

typedef __m256 vf;

/* 6 x 2 or 4 x 3 accumulators, 3 + 1 operands: all 16 */
enum { VW = 8, TILE_TALL = 6, TILE_ROWS = 4 };

static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
/* Around the caches, to whole, aligned vectors (see can_stream); then v_stream_end. */
static inline void v_stream(float *p, vf x) { _mm256_stream_ps(p, x); }
static inline void v_stream_end(void) { _mm_sfence(); }
static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_zero(void) { return _mm256_setzero_ps(); }

static inline __m256i
first_lanes(size_t n)
{
    static const int32_t ones[2 * VW] = { -1, -1, -1, -1, -1, -1, -1, -1 };

    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + VW - n));
}

static inline vf
v_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}

static inline void
v_store_n(float *p, vf x, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), x);
}

/* lanes from n on become 0 */
static inline vf
v_first(vf x, size_t n)
{
    return _mm256_and_ps(x, _mm256_castsi256_ps(first_lanes(n)));
}

/* VW bfloat16 */
static inline vf
v_load_bf16(const uint16_t *p)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

static inline vf
v_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t last[VW] = { 0 };

    memcpy(last, p, n * sizeof *p);
    return v_load_bf16(last);
}

/* Rounded to nearest, ties to even; NaN stays NaN. */
static inline __m128i
narrowed(vf x)
{
    const __m256i bits = _mm256_castps_si256(x), one = _mm256_set1_epi32(1);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    const __m256i near = _mm256_add_epi32(bits, _mm256_add_epi32(odd,
                                                                 _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const vf r = _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(quiet),
                                  _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(r), 16);

    return _mm_packus_epi32(_mm256_castsi256_si128(high),
                            _mm256_extracti128_si256(high, 1));
}

static inline void
v_store_bf16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)(void *)p, narrowed(x));
}

static inline void
v_store_bf16_n(uint16_t *p, vf x, size_t n)
{
    uint16_t last[VW];

    v_store_bf16(last, x);
    memcpy(p, last, n * sizeof *p);
}

static inline void
v_stream_bf16(uint16_t *p, vf x)
{
    _mm_stream_si128((__m128i *)(void *)p, narrowed(x));
}

static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf v_abs(vf a) { return _mm256_andnot_ps(v_set(-0.0f), a); }

/* x > 0 ? a : b, lane by lane; NaN takes b */
static inline vf
v_if_positive(vf x, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, v_zero(), _CMP_GT_OQ));
}

/* x < limit ? 0 : a; NaN takes a */
static inline vf
v_zero_below(vf x, float limit, vf a)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(x, v_set(limit), _CMP_LT_OQ), a);
}

/* x 2^n where the low bits of t hold n; x and the result are normal numbers */
static inline vf
v_scale_2(vf x, vf t)
{
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);

    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), n));
}

static inline float
v_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float
v_top(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Lane j of r[i] and lane i of r[j] change places. */
static inline void
v_transpose(vf r[VW])
{
    vf s[VW];

    UNROLL
    for (int i = 0; i < VW; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < VW; i += 4)
        UNROLL
        for (int k = 0; k < 2; k++) {
            r[i + 2 * k] = _mm256_shuffle_ps(s[i + k], s[i + 2 + k], 0x44);
            r[i + 2 * k + 1] = _mm256_shuffle_ps(s[i + k], s[i + 2 + k], 0xee);
        }
    UNROLL
    for (int i = 0; i < 4; i++) {
        const vf low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);

        r[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        r[i] = low;
    }
}

/* Sums in double: a vf is two vectors of four doubles. */
typedef struct { __m256d a, b; } vd;

static inline vd
vd_zero(void)
{
    return (vd){ _mm256_setzero_pd(), _mm256_setzero_pd() };
}

/* s + x y with the products exact */
static inline vd
vd_fma(vf x, vf y, vd s)
{
    const __m128 x0 = _mm256_castps256_ps128(x), x1 = _mm256_extractf128_ps(x, 1);
    const __m128 y0 = _mm256_castps256_ps128(y), y1 = _mm256_extractf128_ps(y, 1);

    s.a = _mm256_fmadd_pd(_mm256_cvtps_pd(x0), _mm256_cvtps_pd(y0), s.a);
    s.b = _mm256_fmadd_pd(_mm256_cvtps_pd(x1), _mm256_cvtps_pd(y1), s.b);
    return s;
}

static inline double
vd_sum(vd s)
{
    const __m256d t = _mm256_add_pd(s.a, s.b);
    const __m128d u = _mm_add_pd(_mm256_castpd256_pd128(t), _mm256_extractf128_pd(t, 1));

    return _mm_cvtsd_f64(_mm_add_sd(u, _mm_unpackhi_pd(u, u)));
}

#endif
