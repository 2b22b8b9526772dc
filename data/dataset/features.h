/*
 * Tables of features: a row for each volume, or for each of its crops.
 *
 *   NAME.h5    a group for each volume, with the dataset embedding [rows, width]
 *   NAME.csv   id, then a column for each feature (source, crop, crops, x, y, z are none)
 *   NAME.npy   float32 [rows, width], with the other columns in NAME.csv beside it
 */
#ifndef VOCO_DATA_DATASET_FEATURES_H
#define VOCO_DATA_DATASET_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* ---- reading ---- */

/* One row for each id: the mean of its rows. */
struct voco_features {
    char *path;
    int n, width;
    char **id;                  /* [n], ascending */
    double *x;                  /* [n][width] */
    int64_t rows;               /* in the file */
    int n_bad;                  /* ids left out, because a feature is NaN or infinite ... */
    char *first_bad;            /* ... and the first of them */
};

/* Of one of these files, which its contents tell.  Free it after a failure, too. */
enum voco_err voco_features_read(const char *path, struct voco_features *ret);
void voco_features_free(struct voco_features *f);   /* accepts {0} */
/* The row of an id; -1: there is none. */
int voco_features_find(const struct voco_features *f, const char *id);

/* ---- writing ---- */

struct voco_features_writer;

/* The kind by the ending of the path: .csv, .npy, or else HDF5.  means: one row for each
 * volume, the mean over its crops. */
enum voco_err voco_features_create(const char *path, bool means,
                                   struct voco_features_writer **ret);
/* The crops of a volume; start[n] NULL: they have no place. */
enum voco_err voco_features_add(struct voco_features_writer *w, const char *id,
                                const char *source, int n, int width, const float *embedding,
                                const int64_t (*start)[3]);
/* Whole or absent; frees w, also after a failure. */
enum voco_err voco_features_finish(struct voco_features_writer *w);
void voco_features_abandon(struct voco_features_writer *w);     /* accepts NULL */

#endif
