/* JSON and CSV of probes of cases. */
#include "task/probe/cases_write.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "task/probe/interval.h"

/* ---- JSON ---- */

static json_t *
metric_json(const struct voco_probe_metric *m, bool difference)
{
    json_t *o = json_pack("{s:o, s:[o,o]}", "value", voco_probe_number(m->value), "interval95",
                          voco_probe_number(m->low), voco_probe_number(m->high));

    if (difference) {
        json_object_set_new(o, "difference", voco_probe_number(m->difference));
        json_object_set_new(o, "difference_interval95",
                            json_pack("[o,o]", voco_probe_number(m->difference_low),
                                      voco_probe_number(m->difference_high)));
    }
    return o;
}

static json_t *
result_json(const struct voco_probe *p, const struct voco_probe_target *t,
            const struct voco_probe_result *r)
{
    const struct voco_probe_kind_name *kind = &voco_probe_kind[t->kind];
    json_t *o = json_pack("{s:s, s:s, s:o}", "features", p->table[r->table].path, "probe",
                          r->probe, "penalty", voco_probe_number(r->lambda));

    for (int k = 0; kind->metric[k].key; k++)
        json_object_set_new(o, kind->metric[k].key, metric_json(&r->metric[k], r->table > 0));
    return o;
}

static json_t *
target_json(const struct voco_probe *p, const struct voco_probe_target *t)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:i}", "column", t->name, "kind",
                          voco_probe_kind[t->kind].key, "cases", t->n, "patients", t->groups,
                          "unlabelled", t->unlabelled);
    json_t *results = json_array(), *classes = json_array();

    for (int i = 0; i < t->classes; i++)
        json_array_append_new(classes, json_string(t->class_name[i]));
    if (t->classes)
        json_object_set(o, "classes", classes);
    json_decref(classes);
    for (int i = 0; i < t->n_results; i++)
        json_array_append_new(results, result_json(p, t, &t->result[i]));
    json_object_set_new(o, "results", results);
    return o;
}

enum voco_err
voco_probe_json(const char *path, const struct voco_probe *p)
{
    const struct voco_probe_config *c = p->config;
    json_t *targets = json_array(), *tables = json_array(), *root;
    enum voco_err err;
    char *text;

    for (int i = 0; i < p->tables; i++)
        json_array_append_new(tables, json_pack(
            "{s:s, s:i, s:i, s:I, s:i}", "features", p->table[i].path, "cases",
            p->table[i].n, "width", p->table[i].width, "rows", (json_int_t)p->table[i].rows,
            "not_finite", p->table[i].n_bad));
    for (int i = 0; i < p->n_targets; i++)
        json_array_append_new(targets, target_json(p, &p->target[i]));
    root = json_pack("{s:{s:s, s:I, s:I, s:I}, s:o, s:{s:i, s:i, s:i}, s:o}", "options",
                     "labels", c->labels, "folds", (json_int_t)c->folds, "replicates",
                     (json_int_t)c->replicates, "seed", (json_int_t)c->seed, "tables", tables,
                     "cases", "used", p->n_cases, "without_features", p->unknown,
                     "without_labels", p->unlabelled, "targets", targets);
    text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (!text)
        return voco_fail(VOCO_EMEMORY, "%s: no memory, or a name that is not UTF-8", path);
    err = voco_file_write_text(path, text);
    free(text);
    return err;
}

/* ---- CSV ---- */

static void
put_head(FILE *out, const struct voco_probe *p, const struct voco_probe_target *t,
         const struct voco_probe_result *r)
{
    voco_csv_put(out, t->name);
    fprintf(out, ",%s,", voco_probe_kind[t->kind].key);
    voco_csv_put(out, p->table[r->table].path);
    fprintf(out, ",%s,", r->probe);
}

enum voco_err
voco_probe_scores_csv(const char *path, const struct voco_probe *p)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    fputs("column,kind,features,probe,metric,value,low,high,difference,difference_low,"
          "difference_high,cases\n", f.out);
    for (int i = 0; i < p->n_targets; i++) {
        const struct voco_probe_target *t = &p->target[i];

        for (int k = 0; k < t->n_results; k++)
            for (int m = 0; voco_probe_kind[t->kind].metric[m].key; m++) {
                const struct voco_probe_metric *v = &t->result[k].metric[m];
                const bool second = t->result[k].table > 0;

                put_head(f.out, p, t, &t->result[k]);
                fputs(voco_probe_kind[t->kind].metric[m].key, f.out);
                voco_csv_put_number(f.out, v->value);
                voco_csv_put_number(f.out, v->low);
                voco_csv_put_number(f.out, v->high);
                voco_csv_put_number(f.out, second ? v->difference : NAN);
                voco_csv_put_number(f.out, second ? v->difference_low : NAN);
                voco_csv_put_number(f.out, second ? v->difference_high : NAN);
                fprintf(f.out, ",%d\n", t->n);
            }
    }
    return voco_newfile_commit(&f);
}

static void
put_prediction(FILE *out, const struct voco_probe_target *t,
               const struct voco_probe_result *r, int i)
{
    voco_csv_put(out, t->id[i]);
    putc(',', out);
    voco_csv_put(out, t->patient[i]);
    fprintf(out, ",%d,", t->fold[i]);
    if (t->kind == VOCO_PROBE_CLASS) {
        voco_csv_put(out, t->class_name[t->label[i]]);
        putc(',', out);
        voco_csv_put(out, t->class_name[r->guess[i]]);
        voco_csv_put_number(out, r->score[(int64_t)i * t->classes + r->guess[i]]);
    } else {
        fprintf(out, "%.9g,%.9g,", t->value[i], r->score[i]);
        if (t->kind == VOCO_PROBE_SURVIVAL)
            fputs(t->event[i] ? "event" : "censored", out);
    }
    putc('\n', out);
}

enum voco_err
voco_probe_predictions_csv(const char *path, const struct voco_probe *p)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    fputs("column,kind,features,probe,id,patient,fold,truth,predicted,more\n", f.out);
    for (int i = 0; i < p->n_targets; i++) {
        const struct voco_probe_target *t = &p->target[i];

        if (t->kind == VOCO_PROBE_RETRIEVAL || t->kind == VOCO_PROBE_PATIENTS)
            continue;
        for (int k = 0; k < t->n_results; k++)
            for (int c = 0; c < t->n; c++) {
                put_head(f.out, p, t, &t->result[k]);
                put_prediction(f.out, t, &t->result[k], c);
            }
    }
    return voco_newfile_commit(&f);
}
