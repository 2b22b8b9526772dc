/*
 * What transform.c writes into its record.  Internal to data/.
 *
 * NULL where there is no memory, which jansson passes on to the whole.
 */
#ifndef VOCO_DATA_TRANSFORM_TRANSFORM_JSON_H
#define VOCO_DATA_TRANSFORM_TRANSFORM_JSON_H

#include <jansson.h>

#include "data/transform/transform.h"

json_t *voco_json_reals(const double *x, int n);
json_t *voco_json_integers(const int64_t x[3]);
json_t *voco_json_matrix(const double m[4][4]);     /* the three rows that say something */
json_t *voco_transform_json(const struct voco_transform *t);

/* Are these sizes given: is one above 0? */
bool voco_sizes_set(const int64_t dim[3]);

/* Has 0 and 1 become other numbers? */
bool voco_transform_moves(const struct voco_transform *t);

#endif
