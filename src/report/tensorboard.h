/*
 * TensorBoard event files: events.out.tfevents.<time>.<host>.<pid> in a folder.
 *
 * Each record is a TFRecord (length, masked CRC-32C, data, masked CRC-32C) around one
 * Event message (tensorflow/core/util/event.proto), encoded here by hand.
 */
#ifndef VOCO_REPORT_TENSORBOARD_H
#define VOCO_REPORT_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "report/png.h"

struct voco_events;

/* Start a new file for a run that goes on at from_step.  That step and later ones in
 * earlier files of the folder no longer count. */
enum voco_err voco_events_open(const char *folder, int64_t from_step,
                               struct voco_events **ret);

/* Values are stored as f32, as TensorBoard has them. Buffered until flush. */
enum voco_err voco_events_scalar(struct voco_events *e, const char *tag, int64_t step,
                                 double value);
enum voco_err voco_events_image(struct voco_events *e, const char *tag, int64_t step,
                                const struct voco_picture *p);
enum voco_err voco_events_flush(struct voco_events *e);
enum voco_err voco_events_close(struct voco_events *e);     /* accepts NULL */

#endif
