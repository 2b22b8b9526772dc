/* JSON and CSV of an evaluation. */
#include "eval/write.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/csv.h"

/* ---- JSON ---- */

static json_t *
number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
stats_json(const struct voco_stats *s)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:[o,o], s:o, s:o}", "n", s->n, "mean",
                     number(s->mean), "sd", number(s->sd), "median", number(s->median),
                     "interval95", number(s->low), number(s->high), "least",
                     number(s->least), "most", number(s->most));
}

static json_t *
values_json(const struct voco_eval_case *c, int class_id)
{
    json_t *o = json_object();

    for (int m = 0; m < VOCO_METRICS; m++)
        json_object_set_new(o, voco_metric_name[m].key,
                            number(voco_eval_value(c, class_id, (enum voco_metric)m)));
    return o;
}

static json_t *
class_json(const struct voco_eval *e, const struct voco_eval_case *c, int class_id)
{
    const struct voco_score *s = &c->score[class_id];
    json_t *o = values_json(c, class_id);
    char buf[24];

    json_object_set_new(o, "class", json_integer(class_id));
    json_object_set_new(o, "name", json_string(voco_eval_class(e, class_id, buf)));
    json_object_set_new(o, "truth_ml", number(s->truth_ml));
    json_object_set_new(o, "predicted_ml", number(s->predicted_ml));
    return o;
}

static json_t *
case_json(const struct voco_eval *e, const struct voco_eval_case *c)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "id", c->id, "predicted", c->predicted,
                          "truth", c->truth);
    json_t *classes = json_array();

    if (c->problem)
        json_object_set_new(o, "problem", json_string(c->problem));
    else {
        json_object_set_new(o, "size", json_pack("[I,I,I]", (json_int_t)c->dim[0],
                                                 (json_int_t)c->dim[1],
                                                 (json_int_t)c->dim[2]));
        json_object_set_new(o, "spacing_mm", json_pack("[f,f,f]", c->mm[0], c->mm[1],
                                                       c->mm[2]));
        json_object_set_new(o, "mean", values_json(c, 0));
        for (int k = 1; k < c->n_classes; k++)
            if (c->score[k].truth + c->score[k].predicted > 0)
                json_array_append_new(classes, class_json(e, c, k));
        json_object_set_new(o, "classes", json_incref(classes));
    }
    json_decref(classes);
    return o;
}

/* Statistics of all metrics of a class; with p those of a comparison. */
static json_t *
summary_json(const struct voco_stats *stats, const double *p, int class_id)
{
    json_t *o = json_object();

    for (int m = 0; m < VOCO_METRICS; m++) {
        json_t *one = stats_json(&stats[class_id * VOCO_METRICS + m]);

        if (p)
            json_object_set_new(one, "p", number(p[class_id * VOCO_METRICS + m]));
        json_object_set_new(o, voco_metric_name[m].key, one);
    }
    return o;
}

static json_t *
classes_json(const struct voco_eval *e, const struct voco_stats *stats, const double *p,
             int n_classes)
{
    json_t *all = json_array();
    char buf[24];

    for (int k = 1; k < n_classes; k++) {
        json_t *o;

        if (stats[k * VOCO_METRICS + VOCO_METRIC_SURFACE].n == 0)
            continue;           /* in no case */
        o = summary_json(stats, p, k);
        json_object_set_new(o, "class", json_integer(k));
        json_object_set_new(o, "name", json_string(voco_eval_class(e, k, buf)));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *
page_json(const struct voco_eval_page *page)
{
    const struct voco_eval_options *o = page->o;
    const struct voco_eval *e = page->e;
    json_t *cases = json_array(), *missing = json_array(), *root;

    for (int i = 0; i < e->n; i++)
        json_array_append_new(cases, case_json(e, &e->item[i]));
    for (int i = 0; i < e->n_missing; i++)
        json_array_append_new(missing, json_string(e->missing[i]));
    root = json_pack("{s:{s:s, s:s, s:[f,f,f], s:f, s:I, s:i}}", "options",
                     "predicted", o->predicted, "truth", o->truth ? o->truth : "",
                     "spacing_mm", o->spacing_mm[0], o->spacing_mm[1], o->spacing_mm[2],
                     "tolerance_mm", o->tolerance_mm, "seed", (json_int_t)o->seed,
                     "replicates", o->replicates);
    json_object_set_new(root, "mean", summary_json(e->stats, NULL, 0));
    json_object_set_new(root, "classes", classes_json(e, e->stats, NULL, e->n_classes));
    if (page->paired) {
        const struct voco_eval_paired *p = page->paired;

        json_object_set_new(root, "comparison",
                            json_pack("{s:s, s:i, s:o, s:o}", "against", page->against,
                                      "cases", p->n, "mean",
                                      summary_json(p->stats, p->p, 0), "classes",
                                      classes_json(e, p->stats, p->p, p->n_classes)));
    }
    json_object_set_new(root, "cases", cases);
    json_object_set_new(root, "missing", missing);
    return root;
}

enum voco_err
voco_eval_json(const char *path, const struct voco_eval_page *page)
{
    json_t *root = page_json(page);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    struct voco_newfile f;
    enum voco_err err;

    json_decref(root);
    if (!text)
        return voco_fail(VOCO_EMEMORY, "%s: no memory, or a name that is not UTF-8", path);
    err = voco_newfile_open(&f, path);
    if (!err) {
        fprintf(f.out, "%s\n", text);
        err = voco_newfile_commit(&f);
    }
    free(text);
    return err;
}

/* ---- CSV ---- */

static void
put_number(FILE *out, double x)
{
    putc(',', out);
    if (isfinite(x))
        fprintf(out, "%.6g", x);
}

enum voco_err
voco_eval_csv(const char *path, const struct voco_eval_page *page)
{
    const struct voco_eval *e = page->e;
    struct voco_newfile f;
    enum voco_err err = voco_newfile_open(&f, path);
    char buf[24];

    if (err)
        return err;
    fputs("id,class,name", f.out);
    for (int m = 0; m < VOCO_METRICS; m++)
        fprintf(f.out, ",%s", voco_metric_name[m].key);
    fputs(",truth_ml,predicted_ml\n", f.out);
    for (int i = 0; i < e->n; i++) {
        const struct voco_eval_case *c = &e->item[i];

        for (int k = 1; c->score && k < c->n_classes; k++) {
            if (c->score[k].truth + c->score[k].predicted == 0)
                continue;
            voco_csv_put(f.out, c->id);
            fprintf(f.out, ",%d,", k);
            voco_csv_put(f.out, voco_eval_class(e, k, buf));
            for (int m = 0; m < VOCO_METRICS; m++)
                put_number(f.out, voco_eval_value(c, k, (enum voco_metric)m));
            put_number(f.out, c->score[k].truth_ml);
            put_number(f.out, c->score[k].predicted_ml);
            putc('\n', f.out);
        }
    }
    return voco_newfile_commit(&f);
}
