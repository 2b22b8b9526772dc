/*
 * Batches for pre-training, made by threads ahead of the step that needs them.
 *
 * A batch is a pure function of (store, options, step): which volumes, where the block
 * and the crops lie, how each crop is augmented.  Neither the number of threads nor a
 * resume changes a bit of it.
 */
#ifndef VOCO_OBJECTIVE_VOCO_BATCH_H
#define VOCO_OBJECTIVE_VOCO_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"
#include "data/batch/batches.h"
#include "objective/voco/block.h"

struct voco_loader_options {
    uint64_t seed;
    int batch;              /* volumes per step */
    int sw;                 /* random crops per volume */
    int roi;                /* edge of a crop for the network, in voxels */
    struct voco_tiling grid;
    double crop_mm;         /* edge of a crop; 0: grid.edge voxels of the store */
    bool augment;
    double shift;           /* probability that intensities are shifted, where augmented */
    double drop;            /* share of rows that the student does not see */
    struct voco_opt_list repeat;    /* "dataset=weight": a dataset counts that many
                                     * times */
    const bool *exclude;    /* [volumes of the store] that are left out; NULL: none */
};

struct voco_batch {
    struct voco_batch_head head;
    int sw, roi, bases;
    float *img;             /* [n_volumes*sw][roi][roi][roi], volume-major */
    float *crops;           /* [n_volumes*bases][roi][roi][roi] */
    float *labels;          /* [n_volumes][sw][bases], shares of the crop; rows sum to 1 */
    unsigned char *keep;    /* [n_volumes*(sw+bases)], random crops first: 0 drops the row
                             * for the student; NULL: none is dropped */
    int *start;             /* [n_volumes*sw][3]: of the random crop in the block */
    int64_t *block;         /* [n_volumes][3]: start of the block in the volume */
};

struct voco_loader;

/* The source of batches for voco_batches_open, with o->batch units.  The store stays open
 * as long as the source, and the source as long as the batches. */
extern const struct voco_batch_kind voco_crops_kind;
enum voco_err voco_loader_open(const struct voco_store *store,
                               const struct voco_loader_options *o,
                               struct voco_loader **ret);
/* Volumes in one epoch, repeats counted. */
int64_t voco_loader_epoch(const struct voco_loader *l);
void voco_loader_close(struct voco_loader *l);              /* accepts NULL */

/* One batch at a time, without threads; the loader's threads call these. */
enum voco_err voco_batch_alloc(struct voco_batch *b, const struct voco_loader_options *o);
void voco_batch_free(struct voco_batch *b);                 /* accepts {0} */

#endif
