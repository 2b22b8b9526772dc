/* Linear layers and the small entries of the cpu device against the oracle. */
#include <stdio.h>

#include "dev/cpu/cpu.h"
#include "tests/test.h"
#include "tests/twin.h"

static const double forward_limit = 1e-5, gradient_limit = 1e-4;

static const struct {
    int64_t m, k, n;
} sizes[] = {
    { 4096, 48, 144 }, { 4097, 96, 48 }, { 1000, 48, 192 }, { 515, 384, 192 },
    { 128, 768, 3072 }, { 44, 1152, 1024 }, { 8, 1024, 1024 }, { 1, 17, 33 },
    { 33, 1, 5 }, { 65, 7, 1 }, { 3, 3072, 768 },
};
enum { N_SIZE = sizeof sizes / sizeof sizes[0] };

static const char *const impls[] = { NULL, "dnnl", "blas", "tiles" };
enum { N_IMPL = sizeof impls / sizeof impls[0] };

START_TEST(linear_agrees_with_the_oracle)
{
    struct pair p;
    char what[80];

    pair_open(&p, _i < N_IMPL ? 2 : 5);
    for (int i = 0; i < N_SIZE; i++)
        for (int bias = 0; bias < 2; bias++) {
            const int64_t m = sizes[i].m, n = sizes[i].n, k = sizes[i].k;
            struct twin x, w, b, y, dy, dx, dw, db;

            snprintf(what, sizeof what, "%s linear m%d k%d n%d",
                     impls[_i % N_IMPL] ? impls[_i % N_IMPL] : "best", (int)m, (int)k, (int)n);
            p.what = what;
            pair_reset(&p);
            voco_cpu_force(&p.cpu, impls[_i % N_IMPL]);
            x = twin_make(&p, "x", 2, (int64_t[]){ m, k });
            w = twin_make(&p, "w", 2, (int64_t[]){ n, k });
            b = twin_make(&p, "b", 1, (int64_t[]){ n });
            y = twin_make(&p, "y", 2, (int64_t[]){ m, n });
            dy = twin_make(&p, "dy", 2, (int64_t[]){ m, n });
            dx = twin_make(&p, "dx", 2, (int64_t[]){ m, k });
            dw = twin_make(&p, "dw", 2, (int64_t[]){ n, k });
            db = twin_make(&p, "db", 1, (int64_t[]){ n });
            voco_cpu.linear_forward(&p.cpu, &x.cpu, &w.cpu, bias ? &b.cpu : NULL, &y.cpu);
            voco_cpu.linear_backward_data(&p.cpu, &dy.cpu, &w.cpu, &dx.cpu);
            voco_cpu.linear_backward_weights(&p.cpu, &x.cpu, &dy.cpu, &dw.cpu,
                                             bias ? &db.cpu : NULL);
            voco_oracle.linear_forward(&p.oracle, &x.oracle, &w.oracle,
                                       bias ? &b.oracle : NULL, &y.oracle);
            voco_oracle.linear_backward_data(&p.oracle, &dy.oracle, &w.oracle, &dx.oracle);
            voco_oracle.linear_backward_weights(&p.oracle, &x.oracle, &dy.oracle,
                                                &dw.oracle, bias ? &db.oracle : NULL);
            twin_check(&p, &y, "y", forward_limit);
            twin_check(&p, &dx, "dx", gradient_limit);
            twin_check(&p, &dw, "dw", gradient_limit);
            twin_check(&p, &db, "db", gradient_limit);
        }
    pair_close(&p);
}
END_TEST

START_TEST(memory_entries_agree)
{
    struct pair p;
    struct twin x, y, f, s;

    pair_open(&p, 3);
    p.what = "memory";
    x = twin_make(&p, "x", 2, (int64_t[]){ 777, 13 });
    y = twin_make(&p, "y", 2, (int64_t[]){ 777, 13 });
    s = twin_make(&p, "s", 2, (int64_t[]){ 777, 13 });
    f = twin_make(&p, "f", 1, (int64_t[]){ 777 });
    voco_cpu.add(&p.cpu, &x.cpu, &y.cpu);
    voco_oracle.add(&p.oracle, &x.oracle, &y.oracle);
    twin_check(&p, &y, "add", 1e-7);
    voco_cpu.scale_rows(&p.cpu, &x.cpu, &f.cpu, &s.cpu);
    voco_oracle.scale_rows(&p.oracle, &x.oracle, &f.oracle, &s.oracle);
    twin_check(&p, &s, "scale_rows", 1e-7);
    voco_cpu.copy(&p.cpu, &x.cpu, &s.cpu);
    voco_oracle.copy(&p.oracle, &x.oracle, &s.oracle);
    twin_check(&p, &s, "copy", 0);
    voco_cpu.fill(&p.cpu, &s.cpu, 0.25);
    voco_oracle.fill(&p.oracle, &s.oracle, 0.25);
    twin_check(&p, &s, "fill", 0);
    pair_close(&p);
}
END_TEST

