/* Scoring all pairs, and the statistics over them. */
#include "eval/evaluate.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "data/volume/affine.h"
#include "data/dataset/case.h"
#include "data/transform/geometry.h"
#include "eval/pairs.h"

enum { SIGN_DRAWS = 20000 };

const struct voco_metric_name voco_metric_name[VOCO_METRICS] = {
    { "dice", "Dice", false },
    { "hd95_mm", "HD95, mm", true },
    { "surface_dice", "surface Dice", false },
    { "volume_error", "volume error", true }
};

void
voco_eval_free(struct voco_eval *e)
{
    for (int i = 0; i < e->n; i++) {
        struct voco_eval_case *c = &e->item[i];

        free(c->id);
        free(c->predicted);
        free(c->truth);
        free(c->problem);
        free(c->score);
    }
    for (int i = 0; i < e->n_missing; i++)
        free(e->missing[i]);
    for (int i = 0; i < e->n_names; i++)
        free(e->class_name[i]);
    free(e->item);
    free(e->missing);
    free(e->class_name);
    free(e->stats);
    *e = (struct voco_eval){ .item = NULL };
}

void
voco_eval_maps_free(struct voco_eval_maps *m)
{
    free(m->predicted);
    free(m->truth);
    *m = (struct voco_eval_maps){ .truth = NULL };
}

/* ---- one case ---- */

/* A label map, turned towards RAS. */
static enum voco_err
read_turned(const char *path, const struct voco_label_map *map, struct voco_volume *ret)
{
    struct voco_orientation o;
    const enum voco_err err = voco_label_read(path, map, ret);

    if (err)
        return err;
    voco_orient_plan((const double (*)[4])ret->affine, &o);
    return voco_orient(ret, &o);
}

/* To the spacing, if one is asked for. */
static enum voco_err
regrid(struct voco_volume *v, const double mm[3])
{
    struct voco_regrid g;
    enum voco_err err;

    if (mm[0] <= 0 && mm[1] <= 0 && mm[2] <= 0)
        return VOCO_OK;
    err = voco_spacing_plan(v->dim, (const double (*)[4])v->affine, mm, &g);
    return err ? err : voco_regrid(v, &g, VOCO_NEAREST);
}

static uint16_t *
classes_of(const struct voco_volume *v)
{
    const size_t n = (size_t)(v->dim[0] * v->dim[1] * v->dim[2]);
    uint16_t *label = malloc(n * sizeof *label);

    for (size_t i = 0; label && i < n; i++)
        label[i] = (uint16_t)v->voxel[i];
    return label;
}

enum voco_err
voco_eval_read(const struct voco_eval_case *c, const struct voco_eval_options *o,
               struct voco_eval_maps *ret)
{
    struct voco_volume predicted = { .voxel = NULL }, truth = { .voxel = NULL };
    enum voco_err err = read_turned(c->predicted, o->labels, &predicted);

    *ret = (struct voco_eval_maps){ .truth = NULL };
    if (!err)
        err = read_turned(c->truth, o->truth_labels, &truth);
    if (!err)
        err = voco_same_grid(c->predicted, &predicted, c->truth, &truth);
    if (!err) {
        memcpy(predicted.affine, truth.affine, sizeof truth.affine);
        err = regrid(&predicted, o->spacing_mm);
    }
    if (!err)
        err = regrid(&truth, o->spacing_mm);
    if (!err) {
        memcpy(ret->dim, truth.dim, sizeof ret->dim);
        memcpy(ret->affine, truth.affine, sizeof ret->affine);
        voco_volume_spacing(&truth, ret->mm);
        ret->predicted = classes_of(&predicted);
        ret->truth = classes_of(&truth);
        if (!ret->predicted || !ret->truth)
            err = voco_fail(VOCO_EMEMORY, "%s: no memory for its classes", c->truth);
    }
    voco_volume_free(&predicted);
    voco_volume_free(&truth);
    return err;
}

static int
largest(const uint16_t *label, int64_t n)
{
    int most = 0;

    for (int64_t i = 0; i < n; i++)
        most = label[i] > most ? label[i] : most;
    return most;
}

double
voco_eval_value(const struct voco_eval_case *c, int class_id, enum voco_metric m)
{
    const struct voco_score *s;

    if (!c->score || (class_id > 0 && class_id >= c->n_classes))
        return NAN;
    if (class_id == 0)
        return c->mean[m];
    s = &c->score[class_id];
    return m == VOCO_METRIC_DICE ? s->dice : m == VOCO_METRIC_HD95 ? s->hd95_mm
        : m == VOCO_METRIC_SURFACE ? s->surface_dice : s->volume_error;
}

