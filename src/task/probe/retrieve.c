/* Retrieval of cases of the same class, and of scans of the same patient, by cosine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/linear.h"
#include "probe/matrix.h"
#include "probe/neighbours.h"
#include "probe/retrieval.h"
#include "task/probe/cases.h"

/* Of a query: those of its class among the cases of other patients, by similarity. */
static void
retrieve_class(const struct voco_probe_target *t, int query, const double *sim, double *to)
{
    int *order = calloc((size_t)t->n + 1, sizeof *order), m = 0;
    bool *relevant = calloc((size_t)t->n + 1, sizeof *relevant);

    VOCO_NEED(order && relevant);
    voco_order_by_similarity(sim, t->n, order);
    for (int i = 0; i < t->n; i++)
        if (t->group[order[i]] != t->group[query])
            relevant[m++] = t->label[order[i]] == t->label[query];
    to[0] = voco_average_precision(relevant, m);
    to[1] = voco_average_precision_at(relevant, m, 10);
    to[2] = voco_hit_at(relevant, m, 1);
    to[3] = voco_hit_at(relevant, m, 5);
    to[4] = voco_hit_at(relevant, m, 10);
    to[5] = voco_recall_at(relevant, m, 10);
    free(order);
    free(relevant);
}

/* Of a query: the best rank of another scan of its patient. */
static void
retrieve_patient(const struct voco_probe_target *t, int query, const double *sim, double *to)
{
    double *others = voco_doubles(t->n);
    int m = 0, best = -1, rank;

    for (int i = 0; i < t->n; i++) {
        if (i == query)
            continue;
        if (t->group[i] == t->group[query] && (best < 0 || sim[i] > others[best]))
            best = m;
        others[m++] = sim[i];
    }
    rank = best < 0 ? 0 : voco_pair_rank(others, m, best);
    to[0] = best < 0 ? NAN : rank < 1;
    to[1] = best < 0 ? NAN : rank < 5;
    to[2] = best < 0 ? NAN : rank < 10;
    to[3] = best < 0 ? NAN : 1.0 / (rank + 1);
    free(others);
}

void
voco_probe_retrieve(const struct voco_probe_target *t, int width, int table,
                    struct voco_probe_result *r)
{
    double *x = voco_doubles((int64_t)t->n * width), *sim = voco_doubles((int64_t)t->n * t->n);
    struct voco_scaler scaler;

    memcpy(x, t->x[table], (size_t)t->n * (size_t)width * sizeof *x);
    voco_scaler_make(x, t->n, width, &scaler);
    voco_scaler_apply(&scaler, x, t->n);
    voco_cosine(x, t->n, x, t->n, width, sim);
    for (int i = 0; i < t->n; i++)
        (t->kind == VOCO_PROBE_RETRIEVAL ? retrieve_class : retrieve_patient)
            (t, i, sim + (int64_t)i * t->n, r->score + (int64_t)i * VOCO_PROBE_METRICS);
    voco_scaler_free(&scaler);
    free(sim);
    free(x);
}
