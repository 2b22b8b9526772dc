/* The mosaic: a volume's block and crops to the left, position weights to the right. */
#include "objective/voco/mosaic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/canvas.h"

enum {
    MARGIN = 28, HEAD = 74,
    BLOCK = 504,                    /* the longer side of a layer of base crops */
    TABLE = 168,                    /* and of its weights; as high as a crop's slice */
    BLOCK_FOOT = 44, LAYER_GAP = 6,
    BAND_HEAD = 34, CROP_HEAD = 26, CROP_GAP = 22,
    RIGHT = MARGIN + BLOCK + 40,    /* where the crops begin */
    WIDTH = RIGHT + TABLE + 2 * (24 + TABLE) + MARGIN,
    INK = 0x303030, FAINT_INK = 0x707070
};

/* ---- base crops on the picture ---- */

/* A base crop in a layer of the longer side `side`, and the layer's height. */
static double
tile_of(const struct voco_tiling *g, double side)
{
    return floor(side / (g->n[0] > g->n[1] ? g->n[0] : g->n[1]));
}

static double
layer_height(const struct voco_tiling *g, double side)
{
    return g->n[1] * tile_of(g, side);
}

/* Column and row of base k in its layer: x runs to the left, y upwards. */
static int
column(const struct voco_tiling *g, int k)
{
    return g->n[0] - 1 - k / g->n[2] / g->n[1];
}

static int
row(const struct voco_tiling *g, int k)
{
    return g->n[1] - 1 - k / g->n[2] % g->n[1];
}

static int
layer(const struct voco_tiling *g, int k)
{
    return k % g->n[2];
}

/* ---- the block ---- */

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

/* The outline of a random crop on a layer of the block, with its number in a corner. */
static void
draw_outline(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m, int a)
{
    const struct voco_text_style style = { 15, 0x000000, VOCO_MIDDLE, true, false };
    const struct voco_tiling *g = &m->grid;
    const double tile = tile_of(g, BLOCK), scale = tile / g->edge;
    const double left = x + g->n[0] * tile - (m->start[3 * a] + g->edge) * scale;
    const double top = y + g->n[1] * tile - (m->start[3 * a + 1] + g->edge) * scale;
    const uint32_t color = voco_color_bright(a);
    char text[16];

    voco_canvas_frame(c, left - 1, top - 1, tile + 2, tile + 2, 4, 0x000000);
    voco_canvas_frame(c, left, top, tile, tile, 2.5, color);
    snprintf(text, sizeof text, "%d", a + 1);
    voco_canvas_fill(c, left, top, 20, 20, color, 1);
    voco_canvas_text(c, left + 10, top + 14, &style, text);
}

/* Base crops (i,j,l) of all i and j, and the random crops that reach into them. */
static void
draw_layer(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m, int l)
{
    const struct voco_text_style small = { 14, FAINT_INK, VOCO_LEFT, false, false };
    const size_t voxels = (size_t)m->roi * (size_t)m->roi * (size_t)m->roi;
    const struct voco_tiling *g = &m->grid;
    const double tile = tile_of(g, BLOCK), width = g->n[0] * tile, height = g->n[1] * tile;
    char text[96], which[48] = "";

    for (int k = 0; k < voco_tiling_bases(g); k++)
        if (layer(g, k) == l)
            draw_slice(c, x + column(g, k) * tile, y + row(g, k) * tile, tile,
                       m->crops + (size_t)k * voxels, m->roi);
    for (int i = 1; i < g->n[0]; i++)
        voco_canvas_fill(c, x + i * tile - 0.5, y, 1, height, 0xFFFFFF, 0.55);
    for (int j = 1; j < g->n[1]; j++)
        voco_canvas_fill(c, x, y + j * tile - 0.5, width, 1, 0xFFFFFF, 0.55);
    for (int a = 0; a < m->sw; a++)
        if (abs(m->start[3 * a + 2] - l * g->edge) < g->edge)
            draw_outline(c, x, y, m, a);
    if (g->n[2] > 1)
        snprintf(which, sizeof which, " of layer %d of %d from below", l + 1, g->n[2]);
    snprintf(text, sizeof text, "Middle slice%s, %dx%d base crops%s.", which, g->n[0],
             g->n[1], m->augmented ? " as augmented" : "");
    voco_canvas_text(c, x, y + height + 18, &small, text);
    voco_canvas_text(c, x, y + height + 36, &small,
                     "Radiological view: patient's right is left, anterior is up.");
}

