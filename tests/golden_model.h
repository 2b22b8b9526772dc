/*
 * Gradients and values of a whole model against the rows of a golden file: for each
 * parameter the norm, the sum and 8 elements picked by a hash.
 */
#ifndef VOCO_TESTS_GOLDEN_MODEL_H
#define VOCO_TESTS_GOLDEN_MODEL_H

#include "tests/golden_read.h"
#include "model/model.h"

enum { GOLDEN_ROW = 10, GOLDEN_PICKED = 8 };    /* numbers in a row; the last ones picked */

/* A host copy in double. Free it. */
double *golden_host_copy(struct voco_ctx *ctx, const struct voco_tensor *x);

/* The row of a name, or -1. */
int golden_row(char **names, int n, const char *name);

/* Element i of those that the reference picked out of n. */
int64_t golden_picked(uint64_t seed, const char *name, int i, int64_t n);

/* Every trained parameter's gradient against PREFIXgrad_names, PREFIXgrad_rows: the norm to
 * tolerance, picked elements to twice that, of the norm.  The reference's names begin with
 * model->params.hash_prefix. */
void golden_check_gradients(const struct golden *g, const char *prefix,
                            struct voco_ctx *ctx, const struct voco_model *model,
                            double tolerance);

#endif
