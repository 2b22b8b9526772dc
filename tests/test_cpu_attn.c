/* Window attention of the cpu device against the oracle, with every set of kernels. */
#include <stdio.h>

#include "dev/cpu/cpu.h"
#include "simd/kernels.h"
#include "tests/levels.h"
#include "tests/twin.h"

/* f32 rounding of some hundred terms, relative to the largest element */
static const double forward_limit = 3e-6, gradient_limit = 1e-5;

static const struct {
    const char *what;
    int64_t n, size[3];
    int window, shift, full, heads, head_dim;
} shapes[] = {
    { "8^3 in windows of 7^3", 1, { 8, 8, 8 }, 7, 0, 7, 3, 16 },
    { "8^3 rolled", 2, { 8, 8, 8 }, 7, 3, 7, 3, 4 },
    { "4^3: one clipped window", 2, { 4, 4, 4 }, 4, 0, 7, 3, 16 },
    { "9x8x10 rolled", 1, { 9, 8, 10 }, 7, 3, 7, 2, 8 },
    { "14^3: no padding", 1, { 14, 14, 14 }, 7, 0, 7, 1, 16 },
    { "14^3 rolled: no padding", 1, { 14, 14, 14 }, 7, 3, 7, 1, 32 },
    { "16x7x14", 2, { 16, 7, 14 }, 7, 0, 7, 3, 5 },
    { "15x16x8 rolled: three classes on an axis", 1, { 15, 16, 8 }, 7, 3, 7, 1, 4 },
    { "windows of 2^3", 3, { 5, 4, 6 }, 2, 1, 2, 2, 20 },
    { "one token", 1, { 1, 1, 1 }, 1, 0, 7, 3, 16 },
};
enum { N_SHAPE = sizeof shapes / sizeof shapes[0] };

/* What attention reads and writes, on both devices. */
struct attention {
    struct voco_windows win;
    struct twin qkv, bias, table, y, lse, dy, dqkv, dbias, dtable;
    bool padded;
};

static struct attention
attention_make(struct pair *p, int i)
{
    const int64_t heads = shapes[i].heads, c = heads * shapes[i].head_dim;
    const int64_t *s = shapes[i].size, span = 2 * shapes[i].full - 1;
    const int64_t like_qkv[] = { shapes[i].n, s[0], s[1], s[2], 3 * c };
    const int64_t like_y[] = { shapes[i].n, s[0], s[1], s[2], c };
    struct attention t = { .win = { .full_window = shapes[i].full,
                                    .heads = shapes[i].heads } };
    int64_t windows = 1, tokens = 1;

    for (int a = 0; a < 3; a++) {
        const bool clipped = s[a] <= shapes[i].window;

        t.win.size[a] = s[a];
        t.win.window[a] = clipped ? (int)s[a] : shapes[i].window;
        t.win.shift[a] = clipped ? 0 : shapes[i].shift;
        windows *= (s[a] + t.win.window[a] - 1) / t.win.window[a];
        tokens *= t.win.window[a];
        t.padded |= s[a] % t.win.window[a] != 0;
    }
    p->what = shapes[i].what;
    pair_reset(p);
    t.qkv = twin_make(p, "qkv", 5, like_qkv);
    t.bias = twin_make(p, "qkv_bias", 1, (int64_t[]){ 3 * c });
    t.table = twin_make(p, "table", 2, (int64_t[]){ span * span * span, heads });
    t.y = twin_make(p, "y", 5, like_y);
    t.lse = twin_make(p, "lse", 4, (int64_t[]){ shapes[i].n, windows, heads, tokens });
    t.dy = twin_make(p, "dy", 5, like_y);
    t.dqkv = twin_make(p, "dqkv", 5, like_qkv);
    t.dbias = twin_make(p, "dqkv_bias", 1, (int64_t[]){ 3 * c });
    t.dtable = twin_make(p, "dtable", 2, (int64_t[]){ span * span * span, heads });
    return t;
}

static void
run_cpu(struct pair *p, struct attention *t)
{
    voco_cpu.attn_forward(&p->cpu, &t->win, &t->qkv.cpu, &t->bias.cpu, &t->table.cpu,
                          &t->y.cpu, &t->lse.cpu);
    voco_cpu.attn_backward(&p->cpu, &t->win, &t->qkv.cpu, &t->bias.cpu, &t->table.cpu,
                           &t->y.cpu, &t->lse.cpu, &t->dy.cpu, &t->dqkv.cpu,
                           &t->dbias.cpu, &t->dtable.cpu);
}

static void
run_oracle(struct pair *p, struct attention *t)
{
    voco_oracle.attn_forward(&p->oracle, &t->win, &t->qkv.oracle, &t->bias.oracle,
                             &t->table.oracle, &t->y.oracle, &t->lse.oracle);
    voco_oracle.attn_backward(&p->oracle, &t->win, &t->qkv.oracle, &t->bias.oracle,
                              &t->table.oracle, &t->y.oracle, &t->lse.oracle,
                              &t->dy.oracle, &t->dqkv.oracle, &t->dbias.oracle,
                              &t->dtable.oracle);
}

