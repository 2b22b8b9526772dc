/* Slices with the prediction as a tint and the truth as outlines. */
#include "eval/overlay.h"

#include <math.h>
#include <stdlib.h>

#include "eval/score.h"
#include "report/canvas.h"
#include "report/png.h"

static const double TINT = 0.42;        /* opacity of the prediction */

uint32_t
voco_overlay_color(int class_id)
{
    return voco_color_bright(class_id - 1);
}

int64_t
voco_overlay_slice(const struct voco_eval_maps *m)
{
    const int64_t rows = m->dim[0] * m->dim[1];
    int64_t best = m->dim[2] / 2, most_wrong = 0, most_labels = 0;

    for (int64_t z = 0; z < m->dim[2]; z++) {
        int64_t wrong = 0, labels = 0;

        for (int64_t i = z; i < rows * m->dim[2]; i += m->dim[2]) {
            wrong += m->predicted[i] != m->truth[i];
            labels += m->truth[i] > 0;
        }
        if (wrong > most_wrong || (most_wrong == 0 && labels > most_labels))
            best = z;
        most_wrong = wrong > most_wrong ? wrong : most_wrong;
        most_labels = labels > most_labels ? labels : most_labels;
    }
    return best;
}

/* A slice, and where a pixel of its picture lies in it. */
struct view {
    const struct voco_eval_maps *m;
    int64_t slice;
    int width, height;
};

static int64_t
voxel_at(const struct view *v, int column, int row)
{
    const int64_t *dim = v->m->dim;
    const int64_t x = dim[0] - 1 - (int64_t)column * dim[0] / v->width;
    const int64_t y = dim[1] - 1 - (int64_t)row * dim[1] / v->height;

    return (x * dim[1] + y) * dim[2] + v->slice;
}

static bool
is_outline(const struct view *v, int column, int row)
{
    const uint16_t *truth = v->m->truth;
    const int c = truth[voxel_at(v, column, row)];
    const int left = column > 0 ? column - 1 : column, up = row > 0 ? row - 1 : row;
    const int right = column + 1 < v->width ? column + 1 : column;
    const int down = row + 1 < v->height ? row + 1 : row;

    return c > 0 && (truth[voxel_at(v, left, row)] != c
                     || truth[voxel_at(v, right, row)] != c
                     || truth[voxel_at(v, column, up)] != c
                     || truth[voxel_at(v, column, down)] != c);
}

/* The slice as gray values from the 1st to the 99th percentile; free it. */
static float *
gray_slice(const struct view *v, const float *image)
{
    const int64_t *dim = v->m->dim, n = dim[0] * dim[1];
    float *gray = malloc((size_t)n * sizeof *gray);
    double *sorted = malloc((size_t)n * sizeof *sorted), low, high;

    for (int64_t i = 0; gray && sorted && i < n; i++) {
        gray[i] = image[i * dim[2] + v->slice];
        sorted[i] = isfinite(gray[i]) ? (double)gray[i] : 0;
    }
    if (gray && sorted) {
        low = voco_quantile(sorted, n, 0.01);
        high = voco_quantile(sorted, n, 0.99);
        for (int64_t i = 0; i < n; i++)
            gray[i] = high > low ? (float)((gray[i] - low) / (high - low)) : 0;
    }
    free(sorted);
    return gray;
}

static void
draw_labels(const struct view *v, struct voco_canvas *c)
{
    for (int row = 0; row < v->height; row++)
        for (int column = 0; column < v->width; column++) {
            const int64_t i = voxel_at(v, column, row);
            const int predicted = v->m->predicted[i], truth = v->m->truth[i];

            if (predicted > 0)
                voco_canvas_fill(c, column, row, 1, 1, voco_overlay_color(predicted),
                                 TINT);
            if (is_outline(v, column, row))
                voco_canvas_fill(c, column, row, 1, 1, voco_overlay_color(truth), 1);
        }
}

enum voco_err
voco_overlay_png(const struct voco_eval_maps *m, const float *image, int64_t slice,
                 int side, uint8_t **ret, size_t *ret_n)
{
    const double x_mm = (double)m->dim[0] * m->mm[0], y_mm = (double)m->dim[1] * m->mm[1];
    const double scale = side / fmax(x_mm, y_mm);
    struct view v = { m, slice, (int)fmax(1, x_mm * scale), (int)fmax(1, y_mm * scale) };
    float *gray = image ? gray_slice(&v, image) : NULL;
    struct voco_canvas c;
    enum voco_err err = voco_canvas_init(&c, v.width, v.height, 0x101214);

    if (!err && image && !gray)
        err = voco_fail(VOCO_EMEMORY, "no memory for a slice");
    if (!err && gray) {
        const struct voco_gray g = { gray + (m->dim[0] * m->dim[1] - 1), (int)m->dim[1],
                                     (int)m->dim[0], -1, -m->dim[1] };

        voco_canvas_gray(&c, 0, 0, v.width, v.height, &g);
    }
    if (!err) {
        const struct voco_picture p = { c.rgb, v.width, v.height, 3 };

        draw_labels(&v, &c);
        err = voco_png_encode(&p, ret, ret_n);
    }
    voco_canvas_free(&c);
    free(gray);
    return err;
}
