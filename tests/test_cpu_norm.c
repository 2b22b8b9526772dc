/* Norms and slabs of the cpu device: accuracy against the oracle at sizes where sums in
 * f32 would drift, and the same bits for any number of threads.  _i is the level. */
#include <stdio.h>

#include "dev/cpu/cpu.h"
#include "dev/oracle/oracle.h"
#include "simd/kernels.h"
#include "tests/levels.h"
#include "tests/twin.h"

/* Both devices with kernels of this level; where it is missing the test is left. */
static void
open_level(struct pair *p, int level, int threads)
{
    setenv("VOCO_ISA", voco_isa_name((enum voco_isa)level), 1);
    pair_open(p, threads);
    level_or_skip(level, voco_cpu_state(&p->cpu)->kernels->isa);
}

/* x = 30 + x on both devices: the mean is 50 standard deviations away from 0. */
static void
shift(struct pair *p, const struct twin *t)
{
    float *x = t->cpu.data;

    for (int64_t i = 0; i < voco_count(&t->cpu); i++)
        x[i] += 30;
    voco_oracle.upload(&p->oracle, &t->cpu, &t->oracle);
}

static const int64_t volumes[][3] = {       /* n, s, c */
    { 1, 1, 5 }, { 3, 8, 24 }, { 2, 4096, 12 }, { 1, 50000, 12 }, { 2, 3001, 48 },
    { 5, 27, 100 },
};

START_TEST(instance_norm_is_right_to_2e_6)
{
    struct pair p;

    open_level(&p, _i, 2);
    for (int s = 0; s < 2 * (int)(sizeof volumes / sizeof volumes[0]); s++) {
        const int64_t *dim = volumes[s / 2];
        const int64_t few[] = { dim[0], dim[2] };
        const int64_t two[] = { dim[0], 2, dim[2] };
        const bool residual = s & 1;
        struct twin x, m, r, y, rstd, dy, dx, dr;
        char what[60];

        snprintf(what, sizeof what, "n%d s%d c%d %s", (int)dim[0], (int)dim[1],
                 (int)dim[2], residual ? "residual" : "");
        p.what = what;
        pair_reset(&p);
        x = twin_make(&p, "x", 3, dim);
        r = twin_make(&p, "r", 3, dim);
        y = twin_make(&p, "y", 3, dim);
        dy = twin_make(&p, "dy", 3, dim);
        dx = twin_make(&p, "dx", 3, dim);
        dr = twin_make(&p, "dr", 3, dim);
        rstd = twin_make(&p, "rstd", 2, few);
        shift(&p, &x);
        voco_cpu.instnorm_forward(&p.cpu, &x.cpu, NULL, residual ? &r.cpu : NULL, 0.5, 1e-5,
                                  &y.cpu, &rstd.cpu);
        voco_oracle.instnorm_forward(&p.oracle, &x.oracle, NULL,
                                     residual ? &r.oracle : NULL, 0.5, 1e-5, &y.oracle,
                                     &rstd.oracle);
        twin_check(&p, &y, "y", 2e-6);
        twin_check(&p, &rstd, "rstd", 5e-7);
        m = twin_make(&p, "moments", 3, two);
        voco_oracle_moments(&p.oracle, &x.oracle, &m.oracle);
        voco_cpu.upload(&p.cpu, &m.oracle, &m.cpu);
        voco_cpu.fill(&p.cpu, &y.cpu, 0);
        voco_cpu.fill(&p.cpu, &rstd.cpu, 0);
        voco_cpu.instnorm_forward(&p.cpu, &x.cpu, &m.cpu, residual ? &r.cpu : NULL, 0.5,
                                  1e-5, &y.cpu, &rstd.cpu);
        twin_check(&p, &y, "y of known moments", 2e-6);
        twin_check(&p, &rstd, "rstd of known moments", 5e-7);
        voco_cpu.instnorm_backward(&p.cpu, &y.cpu, residual ? &r.cpu : NULL, &rstd.cpu,
                                   0.5, &dy.cpu, &dx.cpu, residual ? &dr.cpu : NULL);
        /* from the same y: where it is about 0, rounding decides the slope */
        voco_oracle.upload(&p.oracle, &y.cpu, &y.oracle);
        voco_oracle.instnorm_backward(&p.oracle, &y.oracle, residual ? &r.oracle : NULL,
                                      &rstd.oracle, 0.5, &dy.oracle, &dx.oracle,
                                      residual ? &dr.oracle : NULL);
        twin_check(&p, &dx, "dx", 4e-6);
        twin_check(&p, &dr, "dr", 0);
    }
    pair_close(&p);
}
END_TEST

