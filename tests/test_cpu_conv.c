/* Convolutions of the cpu device, every implementation, against the oracle. */
#include <stdio.h>

#include "dev/cpu/cpu.h"
#include "simd/kernels.h"
#include "tests/test.h"
#include "tests/twin.h"

/* Errors seen are about 5e-7; these are the limits for whole networks. */
static const double forward_limit = 1e-5, gradient_limit = 1e-4;

struct shape {
    int64_t n, size[3];
    struct voco_conv conv;
    bool bias;
};

static const struct shape shapes[] = {
    /* of the network: first layers, then each stage at small n */
    { 1, { 20, 12, 16 }, VOCO_CONV_CUBE(1, 48, 3, 1, 1), false },
    { 2, { 8, 8, 8 }, VOCO_CONV_CUBE(1, 48, 1, 1, 0), false },
    { 2, { 16, 8, 12 }, VOCO_CONV_CUBE(1, 48, 2, 2, 0), true },
    { 2, { 12, 12, 12 }, VOCO_CONV_CUBE(48, 48, 3, 1, 1), false },
    { 1, { 16, 16, 16 }, VOCO_CONV_CUBE(96, 96, 3, 1, 1), false },
    { 1, { 8, 8, 8 }, VOCO_CONV_CUBE(192, 192, 3, 1, 1), false },
    { 1, { 4, 4, 4 }, VOCO_CONV_CUBE(384, 384, 3, 1, 1), false },
    { 3, { 2, 2, 2 }, VOCO_CONV_CUBE(768, 768, 3, 1, 1), false },
    { 1, { 8, 8, 8 }, VOCO_CONV_CUBE(96, 48, 3, 1, 1), false },
    { 1, { 8, 8, 8 }, VOCO_CONV_CUBE(96, 48, 1, 1, 0), false },
    { 1, { 4, 6, 6 }, VOCO_CONV_CUBE(48, 14, 1, 1, 0), true },
    { 1, { 8, 8, 8 }, VOCO_CONV_CUBE(12, 12, 3, 1, 1), false },
    { 1, { 8, 8, 8 }, VOCO_CONV_CUBE(24, 24, 3, 1, 1), false },
    /* odd ones */
    { 1, { 5, 7, 6 }, VOCO_CONV_CUBE(260, 275, 3, 1, 1), true },     /* deep */
    { 1, { 5, 7, 3 }, VOCO_CONV_CUBE(3, 5, 3, 1, 1), true },
    { 2, { 1, 1, 1 }, VOCO_CONV_CUBE(16, 16, 3, 1, 1), false },
    { 1, { 7, 5, 9 }, VOCO_CONV_CUBE(16, 32, 3, 1, 1), true },
    { 1, { 9, 3, 1 }, VOCO_CONV_CUBE(48, 48, 3, 1, 1), false },
    { 3, { 3, 2, 3 }, VOCO_CONV_CUBE(20, 48, 3, 1, 1), true },
    { 2, { 2, 2, 2 }, VOCO_CONV_CUBE(33, 17, 3, 1, 1), true },
    { 1, { 13, 11, 6 }, VOCO_CONV_CUBE(32, 16, 3, 1, 1), false },
    { 1, { 5, 7, 6 }, VOCO_CONV_CUBE(1, 8, 2, 2, 0), true },
    { 1, { 9, 9, 9 }, VOCO_CONV_CUBE(1, 8, 3, 3, 0), false },
    { 1, { 9, 9, 9 }, VOCO_CONV_CUBE(4, 8, 3, 2, 1), false },
    { 2, { 3, 2, 37 }, VOCO_CONV_CUBE(3, 32, 3, 1, 1), false },
    { 1, { 9, 7, 11 }, VOCO_CONV_CUBE(2, 16, 3, 2, 1), true },
    { 1, { 6, 6, 6 }, VOCO_CONV_CUBE(2, 8, 2, 2, 0), false },
    { 2, { 3, 5, 7 }, VOCO_CONV_CUBE(1, 1, 1, 1, 0), true },
    /* of nnU-Net: thick slices have kernels and strides of 1 on their axis */
    { 1, { 6, 10, 12 }, { 1, 32, { 1, 3, 3 }, { 1, 1, 1 }, { 0, 1, 1 } }, true },
    { 2, { 6, 8, 10 }, { 32, 32, { 1, 3, 3 }, { 1, 1, 1 }, { 0, 1, 1 } }, true },
    { 1, { 5, 8, 6 }, { 32, 64, { 1, 3, 3 }, { 1, 2, 2 }, { 0, 1, 1 } }, true },
    { 2, { 8, 7, 9 }, { 16, 32, { 3, 3, 3 }, { 2, 2, 2 }, { 1, 1, 1 } }, true },
    { 1, { 4, 8, 5 }, { 16, 20, { 3, 3, 3 }, { 1, 2, 2 }, { 1, 1, 1 } }, true },
    { 1, { 6, 5, 4 }, { 3, 2, { 1, 3, 5 }, { 3, 2, 1 }, { 0, 1, 2 } }, false },
};
enum { N_SHAPE = sizeof shapes / sizeof shapes[0] };

