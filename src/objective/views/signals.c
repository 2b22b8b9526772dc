/* Alignment, uniformity and accuracy of rows of views. */
#include "objective/views/signals.h"

#include <math.h>

static double
dot(const float *x, const float *y, int64_t c)
{
    double sum = 0;

    for (int64_t k = 0; k < c; k++)
        sum += (double)x[k] * y[k];
    return sum;
}

struct voco_agreement
voco_agreement_of(const float *rows, int n, int64_t c)
{
    struct voco_agreement a = { 0, 0, 0 };

    for (int i = 0; i < 2 * n; i++) {
        const int pair = (i + n) % (2 * n);
        const double positive = dot(rows + i * c, rows + pair * c, c);
        int nearer = 0;

        a.alignment += 2.0 - 2.0 * positive;
        for (int j = 0; j < 2 * n; j++) {
            const double s = j == i ? 0 : dot(rows + i * c, rows + j * c, c);

            if (j == i)
                continue;
            /* of unit rows |u - v|^2 = 2 - 2 u.v; not a number is no hit */
            a.uniformity += exp(-2.0 * (2.0 - 2.0 * s));
            nearer += j != pair && !(s < positive);
        }
        a.accuracy += nearer == 0;
    }
    a.alignment /= 2.0 * n;
    a.accuracy /= 2.0 * n;
    a.uniformity = log(a.uniformity / (2.0 * n * (2.0 * n - 1)));
    return a;
}
