/* exp and the normal distribution, over the vocabulary of vec_*.h. */
#ifndef VOCO_SIMD_BODY_MATH_H
#define VOCO_SIMD_BODY_MATH_H

/*
 * exp(x) for x <= 88; 0 below -87.33, where the result would not be a normal number.
 *
 * x = n ln 2 + r.  Adding 1.5 * 2^23 rounds x / ln 2 to n in the low bits of the sum.
 * exp(r) = 1 + r + r^2 P(r), P minimax for |r| <= ln(2)/2 in relative error, 3.1e-9.
 *
 * exp_each does n vectors step by step: the chain of one is 50 cycles long, and a core
 * looks ahead over some 60 operations that wait.
 */
enum { EXP_MOST = 4 };

static ALWAYS_INLINE void
exp_each(vf *x, const int n)
{
    const vf magic = v_set(12582912.0f);
    vf t[EXP_MOST], r[EXP_MOST], p[EXP_MOST];

    UNROLL
    for (int i = 0; i < n; i++)
        t[i] = v_fma(x[i], v_set(1.44269504f), magic);
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_sub(t[i], magic);
    UNROLL
    for (int i = 0; i < n; i++)
        r[i] = v_fnma(p[i], v_set(0.693147182f), x[i]);
    UNROLL
    for (int i = 0; i < n; i++)
        r[i] = v_fnma(p[i], v_set(-1.90465429e-9f), r[i]);
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(v_set(1.38145394e-3f), r[i], v_set(8.36874481e-3f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(4.16683909e-2f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(1.66665204e-1f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_fma(p[i], r[i], v_set(4.99999934e-1f));
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = v_add(v_fma(p[i], v_mul(r[i], r[i]), r[i]), v_set(1.0f));
    UNROLL
    for (int i = 0; i < n; i++)
        x[i] = v_zero_below(x[i], -87.33f, v_scale_2(p[i], t[i]));
}

static inline vf
v_exp(vf x)
{
    exp_each(&x, 1);
    return x;
}

/*
 * The normal distribution function and density (times sqrt(2 pi)).
 *
 * Phi(-t) = exp(-t^2/2) Q(t), t >= 0, keeps its relative accuracy in the tail.
 * Q(t) = u R(u), u = 1 / (1 + 0.35 t), R of degree 8 is minimax for t <= 13.3 (where
 * exp ends) in relative error, 3.2e-8; in f32 arithmetic 4e-7.
 */
static inline vf
v_normal(vf x, vf *ret_density)
{
    static const float r[] = { -0.0291150155f, 0.143818416f, -0.255391012f, 0.158796563f,
                               -0.0228434259f, 0.105392147f, 0.119863089f, 0.139857562f,
                               0.13962166f };
    const vf one = v_set(1.0f), t = v_abs(x);
    const vf u = v_div(one, v_fma(t, v_set(0.35f), one));
    const vf density = v_exp(v_mul(v_mul(x, x), v_set(-0.5f)));
    vf q = v_set(r[0]);

    UNROLL
    for (int i = 1; i < 9; i++)
        q = v_fma(q, u, v_set(r[i]));
    q = v_mul(v_mul(q, u), density);
    *ret_density = density;
    return v_if_positive(x, v_sub(one, q), q);
}

#endif
