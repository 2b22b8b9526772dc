/*
 * One slice of a case as a picture: the prediction as a tint, the truth as outlines.
 *
 * As radiologists look at it: the patient's right on the left, the front at the top.
 */
#ifndef VOCO_EVAL_OVERLAY_H
#define VOCO_EVAL_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "eval/evaluate.h"

/* The axial slice in which most voxels are wrong; if none is, that with most labels. */
int64_t voco_overlay_slice(const struct voco_eval_maps *m);

/* image: [dim0][dim1][dim2] on the grid of the maps, or NULL.  The picture is about side
 * pixels along its longer edge.  Free *ret. */
enum voco_err voco_overlay_png(const struct voco_eval_maps *m, const float *image,
                               int64_t slice, int side, uint8_t **ret, size_t *ret_n);

/* The colour of a class, as in the pictures. */
uint32_t voco_overlay_color(int class_id);

#endif