static const char *const impls[] = { NULL, "winograd", "winograd4", "taps", "stem",
                                    "dnnl", "blocked" };
enum { N_IMPL = sizeof impls / sizeof impls[0] };

static void
workspace_is_what_was_used(struct pair *p, enum voco_workspace what,
                           const struct voco_conv *conv, const struct voco_tensor *x)
{
    ck_assert_uint_eq(p->cpu.temp.peak, voco_cpu.conv_workspace(&p->cpu, what, conv, x));
    p->cpu.temp.peak = 0;
}

static int n_moments;           /* shapes whose moments were made on the way */

static void
check_shape(struct pair *p, const struct shape *s, const char *impl)
{
    const struct voco_conv *c = &s->conv;
    int64_t x_dim[5] = { s->n, s->size[0], s->size[1], s->size[2], c->cin };
    int64_t y_dim[5] = { s->n, 0, 0, 0, c->cout };
    int64_t w_dim[5] = { c->cout, c->cin, c->kernel[0], c->kernel[1], c->kernel[2] };
    const int64_t m_dim[3] = { s->n, 2, c->cout };
    struct twin x, w, b, y, dy, dx, dw, db, m;
    char what[120];
    bool moments;

    for (int i = 0; i < 3; i++)
        y_dim[1 + i] = voco_conv_out(c, i, s->size[i]);
    snprintf(what, sizeof what, "%s conv n%d %dx%dx%d c%d to %d k%dx%dx%d s%dx%dx%d",
             impl ? impl : "best", (int)s->n, (int)s->size[0], (int)s->size[1],
             (int)s->size[2], (int)c->cin, (int)c->cout, c->kernel[0], c->kernel[1],
             c->kernel[2], c->stride[0], c->stride[1], c->stride[2]);
    p->what = what;
    pair_reset(p);
    voco_cpu_force(&p->cpu, impl);
    x = twin_make(p, "x", 5, x_dim);
    w = twin_make(p, "w", 5, w_dim);
    b = twin_make(p, "b", 1, &y_dim[4]);
    y = twin_make(p, "y", 5, y_dim);
    dy = twin_make(p, "dy", 5, y_dim);
    dx = twin_make(p, "dx", 5, x_dim);
    dw = twin_make(p, "dw", 5, w_dim);      /* not zero: gradients are added */
    db = twin_make(p, "db", 1, &y_dim[4]);

    m = twin_make(p, "m", 3, m_dim);
    moments = voco_cpu.conv_moments(&p->cpu, c, &x.cpu);

    p->cpu.temp.peak = 0;
    voco_cpu.conv3d_forward(&p->cpu, c, &x.cpu, &w.cpu, s->bias ? &b.cpu : NULL, &y.cpu,
                            moments ? &m.cpu : NULL);
    workspace_is_what_was_used(p, VOCO_WS_CONV_FORWARD, c, &x.cpu);
    voco_cpu.conv3d_backward_data(&p->cpu, c, &dy.cpu, &w.cpu, &dx.cpu);
    workspace_is_what_was_used(p, VOCO_WS_CONV_BACKWARD_DATA, c, &x.cpu);
    voco_cpu.conv3d_backward_weights(&p->cpu, c, &x.cpu, &dy.cpu, &dw.cpu,
                                     s->bias ? &db.cpu : NULL);
    workspace_is_what_was_used(p, VOCO_WS_CONV_BACKWARD_WEIGHTS, c, &x.cpu);

    voco_oracle.conv3d_forward(&p->oracle, c, &x.oracle, &w.oracle,
                               s->bias ? &b.oracle : NULL, &y.oracle,
                               moments ? &m.oracle : NULL);
    voco_oracle.conv3d_backward_data(&p->oracle, c, &dy.oracle, &w.oracle, &dx.oracle);
    voco_oracle.conv3d_backward_weights(&p->oracle, c, &x.oracle, &dy.oracle, &dw.oracle,
                                        s->bias ? &db.oracle : NULL);
    twin_check(p, &y, "y", forward_limit);
    twin_check(p, &m, "moments", forward_limit);
    n_moments += moments;
    twin_check(p, &dx, "dx", gradient_limit);
    twin_check(p, &dw, "dw", gradient_limit);
    twin_check(p, &db, "db", gradient_limit);
}

