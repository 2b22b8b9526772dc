/*
 * The settings of a segmentation of volumes, completed by what the weights say of the
 * volumes that they were trained on.
 */
#ifndef VOCO_TASK_SEGMENT_CHOOSE_H
#define VOCO_TASK_SEGMENT_CHOOSE_H

#include <math.h>

#include "task/predict.h"
#include "task/segment/predict.h"

enum voco_resampling { VOCO_RESAMPLE_NEAREST, VOCO_RESAMPLE_LINEAR };
extern const char *const voco_resampling_names[];       /* NULL-terminated */

struct voco_segment_settings {
    struct voco_predict_config predict;
    int merging;                /* enum voco_merging; -1: as the weights say */
    int preset;                 /* index of voco_presets; -1: as the weights say */
    double spacing_mm[3], window[2], nan_to;    /* NaN: not given */
    double roi[3];              /* whole numbers; NaN: not given */
    double overlap;
    int blend;                  /* enum voco_blend */
    int resample;               /* enum voco_resampling */
    const char *mirror;         /* of "xyz"; NULL: none */
    int64_t batch;              /* windows at once, at most */
    bool probabilities;         /* written, too */
    bool skip_background;
};

#define VOCO_SEGMENT_SETTINGS_DEFAULTS {                                                \
    .merging = -1, .preset = -1, .spacing_mm = { NAN }, .window = { NAN },              \
    .nan_to = NAN, .roi = { NAN }, .overlap = 0.5, .blend = VOCO_BLEND_GAUSSIAN,        \
    .batch = 4, .predict = { .precision = VOCO_PRECISION_F32 } }

struct voco_segment_choice {
    struct voco_model_config model;
    struct voco_transform transform;
    char orientation[8];        /* of the training volumes; "": not known */
    struct voco_predict_options windows;
};

/* Reads the head of the weights, and tells of the choice.  VOCO_ECHECKPOINT: weights that
 * cannot segment, or are not all there; VOCO_EUSAGE: settings that do not fit them. */
enum voco_err voco_segment_choose(const struct voco_segment_settings *s,
                                  struct voco_segment_choice *ret);

#endif
