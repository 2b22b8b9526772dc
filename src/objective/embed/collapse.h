/*
 * Are embeddings collapsing?  Small sums on the host over those of one step.
 */
#ifndef VOCO_OBJECTIVE_EMBED_COLLAPSE_H
#define VOCO_OBJECTIVE_EMBED_COLLAPSE_H

#include "base/err.h"
#include "train/record.h"

/* n <= VOCO_SIGNALS_ROWS rows of c floats, row-major. */
enum { VOCO_SIGNALS_ROWS = 1024 };

struct voco_collapse {
    /* Mean of cos(x_i, x_j) over the pairs i < j; NaN for n < 2.  1: all point one way.
     * A row of zeros has cosine 0 to every other. */
    double cosine;
    /* exp of the entropy of s_i / sum s, s the singular values of x (O. Roy and M.
     * Vetterli, "The effective rank", EUSIPCO 2007).  Not centred: 1 when all rows are
     * parallel, min(n,c) when they are orthogonal and equally long; 0 for x = 0. */
    double effective_rank;
};

/* Both are NaN when x has a value that is not finite.  VOCO_EMEMORY or VOCO_OK. */
enum voco_err voco_collapse_signals(const float *x, int n, int c,
                                    struct voco_collapse *ret);

/* Adds those of at most the first VOCO_SIGNALS_ROWS rows to the record of a step:
 * embedding_cosine and effective_rank. */
void voco_collapse_record(const float *x, int n, int c, struct voco_record *record);

/* Eigenvalues of the symmetric a [n][n] (destroyed), by cyclic Jacobi rotations, largest
 * first into value [n]. */
void voco_eigenvalues(double *a, int n, double *value);

#endif
