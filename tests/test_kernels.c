/*
 * Every kernel of every level that this machine can run against the portable one.
 *
 * AVX-512 is also run in emulation where the headers of SIMDe were found.  Every array
 * ends at a page that nobody may touch, so a tail that reads or writes too much is a
 * crash, and alignment varies with length.
 */
#define _GNU_SOURCE
#include "config.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "simd/kernels.h"
#include "tests/levels.h"

static const double ulp = 0x1p-23;

/* ---- levels ---- */

static struct voco_kernels ref;

/* The table of level i; where it cannot run the test is left. */
static void
level(int i, struct voco_kernels *ret)
{
    struct voco_isa_choice choice;

    if (i >= VOCO_ISA_COUNT) {
#ifdef VOCO_EMULATE_AVX512
        if (i == VOCO_ISA_COUNT)
            voco_kernels_avx512_emulated(ret);
        else
            voco_kernels_avx512bf16_emulated(ret);
        return;
#else
        emulation_or_skip();
#endif
    }
    ck_assert_int_eq(voco_kernels_select(voco_isa_name((enum voco_isa)i), ret, &choice),
                     0);
    level_or_skip(i, choice.chosen);
}

enum { LEVELS = VOCO_ISA_COUNT + 2 };

/* Those with kernels for pairs of bfloat16. */
static const int bf16_level[] = { VOCO_ISA_AVX512BF16, VOCO_ISA_COUNT + 1 };
enum { BF16_LEVELS = sizeof bf16_level / sizeof bf16_level[0] };

/* ---- arrays that end at a forbidden page ---- */

static struct { void *at; size_t bytes; } mapped[64];
static int mappings;

static void *
guarded(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);

    ck_assert_ptr_ne(p, MAP_FAILED);
    ck_assert_int_eq(mprotect(p + room, page, PROT_NONE), 0);
    ck_assert_int_lt(mappings, 64);
    mapped[mappings].at = p;
    mapped[mappings++].bytes = room + page;
    return p + room - bytes;
}

static void
release(void)
{
    while (mappings > 0) {
        mappings--;
        munmap(mapped[mappings].at, mapped[mappings].bytes);
    }
}

/* n numbers, uniform in (low, high), another set for another seed */
static float *
uniform(unsigned seed, size_t n, double low, double high)
{
    float *x = guarded(n * sizeof *x);

    voco_hash_uniform(seed, "kernels", (int64_t)n, low, high, x);
    return x;
}

static float *
copy(const float *x, size_t n)
{
    float *y = guarded(n * sizeof *y);

    memcpy(y, x, n * sizeof *y);
    return y;
}

/* |want - got| <= limit[i], or the one limit when there is no array */
static void
check_each(const char *what, const struct voco_kernels *k, size_t size, const float *want,
           const float *got, size_t n, const double *limits, double limit)
{
    for (size_t i = 0; i < n; i++) {
        const double most = limits ? limits[i] : limit;

        ck_assert_msg(fabs((double)want[i] - got[i]) <= most,
                      "%s, %s, size %zu: element %zu is %.9g, want %.9g, within %.1e",
                      what, voco_isa_name(k->isa), size, i, got[i], want[i], most);
    }
}

static double
largest(const float *x, size_t n)
{
    double top = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)x[i]));
    return top;
}

/* relative to the largest of want; inputs are of the order of 1, so near-zero sums of
 * them are as good as 0 within some ulp of 1 */
static void
check(const char *what, const struct voco_kernels *k, size_t size, const float *want,
      const float *got, size_t n, double relative)
{
    check_each(what, k, size, want, got, n, NULL,
               relative > 0 ? relative * largest(want, n) + 4 * ulp : 0);
}

static const size_t sizes[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48,
                                49, 63, 64, 65, 100, 343, 1000 };
enum { N_SIZE = sizeof sizes / sizeof sizes[0] };

/* ---- flat kernels ---- */

START_TEST(sums_and_products_are_the_same_numbers)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_SIZE; s++) {
        const size_t n = sizes[s];
        const float *x = uniform(1, n, -1, 1), *y = uniform(2, n, -1, 1);
        float *want = copy(y, n), *got = copy(y, n);
        double sum = 0;

        ref.add(x, want, n);
        k.add(x, got, n);
        check("add", &k, n, want, got, n, 0);
        ref.scale(x, 0.3f, want, n);
        k.scale(x, 0.3f, got, n);
        check("scale", &k, n, want, got, n, 0);
        ref.leaky(x, 0.01f, want, n);
        k.leaky(x, 0.01f, got, n);
        check("leaky", &k, n, want, got, n, 0);
        ref.leaky_grad(x, 0.01f, y, want, n);
        k.leaky_grad(x, 0.01f, y, got, n);
        check("leaky_grad", &k, n, want, got, n, 0);
        for (size_t i = 0; i < n; i++)
            sum += fabs((double)x[i] * y[i]);
        ck_assert_double_eq_tol(ref.dot(x, y, n), k.dot(x, y, n),
                                (double)n * ulp * sum + 1e-30);
        ck_assert_double_eq_tol(ref.sum_squares(x, n), k.sum_squares(x, n),
                                0x1p-53 * (double)(n * n + 1));
        release();
    }
}
END_TEST

START_TEST(exp_is_right_to_two_ulp)
{
    enum { N = 20001 };
    struct voco_kernels k;
    float *x, *want, *got;

    level(_i, &k);
    x = uniform(1, N, -87.3, 88);
    x[0] = 0;
    x[1] = -0.0f;
    x[2] = 1e-30f;
    want = guarded(N * sizeof *want);
    got = guarded(N * sizeof *got);
    ref.exp(x, want, N);
    k.exp(x, got, N);
    for (size_t i = 0; i < N; i++)
        ck_assert_msg(fabs((double)got[i] - exp(x[i])) <= 2 * ulp * exp(x[i]),
                      "%s: exp(%.9g) is %.9g, want %.9g", voco_isa_name(k.isa), x[i],
                      got[i], exp(x[i]));
    for (int i = 0; i < 4; i++) {       /* too small for a normal number: 0 in vectors */
        const float tiny[] = { -88.0f, -104.0f, -1e30f, -INFINITY };

        k.exp(&tiny[i], got, 1);
        ck_assert_float_le(got[0], 1.2e-38f);
        ck_assert_float_ge(got[0], 0);
    }
    x[0] = NAN;
    k.exp(x, got, 1);
    ck_assert(isnan(got[0]));
    release();
    for (int s = 1; s < N_SIZE; s++) {
        x = uniform(2, sizes[s], -300, 300);
        ck_assert_float_eq_tol(k.log_sum_exp(x, sizes[s]), ref.log_sum_exp(x, sizes[s]),
                               1e-4);
        release();
    }
}
END_TEST