static void
draw_block(struct voco_canvas *c, double x, double y, const struct voco_mosaic *m)
{
    for (int l = 0; l < m->grid.n[2]; l++)
        draw_layer(c, x, y + l * (layer_height(&m->grid, BLOCK) + BLOCK_FOOT), m, l);
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

/* The upper left corner of the cell of base k. */
static void
cell_at(const struct voco_tiling *g, double x, double y, int k, double *left, double *top)
{
    const double cell = tile_of(g, TABLE);

    *left = x + column(g, k) * cell;
    *top = y + layer(g, k) * (layer_height(g, TABLE) + LAYER_GAP) + row(g, k) * cell;
}

/* Weights as shaded cells, layer by layer; the largest is framed. */
static void
draw_weights(struct voco_canvas *c, double x, double y, const struct voco_tiling *g,
             const float *weight, uint32_t color)
{
    const double cell = tile_of(g, TABLE);
    struct voco_text_style style = { fmin(16, 0.4 * cell), INK, VOCO_MIDDLE, false, false };
    const int bases = voco_tiling_bases(g);
    char buf[16];
    float best = -INFINITY;
    double left, top;

    for (int k = 0; k < bases; k++)
        best = weight[k] > best ? weight[k] : best;
    for (int k = 0; k < bases; k++) {
        const double v = isfinite(weight[k]) ? fmin(fmax(weight[k], 0), 1) : 0;

        cell_at(g, x, y, k, &left, &top);
        voco_canvas_fill(c, left, top, cell, cell, voco_color_mix(0xFFFFFF, color, v), 1);
        voco_canvas_frame(c, left, top, cell + 1, cell + 1, 1, 0xC8C8C8);
        style.color = v > 0.55 ? 0xFFFFFF : v < 0.005 ? 0xA0A0A0 : INK;
        style.bold = weight[k] == best && best > 0;
        voco_canvas_text(c, left + cell / 2 + 0.5, top + cell / 2 + 0.3125 * style.size,
                         &style, weight_text(weight[k], buf));
    }
    for (int k = 0; k < bases; k++)
        if (weight[k] == best && best > 0) {
            cell_at(g, x, y, k, &left, &top);
            voco_canvas_frame(c, left - 0.5, top - 0.5, cell + 2, cell + 2, 2.5, 0x202020);
        }
}

static int
largest(const float *weight, int bases)
{
    int best = 0;

    for (int k = 1; k < bases; k++)
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
    const int bases = voco_tiling_bases(&m->grid);
    const float *truth = m->labels + a * bases;
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
    draw_weights(c, x, top, &m->grid, truth, voco_color(0));

    x += TABLE + 24;
    if (m->predicted) {
        const float *guess = m->predicted + a * bases;
        const bool hit = truth[largest(guess, bases)] == truth[largest(truth, bases)];

        voco_canvas_text(c, x, y + 15, &head, hit ? "predicted: right" : "predicted: wrong");
        draw_weights(c, x, top, &m->grid, guess, voco_color(hit ? 2 : 1));
    } else {
        voco_canvas_text(c, x, y + 15, &head, "not predicted yet");
    }
}

/* A crop with its weights. */
static int
crop_height(const struct voco_mosaic *m)
{
    const int layers = m->grid.n[2];
    const int table = (int)layer_height(&m->grid, TABLE) * layers + LAYER_GAP * (layers - 1);

    return CROP_HEAD + (table > TABLE ? table : TABLE) + CROP_GAP;
}

static int
band_height(const struct voco_mosaic *m)
{
    const int crops = m->sw * crop_height(m);
    const int block = ((int)layer_height(&m->grid, BLOCK) + BLOCK_FOOT) * m->grid.n[2];

    return BAND_HEAD + (crops > block ? crops : block) + MARGIN;
}

enum voco_err
voco_mosaic_write(const char *path, const char *title, const struct voco_mosaic *m, int n)
{
    const struct voco_text_style big = { 24, 0x202020, VOCO_LEFT, true, false };
    const struct voco_text_style name = { 17.5, INK, VOCO_LEFT, true, false };
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    struct voco_canvas c;
    char question[192];
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
    snprintf(question, sizeof question, "Which share of a random crop lies in each base "
             "crop?  True: shares of %s.  Predicted: cosine of projections.  The largest is "
             "framed.", n && m[0].grid.n[2] > 1 ? "volume" : "area");
    voco_canvas_text(&c, MARGIN, 62, &small, question);
    for (int i = 0, y = HEAD; i < n; y += band_height(&m[i++])) {
        voco_canvas_text(&c, MARGIN, y + 20, &name, m[i].name);
        draw_block(&c, MARGIN, y + BAND_HEAD, &m[i]);
        for (int a = 0; a < m[i].sw; a++)
            draw_crop(&c, RIGHT, y + BAND_HEAD + a * crop_height(&m[i]), &m[i], a);
    }
    err = voco_canvas_write(&c, path);
    voco_canvas_free(&c);
    return err;
}
