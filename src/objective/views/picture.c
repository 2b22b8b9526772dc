/* Pairs of views as a picture. */
#include "objective/views/picture.h"

#include <stdio.h>

#include "report/canvas.h"

enum {
    VOLUMES = 2, PAIRS = 4,             /* at most: of a volume */
    SIDE = 192, GAP = 4, PAIR = 2 * SIDE + GAP, MARGIN = 28, HEAD = 84, BAND_HEAD = 36,
    INK = 0x303030, FAINT_INK = 0x707070
};

/* The middle slice in z as radiologists look at it: x runs to the left, y upwards. */
static void
draw_view(struct voco_canvas *c, double x, double y, const float *view, int roi)
{
    const int64_t row = roi, plane = row * roi;
    const float *corner = view + (row - 1) * plane + (row - 1) * row + row / 2;

    voco_canvas_gray(c, x, y, SIDE, SIDE,
                     &(struct voco_gray){ .value = corner, .rows = roi, .cols = roi,
                                          .row_stride = -row, .col_stride = -plane });
}

static void
draw_volume(struct voco_canvas *c, double y, const struct voco_views *b, int volume,
            int pairs)
{
    const struct voco_text_style name = { 17.5, INK, VOCO_LEFT, true, false };
    const int64_t voxels = (int64_t)b->roi * b->roi * b->roi;

    voco_canvas_text(c, MARGIN, y + 20, &name,
                     voco_store_entry(b->head.store, b->head.volume[volume])->id);
    for (int i = 0; i < pairs; i++)
        for (int v = 0; v < 2; v++)
            draw_view(c, MARGIN + i * (PAIR + MARGIN) + v * (SIDE + GAP), y + BAND_HEAD,
                      b->view[v] + ((int64_t)volume * b->crops + i) * voxels, b->roi);
}

static enum voco_err
draw(const char *path, const char *title, const struct voco_views *b)
{
    const struct voco_text_style big = { 24, 0x202020, VOCO_LEFT, true, false };
    const struct voco_text_style small = { 15, FAINT_INK, VOCO_LEFT, false, false };
    const int volumes = b->head.n_volumes < VOLUMES ? b->head.n_volumes : VOLUMES;
    const int pairs = b->crops < PAIRS ? b->crops : PAIRS;
    const int band = BAND_HEAD + SIDE + MARGIN, width = MARGIN + pairs * (PAIR + MARGIN);
    struct voco_canvas c;
    enum voco_err err = voco_canvas_init(&c, width < 640 ? 640 : width,
                                         HEAD + volumes * band, 0xFFFFFF);

    if (err != VOCO_OK)
        return err;
    voco_canvas_text(&c, MARGIN, 40, &big, title);
    voco_canvas_text(&c, MARGIN, 62, &small, "Pairs of views of a crop, the middle slice of "
                     "each.");
    for (int i = 0; i < volumes; i++)
        draw_volume(&c, HEAD + i * band, b, i, pairs);
    err = voco_canvas_write(&c, path);
    voco_canvas_free(&c);
    return err;
}

enum voco_err
voco_views_picture(const char *path, const char *title, const struct voco_store *store,
                   const struct voco_views_options *o)
{
    struct voco_views_source *source = NULL;
    struct voco_batches *batches = NULL;
    const void *b;
    enum voco_err err;

    if ((err = voco_views_open(store, o, &source)) == VOCO_OK
        && (err = voco_batches_open(&voco_views_kind, source, o->batch, 1, 1, 0, &batches))
           == VOCO_OK
        && (err = voco_batches_next(batches, &b, NULL)) == VOCO_OK)
        err = draw(path, title, b);
    voco_batches_close(batches);
    voco_views_close(source);
    return err;
}
