/*
 * Geometry of window attention on the cpu device.
 *
 * Padding tokens of a window all have the same key and value, the qkv bias, and the
 * result of their attention is not used.  A window therefore has `real` queries, and
 * `real` keys plus one that stands for all its padding: its score is q k_pad + log sum
 * over the padding of exp(bias + mask), the same softmax exactly.  A volume of 8^3 in
 * windows of 7^3 needs 1/24 of the scores.
 *
 * Windows where the same tokens are padding and the same tokens are masked from each
 * other form a class: at most 3 along an axis.  Classes share the expanded bias.
 */
#ifndef VOCO_DEV_CPU_WINDOWS_H
#define VOCO_DEV_CPU_WINDOWS_H

#include "dev/device.h"

struct voco_kernels;

enum { VOCO_AXIS_CLASSES = 3, VOCO_WINDOW_CLASSES = 27 };
enum { VOCO_RUN = 8 };              /* floats copied at a time */

struct voco_window_axis {
    int windows, size, window, shift;
    int classes;
    int first[VOCO_AXIS_CLASSES];   /* a window of each class */
    int count[VOCO_AXIS_CLASSES];   /* windows of each class */
    int tail[2];                    /* classes of the last window and the one before */
};

struct voco_window_class {
    int real, pads;                 /* tokens; real + pads = tokens of a window */
    int keys, cols;                 /* real, + 1 with padding; multiple of lanes */
    int *token;                     /* [real + pads] place in the window; real first */
    int *code;                      /* [real + pads] see voco_bias_row */
    int *region;                    /* [real + pads] */
    bool split;                     /* not all the same region: there is a mask */
    int *run;                       /* [runs + 1] first tokens of runs of rising code; */
    int runs, real_runs;            /* those of real tokens come first */
    int64_t count;                  /* windows */
    const int *window;              /* [count] their numbers */
    float *bias;                    /* [heads,real,cols], bias and mask */
};

struct voco_window_plan {
    struct voco_window_axis axis[3];
    int64_t items, windows;
    int tokens, heads, head_dim;
    int full;                       /* full_window */
    size_t lanes, head_row;         /* head_dim rounded up to lanes */
    int64_t table_rows;
    int classes, real_max, cols_max;
    struct voco_window_class class[VOCO_WINDOW_CLASSES];
    int *ints;                      /* lists of the classes, windows by class */
    float *table;                   /* [heads,table_stride]: transposed, from the end */
    int64_t table_stride;           /* table_rows and room to read VOCO_RUN beyond */
    float *bias;
    size_t ints_bytes, bias_floats;
};

/* Classes and sizes; no memory is touched.  qkv [n,d,h,w,3c]. */
void voco_windows_plan(const struct voco_windows *win, const struct voco_tensor *qkv,
                       size_t lanes, struct voco_window_plan *ret);

/* Bytes for voco_windows_place. */
size_t voco_windows_bytes(const struct voco_window_plan *p);

/* Fill lists and the transposed table in memory of that size. */
void voco_windows_place(struct voco_window_plan *p, const float *table, void *memory);

/* Row i of the bias of a class; spare has tokens + VOCO_RUN floats. */
void voco_windows_expand(const struct voco_window_plan *p, const struct voco_kernels *k,
                         const struct voco_window_class *z, int head, int i,
                         float *spare);

/* [real,cols] of one head */
static inline float *
voco_windows_bias(const struct voco_window_class *z, int head)
{
    return z->bias + (int64_t)head * z->real * z->cols;
}

/* Bias and mask of query i and the padding tokens of class z: out [pads + VOCO_RUN]. */
void voco_windows_pad_scores(const struct voco_window_plan *p,
                             const struct voco_window_class *z, int head, int i,
                             float *out);

/* Where the real tokens of a window of item n are: rows of the token matrix. */
void voco_windows_rows(const struct voco_window_plan *p, int64_t n, int window,
                       int64_t *rows);

/* Row of the bias table for tokens i, j of a class. */
static inline int
voco_bias_row(const struct voco_window_plan *p, const struct voco_window_class *z, int i,
              int j)
{
    return z->code[i] - z->code[j] + (int)(p->table_rows / 2);
}

#endif
