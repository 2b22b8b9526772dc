/*
 * A picture of what an objective of this folder sees: crops, the two views of each side by
 * side.
 */
#ifndef VOCO_OBJECTIVE_VIEWS_PICTURE_H
#define VOCO_OBJECTIVE_VIEWS_PICTURE_H

#include "objective/views/batch.h"

/* The middle slices in z of the first crops of the first batch of o, of its first two
 * volumes at the most. */
enum voco_err voco_views_picture(const char *path, const char *title,
                                 const struct voco_store *store,
                                 const struct voco_views_options *o);

#endif