static void
average(struct voco_eval_case *c)
{
    for (int m = 0; m < VOCO_METRICS; m++) {
        double sum = 0;
        int n = 0;

        for (int k = 1; k < c->n_classes; k++) {
            const double v = voco_eval_value(c, k, (enum voco_metric)m);

            if (isfinite(v)) {
                sum += v;
                n++;
            }
        }
        c->mean[m] = n ? sum / n : NAN;
    }
}

static enum voco_err
score_maps(struct voco_eval_case *c, const struct voco_eval_maps *maps,
           const struct voco_eval_options *o, int threads)
{
    const struct voco_score_pair pair = {
        .predicted = maps->predicted, .truth = maps->truth,
        .dim = { maps->dim[0], maps->dim[1], maps->dim[2] },
        .mm = { maps->mm[0], maps->mm[1], maps->mm[2] }
    };
    const int64_t n = maps->dim[0] * maps->dim[1] * maps->dim[2];
    const int a = largest(maps->predicted, n), b = largest(maps->truth, n);
    enum voco_err err;

    c->n_classes = (a > b ? a : b) + 1;
    c->score = calloc((size_t)c->n_classes, sizeof *c->score);
    if (!c->score)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d classes", c->truth,
                         c->n_classes);
    err = voco_score(&pair, c->n_classes, o->tolerance_mm, threads, c->score);
    memcpy(c->dim, maps->dim, sizeof c->dim);
    memcpy(c->mm, maps->mm, sizeof c->mm);
    average(c);
    return err;
}

/* ---- all of them ---- */

struct job {
    const struct voco_eval_options *o;
    struct voco_eval *e;
    struct voco_progress progress;
    pthread_mutex_t lock;
    int64_t done;
    int threads;                        /* of one case */
};

static enum voco_err
score_one(int64_t i, void *user)
{
    struct job *job = user;
    struct voco_eval_case *c = &job->e->item[i];
    struct voco_eval_maps maps;
    enum voco_err err = voco_eval_read(c, job->o, &maps);

    if (!err)
        err = score_maps(c, &maps, job->o, job->threads);
    voco_eval_maps_free(&maps);
    if (err) {
        c->problem = voco_format("%s", voco_fail_text());
        free(c->score);
        c->score = NULL;
        voco_note("rejected %s: %s", c->id, c->problem);
    }
    pthread_mutex_lock(&job->lock);
    voco_progress_show(&job->progress, ++job->done, "cases");
    pthread_mutex_unlock(&job->lock);
    return err == VOCO_EMEMORY ? err : VOCO_OK;
}

static enum voco_err
score_all(const struct voco_eval_options *o, struct voco_eval *e)
{
    const int at_once = o->threads < e->n ? o->threads : e->n;
    struct job job = { .o = o, .e = e, .threads = o->threads / at_once };
    enum voco_err err;

    pthread_mutex_init(&job.lock, NULL);
    voco_progress_start(&job.progress, "eval", 0, e->n);
    err = voco_parallel_for(at_once, e->n, score_one, &job);
    voco_progress_end(&job.progress, "cases");
    pthread_mutex_destroy(&job.lock);
    return err;
}

/* x[(class * VOCO_METRICS + metric) * n + case], for the bootstrap. */
static double *
table_of(const struct voco_eval *e, int n_classes)
{
    const size_t columns = (size_t)n_classes * VOCO_METRICS, n = (size_t)e->n;
    double *x = malloc((columns * n + 1) * sizeof *x);

    for (size_t c = 0; x && c < columns; c++)
        for (size_t i = 0; i < n; i++)
            x[c * n + i] = voco_eval_value(&e->item[i], (int)(c / VOCO_METRICS),
                                           (enum voco_metric)(c % VOCO_METRICS));
    return x;
}

static enum voco_err
summarise(const struct voco_eval_options *o, struct voco_eval *e)
{
    const int columns = e->n_classes * VOCO_METRICS;
    double *x = table_of(e, e->n_classes);
    enum voco_err err = VOCO_OK;

    e->stats = calloc((size_t)columns + 1, sizeof *e->stats);
    if (!x || !e->stats)
        err = voco_fail(VOCO_EMEMORY, "no memory for the scores of %d cases", e->n);
    else
        err = voco_bootstrap(x, columns, e->n, o->seed, o->replicates, e->stats);
    free(x);
    return err;
}

