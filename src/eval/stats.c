/* Bootstrap intervals and sign-flip permutation tests. */
#include "eval/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/rng.h"
#include "eval/score.h"

enum { EXACT_MAX = 16 };

/* The numbers of x[0..n), to out; returns how many. */
static int
numbers(const double *x, int n, double *out)
{
    int m = 0;

    for (int i = 0; i < n; i++)
        if (isfinite(x[i]))
            out[m++] = x[i];
    return m;
}

/* scratch: room for n. */
static struct voco_stats
describe(const double *x, int n, double *scratch)
{
    struct voco_stats s = { .n = numbers(x, n, scratch), .mean = NAN, .sd = NAN,
                            .median = NAN, .least = NAN, .most = NAN, .low = NAN,
                            .high = NAN };
    double sum = 0, square = 0;

    if (s.n == 0)
        return s;
    for (int i = 0; i < s.n; i++)
        sum += scratch[i];
    s.mean = sum / s.n;
    for (int i = 0; i < s.n; i++)
        square += (scratch[i] - s.mean) * (scratch[i] - s.mean);
    if (s.n > 1)
        s.sd = sqrt(square / (s.n - 1));
    s.median = voco_quantile(scratch, s.n, 0.5);
    s.least = scratch[0];
    s.most = scratch[s.n - 1];
    return s;
}

/* mean[column * replicates + r] of replicate r; NaN where it drew no number. */
static void
resample(const double *x, int columns, int n, uint64_t seed, int replicates, int *drawn,
         double *mean)
{
    for (int r = 0; r < replicates; r++) {
        const struct voco_rng_key key = { .seed = seed, .step = (uint64_t)r,
                                          .purpose = VOCO_RNG_BOOTSTRAP };

        for (int i = 0; i < n; i++)
            drawn[i] = (int)voco_rng_below(&key, (uint32_t)i, (uint32_t)n);
        for (int c = 0; c < columns; c++) {
            double sum = 0;
            int m = 0;

            for (int i = 0; i < n; i++) {
                const double v = x[(size_t)c * (size_t)n + (size_t)drawn[i]];

                if (isfinite(v)) {
                    sum += v;
                    m++;
                }
            }
            mean[(size_t)c * (size_t)replicates + (size_t)r] = m ? sum / m : NAN;
        }
    }
}

enum voco_err
voco_bootstrap(const double *x, int columns, int n, uint64_t seed, int replicates,
               struct voco_stats *ret)
{
    const size_t room = (size_t)columns * (size_t)replicates;
    double *mean = malloc((room + 1) * sizeof *mean);
    double *scratch = malloc(((size_t)(n > replicates ? n : replicates) + 1)
                             * sizeof *scratch);
    int *drawn = malloc(((size_t)n + 1) * sizeof *drawn);
    enum voco_err err = VOCO_OK;

    if (!mean || !scratch || !drawn)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d replicates of %d means",
                        replicates, columns);
    if (!err)
        resample(x, columns, n, seed, replicates, drawn, mean);
    for (int c = 0; c < columns && !err; c++) {
        ret[c] = describe(x + (size_t)c * (size_t)n, n, scratch);
        const int m = numbers(mean + (size_t)c * (size_t)replicates, replicates, scratch);

        if (m > 0) {
            ret[c].low = voco_quantile(scratch, m, 0.025);
            ret[c].high = voco_quantile(scratch, m, 0.975);
        }
    }
    free(mean);
    free(scratch);
    free(drawn);
    return err;
}

/* |sum| of d[0..n) with the signs of word, as far as its bits go. */
static double
flipped(const double *d, int n, const struct voco_rng_key *key, uint32_t bits)
{
    uint32_t word[4];
    double sum = 0;

    for (int i = 0; i < n; i++) {
        if (key && i % 128 == 0)
            voco_rng_block(key, (uint32_t)(i / 128), word);
        const uint32_t w = key ? word[i % 128 / 32] : bits;

        sum += w >> (i % 32) & 1 ? -d[i] : d[i];
    }
    return fabs(sum);
}

double
voco_sign_flip(const double *difference, int n, uint64_t seed, int draws)
{
    double *d = malloc(((size_t)n + 1) * sizeof *d), seen, p = 1;
    int64_t all, extreme = 0;

    if (!d)
        return NAN;
    n = numbers(difference, n, d);
    seen = flipped(d, n, NULL, 0) * (1 - 1e-12);        /* sums differ by rounding */
    all = n <= EXACT_MAX ? (int64_t)1 << n : draws;
    for (int64_t k = 0; k < all; k++) {
        const struct voco_rng_key key = { .seed = seed, .step = (uint64_t)k,
                                          .purpose = VOCO_RNG_SIGNS };

        extreme += flipped(d, n, n <= EXACT_MAX ? NULL : &key, (uint32_t)k) >= seen;
    }
    if (n > EXACT_MAX)
        p = (double)(extreme + 1) / (double)(all + 1);
    else if (n > 0)
        p = (double)extreme / (double)all;
    free(d);
    return p;
}
