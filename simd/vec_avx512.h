/*
 * The vector vocabulary on AVX-512 (F, BW, DQ, VL); vec_avx2.h has the contract.
 * With VEC_BF16 bfloat16 is made by the instructions of AVX512-BF16.
 * VOCO_EMULATE_AVX512 builds it from portable C for tests on any machine.
 */
#ifndef VOCO_SIMD_VEC_AVX512_H
#define VOCO_SIMD_VEC_AVX512_H

#ifdef VOCO_EMULATE_AVX512
#include "simd/emulated_avx512.h"
#elif defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512DQ__ \
    && defined __AVX512VL__ && (!defined VEC_BF16 || defined __AVX512BF16__)
#include <immintrin.h>
#else
#error "compile with -mavx512f -mavx512bw -mavx512dq -mavx512vl, VEC_BF16 with -mavx512bf16"
#endif

#include <stddef.h>
#include <stdint.h>

#include "simd/unroll.h"

typedef __m512 vf;

/* 12 x 2 or 8 x 3 accumulators, 3 operands, 1 from memory: 28 of 32 */
enum { VW = 16, TILE_TALL = 12, TILE_ROWS = 8 };

static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
/* Around the caches, to whole, aligned vectors (see can_stream); then v_stream_end. */
static inline void v_stream(float *p, vf x) { _mm512_stream_ps(p, x); }
static inline void v_stream_end(void) { _mm_sfence(); }
static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_zero(void) { return _mm512_setzero_ps(); }

static inline __mmask16
first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf
v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

static inline void
v_store_n(float *p, vf x, size_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), x);
}

static inline vf
v_first(vf x, size_t n)
{
    return _mm512_maskz_mov_ps(first_lanes(n), x);
}

static inline vf
v_load_bf16(const uint16_t *p)
{
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

static inline vf
v_load_bf16_n(const uint16_t *p, size_t n)
{
    const __m256i half = _mm256_maskz_loadu_epi16(first_lanes(n), p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

#ifdef VEC_BF16
static inline __m256i
narrowed(vf x)
{
    return (__m256i)_mm512_cvtneps_pbh(x);
}

static inline void
v_store_2_bf16(uint16_t *p, vf x, vf y)     /* x first */
{
    _mm512_storeu_si512(p, (__m512i)_mm512_cvtne2ps_pbh(y, x));
}

/*
 * Pairs of bfloat16 in the lanes of a vf.  v_fma_pairs: c + the products of first and of
 * second elements.  Denormal numbers are zero to it.
 */
static const uint16_t pair_order[2 * VW] = { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                             7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                             29, 14, 30, 15, 31 };

static inline vf
v_round_pair(vf first, vf second)
{
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(
        _mm512_loadu_si512(pair_order), (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}

/* Of n bfloat16 of each of two rows, and zeros: second may be NULL for all of its. */
static inline vf
v_load_pairs(const uint16_t *first, const uint16_t *second, size_t n)
{
    const __mmask16 lanes = first_lanes(n < VW ? n : VW);
    const __m256i low = _mm256_maskz_loadu_epi16(lanes, first);
    const __m256i high = second ? _mm256_maskz_loadu_epi16(lanes, second)
                                : _mm256_setzero_si256();

    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(
        _mm512_loadu_si512(pair_order),
        _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)));
}

static inline vf
v_fma_pairs(vf a, vf b, vf c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a),
                            (__m512bh)_mm512_castps_si512(b));
}

/* y[d] = pair d of VW rows of VW bfloat16 each, `row` apart: a transposed matrix. */
static inline void
v_transpose_pairs(const uint16_t *x, size_t row, vf y[VW / 2])
{
    const __m512i low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
    const __m512i high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
    __m512d t[VW / 2];

    for (int i = 0; i < VW / 2; i++) {          /* rows i and i + 8 */
        const uint16_t *p = x + (size_t)i * row, *q = p + 8 * row;
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)q);

        y[i] = _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1));
    }
    for (int i = 0; i < VW / 2; i += 2) {       /* within quarters: two rows */
        t[i] = _mm512_castps_pd(_mm512_unpacklo_ps(y[i], y[i + 1]));
        t[i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(y[i], y[i + 1]));
    }
    for (int i = 0; i < VW / 2; i += 4)         /* four: pairs d of a quarter */
        for (int d = 0; d < 2; d++) {
            y[i + 2 * d] = _mm512_castpd_ps(_mm512_unpacklo_pd(t[i + d], t[i + 2 + d]));
            y[i + 2 * d + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(t[i + d], t[i + 2 + d]));
        }
    for (int d = 0; d < 4; d++) {               /* eight, and eight more in upper halves */
        const __m512d a = _mm512_castps_pd(y[d]), b = _mm512_castps_pd(y[d + 4]);

        y[d] = _mm512_castpd_ps(_mm512_permutex2var_pd(a, low, b));
        y[d + 4] = _mm512_castpd_ps(_mm512_permutex2var_pd(a, high, b));
    }
}

