/* Plain values of a pickle as JSON: dicts, lists, words, numbers. */
#ifndef VOCO_TENSORFILE_PICKLEJSON_H
#define VOCO_TENSORFILE_PICKLEJSON_H

#include <jansson.h>

#include "tensorfile/pickle.h"

/* What JSON cannot say, calls among them, is null; an OrderedDict is a dict, and whole
 * numbers as keys are words.  At most VOCO_PICKLE_JSON values and a depth of 32, since a
 * value may be in many places: what is beyond is null. */
enum { VOCO_PICKLE_JSON = 100000, VOCO_PICKLE_JSON_DEPTH = 32 };
json_t *voco_pickle_json(const struct voco_pickle *p, const struct voco_pickle_node *node);

#endif
