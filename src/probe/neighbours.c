/* k nearest neighbours by cosine. */
#include "probe/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "probe/matrix.h"

static double *
inverse_norms(const double *x, int n, int width)
{
    double *ret = voco_doubles(n);

    for (int i = 0; i < n; i++) {
        const double square = voco_dot(x + (int64_t)i * width, x + (int64_t)i * width, width);

        ret[i] = square > 0 ? 1 / sqrt(square) : 0;
    }
    return ret;
}

void
voco_cosine(const double *a, int n, const double *b, int m, int width, double *sim)
{
    double *p = inverse_norms(a, n, width), *q = inverse_norms(b, m, width);

    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            sim[(int64_t)i * m + j] = p[i] * q[j]
                * voco_dot(a + (int64_t)i * width, b + (int64_t)j * width, width);
    free(p);
    free(q);
}

struct ranked {
    double similarity;
    int index;
};

static int
by_similarity(const void *a, const void *b)
{
    const struct ranked *p = a, *q = b;

    if (p->similarity != q->similarity)
        return p->similarity < q->similarity ? 1 : -1;
    return p->index - q->index;
}

void
voco_order_by_similarity(const double *sim, int n, int *order)
{
    struct ranked *r = calloc((size_t)n + 1, sizeof *r);

    VOCO_NEED(r);
    for (int i = 0; i < n; i++)
        r[i] = (struct ranked){ sim[i], i };
    qsort(r, (size_t)n, sizeof *r, by_similarity);
    for (int i = 0; i < n; i++)
        order[i] = r[i].index;
    free(r);
}

int
voco_neighbours_vote(const double *sim, const int *order, const int *label, int k,
                     int classes, double temperature, double *vote)
{
    double *sum = voco_doubles(classes);
    int best = 0;

    memset(vote, 0, (size_t)classes * sizeof *vote);
    for (int i = 0; i < k; i++) {
        const int class_id = label[order[i]];
        const double s = sim[order[i]];

        vote[class_id] += temperature > 0 ? exp(s / temperature) : 1;
        sum[class_id] += s;
    }
    for (int c = 1; c < classes; c++)
        if (vote[c] > vote[best] || (vote[c] == vote[best] && sum[c] > sum[best]))
            best = c;
    free(sum);
    return best;
}
