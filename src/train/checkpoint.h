/*
 * Checkpoints: folders ckpt-<step> in a run folder.
 *
 *   model.safetensors       all parameters under their state_dict names, those of teachers
 *                           among them, and the relative_position_index buffers that
 *                           PyTorch keeps
 *   optimizer.safetensors   m.NAME, v.NAME, vmax.NAME of every trained parameter; of SGD
 *                           m.NAME alone
 *   state.json              counters and the options that the bits depend on
 *   SUMS                    "crc32c bytes name" of the three, and of itself
 *
 * A checkpoint is written under a temporary name and renamed when every byte is on the
 * disk, so a folder of this name is whole unless the disk lost it; SUMS finds that out.
 */
#ifndef VOCO_TRAIN_CHECKPOINT_H
#define VOCO_TRAIN_CHECKPOINT_H

#include "model/weights.h"

/* Where a run stands, besides its numbers. */
struct voco_state {
    int64_t step;               /* the next one to run */
    int64_t updates;            /* done by the optimizer; skipped steps are not */
    int64_t skipped_in_row;
    int64_t rollbacks;
    double lr_scale;            /* halved at each roll-back */
    const char *options;        /* JSON object text; in: to be kept, out: owned, free */
};

/* Write RUN/ckpt-<state->step>, then remove all but the newest keep_last; those of later
 * steps too, which are damaged: a run goes on from the newest that is whole. */
enum voco_err voco_checkpoint_write(const char *run, struct voco_ctx *ctx,
                                    const struct voco_model *model,
                                    const struct voco_state *state, int keep_last);

/* Removes what a killed process left in the folder of a run, which the caller has locked:
 * unfinished checkpoints and files.  A checkpoint that made way for another of the same step
 * comes back if that one did not come. */
void voco_checkpoint_tidy(const char *run);

/* The newest checkpoint of the run that is whole; damaged ones in front of it are named
 * in warnings.  *ret_path is NULL (and the result VOCO_OK) where the run has none at all;
 * VOCO_ECHECKPOINT where all are damaged; another error where the system does not let us
 * read one, which may be whole.  Free *ret_path. */
enum voco_err voco_checkpoint_newest(const char *run, char **ret_path);

/* The state alone, to see whether the checkpoint fits.  Free state->options. */
enum voco_err voco_checkpoint_state(const char *folder, struct voco_state *state);

/* Read a checkpoint folder into an allocated model.  Free state->options. */
enum voco_err voco_checkpoint_read(const char *folder, struct voco_ctx *ctx,
                                   struct voco_model *model, struct voco_state *state);

/* Checksums of every file, to the last byte, and the structure of the tensors. */
enum voco_err voco_checkpoint_verify(const char *folder);

#endif