START_TEST(layer_norm_is_right_to_2e_6)
{
    static const int64_t sizes[][2] = { { 1, 1 }, { 3, 5 }, { 1000, 48 }, { 65, 768 },
                                        { 2, 3072 }, { 5000, 12 } };
    struct pair p;

    open_level(&p, _i, 2);
    for (int s = 0; s < (int)(sizeof sizes / sizeof sizes[0]); s++) {
        const int64_t *dim = sizes[s];
        struct twin x, w, b, y, mean, rstd, dy, dx, dw, db;

        p.what = "layernorm";
        pair_reset(&p);
        x = twin_make(&p, "x", 2, dim);
        y = twin_make(&p, "y", 2, dim);
        dy = twin_make(&p, "dy", 2, dim);
        dx = twin_make(&p, "dx", 2, dim);
        w = twin_make(&p, "w", 1, dim + 1);
        b = twin_make(&p, "b", 1, dim + 1);
        dw = twin_make(&p, "dw", 1, dim + 1);
        db = twin_make(&p, "db", 1, dim + 1);
        mean = twin_make(&p, "mean", 1, dim);
        rstd = twin_make(&p, "rstd", 1, dim);
        voco_cpu.layernorm_forward(&p.cpu, &x.cpu, &w.cpu, &b.cpu, 1e-5, &y.cpu,
                                   &mean.cpu, &rstd.cpu);
        voco_oracle.layernorm_forward(&p.oracle, &x.oracle, &w.oracle, &b.oracle, 1e-5,
                                      &y.oracle, &mean.oracle, &rstd.oracle);
        voco_cpu.layernorm_backward(&p.cpu, &x.cpu, &w.cpu, NULL, &mean.cpu, &rstd.cpu,
                                    &dy.cpu, NULL, &dx.cpu, NULL, &dw.cpu, &db.cpu);
        voco_oracle.layernorm_backward(&p.oracle, &x.oracle, &w.oracle, NULL, &mean.oracle,
                                       &rstd.oracle, &dy.oracle, NULL, &dx.oracle, NULL,
                                       &dw.oracle, &db.oracle);
        twin_check(&p, &y, "y", 2e-6);
        twin_check(&p, &rstd, "rstd", 5e-7);
        if (dim[1] > 1)             /* of one channel dx is 0 times a large number */
            twin_check(&p, &dx, "dx", 4e-6);
        twin_check(&p, &dw, "dw", 4e-6);
        twin_check(&p, &db, "db", 2e-6);
    }
    pair_close(&p);
}
END_TEST

/* What the entries give, one after the other in out; returns the number of floats. */
static int64_t
run_all(struct pair *p, float *out)
{
    static const int64_t dim[] = { 2, 9000, 24 }, few[] = { 2, 24 };
    static const int64_t rows[] = { 18000, 24 };
    const struct twin x = twin_make(p, "x", 3, dim), y = twin_make(p, "y", 3, dim);
    const struct twin dx = twin_make(p, "dx", 3, dim);
    const struct twin rstd = twin_make(p, "rstd", 2, few);
    const struct twin w = twin_make(p, "w", 1, few + 1);
    const struct twin dw = twin_make(p, "dw", 1, few + 1);
    const struct twin db = twin_make(p, "db", 1, few + 1);
    const struct twin mean = twin_make(p, "mean", 1, rows);
    const struct twin s = twin_make(p, "s", 1, rows);
    const struct twin *kept[] = { &y, &rstd, &dx, &dw, &db };
    const struct voco_tensor flat = voco_reshape(&x.cpu, 2, rows[0], rows[1]);
    const struct voco_tensor flat_dx = voco_reshape(&dx.cpu, 2, rows[0], rows[1]);
    const struct voco_tensor sum = voco_view(out, VOCO_F32, 1, (int64_t)1);
    int64_t at = 1;

    voco_cpu.sum_squares(&p->cpu, &x.cpu, &sum);
    voco_cpu.instnorm_forward(&p->cpu, &x.cpu, NULL, NULL, 0.01, 1e-5, &y.cpu, &rstd.cpu);
    voco_cpu.layernorm_forward(&p->cpu, &flat, &w.cpu, &w.cpu, 1e-5, &flat_dx, &mean.cpu,
                               &s.cpu);
    voco_cpu.layernorm_backward(&p->cpu, &flat, &w.cpu, NULL, &mean.cpu, &s.cpu, &flat,
                                NULL, &flat_dx, NULL, &dw.cpu, &db.cpu);
    voco_cpu.instnorm_backward(&p->cpu, &y.cpu, NULL, &rstd.cpu, 0.01, &x.cpu, &dx.cpu,
                               NULL);
    for (int i = 0; i < 5; i++) {
        memcpy(out + at, kept[i]->cpu.data, voco_tensor_bytes(&kept[i]->cpu));
        at += voco_count(&kept[i]->cpu);
    }
    return at;
}

START_TEST(threads_do_not_change_a_bit)
{
    float *out[2] = { malloc(8 << 20), malloc(8 << 20) };
    struct pair p;

    for (int threads = 1; threads <= 5; threads += 2) {
        int64_t n;

        open_level(&p, _i, threads);
        n = run_all(&p, out[threads > 1]);
        ck_assert_int_lt(n * 4, 8 << 20);
        if (threads > 1)
            ck_assert_mem_eq(out[0], out[1], (size_t)n * sizeof(float));
        pair_close(&p);
    }
    free(out[0]);
    free(out[1]);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("cpu_norm");
    TCase *tc = tcase_create("norm");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, instance_norm_is_right_to_2e_6, 0, VOCO_ISA_COUNT);
    tcase_add_loop_test(tc, layer_norm_is_right_to_2e_6, 0, VOCO_ISA_COUNT);
    tcase_add_loop_test(tc, threads_do_not_change_a_bit, 0, VOCO_ISA_COUNT);
    suite_add_tcase(s, tc);
    return s;
}
