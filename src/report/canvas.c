/* The canvas: coverage from distances, blended once per path.  No text here (text.c). */
#include "report/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/png.h"

/* M. Okabe and K. Ito, "Color Universal Design", 2008. */
static const uint32_t okabe_ito[] = {
    0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x444444,
};
/* Each colour behind the sixth is far from all before it, in CIELAB of 48 < L < 93. */
static const uint32_t on_dark[VOCO_BRIGHT_COLORS] = {
    0x56B4E9, 0xE69F00, 0x1FD6A0, 0xF29BCB, 0xF0E442, 0xFF8A4C, 0xA52DFF, 0x69785A,
    0xFF2D5A, 0x876987, 0xFFE1C3, 0x5AFF00, 0x009696, 0xD2D2FF, 0x00A50F, 0xB4F0F0,
    0x5A78A5, 0xD23C00, 0xA5B487, 0xA57869, 0xFF00B4, 0xA56900, 0x878700, 0xB487F0,
};

uint32_t
voco_color(int i)
{
    return okabe_ito[(unsigned)i % (sizeof okabe_ito / sizeof *okabe_ito)];
}

uint32_t
voco_color_bright(int i)
{
    return on_dark[(unsigned)i % VOCO_BRIGHT_COLORS];
}

static uint8_t
mix(double a, double b, double t)
{
    return (uint8_t)lrint(a + (b - a) * t);
}

uint32_t
voco_color_mix(uint32_t a, uint32_t b, double t)
{
    uint32_t color = 0;

    for (int shift = 16; shift >= 0; shift -= 8)
        color |= (uint32_t)mix(a >> shift & 255, b >> shift & 255, t) << shift;
    return color;
}

static void
blend(struct voco_canvas *c, int x, int y, uint32_t color, double alpha)
{
    uint8_t *p = c->rgb + ((size_t)y * (size_t)c->width + (size_t)x) * 3;

    for (int k = 0; k < 3; k++)
        p[k] = mix(p[k], color >> (16 - 8 * k) & 255, alpha);
}

enum voco_err
voco_canvas_init(struct voco_canvas *c, int width, int height, uint32_t color)
{
    VOCO_ASSERT(width > 0 && height > 0 && width <= 1 << 14 && height <= 1 << 14);

    const size_t pixels = (size_t)width * (size_t)height;

    *c = (struct voco_canvas){ width, height, malloc(pixels * 3), calloc(pixels, 1) };
    if (!c->rgb || !c->mask) {
        voco_canvas_free(c);
        return voco_fail(VOCO_EMEMORY, "no memory for a picture of %dx%d", width, height);
    }
    for (size_t i = 0; i < pixels * 3; i++)
        c->rgb[i] = color >> (16 - 8 * (i % 3)) & 255;
    return VOCO_OK;
}

void
voco_canvas_free(struct voco_canvas *c)
{
    free(c->rgb);
    free(c->mask);
    *c = (struct voco_canvas){ 0 };
}

enum voco_err
voco_canvas_write(const struct voco_canvas *c, const char *path)
{
    const struct voco_picture p = { c->rgb, c->width, c->height, 3 };

    return voco_png_write(path, &p);
}

/* lo and hi as pixel numbers inside [0,n). */
static void
clip(double low, double high, int n, int *ret_lo, int *ret_hi)
{
    *ret_lo = low < 0 ? 0 : low > n ? n : (int)low;
    *ret_hi = high < 0 ? 0 : high > n ? n : (int)ceil(high);
}

/* How much of the pixel [i,i+1) lies in [low,high). */
static double
overlap(int i, double low, double high)
{
    return fmin(i + 1, high) - fmax(i, low);
}

void
voco_canvas_fill(struct voco_canvas *c, double x, double y, double w, double h,
                 uint32_t color, double alpha)
{
    int x0, x1, y0, y1;

    clip(x, x + w, c->width, &x0, &x1);
    clip(y, y + h, c->height, &y0, &y1);
    for (int j = y0; j < y1; j++)
        for (int i = x0; i < x1; i++)
            blend(c, i, j, color, alpha * overlap(i, x, x + w) * overlap(j, y, y + h));
}

void
voco_canvas_frame(struct voco_canvas *c, double x, double y, double w, double h,
                  double thick, uint32_t color)
{
    voco_canvas_fill(c, x, y, w, thick, color, 1);
    voco_canvas_fill(c, x, y + h - thick, w, thick, color, 1);
    voco_canvas_fill(c, x, y + thick, thick, h - 2 * thick, color, 1);
    voco_canvas_fill(c, x + w - thick, y + thick, thick, h - 2 * thick, color, 1);
}

/* The pixels that a path has touched. */
struct box {
    int x0, y0, x1, y1;
};