START_TEST(conv_agrees_with_the_oracle)
{
    struct pair p;

    pair_open(&p, 2);
    for (int i = 0; i < N_SHAPE; i++)
        if (_i == 0 || shapes[i].conv.cin < 192)    /* the oracle is slow */
            check_shape(&p, &shapes[i], impls[_i]);
    if (impls[_i] && strncmp(impls[_i], "winograd", 8) == 0
        && voco_cpu_state(&p.cpu)->kernels->isa != VOCO_ISA_REF)
        ck_assert_int_ge(n_moments, 3);
    pair_close(&p);
}
END_TEST

START_TEST(conv_with_more_threads_than_work)
{
    struct pair p;

    pair_open(&p, 7);
    for (int i = 13; i < N_SHAPE; i++)
        check_shape(&p, &shapes[i], NULL);
    pair_close(&p);
}
END_TEST

START_TEST(deconv_agrees_with_the_oracle)
{
    static const struct {
        int64_t n, d, h, w, cin, cout, k[3];
        bool bias;
    } s[] = { { 2, 4, 4, 4, 96, 48, { 2, 2, 2 }, false },
              { 1, 3, 5, 2, 7, 3, { 2, 2, 2 }, false },
              { 1, 2, 2, 2, 768, 384, { 2, 2, 2 }, false },
              { 3, 1, 1, 1, 16, 16, { 2, 2, 2 }, true },
              { 2, 5, 3, 4, 64, 32, { 1, 2, 2 }, true },
              { 1, 2, 9, 3, 5, 17, { 3, 1, 2 }, true },
              { 1, 2, 3, 13, 48, 24, { 2, 2, 2 }, true },       /* long rows */
              { 2, 1, 3, 25, 16, 9, { 1, 2, 2 }, true },
              { 2, 12, 15, 24, 16, 16, { 2, 2, 2 }, false },    /* many */
              { 1, 92, 10, 9, 16, 8, { 2, 1, 1 }, false } };
    struct pair p;

    for (size_t i = 0; i < sizeof s / sizeof s[0]; i++) {
        const int64_t x_dim[5] = { s[i].n, s[i].d, s[i].h, s[i].w, s[i].cin };
        const int64_t *k = s[i].k, w_dim[5] = { s[i].cin, s[i].cout, k[0], k[1], k[2] };
        const int64_t y_dim[5] = { s[i].n, k[0] * s[i].d, k[1] * s[i].h, k[2] * s[i].w,
                                   s[i].cout };
        struct twin x, w, b, y, dy, dx, dw, db;

        pair_open(&p, 2 + (int)i);
        p.what = "deconv";
        x = twin_make(&p, "x", 5, x_dim);
        w = twin_make(&p, "w", 5, w_dim);
        b = twin_make(&p, "b", 1, &s[i].cout);
        y = twin_make(&p, "y", 5, y_dim);
        dy = twin_make(&p, "dy", 5, y_dim);
        dx = twin_make(&p, "dx", 5, x_dim);
        dw = twin_make(&p, "dw", 5, w_dim);
        db = twin_make(&p, "db", 1, &s[i].cout);
        voco_cpu.deconv_forward(&p.cpu, &x.cpu, &w.cpu, s[i].bias ? &b.cpu : NULL, &y.cpu);
        voco_cpu.deconv_backward(&p.cpu, &x.cpu, &w.cpu, &dy.cpu, &dx.cpu, &dw.cpu,
                                 s[i].bias ? &db.cpu : NULL);
        voco_oracle.deconv_forward(&p.oracle, &x.oracle, &w.oracle,
                                   s[i].bias ? &b.oracle : NULL, &y.oracle);
        voco_oracle.deconv_backward(&p.oracle, &x.oracle, &w.oracle, &dy.oracle, &dx.oracle,
                                    &dw.oracle, s[i].bias ? &db.oracle : NULL);
        twin_check(&p, &db, "db", gradient_limit);
        twin_check(&p, &y, "y", forward_limit);
        twin_check(&p, &dx, "dx", gradient_limit);
        twin_check(&p, &dw, "dw", gradient_limit);
        pair_close(&p);
    }
}
END_TEST

