/* The evaluation as one HTML page: tables, strips of cases, slices; everything inline. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/case.h"
#include "data/transform/geometry.h"
#include "eval/overlay.h"
#include "eval/write.h"
#include "report/html.h"

enum { SIDE = 300 };            /* pixels of a slice */

/* ---- tables ---- */

static void
put_value(FILE *out, enum voco_metric m, double x)
{
    if (!isfinite(x))
        fputs("&ndash;", out);
    else if (m == VOCO_METRIC_VOLUME)
        fprintf(out, "%+.1f&thinsp;%%", 100 * x);
    else
        fprintf(out, m == VOCO_METRIC_HD95 ? "%.2f" : "%.4f", x);
}

static void
put_stats(FILE *out, enum voco_metric m, const struct voco_stats *s)
{
    fputs("<td>", out);
    put_value(out, m, s->mean);
    if (s->n > 1) {
        fputs("<small class=\"line\">", out);
        put_value(out, m, s->low);
        fputs(" &hellip; ", out);
        put_value(out, m, s->high);
        fputs("</small>", out);
    }
    fputs("</td>", out);
}

/* Every case as a dot between 0 and 1, the interval of the mean as a bar. */
static void
put_strip(FILE *out, const struct voco_eval *e, int class_id)
{
    const struct voco_stats *s = &e->stats[class_id * VOCO_METRICS + VOCO_METRIC_DICE];

    fputs("<td><svg width=\"150\" height=\"16\" role=\"img\"><line x1=\"5\" x2=\"145\" "
          "y1=\"8\" y2=\"8\" stroke=\"#9aa\" stroke-width=\"1\"/>", out);
    for (int i = 0; i < e->n; i++) {
        const double v = voco_eval_value(&e->item[i], class_id, VOCO_METRIC_DICE);

        if (isfinite(v))
            fprintf(out, "<circle cx=\"%.1f\" cy=\"8\" r=\"3\" fill=\"#4a7\" fill-opacity="
                    "\".45\"/>", 5 + 140 * v);
    }
    if (s->n > 1)
        fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"8\" y2=\"8\" stroke=\"#c52\" "
                "stroke-width=\"4\" stroke-opacity=\".8\"/>", 5 + 140 * s->low,
                5 + 140 * fmax(s->high, s->low + 0.005));
    fputs("</svg></td>", out);
}

static void
put_class_name(FILE *out, const struct voco_eval *e, int class_id)
{
    char buf[24];

    if (class_id == 0) {
        fputs("<td><b>mean of classes</b></td>", out);
        return;
    }
    fprintf(out, "<td><span class=\"swatch\" style=\"--c:#%06x\"></span>",
            (unsigned)voco_overlay_color(class_id));
    voco_html_text(out, voco_eval_class(e, class_id, buf));
    fputs("</td>", out);
}

static void
put_head(FILE *out, const char *first, const char *second)
{
    fprintf(out, "<tr><th>%s</th><th>%s</th>", first, second);
    for (int m = 0; m < VOCO_METRICS; m++)
        fprintf(out, "<th>%s</th>", voco_metric_name[m].title);
}

/* Classes that the truth has and the prediction lacks, and the other way round. */
static void
count_absent(const struct voco_eval *e, int class_id, int *ret_missed, int *ret_invented)
{
    *ret_missed = *ret_invented = 0;
    for (int i = 0; i < e->n; i++) {
        const struct voco_eval_case *c = &e->item[i];

        if (!c->score || class_id >= c->n_classes)
            continue;
        *ret_missed += c->score[class_id].truth > 0 && c->score[class_id].predicted == 0;
        *ret_invented += c->score[class_id].truth == 0 && c->score[class_id].predicted > 0;
    }
}

