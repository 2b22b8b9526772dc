/* Voxel probe: volumes, folds, fits, Dice. */
#include "task/probe/voxels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "probe/folds.h"
#include "probe/matrix.h"
#include "task/probe/interval.h"
#include "task/probe/labels.h"

enum { SHARES = 6, INNER = 4 };

/* Penalties that are tried, as shares of the weight of all voxels. */
static const double penalty[SHARES] = { 1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 };

/* ---- volumes ---- */

void
voco_voxel_cases_free(struct voco_voxel_cases *c)
{
    free(c->volume);
    free(c->fold);
    free(c->group);
    *c = (struct voco_voxel_cases){ .volume = NULL };
}

const char *
voco_voxel_class(const struct voco_voxel_cases *c, int class_id, char buf[24])
{
    if (class_id < c->n_names && *c->class_name[class_id])
        return c->class_name[class_id];
    snprintf(buf, 24, "class %d", class_id);
    return buf;
}

/* The patient of an id by the table; the id itself where the table does not have it. */
static const char *
patient_of(const struct voco_labels *l, int column, const char *id, int *unknown)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->id[i], id) == 0) {
            const char *name = l->cell[i * l->columns + column];

            return *name ? name : id;
        }
    (*unknown)++;
    return id;
}

static enum voco_err
name_patients(struct voco_voxel_cases *c, const char *patients, struct voco_labels *l,
              const char **name)
{
    int column = -1, unknown = 0;
    enum voco_err err = patients ? voco_labels_read(patients, l) : VOCO_OK;

    if (!err && patients && (column = voco_labels_column(l, "patient")) < 0)
        err = voco_fail(VOCO_EFORMAT, "%s:1: no column \"patient\"; expected id,patient",
                        patients);
    for (int i = 0; i < c->n && !err; i++) {
        const char *id = voco_store_entry(c->store, c->volume[i])->id;

        name[i] = patients ? patient_of(l, column, id, &unknown) : id;
    }
    if (!err && unknown)
        voco_warn("%s: has no row for %d of %d volumes; each counts as a patient", patients,
                  unknown, c->n);
    return err;
}

struct ranked {
    double rank;
    int volume;
};

static int
by_rank(const void *a, const void *b)
{
    const struct ranked *p = a, *q = b;

    return p->rank != q->rank ? (p->rank > q->rank) - (p->rank < q->rank)
        : p->volume - q->volume;
}

/* Those that come first by the hashes of their ids. */
static void
keep_some(struct voco_voxel_cases *c, int most, uint64_t seed)
{
    struct ranked *r = calloc((size_t)c->n, sizeof *r);

    VOCO_NEED(r);
    for (int i = 0; i < c->n; i++)
        r[i] = (struct ranked){ voco_hash_unit(voco_hash_base(
                    seed, voco_store_entry(c->store, c->volume[i])->id), 0), c->volume[i] };
    qsort(r, (size_t)c->n, sizeof *r, by_rank);
    c->n = most;
    for (int i = 0; i < most; i++)
        c->volume[i] = r[i].volume;
    free(r);
}

/* The number of the first volume of the same patient, which the bootstrap draws by. */
static void
number_groups(struct voco_voxel_cases *c, const char *const *name)
{
    for (int i = 0; i < c->n; i++) {
        int k = 0;

        while (strcmp(name[k], name[i]) != 0)
            k++;
        c->group[i] = k < i ? c->group[k] : c->groups++;
    }
}

enum voco_err
voco_voxel_cases_open(const struct voco_store *s, const char *patients, int most, int folds,
                      uint64_t seed, struct voco_voxel_cases *ret)
{
    const int n = voco_store_count(s);
    const char **name = calloc((size_t)n + 1, sizeof *name);
    struct voco_labels l = { .id = NULL };
    struct voco_folds_options o = { .group = name, .folds = folds, .seed = seed };
    enum voco_err err;

    *ret = (struct voco_voxel_cases){ .store = s, .folds = folds,
                                      .volume = calloc((size_t)n + 1, sizeof(int)),
                                      .fold = calloc((size_t)n + 1, sizeof(int)),
                                      .group = calloc((size_t)n + 1, sizeof(int)),
                                      .classes = voco_store_n_classes(s) };
    VOCO_NEED(name && ret->volume && ret->fold && ret->group);
    ret->class_name = voco_store_classes(s, &ret->n_names);
    for (int i = 0; i < n; i++)
        if (voco_store_entry(s, i)->label.source)
            ret->volume[ret->n++] = i;
    ret->unlabelled = n - ret->n;
    if (most && ret->n > most)
        keep_some(ret, most, seed);
    o.n = ret->n;
    if (ret->n < 2 || ret->classes < 2)
        err = voco_fail(VOCO_EFORMAT, "%d of %d volumes of the store have a label map, with %d "
                        "class%s; expected two volumes or more, with background and another "
                        "class (voco convert --labels)", ret->n, n, ret->classes,
                        ret->classes == 1 ? "" : "es");
    else
        err = name_patients(ret, patients, &l, name);
    if (!err) {
        number_groups(ret, name);
        err = voco_folds_make(&o, ret->fold);
    }
    voco_labels_free(&l);
    free(name);
    return err;
}