/* Both tails keep relative accuracy: the exponent -x^2/2 is rounded, nothing cancels. */
START_TEST(gelu_is_right_in_both_tails)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_SIZE; s++) {
        const size_t n = sizes[s];
        float *x = uniform(3, n, -13, 13), *dy = uniform(4, n, -1, 1);
        float *want = copy(x, n), *got = copy(x, n);
        double *limit = guarded(n * sizeof *limit);

        if (n > 2)
            x[0] = x[1] = 0;
        ref.gelu(x, false, want, n);
        k.gelu(x, false, got, n);
        for (size_t i = 0; i < n; i++)
            limit[i] = (5 + 0.5 * x[i] * x[i]) * ulp * fabs((double)want[i]) + 1e-36;
        check_each("gelu", &k, n, want, got, n, limit, 0);
        k.gelu(x, false, x, n);
        check("gelu in place", &k, n, got, x, n, 0);
        k.gelu(got, false, x, n);
        ref.gelu_grad(want, dy, false, want, NULL, n);
        k.gelu_grad(got, dy, false, dy, got, n);
        check_each("gelu_grad", &k, n, want, dy, n, NULL, 8 * ulp);
        check("gelu of gelu_grad", &k, n, x, got, n, 0);
        release();
    }
}
END_TEST

START_TEST(adamw_and_ema_agree)
{
    const struct voco_adamw_step step = { .decay = 1 - 1e-6f, .beta1 = 0.9f,
        .one_beta1 = 0.1f, .beta2 = 0.999f, .one_beta2 = 0.001f, .scale = 1e-3f,
        .rsqrt_bias2 = 31.6f, .eps = 1e-8f };
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_SIZE; s++)
        for (int amsgrad = 0; amsgrad < 2; amsgrad++) {
            const size_t n = sizes[s];
            const float *g = uniform(1, n, -1, 1);
            float *want[4], *got[4];

            for (unsigned i = 0; i < 4; i++) {      /* w, m, v, vmax */
                want[i] = uniform(5 + i, n, i < 2 ? -1 : 0, 1);
                got[i] = copy(want[i], n);
            }
            for (int t = 0; t < 2; t++) {
                ref.adamw(&step, g, want[0], want[1], want[2], amsgrad ? want[3] : NULL,
                          n);
                k.adamw(&step, g, got[0], got[1], got[2], amsgrad ? got[3] : NULL, n);
            }
            for (int i = 0; i < 4; i++)
                check("adamw", &k, n, want[i], got[i], n, 4 * ulp);
            ref.ema(0.9f, 0.1f, g, want[0], n);
            k.ema(0.9f, 0.1f, g, got[0], n);
            check("ema", &k, n, want[0], got[0], n, 4 * ulp);
            release();
        }
}
END_TEST

/* ---- rows of channels ---- */

static const size_t channels[] = { 1, 3, 8, 12, 15, 16, 17, 24, 48, 96, 100 };
static const size_t row_counts[] = { 0, 1, 2, 5, 64, 65, 200 };
enum { N_CHANNEL = sizeof channels / sizeof channels[0],
       N_ROWS = sizeof row_counts / sizeof row_counts[0] };

/* Numbers around 100: the mean is large against the spread. */
START_TEST(moments_survive_a_large_mean)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS; s++) {
        const size_t c = channels[s % N_CHANNEL], rows = row_counts[s / N_CHANNEL];
        const float *x = uniform(1, rows * c, 99, 101);
        double *want = guarded(2 * c * sizeof *want), *got = guarded(2 * c * sizeof *got);

        ref.moments(x, false, rows, c, want, want + c);
        k.moments(x, false, rows, c, got, got + c);
        for (size_t j = 0; j < c; j++) {
            ck_assert_double_eq_tol(got[j], want[j], 1e-7 * 100);
            ck_assert_double_eq_tol(got[c + j], want[c + j], 2e-6 * want[c + j] + 1e-9);
        }
        release();
    }
}
END_TEST

START_TEST(norm_of_rows_agrees)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 2; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS];
        const size_t n = rows * c;
        struct voco_norm_rows a = { .rows = rows, .c = c, .slope = 0.01f };
        float *x = uniform(1, n, -1, 1), *want = guarded(n * sizeof *want);

        a.x = x;
        a.r = s / N_CHANNEL / N_ROWS ? uniform(2, n, -1, 1) : NULL;
        a.mean = uniform(3, c, -1, 1);
        a.rstd = uniform(4, c, 0.5, 2);
        a.y = want;
        ref.norm_rows(&a);
        a.y = x;                                    /* in place */
        k.norm_rows(&a);
        check("norm_rows", &k, n, want, x, n, 4 * ulp);
        release();
    }
}
END_TEST

START_TEST(norm_of_rows_gradient_agrees)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 2; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS];
        const size_t n = rows * c;
        const float slope = s & 1 ? 1 : 0.25f;
        struct voco_norm_rows_grad a = { .rows = rows, .c = c, .slope = slope };
        float *want[2], *got[2];
        double *sum[2];

        a.y = uniform(1, n, -1, 1);
        a.r = s / N_CHANNEL / N_ROWS ? uniform(2, n, -1, 1) : NULL;
        a.rstd = uniform(3, c, 0.5, 2);
        a.mean_g = uniform(4, c, -1, 1);
        a.mean_gx = uniform(5, c, -1, 1);
        for (int i = 0; i < 2; i++) {
            want[i] = uniform(6, n, -1, 1);
            got[i] = copy(want[i], n);
            sum[i] = guarded(2 * c * sizeof **sum);
            memset(sum[i], 0, 2 * c * sizeof **sum);
            a.dy = want[0];
            a.sum_g = sum[i];
            a.sum_gx = sum[i] + c;
            (i ? k : ref).norm_rows_sums(&a);
        }
        for (size_t j = 0; j < 2 * c; j++)
            ck_assert_double_eq_tol(sum[0][j], sum[1][j],
                                    (double)(rows + 1) * 8 * ulp);
        for (int i = 0; i < 2; i++) {
            a.dx = i ? got[0] : want[0];
            a.dr = i ? got[1] : want[1];
            a.dy = a.dr;                            /* dr in place */
            (i ? k : ref).norm_rows_grad(&a);
        }
        check("norm_rows_grad dx", &k, n, want[0], got[0], n, 8 * ulp);
        check("norm_rows_grad dr", &k, n, want[1], got[1], n, 0);
        release();
    }
}
END_TEST

