/*
 * A network with its weights on the CPU, to be run and not trained.
 */
#ifndef VOCO_TASK_INFERENCE_H
#define VOCO_TASK_INFERENCE_H

#include "dev/shape.h"
#include "dev/wrap/trace.h"
#include "model/weights.h"

struct voco_inference {
    const char *weights;                /* the file */
    const struct voco_device *dev;
    int threads;                        /* 0: one per core of this process */
    bool trace;                         /* close prints where the time went */
    struct voco_choices choices;        /* implementations, measured */
    struct voco_trace traced;
    struct voco_ctx ctx;
    struct voco_model model;
};

/* Sets the first four and reads the choices, which the planner needs before open.
 * precision: enum voco_precision of activations. */
void voco_inference_init(struct voco_inference *f, const char *weights, int precision,
                         int threads, bool trace);

/* Opens the device and loads the weights.  Parameters that they lack, where the demand allows it, are
 * random numbers. */
enum voco_err voco_inference_open(struct voco_inference *f,
                                  const struct voco_model_config *config,
                                  const struct voco_demand *demand,
                                  struct voco_coverage *ret);
void voco_inference_close(struct voco_inference *f);        /* accepts {0} */

#endif
