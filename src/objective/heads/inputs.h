/*
 * The views of a step on the device: which row is which view, the turned crops, the boxes cut
 * out of them, and the labels of both heads.
 */
#ifndef VOCO_OBJECTIVE_HEADS_INPUTS_H
#define VOCO_OBJECTIVE_HEADS_INPUTS_H

#include "objective/heads/step.h"

/* The row of a view, and the view of a row. */
int voco_heads_row(const struct voco_heads_step *step, int view, int crop);
const struct voco_cutview *voco_heads_view(const struct voco_heads_step *step, int row);

/* Uploads a batch, and makes from it input, turn and partner of all rows.  The views stay in
 * use until the next call. */
void voco_heads_inputs(struct voco_heads_step *step, const struct voco_heads_input *in);

/* The target of a row: its crop, turned but uncut -> y [1,roi,roi,roi,1]. */
void voco_heads_target(struct voco_heads_step *step, int row, const struct voco_tensor *y);

#endif
