/*
 * HDF5 files: reads prepared crops, writes embeddings.
 */
#ifndef VOCO_DATA_STORE_CROPFILE_H
#define VOCO_DATA_STORE_CROPFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Crops of one dataset: [n,1,r,r,r] of any number type. */
struct voco_cropset {
    char *name;                 /* of the dataset */
    int n, roi;
    float *crops;               /* [n][roi^3] */
};

/* Does the file look like HDF5? */
bool voco_cropfile_is(const char *path);

/* The datasets img and crops of a file, as far as they are there. Free both sets. */
enum voco_err voco_cropfile_read(const char *path, struct voco_cropset ret[2], int *ret_n);

/* One dataset of crops of an open file. Free ret also after an error. */
struct voco_h5;
enum voco_err voco_cropset_read(struct voco_h5 *h, const char *path, const char *name,
                                struct voco_cropset *ret);
void voco_cropset_free(struct voco_cropset *s);     /* accepts {0} */

/* A file of embeddings, whole or absent: ID/embedding [n,width], ID/start [n,3]. */
struct voco_embeddings;
enum voco_err voco_embeddings_create(const char *path, struct voco_embeddings **ret);
/* start NULL: the crops have no place.  source is kept as an attribute. */
enum voco_err voco_embeddings_add(struct voco_embeddings *e, const char *id,
                                  const char *source, int n, int width,
                                  const float *embedding, const int64_t (*start)[3]);
enum voco_err voco_embeddings_finish(struct voco_embeddings *e);    /* publishes, frees */
void voco_embeddings_abandon(struct voco_embeddings *e);            /* accepts NULL */

#endif