START_TEST(layernorm_agrees)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 2; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS];
        const size_t n = rows * c;
        const bool affine = s / N_CHANNEL / N_ROWS;
        float *want[6], *got[6];        /* y, mean and rstd, dx, dw, db, y again */
        const float *x = uniform(1, n, 1, 3), *w = uniform(2, c, -1, 1);
        const float *b = uniform(3, c, -1, 1), *dy = uniform(4, n, -1, 1);

        for (int i = 0; i < 2; i++) {
            float **out = i ? got : want;

            out[0] = guarded(n * sizeof **out);
            out[1] = guarded(2 * rows * sizeof **out);
            out[2] = guarded(n * sizeof **out);
            out[3] = uniform(5, c, -1, 1);
            out[4] = uniform(6, c, -1, 1);
            out[5] = guarded(n * sizeof **out);
            (i ? k : ref).layernorm(&(struct voco_layernorm_rows){
                .rows = rows, .c = c, .x = x, .w = affine ? w : NULL,
                .b = affine ? b : NULL, .eps = 1e-5f, .y = out[0], .mean = out[1],
                .rstd = out[1] + rows });
            (i ? k : ref).layernorm_grad(&(struct voco_layernorm_grad){
                .rows = rows, .c = c, .x = x, .w = affine ? w : NULL,
                .b = affine ? b : NULL, .mean = want[1], .rstd = want[1] + rows,
                .dy = dy, .r = rows % 2 ? dy : NULL, .dx = out[2], .y = out[5],
                .dw = affine ? out[3] : NULL, .db = affine ? out[4] : NULL });
        }
        check("layernorm y", &k, c, want[0], got[0], n, 2e-6);
        check("layernorm mean, rstd", &k, c, want[1], got[1], 2 * rows, 2e-6);
        check_each("layernorm_grad dx", &k, c, want[2], got[2], n, NULL,
                   4e-6 * largest(want[2], n) + 4 * ulp * largest(want[1] + rows, rows));
        check("layernorm_grad y", &k, c, want[0], got[5], n, 4e-6);
        check("layernorm_grad dw", &k, c, want[3], got[3], c, 4e-6);
        check("layernorm_grad db", &k, c, want[4], got[4], c, 4e-6);
        release();
    }
}
END_TEST

/* ---- norms of bfloat16: the bits of rows widened before and narrowed behind ---- */

/* What a kernel reads or writes, and the same number of elements in f32. */
struct rows {
    void *own;                      /* bfloat16 or float */
    float *wide;
    size_t n;
    bool bf16;
};

/* n numbers that bfloat16 can hold, or if bf16 is false any. */
static struct rows
make_rows(const struct voco_kernels *k, unsigned seed, size_t n, bool bf16)
{
    struct rows r = { .wide = uniform(seed, n, -1, 1), .n = n, .bf16 = bf16 };

    if (bf16) {
        r.own = guarded(n * sizeof(uint16_t));
        k->narrow(r.wide, r.own, n);
        k->widen(r.own, r.wide, n);
    } else
        r.own = copy(r.wide, n);
    return r;
}

/* The kernel wrote into own what another one wrote into wide, but for narrowing. */
static void
check_rows(const char *what, const struct voco_kernels *k, const struct rows *r)
{
    const size_t bytes = r->n * (r->bf16 ? sizeof(uint16_t) : sizeof(float));
    uint16_t *narrow = guarded(r->n * sizeof *narrow);

    k->narrow(r->wide, narrow, r->n);
    ck_assert_msg(memcmp(r->own, r->bf16 ? (void *)narrow : r->wide, bytes) == 0,
                  "%s, %s, %zu elements", what, voco_isa_name(k->isa), r->n);
}

START_TEST(gelu_of_bfloat16_is_that_of_wide_numbers)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_SIZE; s++) {
        const size_t n = sizes[s];
        const struct rows x = make_rows(&k, 1, n, true), dy = make_rows(&k, 2, n, true);
        const struct rows y = make_rows(&k, 3, n, true), again = make_rows(&k, 4, n, true);

        k.gelu(x.wide, false, y.wide, n);
        k.gelu(x.own, true, y.own, n);
        check_rows("gelu", &k, &y);
        k.gelu_grad(x.wide, dy.wide, false, dy.wide, again.wide, n);
        k.gelu_grad(x.own, dy.own, true, dy.own, again.own, n);
        check_rows("gelu_grad dx", &k, &dy);
        check_rows("gelu_grad y", &k, &again);
        release();
    }
}
END_TEST

/* x in bfloat16 or not, with a residual or not, around the caches or not */
START_TEST(norm_of_bfloat16_rows_is_that_of_wide_ones)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 8; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS], n = rows * c;
        const int how = s / N_CHANNEL / N_ROWS;
        const struct rows x = make_rows(&k, 1, n, how & 1), r = make_rows(&k, 2, n, true);
        const struct rows y = make_rows(&k, 3, n, true);
        struct voco_norm_rows a = { .rows = rows, .c = c, .slope = 0.01f,
                                    .stream = how & 4 };
        double *want = guarded(2 * c * sizeof *want), *got = guarded(2 * c * sizeof *got);

        k.moments(x.wide, false, rows, c, want, want + c);
        k.moments(x.own, x.bf16, rows, c, got, got + c);
        ck_assert_mem_eq(want, got, 2 * c * sizeof *want);
        a.mean = uniform(4, c, -1, 1);
        a.rstd = uniform(5, c, 0.5, 2);
        a.x = x.wide, a.r = how & 2 ? r.wide : NULL, a.y = y.wide;
        k.norm_rows(&a);
        a.x_bf16 = x.bf16, a.bf16 = true;
        a.x = x.own, a.r = how & 2 ? r.own : NULL, a.y = y.own;
        k.norm_rows(&a);
        check_rows("norm_rows", &k, &y);
        release();
    }
}
END_TEST

