/*
 * Semi-supervised training: from a step on, a teacher labels images that have no labels, and
 * the network learns from these labels, too.
 *
 * The teacher is a copy of the network that is made in that step (voco_teacher_config): it
 * stays as it is, or follows the network as a moving average.
 */
#ifndef VOCO_OBJECTIVE_SEGMENT_SEMI_H
#define VOCO_OBJECTIVE_SEGMENT_SEMI_H

#include "objective/segment/batch.h"
#include "train/settings.h"

enum voco_semi_teacher { VOCO_SEMI_SNAPSHOT, VOCO_SEMI_EMA };

struct voco_semi_config {
    int teacher;                /* enum voco_semi_teacher */
    double momentum;            /* of VOCO_SEMI_EMA */
    double threshold;           /* a voxel whose class is less probable does not count */
    int64_t start;              /* step; -1: after half of them */
};

#define VOCO_SEMI_DEFAULTS { .momentum = 0.999, .start = -1 }

extern const char *const voco_semi_teacher_names[];

/* Rows for a table of a struct `type` with such a member. */
#define VOCO_SEMI_OPTIONS(type, member)                                                 \
    { "semi-teacher", 0, VOCO_OPT_CHOICE, VOCO_AT(type, member.teacher), "KIND",        \
      "snapshot: the network as it was; ema: a moving average of it", 0, 0,             \
      voco_semi_teacher_names, .role = VOCO_NUMERIC },                                  \
    { "semi-momentum", 0, VOCO_OPT_REAL, VOCO_AT(type, member.momentum), "X",           \
      "momentum of the moving average", 0, 1, .role = VOCO_NUMERIC },                   \
    { "semi-threshold", 0, VOCO_OPT_REAL, VOCO_AT(type, member.threshold), "P",         \
      "voxels whose class the teacher finds less probable do not count", 0, 1,          \
      .role = VOCO_NUMERIC },                                                           \
    { "semi-start", 0, VOCO_OPT_INT, VOCO_AT(type, member.start), "STEP",               \
      "first step with labels of the teacher; -1: after half of the steps", -1, 1e12,   \
      .role = VOCO_IDENTITY /* behind an earlier start there would be no copy */ }

/* Are these the defaults? */
bool voco_semi_is_default(const struct voco_semi_config *c);

/* VOCO_EUSAGE: settings that contradict each other.  verb: for the message. */
enum voco_err voco_semi_check(const struct voco_semi_config *c, const char *verb);

/* Sets c->start by the length of the run, and describes the teacher.  VOCO_EUSAGE: it lies
 * behind the end. */
enum voco_err voco_semi_settle(struct voco_semi_config *c, int64_t steps,
                               struct voco_teacher_config *ret);

/* Are the volumes of the store at path images for a network that learns from volumes as like?
 * VOCO_EFORMAT where one has other channels or another spacing; if mixed, where all have
 * another spacing, and some are only warned of. */
enum voco_err voco_semi_images(const char *path, const struct voco_store *store,
                               const struct voco_store_entry *like, bool mixed);

/* The volumes of a second store. */
struct voco_unlabelled {
    struct voco_store *store;
    int *volume, n;             /* indices in the store */
    struct voco_seg_loader *loader;
};

/* All volumes of the store at path but those that are n volumes of the first store, too, on
 * which the run validates.  VOCO_EFORMAT: voco_semi_images of the first store's volume like.
 * Close it after a failure, too. */
enum voco_err voco_unlabelled_open(const char *path, const struct voco_store *first, int like,
                                   const int *validate, int n, struct voco_unlabelled *ret);
void voco_unlabelled_close(struct voco_unlabelled *u);      /* accepts {0} */

#endif
