/*
 * Batches for segmentation: random crops of volumes with or without labels, made by threads
 * ahead of the step that needs them; and whole volumes, one at a time, for validation.
 *
 * A batch is a pure function of (store, options, step).  Neither the number of threads
 * nor a resume changes a bit of it.
 *
 * A crop is centred, as far as the volume reaches, on a voxel that is uniform among the
 * labelled ones, or with probability 1 - positive among the background with an image
 * (MONAI's RandCropByPosNegLabel, image_threshold 0).  Of a volume without labels it lies
 * anywhere.  Volumes smaller than a crop are padded symmetrically with 0.
 */
#ifndef VOCO_OBJECTIVE_SEGMENT_BATCH_H
#define VOCO_OBJECTIVE_SEGMENT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "data/batch/batches.h"

/* Probabilities are of each crop by itself; all 0: crops are left as they are. */
struct voco_seg_augment {
    float flip;             /* of each axis */
    float turn;             /* by 90, 180 or 270 degrees in the plane of x and y */
    float scale, scale_by;  /* x <- x * (1 + u), u uniform in +-scale_by */
    float shift, shift_by;  /* x <- x + u, behind the scale; nothing is clipped */
};

struct voco_seg_options {
    uint64_t seed;
    const int *volume;      /* [n_volumes] indices in the store; all have label maps ... */
    int n_volumes;
    bool unlabelled;        /* ... or none is read */
    int batch;              /* volumes per step */
    int samples;            /* crops per volume */
    int64_t roi[3];         /* of a crop; x and y alike if turn > 0 */
    double positive;        /* share of crops centred on labelled voxels */
    int classes;            /* labels must be below; at most 256 */
    struct voco_seg_augment augment;
};

struct voco_seg_batch {
    struct voco_batch_head head;        /* a volume for each crop */
    int n;                  /* crops: batch * samples, volume-major */
    int channels;
    int64_t roi[3];
    float *image;           /* [n][x][y][z][channels] */
    uint8_t *label;         /* [n][x][y][z]; NULL: of unlabelled volumes */
    int64_t *start;         /* [n][3]: of the crop in the volume; < 0 in padding */
};

struct voco_seg_loader;

/* The volumes with label maps as indices in the store, and a note of those without.
 * VOCO_EFORMAT where all are.  path: for messages.  Free *ret. */
enum voco_err voco_seg_labelled(const struct voco_store *store, const char *path, int **ret,
                                int *ret_n);

/* Classes of a network for a store: as many as asked for, or, for 0, as its label maps have.
 * VOCO_EUSAGE, VOCO_EFORMAT: too few. */
enum voco_err voco_seg_classes(const struct voco_store *store, const char *path,
                               int64_t asked, int64_t *ret);

/* The source of batches for voco_batches_open, with o->batch units.  The store stays open
 * as long as the source, and the source as long as the batches; volume[] is copied.
 * VOCO_EUSAGE or VOCO_EFORMAT when a volume has no label map, another number of channels
 * than the first, a class that is too large, or neither kind of voxel. */
extern const struct voco_batch_kind voco_labelled_kind, voco_unlabelled_kind;
enum voco_err voco_seg_open(const struct voco_store *store,
                            const struct voco_seg_options *o,
                            struct voco_seg_loader **ret);
void voco_seg_close(struct voco_seg_loader *l);         /* accepts NULL */

/* A whole volume, without augmentation. */
struct voco_seg_volume {
    int64_t dim[3];
    int channels;
    float *image;           /* [x][y][z][channels] */
    uint8_t *label;         /* [x][y][z]; NULL: the volume has no label map */
};

/* Free with voco_seg_volume_free.  classes as above. */
enum voco_err voco_seg_volume_read(const struct voco_store *store, int i, int classes,
                                   struct voco_store_scratch *scratch,
                                   struct voco_seg_volume *ret);
void voco_seg_volume_free(struct voco_seg_volume *v);   /* accepts {0} */

/* Where a crop begins: its middle on the voxel at, moved so that it stays inside the
 * volume, or around the volume along axes where that is smaller. */
void voco_seg_start(const int64_t at[3], const int64_t dim[3], const int64_t roi[3],
                    int64_t start[3]);

#endif
