/*
 * Independent items on a few threads, for work that is files and not arithmetic: each
 * item takes seconds, so there is no pool and no queue.
 */
#ifndef VOCO_BASE_PARALLEL_H
#define VOCO_BASE_PARALLEL_H

#include <stdint.h>

#include "base/err.h"

/*
 * Calls fn(i, user) once for every i in [0,n), in about that order, on so many threads
 * (the caller's among them), and waits for all.  After a failure no further item is
 * begun; the first failure and its sentence are the result.
 */
enum voco_err voco_parallel_for(int threads, int64_t n,
                                enum voco_err (*fn)(int64_t i, void *user), void *user);

#endif