START_TEST(merge_and_pool_agree)
{
    static const int order[2][8][3] = {
        { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }, { 1, 0, 1 }, { 0, 1, 0 },
          { 0, 0, 1 }, { 1, 1, 1 } },
        { { 0, 0, 0 }, { 0, 0, 1 }, { 0, 1, 0 }, { 0, 1, 1 }, { 1, 0, 0 }, { 1, 0, 1 },
          { 1, 1, 0 }, { 1, 1, 1 } } };
    static const int64_t size[][3] = { { 4, 4, 4 }, { 5, 3, 7 }, { 1, 2, 1 } };
    struct pair p;

    pair_open(&p, 3);
    for (int i = 0; i < 3; i++) {
        const int64_t d = size[i][0], h = size[i][1], w = size[i][2];
        const int64_t small[5] = { 2, (d + 1) / 2, (h + 1) / 2, (w + 1) / 2, 8 * 12 };
        struct twin x, y, dy, dx, e, de, dz;

        pair_reset(&p);
        p.what = "merge, pool";
        x = twin_make(&p, "x", 5, (int64_t[]){ 2, d, h, w, 12 });
        dx = twin_make(&p, "dx", 5, (int64_t[]){ 2, d, h, w, 12 });
        y = twin_make(&p, "y", 5, small);
        dy = twin_make(&p, "dy", 5, small);
        voco_cpu.merge_forward(&p.cpu, &x.cpu, order[_i], &y.cpu);
        voco_cpu.merge_backward(&p.cpu, &dy.cpu, order[_i], &dx.cpu);
        voco_oracle.merge_forward(&p.oracle, &x.oracle, order[_i], &y.oracle);
        voco_oracle.merge_backward(&p.oracle, &dy.oracle, order[_i], &dx.oracle);
        twin_check(&p, &y, "merged", 0);
        twin_check(&p, &dx, "dx", 1e-6);

        e = twin_make(&p, "e", 2, (int64_t[]){ 2, 20 });
        de = twin_make(&p, "de", 2, (int64_t[]){ 2, 20 });
        dz = twin_make(&p, "dz", 5, (int64_t[]){ 2, d, h, w, 12 });
        voco_cpu.pool_forward(&p.cpu, &x.cpu, &e.cpu, 5);
        voco_cpu.pool_backward(&p.cpu, &de.cpu, 5, &dz.cpu);
        voco_oracle.pool_forward(&p.oracle, &x.oracle, &e.oracle, 5);
        voco_oracle.pool_backward(&p.oracle, &de.oracle, 5, &dz.oracle);
        twin_check(&p, &e, "pooled", 1e-6);
        twin_check(&p, &dz, "dx of pool", 1e-6);
    }
    pair_close(&p);
}
END_TEST

