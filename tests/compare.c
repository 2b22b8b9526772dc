/* Comparison relative to the largest magnitude. */
#include "tests/compare.h"

#include <math.h>
#include <stdio.h>

bool
compare(const char *what, const double *want, const double *got, int64_t n,
        double tolerance)
{
    double largest = 0, worst = -1;
    int64_t at = 0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs(want[i] - got[i]);

        if (!(off <= worst)) {          /* also when off is NaN */
            worst = off;
            at = i;
            if (isnan(off))
                break;
        }
    }
    if (n == 0 || worst <= tolerance * largest)
        return true;
    printf("%s: element %lld of %lld: want %.9g, got %.9g, off by %.3g; "
           "allowed %.3g (%.3g of %.3g)\n", what, (long long)at, (long long)n, want[at],
           got[at], worst, tolerance * largest, tolerance, largest);
    return false;
}
