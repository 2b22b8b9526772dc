/*
 * A trained network over whole volumes: label maps and probabilities in the space of the
 * volume as it came.
 *
 * Labels are the class of the largest averaged logit, on the network's grid, brought back
 * to the nearest voxel; or, smoother, the class of the largest interpolated probability.
 * Probabilities wait in a file without a name beside the results, so that memory holds
 * one class at a time.
 */
#ifndef VOCO_TASK_SEGMENT_PREDICT_H
#define VOCO_TASK_SEGMENT_PREDICT_H

#include "data/dataset/case.h"
#include "data/dataset/inputs.h"
#include "data/transform/transform.h"
#include "data/transform/unmap.h"
#include "model/model.h"
#include "task/sliding.h"

struct voco_predict_options {
    int64_t roi[3];
    double overlap;
    enum voco_blend blend;
    unsigned mirror;            /* bit a: axis a, reversed too */
    bool skip_flat;             /* windows whose voxels are all alike are background */
    bool smooth;                /* labels from interpolated probabilities */
    int batch;                  /* windows at once */
};

/* An image on the network's grid, and the way back. */
struct voco_predict_image {
    struct voco_case image;
    struct voco_unmap back;
};
void voco_predict_image_free(struct voco_predict_image *in);    /* accepts {0} */

/* Reads and transforms a volume, or reads it, transformed already, from a store.
 * VOCO_EFORMAT when it has not got so many channels, lies in another orientation than the
 * network's ("": any; model/provenance.h), or cannot be used.  Free ret in any case. */
enum voco_err voco_predict_read(const struct voco_input_entry *in,
                                const struct voco_transform *t, int channels,
                                const char *orientation, struct voco_predict_image *ret);

struct voco_predictor {
    struct voco_ctx *ctx;
    const struct voco_model *model;
    struct voco_predict_options o;
    /* windows of the image done so far; not 0: stop.  May be NULL. */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
};

/* Writes labels, u8, and unless NULL probabilities, 4-D f32, a volume for each class. */
enum voco_err voco_predict_run(const struct voco_predictor *p,
                               const struct voco_predict_image *in, const char *labels,
                               const char *probabilities);

/* Bytes that reading (as voco_transform_plan says; 0: from a store) and running an image
 * hold at their peak, beside the network's. */
double voco_predict_bytes(const struct voco_predict_options *o, int channels, int classes,
                          bool probabilities, double reading, const int64_t source_dim[3],
                          const int64_t dim[3]);

/* Windows of an image of this size. */
int64_t voco_predict_windows(const struct voco_predict_options *o, const int64_t dim[3]);

#endif