START_TEST(contrast_agrees)
{
    static const struct voco_ce ce = { .eps_y = 1e-6, .eps_zero = 1e-6 };
    struct pair p;
    struct twin a, b, s, ds, da, db, y, dp, loss, sq;

    pair_open(&p, 2);
    p.what = "contrast";
    a = twin_make(&p, "a", 2, (int64_t[]){ 3, 100 });
    b = twin_make(&p, "b", 2, (int64_t[]){ 9, 100 });
    s = twin_make(&p, "s", 2, (int64_t[]){ 3, 9 });
    ds = twin_make(&p, "ds", 2, (int64_t[]){ 3, 9 });
    da = twin_make(&p, "da", 2, (int64_t[]){ 3, 100 });
    db = twin_make(&p, "db", 2, (int64_t[]){ 9, 100 });
    y = twin_make(&p, "labels", 2, (int64_t[]){ 3, 9 });
    dp = twin_make(&p, "dp", 2, (int64_t[]){ 3, 9 });
    sq = twin_make(&p, "sq", 2, (int64_t[]){ 9, 9 });
    loss = twin_make(&p, "loss", 1, (int64_t[]){ 1 });
    /* labels: a copy of rectified similarities has zeros and positive values */
    voco_cpu.assign_forward(&p.cpu, &b.cpu, &b.cpu, &sq.cpu);
    voco_oracle.assign_forward(&p.oracle, &b.oracle, &b.oracle, &sq.oracle);
    twin_check(&p, &sq, "assign b b", 1e-6);
    voco_cpu.fill(&p.cpu, &y.cpu, 0.0);
    voco_oracle.fill(&p.oracle, &y.oracle, 0.0);
    ((float *)y.cpu.data)[4] = 0.5f;
    ((double *)y.oracle.data)[4] = 0.5;
    ((float *)y.cpu.data)[17] = 0.25f;
    ((double *)y.oracle.data)[17] = 0.25;
    voco_cpu.assign_forward(&p.cpu, &a.cpu, &b.cpu, &s.cpu);
    voco_cpu.assign_backward(&p.cpu, &a.cpu, &b.cpu, &s.cpu, &ds.cpu, &da.cpu, &db.cpu);
    voco_cpu.ce_forward(&p.cpu, &ce, &y.cpu, &s.cpu, 0.3, &loss.cpu);
    voco_cpu.ce_backward(&p.cpu, &ce, &y.cpu, &s.cpu, 0.3, &dp.cpu);
    voco_oracle.assign_forward(&p.oracle, &a.oracle, &b.oracle, &s.oracle);
    voco_oracle.assign_backward(&p.oracle, &a.oracle, &b.oracle, &s.oracle, &ds.oracle,
                                &da.oracle, &db.oracle);
    voco_oracle.ce_forward(&p.oracle, &ce, &y.oracle, &s.oracle, 0.3, &loss.oracle);
    voco_oracle.ce_backward(&p.oracle, &ce, &y.oracle, &s.oracle, 0.3, &dp.oracle);
    twin_check(&p, &s, "assign", 1e-6);
    twin_check(&p, &da, "da", 1e-6);
    twin_check(&p, &db, "db", 1e-6);
    twin_check(&p, &loss, "ce", 1e-6);
    twin_check(&p, &dp, "dp", 1e-6);
    voco_cpu.decor_forward(&p.cpu, 2, &sq.cpu, 0.7, &loss.cpu);
    voco_oracle.decor_forward(&p.oracle, 2, &sq.oracle, 0.7, &loss.oracle);
    twin_check(&p, &loss, "decor", 1e-6);
    voco_cpu.decor_backward(&p.cpu, 2, &sq.cpu, 0.7, &sq.cpu);
    voco_oracle.decor_backward(&p.oracle, 2, &sq.oracle, 0.7, &sq.oracle);
    twin_check(&p, &sq, "ds", 1e-6);
    pair_close(&p);
}
END_TEST

START_TEST(description_names_the_libraries)
{
    struct voco_fact fact[VOCO_FACTS_MAX];
    const int n = voco_cpu.describe(fact);

    ck_assert_int_ge(n, 3);
    ck_assert_str_eq(fact[0].name, "isa");
    ck_assert_str_ne(fact[0].text, "");
    ck_assert_str_eq(fact[1].name, "onednn");
    ck_assert(fact[1].text[0] == '2' || fact[1].text[0] == '3');
    ck_assert_str_eq(fact[2].name, "blas");
    ck_assert_str_ne(fact[2].text, "");
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(fact[i].decides, i < 3);       /* the keys of config.json */
        fprintf(stderr, "%s: %s\n", fact[i].name, fact[i].text);
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("cpu_gemm");
    TCase *c = tcase_create("gemm");

    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, linear_agrees_with_the_oracle, 0, 2 * N_IMPL);
    tcase_add_test(c, memory_entries_agree);
    tcase_add_loop_test(c, merge_and_pool_agree, 0, 2);
    tcase_add_test(c, contrast_agrees);
    tcase_add_test(c, description_names_the_libraries);
    suite_add_tcase(s, c);
    return s;
}
