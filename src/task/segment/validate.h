/*
 * Dice of a model on whole volumes of a labelled store, by sliding windows: the validation
 * of segmentation, as a row of struct voco_task wants it.
 *
 * In the space of the store, as the published recipes have it: a class that a volume does
 * not contain is left out of that volume's mean; background never counts.  voco eval
 * measures in the space of the images.
 */
#ifndef VOCO_TASK_SEGMENT_VALIDATE_H
#define VOCO_TASK_SEGMENT_VALIDATE_H

#include "train/run.h"

/* Of a run with a struct voco_finetune_config and struct voco_labelled. */
double voco_dice_bytes(const void *config, void *data,
                       const struct voco_model_config *model);
enum voco_err voco_dice_open(const struct voco_run *run, void **tally);
void voco_dice_close(void *tally);
enum voco_err voco_dice_evaluate(void *tally, int i);

/* The mean over classes of their means; the classes' own are recorded and in more. */
void voco_dice_total(void *tally, struct voco_record *record, struct voco_task_score *ret);

#endif
