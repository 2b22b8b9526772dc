/*
 * Text from strokes: a typeface in a table, drawn as paths, so that any size and both
 * directions are smooth.
 *
 * A glyph is a list of strokes, a stroke a list of points "xy" on a grid of digits: base
 * line at y = 2, small letters up to 6, capitals up to 8, descenders down to 0.
 *   "0848"    straight lines from point to point
 *   "~0848.." a curve: a quadratic B-spline with these control points that begins and
 *             ends on the first and last; a point said twice is a corner
 *   "@0248.." a closed curve; four corners make a round shape
 */
#include <math.h>
#include <string.h>

#include "report/canvas.h"

static const char *const glyph[95] = {
    /*   */ "",
    /* ! */ "0804 0202",
    /* " */ "0806 2826",
    /* # */ "1218 3238 0444 0646",
    /* $ */ "~4647070545430304 2128",
    /* % */ "0248 @06082826 @22244442",
    /* & */ "~421618383604023245",
    /* ' */ "0806",
    /* ( */ "~29070321",
    /* ) */ "~09272301",
    /* * */ "2428 0547 0745",
    /* + */ "2327 0545",
    /* , */ "1200",
    /* - */ "0535",
    /* . */ "0202",
    /* / */ "0139",
    /* 0 */ "@02084842",
    /* 1 */ "062822 0242",
    /* 2 */ "~0608484502 0242",
    /* 3 */ "~0708484515 ~1545420203",
    /* 4 */ "32380444",
    /* 5 */ "480805 ~051646420203",
    /* 6 */ "@02064642 ~380804",
    /* 7 */ "084812",
    /* 8 */ "@05084845 @02054542",
    /* 9 */ "@04084844 ~464212",
    /* : */ "0202 0606",
    /* ; */ "1200 1616",
    /* < */ "470543",
    /* = */ "0444 0646",
    /* > */ "074503",
    /* ? */ "~0708484524 2222",
    /* @ */ "@24264644 ~46436368080252",
    /* A */ "022842 1434",
    /* B */ "0208 ~0828284845252505 ~0525254542222202",
    /* C */ "~474808024243",
    /* D */ "0208 ~0818184842121202",
    /* E */ "48080242 0535",
    /* F */ "480802 0535",
    /* G */ "~474808024245 4525",
    /* H */ "0208 4248 0545",
    /* I */ "0208",
    /* J */ "~383434320204",
    /* K */ "0208 4804 1542",
    /* L */ "080242",
    /* M */ "0208346862",
    /* N */ "02084248",
    /* O */ "@02085852",
    /* P */ "0208 ~0828284844242404",
    /* Q */ "@02085852 3452",
    /* R */ "0208 ~0828284844242404 2442",
    /* S */ "~4748080545420203",
    /* T */ "0848 2228",
    /* U */ "~0804040242444448",
    /* V */ "082248",
    /* W */ "0812375268",
    /* X */ "0248 0842",
    /* Y */ "082548 2522",
    /* Z */ "08480242",
    /* [ */ "29090121",
    /* \ */ "0931",
    /* ] */ "09292101",
    /* ^ */ "062846",
    /* _ */ "0141",
    /* ` */ "0917",
    /* a */ "@02064642 4642",
    /* b */ "0208 @02064642",
    /* c */ "~454606024243",
    /* d */ "4248 @02064642",
    /* e */ "0444 ~444606024243",
    /* f */ "~38181612 0636",
    /* g */ "@02064642 ~4641400001",
    /* h */ "0208 ~0406464442",
    /* i */ "0206 0808",
    /* j */ "~26212000 2828",
    /* k */ "0208 3603 1432",
    /* l */ "~08030212",
    /* m */ "0206 ~0406363432 ~3436666462",
    /* n */ "0206 ~0406464442",
    /* o */ "@02064642",
    /* p */ "0006 @02064642",
    /* q */ "4046 @02064642",
    /* r */ "0206 ~040636",
    /* s */ "~3536060434320203",
    /* t */ "~18131232 0636",
    /* u */ "~0604024244 4642",
    /* v */ "062246",
    /* w */ "0612355266",
    /* x */ "0246 0642",
    /* y */ "0622 4610",
    /* z */ "06460242",
    /* { */ "~29191505 ~05151121",
    /* | */ "0109",
    /* } */ "~09191525 ~25151101",
    /* ~ */ "~04173346",
};

enum { BASE = 2, POINTS = 256, PIECES = 6 };
static const double gap = 2.1, space = 1.6;     /* grid units between and for blanks */
static const double narrow = 0.92;              /* of a grid unit, horizontally */

