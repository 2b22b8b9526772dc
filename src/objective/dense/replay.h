/*
 * A batch for a dense pretext that is given rather than drawn: for reproducing a step
 * elsewhere computed.
 */
#ifndef VOCO_OBJECTIVE_DENSE_REPLAY_H
#define VOCO_OBJECTIVE_DENSE_REPLAY_H

#include "objective/dense/pretext.h"

/*
 * An HDF5 file with the pretext's datasets, of any number type: its crops [n,1,d,h,w], sizes
 * multiples of 32, and its boxes.  Shapes that do not fit each other are errors with both.
 * Free ret also after an error.
 */
enum voco_err voco_dense_replay_open(const char *path, const struct voco_pretext *pretext,
                                     const void *config, struct voco_dense_batch *ret);
void voco_dense_replay_free(struct voco_dense_batch *b);        /* accepts {0} */

/* Batches that are this one, of one unit; their source is the replay. */
extern const struct voco_batch_kind voco_dense_replay_kind;

#endif
