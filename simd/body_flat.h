/* Kernels over n elements: whole vectors, then one partial vector. */
#ifndef VOCO_SIMD_BODY_FLAT_H
#define VOCO_SIMD_BODY_FLAT_H

/* The vector of elements i.. of p, as many as there are before n. */
static inline vf
load_at(const float *p, size_t i, size_t n)
{
    return n - i >= VW ? v_load(p + i) : v_load_n(p + i, n - i);
}

static inline void
store_at(float *p, size_t i, size_t n, vf x)
{
    if (n - i >= VW)
        v_store(p + i, x);
    else
        v_store_n(p + i, x, n - i);
}

/* The same of bfloat16. */
static inline vf
load_bf16_at(const uint16_t *p, size_t i, size_t n)
{
    return n - i >= VW ? v_load_bf16(p + i) : v_load_bf16_n(p + i, n - i);
}

static inline void
store_bf16_at(uint16_t *p, size_t i, size_t n, vf x)
{
    if (n - i >= VW)
        v_store_bf16(p + i, x);
    else
        v_store_bf16_n(p + i, x, n - i);
}

/* Column j of row i of x [..,c], which holds bfloat16 or float. */
static ALWAYS_INLINE vf
row_load(const void *x, size_t i, size_t j, size_t c, const bool bf16)
{
    return bf16 ? load_bf16_at((const uint16_t *)x + i * c, j, c)
                : load_at((const float *)x + i * c, j, c);
}

/* stream: around the caches, then only whole, aligned vectors (see can_stream). */
static ALWAYS_INLINE void
row_store(void *y, size_t i, size_t j, size_t c, vf t, const bool bf16, const bool stream)
{
    float *const f = (float *)y + i * c;
    uint16_t *const h = (uint16_t *)y + i * c;

    if (stream)
        bf16 ? v_stream_bf16(h + j, t) : v_stream(f + j, t);
    else
        bf16 ? store_bf16_at(h, j, c, t) : store_at(f, j, c, t);
}

static void
widen(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_at(y, i, n, load_bf16_at(x, i, n));
}

static void
narrow(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_bf16_at(y, i, n, load_at(x, i, n));
}

static void
add(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_at(y, i, n, v_add(load_at(y, i, n), load_at(x, i, n)));
}

static void
scale(const float *x, float a, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_at(y, i, n, v_mul(load_at(x, i, n), v_set(a)));
}

/* Four sums in flight hide the latency of fma. */
static float
dot(const float *x, const float *y, size_t n)
{
    vf s[4] = { v_zero(), v_zero(), v_zero(), v_zero() };
    size_t i = 0;

    for (; n - i >= 4 * VW; i += 4 * VW)
        UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = v_fma(v_load(x + i + k * VW), v_load(y + i + k * VW), s[k]);
    for (; i < n; i += VW)
        s[0] = v_fma(load_at(x, i, n), load_at(y, i, n), s[0]);
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

static double
sum_squares(const float *x, size_t n)
{
    vd s = vd_zero(), t = vd_zero();
    size_t i = 0;

    for (; n - i >= 2 * VW; i += 2 * VW) {
        s = vd_fma(v_load(x + i), v_load(x + i), s);
        t = vd_fma(v_load(x + i + VW), v_load(x + i + VW), t);
    }
    for (; i < n; i += VW) {
        const vf last = load_at(x, i, n);

        s = vd_fma(last, last, s);
    }
    return vd_sum(s) + vd_sum(t);
}

static void
leaky(const float *x, float slope, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW) {
        const vf t = load_at(x, i, n);

        store_at(y, i, n, v_if_positive(t, t, v_mul(t, v_set(slope))));
    }
}

static void
leaky_grad(const float *y, float slope, const float *dy, float *dx, size_t n)
{
    for (size_t i = 0; i < n; i += VW) {
        const vf g = load_at(dy, i, n);

        store_at(dx, i, n, v_if_positive(load_at(y, i, n), g, v_mul(g, v_set(slope))));
    }
}

static void
exponential(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_at(y, i, n, v_exp(load_at(x, i, n)));
}

