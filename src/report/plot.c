/* Line charts: scales, ticks, legend, lines.  The picture of a run: plot_run.c. */
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INK = 0x303030, FAINT_INK = 0x707070, GRID = 0xE8E8E8, AXIS = 0x909090,
    ALARM = 0xC00000
};

/* A logarithmic axis over less has hardly a tick: it is drawn linear. */
static const double log_decades = 0.7;

/* Numbers beyond this are drawn as infinite and their inverses as 0: the distance of any two
 * others, and of ticks between them, is a number. */
static const double largest = 1e150;

/* Where data go on the canvas. */
struct axes {
    double x, y, w, h;              /* plot area */
    double x0, x1, y0, y1;          /* data range; of log10 when log_y */
    bool log_y;
};

struct voco_chart
voco_chart_new(const char *title)
{
    return (struct voco_chart){ .title = title, .low = 1, .high = -1, .guide = NAN };
}

/* ---- scales and ticks ---- */

int
voco_ticks(double low, double high, int want, double tick[16], double *ret_step)
{
    const double rough = (high - low) / want;
    const double power = pow(10, floor(log10(rough)));
    const double lead = rough / power;
    const double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
    const double slack = 1e-9 * step;
    int n = 0;

    for (double k = ceil((low - slack) / step); n < 16 && k * step <= high + slack; k++)
        tick[n++] = k == 0 ? 0 : k * step;
    *ret_step = step;
    return n;
}

/* 1, 2, 5 in every decade, or the decades alone when they are many. */
static int
log_ticks(double low, double high, double tick[16])
{
    static const double lead[] = { 1, 2, 5 };
    const int per_decade = high - low > 2.5 ? 1 : 3;
    const int every = (int)ceil((high - low) / 8);
    int n = 0;

    for (int decade = (int)floor(low); decade <= high; decade += every)
        for (int i = 0; i < per_decade; i++) {
            const double v = decade + log10(lead[i]);

            if (n < 16 && v >= low - 1e-9 && v <= high + 1e-9)
                tick[n++] = v;
        }
    return n;
}

/* 20000 -> "20k", 0.25 -> "0.25", 0.00001 -> "1e-5"; step is the distance of the ticks. */
static const char *
tick_text(double v, double step, char buf[32])
{
    const double size = fabs(v);
    double scale = 1;
    const char *suffix = "";

    if (v == 0) {
        snprintf(buf, 32, "0");
        return buf;
    }
    if ((size >= 1e4 || step >= 1000) && size < 1e9) {
        scale = size >= 1e6 || step >= 1e6 ? 1e6 : 1e3;
        suffix = scale == 1e6 ? "M" : "k";
    } else if (size >= 1e9 || step < 0.99e-4) {
        const int power = (int)floor(log10(size) + 1e-9);

        snprintf(buf, 32, "%.3ge%d", v / pow(10, power), power);
        return buf;
    }
    const int digits = (int)fmax(0, ceil(-log10(step / scale) - 1e-9));
    snprintf(buf, 32, "%.*f%s", digits > 6 ? 6 : digits, v / scale, suffix);
    return buf;
}

static double
to_scale(const struct axes *a, double v)
{
    if (fabs(v) > largest)
        v = copysign(INFINITY, v);
    if (!a->log_y)
        return fabs(v) < 1 / largest ? 0 : v;
    return v > 0 ? log10(v) : (double)NAN;
}

static double
at_x(const struct axes *a, double step)
{
    return a->x + (step - a->x0) / (a->x1 - a->x0) * a->w;
}

/* v is on the scale already. */
static double
at_y(const struct axes *a, double v)
{
    return a->y + a->h - (v - a->y0) / (a->y1 - a->y0) * a->h;
}

static void
include_y(struct axes *a, double v)
{
    v = to_scale(a, v);
    if (isfinite(v)) {
        a->y0 = fmin(a->y0, v);
        a->y1 = fmax(a->y1, v);
    }
}

/* The data range of everything that must be seen; high < low where there is nothing. */
static void
span(struct axes *a, const struct voco_chart *chart)
{
    a->x0 = a->y0 = INFINITY;
    a->x1 = a->y1 = -INFINITY;
    for (int s = 0; s < chart->n_series; s++) {
        const struct voco_series *series = &chart->series[s];

        for (int64_t i = 0; i < series->n; i++) {
            a->x0 = fmin(a->x0, (double)series->step[i]);
            a->x1 = fmax(a->x1, (double)series->step[i]);
            include_y(a, series->value[i]);
        }
    }
    if (chart->low <= chart->high) {
        include_y(a, chart->low);
        include_y(a, chart->high);
    }
}

