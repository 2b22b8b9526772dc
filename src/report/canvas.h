/*
 * A small RGB canvas: antialiased paths, text and images, enough for charts.
 *
 * Coordinates are pixels, (0,0) is the upper left corner of the upper left pixel, y grows
 * downwards.  Everything is clipped.  Colours are 0xRRGGBB; alpha is 0..1.
 */
#ifndef VOCO_REPORT_CANVAS_H
#define VOCO_REPORT_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct voco_canvas {
    int width, height;
    uint8_t *rgb;           /* [height][width][3] */
    uint8_t *mask;          /* [height][width]: coverage of the path being drawn */
};

/* The colours of Okabe and Ito, told apart with any colour vision, without the yellow
 * that vanishes on white; i is taken modulo their number. */
uint32_t voco_color(int i);

/* For areas and outlines on dark images: VOCO_BRIGHT_COLORS that can be told apart (CIEDE2000
 * of any two at least 18), the first six of the family above; i modulo their number. */
enum { VOCO_BRIGHT_COLORS = 24 };
uint32_t voco_color_bright(int i);

/* (1-t) a + t b, channel by channel. */
uint32_t voco_color_mix(uint32_t a, uint32_t b, double t);

enum voco_err voco_canvas_init(struct voco_canvas *c, int width, int height,
                               uint32_t color);
void voco_canvas_free(struct voco_canvas *c);           /* accepts {0} */
enum voco_err voco_canvas_write(const struct voco_canvas *c, const char *path);

void voco_canvas_fill(struct voco_canvas *c, double x, double y, double w, double h,
                      uint32_t color, double alpha);

/* The frame lies inside the rectangle. */
void voco_canvas_frame(struct voco_canvas *c, double x, double y, double w, double h,
                       double thick, uint32_t color);

void voco_canvas_line(struct voco_canvas *c, double x0, double y0, double x1, double y1,
                      double thick, uint32_t color, double alpha);

/* xy: n points.  A point that is not finite interrupts the path; a point alone is a dot.
 * Where the path meets itself it is not drawn twice. */
void voco_canvas_path(struct voco_canvas *c, const double (*xy)[2], int n, double thick,
                      uint32_t color, double alpha);

/* ---- text ---- */
enum voco_anchor { VOCO_LEFT, VOCO_MIDDLE, VOCO_RIGHT };

struct voco_text_style {
    double size;            /* line height in pixels; capitals are 0.6 of it */
    uint32_t color;
    enum voco_anchor anchor;    /* the part of the text that is at x */
    bool bold;
    bool upwards;           /* turned a quarter to the left: a y axis */
};

/* y is the base line (x, when upwards).  ASCII; other bytes are drawn as '?', UTF-8
 * sequences as one. */
void voco_canvas_text(struct voco_canvas *c, double x, double y,
                      const struct voco_text_style *style, const char *text);
double voco_text_width(const struct voco_text_style *style, const char *text);

/* ---- images ---- */

/* value[rows*row_stride][cols*col_stride] into the rectangle, linear interpolation between
 * pixel centres, 0 black and 1 white.  Negative strides mirror. */
struct voco_gray {
    const float *value;     /* the upper left element of the picture */
    int rows, cols;
    int64_t row_stride, col_stride;     /* in elements */
};
void voco_canvas_gray(struct voco_canvas *c, double x, double y, double w, double h,
                      const struct voco_gray *image);

#endif
