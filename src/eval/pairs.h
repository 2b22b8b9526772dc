/*
 * Which prediction belongs to which truth.
 */
#ifndef VOCO_EVAL_PAIRS_H
#define VOCO_EVAL_PAIRS_H

#include "eval/evaluate.h"

/* Fills item (without scores), missing, n_extra and the names of classes. */
enum voco_err voco_eval_pair(const struct voco_eval_options *o, struct voco_eval *e);

#endif
