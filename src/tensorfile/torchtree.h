/*
 * Where in a pickle the tensors are: the dictionaries that hold some, and the one that is
 * the weights.
 */
#ifndef VOCO_TENSORFILE_TORCHTREE_H
#define VOCO_TENSORFILE_TORCHTREE_H

#include "tensorfile/pickle.h"
#include "tensorfile/tensorfile.h"

/* Is x a call of this global? */
bool voco_torch_calls(const struct voco_pickle *p, const struct voco_pickle_node *x,
                      const char *module, const char *name);
bool voco_torch_is_tensor(const struct voco_pickle *p, const struct voco_pickle_node *x);

/* The safetensors name of a torch.*Storage; NULL: it is something else. */
const char *voco_torch_storage(const struct voco_pickle_node *global);

/* The name of the call that x is, where it is one of a global that we do not know; else
 * NULL. Free it. */
char *voco_torch_foreign(const struct voco_pickle *p, const struct voco_pickle_node *x);

/* VOCO_EFORMAT with the node at this place, and the expected one. */
enum voco_err voco_torch_refuse(const struct voco_pickle *p, const char *what,
                                const char *place, const struct voco_pickle_node *x,
                                const char *expected);

/* The value of a dict under a key; NULL: none. */
const struct voco_pickle_node *voco_torch_look_up(const struct voco_pickle *p,
                                                  const struct voco_pickle_node *dict,
                                                  const char *key);

/* The dict that the file's tensors are in: of the wrappers state_dict, network_weights, net
 * and student, one inside the other, the last; else the top, if it holds any; else the only
 * dict that does, or that holds a network voco knows (names.h).  *ret is NULL where there
 * are several; without any tensor it is the innermost wrapper, whose values say why.  Sets f->wrapper to the keys on the way, and f->dict to the other ones. */
enum voco_err voco_torch_find_dict(const struct voco_pickle *p, const char *what,
                                   struct voco_tensorfile *f,
                                   const struct voco_pickle_node **ret);

#endif
