/*
 * One primitive, one shape, several devices.
 *
 * A case makes its operands, calls entries of h->ctx->dev and names its results; it is
 * run on the oracle, on the device under test, and dry.  Operands depend on the case's
 * seed and their number only, so every run sees the same values.  Tensors stand between
 * guards that nobody may write, start at element offset h->offset from an aligned address,
 * and hold NaN where a result must be overwritten.  REAL shapes make reals, others
 * activations.
 */
#ifndef VOCO_TESTS_HARNESS_H
#define VOCO_TESTS_HARNESS_H

#include <stdbool.h>

#include "dev/device.h"

enum { HARNESS_TENSORS = 24, HARNESS_RESULTS = 9, CASE_NUMBERS = 15 };

struct harness_result {
    const char *name;
    double *x;                  /* host copy */
    int64_t n;
    double tolerance;           /* of the largest magnitude; 0: equal */
};

struct harness {
    struct voco_ctx *ctx;
    uint64_t seed;
    bool integers;              /* operands are whole numbers in [-2,2]: sums are exact */
    bool bf16;                  /* operands are rounded to bfloat16 on every device */
    int offset;                 /* in elements */
    struct voco_tensor whole[HARNESS_TENSORS];  /* with guards */
    int tensors;
    struct harness_result result[HARNESS_RESULTS];
    int results;
};

struct harness_case {
    const char *name;
    void (*run)(struct harness *h, const int64_t *p);
    int64_t p[CASE_NUMBERS];    /* sizes, as the run function reads them */
    bool integers;
};

/* The error of storing in bfloat16: half of the last of eight bits, in the worst case. */
#define STORED_BF16 0x1p-8

/* ---- for run functions ---- */

/* Uniform in [lo,hi), or whole numbers. */
struct voco_tensor operand(struct harness *h, double lo, double hi,
                           struct voco_tensor shape);

/* A result that must be overwritten / that starts as numbers which are added to. */
struct voco_tensor overwritten(struct harness *h, struct voco_tensor shape);
struct voco_tensor added_to(struct harness *h, struct voco_tensor shape);

void result(struct harness *h, const char *name, const struct voco_tensor *x,
            double tolerance);

/* For a sum of k terms, relative to the largest of many such sums. */
double sum_tolerance(const struct harness *h, int64_t k);

/* ---- for tests ---- */

/* True if the device agrees with the oracle on all results, guards are whole, scratch is
 * back, and the dry run predicted the sizes of the arenas.  Prints the differences. */
bool harness_run(const struct voco_device *dev, const struct harness_case *c);

/* True if results have the same bits with 1, 2, 3 and 5 threads.  Prints the differences. */
bool harness_threads(const struct voco_device *dev, const struct harness_case *c);

#endif