/* ---- fits ---- */

struct work {
    const struct voco_voxel_cases *c;
    const struct voco_maps *maps;
    const struct voco_voxel_options *o;
    double *weight;                     /* [classes] */
    struct voco_voxel_sums *sums;       /* [n] */
    struct voco_voxel_scores *to;
    double *share;                      /* [folds] */
};

/* Classes weigh by how many voxels of them all volumes have: their numbers alone, not the
 * features, of test volumes come in. */
static void
weigh_classes(struct work *w)
{
    int64_t *count = calloc((size_t)w->c->classes, sizeof *count);

    VOCO_NEED(count);
    for (int i = 0; i < w->c->n; i++)
        for (int k = 0; k < w->maps[i].n; k++)
            count[w->maps[i].label[k]]++;
    w->weight = voco_doubles(w->c->classes);
    voco_voxel_class_weights(count, w->c->classes, w->weight);
    free(count);
}

static enum voco_err
take_case(int64_t i, void *user)
{
    struct work *w = user;
    const struct voco_maps *m = &w->maps[i];

    voco_voxel_sums_init(&w->sums[i], m->width, w->c->classes);
    voco_voxel_sums_take(&w->sums[i], m->x, m->label, m->n, w->weight);
    return VOCO_OK;
}

/* The training volumes of a fold: all others, or those that come first in an order of their
 * own for each fold. */
static int
training_cases(const struct work *w, int fold, int *train)
{
    const struct voco_rng_key key = { .seed = w->o->seed, .sample = (uint32_t)fold,
                                      .purpose = VOCO_RNG_PROBE };
    uint32_t *order = calloc((size_t)w->c->n + 1, sizeof *order);
    int n = 0;

    VOCO_NEED(order);
    voco_rng_permute(&key, (uint32_t)w->c->n, order);
    for (int i = 0; i < w->c->n; i++)
        if (w->c->fold[order[i]] != fold && (w->o->labelled == 0 || n < w->o->labelled))
            train[n++] = (int)order[i];
    free(order);
    return n;
}

/* The inner fold of training volume i: patients stay together. */
static int
inner_fold(const struct work *w, const int *train, int i, int inner)
{
    int first = 0;

    while (w->c->group[train[first]] != w->c->group[train[i]])
        first++;
    return first % inner;
}

static void
tally(const struct work *w, const struct voco_linear *m, int i, struct voco_voxel_tally *t)
{
    const struct voco_maps *maps = &w->maps[i];

    voco_voxel_tally_take(t, m, maps->x, maps->label, maps->n);
}

/* The penalty with the best Dice among the training volumes, the stronger one of equals. */
static enum voco_err
choose_penalty(const struct work *w, const int *train, int n, const struct voco_voxel_sums *all,
               double *ret)
{
    const int classes = w->c->classes, inner = n < INNER ? n : INNER;
    struct voco_voxel_tally t[SHARES];
    double *dice = voco_doubles(classes), best = -1;
    enum voco_err err = VOCO_OK;

    *ret = 1e-2;                        /* where one volume leaves no choice */
    for (int s = 0; s < SHARES; s++)
        voco_voxel_tally_init(&t[s], classes);
    for (int f = 0; f < inner && inner > 1 && !err; f++) {
        struct voco_voxel_sums part;
        int left = 0;

        voco_voxel_sums_init(&part, all->width, classes);
        voco_voxel_sums_add(&part, all, 1);
        for (int i = 0; i < n; i++)
            if (inner_fold(w, train, i, inner) == f)
                voco_voxel_sums_add(&part, &w->sums[train[i]], -1);
            else
                left++;
        for (int s = 0; s < SHARES && left > 0 && !err; s++) {
            struct voco_linear m;

            err = voco_voxel_fit(&part, penalty[s], &m);
            for (int i = 0; i < n && !err; i++)
                if (inner_fold(w, train, i, inner) == f)
                    tally(w, &m, train[i], &t[s]);
            voco_linear_free(&m);
        }
        voco_voxel_sums_free(&part);
    }
    for (int s = 0; s < SHARES && inner > 1; s++) {
        const double mean = voco_voxel_dice(&t[s], NULL, 1, classes, dice);

        if (mean > best) {
            best = mean;
            *ret = penalty[s];
        }
    }
    for (int s = 0; s < SHARES; s++)
        voco_voxel_tally_free(&t[s]);
    free(dice);
    return err;
}

