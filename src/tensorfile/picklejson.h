/* Plain values of a pickle as JSON: dicts, lists, words, numbers. */
#ifndef VOCO_TENSORFILE_PICKLEJSON_H
#define VOCO_TENSORFILE_PICKLEJSON_H

#include <jansson.h>

#include "tensorfile/pickle.h"

/* Values that JSON does not have, such as calls, are null.  An OrderedDict is a dict, and
 * whole numbers as keys become words.  A value may be in many places, so there is a limit
 * of VOCO_PICKLE_JSON values and a depth of 32; values beyond it are null. */
enum { VOCO_PICKLE_JSON = 100000, VOCO_PICKLE_JSON_DEPTH = 32 };
json_t *voco_pickle_json(const struct voco_pickle *p, const struct voco_pickle_node *node);

#endif