/* dy, dx in bfloat16 or not as they occur; with r and dr, dr in place of dy, or neither */
START_TEST(norm_gradient_of_bfloat16_rows_is_that_of_wide_ones)
{
    static const bool types[][2] = { { false, false }, { true, false }, { true, true } };
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 18; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS], n = rows * c;
        const int how = s / N_CHANNEL / N_ROWS, residual = how / 3 % 3;
        const bool *bf16 = types[how % 3];
        const struct rows y = make_rows(&k, 1, n, true), r = make_rows(&k, 2, n, true);
        const struct rows dy = make_rows(&k, 3, n, bf16[0]);
        const struct rows dx = make_rows(&k, 4, n, bf16[1]), dr = make_rows(&k, 5, n, true);
        const struct rows *to = residual == 1 && dy.bf16 ? &dy : residual ? &dr : NULL;
        struct voco_norm_rows_grad a = { .rows = rows, .c = c, .slope = 0.25f,
                                         .stream = how / 9 };
        double *sums[2];

        a.rstd = uniform(6, c, 0.5, 2);
        a.mean_g = uniform(7, c, -1, 1);
        a.mean_gx = uniform(8, c, -1, 1);
        for (int i = 0; i < 2; i++) {
            sums[i] = guarded(2 * c * sizeof **sums);
            memset(sums[i], 0, 2 * c * sizeof **sums);
            a.sum_g = sums[i];
            a.sum_gx = sums[i] + c;
            a.bf16 = i, a.dy_bf16 = i && dy.bf16, a.dx_bf16 = i && dx.bf16;
            a.y = i ? y.own : y.wide;
            a.r = !residual ? NULL : i ? r.own : r.wide;
            a.dy = i ? dy.own : dy.wide;
            a.dx = i ? dx.own : dx.wide;
            a.dr = !to ? NULL : i ? to->own : to->wide;
            k.norm_rows_sums(&a);
            k.norm_rows_grad(&a);
        }
        ck_assert_mem_eq(sums[0], sums[1], 2 * c * sizeof **sums);
        check_rows("norm_rows_grad dx", &k, &dx);
        if (to)
            check_rows("norm_rows_grad dr", &k, to);
        release();
    }
}
END_TEST

START_TEST(layernorm_of_bfloat16_rows_is_that_of_wide_ones)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_CHANNEL * N_ROWS * 2; s++) {
        const size_t c = channels[s % N_CHANNEL];
        const size_t rows = row_counts[s / N_CHANNEL % N_ROWS], n = rows * c;
        const bool affine = s / N_CHANNEL / N_ROWS;
        const struct rows x = make_rows(&k, 1, n, true), y = make_rows(&k, 2, n, true);
        const struct rows dy = make_rows(&k, 3, n, true);
        const float *w = affine ? uniform(4, c, -1, 1) : NULL, *b = w;
        float *of_rows[2], *of_columns[2];

        for (int i = 0; i < 2; i++) {
            float *mean = of_rows[i] = guarded(2 * rows * sizeof **of_rows);
            float *dw = of_columns[i] = uniform(5, 2 * c, -1, 1);

            k.layernorm(&(struct voco_layernorm_rows){
                .rows = rows, .c = c, .bf16 = i, .x = i ? x.own : x.wide, .w = w, .b = b,
                .eps = 1e-5f, .y = i ? y.own : y.wide, .mean = mean,
                .rstd = mean + rows });
            k.layernorm_grad(&(struct voco_layernorm_grad){     /* in place */
                .rows = rows, .c = c, .bf16 = i, .x = i ? x.own : x.wide, .w = w,
                .mean = mean, .rstd = mean + rows, .dy = i ? dy.own : dy.wide,
                .r = i ? x.own : x.wide, .dx = i ? dy.own : dy.wide,
                .dw = affine ? dw : NULL, .db = affine ? dw + c : NULL });
        }
        ck_assert_mem_eq(of_rows[0], of_rows[1], 2 * rows * sizeof **of_rows);
        ck_assert_mem_eq(of_columns[0], of_columns[1], 2 * c * sizeof **of_columns);
        check_rows("layernorm y", &k, &y);
        check_rows("layernorm_grad dx", &k, &dy);
        release();
    }
}
END_TEST

/* ---- attention ---- */

static const struct { size_t rows, keys, head_dim; } tiles[] = {
    { 1, 1, 1 }, { 1, 2, 4 }, { 0, 5, 4 }, { 23, 40, 4 }, { 8, 100, 8 }, { 5, 7, 5 }, { 12, 16, 16 }, { 13, 17, 16 }, { 25, 33, 8 },
    { 11, 49, 20 }, { 30, 31, 32 }, { 7, 50, 64 }, { 49, 50, 16 },
};
enum { N_TILE = sizeof tiles / sizeof tiles[0] };

static size_t
round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* A panel of rows [rows,n] with zeros where row >= real or column >= wide. */
static float *
panel(unsigned seed, size_t rows, size_t n, size_t real, size_t wide)
{
    float *x = uniform(seed, rows * n, -1, 1);

    for (size_t i = 0; i < rows * n; i++)
        if (i / n >= real || i % n >= wide)
            x[i] = 0;
    return x;
}

/* y, which x is narrowed to, as kernels of the level do it: avx512bf16 takes denormals as 0
 * of their sign. */
static uint16_t
narrowed(const struct voco_kernels *k, float x, uint16_t y)
{
    return k->isa >= VOCO_ISA_AVX512BF16 && fabsf(x) < 0x1p-126f ? y & 0x8000 : y;
}

/* All 2^16 come back, and the ones between two of them go to the nearer. */
START_TEST(bfloat16_is_the_nearest_at_all_lengths)
{
    enum { ALL = 1 << 16 };
    static uint16_t half[ALL], back[ALL], want[ALL];
    static float wide[ALL], between[ALL];
    struct voco_kernels k;

    level(_i, &k);
    for (int i = 0; i < ALL; i++) {
        const uint32_t bits = (uint32_t)i << 16 | ((uint32_t)i * 40503 & 0xffff);

        half[i] = (uint16_t)i;
        memcpy(&between[i], &bits, sizeof bits);
    }
    k.widen(half, wide, ALL);
    for (int i = 0; i < ALL; i++) {
        uint32_t bits;

        memcpy(&bits, &wide[i], sizeof bits);
        ck_assert_uint_eq(bits, (uint32_t)i << 16);
    }
    k.narrow(wide, back, ALL);
    for (int i = 0; i < ALL; i++)
        ck_assert_uint_eq(back[i], isnan(wide[i]) ? i | 0x40
                                                  : narrowed(&k, wide[i], (uint16_t)i));
    ref.narrow(between, want, ALL);
    for (int i = 0; i < ALL; i++)
        want[i] = narrowed(&k, between[i], want[i]);
    k.narrow(between, back, ALL);
    ck_assert_mem_eq(want, back, sizeof want);
    for (size_t n = 0; n <= 40; n++) {
        const float *x = uniform(1, n, -1, 1);
        uint16_t *y = guarded(n * sizeof *y), *z = guarded(n * sizeof *z);
        float *w = guarded(n * sizeof *w), *v = guarded(n * sizeof *v);

        ref.narrow(x, y, n);
        k.narrow(x, z, n);
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(y[i], z[i]);
        ref.widen(y, w, n);
        k.widen(y, v, n);
        check("widen", &k, n, w, v, n, 0);
        release();
    }
}
END_TEST