/* As span, but never empty, and with a margin. */
static void
find_range(struct axes *a, const struct voco_chart *chart)
{
    span(a, chart);
    if (a->log_y && a->y1 - a->y0 < log_decades) {
        a->log_y = false;
        span(a, chart);
    }
    if (!(a->x0 <= a->x1))
        a->x0 = a->x1 = 0;
    if (!(a->y0 <= a->y1))
        a->y0 = a->y1 = 0;
    if (a->x1 - a->x0 < 1) {
        const double room = fmax(0.5, 1e-9 * fabs(a->x1));

        a->x0 -= room;
        a->x1 += room;
    }
    /* Wide numbers apart by rounding only are one number. */
    if (a->y1 - a->y0 < 1e-9 * (fabs(a->y0) + fabs(a->y1)) || a->y1 == a->y0) {
        const double room = a->y0 == 0 || a->log_y ? 0.5 : 0.1 * fabs(a->y0);

        a->y0 -= chart->low <= chart->high && a->y0 == chart->low ? 0 : room;
        a->y1 += room;
    }
    const double margin = 0.04 * (a->y1 - a->y0);

    a->y1 += margin;
    if (chart->low > chart->high || a->y0 < to_scale(a, chart->low))
        a->y0 -= margin;
}

/* ---- lines ---- */

struct points {
    double (*xy)[2];
    int n, room;
};

static void
add(struct points *p, double x, double y)
{
    if (p->n == p->room) {
        p->room = 2 * p->room + 256;
        p->xy = realloc(p->xy, (size_t)p->room * sizeof *p->xy);
        VOCO_NEED(p->xy);
    }
    p->xy[p->n][0] = x;
    p->xy[p->n++][1] = y;
}

/* More points than pixels: of each pixel column the extremes, so that nothing hides. */
static void
raw_points(const struct axes *a, const struct voco_series *s, struct points *p)
{
    double column = -1, low = 0, high = 0;
    const bool dense = s->n > 4 * a->w;

    for (int64_t i = 0; i < s->n; i++) {
        const double x = at_x(a, (double)s->step[i]), v = to_scale(a, s->value[i]);

        if (isinf(v))
            add(p, NAN, NAN);
        if (!isfinite(v))
            continue;
        if (!dense) {
            add(p, x, at_y(a, v));
            continue;
        }
        if (floor(x) != column) {
            if (column >= 0) {
                add(p, column + 0.5, at_y(a, low));
                add(p, column + 0.5, at_y(a, high));
            }
            column = floor(x);
            low = high = v;
        }
        low = fmin(low, v);
        high = fmax(high, v);
    }
    if (dense && column >= 0) {
        add(p, column + 0.5, at_y(a, low));
        add(p, column + 0.5, at_y(a, high));
    }
}

/*
 * Moving average over both directions in time, so that it does not lag behind:
 *   m_i = sum_j d^|i-j| v_j / sum_j d^|i-j|,   half of the weight within n/60, at least 2
 * as two recursions; the sum over the past is kept while the one over the future runs.
 */
static void
smooth_points(const struct axes *a, const struct voco_series *s, struct points *p)
{
    const double decay = pow(0.5, 1 / fmax((double)s->n / 60, 2));
    double (*past)[2] = malloc((size_t)s->n * sizeof *past);
    double sum = 0, weight = 0, shown = INFINITY;

    VOCO_NEED(past);
    for (int64_t i = 0; i < s->n; i++) {
        past[i][0] = sum *= decay;
        past[i][1] = weight *= decay;
        const double v = to_scale(a, s->value[i]);
        if (isfinite(v)) {
            sum += v;
            weight += 1;
        }
    }
    sum = weight = 0;
    for (int64_t i = s->n - 1; i >= 0; i--) {
        const double x = at_x(a, (double)s->step[i]), v = to_scale(a, s->value[i]);

        sum *= decay;
        weight *= decay;
        if (isinf(v))
            add(p, NAN, NAN);
        if (!isfinite(v))
            continue;
        sum += v;
        weight += 1;
        if (shown - x < 0.5 && i > 0)
            continue;
        add(p, x, at_y(a, (past[i][0] + sum) / (past[i][1] + weight)));
        shown = x;
    }
    free(past);
}

static void
draw_series(struct voco_canvas *c, const struct axes *a, const struct voco_series *s,
            bool smooth)
{
    struct points raw = { 0 }, mean = { 0 };
    const bool averaged = smooth && s->n >= 20;

    raw_points(a, s, &raw);
    voco_canvas_path(c, (const double (*)[2])raw.xy, raw.n, averaged ? 1.2 : 1.8, s->color,
                     averaged ? 0.3 : 1);
    for (int i = 0; i < raw.n && raw.n <= 60; i++) {
        const double x = raw.xy[i][0], y = raw.xy[i][1];

        if (isfinite(x))
            voco_canvas_line(c, x, y, x, y, averaged ? 3.5 : 5, s->color,
                             averaged ? 0.5 : 1);
    }
    if (averaged) {
        smooth_points(a, s, &mean);
        voco_canvas_path(c, (const double (*)[2])mean.xy, mean.n, 2.2, s->color, 1);
    }
    free(raw.xy);
    free(mean.xy);
    /* Steps whose number was NaN or infinite. */
    for (int64_t i = 0; i < s->n; i++) {
        const double x = at_x(a, (double)s->step[i]);

        if (isinf(s->value[i]))
            voco_canvas_line(c, x, a->y + a->h, x, a->y + a->h - 8, 2, ALARM, 1);
    }
}

