/* Probes of cases as one HTML page: tables, intervals, confusions, scatter plots; all inline. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "probe/matrix.h"
#include "probe/score.h"
#include "report/html.h"
#include "task/probe/cases_write.h"

enum { SIDE = 220 };            /* pixels of a scatter plot */

static void
put_value(FILE *out, double x)
{
    if (isfinite(x))
        fprintf(out, fabs(x) < 1000 ? "%.3f" : "%.4g", x);
    else
        fputs("&ndash;", out);
}

static void
put_metric(FILE *out, const struct voco_probe_metric *m, bool less_is_better, bool second)
{
    const bool sure = second && (m->difference_low > 0 || m->difference_high < 0);
    const bool better = (m->difference > 0) != less_is_better;

    fputs("<td>", out);
    put_value(out, m->value);
    fputs("<small class=\"line\">", out);
    put_value(out, m->low);
    fputs(" &hellip; ", out);
    put_value(out, m->high);
    fputs("</small>", out);
    if (second) {
        fprintf(out, "<small class=\"line %s\">", !sure ? "" : better ? "good" : "bad");
        fprintf(out, "%+.3f (%+.3f &hellip; %+.3f)</small>", m->difference, m->difference_low,
                m->difference_high);
    }
    fputs("</td>", out);
}

/* A bar from low to high with a tick at the value, over 0 to 1. */
static void
put_bar(FILE *out, const struct voco_probe_metric *m)
{
    const double low = fmax(0, fmin(1, m->low)), high = fmax(0, fmin(1, m->high));
    const double value = fmax(0, fmin(1, m->value));

    fputs("<td>", out);
    if (isfinite(m->low) && isfinite(m->value))
        fprintf(out, "<svg width=\"150\" height=\"16\" role=\"img\"><line x1=\"5\" x2=\"145\" "
                "y1=\"8\" y2=\"8\" stroke=\"#9aa\"/><line x1=\"%.1f\" x2=\"%.1f\" y1=\"8\" "
                "y2=\"8\" stroke=\"#47a\" stroke-width=\"4\" stroke-opacity=\".7\"/><circle "
                "cx=\"%.1f\" cy=\"8\" r=\"4\" fill=\"#c52\"/></svg>", 5 + 140 * low,
                5 + 140 * fmax(high, low + 0.005), 5 + 140 * value);
    fputs("</td>", out);
}

static void
put_results(FILE *out, const struct voco_probe *p, const struct voco_probe_target *t)
{
    const struct voco_probe_kind_name *kind = &voco_probe_kind[t->kind];

    fputs("<div class=\"table\"><table><tr><th>features</th><th>probe</th>", out);
    for (int k = 0; kind->metric[k].key; k++)
        fprintf(out, "<th>%s</th>", kind->metric[k].title);
    fprintf(out, "<th>%s, 0 to 1</th></tr>\n", kind->metric[0].title);
    for (int i = 0; i < t->n_results; i++) {
        const struct voco_probe_result *r = &t->result[i];

        fputs("<tr><td>", out);
        voco_html_text(out, p->table[r->table].path);
        fprintf(out, "</td><td>%s", r->probe);
        if (isfinite(r->lambda))
            fprintf(out, "<small class=\"line\">penalty %.3g</small>", r->lambda);
        fputs("</td>", out);
        for (int k = 0; kind->metric[k].key; k++)
            put_metric(out, &r->metric[k], kind->metric[k].less_is_better, r->table > 0);
        put_bar(out, &r->metric[0]);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>", out);
}

/* ---- confusions and scatter plots of the second probe, which has a penalty ---- */

static void
put_confusion(FILE *out, const struct voco_probe_target *t, const struct voco_probe_result *r)
{
    double *count = voco_doubles((int64_t)t->classes * t->classes);

    voco_confusion(t->label, r->guess, NULL, t->n, t->classes, count);
    fputs("<figure><table><tr><th>truth \\ predicted</th>", out);
    for (int k = 0; k < t->classes; k++) {
        fputs("<th>", out);
        voco_html_text(out, t->class_name[k]);
        fputs("</th>", out);
    }
    fputs("</tr>", out);
    for (int i = 0; i < t->classes; i++) {
        fputs("<tr><td>", out);
        voco_html_text(out, t->class_name[i]);
        fputs("</td>", out);
        for (int k = 0; k < t->classes; k++)
            fprintf(out, i == k ? "<td><b>%.0f</b></td>" : "<td>%.0f</td>",
                    count[i * t->classes + k]);
        fputs("</tr>", out);
    }
    fputs("</table>", out);
    free(count);
}

static void
put_scatter(FILE *out, const struct voco_probe_target *t, const struct voco_probe_result *r)
{
    double low = INFINITY, high = -INFINITY;

    for (int i = 0; i < t->n; i++) {
        low = fmin(low, fmin(t->value[i], r->score[i]));
        high = fmax(high, fmax(t->value[i], r->score[i]));
    }
    fprintf(out, "<figure><svg width=\"%d\" height=\"%d\" role=\"img\"><rect x=\"1\" y=\"1\" "
            "width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#9aa\"/><line x1=\"1\" y1=\"%d\" "
            "x2=\"%d\" y2=\"1\" stroke=\"#9aa\" stroke-dasharray=\"4\"/>", SIDE, SIDE, SIDE - 2,
            SIDE - 2, SIDE - 1, SIDE - 1);
    for (int i = 0; i < t->n; i++)
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#47a\" fill-opacity=\".6\"/>",
                6 + (SIDE - 12) * (t->value[i] - low) / (high - low),
                SIDE - 6 - (SIDE - 12) * (r->score[i] - low) / (high - low));
    fprintf(out, "</svg><figcaption>truth to the right, prediction upwards, both %.4g to %.4g"
            "<br>", low, high);
}

