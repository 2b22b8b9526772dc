/* The verbs below voco model. */
#ifndef VOCO_CMD_MODEL_H
#define VOCO_CMD_MODEL_H

#include "base/opt.h"
#include "model/recognise.h"
#include "tensorfile/tensorfile.h"

extern const struct voco_verb voco_cmd_model_export;
extern const struct voco_verb voco_cmd_model_import;

/* Opens the weights in path, says which Python names are beside them, and hands them to
 * rewrite, the import or export of a verb.  Without an output it is an error of usage. */
enum voco_err voco_cmd_model_rewrite(const char *path, const char *output,
                                     enum voco_err (*rewrite)(
                                         const struct voco_tensorfile *file,
                                         const char *path));

/* The network of a file, with the order of patch merging that --merging gave, -1: none, and
 * axes that are known from elsewhere.  What nobody says is assumed, with a warning. */
enum voco_err voco_cmd_model_recognise(const struct voco_tensorfile *file, const char *path,
                                       int merging, bool axes_known,
                                       struct voco_network *ret);

#endif
