/* The mosaic: a volume's block and crops to the left, position weights to the right. */
#include "objective/voco/mosaic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/canvas.h"

enum {
    GRID = 3, BASES = GRID * GRID,
    MARGIN = 28, HEAD = 74,
    TILE = 168,                     /* a base crop on the picture, any roi */
    BLOCK = GRID * TILE,
    CELL = 56, TABLE = GRID * CELL, /* of the weights; as high as a crop's slice */
    BAND_HEAD = 34, CROP_HEAD = 26, CROP_GAP = 22,
    RIGHT = MARGIN + BLOCK + 40,    /* where the crops begin */
    WIDTH = RIGHT + TABLE + 2 * (24 + TABLE) + MARGIN,
    INK = 0x303030, FAINT_INK = 0x707070
};

/* Column and row on the picture of base k = 3i+j: x runs to the left, y upwards. */
static int
column(int k)
{
    return GRID - 1 - k / GRID;
}

static int
row(int k)
{
    return GRID - 1 - k % GRID;
}

/* The middle z slice of a crop, seen as the header says. */
static void
draw_slice(struct voco_canvas *c, double x, double y, double size, const float *crop,
           int roi)
{
    const int64_t n = roi;
    const struct voco_gray slice = {
        crop + ((n - 1) * n + (n - 1)) * n + n / 2, roi, roi, -n, -n * n
    };

    voco_canvas_gray(c, x, y, size, size, &slice);
}

/* The outline of a random crop on the block, with its number in a corner. */
static void
draw_outline(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m, int a)
{
    const struct voco_text_style style = { 15, 0x000000, VOCO_MIDDLE, true, false };
    const double scale = (double)TILE / m->roi;
    const double right = m->center[2 * a] - m->roi / 2.0;
    const double bottom = m->center[2 * a + 1] - m->roi / 2.0;
    const double left = x + BLOCK - (right + m->roi) * scale;
    const double top = y + BLOCK - (bottom + m->roi) * scale;
    const uint32_t color = voco_color_bright(a);
    char text[16];

    voco_canvas_frame(c, left - 1, top - 1, TILE + 2, TILE + 2, 4, 0x000000);
    voco_canvas_frame(c, left, top, TILE, TILE, 2.5, color);
    snprintf(text, sizeof text, "%d", a + 1);
    voco_canvas_fill(c, left, top, 20, 20, color, 1);
    voco_canvas_text(c, left + 10, top + 14, &style, text);
}

static void
draw_block(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m)
{
    const struct voco_text_style small = { 14, FAINT_INK, VOCO_LEFT, false, false };
    const size_t voxels = (size_t)m->roi * (size_t)m->roi * (size_t)m->roi;

    for (int k = 0; k < BASES; k++)
        draw_slice(c, x + column(k) * TILE, y + row(k) * TILE, TILE,
                   m->crops + (size_t)k * voxels, m->roi);
    for (int i = 1; i < GRID; i++) {
        voco_canvas_fill(c, x + i * TILE - 0.5, y, 1, BLOCK, 0xFFFFFF, 0.55);
        voco_canvas_fill(c, x, y + i * TILE - 0.5, BLOCK, 1, 0xFFFFFF, 0.55);
    }
    for (int a = 0; a < m->sw; a++)
        draw_outline(c, x, y, m, a);
    voco_canvas_text(c, x, y + BLOCK + 18, &small,
                     m->augmented ? "Middle slice, 3x3 base crops as augmented."
                                  : "Middle slice, 3x3 base crops.");
    voco_canvas_text(c, x, y + BLOCK + 36, &small,
                     "Radiological view: patient's right is left, anterior is up.");
}

/* 0.25 -> ".25", 1 -> "1", 0 -> "0". */
static const char *
weight_text(double v, char buf[16])
{
    snprintf(buf, 16, "%.2f", v);
    if (strcmp(buf, "0.00") == 0 || strcmp(buf, "-0.00") == 0)
        return "0";
    if (strcmp(buf, "1.00") == 0)
        return "1";
    return buf[0] == '0' ? buf + 1 : buf;
}

