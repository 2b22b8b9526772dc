/*
 * Batches of views: some crops of each volume, two views of every crop.
 *
 * A batch is a pure function of (store, options, step).
 */
#ifndef VOCO_OBJECTIVE_VIEWS_BATCH_H
#define VOCO_OBJECTIVE_VIEWS_BATCH_H

#include "base/opt.h"
#include "data/batch/batches.h"
#include "objective/views/view.h"

struct voco_views_options {
    uint64_t seed;
    int batch;                  /* volumes of a step */
    int crops;                  /* of a volume */
    int roi;                    /* edge of a view in voxels, at least 2 */
    const struct voco_view_recipe *recipe;
    double strength;            /* as in voco_view_draw */
    bool augment;
    struct voco_opt_list repeat;    /* "dataset=weight": a dataset counts that many times */
    const bool *exclude;        /* [volumes of the store] that are left out; NULL: none */
};

struct voco_views {
    struct voco_batch_head head;
    int crops, roi;
    float *view[2];             /* [n_volumes*crops][roi][roi][roi] each, volume-major */
};

struct voco_views_source;

/* The source of batches for voco_batches_open, with o->batch units.  The store stays open
 * as long as the source, and the source as long as the batches.  Every volume must hold a
 * crop. */
extern const struct voco_batch_kind voco_views_kind;
enum voco_err voco_views_open(const struct voco_store *store,
                              const struct voco_views_options *o,
                              struct voco_views_source **ret);
void voco_views_close(struct voco_views_source *source);    /* accepts NULL */

#endif
