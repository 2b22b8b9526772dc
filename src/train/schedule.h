/* Learning rates over a run. */
#ifndef VOCO_TRAIN_SCHEDULE_H
#define VOCO_TRAIN_SCHEDULE_H

#include <stdint.h>

enum voco_schedule { VOCO_WARMUP_COSINE, VOCO_CONSTANT, VOCO_POLY };

/* Factor on the learning rate of step 0, 1, ...: with warm-up step/warmup (so the first
 * step has 0, as in the original), then 1/2 (1 + cos(pi t)) with t running from 0 to 1 at
 * the last step; never below 0.  VOCO_POLY: after the warm-up (1 - t)^0.9. */
double voco_schedule(enum voco_schedule kind, int64_t step, int64_t warmup, int64_t steps);

#endif