START_TEST(packed_weights_follow_the_version)
{
    const struct voco_conv c = VOCO_CONV_CUBE(16, 16, 3, 1, 1);
    const int64_t x_dim[5] = { 1, 4, 4, 4, 16 }, w_dim[5] = { 16, 16, 3, 3, 3 };
    struct pair p;
    struct twin x, w, y;

    pair_open(&p, 2);
    x = twin_make(&p, "x", 5, x_dim);
    w = twin_make(&p, "w", 5, w_dim);
    y = twin_make(&p, "y", 5, x_dim);
    for (int i = 0; i < 3; i++) {
        p.what = "conv after a change of weights";
        voco_cpu.conv3d_forward(&p.cpu, &c, &x.cpu, &w.cpu, NULL, &y.cpu, NULL);
        voco_oracle.conv3d_forward(&p.oracle, &c, &x.oracle, &w.oracle, NULL, &y.oracle,
                                   NULL);
        twin_check(&p, &y, "y", forward_limit);
        voco_cpu.add(&p.cpu, &w.cpu, &w.cpu);
        voco_oracle.add(&p.oracle, &w.oracle, &w.oracle);
        p.cpu.weights_version++;
    }
    ck_assert_uint_ge(voco_cpu.conv_packed_bytes(&p.cpu, &c, &x.cpu), 2 * 27 * 16 * 16 * 4);
    pair_close(&p);
}
END_TEST

START_TEST(same_bits_every_time)
{
    const struct voco_conv c = VOCO_CONV_CUBE(48, 48, 3, 1, 1);
    const int64_t x_dim[5] = { 2, 12, 12, 12, 48 }, w_dim[5] = { 48, 48, 3, 3, 3 };
    struct pair p;
    struct twin x, dy, first, again;

    pair_open(&p, 2);
    x = twin_make(&p, "x", 5, x_dim);
    dy = twin_make(&p, "dy", 5, x_dim);
    first = twin_make(&p, "dw", 5, w_dim);
    again = twin_make(&p, "dw", 5, w_dim);
    voco_cpu.conv3d_backward_weights(&p.cpu, &c, &x.cpu, &dy.cpu, &first.cpu, NULL);
    voco_cpu.conv3d_backward_weights(&p.cpu, &c, &x.cpu, &dy.cpu, &again.cpu, NULL);
    ck_assert_mem_eq(first.cpu.data, again.cpu.data, voco_tensor_bytes(&first.cpu));
    pair_close(&p);
}
END_TEST

START_TEST(nothing_happens_after_an_error)
{
    const struct voco_conv c = VOCO_CONV_CUBE(1, 4, 1, 1, 0);
    const int64_t x_dim[5] = { 1, 2, 2, 2, 1 }, w_dim[5] = { 4, 1, 1, 1, 1 };
    const int64_t y_dim[5] = { 1, 2, 2, 2, 4 };
    struct pair p;
    struct twin x, w, y, before;

    pair_open(&p, 2);
    x = twin_make(&p, "x", 5, x_dim);
    w = twin_make(&p, "w", 5, w_dim);
    y = twin_make(&p, "y", 5, y_dim);
    before = twin_make(&p, "y", 5, y_dim);
    voco_ctx_fail(&p.cpu, VOCO_EMEMORY);
    voco_cpu.conv3d_forward(&p.cpu, &c, &x.cpu, &w.cpu, NULL, &y.cpu, NULL);
    ck_assert_mem_eq(y.cpu.data, before.cpu.data, voco_tensor_bytes(&y.cpu));
    pair_close(&p);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("cpu_conv");
    TCase *c = tcase_create("conv");

    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, conv_agrees_with_the_oracle, 0, N_IMPL);
    tcase_add_test(c, conv_with_more_threads_than_work);
    tcase_add_test(c, deconv_agrees_with_the_oracle);
    tcase_add_test(c, packed_weights_follow_the_version);
    tcase_add_test(c, same_bits_every_time);
    tcase_add_test(c, nothing_happens_after_an_error);
    suite_add_tcase(s, c);
    return s;
}