START_TEST(gather_and_scatter_move_the_same_rows)
{
    const int64_t row[] = { 4, 0, 6, 1 };
    struct voco_kernels k;

    level(_i, &k);
    for (size_t hd = 1; hd <= 40; hd++) {
        const size_t hr = round_up(hd, k.lanes), stride = hd + 3;
        const struct voco_rows a = { row, 4, stride, hd, hr, 0.5f, false };
        const float *x = uniform(1, 6 * stride + hd, -1, 1);
        float *want = guarded(4 * hr * sizeof *want), *back[2];
        float *got = guarded(4 * hr * sizeof *got);

        ref.gather(&a, x, want);
        k.gather(&a, x, got);
        check("gather", &k, hd, want, got, 4 * hr, 0);
        for (int i = 0; i < 2; i++) {
            back[i] = copy(x, 6 * stride + hd);
            (i ? k : ref).scatter(&a, got, back[i]);
        }
        check("scatter", &k, hd, back[0], back[1], 6 * stride + hd, 0);
        {
            const struct voco_rows b = { row, 4, stride, hd, hr, 0.5f, true };
            const size_t n = 6 * stride + hd;
            uint16_t *half[2] = { guarded(n * sizeof **half), guarded(n * sizeof **half) };

            ref.narrow(x, half[0], n);
            memcpy(half[1], half[0], n * sizeof **half);
            ref.gather(&b, half[0], want);
            k.gather(&b, half[1], got);
            check("gather of bfloat16", &k, hd, want, got, 4 * hr, 0);
            ref.scatter(&b, got, half[0]);
            k.scatter(&b, got, half[1]);
            ck_assert_mem_eq(half[0], half[1], n * sizeof **half);
        }
        release();
    }
}
END_TEST

START_TEST(attention_of_a_tile_agrees)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_TILE; s++) {
        const size_t rows = tiles[s].rows, keys = tiles[s].keys, hd = tiles[s].head_dim;
        const size_t cols = round_up(keys, k.lanes), hr = round_up(hd, k.lanes);
        struct voco_attn_tile a = { rows, cols, hd, hr };
        struct voco_attn_grad g = { rows, cols, hd, hr };
        float *bias = panel(1, rows, cols, rows, keys), *out[2][6];

        for (size_t i = 0; i < rows * cols; i++)
            if (i % cols >= keys)
                bias[i] = VOCO_ATTN_NONE;
        a.bias = g.bias = bias;
        a.q = g.q = panel(2, rows, hr, rows, hd);
        a.kt = g.kt = panel(3, hd, cols, hd, keys);
        a.v = panel(4, cols, hr, keys, hd);
        g.k = panel(5, cols, hr, keys, hd);
        g.vt = panel(6, hd, cols, hd, keys);
        g.dy = panel(7, rows, hr, rows, hd);
        g.y = panel(8, rows, hr, rows, hd);
        for (int i = 0; i < 2; i++) {
            const struct voco_kernels *by = i ? &k : &ref;

            out[i][0] = a.y = guarded(rows * hr * sizeof(float));
            out[i][1] = a.lse = guarded(rows * sizeof(float));
            a.work = guarded(VOCO_ATTN_ROWS * cols * sizeof(float));
            by->attn(&a);
            g.lse = out[0][1];
            out[i][2] = g.dq = guarded(rows * hr * sizeof(float));
            out[i][3] = g.dkt = guarded(cols * hd * sizeof(float));
            out[i][4] = g.dvt = guarded(cols * hd * sizeof(float));
            out[i][5] = g.dbias = uniform(9, rows * cols, -1, 1);
            g.work = guarded(2 * VOCO_ATTN_GRAD_ROWS * cols * sizeof(float));
            by->attn_grad(&g);
        }
        check("attn y", &k, keys, out[0][0], out[1][0], rows * hr, 2e-6);
        check("attn lse", &k, keys, out[0][1], out[1][1], rows, 2e-6);
        check("attn_grad dq", &k, keys, out[0][2], out[1][2], rows * hr, 4e-6);
        check("attn_grad dk", &k, keys, out[0][3], out[1][3], cols * hd, 4e-6);
        check("attn_grad dv", &k, keys, out[0][4], out[1][4], cols * hd, 4e-6);
        check("attn_grad dbias", &k, keys, out[0][5], out[1][5], rows * cols, 4e-6);
        release();
    }
}
END_TEST

/* Scores as in training, and up to 60, where exponentials run over many powers of two. */
START_TEST(attention_of_narrow_heads_agrees)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < 2 * N_TILE; s++) {
        const size_t rows = tiles[s / 2].rows, keys = tiles[s / 2].keys;
        const size_t hd = tiles[s / 2].head_dim;
        const size_t cols = round_up(keys, k.lanes), hr = round_up(hd, k.lanes);
        struct voco_attn_tile a = { rows, cols, hd, hr };
        struct voco_attn_grad g = { rows, cols, hd, hr };
        float *bias, *q, *out[2][6];

        if (!voco_attn_narrow(hd))
            continue;
        bias = panel(1, rows, cols, rows, keys);
        q = panel(2, rows, hr, rows, hd);
        for (size_t i = 0; i < rows * hr; i++)
            q[i] *= s % 2 ? 16 : 1;
        for (size_t i = 0; i < rows * cols; i++)
            if (i % cols >= keys)
                bias[i] = VOCO_ATTN_NONE;
        a.bias = g.bias = bias;
        a.q = g.q = q;
        a.kt = g.kt = panel(3, hd, cols, hd, keys);
        a.v = panel(4, hd, cols, hd, keys);
        g.vt = panel(6, hd, cols, hd, keys);
        g.dy = panel(7, rows, hr, rows, hd);
        g.y = panel(8, rows, hr, rows, hd);
        for (int i = 0; i < 2; i++) {
            const struct voco_kernels *by = i ? &k : &ref;

            out[i][0] = a.y = uniform(10, rows * hr, -1, 1);     /* the rest stays */
            out[i][1] = a.lse = guarded(rows * sizeof(float));
            a.work = guarded(VOCO_ATTN_ROWS * cols * sizeof(float));
            by->attn_narrow(&a);
            g.lse = out[0][1];
            out[i][2] = g.dq = uniform(11, rows * hr, -1, 1);
            out[i][3] = g.dkt = guarded(cols * hd * sizeof(float));
            out[i][4] = g.dvt = guarded(cols * hd * sizeof(float));
            out[i][5] = g.dbias = uniform(9, rows * cols, -1, 1);
            g.work = guarded(2 * VOCO_ATTN_GRAD_ROWS * cols * sizeof(float));
            by->attn_narrow_grad(&g);
        }
        check("attn_narrow y", &k, keys, out[0][0], out[1][0], rows * hr,
              s % 2 ? 6e-6 : 2e-6);
        check("attn_narrow lse", &k, keys, out[0][1], out[1][1], rows, 2e-6);
        check("attn_narrow_grad dq", &k, keys, out[0][2], out[1][2], rows * hr,
              s % 2 ? 12e-6 : 4e-6);
        check("attn_narrow_grad dk", &k, keys, out[0][3], out[1][3], cols * hd,
              s % 2 ? 12e-6 : 4e-6);
        check("attn_narrow_grad dv", &k, keys, out[0][4], out[1][4], cols * hd,
              s % 2 ? 12e-6 : 4e-6);
        check("attn_narrow_grad dbias", &k, keys, out[0][5], out[1][5], rows * cols,
              s % 2 ? 12e-6 : 4e-6);
        release();
    }
}
END_TEST

