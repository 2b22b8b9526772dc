/* Folds and fractions of a set of cases, by hashes of their ids. */
#include "data/dataset/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { FOLDS_MAX = 1000 };

struct ranked {
    double rank;            /* uniform in [0,1); ties go by the id */
    const char *id;
    int index;
};

static int
by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank)
                              : strcmp(x->id, y->id);
}

static int
by_value(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static double
rank_of(uint64_t seed, const char *id)
{
    return voco_hash_unit(voco_hash_base(seed, id), 0);
}

static enum voco_err
check_options(const struct voco_split_options *o, int n)
{
    if (o->folds < 1 || o->folds > FOLDS_MAX)
        return voco_fail(VOCO_EUSAGE, "--folds is %d, expected 1 to %d", o->folds,
                         FOLDS_MAX);
    if (o->fold < 0 || o->fold >= o->folds)
        return voco_fail(VOCO_EUSAGE, "--fold is %d, expected 0 to %d with --folds %d",
                         o->fold, o->folds - 1, o->folds);
    if (!(o->fraction > 0 && o->fraction <= 1))
        return voco_fail(VOCO_EUSAGE, "--fraction is %g, expected more than 0 and at most "
                         "1", o->fraction);
    if (n < 1 || n < o->folds)
        return voco_fail(VOCO_EUSAGE, "%d cases cannot be cut into %d folds", n, o->folds);
    return VOCO_OK;
}

enum voco_err
voco_split_make(const char *const *id, int n, const struct voco_split_options *o,
                struct voco_split *ret)
{
    struct ranked *all = calloc((size_t)n + 1, sizeof *all);
    enum voco_err err = check_options(o, n);
    int n_train = 0;

    *ret = (struct voco_split){.train = calloc((size_t)n + 1, sizeof *ret->train),
                               .validate = calloc((size_t)n + 1, sizeof *ret->validate)};
    if (!err && (!all || !ret->train || !ret->validate))
        err = voco_fail(VOCO_EMEMORY, "no memory to split %d cases", n);
    if (err) {
        free(all);
        voco_split_free(ret);
        return err;
    }
    for (int i = 0; i < n; i++)
        all[i] = (struct ranked){rank_of(o->seed, id[i]), id[i], i};
    qsort(all, (size_t)n, sizeof *all, by_rank);
    for (int i = 0; i < n; i++) {
        if (o->folds > 1 && i % o->folds == o->fold)
            ret->validate[ret->n_validate++] = all[i].index;
        else
            all[n_train++] = (struct ranked){rank_of(~o->seed, all[i].id), all[i].id,
                                             all[i].index};
    }
    qsort(all, (size_t)n_train, sizeof *all, by_rank);
    ret->n_train = (int)fmax(1, nearbyint(o->fraction * n_train));
    for (int i = 0; i < ret->n_train; i++)
        ret->train[i] = all[i].index;
    qsort(ret->train, (size_t)ret->n_train, sizeof *ret->train, by_value);
    qsort(ret->validate, (size_t)ret->n_validate, sizeof *ret->validate, by_value);
    free(all);
    return VOCO_OK;
}

void
voco_split_free(struct voco_split *s)
{
    free(s->train);
    free(s->validate);
    *s = (struct voco_split){.train = NULL};
}