static void
put_figures(FILE *out, const struct voco_probe *p, const struct voco_probe_target *t)
{
    const int each = t->n_results / p->tables;

    if (t->kind != VOCO_PROBE_CLASS && t->kind != VOCO_PROBE_VALUE)
        return;
    fputs("<div>", out);
    for (int i = 0; i < p->tables; i++) {
        const struct voco_probe_result *r = &t->result[i * each + 1];

        if (t->kind == VOCO_PROBE_CLASS) {
            put_confusion(out, t, r);
            fputs("<figcaption>", out);
        } else
            put_scatter(out, t, r);
        fprintf(out, "%s, ", r->probe);
        voco_html_text(out, p->table[i].path);
        fputs("</figcaption></figure>\n", out);
    }
    fputs("</div>", out);
}

/* ---- the page ---- */

static void
put_title(FILE *out, const struct voco_probe *p)
{
    const struct voco_probe_config *c = p->config;

    voco_html_begin(out, "voco probe cases");
    fputs("<h1>Probes of cases</h1><p>Labels of ", out);
    voco_html_text(out, c->labels);
    fprintf(out, ", told from frozen features of %d cases. %lld folds by %s; 95&nbsp;%% intervals "
            "of %lld bootstrap replicates over %s; seed %lld.</p>\n", p->n_cases,
            (long long)c->folds, p->has_patients ? "patient" : "case",
            (long long)c->replicates, p->has_patients ? "patients" : "cases",
            (long long)c->seed);
    if (p->unknown || p->unlabelled > 0 || p->bad) {
        fprintf(out, "<p class=\"warn\">Left out: %d id%s with labels and without features%s",
                p->unknown, voco_plural(p->unknown), p->unknown ? ", the first is " : "");
        if (p->unknown)
            voco_html_text(out, p->first_unknown);
        fprintf(out, "; %d with features and without labels; %d with features that are NaN or "
                "infinite.</p>\n", p->unlabelled > 0 ? p->unlabelled : 0, p->bad);
    }
    if (p->tables > 1) {
        fputs("<p>Third lines are differences to the same probe of ", out);
        voco_html_text(out, p->table[0].path);
        fputs(", with intervals over the same replicates; coloured where the interval is on one "
              "side of 0.</p>\n", out);
    }
}

static void
put_target(FILE *out, const struct voco_probe *p, const struct voco_probe_target *t)
{
    fprintf(out, "<h2>%s: ", voco_probe_kind[t->kind].title);
    voco_html_text(out, t->name);
    fprintf(out, "</h2><p>%d cases of %d patients", t->n, t->groups);
    if (t->unlabelled)
        fprintf(out, "; %d more have no such label", t->unlabelled);
    for (int k = 0; k < t->classes; k++) {
        int members = 0;

        for (int i = 0; i < t->n; i++)
            members += t->label[i] == k;
        fputs(k ? ", " : "; ", out);
        voco_html_text(out, t->class_name[k]);
        fprintf(out, " %d", members);
    }
    fputs(".</p>\n", out);
    put_results(out, p, t);
    put_figures(out, p, t);
}

enum voco_err
voco_probe_html(const char *path, const struct voco_probe *p)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    put_title(f.out, p);
    for (int i = 0; i < p->n_targets; i++)
        put_target(f.out, p, &p->target[i]);
    voco_html_end(f.out);
    return voco_newfile_commit(&f);
}
