/* Folds by group, stratified. */
#include "probe/folds.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

struct member {
    const char *group;
    int index, stratum;         /* stratum: after the first pass that of the group */
    double rank;                /* of the group, in [0,1) */
};

static int
by_group(const void *a, const void *b)
{
    const struct member *p = a, *q = b;
    const int order = strcmp(p->group, q->group);

    return order ? order : p->index - q->index;
}

static int
by_stratum(const void *a, const void *b)
{
    const struct member *p = a, *q = b;

    if (p->stratum != q->stratum)
        return p->stratum - q->stratum;
    if (p->rank != q->rank)
        return p->rank < q->rank ? -1 : 1;
    return by_group(a, b);
}

/* Gives members of a group its stratum and rank; the result is the number of groups. */
static int
settle_groups(struct member *m, int n, uint64_t seed)
{
    int groups = 0;

    qsort(m, (size_t)n, sizeof *m, by_group);
    for (int i = 0; i < n; i++) {
        const bool first = i == 0 || strcmp(m[i].group, m[i - 1].group) != 0;

        groups += first;
        m[i].stratum = first ? m[i].stratum : m[i - 1].stratum;
        m[i].rank = voco_hash_unit(voco_hash_base(seed, m[i].group), 0);
    }
    return groups;
}

enum voco_err
voco_folds_make(const struct voco_folds_options *o, int *fold)
{
    struct member *m = calloc((size_t)o->n + 1, sizeof *m);
    int groups, dealt = -1;

    VOCO_NEED(m);
    for (int i = 0; i < o->n; i++)
        m[i] = (struct member){ .group = o->group[i], .index = i,
                                .stratum = o->stratum ? o->stratum[i] : 0 };
    groups = settle_groups(m, o->n, o->seed);
    if (groups < o->folds) {
        free(m);
        return voco_fail(VOCO_EUSAGE, "%d folds need as many cases or patients, and there are "
                         "%d; use fewer folds", o->folds, groups);
    }
    qsort(m, (size_t)o->n, sizeof *m, by_stratum);
    for (int i = 0; i < o->n; i++) {
        dealt += i == 0 || strcmp(m[i].group, m[i - 1].group) != 0;
        fold[m[i].index] = dealt % o->folds;
    }
    free(m);
    return VOCO_OK;
}