static void
put_classes(FILE *out, const struct voco_eval *e)
{
    fputs("<h2>Classes</h2><p>Mean over cases and its 95&nbsp;% bootstrap interval; dots are "
          "the cases' Dice from 0 to 1.</p><div class=\"table\"><table>", out);
    put_head(out, "class", "cases");
    fputs("<th>Dice of cases</th><th>missed</th><th>invented</th></tr>", out);
    for (int k = 0; k < e->n_classes; k++) {
        const struct voco_stats *s = &e->stats[k * VOCO_METRICS];
        int missed, invented;

        if (k > 0 && !voco_eval_has(e, k))
            continue;
        fputs("<tr>", out);
        put_class_name(out, e, k);
        fprintf(out, "<td>%d</td>", s[VOCO_METRIC_DICE].n);
        for (int m = 0; m < VOCO_METRICS; m++)
            put_stats(out, (enum voco_metric)m, &s[m]);
        put_strip(out, e, k);
        count_absent(e, k, &missed, &invented);
        if (k > 0)
            fprintf(out, "<td>%d</td><td>%d</td>", missed, invented);
        else
            fputs("<td></td><td></td>", out);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>", out);
}

static void
put_comparison(FILE *out, const struct voco_eval_page *page)
{
    const struct voco_eval_paired *p = page->paired;

    fputs("<h2>Against ", out);
    voco_html_text(out, page->against);
    fprintf(out, "</h2><p>This prediction minus the other over %d cases that both have, 95&nbsp;"
            "%% bootstrap interval, two-sided p under random signs; the volume error by its "
            "size.</p><div class=\"table\"><table>", p->n);
    put_head(out, "class", "cases");
    fputs("</tr>", out);
    for (int k = 0; k < p->n_classes; k++) {
        const struct voco_stats *s = &p->stats[k * VOCO_METRICS];

        if (s[VOCO_METRIC_SURFACE].n == 0)
            continue;
        fputs("<tr>", out);
        put_class_name(out, page->e, k);
        fprintf(out, "<td>%d</td>", s[VOCO_METRIC_SURFACE].n);
        for (int m = 0; m < VOCO_METRICS; m++) {
            const bool sure = s[m].low > 0 || s[m].high < 0;
            const bool better = (s[m].mean > 0) != voco_metric_name[m].less_is_better;

            fprintf(out, "<td class=\"%s\">", !sure ? "" : better ? "good" : "bad");
            if (isfinite(s[m].mean)) {
                fprintf(out, m == VOCO_METRIC_HD95 ? "%+.2f" : "%+.4f", s[m].mean);
                fprintf(out, m == VOCO_METRIC_HD95
                            ? "<small class=\"line\">%+.2f &hellip; %+.2f, p&nbsp;%.2g</small>"
                            : "<small class=\"line\">%+.4f &hellip; %+.4f, p&nbsp;%.2g"
                              "</small>",
                        s[m].low, s[m].high, p->p[k * VOCO_METRICS + m]);
            } else
                fputs("&ndash;", out);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>", out);
}

static void
put_cases(FILE *out, const struct voco_eval *e, const int *rank)
{
    fputs("<h2>Cases</h2><p>The worst first.</p><div class=\"table\"><table>", out);
    put_head(out, "case", "size");
    fputs("<th>worst class</th></tr>", out);
    for (int r = 0; r < e->n; r++) {
        const struct voco_eval_case *c = &e->item[rank[r]];
        double least = INFINITY;
        int worst = 0;
        char buf[24];

        fputs("<tr><td>", out);
        voco_html_text(out, c->id);
        if (!c->score) {
            fputs("</td><td colspan=\"6\">", out);
            voco_html_text(out, c->problem);
            fputs("</td></tr>\n", out);
            continue;
        }
        fprintf(out, "</td><td>%lld&times;%lld&times;%lld</td>", (long long)c->dim[0],
                (long long)c->dim[1], (long long)c->dim[2]);
        for (int m = 0; m < VOCO_METRICS; m++) {
            fputs("<td>", out);
            put_value(out, (enum voco_metric)m, c->mean[m]);
            fputs("</td>", out);
        }
        for (int k = 1; k < c->n_classes; k++)
            if (c->score[k].dice < least) {
                least = c->score[k].dice;
                worst = k;
            }
        fputs("<td>", out);
        if (worst) {
            voco_html_text(out, voco_eval_class(e, worst, buf));
            fprintf(out, " <small>%.4f</small>", least);
        }
        fputs("</td></tr>\n", out);
    }
    fputs("</table></div>", out);
}

/* ---- slices ---- */

/* The image of a case on the grid of its maps; NULL, and a note, when there is none. */
static float *
read_image(const struct voco_datalist *images, const struct voco_eval_case *c,
           const struct voco_eval_options *o, const struct voco_eval_maps *m)
{
    const bool resample = o->spacing_mm[0] > 0 || o->spacing_mm[1] > 0
        || o->spacing_mm[2] > 0;
    struct voco_orientation turn;
    struct voco_regrid g;
    struct voco_volume v;
    enum voco_err err;
    int i = 0;

    while (i < images->n && strcmp(images->item[i].id, c->id) != 0)
        i++;
    if (i == images->n)
        return NULL;
    err = voco_volume_read(images->item[i].image[0], &v);
    if (!err) {
        voco_orient_plan((const double (*)[4])v.affine, &turn);
        err = voco_orient(&v, &turn);
    }
    if (!err && resample) {
        err = voco_spacing_plan(v.dim, (const double (*)[4])v.affine, o->spacing_mm, &g);
        if (!err)
            err = voco_regrid(&v, &g, VOCO_LINEAR);
    }
    if (!err && memcmp(v.dim, m->dim, sizeof v.dim) != 0)
        err = voco_fail(VOCO_EFORMAT, "%s: another size than the label maps",
                        images->item[i].image[0]);
    if (err) {
        voco_note("no image under the slice of %s: %s", c->id, voco_fail_text());
        voco_volume_free(&v);
    }
    return v.voxel;
}

static enum voco_err
put_slice(FILE *out, const struct voco_eval_page *page, const struct voco_datalist *images,
          const struct voco_eval_case *c)
{
    struct voco_eval_maps m;
    uint8_t *png = NULL;
    float *image = NULL;
    int64_t slice = 0;
    size_t n = 0;
    enum voco_err err = voco_eval_read(c, page->o, &m);

    if (!err) {
        image = read_image(images, c, page->o, &m);
        slice = voco_overlay_slice(&m);
        err = voco_overlay_png(&m, image, slice, SIDE, &png, &n);
    }
    if (!err) {
        fputs("<figure>", out);
        voco_html_png(out, "slice with labels", png, n);
        fputs("<figcaption>", out);
        voco_html_text(out, c->id);
        fprintf(out, "<br>Dice %.4f, slice %lld of %lld</figcaption></figure>\n",
                c->mean[VOCO_METRIC_DICE], (long long)slice + 1, (long long)m.dim[2]);
    }
    free(png);
    free(image);
    voco_eval_maps_free(&m);
    return err;
}

/* Half of them the worst, the others spread evenly over the rest. */
static enum voco_err
put_slices(FILE *out, const struct voco_eval_page *page, const int *rank)
{
    const struct voco_datalist_options plain = { .root = NULL };
    const int n = page->e->n_scored;
    const int shown = page->overlays < n ? page->overlays : n, worst = (shown + 1) / 2;
    struct voco_datalist images = { .n = 0 };
    enum voco_err err = VOCO_OK;

    if (shown == 0)
        return VOCO_OK;
    if (page->images)
        err = voco_datalist_read(&images, 1, &page->images, &plain);
    fputs("<h2>Slices</h2><p>The slice with most errors: prediction tinted, truth outlined; the "
          "patient's right is on the left.</p>", out);
    for (int i = 0; i < shown && !err; i++) {
        const int rest = shown - worst;
        const int at = i < worst || rest == 0 ? i
            : worst + (i - worst + 1) * (n - worst) / rest - 1;

        err = put_slice(out, page, &images, &page->e->item[rank[at]]);
    }
    voco_datalist_free(&images);
    return err;
}

/* ---- the page ---- */

/* Places by ascending mean Dice; cases without scores at the end. */
static int *
ranks(const struct voco_eval *e)
{
    int *rank = malloc(((size_t)e->n + 1) * sizeof *rank);

    for (int i = 0; rank && i < e->n; i++) {
        const double dice = e->item[i].score ? e->item[i].mean[VOCO_METRIC_DICE] : 3;
        const double mine = isnan(dice) ? 2 : dice;
        int k = i;

        for (; k > 0; k--) {
            const struct voco_eval_case *c = &e->item[rank[k - 1]];
            const double d = c->score ? c->mean[VOCO_METRIC_DICE] : 3;

            if ((isnan(d) ? 2 : d) <= mine)
                break;
            rank[k] = rank[k - 1];
        }
        rank[k] = i;
    }
    return rank;
}

static void
put_title(FILE *out, const struct voco_eval_page *page)
{
    const struct voco_eval_options *o = page->o;
    const struct voco_eval *e = page->e;

    voco_html_begin(out, "voco eval");
    fputs("<h1>", out);
    voco_html_text(out, o->predicted);
    fputs("</h1><p>", out);
    if (o->truth) {
        fputs("against ", out);
        voco_html_text(out, o->truth);
        fputs("; ", out);
    }
    fprintf(out, "%d cases; ", e->n_scored);
    if (o->spacing_mm[0] > 0 || o->spacing_mm[1] > 0 || o->spacing_mm[2] > 0)
        fprintf(out, "resampled to %g &times; %g &times; %g mm", o->spacing_mm[0],
                o->spacing_mm[1], o->spacing_mm[2]);
    else
        fputs("native grids", out);
    fprintf(out, "; surface Dice at %g mm; %d bootstrap replicates, seed %llu.</p>\n",
            o->tolerance_mm, o->replicates, (unsigned long long)o->seed);
    if (e->n_missing || e->n_scored < e->n) {
        fprintf(out, "<p class=\"warn\">%d cases of the truth have no prediction and %d could "
                "not be scored; they do not count.", e->n_missing, e->n - e->n_scored);
        for (int i = 0; i < e->n_missing && i < 20; i++) {
            fputs(i ? ", " : " No prediction: ", out);
            voco_html_text(out, e->missing[i]);
        }
        fputs(e->n_missing > 20 ? ", &hellip;</p>" : "</p>", out);
    }
}

enum voco_err
voco_eval_html(const char *path, const struct voco_eval_page *page)
{
    int *rank = ranks(page->e);
    struct voco_newfile f;
    enum voco_err err = rank ? voco_newfile_open(&f, path)
                             : voco_fail(VOCO_EMEMORY, "%s: no memory", path);

    if (err) {
        free(rank);
        return err;
    }
    put_title(f.out, page);
    put_classes(f.out, page->e);
    if (page->paired)
        put_comparison(f.out, page);
    err = put_slices(f.out, page, rank);
    put_cases(f.out, page->e, rank);
    voco_html_end(f.out);
    free(rank);
    if (!err)
        return voco_newfile_commit(&f);
    voco_newfile_discard(&f);
    return err;
}
