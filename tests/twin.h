/*
 * The cpu device (f32) beside the oracle (f64), for the tests test_cpu_*, which are about
 * this one device: the same inputs, the outputs compared relative to the largest magnitude
 * of the oracle's.
 */
#ifndef VOCO_TESTS_TWIN_H
#define VOCO_TESTS_TWIN_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dev/device.h"

/* A tensor on both devices; the host copy holds the uploaded values. */
struct twin {
    struct voco_tensor cpu, oracle;
};

struct pair {
    struct voco_ctx cpu, oracle;
    const char *what;           /* shown on failure */
};

static inline void
pair_open(struct pair *p, int threads)
{
    *p = (struct pair){ .what = "" };
    ck_assert_int_eq(voco_ctx_open(&p->cpu, &voco_cpu,
                                   &(struct voco_ctx_options){ .limit = (size_t)4 << 30,
                                                               .threads = threads }),
                     VOCO_OK);
    ck_assert_int_eq(voco_ctx_open(&p->oracle, &voco_oracle,
                                   &(struct voco_ctx_options){ .limit = (size_t)8 << 30,
                                                               .threads = threads }),
                     VOCO_OK);
}

static inline void
pair_close(struct pair *p)
{
    voco_ctx_close(&p->cpu);
    voco_ctx_close(&p->oracle);
}

/* Forget all tensors; packed weights of them too. */
static inline void
pair_reset(struct pair *p)
{
    voco_arena_release(&p->cpu.keep, 0);
    voco_arena_release(&p->oracle.keep, 0);
    p->cpu.weights_version++;
    p->oracle.weights_version++;
}

/* Uniform in (-1,1) from (seed, name), rounded to f32 so that both devices see the same
 * numbers. */
static inline struct twin
twin_make(struct pair *p, const char *name, int rank, const int64_t *dim)
{
    struct twin t;
    struct voco_tensor host;
    const int64_t d[5] = { dim[0], rank > 1 ? dim[1] : 1, rank > 2 ? dim[2] : 1,
                           rank > 3 ? dim[3] : 1, rank > 4 ? dim[4] : 1 };

    t.cpu = voco_push(&p->cpu, &p->cpu.keep, rank, d[0], d[1], d[2], d[3], d[4]);
    t.oracle = voco_push(&p->oracle, &p->oracle.keep, rank, d[0], d[1], d[2], d[3], d[4]);
    ck_assert_ptr_nonnull(t.cpu.data);
    ck_assert_ptr_nonnull(t.oracle.data);
    host = t.cpu;
    host.data = malloc(voco_tensor_bytes(&t.cpu) + 1);
    voco_hash_uniform(1, name, voco_count(&host), -1.0, 1.0, host.data);
    p->cpu.dev->upload(&p->cpu, &host, &t.cpu);
    p->oracle.dev->upload(&p->oracle, &host, &t.oracle);
    free(host.data);
    return t;
}

/* max |cpu - oracle| / max |oracle| <= tolerance, and no NaN */
static inline void
twin_check(struct pair *p, const struct twin *t, const char *name, double tolerance)
{
    const int64_t n = voco_count(&t->cpu);
    struct voco_tensor got = t->oracle, want = t->oracle;
    double worst = 0, largest = 0;
    int64_t at = 0;

    ck_assert_msg(p->cpu.err == VOCO_OK, "%s: %s", p->what, voco_fail_text());
    got.data = malloc((size_t)n * sizeof(double));
    want.data = malloc((size_t)n * sizeof(double));
    p->cpu.dev->download(&p->cpu, &t->cpu, &got);
    p->oracle.dev->download(&p->oracle, &t->oracle, &want);
    for (int64_t i = 0; i < n; i++) {
        const double g = ((double *)got.data)[i], w = ((double *)want.data)[i];
        const double e = isnan(g) ? INFINITY : fabs(g - w);

        largest = fmax(largest, fabs(w));
        if (e > worst) {
            worst = e;
            at = i;
        }
    }
    if (getenv("VOCO_TEST_VERBOSE"))
        fprintf(stderr, "%-40s %-4s %.1e\n", p->what, name, worst / fmax(largest, 1e-30));
    ck_assert_msg(worst <= tolerance * largest || worst == 0,
                  "%s: %s differs by %.2e of the largest (limit %.0e) at %lld: %g, want %g",
                  p->what, name, worst / largest, tolerance, (long long)at,
                  ((double *)got.data)[at], ((double *)want.data)[at]);
    free(got.data);
    free(want.data);
}

#endif
