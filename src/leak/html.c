/* The pairs of a search as one page: a slice of the second scan, and beside it the same
 * place in the first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/transform/geometry.h"
#include "eval/score.h"
#include "leak/leak.h"
#include "leak/turn.h"
#include "report/canvas.h"
#include "report/html.h"
#include "report/png.h"

enum { SIDE = 260 };            /* pixels of the longer edge of a slice */

/* From millimetres of the second scan to those of the first, from corner to corner. */
struct map {
    struct voco_turn turn;
    double scale[3], shift[3];
};

static struct map
map_of(const struct voco_leak *p, const double size[3], const double against_mm[3])
{
    struct map m = { .turn = voco_turn_at(p->alignment.turn) };

    for (int a = 0; a < 3; a++) {
        const int sign = m.turn.sign[a];

        if (p->whole) {
            m.scale[a] = size[a] / against_mm[m.turn.from[a]];
            m.shift[a] = sign < 0 ? size[a] : 0;
        } else {                /* cell i lies at (i + 0.5) times its length */
            m.scale[a] = 1;
            m.shift[a] = VOCO_THUMB_MM * (p->alignment.shift[a] + 0.5 - 0.5 * sign);
        }
    }
    return m;
}

static void
map_apply(const struct map *m, const double x[3], double y[3])
{
    for (int a = 0; a < 3; a++)
        y[a] = m->turn.sign[a] * m->scale[a] * x[m->turn.from[a]] + m->shift[a];
}

/* Where the first scan lies along an axis of the second, in mm: [low,high). */
static void
overlap(const struct map *m, const double size[3], const double against_mm[3], int axis,
        double *ret_low, double *ret_high)
{
    int a = 0;

    while (m->turn.from[a] != axis)
        a++;
    const double slope = m->turn.sign[a] * m->scale[a];
    const double end[2] = { (0 - m->shift[a]) / slope, (size[a] - m->shift[a]) / slope };

    *ret_low = fmax(0, fmin(end[0], end[1]));
    *ret_high = fmin(against_mm[axis], fmax(end[0], end[1]));
}

/* The voxel at these millimetres; NaN outside. */
static float
voxel_at(const struct voco_volume *v, const double mm[3], const double x[3])
{
    int64_t i = 0;

    for (int a = 0; a < 3; a++) {
        const int64_t k = (int64_t)floor(x[a] / mm[a]);

        if (k < 0 || k >= v->dim[a])
            return NAN;
        i = i * v->dim[a] + k;
    }
    return v->voxel[i];
}

/* Two volumes and how one lies on the other; the picture is in the plane z of the second. */
struct view {
    struct voco_volume v[2];            /* first, second, axes towards R, A, S */
    double mm[2][3], size[2][3];
    struct map map;
    double z;
    int width, height;
};

/* Percentiles 1 and 99 become black and white, and voxels outside a dark blue. */
static enum voco_err
draw(const struct view *w, bool first, uint8_t **ret, size_t *ret_n)
{
    const int64_t n = (int64_t)w->width * w->height;
    float *value = malloc((size_t)n * sizeof *value);
    double *sorted = malloc((size_t)n * sizeof *sorted), low = 0, high = 1;
    uint8_t *rgb = malloc((size_t)n * 3);
    int64_t inside = 0;
    enum voco_err err = value && sorted && rgb ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for a slice");

    for (int64_t i = 0; i < n && !err; i++) {
        const double at[3] = {
            w->size[1][0] * (1 - ((double)(i % w->width) + 0.5) / w->width),
            w->size[1][1] * (1 - ((double)(i / w->width) + 0.5) / w->height), w->z
        };
        double to[3];

        map_apply(&w->map, at, to);
        value[i] = first ? voxel_at(&w->v[0], w->mm[0], to) : voxel_at(&w->v[1], w->mm[1], at);
        if (isfinite(value[i]))
            sorted[inside++] = value[i];
    }
    if (!err && inside) {
        low = voco_quantile(sorted, inside, 0.01);
        high = voco_quantile(sorted, inside, 0.99);
    }
    for (int64_t i = 0; i < n && !err; i++) {
        const double v = high > low ? (value[i] - low) / (high - low) : 0;
        const uint8_t gray = (uint8_t)(255 * fmin(fmax(v, 0), 1) + 0.5);
        const bool out = !isfinite(value[i]);

        rgb[3 * i] = out ? 16 : gray;
        rgb[3 * i + 1] = out ? 24 : gray;
        rgb[3 * i + 2] = out ? 56 : gray;
    }
    if (!err) {
        const struct voco_picture p = { rgb, w->width, w->height, 3 };

        err = voco_png_encode(&p, ret, ret_n);
    }
    free(value);
    free(sorted);
    free(rgb);
    return err;
}

static enum voco_err
view_init(struct view *w, const struct voco_leak_page *page, const struct voco_leak *p)
{
    double longer, low, high;
    enum voco_err err;

    *w = (struct view){ .z = 0 };
    err = voco_scan_volume(page->scans, p->scan, p->channel, &w->v[0]);
    if (!err)
        err = voco_scan_volume(page->against, p->against, p->against_channel, &w->v[1]);
    for (int k = 0; k < 2 && !err; k++) {
        struct voco_orientation turn;

        voco_orient_plan((const double (*)[4])w->v[k].affine, &turn);
        err = voco_orient(&w->v[k], &turn);
        voco_volume_spacing(&w->v[k], w->mm[k]);
        for (int a = 0; a < 3; a++)
            w->size[k][a] = (double)w->v[k].dim[a] * w->mm[k][a];
    }
    if (err)
        return err;
    w->map = map_of(p, w->size[0], w->size[1]);
    overlap(&w->map, w->size[0], w->size[1], 2, &low, &high);
    w->z = (low + high) / 2;
    longer = fmax(w->size[1][0], w->size[1][1]);
    w->width = (int)fmax(1, SIDE * w->size[1][0] / longer);
    w->height = (int)fmax(1, SIDE * w->size[1][1] / longer);
    return VOCO_OK;
}

