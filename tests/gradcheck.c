/* Directional finite differences. */
#include "tests/gradcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"

static double *
f64(const struct voco_tensor *x)
{
    VOCO_ASSERT(x->type == VOCO_F64);
    return x->data;
}

double
gradcheck_dot(const struct voco_tensor *x, const struct voco_tensor *y)
{
    double sum = 0;

    VOCO_ASSERT(voco_count(x) == voco_count(y));
    for (int64_t i = 0; i < voco_count(x); i++)
        sum += f64(x)[i] * f64(y)[i];
    return sum;
}

void
gradcheck_fill(const struct voco_tensor *x, uint64_t seed, const char *name,
               double lo, double hi)
{
    const uint64_t base = voco_hash_base(seed, name);

    for (int64_t i = 0; i < voco_count(x); i++)
        f64(x)[i] = lo + (hi - lo) * voco_hash_unit(base, (uint64_t)i);
}

/* Entry i of the direction: +-1. */
static double
sign(uint64_t base, int64_t i)
{
    return voco_hash_unit(base, (uint64_t)i) < 0.5 ? -1 : 1;
}

/* L at x + h v; x is restored from its copy at. */
static double
loss_at(const struct gradcheck *g, const struct voco_tensor *x, const double *at,
        uint64_t direction, double h)
{
    double loss;

    for (int64_t i = 0; i < voco_count(x); i++)
        f64(x)[i] = at[i] + h * sign(direction, i);
    loss = g->loss(g->arg);
    memcpy(x->data, at, voco_tensor_bytes(x));
    return loss;
}

static bool
check_direction(const struct gradcheck *g, const struct gradcheck_input *in,
                const double *at, uint64_t direction)
{
    const double h = g->step > 0 ? g->step : 1e-6;
    const double tolerance = g->tolerance > 0 ? g->tolerance : 1e-7;
    const double up = loss_at(g, &in->x, at, direction, h);
    const double down = loss_at(g, &in->x, at, direction, -h);
    const double want = (up - down) / (2 * h);
    const double norm = sqrt(gradcheck_dot(&in->dx, &in->dx));
    /* L is a sum of many terms: allow its rounding error, some 2^-50 of it, over h */
    const double bound = tolerance * norm + ldexp(1 + fabs(up), -50) / h;
    double got = 0;

    for (int64_t i = 0; i < voco_count(&in->x); i++)
        got += f64(&in->dx)[i] * sign(direction, i);
    if (fabs(want - got) <= bound)
        return true;
    printf("%s: d%s: finite difference %.17g, gradient %.17g, off by %.2g, allowed %.2g "
           "(seed %llu)\n", g->what, in->name, want, got, fabs(want - got), bound,
           (unsigned long long)g->seed);
    return false;
}

bool
gradcheck_run(const struct gradcheck *g, const struct gradcheck_input *in, int n)
{
    const int directions = g->directions > 0 ? g->directions : 3;
    bool ok = true;

    for (int k = 0; k < n; k++) {
        const size_t bytes = voco_tensor_bytes(&in[k].x);
        double *at = malloc(bytes);

        VOCO_ASSERT(at && voco_count(&in[k].x) == voco_count(&in[k].dx));
        memcpy(at, in[k].x.data, bytes);
        for (int d = 0; d < directions; d++) {
            const uint64_t v = voco_hash_base(g->seed + (uint64_t)d, in[k].name);

            ok = check_direction(g, &in[k], at, v) && ok;
        }
        free(at);
    }
    return ok;
}
