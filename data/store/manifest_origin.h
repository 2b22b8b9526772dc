/*
 * The members of a manifest's line about the source of a volume: the state of its files,
 * and their position.  Lines of older stores lack them.
 */
#ifndef VOCO_DATA_STORE_MANIFEST_ORIGIN_H
#define VOCO_DATA_STORE_MANIFEST_ORIGIN_H

#include <jansson.h>
#include <stdbool.h>

#include "data/volume/place.h"
#include "data/volume/stamp.h"

/* NULL where it is not known. */
json_t *voco_stamp_json(const struct voco_stamp *s);
json_t *voco_place_json(const struct voco_place *p);

/* o may be NULL: not known.  False where it is something else than these write. */
bool voco_stamp_of_json(const json_t *o, struct voco_stamp *ret);
bool voco_place_of_json(const json_t *o, struct voco_place *ret);

#endif
