/*
 * Reference numbers in tests/golden: results are read from HDF5, inputs are computed by
 * the hash that made them.  Whatever is missing aborts the test with a sentence.
 *
 * Files keep torch's layout, [n,c,d,h,w]; ours is channels last.
 */
#ifndef VOCO_TESTS_GOLDEN_READ_H
#define VOCO_TESTS_GOLDEN_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/tensor.h"

struct golden {
    int64_t file;               /* hid_t */
    uint64_t seed;              /* the attribute of the file */
    char name[64];
};

/* An array of its own: x.data is malloc'ed doubles. */
struct golden_array {
    double *x;
    int64_t dim[VOCO_RANK_MAX];
    int rank;
    int64_t count;
};

/* NAME.h5 in the folder of the environment variable VOCO_GOLDEN. */
struct golden golden_open(const char *name);
void golden_close(struct golden *g);

bool golden_has(const struct golden *g, const char *fmt, ...) VOCO_PRINTF(2, 3);
struct golden_array golden_read(const struct golden *g, const char *fmt, ...)
    VOCO_PRINTF(2, 3);

/* Attribute key, which has n elements, of the file ("/"), a group or a dataset. */
void golden_attr(const struct golden *g, const char *object, const char *key, int n,
                 double *ret);

/* A list of fixed-length strings; free the list and its first entry. */
char **golden_names(const struct golden *g, const char *path, int *ret_n);

/* GROUP/x0 of a file of ops: the shape that is stored, values uniform in [lo,hi). */
struct golden_array golden_input(const struct golden *g, const char *group, int number,
                                 double lo, double hi);

/* GROUP/dy in (-1,1), shaped as y (before any change of layout). */
struct golden_array golden_upstream(const struct golden *g, const char *group,
                                    const struct golden_array *y);

/* Any other name: uniform in [lo,hi). */
struct golden_array golden_hash(const struct golden *g, int rank, const int64_t *dim,
                                double lo, double hi, const char *fmt, ...)
    VOCO_PRINTF(6, 7);

/* A parameter by the rule of its name and rank. */
struct golden_array golden_param(const struct golden *g, int rank, const int64_t *dim,
                                 const char *fmt, ...) VOCO_PRINTF(4, 5);

/* [n,c,...] -> [n,...,c] in place; nothing to do below rank 3. */
void golden_channels_last(struct golden_array *a);

struct voco_tensor golden_view(const struct golden_array *a);
void golden_free(struct golden_array *a);

#endif