static enum voco_err
fit_fold(int64_t fold, void *user)
{
    struct work *w = user;
    int *train = calloc((size_t)w->c->n + 1, sizeof *train);
    const int n = (VOCO_NEED(train), training_cases(w, (int)fold, train));
    struct voco_voxel_sums all;
    struct voco_linear m = { .w = NULL };
    enum voco_err err;

    voco_voxel_sums_init(&all, w->maps[0].width, w->c->classes);
    for (int i = 0; i < n; i++)
        voco_voxel_sums_add(&all, &w->sums[train[i]], 1);
    err = choose_penalty(w, train, n, &all, &w->share[fold]);
    if (!err)
        err = voco_voxel_fit(&all, w->share[fold], &m);
    for (int i = 0; i < w->c->n && !err; i++)
        if (w->c->fold[i] == fold)
            tally(w, &m, i, &w->to->tally[i]);
    voco_linear_free(&m);
    voco_voxel_sums_free(&all);
    free(train);
    return err;
}

/* ---- scores ---- */

/* Dice of replicates, which draw patients; in the order of the replicates. */
static void
resample(const struct work *w, struct voco_voxel_scores *s)
{
    const struct voco_voxel_cases *c = w->c;
    const int replicates = w->o->replicates;
    double *weight = voco_doubles(c->n), *dice = voco_doubles(c->classes);

    s->draw = voco_doubles((int64_t)(1 + c->classes) * replicates);
    for (int r = 0; r < replicates; r++) {
        voco_probe_draw(w->o->seed, r, c->group, c->n, c->groups, weight);
        s->draw[r] = voco_voxel_dice(s->tally, weight, c->n, c->classes, dice);
        for (int k = 0; k < c->classes; k++)
            s->draw[(int64_t)(1 + k) * replicates + r] = dice[k];
    }
    for (int k = 0; k <= c->classes; k++)
        voco_probe_interval(s->draw + (int64_t)k * replicates, NULL, replicates,
                            k ? &s->dice_low[k - 1] : &s->low,
                            k ? &s->dice_high[k - 1] : &s->high);
    free(weight);
    free(dice);
}

void
voco_voxel_scores_free(struct voco_voxel_scores *s)
{
    for (int i = 0; i < s->n; i++)
        voco_voxel_tally_free(&s->tally[i]);
    free(s->tally);
    free(s->dice);
    free(s->dice_low);
    free(s->dice_high);
    free(s->draw);
    *s = (struct voco_voxel_scores){ .tally = NULL };
}

enum voco_err
voco_voxel_score(const struct voco_voxel_cases *c, const struct voco_maps *maps,
                 const struct voco_voxel_options *o, struct voco_voxel_scores *ret)
{
    struct work w = { .c = c, .maps = maps, .o = o, .to = ret,
                      .sums = calloc((size_t)c->n, sizeof *w.sums),
                      .share = voco_doubles(c->folds) };
    enum voco_err err;

    *ret = (struct voco_voxel_scores){ .n = c->n, .dice = voco_doubles(c->classes),
                                       .dice_low = voco_doubles(c->classes),
                                       .dice_high = voco_doubles(c->classes),
                                       .tally = calloc((size_t)c->n, sizeof *ret->tally) };
    VOCO_NEED(w.sums && ret->tally);
    for (int i = 0; i < c->n; i++)
        voco_voxel_tally_init(&ret->tally[i], c->classes);
    weigh_classes(&w);
    if (!(err = voco_parallel_for(o->threads, c->n, take_case, &w)))
        err = voco_parallel_for(o->threads, c->folds, fit_fold, &w);
    if (!err) {
        double sum = 0;

        for (int f = 0; f < c->folds; f++)
            sum += log(w.share[f]);
        ret->share = exp(sum / c->folds);
        ret->mean = voco_voxel_dice(ret->tally, NULL, c->n, c->classes, ret->dice);
        ret->low = ret->high = NAN;
        if (o->replicates)
            resample(&w, ret);
    }
    for (int i = 0; i < c->n; i++)
        voco_voxel_sums_free(&w.sums[i]);
    free(w.sums);
    free(w.share);
    free(w.weight);
    return err;
}
