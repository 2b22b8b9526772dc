/* Scores of classification, regression and survival. */
#include "probe/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static double
times(const double *weight, int i)
{
    return weight ? weight[i] : 1;
}

/* ---- classes ---- */

void
voco_confusion(const int *truth, const int *predicted, const double *weight, int n,
               int classes, double *count)
{
    memset(count, 0, (size_t)classes * (size_t)classes * sizeof *count);
    for (int i = 0; i < n; i++)
        count[truth[i] * classes + predicted[i]] += times(weight, i);
}

static double
of_truth(const double *c, int classes, int k)
{
    double sum = 0;

    for (int j = 0; j < classes; j++)
        sum += c[k * classes + j];
    return sum;
}

static double
of_prediction(const double *c, int classes, int k)
{
    double sum = 0;

    for (int i = 0; i < classes; i++)
        sum += c[i * classes + k];
    return sum;
}

double
voco_accuracy(const double *confusion, int classes)
{
    double right = 0, all = 0;

    for (int k = 0; k < classes; k++) {
        right += confusion[k * classes + k];
        all += of_truth(confusion, classes, k);
    }
    return right / all;
}

double
voco_balanced_accuracy(const double *confusion, int classes)
{
    double sum = 0;
    int present = 0;

    for (int k = 0; k < classes; k++) {
        const double all = of_truth(confusion, classes, k);

        if (all > 0) {
            sum += confusion[k * classes + k] / all;
            present++;
        }
    }
    return sum / present;
}

double
voco_macro_f1(const double *confusion, int classes)
{
    double sum = 0;
    int present = 0;

    for (int k = 0; k < classes; k++) {
        const double truth = of_truth(confusion, classes, k);

        if (truth > 0) {
            sum += 2 * confusion[k * classes + k]
                / (truth + of_prediction(confusion, classes, k));
            present++;
        }
    }
    return sum / present;
}

/* ---- ranks ---- */

struct scored {
    double score, weight;
    bool positive;
};

static int
by_score(const void *a, const void *b)
{
    const struct scored *p = a, *q = b;

    return (p->score > q->score) - (p->score < q->score);
}

/* Pairs of a positive and a negative case, counted from the lowest score up. */
static double
area(struct scored *s, int n)
{
    double negatives = 0, positives = 0, good = 0;

    qsort(s, (size_t)n, sizeof *s, by_score);
    for (int i = 0; i < n; ) {
        double here[2] = { 0 };
        const double score = s[i].score;

        for (; i < n && s[i].score == score; i++)
            here[s[i].positive] += s[i].weight;
        good += here[1] * (negatives + 0.5 * here[0]);
        negatives += here[0];
        positives += here[1];
    }
    return negatives > 0 && positives > 0 ? good / (negatives * positives) : NAN;
}

double
voco_auroc(const bool *positive, const double *score, const double *weight, int n)
{
    struct scored *s = calloc((size_t)n + 1, sizeof *s);
    double ret;

    VOCO_NEED(s);
    for (int i = 0; i < n; i++)
        s[i] = (struct scored){ score[i], times(weight, i), positive[i] };
    ret = area(s, n);
    free(s);
    return ret;
}

double
voco_macro_auroc(const int *truth, const double *score, const double *weight, int n,
                 int classes)
{
    struct scored *s = calloc((size_t)n + 1, sizeof *s);
    double sum = 0;
    int defined = 0;

    VOCO_NEED(s);
    for (int k = classes > 2 ? 0 : 1; k < classes; k++) {
        double one;

        for (int i = 0; i < n; i++)
            s[i] = (struct scored){ score[(size_t)i * (size_t)classes + (size_t)k],
                                    times(weight, i), truth[i] == k };
        one = area(s, n);
        if (!isnan(one)) {
            sum += one;
            defined++;
        }
    }
    free(s);
    return defined ? sum / defined : NAN;
}

double
voco_log_loss(const int *truth, const double *p, const double *weight, int n, int classes)
{
    double sum = 0, all = 0;

    for (int i = 0; i < n; i++) {
        sum -= times(weight, i) > 0
            ? times(weight, i) * log(p[(size_t)i * (size_t)classes + (size_t)truth[i]]) : 0;
        all += times(weight, i);
    }
    return sum / all;
}

/* ---- numbers ---- */

double
voco_weighted_mean(const double *value, const double *weight, int n)
{
    double sum = 0, all = 0;

    for (int i = 0; i < n; i++)
        if (!isnan(value[i])) {
            sum += times(weight, i) * value[i];
            all += times(weight, i);
        }
    return all > 0 ? sum / all : NAN;
}

double
voco_r2(const double *truth, const double *predicted, const double *weight, int n)
{
    const double mean = voco_weighted_mean(truth, weight, n);
    double error = 0, square = 0;

    for (int i = 0; i < n; i++) {
        const double e = predicted[i] - truth[i], d = truth[i] - mean;

        error += times(weight, i) * e * e;
        square += times(weight, i) * d * d;
    }
    return square > 0 ? 1 - error / square : NAN;
}

double
voco_mae(const double *truth, const double *predicted, const double *weight, int n)
{
    double sum = 0, all = 0;

    for (int i = 0; i < n; i++) {
        sum += times(weight, i) * fabs(predicted[i] - truth[i]);
        all += times(weight, i);
    }
    return sum / all;
}

double
voco_c_index(const double *time, const bool *event, const double *risk, const int *fold,
             const double *weight, int n)
{
    double good = 0, all = 0;

    for (int i = 0; i < n; i++) {
        if (!event[i] || times(weight, i) == 0)
            continue;
        for (int j = 0; j < n; j++)
            if ((!fold || fold[i] == fold[j])
                && (time[i] < time[j] || (time[i] == time[j] && !event[j]))) {
                const double pairs = times(weight, i) * times(weight, j);

                all += pairs;
                good += risk[i] > risk[j] ? pairs : risk[i] == risk[j] ? 0.5 * pairs : 0;
            }
    }
    return all > 0 ? good / all : NAN;
}
