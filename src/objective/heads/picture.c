/* Views with their reconstructions. */
#include "objective/heads/picture.h"

#include <stdio.h>

#include "report/canvas.h"

enum {
    MARGIN = 28, HEAD = 74, TILE = 256, GAP = 20, LABEL = 30, COLUMNS = 3,
    WIDTH = 2 * MARGIN + COLUMNS * TILE + (COLUMNS - 1) * GAP,
    INK = 0x303030, FAINT_INK = 0x707070
};

/* The middle slice across the first axis, in whose plane the turns are: the second axis to
 * the right, the third upwards. */
static void
draw_slice(struct voco_canvas *c, double x, double y, const float *crop, int roi)
{
    const int64_t n = roi;
    const struct voco_gray slice = { crop + n / 2 * n * n + n - 1, roi, roi, -1, n };

    voco_canvas_gray(c, x, y, TILE, TILE, &slice);
    voco_canvas_frame(c, x, y, TILE, TILE, 1, 0xC8C8C8);
}

static void
draw_view(struct voco_canvas *c, double y, const struct voco_heads_shown *v, int roi)
{
    const struct voco_text_style name = { 15, INK, VOCO_LEFT, true, false };
    const float *column[COLUMNS] = { v->input, v->target, v->image };
    char text[256];

    snprintf(text, sizeof text, "%s, turned by %d degrees, predicted %d", v->name,
             90 * v->turns, 90 * v->guess);
    voco_canvas_text(c, MARGIN, y + 20, &name, text);
    for (int i = 0; i < COLUMNS; i++)
        draw_slice(c, MARGIN + i * (TILE + GAP), y + LABEL, column[i], roi);
}

enum voco_err
voco_heads_picture(const char *path, const char *title, int roi,
                   const struct voco_heads_shown *shown, int n)
{
    const struct voco_text_style big = { 24, 0x202020, VOCO_LEFT, true, false };
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    static const char *const head[COLUMNS] = { "input", "target", "reconstruction" };
    const int band = LABEL + TILE + GAP;
    struct voco_canvas c;
    enum voco_err err = voco_canvas_init(&c, WIDTH, HEAD + n * band + MARGIN, 0xFFFFFF);

    if (err != VOCO_OK)
        return err;
    voco_canvas_text(&c, MARGIN, 40, &big, title);
    for (int i = 0; i < COLUMNS; i++)
        voco_canvas_text(&c, MARGIN + i * (TILE + GAP), 64, &small, head[i]);
    for (int i = 0; i < n; i++)
        draw_view(&c, HEAD + i * band, &shown[i], roi);
    err = voco_canvas_write(&c, path);
    voco_canvas_free(&c);
    return err;
}
