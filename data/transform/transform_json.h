/*
 * The JSON values of the record that transform.c writes.  Internal to data/.
 *
 * Functions return NULL when there is no memory; jansson then makes the whole record NULL.
 */
#ifndef VOCO_DATA_TRANSFORM_TRANSFORM_JSON_H
#define VOCO_DATA_TRANSFORM_TRANSFORM_JSON_H

#include <jansson.h>

#include "data/transform/transform.h"

json_t *voco_json_reals(const double *x, int n);
json_t *voco_json_integers(const int64_t x[3]);
json_t *voco_json_matrix(const double m[4][4]);     /* its first three rows */
json_t *voco_transform_json(const struct voco_transform *t);

/* Are these sizes given: is one above 0? */
bool voco_sizes_set(const int64_t dim[3]);

/* Are 0 and 1 of the window mapped to other numbers? */
bool voco_transform_moves(const struct voco_transform *t);

#endif
