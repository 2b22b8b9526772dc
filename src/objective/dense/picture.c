/* The picture of a dense pretext. */
#include "objective/dense/picture.h"

#include <stdio.h>
#include <stdlib.h>

#include "report/canvas.h"

enum {
    SHOWN = 4, PANELS = 3,
    MARGIN = 28, HEAD = 74, GAP = 20, NAME = 26,
    TILE = 256,                 /* the longer edge of a slice */
    WIDTH = 2 * MARGIN + PANELS * TILE + (PANELS - 1) * GAP,
    ROW = NAME + TILE + GAP,
    INK = 0x303030, FAINT_INK = 0x707070
};

/* The middle slice along z as radiologists look at it: x runs to the left, y upwards. */
static void
draw_slice(struct voco_canvas *c, double x, double y, const float *volume,
           const int64_t size[3])
{
    const int64_t longer = size[0] > size[1] ? size[0] : size[1], line = size[1] * size[2];
    const double scale = (double)TILE / (double)longer;
    const struct voco_gray slice = {
        volume + (size[0] - 1) * line + (size[1] - 1) * size[2] + size[2] / 2,
        (int)size[1], (int)size[0], -size[2], -line
    };

    voco_canvas_gray(c, x, y, scale * (double)size[0], scale * (double)size[1], &slice);
}

/* Sample i: its three volumes, scaled to 0 .. 1, beside each other. */
static enum voco_err
draw_sample(struct voco_canvas *c, double y, const struct voco_dense_step *step,
            const struct voco_dense_batch *b, int i, float *const volume[PANELS])
{
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2];
    const float white = (float)step->pretext->white(step->config);
    enum voco_err err = voco_dense_answer(step, b, i, volume[0], volume[1], volume[2]);

    for (int p = 0; p < PANELS && err == VOCO_OK; p++) {
        const double x = MARGIN + p * (TILE + GAP);

        for (int64_t v = 0; v < voxels && p > 0; v++)
            volume[p][v] /= white;
        voco_canvas_text(c, x, y + NAME - 8, &small, step->pretext->panel[p]);
        draw_slice(c, x, y + NAME, volume[p], b->size);
    }
    return err;
}

enum voco_err
voco_dense_picture(const char *path, const char *title, const struct voco_dense_step *step,
                   const struct voco_dense_batch *b)
{
    const struct voco_text_style big = { 24, 0x202020, VOCO_LEFT, true, false };
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2];
    const int shown = b->n < SHOWN ? b->n : SHOWN;
    float *all = malloc((size_t)(PANELS * voxels) * sizeof *all);
    struct voco_canvas c;
    char line[128];
    enum voco_err err;

    if (!all)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for a picture", path);
    err = voco_canvas_init(&c, WIDTH, HEAD + shown * ROW + MARGIN, 0xFFFFFF);
    if (err != VOCO_OK) {
        free(all);
        return err;
    }
    snprintf(line, sizeof line, "%s.  Middle slices, radiological view: patient's right is "
             "left.", step->pretext->words);
    voco_canvas_text(&c, MARGIN, 40, &big, title);
    voco_canvas_text(&c, MARGIN, 62, &small, line);
    for (int i = 0; i < shown && err == VOCO_OK; i++)
        err = draw_sample(&c, HEAD + i * ROW, step, b, i,
                          (float *const[]){ all, all + voxels, all + 2 * voxels });
    if (err == VOCO_OK)
        err = voco_canvas_write(&c, path);
    voco_canvas_free(&c);
    free(all);
    return err;
}
