/* Retrieval: precision, recall and ranks. */
#include "probe/retrieval.h"

#include <math.h>

static int
count(const bool *relevant, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++)
        sum += relevant[i];
    return sum;
}

/* The sum, over the relevant ones among the first k, of the precision there. */
static double
precisions(const bool *relevant, int k)
{
    double sum = 0;
    int found = 0;

    for (int i = 0; i < k; i++)
        if (relevant[i])
            sum += (double)++found / (i + 1);
    return sum;
}

static int
least(int a, int b)
{
    return a < b ? a : b;
}

double
voco_average_precision(const bool *relevant, int n)
{
    const int all = count(relevant, n);

    return all ? precisions(relevant, n) / all : NAN;
}

double
voco_average_precision_at(const bool *relevant, int n, int k)
{
    const int all = count(relevant, n);

    return all ? precisions(relevant, least(k, n)) / least(k, all) : NAN;
}

double
voco_hit_at(const bool *relevant, int n, int k)
{
    return count(relevant, n) ? count(relevant, least(k, n)) > 0 : NAN;
}

double
voco_recall_at(const bool *relevant, int n, int k)
{
    const int all = count(relevant, n);

    return all ? (double)count(relevant, least(k, n)) / all : NAN;
}

int
voco_pair_rank(const double *sim, int n, int own)
{
    int above = 0;

    for (int i = 0; i < n; i++)
        above += sim[i] > sim[own];
    return above;
}