/* Distance of (x,y) to the segment a-b. */
static double
distance(double x, double y, const double a[2], const double b[2])
{
    const double dx = b[0] - a[0], dy = b[1] - a[1], len2 = dx * dx + dy * dy;
    double t = len2 > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / len2 : 0;

    t = fmin(fmax(t, 0), 1);
    return hypot(x - a[0] - t * dx, y - a[1] - t * dy);
}

/* Put the coverage of a round-ended segment into the mask, where it is more. */
static void
stamp(struct voco_canvas *c, const double a[2], const double b[2], double radius,
      struct box *touched)
{
    const double reach = radius + 0.5;
    int x0, x1, y0, y1;

    clip(fmin(a[0], b[0]) - reach, fmax(a[0], b[0]) + reach, c->width, &x0, &x1);
    clip(fmin(a[1], b[1]) - reach, fmax(a[1], b[1]) + reach, c->height, &y0, &y1);
    for (int j = y0; j < y1; j++) {
        uint8_t *row = c->mask + (size_t)j * (size_t)c->width;

        for (int i = x0; i < x1; i++) {
            const double cover = fmin(reach - distance(i + 0.5, j + 0.5, a, b),
                                      fmin(2 * radius, 1));
            const int level = (int)lrint(255 * fmax(cover, 0));

            if (level > row[i])
                row[i] = (uint8_t)level;
        }
    }
    touched->x0 = x0 < touched->x0 ? x0 : touched->x0;
    touched->y0 = y0 < touched->y0 ? y0 : touched->y0;
    touched->x1 = x1 > touched->x1 ? x1 : touched->x1;
    touched->y1 = y1 > touched->y1 ? y1 : touched->y1;
}

/* Blend the pixels under the mask, and clear it. */
static void
blend_mask(struct voco_canvas *c, const struct box *touched, uint32_t color, double alpha)
{
    for (int j = touched->y0; j < touched->y1; j++) {
        uint8_t *row = c->mask + (size_t)j * (size_t)c->width;

        for (int i = touched->x0; i < touched->x1; i++) {
            if (row[i])
                blend(c, i, j, color, alpha * row[i] / 255);
            row[i] = 0;
        }
    }
}

static bool
drawable(const double p[2])
{
    return isfinite(p[0]) && isfinite(p[1]);
}

void
voco_canvas_path(struct voco_canvas *c, const double (*xy)[2], int n, double thick,
                 uint32_t color, double alpha)
{
    struct box touched = { c->width, c->height, 0, 0 };

    for (int i = 0; i < n; i++) {
        if (!drawable(xy[i]))
            continue;
        const bool joined = i > 0 && drawable(xy[i - 1]);
        const bool goes_on = i + 1 < n && drawable(xy[i + 1]);

        if (joined)
            stamp(c, xy[i - 1], xy[i], thick / 2, &touched);
        else if (!goes_on)
            stamp(c, xy[i], xy[i], thick / 2, &touched);
    }
    blend_mask(c, &touched, color, alpha);
}

void
voco_canvas_line(struct voco_canvas *c, double x0, double y0, double x1, double y1,
                 double thick, uint32_t color, double alpha)
{
    const double xy[2][2] = { { x0, y0 }, { x1, y1 } };

    voco_canvas_path(c, xy, 2, thick, color, alpha);
}

/* Linear interpolation at row r, column q, both in pixels of the image from its first
 * centre; clamped to the border. */
static double
sample(const struct voco_gray *g, double r, double q)
{
    r = fmin(fmax(r, 0), g->rows - 1);
    q = fmin(fmax(q, 0), g->cols - 1);
    const int r0 = (int)r, q0 = (int)q;
    const int r1 = r0 + 1 < g->rows ? r0 + 1 : r0, q1 = q0 + 1 < g->cols ? q0 + 1 : q0;
    const float *v = g->value;
    const double top = v[r0 * g->row_stride + q0 * g->col_stride] * (1 - (q - q0)) +
                       v[r0 * g->row_stride + q1 * g->col_stride] * (q - q0);
    const double bottom = v[r1 * g->row_stride + q0 * g->col_stride] * (1 - (q - q0)) +
                          v[r1 * g->row_stride + q1 * g->col_stride] * (q - q0);

    return top * (1 - (r - r0)) + bottom * (r - r0);
}

void
voco_canvas_gray(struct voco_canvas *c, double x, double y, double w, double h,
                 const struct voco_gray *image)
{
    int x0, x1, y0, y1;

    clip(x, x + w, c->width, &x0, &x1);
    clip(y, y + h, c->height, &y0, &y1);
    for (int j = y0; j < y1; j++) {
        for (int i = x0; i < x1; i++) {
            const double v = sample(image, (j + 0.5 - y) * image->rows / h - 0.5,
                                    (i + 0.5 - x) * image->cols / w - 0.5);
            const uint32_t gray = (uint32_t)(255 * fmin(fmax(v, 0), 1) + 0.5);

            blend(c, i, j, gray * 0x010101, 1);
        }
    }
}
