/*
 * The work of voco probe voxels: networks on the same voxels of the same volumes, and the
 * results as files.
 */
#ifndef VOCO_TASK_PROBE_VOXELS_WRITE_H
#define VOCO_TASK_PROBE_VOXELS_WRITE_H

#include "base/opt.h"
#include "task/probe/voxels.h"

struct voco_voxel_config {
    const char *output, *patients;
    struct voco_opt_list weights;
    int64_t random;             /* seed of a network of random weights; INT64_MIN: none */
    int64_t feature;            /* its width; 0: that of the first weights, or 48 */
    int64_t folds, labelled, crops, voxels, replicates, seed, threads;
    int merging;                /* as for voco embed */
    bool partial;
};
#define VOCO_VOXEL_DEFAULTS { .random = INT64_MIN, .folds = 4, .crops = 8, .voxels = 500, \
                              .replicates = 2000, .seed = 1, .merging = -1 }

struct voco_voxel_network {
    char *name;                 /* of the file, or "random (seed 1)" */
    int64_t feature;
    struct voco_voxel_scores scores;
    double difference, difference_low, difference_high;         /* minus the first one's mean */
};

struct voco_voxel_probe {
    const struct voco_voxel_config *config;
    const char *store_path;
    struct voco_store *store;
    struct voco_voxel_cases cases;
    struct voco_voxel_network *network;
    int n;
};

/* Free it after a failure, too. */
enum voco_err voco_voxel_probe_run(const struct voco_voxel_config *config, const char *store,
                                   struct voco_voxel_probe *ret);
void voco_voxel_probe_free(struct voco_voxel_probe *p);         /* accepts {0} */

/* Everything, with NaN as null. */
enum voco_err voco_voxel_json(const char *path, const struct voco_voxel_probe *p);
/* A line for each network and class: weights,class,name,dice,low,high,truth,predicted. */
enum voco_err voco_voxel_csv(const char *path, const struct voco_voxel_probe *p);
/* One page that needs nothing besides itself. */
enum voco_err voco_voxel_html(const char *path, const struct voco_voxel_probe *p);

#endif