/* Columns beyond the rows stay, and so does what is beside them in x. */
START_TEST(columns_are_rows_transposed)
{
    enum { ROWS = 37, COLS = 41 };
    int64_t row[ROWS];
    struct voco_kernels k;

    level(_i, &k);
    for (int i = 0; i < ROWS; i++)
        row[i] = 7 * i % ROWS;
    for (size_t hd = 1; hd <= 8; hd++)
        for (size_t rows = 0; rows <= ROWS; rows++)
            for (int bf16 = 0; bf16 < 2; bf16++) {
                const size_t stride = hd + 3, n = (ROWS - 1) * stride + hd;
                const size_t bytes = n * (bf16 ? sizeof(uint16_t) : sizeof(float));
                const struct voco_rows a = { row, rows, stride, hd, round_up(hd, k.lanes),
                                             0.5f, bf16 };
                float *wide = uniform(1, n, -1, 1), *panels[2];
                void *x[2] = { guarded(bytes), guarded(bytes) };

                for (int i = 0; i < 2; i++) {
                    if (bf16)
                        ref.narrow(wide, x[i], n);
                    else
                        memcpy(x[i], wide, bytes);
                    panels[i] = uniform(2, hd * COLS, -1, 1);
                    (i ? k : ref).gather_columns(&a, x[i], panels[i], COLS);
                }
                check("gather_columns", &k, hd, panels[0], panels[1], hd * COLS, 0);
                for (int i = 0; i < 2; i++)
                    (i ? k : ref).scatter_columns(&a, panels[0], COLS, x[i]);
                ck_assert_mem_eq(x[0], x[1], bytes);
                release();
            }
}
END_TEST

static const struct {
    size_t m, vectors, depth;
} products[] = { { 0, 1, 3 }, { 1, 1, 0 }, { 7, 1, 5 }, { 23, 2, 16 }, { 8, 3, 48 },
                 { 29, 4, 7 }, { 13, 5, 33 }, { 12, 7, 1 } };
enum { N_PRODUCT = sizeof products / sizeof products[0] };

/* What is around the rows of c stays: ldc is larger than n. */
START_TEST(products_agree)
{
    struct voco_kernels k;

    level(_i, &k);
    for (int s = 0; s < N_PRODUCT; s++)
        for (int how = 0; how < 8; how++) {
            const size_t m = products[s].m, depth = products[s].depth;
            const size_t n = products[s].vectors * k.lanes, ldc = n + (how & 2 ? 16 : 3);
            const bool transposed = how & 1;
            struct voco_product p = {
                .row = transposed ? 1 : depth, .step = transposed ? m : 1, .ldb = n,
                .ldc = ldc, .m = m, .n = n, .depth = depth, .add = (how & 6) == 4,
                .stream = (how & 6) == 2 };
            float *c[2];

            p.a = uniform(1, m * depth, -1, 1);
            p.b = uniform(2, depth * n, -1, 1);
            p.bias = how & 2 ? uniform(3, n, -1, 1) : NULL;
            for (int i = 0; i < 2; i++) {
                p.c = c[i] = uniform(4, m * ldc, -1, 1);
                (i ? &k : &ref)->product(&p);
            }
            check("product", &k, depth, c[0], c[1], m * ldc, 4e-6);
            release();
        }
}
END_TEST

/* ---- products of bfloat16 ---- */

/* A panel of bfloat16, and *ret_wide [rows,n]: its numbers times scale. */
static uint16_t *
panel_bf16(unsigned seed, size_t rows, size_t n, size_t real, size_t wide, float scale,
           float **ret_wide)
{
    const float *x = panel(seed, rows, n, real, wide);
    uint16_t *half = guarded(rows * n * sizeof *half);

    *ret_wide = guarded(rows * n * sizeof **ret_wide);
    ref.narrow(x, half, rows * n);
    ref.widen(half, *ret_wide, rows * n);
    ref.scale(*ret_wide, scale, *ret_wide, rows * n);
    return half;
}

/* x [rows,n], n <= rows, without what is beyond column n and transposed */
static float *
transposed(const float *x, size_t rows, size_t n, size_t row)
{
    float *y = guarded(rows * n * sizeof *y);

    for (size_t i = 0; i < rows * n; i++)
        y[i] = x[i % rows * row + i / rows];
    return y;
}

START_TEST(products_of_pairs_agree)
{
    struct voco_kernels k;

    level(bf16_level[_i], &k);
    for (int s = 0; s < N_PRODUCT; s++)
        for (int how = 0; how < 4; how++) {
            const size_t m = products[s].m, depth = products[s].depth;
            const size_t n = products[s].vectors * k.lanes, ldc = n + 3;
            const bool flipped = how & 1, add = how & 2;
            float *a, *b, *want = uniform(4, m * ldc, -1, 1), *got = copy(want, m * ldc);
            const uint16_t *left = panel_bf16(1, m * depth, 2, m * depth, 2, 1, &a);
            const uint16_t *right = panel_bf16(2, depth * n, 2, depth * n, 2, 1, &b);
            const struct voco_product p = {
                .a = (const float *)(const void *)left, .row = flipped ? 1 : depth,
                .step = flipped ? m : 1, .b = (const float *)(const void *)right, .ldb = n,
                .c = got, .ldc = ldc, .m = m, .n = n, .depth = depth, .add = add };

            for (size_t i = 0; i < m * n; i++) {
                float *c = &want[i / n * ldc + i % n];
                double sum = add ? (double)*c : 0;

                for (size_t d = 0; d < 2 * depth; d++)
                    sum += (double)a[2 * (i / n * p.row + d / 2 * p.step) + d % 2]
                           * b[2 * (d / 2 * n + i % n) + d % 2];
                *c = (float)sum;
            }
            k.product_pairs(&p);
            check("product_pairs", &k, depth, want, got, m * ldc, 4e-6);
            release();
        }
}
END_TEST