/* The next glyph of *text, past it: one for an ASCII character or a UTF-8 sequence. */
static const char *
next_glyph(const char **text)
{
    const unsigned char ch = (unsigned char)*(*text)++;

    if (ch >= 0x80)
        while (((unsigned char)**text & 0xC0) == 0x80)
            ++*text;
    return glyph[ch >= 32 && ch < 127 ? ch - 32 : '?' - 32];
}

static double
glyph_width(const char *g)
{
    int width = 0;

    if (!*g)
        return space;
    for (int k = 0; *g; g++) {
        if (*g < '0' || *g > '9') {
            k = 0;
            continue;
        }
        if (k++ % 2 == 0 && *g - '0' > width)
            width = *g - '0';
    }
    return width;
}

static double
thickness(const struct voco_text_style *style)
{
    return style->size * (style->bold ? 0.125 : 0.085);
}

double
voco_text_width(const struct voco_text_style *style, const char *text)
{
    const double unit = style->size / 10 * narrow;
    double width = 0;

    while (*text)
        width += (glyph_width(next_glyph(&text)) + gap + (style->bold ? 0.3 : 0)) * unit;
    return width > 0 ? width - gap * unit : 0;
}

/* Points of a path under construction, in grid units. */
struct outline {
    double xy[POINTS][2];
    int n;
};

static void
add(struct outline *o, double x, double y)
{
    VOCO_ASSERT(o->n < POINTS);
    o->xy[o->n][0] = x;
    o->xy[o->n++][1] = y;
}

/* The parabola from a to b with control point p; a is already there. */
static void
add_curve(struct outline *o, const double a[2], const double p[2], const double b[2])
{
    for (int i = 1; i <= PIECES; i++) {
        const double t = (double)i / PIECES, u = 1 - t;

        add(o, u * u * a[0] + 2 * u * t * p[0] + t * t * b[0],
            u * u * a[1] + 2 * u * t * p[1] + t * t * b[1]);
    }
}

/* One stroke of n control points as a path; ends with a break. */
static void
add_stroke(struct outline *o, char kind, const double (*p)[2], int n)
{
    double from[2], to[2];

    if (kind == '0') {
        for (int i = 0; i < n; i++)
            add(o, p[i][0], p[i][1]);
    } else {
        const bool closed = kind == '@';
        const int first = closed ? 0 : 1, last = closed ? n : n - 1;

        for (int k = 0; k < 2; k++)
            from[k] = closed ? (p[n - 1][k] + p[0][k]) / 2 : p[0][k];
        add(o, from[0], from[1]);
        for (int i = first; i < last; i++) {
            const bool to_end = !closed && i == n - 2;

            for (int k = 0; k < 2; k++)
                to[k] = to_end ? p[n - 1][k] : (p[i][k] + p[(i + 1) % n][k]) / 2;
            add_curve(o, from, p[i], to);
            memcpy(from, to, sizeof from);
        }
    }
    add(o, NAN, NAN);
}

static void
glyph_outline(const char *g, struct outline *o)
{
    o->n = 0;
    while (*g) {
        const char kind = *g == '~' || *g == '@' ? *g++ : '0';
        double p[16][2];
        int n = 0;

        for (; *g && *g != ' '; g += 2, n++) {
            VOCO_ASSERT(n < 16);
            p[n][0] = g[0] - '0';
            p[n][1] = g[1] - '0' - BASE;
        }
        add_stroke(o, kind, p, n);
        g += *g == ' ';
    }
}

void
voco_canvas_text(struct voco_canvas *c, double x, double y,
                 const struct voco_text_style *style, const char *text)
{
    const double unit = style->size / 10;
    const double shift = -voco_text_width(style, text) * style->anchor / 2;
    double pen = 0;
    struct outline o;

    /* The base line goes through pixel centres: horizontal strokes stay sharp. */
    x = style->upwards ? floor(x) + 0.5 : x + shift;
    y = style->upwards ? y - shift : floor(y) + 0.5;
    while (*text) {
        const char *g = next_glyph(&text);

        glyph_outline(g, &o);
        for (int i = 0; i < o.n; i++) {
            const double u = (o.xy[i][0] + pen) * unit * narrow;
            const double v = o.xy[i][1] * unit;

            o.xy[i][0] = style->upwards ? x - v : x + u;
            o.xy[i][1] = style->upwards ? y - u : y - v;
        }
        voco_canvas_path(c, (const double (*)[2])o.xy, o.n, thickness(style), style->color,
                         1);
        pen += glyph_width(g) + gap + (style->bold ? 0.3 : 0);
    }
}