/* ---- around the lines ---- */

static void
draw_guide(struct voco_canvas *c, const struct axes *a, const struct voco_chart *chart)
{
    const struct voco_text_style style = { 13, FAINT_INK, VOCO_RIGHT, false, false };
    const double v = to_scale(a, chart->guide);

    if (!isfinite(v) || v < a->y0 || v > a->y1)
        return;
    const double y = floor(at_y(a, v)) + 0.5;
    for (double x = a->x; x < a->x + a->w; x += 10)
        voco_canvas_line(c, x, y, fmin(x + 5, a->x + a->w), y, 1.2, FAINT_INK, 1);
    if (chart->guide_name) {
        const double w = voco_text_width(&style, chart->guide_name);

        voco_canvas_fill(c, a->x + a->w - w - 8, y - 16, w + 8, 15, 0xFFFFFF, 0.8);
        voco_canvas_text(c, a->x + a->w - 4, y - 4, &style, chart->guide_name);
    }
}

/* Fills a's x and w from the widths of the labels. */
static void
draw_y_axis(struct voco_canvas *c, struct axes *a, double right)
{
    const struct voco_text_style style = { 13.5, INK, VOCO_RIGHT, false, false };
    char text[16][32];
    double tick[16], step = 1, width = 0;
    int n = a->log_y ? log_ticks(a->y0, a->y1, tick)
                     : voco_ticks(a->y0, a->y1, a->h > 250 ? 7 : 4, tick, &step);

    for (int i = 0; i < n; i++) {
        const double v = a->log_y ? pow(10, tick[i]) : tick[i];

        tick_text(v, a->log_y ? pow(10, floor(tick[i] + 1e-9)) : step, text[i]);
        width = fmax(width, voco_text_width(&style, text[i]));
    }
    a->x = floor(a->x + fmax(width, 34) + 10);
    a->w = right - a->x;
    for (int i = 0; i < n; i++) {
        const double y = floor(at_y(a, tick[i]));

        voco_canvas_fill(c, a->x, y, a->w, 1, GRID, 1);
        voco_canvas_text(c, a->x - 8, y + 4, &style, text[i]);
    }
}

static void
draw_x_axis(struct voco_canvas *c, const struct axes *a, const char *label)
{
    const struct voco_text_style style = { 13.5, INK, VOCO_MIDDLE, false, false };
    const struct voco_text_style quiet = { 13.5, FAINT_INK, VOCO_RIGHT, false, false };
    const double label_width = label ? voco_text_width(&quiet, label) + 14 : 0;
    double tick[16], step;
    const double want = fmin(fmax(a->w / 110, 2), fmax(a->x1 - a->x0, 1));
    const int n = voco_ticks(a->x0, a->x1, (int)want, tick, &step);
    char text[32];

    voco_canvas_fill(c, a->x, floor(a->y + a->h), a->w, 1, AXIS, 1);
    for (int i = 0; i < n; i++) {
        const double x = floor(at_x(a, tick[i]));

        if (tick[i] != floor(tick[i]))
            continue;
        voco_canvas_fill(c, x, a->y + a->h, 1, 5, AXIS, 1);
        tick_text(tick[i], fmax(step, 1), text);
        if (x + voco_text_width(&style, text) / 2 < a->x + a->w - label_width)
            voco_canvas_text(c, x + 0.5, a->y + a->h + 18, &style, text);
    }
    if (label)
        voco_canvas_text(c, a->x + a->w, a->y + a->h + 18, &quiet, label);
}

/* Right-aligned on the title's line; a series alone needs no name. */
static void
draw_legend(struct voco_canvas *c, double right, double y, const struct voco_chart *chart)
{
    struct voco_text_style style = { 14, INK, VOCO_RIGHT, false, false };

    if (chart->n_series < 2)
        return;
    for (int s = chart->n_series - 1; s >= 0; s--) {
        const struct voco_series *series = &chart->series[s];

        if (!series->name)
            continue;
        voco_canvas_text(c, right, y, &style, series->name);
        right -= voco_text_width(&style, series->name) + 8;
        voco_canvas_line(c, right - 16, y - 4, right, y - 4, 3.5, series->color, 1);
        right -= 16 + 18;
    }
}

void
voco_chart_draw(struct voco_canvas *c, double x, double y, double w, double h,
                const struct voco_chart *chart)
{
    const struct voco_text_style title = { 15.5, INK, VOCO_LEFT, true, false };
    struct axes a = { .x = x, .y = y + 32, .h = h - 32 - 28, .log_y = chart->log_y };

    find_range(&a, chart);
    draw_y_axis(c, &a, x + w);
    draw_x_axis(c, &a, chart->x_label);
    for (int s = 0; s < chart->n_series; s++)
        draw_series(c, &a, &chart->series[s], chart->smooth);
    draw_guide(c, &a, chart);
    voco_canvas_text(c, x, y + 16, &title, chart->title);
    draw_legend(c, x + w, y + 16, chart);
}
