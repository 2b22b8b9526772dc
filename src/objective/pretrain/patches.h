/*
 * Batches of plain crops: some crops of roi^3 of each volume, from random places, augmented
 * as VoCo's are.  For objectives that see crops one by one.
 *
 * A batch is a pure function of (store, options, step).
 */
#ifndef VOCO_OBJECTIVE_PRETRAIN_PATCHES_H
#define VOCO_OBJECTIVE_PRETRAIN_PATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"
#include "data/batch/batches.h"

enum { VOCO_PATCH_MAKES = 3 };

/* Which crop of which step: the key of random draws about it. */
struct voco_patch_key {
    uint64_t seed;
    int64_t step;
    int sample, crop;           /* number of the volume in the batch, of the crop in it */
};

struct voco_patches_options {
    uint64_t seed;
    int batch;                  /* volumes of a step */
    int crops;                  /* of a volume */
    int roi;                    /* edge of a crop in voxels */
    bool augment;
    struct voco_opt_list repeat;    /* "dataset=weight": a dataset counts that many times */
    const bool *exclude;        /* [volumes of the store] that are left out; NULL: none */

    /* Further arrays of roi^3 for each crop, made from it by the loader's threads; the crop
     * itself may be changed, too.  make NULL: there are none.  scratch: memory of
     * scratch_bytes that a thread has for itself. */
    int n_made;
    enum voco_err (*make)(const void *user, const struct voco_patch_key *key, float *crop,
                          float *const made[], void *scratch);
    const void *user;
    size_t scratch_bytes;
};

struct voco_patches {
    struct voco_batch_head head;
    int crops, roi;
    float *crop;                /* [n_volumes*crops][roi][roi][roi], volume-major */
    float *made[VOCO_PATCH_MAKES];      /* the same shape; n_made of them */
    int64_t *start;             /* [n_volumes*crops][3]: where each begins in its volume */
};

struct voco_patch_source;

/* The source of batches for voco_batches_open, with o->batch units.  The store stays open
 * as long as the source, and the source as long as the batches.  Every volume must hold a
 * crop. */
extern const struct voco_batch_kind voco_patches_kind;
enum voco_err voco_patches_open(const struct voco_store *store,
                                const struct voco_patches_options *o,
                                struct voco_patch_source **ret);
void voco_patches_close(struct voco_patch_source *source);  /* accepts NULL */

/* Where a crop begins in a volume of dim voxels: per axis uniform in 0..dim-roi, both
 * included. */
void voco_patch_start(const struct voco_patch_key *key, const int64_t dim[3], int roi,
                      int64_t start[3]);
/* VOCO_EFORMAT for the first volume, of those that are not left out, that holds no crop. */
enum voco_err voco_patches_fit(const struct voco_store *store, const bool *exclude, int roi);

#endif