static void
put_name(FILE *out, const struct voco_scans *s, int i)
{
    voco_html_text(out, s->scan[i].id);
    fputs(" <small>", out);
    voco_html_text(out, s->input[s->scan[i].input].path);
    fputs("</small>", out);
}

/* A pair that cannot be read again has no picture; that is no reason to have no page. */
static enum voco_err
put_picture(FILE *out, const struct voco_leak_page *page, const struct voco_leak *p)
{
    struct view w;
    enum voco_err err = view_init(&w, page, p);

    fputs("<figure>", out);
    for (int k = 0; k < 2 && !err; k++) {
        uint8_t *png = NULL;
        size_t n = 0;

        err = draw(&w, k == 1, &png, &n);
        if (!err) {
            fputs("<figure>", out);
            voco_html_png(out, k ? "the same place in the first set" : "slice", png, n);
            fputs("<figcaption>", out);
            put_name(out, k ? page->scans : page->against, k ? p->scan : p->against);
            fputs("</figcaption></figure>", out);
        }
        free(png);
    }
    if (err) {
        voco_note("no picture of %s: %s", page->against->scan[p->against].id,
                  voco_fail_text());
        fputs("<p class=\"warn\">No picture of ", out);
        put_name(out, page->against, p->against);
        fputs(": ", out);
        voco_html_text(out, voco_fail_text());
        fputs("</p>", out);
    }
    fprintf(out, "<figcaption>score %.3f, %.0f&nbsp;%% shared</figcaption></figure>\n",
            p->alignment.score, 100 * p->alignment.shared);
    voco_volume_free(&w.v[0]);
    voco_volume_free(&w.v[1]);
    return err == VOCO_EMEMORY ? err : VOCO_OK;
}

static void
put_pairs(FILE *out, const struct voco_leak_page *page)
{
    char name[8];

    fputs("<h2>Pairs</h2><p>Score: correlation of local contrast where the two lie on each "
          "other. Shared: how much of the smaller one that is.</p><div class=\"table\"><table><tr><th>of the "
          "second set</th><th>is in the first set as</th><th>score</th><th>shared</th><th>"
          "agree</th><th>axes</th></tr>", out);
    for (int i = 0; i < page->leaks->n; i++) {
        const struct voco_leak *p = &page->leaks->pair[i];

        fputs("<tr><td>", out);
        put_name(out, page->against, p->against);
        fputs("</td><td>", out);
        put_name(out, page->scans, p->scan);
        fprintf(out, "</td><td>%.3f</td><td>%.0f&thinsp;%%</td><td>%s</td><td>%s</td></tr>\n",
                p->alignment.score, 100 * p->alignment.shared,
                p->whole ? "as wholes" : "in part",
                p->alignment.turn ? voco_turn_name(p->alignment.turn, name) : "same");
    }
    fputs("</table></div>", out);
}

static void
put_problems(FILE *out, const struct voco_scans *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->scan[i].problem) {
            fputs("<br>", out);
            voco_html_text(out, s->scan[i].id);
            fputs(": ", out);
            voco_html_text(out, s->scan[i].problem);
        }
}

static void
put_inputs(FILE *out, const struct voco_scans *s)
{
    for (int i = 0; i < s->n_inputs; i++) {
        fputs(i ? ", " : "", out);
        voco_html_text(out, s->input[i].path);
        fprintf(out, " (%d scan%s)", s->input[i].n, voco_plural(s->input[i].n));
    }
}

enum voco_err
voco_leak_html(const char *path, const struct voco_leak_page *page)
{
    const int n = page->leaks->n;
    const int shown = n < page->pictures ? n : page->pictures;
    struct voco_newfile f;
    enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    voco_html_begin(f.out, "voco leak");
    fprintf(f.out, "<h1>%d pair%s of the same scan</h1><p>First set: ", n, voco_plural(n));
    put_inputs(f.out, page->scans);
    fputs(". Second set: ", f.out);
    put_inputs(f.out, page->against);
    fprintf(f.out, ". Scores from %g on.</p>\n", page->least);
    if (page->scans->n_problems + page->against->n_problems) {
        fputs("<p class=\"warn\">Not compared:", f.out);
        put_problems(f.out, page->scans);
        put_problems(f.out, page->against);
        fputs("</p>\n", f.out);
    }
    if (n)
        put_pairs(f.out, page);
    if (shown)
        fputs("<h2>Slices</h2><p>Left the second set, right the same place in the first; dark "
              "blue is outside of it. The patient's right is on the left.</p>", f.out);
    for (int i = 0; i < shown && !err; i++)
        err = put_picture(f.out, page, &page->leaks->pair[i]);
    voco_html_end(f.out);
    if (!err)
        return voco_newfile_commit(&f);
    voco_newfile_discard(&f);
    return err;
}