static float
log_sum_exp(const float *x, size_t n)
{
    vf top = v_set(x[0]), sum = v_zero();
    size_t i;
    float most;

    for (i = 0; n - i >= VW; i += VW)
        top = v_max(top, v_load(x + i));
    for (most = v_top(top); i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (i = 0; i < n; i += VW) {
        const vf e = v_exp(v_sub(load_at(x, i, n), v_set(most)));

        sum = v_add(sum, n - i >= VW ? e : v_first(e, n - i));
    }
    return most + logf(v_sum(sum));
}

static ALWAYS_INLINE void
gelu_of(const void *x, void *y, size_t n, const bool bf16)
{
    for (size_t i = 0; i < n; i += VW) {
        const vf t = row_load(x, 0, i, n, bf16);
        vf density;

        row_store(y, 0, i, n, v_mul(t, v_normal(t, &density)), bf16, false);
    }
}

static void
gelu(const void *x, bool bf16, void *y, size_t n)
{
    if (bf16)
        gelu_of(x, y, n, true);
    else
        gelu_of(x, y, n, false);
}

/* (x Phi(x))' = Phi(x) + x phi(x) */
static ALWAYS_INLINE void
gelu_grad_of(const void *x, const void *dy, void *dx, void *y, size_t n, const bool bf16)
{
    for (size_t i = 0; i < n; i += VW) {
        const vf t = row_load(x, 0, i, n, bf16), g = row_load(dy, 0, i, n, bf16);
        vf density;
        const vf phi = v_normal(t, &density);
        const vf slope = v_fma(v_mul(t, v_set(0.398942280f)), density, phi);

        row_store(dx, 0, i, n, v_mul(g, slope), bf16, false);
        if (y)
            row_store(y, 0, i, n, v_mul(t, phi), bf16, false);
    }
}

static void
gelu_grad(const void *x, const void *dy, bool bf16, void *dx, void *y, size_t n)
{
    if (bf16)
        gelu_grad_of(x, dy, dx, y, n, true);
    else
        gelu_grad_of(x, dy, dx, y, n, false);
}

static void
adamw(const struct voco_adamw_step *args, const float *g, float *w, float *m, float *v,
      float *vmax, size_t n)
{
    const struct voco_adamw_step copy = *args, *a = &copy;
    for (size_t i = 0; i < n; i += VW) {
        const vf gi = load_at(g, i, n);
        const vf mi = v_fma(v_set(a->beta1), load_at(m, i, n),
                            v_mul(v_set(a->one_beta1), gi));
        const vf vi = v_fma(v_set(a->beta2), load_at(v, i, n),
                            v_mul(v_mul(v_set(a->one_beta2), gi), gi));
        vf top = vi, below;

        store_at(m, i, n, mi);
        store_at(v, i, n, vi);
        if (vmax) {
            top = v_max(load_at(vmax, i, n), vi);     /* keeps a NaN of v */
            store_at(vmax, i, n, top);
        }
        below = v_fma(v_sqrt(top), v_set(a->rsqrt_bias2), v_set(a->eps));
        store_at(w, i, n, v_fnma(v_set(a->scale), v_div(mi, below),
                                 v_mul(v_set(a->decay), load_at(w, i, n))));
    }
}

static void
ema(float momentum, float one_momentum, const float *s, float *t, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        store_at(t, i, n, v_fma(v_set(momentum), load_at(t, i, n),
                                v_mul(v_set(one_momentum), load_at(s, i, n))));
}

/* Twelve chains hide the latency of the multiply-add. */
static float
peak(float x, size_t rounds)
{
    vf chain[12], sum = v_zero();

    UNROLL
    for (int k = 0; k < 12; k++)
        chain[k] = v_set((float)k * x);
    for (size_t i = 0; i < rounds; i++)
        UNROLL
        for (int k = 0; k < 12; k++)
            chain[k] = v_fma(chain[k], v_set(0.5f), v_set(x));
    UNROLL
    for (int k = 0; k < 12; k++)
        sum = v_add(sum, chain[k]);
    return v_sum(sum);
}

#ifdef VEC_BF16
static float
peak_pairs(float x, size_t rounds)
{
    vf chain[12], sum = v_zero();

    UNROLL
    for (int k = 0; k < 12; k++)
        chain[k] = v_set((float)k * x);
    for (size_t i = 0; i < rounds; i++)
        UNROLL
        for (int k = 0; k < 12; k++)
            chain[k] = v_fma_pairs(v_set(x), v_set(0.5f), chain[k]);
    UNROLL
    for (int k = 0; k < 12; k++)
        sum = v_add(sum, chain[k]);
    return v_sum(sum);
}
#endif

#endif