/* The same with the pair *a in all lanes, as an operand in memory: a broadcast of its own
 * costs a third of a product, and compilers do not join the two. */
static inline vf
v_fma_pairs_at(const float *a, vf b, vf c)
{
#ifdef VOCO_EMULATE_AVX512
    return v_fma_pairs(v_set(*a), b, c);
#else
    __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(*a));
    return c;
#endif
}
#else
static inline __m256i
narrowed(vf x)
{
    const __m512i bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    const __m512i near = _mm512_add_epi32(bits, _mm512_add_epi32(odd,
                                                                 _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const vf r = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                      _mm512_castsi512_ps(near), _mm512_castsi512_ps(quiet));

    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(r), 16));
}
#endif

static inline void
v_store_bf16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, narrowed(x));
}

static inline void
v_store_bf16_n(uint16_t *p, vf x, size_t n)
{
    _mm256_mask_storeu_epi16(p, first_lanes(n), narrowed(x));
}

static inline void
v_stream_bf16(uint16_t *p, vf x)
{
    _mm256_stream_si256((__m256i *)(void *)p, narrowed(x));
}

static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf v_abs(vf a) { return _mm512_andnot_ps(v_set(-0.0f), a); }

static inline vf
v_if_positive(vf x, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, v_zero(), _CMP_GT_OQ), b, a);
}

static inline vf
v_zero_below(vf x, float limit, vf a)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, v_set(limit), _CMP_NLT_UQ), a);
}

static inline vf
v_scale_2(vf x, vf t)
{
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);

    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), n));
}

/* The lower and the upper half. */
static inline __m256
half(vf x, int upper)
{
    const __m512d d = _mm512_castps_pd(x);

    return upper ? _mm256_castpd_ps(_mm512_extractf64x4_pd(d, 1))
                 : _mm512_castps512_ps256(x);
}

static inline float
v_sum(vf x)
{
    const __m256 h = _mm256_add_ps(half(x, 0), half(x, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float
v_top(vf x)
{
    const __m256 h = _mm256_max_ps(half(x, 0), half(x, 1));
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Lane j of r[i] and lane i of r[j] change places: lanes within quarters, pairs of them,
 * then quarters. */
static inline void
v_transpose(vf r[VW])
{
    vf s[VW];

    UNROLL
    for (int i = 0; i < VW; i += 2) {
        s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < VW; i += 4)
        UNROLL
        for (int k = 0; k < 2; k++) {
            const __m512d a = _mm512_castps_pd(s[i + k]), b = _mm512_castps_pd(s[i + 2 + k]);

            r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    UNROLL
    for (int i = 0; i < 4; i++) {               /* quarters of rows i, i + 4, i + 8, i + 12 */
        const vf even = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        const vf odd = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        const vf even_8 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        const vf odd_8 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);

        r[i] = _mm512_shuffle_f32x4(even, even_8, 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(odd, odd_8, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(even, even_8, 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(odd, odd_8, 0xdd);
    }
}

/* Sums in double: a vf is two vectors of eight doubles. */
typedef struct { __m512d a, b; } vd;

static inline vd
vd_zero(void)
{
    return (vd){ _mm512_setzero_pd(), _mm512_setzero_pd() };
}

static inline vd
vd_fma(vf x, vf y, vd s)
{
    s.a = _mm512_fmadd_pd(_mm512_cvtps_pd(half(x, 0)), _mm512_cvtps_pd(half(y, 0)), s.a);
    s.b = _mm512_fmadd_pd(_mm512_cvtps_pd(half(x, 1)), _mm512_cvtps_pd(half(y, 1)), s.b);
    return s;
}

static inline double
vd_sum(vd s)
{
    const __m512d t = _mm512_add_pd(s.a, s.b);
    const __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(t),
                                    _mm512_extractf64x4_pd(t, 1));
    const __m128d u = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));

    return _mm_cvtsd_f64(_mm_add_sd(u, _mm_unpackhi_pd(u, u)));
}

#endif
