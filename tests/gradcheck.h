/*
 * Gradients against finite differences, in double, in random directions.
 *
 *   L(x) = sum y(x) dy      dy fixed, random
 *   (L(x + h v) - L(x - h v)) / 2h  =  sum dx v      up to h^2 and rounding
 *
 * v has entries +-1, so the right side is of the size of the gradient's norm, against
 * which the difference is judged.  Functions with kinks (ReLU) pass as long as no value
 * comes within h of one, hence the small default step.
 */
#ifndef VOCO_TESTS_GRADCHECK_H
#define VOCO_TESTS_GRADCHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

struct gradcheck {
    const char *what;           /* for the report */
    double (*loss)(void *arg);  /* forward from the current inputs; sum of y dy */
    void *arg;
    double step;                /* h; 0: 1e-6 */
    double tolerance;           /* of the gradient's norm; 0: 1e-7 */
    int directions;             /* per input; 0: 3 */
    uint64_t seed;
};

/* One input or parameter, f64 on the host: x is moved and restored, dx is the gradient
 * under test. */
struct gradcheck_input {
    const char *name;
    struct voco_tensor x, dx;
};

/* Every input by itself.  Prints those that disagree; true when none does. */
bool gradcheck_run(const struct gradcheck *g, const struct gradcheck_input *in, int n);

/* sum x y */
double gradcheck_dot(const struct voco_tensor *x, const struct voco_tensor *y);

/* Uniform in [lo,hi), from the hash of (seed, name). */
void gradcheck_fill(const struct voco_tensor *x, uint64_t seed, const char *name,
                    double lo, double hi);

#endif