/* Nine weights as shaded cells; the largest is framed. */
static void
draw_weights(struct voco_canvas *c, double x, double y, const float *weight,
             uint32_t color)
{
    struct voco_text_style style = { 16, INK, VOCO_MIDDLE, false, false };
    char buf[16];
    float best = -INFINITY;

    for (int k = 0; k < BASES; k++)
        best = weight[k] > best ? weight[k] : best;
    for (int k = 0; k < BASES; k++) {
        const double left = x + column(k) * CELL, top = y + row(k) * CELL;
        const double v = isfinite(weight[k]) ? fmin(fmax(weight[k], 0), 1) : 0;

        voco_canvas_fill(c, left, top, CELL, CELL, voco_color_mix(0xFFFFFF, color, v), 1);
        voco_canvas_frame(c, left, top, CELL + 1, CELL + 1, 1, 0xC8C8C8);
        style.color = v > 0.55 ? 0xFFFFFF : v < 0.005 ? 0xA0A0A0 : INK;
        style.bold = weight[k] == best && best > 0;
        voco_canvas_text(c, left + CELL / 2 + 0.5, top + CELL / 2 + 5, &style,
                         weight_text(weight[k], buf));
    }
    for (int k = 0; k < BASES; k++)
        if (weight[k] == best && best > 0)
            voco_canvas_frame(c, x + column(k) * CELL - 0.5, y + row(k) * CELL - 0.5,
                              CELL + 2, CELL + 2, 2.5, 0x202020);
}

static int
largest(const float *weight)
{
    int best = 0;

    for (int k = 1; k < BASES; k++)
        if (weight[k] > weight[best])
            best = k;
    return best;
}

/* Random crop a: its slice, the true weights and the predicted ones. */
static void
draw_crop(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m, int a)
{
    const struct voco_text_style number = { 15, 0x000000, VOCO_MIDDLE, true, false };
    const struct voco_text_style head = { 15, INK, VOCO_LEFT, false, false };
    const size_t voxels = (size_t)m->roi * (size_t)m->roi * (size_t)m->roi;
    const float *truth = m->labels + a * BASES;
    const uint32_t color = voco_color_bright(a);
    const double top = y + CROP_HEAD;
    char text[16];

    snprintf(text, sizeof text, "%d", a + 1);
    voco_canvas_fill(c, x, y, 20, 20, color, 1);
    voco_canvas_text(c, x + 10, y + 14, &number, text);
    voco_canvas_text(c, x + 28, y + 15, &head, "random crop");
    draw_slice(c, x, top, TABLE, m->img + (size_t)a * voxels, m->roi);
    voco_canvas_frame(c, x, top, TABLE, TABLE, 3, color);

    x += TABLE + 24;
    voco_canvas_text(c, x, y + 15, &head, "true weights");
    draw_weights(c, x, top, truth, voco_color(0));

    x += TABLE + 24;
    if (m->predicted) {
        const float *guess = m->predicted + a * BASES;
        const bool hit = truth[largest(guess)] == truth[largest(truth)];

        voco_canvas_text(c, x, y + 15, &head, hit ? "predicted: right" : "predicted: wrong");
        draw_weights(c, x, top, guess, voco_color(hit ? 2 : 1));
    } else {
        voco_canvas_text(c, x, y + 15, &head, "not predicted yet");
    }
}

static int
band_height(const struct voco_mosaic *m)
{
    const int crops = m->sw * (CROP_HEAD + TABLE + CROP_GAP);
    const int block = BLOCK + 44;

    return BAND_HEAD + (crops > block ? crops : block) + MARGIN;
}

enum voco_err
voco_mosaic_write(const char *path, const char *title, const struct voco_mosaic *m, int n)
{
    const struct voco_text_style big = { 24, 0x202020, VOCO_LEFT, true, false };
    const struct voco_text_style name = { 17.5, INK, VOCO_LEFT, true, false };
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    struct voco_canvas c;
    int height = HEAD;
    enum voco_err err;

    for (int i = 0; i < n; i++) {
        height += band_height(&m[i]);
        if (height > 1 << 14)
            return voco_fail(VOCO_EUSAGE, "%s: %d volumes are too many for one picture; "
                             "at most %d of this kind", path, n, i);
    }
    err = voco_canvas_init(&c, WIDTH, height, 0xFFFFFF);
    if (err)
        return err;
    voco_canvas_text(&c, MARGIN, 40, &big, title);
    voco_canvas_text(&c, MARGIN, 62, &small, "Which share of a random crop lies in each "
                     "base crop?  True: shares of area.  Predicted: cosine of projections.  "
                     "The largest is framed.");
    for (int i = 0, y = HEAD; i < n; y += band_height(&m[i++])) {
        voco_canvas_text(&c, MARGIN, y + 20, &name, m[i].name);
        draw_block(&c, MARGIN, y + BAND_HEAD, &m[i]);
        for (int a = 0; a < m[i].sw; a++)
            draw_crop(&c, RIGHT, y + BAND_HEAD + a * (CROP_HEAD + TABLE + CROP_GAP), &m[i],
                      a);
    }
    err = voco_canvas_write(&c, path);
    voco_canvas_free(&c);
    return err;
}
