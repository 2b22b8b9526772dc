/* Voxel probes as one HTML page. */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "eval/overlay.h"
#include "report/html.h"
#include "task/probe/voxels_write.h"

enum { WIDTH = 220, BAR = 12 };   /* pixels */

static void
put_value(FILE *out, double x)
{
    if (isfinite(x))
        fprintf(out, "%.3f", x);
    else
        fputs("&ndash;", out);
}

static void
put_interval(FILE *out, double low, double high)
{
    if (isfinite(low))
        fprintf(out, "<small class=\"line\">%.3f &hellip; %.3f</small>", low, high);
}

/* A bar from 0 to the Dice for each network, with its interval. */
static void
put_bars(FILE *out, const struct voco_voxel_probe *p, int class_id)
{
    fprintf(out, "<td><svg width=\"%d\" height=\"%d\" role=\"img\">", WIDTH, BAR * p->n + 4);
    for (int i = 0; i < p->n; i++) {
        const struct voco_voxel_scores *s = &p->network[i].scores;
        const double value = class_id ? s->dice[class_id] : s->mean;
        const double low = class_id ? s->dice_low[class_id] : s->low;
        const double high = class_id ? s->dice_high[class_id] : s->high;
        const int y = 2 + BAR * i;

        if (!isfinite(value))
            continue;
        fprintf(out, "<rect x=\"0\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"#%06x\" "
                "fill-opacity=\".75\"/>", y + 1, value * WIDTH, BAR - 2,
                (unsigned)voco_overlay_color(i + 1));
        if (isfinite(low))
            fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#667\" "
                    "stroke-width=\"2\"/>", low * WIDTH, high * WIDTH, y + BAR / 2,
                    y + BAR / 2);
    }
    fputs("</svg></td>", out);
}

static void
put_row(FILE *out, const struct voco_voxel_probe *p, int class_id)
{
    char buf[24];

    fputs("<tr><td style=\"min-width:9em\">", out);
    if (class_id)
        voco_html_text(out, voco_voxel_class(&p->cases, class_id, buf));
    else
        fputs("<b>mean of classes</b>", out);
    fputs("</td>", out);
    for (int i = 0; i < p->n; i++) {
        const struct voco_voxel_network *n = &p->network[i];
        const struct voco_voxel_scores *s = &n->scores;

        fputs("<td>", out);
        put_value(out, class_id ? s->dice[class_id] : s->mean);
        put_interval(out, class_id ? s->dice_low[class_id] : s->low,
                     class_id ? s->dice_high[class_id] : s->high);
        if (i > 0 && class_id == 0)
            fprintf(out, "<small class=\"line %s\">%+.3f (%+.3f &hellip; %+.3f)</small>",
                    n->difference_low > 0 ? "good" : n->difference_high < 0 ? "bad" : "",
                    n->difference, n->difference_low, n->difference_high);
        fputs("</td>", out);
    }
    put_bars(out, p, class_id);
    fputs("</tr>\n", out);
}

static void
put_title(FILE *out, const struct voco_voxel_probe *p)
{
    const struct voco_voxel_config *c = p->config;

    voco_html_begin(out, "voco probe voxels");
    fputs("<h1>Voxel probe</h1><p>Linear segmentation from frozen maps of all levels, ", out);
    voco_html_text(out, p->store_path);
    fprintf(out, ": %d volumes of %d patients, %lld voxels in each of %lld crop%s of a volume. "
            "%lld folds", p->cases.n, p->cases.groups, (long long)c->voxels,
            (long long)c->crops, voco_plural(c->crops), (long long)c->folds);
    if (c->labelled)
        fprintf(out, ", each fitted on %lld labelled volumes", (long long)c->labelled);
    fprintf(out, "; Dice of the sampled voxels, 95&nbsp;%% intervals of %lld bootstrap "
            "replicates over patients; seed %lld.</p>\n", (long long)c->replicates,
            (long long)c->seed);
    if (p->cases.unlabelled)
        fprintf(out, "<p class=\"warn\">%d volume%s without a label map left out.</p>\n",
                p->cases.unlabelled, voco_plural(p->cases.unlabelled));
    if (p->n > 1)
        fputs("<p>Third line of the mean: difference to the first network over the same "
              "replicates, coloured where its interval is on one side of 0.</p>\n", out);
}

enum voco_err
voco_voxel_html(const char *path, const struct voco_voxel_probe *p)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    put_title(f.out, p);
    fputs("<div class=\"table\"><table><tr><th>class</th>", f.out);
    for (int i = 0; i < p->n; i++) {
        fprintf(f.out, "<th><span class=\"swatch\" style=\"--c:#%06x\"></span>",
                (unsigned)voco_overlay_color(i + 1));
        voco_html_text(f.out, p->network[i].name);
        fprintf(f.out, "<br><small>feature size %lld, penalty %.2g</small></th>",
                (long long)p->network[i].feature, p->network[i].scores.share);
    }
    fputs("<th>Dice, 0 to 1</th></tr>\n", f.out);
    for (int k = 0; k < p->cases.classes; k++)
        put_row(f.out, p, k);
    fputs("</table></div>\n", f.out);
    voco_html_end(f.out);
    return voco_newfile_commit(&f);
}