static void
compare_attention(struct pair *p, struct attention *t)
{
    run_cpu(p, t);
    run_oracle(p, t);
    twin_check(p, &t->y, "y", forward_limit);
    if (!t->padded)         /* of padding tokens the oracle has one and the cpu has not */
        twin_check(p, &t->lse, "lse", forward_limit);
    twin_check(p, &t->dqkv, "dqkv", gradient_limit);
    twin_check(p, &t->dbias, "dqkv_bias", gradient_limit);
    twin_check(p, &t->dtable, "dtable", gradient_limit);
}

/* Both devices with kernels of this level; where it is missing the test is left. */
static void
open_level(struct pair *p, int level, int threads)
{
    setenv("VOCO_ISA", voco_isa_name((enum voco_isa)level), 1);
    pair_open(p, threads);
    level_or_skip(level, voco_cpu_state(&p->cpu)->kernels->isa);
}

/* ---- tests; _i is the level ---- */

START_TEST(attention_agrees_with_the_oracle)
{
    struct pair p;

    open_level(&p, _i, 2);
    for (int i = 0; i < N_SHAPE; i++) {
        struct attention t = attention_make(&p, i);

        compare_attention(&p, &t);
        ck_assert_uint_eq(p.cpu.temp.used, 0);
        ck_assert_uint_eq(p.cpu.temp.peak, voco_cpu.attn_workspace(
            &p.cpu, VOCO_WS_ATTN_BACKWARD, &t.win, &t.qkv.cpu));
        p.cpu.temp.peak = 0;
    }
    pair_close(&p);
}
END_TEST

/* Scores of some hundreds: exp of them would overflow, their softmax is one-hot. */
START_TEST(attention_survives_large_scores)
{
    struct pair p;
    struct attention t;
    float *q;

    open_level(&p, _i, 2);
    t = attention_make(&p, 1);
    q = t.qkv.cpu.data;
    for (int64_t i = 0; i < voco_count(&t.qkv.cpu); i++)
        q[i] *= 32;
    voco_oracle.upload(&p.oracle, &t.qkv.cpu, &t.qkv.oracle);
    run_cpu(&p, &t);
    run_oracle(&p, &t);
    twin_check(&p, &t.y, "y", 3e-4);        /* scores of 500 are known to 3e-5 */
    twin_check(&p, &t.dqkv, "dqkv", 3e-4);
    pair_close(&p);
}
END_TEST

/* All tokens hold zeros and the table too, so weights are equal.  The last window of 8^3
 * in 7^3 has one token of the volume and 342 of padding, which hold the bias. */
START_TEST(padding_tokens_carry_the_bias)
{
    struct pair p;
    struct attention t;
    const float *y, *bias;

    open_level(&p, _i, 1);
    t = attention_make(&p, 0);
    voco_cpu.fill(&p.cpu, &t.qkv.cpu, 0);
    voco_cpu.fill(&p.cpu, &t.table.cpu, 0);
    run_cpu(&p, &t);
    y = t.y.cpu.data;
    bias = t.bias.cpu.data;
    for (int64_t j = 0; j < 48; j++) {
        ck_assert_float_eq_tol(y[j], 0, 1e-7);
        ck_assert_float_eq_tol(y[511 * 48 + j], bias[96 + j] * 342 / 343, 1e-6);
    }
    pair_close(&p);
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    struct pair p;
    struct attention t;
    float *want = NULL;
    size_t bytes = 0;

    for (int threads = 1; threads <= 3; threads++) {
        const struct twin *out[] = { &t.y, &t.dqkv, &t.dbias, &t.dtable };
        size_t at = 0;

        open_level(&p, _i, threads);
        t = attention_make(&p, 3);
        run_cpu(&p, &t);
        for (int i = 0; i < 4 && threads == 1; i++)
            bytes += voco_tensor_bytes(&out[i]->cpu);
        if (threads == 1)
            want = malloc(bytes);
        for (int i = 0; i < 4; i++) {
            const size_t n = voco_tensor_bytes(&out[i]->cpu);

            if (threads == 1)
                memcpy((char *)want + at, out[i]->cpu.data, n);
            ck_assert_mem_eq((char *)want + at, out[i]->cpu.data, n);
            at += n;
        }
        pair_close(&p);
    }
    free(want);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("cpu_attn");
    TCase *tc = tcase_create("attention");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, attention_agrees_with_the_oracle, 0, VOCO_ISA_COUNT);
    tcase_add_loop_test(tc, attention_survives_large_scores, 0, VOCO_ISA_COUNT);
    tcase_add_loop_test(tc, padding_tokens_carry_the_bias, 0, VOCO_ISA_COUNT);
    tcase_add_loop_test(tc, threads_do_not_change_a_bit, 0, VOCO_ISA_COUNT);
    suite_add_tcase(s, tc);
    return s;
}