enum voco_err
voco_eval_run(const struct voco_eval_options *o, struct voco_eval *ret)
{
    enum voco_err err;

    *ret = (struct voco_eval){ .n_classes = 1 };
    err = voco_eval_pair(o, ret);
    if (!err)
        err = score_all(o, ret);
    for (int i = 0; i < ret->n && !err; i++) {
        const struct voco_eval_case *c = &ret->item[i];

        ret->n_scored += c->score != NULL;
        if (c->score && c->n_classes > ret->n_classes)
            ret->n_classes = c->n_classes;
    }
    if (!err && ret->n_scored == 0)
        err = voco_fail(VOCO_EFORMAT, "none of %d cases could be scored; the first: %s",
                        ret->n, ret->item[0].problem);
    return err ? err : summarise(o, ret);
}

const char *
voco_eval_class(const struct voco_eval *e, int class_id, char buf[24])
{
    if (class_id < e->n_names && *e->class_name[class_id])
        return e->class_name[class_id];
    snprintf(buf, 24, "class %d", class_id);
    return buf;
}

bool
voco_eval_has(const struct voco_eval *e, int class_id)
{
    bool has = false;

    for (int i = 0; i < e->n && !has; i++) {
        const struct voco_eval_case *c = &e->item[i];

        has = c->score && class_id < c->n_classes
            && c->score[class_id].truth + c->score[class_id].predicted > 0;
    }
    return has;
}

/* ---- two predictions ---- */

void
voco_eval_paired_free(struct voco_eval_paired *p)
{
    free(p->stats);
    free(p->p);
    *p = (struct voco_eval_paired){ .n = 0 };
}

/* x[column * n + pair]: first minus second of the cases that both have; the volume error
 * by its size, so that a difference below 0 means that the first is better. */
static void
fill_differences(const struct voco_eval *a, const struct voco_eval *b,
                 const int (*pair)[2], int n, int columns, double *x)
{
    for (int c = 0; c < columns; c++) {
        const enum voco_metric m = (enum voco_metric)(c % VOCO_METRICS);

        for (int i = 0; i < n; i++) {
            double first = voco_eval_value(&a->item[pair[i][0]], c / VOCO_METRICS, m);
            double second = voco_eval_value(&b->item[pair[i][1]], c / VOCO_METRICS, m);

            if (m == VOCO_METRIC_VOLUME) {
                first = fabs(first);
                second = fabs(second);
            }
            x[(size_t)c * (size_t)n + (size_t)i] = first - second;
        }
    }
}

enum voco_err
voco_eval_compare(const struct voco_eval *first, const struct voco_eval *second,
                  const struct voco_eval_options *o, struct voco_eval_paired *ret)
{
    const int classes = first->n_classes > second->n_classes ? first->n_classes
                                                             : second->n_classes;
    const int columns = classes * VOCO_METRICS;
    int (*pair)[2] = calloc((size_t)first->n + 1, sizeof *pair), n = 0;
    double *x = calloc((size_t)columns * (size_t)first->n + 1, sizeof *x);
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_eval_paired){ .n_classes = classes };
    ret->stats = calloc((size_t)columns + 1, sizeof *ret->stats);
    ret->p = calloc((size_t)columns + 1, sizeof *ret->p);
    if (!pair || !x || !ret->stats || !ret->p)
        err = voco_fail(VOCO_EMEMORY, "no memory for differences of %d cases", first->n);
    for (int i = 0, j = 0; !err && i < first->n; i++) {
        while (j < second->n && strcmp(second->item[j].id, first->item[i].id) < 0)
            j++;
        if (j < second->n && strcmp(second->item[j].id, first->item[i].id) == 0
            && first->item[i].score && second->item[j].score) {
            pair[n][0] = i;
            pair[n++][1] = j;
        }
    }
    if (!err && n == 0)
        err = voco_fail(VOCO_EFORMAT, "the two predictions have no case in common");
    if (!err) {
        ret->n = n;
        fill_differences(first, second, (const int (*)[2])pair, n, columns, x);
        err = voco_bootstrap(x, columns, n, o->seed, o->replicates, ret->stats);
    }
    for (int c = 0; c < columns && !err; c++)
        ret->p[c] = voco_sign_flip(x + (size_t)c * (size_t)n, n, o->seed, SIGN_DRAWS);
    free(pair);
    free(x);
    return err;
}
