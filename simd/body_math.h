/* exp and the normal distribution, over the vocabulary of vec_*.h. */
#ifndef VOCO_SIMD_BODY_MATH_H
#define VOCO_SIMD_BODY_MATH_H

/*
 * exp(x) for x <= 88; 0 below -87.33, where the result would not be a normal number.
 *
 * x = n ln 2 + r.  Adding 1.5 * 2^23 rounds x / ln 2 to n in the low bits of the sum.
 * exp(r) = 1 + r + r^2 P(r), P minimax for |r| <= ln(2)/2 in relative error, 3.1e-9.
 */
static inline vf
v_exp(vf x)
{
    const vf magic = v_set(12582912.0f);
    const vf t = v_fma(x, v_set(1.44269504f), magic);
    const vf n = v_sub(t, magic);
    const vf r = v_fnma(n, v_set(-1.90465429e-9f), v_fnma(n, v_set(0.693147182f), x));
    vf p = v_set(1.38145394e-3f);

    p = v_fma(p, r, v_set(8.36874481e-3f));
    p = v_fma(p, r, v_set(4.16683909e-2f));
    p = v_fma(p, r, v_set(1.66665204e-1f));
    p = v_fma(p, r, v_set(4.99999934e-1f));
    p = v_add(v_fma(p, v_mul(r, r), r), v_set(1.0f));
    return v_zero_below(x, -87.33f, v_scale_2(p, t));
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
