/*
 * A network over a volume that is larger than its windows: MONAI's sliding window
 * inference, in memory that does not grow with the volume.
 *
 *   y[v] = sum over windows of w[v] logits[v] / sum of w[v]
 *
 * Windows of roi voxels stand at multiples of int(roi (1 - overlap)) along every axis,
 * the last one moved back to the end; volumes smaller than a window are padded with 0 on
 * both sides.  Windows go by their place on the longest axis: what no further window
 * reaches is handed out, plane after plane, and its sums are used again.
 */
#ifndef VOCO_TASK_SLIDING_H
#define VOCO_TASK_SLIDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum voco_blend { VOCO_BLEND_CONSTANT, VOCO_BLEND_GAUSSIAN };
extern const char *const voco_blend_names[];     /* NULL-terminated */

/* Averaged logits at index of an axis: those of voxel (i,j) of the two other axes, in
 * their order, begin at logits + (i * stride + j) * classes; i < n[0], j < n[1].
 * A voxel that no window was run for has 0 for class 0, VOCO_LOGIT_NONE for the others. */
struct voco_plane {
    int axis;
    int64_t index;
    int64_t n[2], stride;
    const float *logits;
};
#define VOCO_LOGIT_NONE (-1e9f)

/* Where voxel (i,j) of a plane stands in a volume [dim0][dim1][dim2]. */
int64_t voco_plane_voxel(int axis, int64_t index, int64_t i, int64_t j,
                         const int64_t dim[3]);

/* The class of the largest logit, of equal ones the first. */
int voco_largest_logit(const float *logits, int classes);

struct voco_sliding {
    const float *const *channel;        /* [channels][dim0][dim1][dim2] */
    int channels;
    int64_t dim[3];
    int classes;
    int64_t roi[3];
    double overlap;                     /* 0 <= overlap < 1 */
    enum voco_blend blend;
    unsigned mirror;                    /* bit a: average with axis a reversed */
    bool skip_flat;                     /* do not run windows whose voxels are all alike */
    int batch;                          /* windows at once */
    /* logits[n][roi0][roi1][roi2][classes] of windows[n][roi0][roi1][roi2][channels] */
    enum voco_err (*infer)(void *user, const float *windows, int n, float *logits);
    enum voco_err (*plane)(void *user, const struct voco_plane *plane);
    /* windows done so far, skipped ones too; not 0: stop.  May be NULL. */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
};

/* Numbers of windows along an axis; their first voxels go to start, unless NULL. */
int64_t voco_sliding_starts(int64_t size, int64_t roi, double overlap, int64_t *start);

/* weight[roi0][roi1][roi2]: 1, or the product of Gaussians with sigma roi/8 in the middle
 * of the window, held at 1e-3 or its smallest value if that is larger. */
void voco_sliding_weights(const int64_t roi[3], enum voco_blend blend, float *weight);

/* Windows in all, and bytes that a run allocates: sums, windows, logits. */
int64_t voco_sliding_count(const struct voco_sliding *s);
double voco_sliding_bytes(const struct voco_sliding *s);

/* Every plane of the longest axis once, in order. */
enum voco_err voco_sliding_run(const struct voco_sliding *s);

#endif