START_TEST(gather_moves_rows_of_bfloat16)
{
    const int64_t row[] = { 4, 0, 6, 1 };
    struct voco_kernels k;

    level(bf16_level[_i], &k);
    for (size_t hd = 1; hd <= 40; hd++) {
        const size_t hr = round_up(hd, k.lanes), stride = hd + 3, n = 6 * stride + hd;
        const struct voco_rows a = { row, 4, stride, hd, hr, 1, true };
        float *wide, *want = guarded(4 * hr * sizeof *want);
        float *got = guarded(4 * hr * sizeof *got);
        const uint16_t *x = panel_bf16(1, n, 1, n, 1, 1, &wide);
        uint16_t *y = guarded(4 * hr * sizeof *y);

        ref.gather(&a, x, want);
        k.gather_bf16(&a, x, y);
        ref.widen(y, got, 4 * hr);
        check("gather_bf16", &k, hd, want, got, 4 * hr, 0);
        release();
    }
}
END_TEST

/* Weights and their gradients are rounded by 2^-9 at most, and so are sums of products with
 * them: of the largest, where not all cancels.  What is not multiplied is as in f32. */
START_TEST(attention_of_bfloat16_agrees)
{
    struct voco_kernels k;

    level(bf16_level[_i], &k);
    for (int s = 0; s < N_TILE; s++) {
        const size_t rows = tiles[s].rows, keys = tiles[s].keys, hd = tiles[s].head_dim;
        const size_t cols = round_up(keys, k.lanes), hr = round_up(hd, k.lanes);
        const size_t even = round_up(rows, 2);
        const float scale = 0.3f;
        float *bias = panel(1, rows, cols, rows, keys), *q, *kk, *v, *y, *dy, *out[2][6];
        struct voco_attn_tile f = { rows, cols, hd, hr };
        struct voco_attn_grad g = { rows, cols, hd, hr };
        struct voco_attn_bf16 a = { rows, cols, hd, hr, scale };
        struct voco_attn_bf16_grad b = { rows, cols, hd, hr, scale };

        for (size_t i = 0; i < rows * cols; i++)
            if (i % cols >= keys)
                bias[i] = VOCO_ATTN_NONE;
        for (int i = 0; i < 2; i++) {
            out[i][0] = guarded(rows * hr * sizeof(float));
            out[i][1] = guarded(rows * sizeof(float));
            out[i][2] = guarded(rows * hr * sizeof(float));
            out[i][3] = guarded(cols * hd * sizeof(float));
            out[i][4] = guarded(cols * hd * sizeof(float));
            out[i][5] = uniform(9, rows * cols, -1, 1);
        }
        f.bias = g.bias = a.bias = b.bias = bias;
        a.q = b.q = panel_bf16(2, even, hr, rows, hd, scale, &q);
        a.k = b.k = panel_bf16(3, cols, hr, keys, hd, 1, &kk);
        a.v = b.v = panel_bf16(4, cols, hr, keys, hd, 1, &v);
        b.y = panel_bf16(5, even, hr, rows, hd, 1, &y);
        b.dy = panel_bf16(6, even, hr, rows, hd, 1, &dy);
        f.q = g.q = q, f.v = v, g.k = kk, g.y = y, g.dy = dy;
        f.kt = g.kt = transposed(kk, cols, hd, hr);
        g.vt = transposed(v, cols, hd, hr);
        f.y = out[0][0], f.lse = out[0][1], a.y = out[1][0], a.lse = out[1][1];
        f.work = guarded(VOCO_ATTN_ROWS * cols * sizeof(float));
        a.work = guarded(voco_attn_bf16_work(rows, cols, hr) * sizeof(float));
        ref.attn(&f);
        k.attn_bf16(&a);
        g.lse = b.lse = f.lse;
        g.dq = out[0][2], g.dkt = out[0][3], g.dvt = out[0][4], g.dbias = out[0][5];
        b.dq = out[1][2], b.dkt = out[1][3], b.dvt = out[1][4], b.dbias = out[1][5];
        g.work = guarded(2 * VOCO_ATTN_GRAD_ROWS * cols * sizeof(float));
        b.work = guarded(voco_attn_bf16_grad_work(rows, cols, hr) * sizeof(float));
        ref.attn_grad(&g);
        k.attn_bf16_grad(&b);
        check("attn_bf16 y", &k, keys, out[0][0], out[1][0], rows * hr, 0x1p-8);
        check("attn_bf16 lse", &k, keys, out[0][1], out[1][1], rows, 2e-6);
        check("attn_bf16_grad dq", &k, keys, out[0][2], out[1][2], rows * hr, 0x1p-8);
        check("attn_bf16_grad dk", &k, keys, out[0][3], out[1][3], cols * hd, 0x1p-8);
        check("attn_bf16_grad dv", &k, keys, out[0][4], out[1][4], cols * hd, 0x1p-8);
        check("attn_bf16_grad dbias", &k, keys, out[0][5], out[1][5], rows * cols, 4e-6);
        release();
    }
}
END_TEST

/* Instructions for bfloat16 leave f32 alone: what kernels of avx512 and of avx512bf16 make
 * of it is the same to the bit. */
START_TEST(bfloat16_changes_no_float)
{
    enum { ROWS = 33, C = 48, N = ROWS * C };
    const float *x = uniform(1, N, -3, 3), *w = uniform(2, C * C, -1, 1);
    const bool emulated = _i;
    float *out[2];

    for (int i = 0; i < 2; i++) {
        const int at = VOCO_ISA_AVX512 + i;
        struct voco_kernels k;
        float *y = out[i] = guarded(6 * N * sizeof *y);

        level(emulated ? VOCO_ISA_COUNT + i : at, &k);
        ck_assert_int_eq((int)k.isa, at);
        memset(y, 0, 6 * N * sizeof *y);
        k.exp(x, y, N);
        k.gelu(x, false, y + N, N);
        k.gelu_grad(x, y, false, y + 2 * N, NULL, N);
        k.layernorm(&(struct voco_layernorm_rows){
            .rows = ROWS, .c = C, .x = x, .w = w, .b = w + C, .eps = 1e-5f, .y = y + 3 * N,
            .mean = y + 4 * N, .rstd = y + 4 * N + ROWS });
        k.product(&(struct voco_product){ .a = x, .row = C, .step = 1, .b = w, .ldb = C,
                                          .c = y + 5 * N, .ldc = C, .m = ROWS, .n = C,
                                          .depth = C });
        y[4 * N + 2 * ROWS] = k.dot(x, x, N);
        y[4 * N + 2 * ROWS + 1] = k.log_sum_exp(x, N);
    }
    ck_assert_mem_eq(out[0], out[1], 6 * N * sizeof **out);
    release();
}
END_TEST

/* c += x' y over an odd or even number of rows, of bfloat16 made pairs of rows; what is to
 * be fetched meanwhile may be anything. */
START_TEST(pairs_of_rows_multiply_as_rows_do)
{
    struct voco_kernels k;

    level(bf16_level[_i], &k);
    for (int s = 0; s < N_PRODUCT * 2; s++) {
        const size_t rows = products[s / 2].depth * 2 - (s & 1 && products[s / 2].depth);
        const size_t m = products[s / 2].m, wide = (m + k.lanes - 1) / k.lanes * k.lanes;
        const size_t n = products[s / 2].vectors * k.lanes, pairs = (rows + 1) / 2;
        const struct rows x = make_rows(&k, 1, rows * (m + 1), true);
        const struct rows y = make_rows(&k, 2, rows * n, true);
        const struct rows half = make_rows(&k, 4, m * n, true);
        const float *bias = uniform(5, n, -1, 1);
        float *a = guarded(pairs * wide * sizeof *a), *b = guarded(pairs * n * sizeof *b);
        float *want = uniform(3, m * n, -1, 1), *got = copy(want, m * n);

        k.pair_rows(x.own, m + 1, rows, m, a);
        k.pair_rows(y.own, n, rows, n, b);
        k.product_pairs(&(struct voco_product){
            .a = a, .row = 1, .step = wide, .b = b, .ldb = n, .c = got, .ldc = n, .m = m,
            .n = n, .depth = pairs, .add = true, .next = { x.wide, b },
            .next_floats = { x.n, 100 } });
        ref.product(&(struct voco_product){
            .a = x.wide, .row = 1, .step = m + 1, .b = y.wide, .ldb = n, .c = want,
            .ldc = n, .m = m, .n = n, .depth = rows, .add = true });
        check("pairs of rows", &k, rows, want, got, m * n, 8e-6);
        for (int narrow = 0; narrow < 2; narrow++)      /* without add, with a bias */
            k.product_pairs(&(struct voco_product){
                .a = a, .row = 1, .step = wide, .b = b, .ldb = n, .bias = bias,
                .c = half.wide, .c_bf16 = narrow ? half.own : NULL, .ldc = n, .m = m,
                .n = n, .depth = pairs, .stream = s & 1 });
        check_rows("pairs of rows", &k, &half);
        for (size_t i = 0; i < pairs; i++)
            for (size_t j = m; j < wide; j++)
                ck_assert_float_eq(a[i * wide + j], 0);
        release();
    }
}
END_TEST

/* ---- choice ---- */

START_TEST(an_unknown_level_is_refused_and_a_missing_one_noted)
{
    struct voco_kernels k;
    struct voco_isa_choice choice;

    ck_assert_int_eq(voco_kernels_select("avx-512", &k, &choice), -1);
    ck_assert_int_eq(voco_kernels_select("AVX2", &k, &choice), -1);
    ck_assert_int_eq(voco_kernels_select("ref", &k, &choice), 0);
    ck_assert_int_eq(k.isa, VOCO_ISA_REF);
    ck_assert_ptr_null(choice.note);
    ck_assert_int_eq(voco_kernels_select(NULL, &k, &choice), 0);
    ck_assert_int_eq(k.isa, choice.best);
    ck_assert_ptr_null(choice.note);
    for (int i = VOCO_ISA_REF; i < VOCO_ISA_COUNT; i++) {
        const bool there = i <= (int)choice.best;

        ck_assert_int_eq(voco_kernels_select(voco_isa_name((enum voco_isa)i), &k, &choice),
                         0);
        ck_assert_int_eq(k.isa, there ? i : (int)choice.best);
        ck_assert((choice.note == NULL) == there);
        if (!there)
            ck_assert_ptr_nonnull(strstr(choice.note, voco_isa_name(choice.best)));
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("kernels");
    TCase *all = tcase_create("levels"), *choice = tcase_create("choice");

    voco_kernels_ref(&ref);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, sums_and_products_are_the_same_numbers, 1, LEVELS);
    tcase_add_loop_test(all, exp_is_right_to_two_ulp, 0, LEVELS);
    tcase_add_loop_test(all, gelu_is_right_in_both_tails, 1, LEVELS);
    tcase_add_loop_test(all, gelu_of_bfloat16_is_that_of_wide_numbers, 0, LEVELS);
    tcase_add_loop_test(all, adamw_and_ema_agree, 1, LEVELS);
    tcase_add_loop_test(all, moments_survive_a_large_mean, 1, LEVELS);
    tcase_add_loop_test(all, norm_of_rows_agrees, 1, LEVELS);
    tcase_add_loop_test(all, norm_of_rows_gradient_agrees, 1, LEVELS);
    tcase_add_loop_test(all, layernorm_agrees, 1, LEVELS);
    tcase_add_loop_test(all, norm_of_bfloat16_rows_is_that_of_wide_ones, 0, LEVELS);
    tcase_add_loop_test(all, norm_gradient_of_bfloat16_rows_is_that_of_wide_ones, 0, LEVELS);
    tcase_add_loop_test(all, layernorm_of_bfloat16_rows_is_that_of_wide_ones, 0, LEVELS);
    tcase_add_loop_test(all, bfloat16_is_the_nearest_at_all_lengths, 0, LEVELS);
    tcase_add_loop_test(all, gather_and_scatter_move_the_same_rows, 1, LEVELS);
    tcase_add_loop_test(all, products_agree, 1, LEVELS);
    tcase_add_loop_test(all, pairs_of_rows_multiply_as_rows_do, 0, BF16_LEVELS);
    tcase_add_loop_test(all, attention_of_a_tile_agrees, 1, LEVELS);
    tcase_add_loop_test(all, attention_of_narrow_heads_agrees, 1, LEVELS);
    tcase_add_loop_test(all, columns_are_rows_transposed, 1, LEVELS);
    tcase_add_loop_test(all, products_of_pairs_agree, 0, BF16_LEVELS);
    tcase_add_loop_test(all, gather_moves_rows_of_bfloat16, 0, BF16_LEVELS);
    tcase_add_loop_test(all, attention_of_bfloat16_agrees, 0, BF16_LEVELS);
    tcase_add_loop_test(all, bfloat16_changes_no_float, 0, 2);
    tcase_add_test(choice, an_unknown_level_is_refused_and_a_missing_one_noted);
    suite_add_tcase(s, all);
    suite_add_tcase(s, choice);
    return s;
}
